"""The wall clock in the units the stores use."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def now_unix_nano() -> int:
    """Nanoseconds since the Unix epoch, as OTLP counts time."""
    return time.time_ns()
