"""When maintenance is: from one time to another on the clock on the wall of a time zone, once or again and again.

Recurrence is as RFC 5545 (3.3.10) has it, by the day or longer. So are days on which clocks change: a beginning that
the wall skips is as long after the change as if it had not been (02:30 is then 03:30), one that it shows twice is the
first. An end that it shows twice is the second, so that all of the time between both, as the wall shows it, is in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.time_zones import time_zone

LENGTH_MAX: Final = timedelta(days=31)
AGE_MAX: Final = timedelta(days=3660)
HORIZON: Final = timedelta(days=1830)
"""How far ahead the next time is looked for; with the two, an expression that never comes true ends soon."""
_PARTS: Final = {
    "FREQ": r"DAILY|WEEKLY|MONTHLY|YEARLY",
    "INTERVAL": r"[1-9]\d{0,3}",
    "COUNT": r"[1-9]\d{0,4}",
    "UNTIL": r"\d{8}(T\d{6}Z?)?",
    "BYDAY": r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU))*",
    "BYMONTH": r"\d{1,2}(,\d{1,2})*",
    "BYMONTHDAY": r"[+-]?\d{1,2}(,[+-]?\d{1,2})*",
    "BYYEARDAY": r"[+-]?\d{1,3}(,[+-]?\d{1,3})*",
    "BYWEEKNO": r"[+-]?\d{1,2}(,[+-]?\d{1,2})*",
    "BYSETPOS": r"[+-]?\d{1,3}(,[+-]?\d{1,3})*",
    "WKST": r"MO|TU|WE|TH|FR|SA|SU",
}
_LARGEST: Final = {"BYMONTH": 12, "BYDAY": 53, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
_NUMBER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_SHIFT_YEARS: Final = 7600
"""How much later dateutil is asked: it goes on to the year 9999 for what never comes, which is then not far.

Calendars repeat every 400 years, with their weekdays.
"""


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a window.

    Attributes:
        starts_at, ends_at: of the first time, as the wall shows them: without a zone.
        time_zone: a name of IANA's.
        recurrence: a rule of RFC 5545, without `RRULE:`; empty for once.
    """

    starts_at: datetime
    ends_at: datetime
    time_zone: str
    recurrence: str


def check(times: Times, now: datetime) -> None:
    """Raise INVALID for times that cannot be, or are all over."""
    zone = time_zone(times.time_zone, "time_zone")
    if not timedelta(0) < times.ends_at - times.starts_at <= LENGTH_MAX:
        raise invalid(f"`ends_at` is after `starts_at`, and at most {LENGTH_MAX.days} days.")
    if abs(_utc(times.starts_at, zone) - now) > AGE_MAX:
        raise invalid("`starts_at` is at most ten years away: name a later first time.")
    if current_or_next(times, now) is None:
        raise invalid("Such a window never comes, or is over.")


def current_or_next(times: Times, now: datetime) -> tuple[datetime, datetime] | None:
    """The beginning and the end of the window that is now, or else next; None if it is never again.

    Raises:
        DuoscopeError: INVALID.
    """
    zone, length = time_zone(times.time_zone, "time_zone"), times.ends_at - times.starts_at
    for start in _starts(times, zone, now):
        end = max(_utc(start + length, zone, fold) for fold in (0, 1))
        if end > now:
            return _utc(start, zone), end
    return None


def between(times: Times, start: datetime, end: datetime, *, most: int) -> list[tuple[datetime, datetime]]:
    """The beginnings and ends of a window that lie in a range at least in part; of these the first `most`.

    Raises:
        DuoscopeError: INVALID.
    """
    zone, length = time_zone(times.time_zone, "time_zone"), times.ends_at - times.starts_at
    found: list[tuple[datetime, datetime]] = []
    for wall in _starts(times, zone, end):
        since = _utc(wall, zone)
        if since >= end or len(found) >= most:
            break
        until = max(_utc(wall + length, zone, fold) for fold in (0, 1))
        if until > start:
            found.append((since, until))
    return found


def _starts(times: Times, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    if not times.recurrence:
        return iter((times.starts_at,))
    parts = _parts(times.recurrence)
    horizon = (now + HORIZON).astimezone(zone).replace(tzinfo=None)
    until = min(horizon, _until(parts.pop("UNTIL", ""), zone) or horizon)
    count = int(parts.pop("COUNT", "0")) or None
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    return islice(_found(text, times.starts_at, until), count)


def _found(text: str, starts_at: datetime, until: datetime) -> Iterator[datetime]:
    try:
        last = f"UNTIL={_shifted(until, _SHIFT_YEARS):%Y%m%dT%H%M%S}"
        for each in rrulestr(f"{text};{last}", dtstart=_shifted(starts_at, _SHIFT_YEARS)):
            yield _shifted(each, -_SHIFT_YEARS)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise _wrong("it cannot be followed") from error


def _shifted(at: datetime, years: int) -> datetime:
    return at.replace(year=at.year + years)


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name in parts or name not in _PARTS or not re.fullmatch(_PARTS[name], value, re.ASCII):
            raise _wrong(f"{part[:100]!r} is not known here")
        if name in _LARGEST and not all(1 <= abs(int(each)) <= _LARGEST[name] for each in _NUMBER.findall(value)):
            raise _wrong(f"{part[:100]!r} is out of range")
        parts[name] = value
    if "BYSETPOS" in parts and not parts.keys() & (_LARGEST.keys() - {"BYSETPOS"}):
        raise _wrong("BYSETPOS needs another BY part")
    if "FREQ" not in parts:
        raise _wrong("FREQ is missing")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _wrong("COUNT and UNTIL exclude each other")
    return parts


def _until(text: str, zone: ZoneInfo) -> datetime | None:
    if not text:
        return None
    try:
        until = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d")  # noqa: DTZ007
    except ValueError as error:
        raise _wrong(f"UNTIL={text} is no time") from error
    if text.endswith("Z"):
        try:
            return until.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
        except (OverflowError, ValueError) as error:
            raise _wrong(f"UNTIL={text} is too far away") from error
    return until if "T" in text else until + timedelta(days=1, seconds=-1)


def _utc(wall: datetime, zone: ZoneInfo, fold: int = 0) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _wrong(why: str) -> DuoscopeError:
    return invalid(f"`recurrence`: {why}; a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=SU.")
