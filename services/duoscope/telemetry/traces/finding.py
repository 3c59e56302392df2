"""Search for traces by their spans."""

from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct

from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import Indexed, TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values, windows
from duoscope.telemetry.items import Hint, Time, TraceId
from duoscope.telemetry.language import Printer, Signal, compile_query
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.traces import structure
from duoscope.telemetry.traces.structure import Wanted
from duoscope.telemetry.traces.whole import ROOT, SERVICES, SUMMARY, TRACE_ID_BYTES

CANDIDATES_MIN: Final = 200
CANDIDATES_AT_ONCE_MAX: Final = 4000
CANDIDATES_MAX: Final = 20_000
"""Traces with a matching span whose structure and sums one page looks at, and how many at once."""
NOTHING_ELSE: Final = Wanted()


class TraceSummary(Struct, frozen=True):
    """A trace as shown in a list: all of it, also the part outside the searched range.

    The root is the span without a parent, or else the earliest span there is.
    """

    trace_id: TraceId
    root_service: str
    root_name: str
    start: Time
    duration_ns: int
    span_count: int
    error_count: int
    services: list[str]


class TracePage(Struct, frozen=True):
    """One page of traces, ordered by their newest matching span, newest first."""

    items: list[TraceSummary]
    next_cursor: str | None
    hint: Hint = None


async def search(
    reader: TelemetryReader,
    times: TimeRange,
    query: str = "",
    wanted: Wanted = NOTHING_ELSE,
    *,
    limit: int = SEARCH_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> TracePage:
    """Search traces with a matching span in the range, and what else is wanted. A cursor keeps its first page's range.

    Raises:
        DuoscopeError: INVALID for a query, the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    after, or_text, hint = None, 0, None
    search_id = ("traces", query, *wanted.texts) if wanted.is_anything else ("traces", query)
    if cursor:
        times, (*after, or_text) = cursors.decode_in_range(cursor, search_id, _CURSOR_PARTS)
    wanted.check(query)
    asked = _Asked(reader, times, query, wanted, limit)
    found = await asked.found(after, or_text=bool(or_text))
    if not found.looked_at and not cursor:
        if compile_query(query, Signal.TRACES, or_text=True) != compile_query(query, Signal.TRACES):
            or_text = 1
            found = await asked.found(None, or_text=True)
        hint = items.hint(query, Signal.TRACES, times, found=bool(found.looked_at))
    matches = found.matches
    shown, fitting = await _summaries(reader, [match["id"].hex() for match in matches[:limit]])
    last = matches[fitting - 1] if len(matches) > fitting else found.last
    next_cursor = None
    if last:
        position: list[str | int] = [times.start_ns, times.end_ns, last["newest_unix_nano"], last["id"].hex(), or_text]
        next_cursor = cursors.encode(search_id, position)
    if len(shown) < limit and wanted.is_anything and found.looked_at:
        hint = _hint(found, is_first=not cursor, is_anything=bool(shown)) or hint
    return TracePage(shown, next_cursor, hint)


@dataclass(frozen=True, slots=True)
class _Found:
    """Traces that match, newest first.

    Attributes:
        matches: rows of `_newest`; a page of them and one more, if there are so many.
        looked_at: traces with a matching span that were looked at.
        last: the last of these, if there may be more behind it than are among the matches.
    """

    matches: list[dict[str, Any]]
    looked_at: int
    last: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search, but for where its page begins."""

    reader: TelemetryReader
    times: TimeRange
    query: str
    wanted: Wanted
    limit: int

    async def found(self, after: list[Any] | None, *, or_text: bool) -> _Found:
        if not self.wanted.is_anything:
            matches = await self._newest(self.limit + 1, after, or_text=or_text)
            return _Found(matches, len(matches), None)
        # What else is wanted shows when a trace is looked at: newest first, in portions, until the page is full.
        matches: list[dict[str, Any]] = []
        looked_at, portion, is_rare = 0, max(CANDIDATES_MIN, 2 * self.limit), False
        while True:
            some = await self._newest(portion, after, or_text=or_text, is_rare=is_rare)
            ids = [one["id"].hex() for one in some]
            met = (
                await structure.meeting(self.reader, self.times, self.query, self.wanted, ids, or_text=or_text)
                if ids
                else set[str]()
            )
            matches += [one for one in some if one["id"].hex() in met]
            looked_at += len(some)
            if len(some) < portion:
                return _Found(matches, looked_at, None)
            if len(matches) > self.limit or looked_at >= CANDIDATES_MAX:
                return _Found(matches, looked_at, some[-1])
            after = [some[-1]["newest_unix_nano"], ids[-1]]
            portion = min(2 * portion, CANDIDATES_AT_ONCE_MAX)
            # At this rate the page would take more traces than are looked at in one go.
            is_rare = looked_at * (self.limit + 1) > CANDIDATES_AT_ONCE_MAX * len(matches)

    async def _newest(
        self, rows: int, after: list[Any] | None, *, or_text: bool, is_rare: bool = False
    ) -> list[dict[str, Any]]:
        """Traces by their newest matching span, after a position (that span's time, the trace's id).

        Where few of these have what else is wanted (`is_rare`), those that cannot have it are kept out, if that is
        cheap: it is looked for in the whole range, and so not in windows.
        """
        wanted = self.wanted if is_rare and structure.restricts(self.wanted) else NOTHING_ELSE

        async def read(window: TimeRange) -> tuple[list[dict[str, Any]], bool]:
            sql, parameters = _newest(
                window, self.query, wanted, self.reader.indexed, is_later_page=after is not None, or_text=or_text
            )
            if after:
                parameters |= {"last_ns": after[0], "last_id": after[1]}
            found = await self.reader.query(sql, parameters | {"rows": rows}, name="traces.search")
            return found, len(found) >= rows

        if wanted.is_anything:
            return (await read(self.times))[0]
        # A trace's newest span in a window that reaches to the end of the range is its newest one.
        latest_ns = after[0] + 1 if after else self.times.end_ns
        asked = repr((self.query, or_text)) if self.query else ""
        reached = self.reader.reached("traces.search", asked)
        return (await windows.backward(self.times, latest_ns, rows, read, reached=reached, at="newest_unix_nano"))[0]


def _newest(
    times: TimeRange, query: str, wanted: Wanted, indexed: Indexed, *, is_later_page: bool, or_text: bool
) -> tuple[str, dict[str, object]]:
    """The statement that lists traces by their newest matching span, and its parameters but for `rows` and the
    position after which a later page begins.
    """
    printer = Printer()
    condition = compile_query(query, Signal.TRACES, or_text=or_text, printer=printer, indexed=indexed)
    matching = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    restriction, parameters = structure.restricted(times, wanted, printer)
    where = f"{matching} AND {restriction}" if restriction else matching
    if is_later_page:
        # Traces on previous pages, and those that matched later than these pages ended, are not shown again.
        shown = f"SELECT trace_id FROM @traces WHERE {matching} AND NOT ({_NOT_AFTER})"
        where = f"{where} AND {_NOT_AFTER} AND trace_id NOT IN ({shown})"
    statement = (
        "SELECT trace_id AS id, toUnixTimestamp64Nano(timestamp) AS newest_unix_nano "
        f"FROM @traces WHERE {where} "
        "ORDER BY toStartOfFiveMinutes(timestamp) DESC, timestamp DESC, trace_id DESC "
        "LIMIT 1 BY trace_id LIMIT {rows:UInt64}"
    )
    return statement, times.parameters | printer.parameters | parameters


def _hint(found: _Found, *, is_first: bool, is_anything: bool) -> str | None:
    """Say how far a search got that looks at traces one by one."""
    if found.last:
        which = f"The {'newest' if is_first else 'next'} {found.looked_at:,} traces"
        return f"{which} with a matching span were looked at; `next_cursor` goes on from there."
    if is_anything or not is_first:
        return None
    return (
        f"{found.looked_at:,} traces have a span that matches `query`, but none has what the other parameters ask for."
    )


_CURSOR_PARTS = (cursors.Text(f"[0-9a-f]{{{2 * TRACE_ID_BYTES}}}"), cursors.Whole(0, 1))
# Spans of one nanosecond are told apart by their trace.
_NOT_AFTER = (
    "timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC') "
    "AND (timestamp < fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC') "
    "OR trace_id < toFixedString(unhex({last_id:String}), 16))"
)


async def _summaries(reader: TelemetryReader, trace_ids: list[str]) -> tuple[list[TraceSummary], int]:
    """Summaries of the first traces that fit on a page, and how many traces these are."""
    if not trace_ids:
        return [], 0
    # Searches every day that is kept: spans of one trace may be far apart, and a day without them costs little.
    rows, more = await cutting.beginning(
        reader,
        f"trace_id AS id, {SUMMARY}",
        f"length(toJSONString(({SERVICES}, {ROOT}))) + 300 AS row_bytes FROM @trace_summaries AS s WHERE trace_id IN "
        "(SELECT toFixedString(unhex(arrayJoin({trace_ids:Array(String)})), 16)) "
        "GROUP BY trace_id ORDER BY indexOf({trace_ids:Array(String)}, lower(hex(trace_id))) LIMIT {rows:UInt64}",
        {"trace_ids": trace_ids},
        len(trace_ids),
        name="traces.summaries",
    )
    shown = [_summary(row["id"].hex(), row) for row in rows]
    return shown, trace_ids.index(shown[-1].trace_id) + 1 if more else len(trace_ids)


def _summary(trace_id: str, row: dict[str, Any]) -> TraceSummary:
    root_service, root_name = row["root"]
    return TraceSummary(
        trace_id=trace_id,
        root_service=root_service,
        root_name=root_name,
        start=values.rfc3339(row["start_unix_nano"]),
        duration_ns=row["end_unix_nano"] - row["start_unix_nano"],
        span_count=row["span_count"],
        error_count=row["error_count"],
        services=row["services"],
    )
