"""Reads in windows of time: a few minutes first, then more, until there are as many rows as are wanted.

ClickHouse, reading in the table's order, does not stop early where a filter matches often: "the latest 100" would read
half a day. A window that has enough rows has those that the whole range would begin with, so the answer is the same;
and each window is read by one statement, so rows that arrive meanwhile are in it, or they are not, as without windows.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from duoscope.stores.clickhouse import Reached
from duoscope.stores.clickhouse.questions import count_window
from duoscope.telemetry.times import SECOND_NS, TimeRange

FIRST_NS: Final = 300 * SECOND_NS
"""The first window of a search: what the table is ordered by first."""
GROWTH_MAX: Final = 16
"""How many times as long as the previous one a window is at most: where little is found, a long range is read soon."""
ROOM: Final = 1.25
"""How many times as long as what the rows spread over last time the first window of the same question is."""

Rows: TypeAlias = list[dict[str, Any]]
Read: TypeAlias = Callable[[TimeRange], Awaitable[tuple[Rows, bool]]]
"""Reads a window; also returns whether it has all that is wanted."""


async def backward(
    times: TimeRange,
    latest_ns: int,
    wanted: int,
    read: Read,
    *,
    reached: Reached | None = None,
    at: str = "ts",
) -> tuple[Rows, bool]:
    """Read windows of a range that reach back from a time, until one has what is wanted, or is the whole range.

    Args:
        times: the range.
        latest_ns: no row that is wanted is later.
        wanted: the number of rows.
        read: of a window.
        reached: what is remembered of the question, and is to be remembered: the first window has what it needs.
        at: the column with a row's time.
    """
    from_ns = min(latest_ns, times.end_ns)
    whole = from_ns - times.start_ns
    length = int(min(max(FIRST_NS, reached.ns_per_row * ROOM * (wanted + 1)), whole)) if reached else FIRST_NS
    while True:
        start_ns = max(times.start_ns, from_ns - length)
        count_window()
        rows, is_enough = await read(TimeRange(start_ns, times.end_ns))
        if is_enough or start_ns == times.start_ns:
            if reached:
                reached.note((from_ns - rows[-1][at]) / len(rows) if is_enough and rows else whole)
            return rows, is_enough
        length = grown(length, wanted, len(rows))


async def forward(times: TimeRange, wanted: int, read: Read) -> tuple[Rows, bool]:
    """Read windows from the start of a range on, until one has what is wanted, or is the whole range."""
    length = FIRST_NS
    while True:
        end_ns = min(times.end_ns, times.start_ns + length)
        count_window()
        rows, is_enough = await read(TimeRange(times.start_ns, end_ns))
        if is_enough or end_ns == times.end_ns:
            return rows, is_enough
        length = grown(length, wanted, len(rows))


def grown(length: int, wanted: int, found: int) -> int:
    """The length of the next window, after one that has too few rows: twice what they promise."""
    return int(length * min(GROWTH_MAX, max(2, 2 * (wanted + 1) / max(1, found))))
