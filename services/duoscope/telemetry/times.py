"""Time ranges of queries: from `start`, included, to `end`, excluded, in nanoseconds since the Unix epoch."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, invalid

SECOND_NS: Final = 1_000_000_000
RANGE_DEFAULT_NS: Final = 3600 * SECOND_NS
RANGE_MAX_NS: Final = 400 * 86_400 * SECOND_NS
"""The longest retention there is."""
_UNIX_NANO_MAX = 2**63 - 1
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """`start_ns` <= time < `end_ns`."""

    start_ns: int
    end_ns: int

    CONDITION = (
        "timestamp >= fromUnixTimestamp64Nano({start_ns:Int64}, 'UTC') "
        "AND timestamp < fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')"
    )
    """The range in SQL, for the views that have a `timestamp`; `parameters` binds it."""

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of CONDITION."""
        return {"start_ns": self.start_ns, "end_ns": self.end_ns}

    @property
    def seconds(self) -> float:
        """The length of the range."""
        return (self.end_ns - self.start_ns) / SECOND_NS


def within(times: Sequence[TimeRange]) -> tuple[str, dict[str, object]]:
    """A condition on times in one of some ranges, and its parameters."""
    conditions: list[str] = []
    parameters: dict[str, object] = {}
    for number, each in enumerate(times):
        conditions.append(TimeRange.CONDITION.replace("_ns:", f"_{number}_ns:"))
        parameters |= {f"start_{number}_ns": each.start_ns, f"end_{number}_ns": each.end_ns}
    return f"({' OR '.join(f'({each})' for each in conditions)})", parameters


def time_range(start: str | int | None, end: str | int | None, *, max_ns: int = RANGE_MAX_NS) -> TimeRange:
    """The time range of a request. `end` defaults to now, `start` to an hour before the end.

    Raises:
        DuoscopeError: INVALID for a time of another form, an end not after the start, a range above `max_ns`.
    """
    end_ns = now_unix_nano() if end is None else unix_nano(end, "end")
    start_ns = max(0, end_ns - RANGE_DEFAULT_NS) if start is None else unix_nano(start, "start")
    if end_ns <= start_ns:
        raise invalid("`end` must be later than `start`; without an `end` the range reaches until now.")
    if end_ns - start_ns > max_ns:
        raise invalid(f"The range from `start` to `end` may span {max_ns / _UNIT_NS['d']:g} days at most.")
    return TimeRange(start_ns, end_ns)


def unix_nano(value: str | int, name: str) -> int:
    """Parse a time: RFC 3339 with up to nine fractional digits, or nanoseconds since the Unix epoch.

    Raises:
        DuoscopeError: INVALID naming the parameter.
    """
    if isinstance(value, str) and (found := _RFC3339.fullmatch(value)):
        date, clock, fraction, zone = found.groups()
        try:
            whole = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        except ValueError as error:
            raise _no_time(name) from error
        value = int((whole - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND_NS + int(
            (fraction or "0").ljust(9, "0")
        )
    if isinstance(value, str):
        if not re.fullmatch(r"\d{1,19}", value, re.ASCII):
            raise _no_time(name)
        value = int(value)
    if not 0 <= value <= _UNIX_NANO_MAX:
        raise _no_time(name)
    return value


def duration_ns(text: str) -> int | None:
    """Parse `250ms`, `1.5s`, `2h` into nanoseconds; None for another form, and beyond all bounds."""
    found = _DURATION.fullmatch(text)
    if not found or math.isinf(number := float(found.group(1)) * _UNIT_NS[found.group(2)]):
        return None
    return round(number)


def _no_time(name: str) -> DuoscopeError:
    return invalid(
        f"`{name}` must be a time such as 2026-01-31T12:00:00Z (RFC 3339, years 1970 to 2262) or nanoseconds since the "
        "Unix epoch."
    )
