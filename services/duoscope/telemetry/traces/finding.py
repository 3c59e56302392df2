"""Search for traces by their spans."""

from typing import Any

from msgspec import Struct

from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values
from duoscope.telemetry.items import Hint, Time, TraceId
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.traces.whole import ROOT, SERVICES, SUMMARY, TRACE_ID_BYTES


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
    *,
    limit: int = SEARCH_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> TracePage:
    """Search traces with a matching span in the range. A cursor keeps its first page's range.

    Raises:
        DuoscopeError: INVALID for the query, the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    after, or_text, hint = None, 0, None
    if cursor:
        times, (*after, or_text) = cursors.decode_in_range(cursor, ("traces", query), _CURSOR_PARTS)
    condition = compile_query(query, Signal.TRACES, or_text=bool(or_text))
    matches = await _newest(reader, times, condition, limit + 1, after)
    if not matches and not cursor:
        wider = compile_query(query, Signal.TRACES, or_text=True)
        if wider != condition:
            or_text = 1
            matches = await _newest(reader, times, wider, limit + 1, None)
        hint = items.hint(query, Signal.TRACES, times, found=bool(matches))
    shown, fitting = await _summaries(reader, [match["id"].hex() for match in matches[:limit]])
    next_cursor = None
    if len(matches) > fitting:
        last = matches[fitting - 1]
        position: list[str | int] = [times.start_ns, times.end_ns, last["newest_unix_nano"], last["id"].hex(), or_text]
        next_cursor = cursors.encode(("traces", query), position)
    return TracePage(shown, next_cursor, hint)


async def _newest(
    reader: TelemetryReader, times: TimeRange, condition: Condition | None, limit: int, after: list[Any] | None
) -> list[dict[str, Any]]:
    """Traces by their newest matching span, after a position (that span's time, the trace's id)."""
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    parameters = times.parameters | (condition.parameters if condition else {}) | {"rows": limit}
    if after:
        parameters |= {"last_ns": after[0], "last_id": after[1]}
        # Traces on previous pages, and those that matched later than these pages ended, are not shown again.
        shown = f"SELECT trace_id FROM @traces WHERE {where} AND NOT ({_NOT_AFTER})"
        where = f"{where} AND {_NOT_AFTER} AND trace_id NOT IN ({shown})"
    return await reader.query(
        "SELECT trace_id AS id, toUnixTimestamp64Nano(timestamp) AS newest_unix_nano "
        f"FROM @traces WHERE {where} "
        "ORDER BY toStartOfFiveMinutes(timestamp) DESC, timestamp DESC, trace_id DESC "
        "LIMIT 1 BY trace_id LIMIT {rows:UInt64}",
        parameters,
        name="traces.search",
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
