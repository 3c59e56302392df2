"""The wall clock in the units the stores use."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def now_unix_nano() -> int:
    """Nanoseconds since the Unix epoch, as OTLP counts time."""
    return time.time_ns()


def rfc3339(moment: datetime) -> str:
    """Format a time as `2026-01-31T12:00:00.000000Z`: in UTC with microseconds, so that texts sort as the times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
