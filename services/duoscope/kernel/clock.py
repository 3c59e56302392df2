"""The wall clock in the units the stores use."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from duoscope.kernel.errors import invalid

YEAR_MIN: Final = 1970
YEAR_MAX: Final = 9998
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def now_unix_nano() -> int:
    """Nanoseconds since the Unix epoch, as OTLP counts time."""
    return time.time_ns()


def unix_ns(moment: datetime) -> int:
    """A time as nanoseconds since the Unix epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def in_range(field: str, moment: datetime) -> datetime:
    """A time that somebody gave, in UTC. Raises INVALID for one at the ends of time, where arithmetic ends too."""
    try:
        found = moment.astimezone(UTC)
    except (OverflowError, ValueError):
        found = None
    if found is None or not YEAR_MIN <= found.year <= YEAR_MAX:
        raise invalid(f"`{field}` is a time of the years {YEAR_MIN} to {YEAR_MAX}, in UTC.")
    return found


def rfc3339(moment: datetime) -> str:
    """Format a time as `2026-01-31T12:00:00.000000Z`: in UTC with microseconds, so that texts sort as the times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
