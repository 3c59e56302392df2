"""Which rows of `@series` are of series that have points in a time range, to the half hours that it touches."""

from typing import Final

_HALF_HOUR_NS: Final = 1_800_000_000_000
_OF_A_DAY: Final = 48
_WHOLE_DAY: Final = (1 << _OF_A_DAY) - 1
_DAY_MAX: Final = 65_535

SEEN: Final = (
    "date >= toDate({first_day:UInt16}) AND date <= toDate({last_day:UInt16}) "
    "AND bitAnd(seen, bitAnd("
    f"if(date = toDate({{first_day:UInt16}}), {{of_first_day:UInt64}}, {_WHOLE_DAY}), "
    f"if(date = toDate({{last_day:UInt16}}), {{of_last_day:UInt64}}, {_WHOLE_DAY}))) != 0"
)
"""Condition on a row."""


def half_hours(start_ns: int, end_ns: int) -> dict[str, object]:
    """The parameters of SEEN for points from `start_ns` on and before `end_ns`."""
    first_day, first = divmod(max(0, start_ns) // _HALF_HOUR_NS, _OF_A_DAY)
    last_day, last = divmod((max(1, end_ns) - 1) // _HALF_HOUR_NS, _OF_A_DAY)
    return {
        "first_day": min(first_day, _DAY_MAX),
        "last_day": min(last_day, _DAY_MAX),
        "of_first_day": _WHOLE_DAY >> first << first,
        "of_last_day": (1 << last + 1) - 1,
    }
