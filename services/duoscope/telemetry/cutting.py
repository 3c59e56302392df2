"""Limits how much of an item a list shows and how much a page holds.

A text is cut at a number of bytes; a JSON object with more is left out. A page ends where its items together would
exceed its size.

Nearly all pages are small, and every expression of a statement costs the store a fraction of a millisecond before it
reads anything. So a page is read as it is stored, and cut here, as long as it has room. Only else the store cuts.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Any, Final, LiteralString, TypeAlias, cast

from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.limits import ANSWER_PAGE_BYTES_MAX, ANSWER_TEXT_BYTES_MAX
from duoscope.stores.clickhouse import TelemetryReader

WHOLE: Final[dict[str, object]] = {"cut_bytes": 2**40}
"""The parameters of this module's SQL when nothing is to be cut."""
_TOO_LARGE: Final = "Code: 396"
"""ClickHouse's error code when the result exceeds `max_result_bytes`."""
_NO_MEMORY: Final = "Code: 241"
"""ClickHouse's error code when the query exceeds `max_memory_usage`, as sorting a page of very large rows does."""


def text(column: LiteralString) -> LiteralString:
    """SQL of a text, or its beginning; a character that was cut in two is replaced."""
    return (
        f"if(length({column}) <= {{cut_bytes:UInt64}}, {column}, "
        f"toValidUTF8(substring({column}, 1, {{cut_bytes:UInt64}})))"
    )


def json_object(column: LiteralString) -> LiteralString:
    """SQL of a JSON object, or an empty one if it is too large: the beginning of an object is not an object."""
    return f"if(length({column}) <= {{cut_bytes:UInt64}}, {column}, concat(char(123), char(125)))"


def names(*columns: tuple[LiteralString, LiteralString]) -> LiteralString:
    """SQL of the cut columns, each with the name that the API gives it."""
    tests: list[LiteralString] = [
        f"if(length({column}) > {{cut_bytes:UInt64}}, '{name}', '')" for name, column in columns
    ]
    return f"arrayFilter(name -> name != '', [{', '.join(tests)}])"


Row: TypeAlias = dict[str, Any]
Shorten: TypeAlias = Callable[[Row, int], None]
"""Cuts what a row was stored with to a number of bytes, as the store would, in place."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of an item, in SQL, in two forms of the same names.

    Attributes:
        stored: as they are stored.
        cut: cut in the store, which binds `cut_bytes`.
        shorten: makes of a row of `stored` one of `cut`.
    """

    stored: str
    cut: str
    shorten: Shorten


def is_longer(value: str, size: int) -> bool:
    """Whether a text has more bytes than that, in UTF-8."""
    return len(value) * 4 > size and (len(value) > size or len(value.encode()) > size)


def beginning_of(value: str, size: int) -> str:
    """The first bytes of a text; a character that was cut in two is replaced."""
    return value.encode()[:size].decode(errors="replace")


def shorten_objects(row: Row, size: int, columns: Mapping[str, str]) -> list[str]:
    """Leave out JSON objects of a row that have more bytes than that.

    Returns:
        The names of those, of `columns` by name.
    """
    found = [name for name, column in columns.items() if is_longer(row[column], size)]
    for name in found:
        row[columns[name]] = "{}"
    return found


async def page(
    reader: TelemetryReader, columns: Columns, of: str, parameters: dict[str, object], *, name: str
) -> list[Row]:
    """Read the rows of a query that fit on a page, newest first by `ts` and `tie_breaker`; at least one.

    Adds `nth` (from 1), `found` (how many rows there were) and `last_ts` (the smallest `ts` of these). The first
    `offset` rows are left out.

    Args:
        reader: the tenant's.
        columns: all that is read; `cut` with `row_bytes`.
        of: `FROM …`.
        parameters: of the query.
        name: shows in the query log.

    Raises:
        DuoscopeError: as `reader.query` does.
    """
    bound = {"cut_bytes": ANSWER_TEXT_BYTES_MAX, "page_bytes": ANSWER_PAGE_BYTES_MAX} | parameters
    found = await _if_small(reader, f"SELECT {columns.stored} {of}", bound, name=name)
    if found is not None:
        for row in found:
            columns.shorten(row, cast("int", bound["cut_bytes"]))
    else:
        rows = f"SELECT {columns.cut} {of}"
        found = await _if_small(reader, rows, bound, name=name)
        if found is None:
            # Rare: then the store counts how many rows fit. Counting always would double the cost of a small page.
            return await reader.query(_counted(rows), bound, name=name)
    found.sort(key=itemgetter("ts", "tie_breaker"), reverse=True)
    for nth, row in enumerate(found, 1):
        row |= {"nth": nth, "found": len(found), "last_ts": found[-1]["ts"]}
    return found[cast("int", bound["offset"]) :]


async def beginning(
    reader: TelemetryReader,
    columns: str,
    of: str,
    parameters: dict[str, object],
    limit: int,
    *,
    name: str,
    stored: str = "",
    shorten: Shorten | None = None,
) -> tuple[list[Row], bool]:
    """Read the first rows of a query that fit on a page, at least one. Also returns whether there are more.

    Args:
        reader: the tenant's.
        columns: all that is read, without `row_bytes` and what it is made of.
        of: `SIZE FROM … ORDER BY … LIMIT {rows:UInt64}`, in a stable order, where SIZE has a column `row_bytes`.
        parameters: without `rows`.
        limit: the rows of a page if they are small.
        name: shows in the query log.
        stored: the query of the same rows as they are stored, if that is cheaper.
        shorten: makes of a row of `stored` one of `columns`.

    Raises:
        DuoscopeError: as `reader.query` does.
    """
    rows, one_more = f"SELECT {columns}, {of}", parameters | {"rows": limit + 1}
    found = await _if_small(reader, stored or rows, one_more, name=name)
    if found is None:
        # The store computes sizes without carrying what they are of.
        sizes = await reader.query(f"SELECT {of}", one_more, name=name)
        fitting = _having_room([size["row_bytes"] for size in sizes[:limit]])
        return await reader.query(rows, parameters | {"rows": fitting}, name=name), len(sizes) > fitting
    shown = found[:limit]
    if shorten:
        for row in shown:
            shorten(row, cast("int", parameters["cut_bytes"]))
    return shown, len(found) > limit


async def _if_small(reader: TelemetryReader, sql: str, parameters: dict[str, object], *, name: str) -> list[Row] | None:
    """The rows of a query, or None if they have no room on one page."""
    try:
        return await reader.query(sql, parameters, name=name, settings={"max_result_bytes": ANSWER_PAGE_BYTES_MAX})
    except DuoscopeError as error:
        if not _is_too_large(error):
            raise
        return None


def _is_too_large(error: DuoscopeError) -> bool:
    """Whether a query failed because its rows together are too large."""
    return any(code in (error.detail or "") for code in (_TOO_LARGE, _NO_MEMORY))


def _having_room(sizes: list[int]) -> int:
    """How many of some items, from the first, fit on a page: at least one, if there are any."""
    fitting = bisect_right(list(accumulate(sizes)), ANSWER_PAGE_BYTES_MAX)
    return max(fitting, min(1, len(sizes)))


def _counted(rows: str) -> str:
    numbered = (
        "SELECT *, row_number() OVER (ORDER BY ts DESC, tie_breaker DESC) AS nth, count() OVER () AS found, "
        f"min(ts) OVER () AS last_ts FROM ({rows})"
    )
    summed = (
        f"SELECT *, sum(if(nth > {{offset:UInt64}}, row_bytes, 0)) OVER (ORDER BY nth) AS page_size FROM ({numbered})"
    )
    return (
        f"SELECT * FROM ({summed}) WHERE nth > {{offset:UInt64}} "
        "AND (page_size <= {page_bytes:UInt64} OR nth = {offset:UInt64} + 1) ORDER BY nth"
    )
