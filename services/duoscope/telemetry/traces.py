"""Traces: one by its id, and search by matching spans."""

from typing import Annotated, Any, Final, LiteralString

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid, not_found
from duoscope.kernel.limits import (
    ANSWER_ITEM_BYTES_MAX,
    ANSWER_PAGE_BYTES_MAX,
    ANSWER_TEXT_BYTES_MAX,
    SEARCH_LIMIT_DEFAULT,
    SEARCH_LIMIT_MAX,
)
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values
from duoscope.telemetry.items import Attributes, Hint, InstrumentationScope, Origins, Resource, SpanId, Time, TraceId
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import TimeRange

TRACE_SPANS_MAX: Final = 10_000
"""Spans of one page of a trace."""
TRACE_SERVICES_MAX: Final = 1000
"""The maximum number of services of one trace that are named."""
TRACE_ID_BYTES: Final = 16


class SpanEvent(Struct, frozen=True):
    """An event at a moment of a span."""

    timestamp: Time
    name: str
    attributes: Attributes
    dropped_attributes_count: int


class SpanLink(Struct, frozen=True):
    """A link from a span to another span."""

    trace_id: TraceId
    span_id: SpanId
    trace_state: str
    attributes: Attributes
    dropped_attributes_count: int
    flags: int


class Span(Struct, frozen=True):
    """A span as OpenTelemetry's data model has it."""

    trace_id: TraceId
    span_id: SpanId
    parent_span_id: Annotated[SpanId | None, Meta(description="Null for a root.")]
    trace_state: str
    flags: int
    name: str
    kind: Annotated[str, Meta(description="unspecified, internal, server, client, producer or consumer.")]
    service_name: str
    start: Time
    end: Time
    duration_ns: Annotated[int, Meta(description="End minus start.", examples=[12_345_678])]
    status: Annotated[str, Meta(description="unset, ok or error.", examples=["error"])]
    status_message: str
    attributes: Attributes
    dropped_attributes_count: int
    events: list[SpanEvent]
    dropped_events_count: int
    links: list[SpanLink]
    dropped_links_count: int
    resource: Resource
    scope: InstrumentationScope
    truncated: Annotated[
        list[str],
        Meta(
            description="Fields of which only the beginning is shown, because the span is too large for an answer "
            f"(more than {ANSWER_ITEM_BYTES_MAX // 2**20} MiB): name, status_message, trace_state, events, links.",
            examples=[[]],
        ),
    ]


class Trace(Struct, frozen=True):
    """All spans of a trace in the order of their start."""

    trace_id: TraceId
    start: Time
    end: Time
    duration_ns: int
    span_count: Annotated[int, Meta(description="Spans of the whole trace.")]
    error_count: int
    services: Annotated[list[str], Meta(description=f"At most {TRACE_SERVICES_MAX} of them.")]
    truncated: Annotated[bool, Meta(description="Whether it has spans on further pages: follow `next_cursor`.")]
    spans: Annotated[
        list[Span], Meta(description=f"At most {TRACE_SPANS_MAX}; fewer where they are large: see `next_cursor`.")
    ]
    next_cursor: str | None


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


# A trace has one row per day, and until these are merged one per INSERT.
_SERVICES = f"arraySort(groupUniqArrayArray({TRACE_SERVICES_MAX})(service_names))"
_ROOT = "(argMinMerge(s.root_service), argMinMerge(s.root_name))"
_SUMMARY = f"""
    toUnixTimestamp64Nano(min(first_timestamp)) AS start_unix_nano,
    toUnixTimestamp64Nano(max(end_timestamp)) AS end_unix_nano,
    sum(s.span_count) AS span_count,
    sum(s.error_count) AS error_count,
    {_SERVICES} AS services, {_ROOT} AS root"""
# Equal for spans of one start and id that a reader could not tell apart.
_TIE_BREAKER = f"""cityHash64(
    parent_span_id, trace_state, flags, span_name, span_kind, service_name, duration_nano, status_code, status_message,
    span_attributes_json, dropped_attributes_count, dropped_events_count, dropped_links_count, `events.timestamp`,
    `events.name`, `events.attributes`, `events.dropped_attributes_count`, `links.trace_id`, `links.span_id`,
    `links.trace_state`, `links.attributes`, `links.dropped_attributes_count`, `links.flags`, {items.COLUMNS})"""
# As JSON: names and messages may grow in it, attributes are JSON already. Constants are for the members' own names.
_EVENT_SIZES = """arrayMap((name, attributes) -> length(toJSONString(name)) + length(attributes) + 120,
    `events.name`, `events.attributes`)"""
_LINK_SIZES = """arrayMap((state, attributes) -> length(toJSONString(state)) + length(attributes) + 220,
    `links.trace_state`, `links.attributes`)"""
_SPAN_TEXTS: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("name", "span_name"),
    ("status_message", "status_message"),
    ("trace_state", "trace_state"),
)
_WHOLE_BYTES = f"""
    length(toJSONString(concat(span_name, status_message, trace_state, service_name, scope_name, scope_version)))
    + length(span_attributes_json) + length(resource) + length(scope_attributes) + length(resource_schema_url)
    + length(scope_schema_url) + arraySum({_EVENT_SIZES}) + arraySum({_LINK_SIZES}) + 1000"""


def _part(column: LiteralString, kept: LiteralString) -> LiteralString:
    return f"arraySlice({column}, 1, {kept})"


def _beginning(column: LiteralString) -> LiteralString:
    return (
        f"if(is_cut AND length({column}) > {{cut_bytes:UInt64}}, "
        f"toValidUTF8(substring({column}, 1, {{cut_bytes:UInt64}})), {column})"
    )


_SPAN_SIZE = f"""
    {_TIE_BREAKER} AS tie_breaker, {_WHOLE_BYTES} AS whole_bytes,
    least(whole_bytes, {{span_bytes:UInt64}}) AS row_bytes"""
_SPAN_COLUMNS = f"""
    toUnixTimestamp64Nano(timestamp) AS start_unix_nano, whole_bytes > {{span_bytes:UInt64}} AS is_cut,
    if(is_cut, arrayCount(size -> size <= {{part_bytes:UInt64}}, arrayCumSum({_EVENT_SIZES})), length(`events.name`))
    AS events_kept,
    if(is_cut, arrayCount(size -> size <= {{part_bytes:UInt64}}, arrayCumSum({_LINK_SIZES})), length(`links.flags`))
    AS links_kept,
    arrayFilter(name -> name != '', [{
    ", ".join(f"if(is_cut AND length({column}) > {{cut_bytes:UInt64}}, '{name}', '')" for name, column in _SPAN_TEXTS)
}, if(events_kept < length(`events.name`), 'events', ''), if(links_kept < length(`links.flags`), 'links', '')])
    AS truncated,
    trace_id, span_id, parent_span_id, {_beginning("trace_state")} AS shown_trace_state, flags,
    {_beginning("span_name")} AS shown_name, span_kind, service_name,
    duration_nano, status_code, {_beginning("status_message")} AS shown_message,
    span_attributes_json, span_attributes_doubles, dropped_attributes_count, dropped_events_count, dropped_links_count,
    arrayMap(t -> toUnixTimestamp64Nano(t), {_part("`events.timestamp`", "events_kept")}) AS event_times,
    {_part("`events.name`", "events_kept")} AS event_names,
    {_part("`events.attributes`", "events_kept")} AS event_attributes,
    {_part("`events.dropped_attributes_count`", "events_kept")} AS event_drops,
    arrayMap(id -> lower(hex(id)), {_part("`links.trace_id`", "links_kept")}) AS link_trace_ids,
    arrayMap(id -> lower(hex(id)), {_part("`links.span_id`", "links_kept")}) AS link_span_ids,
    {_part("`links.trace_state`", "links_kept")} AS link_states,
    {_part("`links.attributes`", "links_kept")} AS link_attributes,
    {_part("`links.dropped_attributes_count`", "links_kept")} AS link_drops,
    {_part("`links.flags`", "links_kept")} AS link_flags,
    {items.SHOWN}"""
_CUTS: Final[dict[str, object]] = {
    "span_bytes": ANSWER_ITEM_BYTES_MAX,
    "part_bytes": ANSWER_PAGE_BYTES_MAX // 4,
    "cut_bytes": ANSWER_TEXT_BYTES_MAX,
}
_SPAN_CURSOR = (cursors.NANOSECONDS, cursors.Text("[0-9a-f]{16}"), cursors.UINT64, cursors.Whole(0, TRACE_SPANS_MAX))
_SPANS_FROM = """timestamp >= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND (timestamp > fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    OR (span_id, tie_breaker) >= (toFixedString(unhex({last_id:String}), 8), {last_tie:UInt64}))"""


async def get(reader: TelemetryReader, trace_id: str, *, cursor: str | None = None) -> Trace:
    """Read a trace with everything its spans carry; with a cursor, the spans after those of the previous page.

    Raises:
        DuoscopeError: INVALID for an invalid trace id or cursor; NOT_FOUND; UNAVAILABLE.
    """
    identifier = trace_id.lower()
    if len(identifier) != 2 * TRACE_ID_BYTES or set(identifier) - set("0123456789abcdef"):
        raise invalid("A trace id has 32 hexadecimal digits.", code="invalid-trace-id")
    position = cursors.decode(cursor, ("trace", identifier), _SPAN_CURSOR) if cursor else None
    found = await reader.query(
        f"SELECT {_SUMMARY}, toUnixTimestamp64Nano(max(last_timestamp)) + 1 AS last_unix_nano "
        "FROM @trace_summaries AS s WHERE trace_id = toFixedString(unhex({trace_id:String}), 16) HAVING span_count > 0",
        {"trace_id": identifier},
        name="traces.find",
    )
    if not found:
        raise not_found("trace")
    summary = found[0]
    times = TimeRange(summary["start_unix_nano"], summary["last_unix_nano"])
    # If there are very many, not all are named: the spans of every service would have to be read.
    among = "" if len(summary["services"]) == TRACE_SERVICES_MAX else " AND service_name IN {services:Array(String)}"
    where = f"{TimeRange.CONDITION}{among} AND trace_id = toFixedString(unhex({{trace_id:String}}), 16)"
    parameters = times.parameters | {"trace_id": identifier, "services": summary["services"]}
    seen = 0
    if position:
        last_ns, last_id, last_tie, seen = position
        where += f" AND {_SPANS_FROM}"
        parameters |= {"last_ns": last_ns, "last_id": last_id, "last_tie": last_tie}
    rows, more = await cutting.beginning(
        reader,
        _SPAN_COLUMNS,
        # The size decides nothing: as a part of the order it is computed before rows are sorted, which then are small.
        f"{_SPAN_SIZE} FROM @traces WHERE {where} ORDER BY timestamp, span_id, tie_breaker, row_bytes "
        "LIMIT {rows:UInt64} OFFSET {seen:UInt64}",
        parameters | _CUTS | {"seen": seen},
        TRACE_SPANS_MAX,
        name="traces.get",
    )
    if not rows and not position:
        # Summaries expire by days, a day or two after the last of the spans.
        raise not_found("trace")
    next_cursor = None
    if more:
        last = _span_position(rows[-1])
        alike = sum(_span_position(row) == last for row in rows)
        alike += seen if position and position[:3] == last else 0
        if alike > TRACE_SPANS_MAX:  # more than a page of one span's repetitions: nobody reads them on
            last[2], alike = min(2**64 - 1, last[2] + 1), 0
        next_cursor = cursors.encode(("trace", identifier), [*last, alike])
    return Trace(
        trace_id=identifier,
        start=values.rfc3339(summary["start_unix_nano"]),
        end=values.rfc3339(summary["end_unix_nano"]),
        duration_ns=summary["end_unix_nano"] - summary["start_unix_nano"],
        span_count=summary["span_count"],
        error_count=summary["error_count"],
        services=summary["services"],
        truncated=summary["span_count"] > len(rows),
        spans=await items.decoded(rows, _spans),
        next_cursor=next_cursor,
    )


def _span_position(row: dict[str, Any]) -> list[Any]:
    return [row["start_unix_nano"], row["span_id"].hex(), row["tie_breaker"]]


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
        f"trace_id AS id, {_SUMMARY}",
        f"length(toJSONString(({_SERVICES}, {_ROOT}))) + 300 AS row_bytes FROM @trace_summaries AS s WHERE trace_id IN "
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


def _spans(rows: list[dict[str, Any]]) -> list[Span]:
    origins = Origins()
    return [
        Span(
            trace_id=row["trace_id"].hex(),
            span_id=row["span_id"].hex(),
            parent_span_id=values.hex_id(row["parent_span_id"]) or None,
            trace_state=row["shown_trace_state"],
            flags=row["flags"],
            name=row["shown_name"],
            kind=row["span_kind"],
            service_name=row["service_name"],
            start=values.rfc3339(row["start_unix_nano"]),
            end=values.rfc3339(row["start_unix_nano"] + row["duration_nano"]),
            duration_ns=row["duration_nano"],
            status=row["status_code"],
            status_message=row["shown_message"],
            attributes=values.attributes(row["span_attributes_json"], row["span_attributes_doubles"]),
            dropped_attributes_count=row["dropped_attributes_count"],
            events=_events(row),
            dropped_events_count=row["dropped_events_count"],
            links=_links(row),
            dropped_links_count=row["dropped_links_count"],
            resource=origins.resource(row),
            scope=origins.scope(row),
            truncated=row["truncated"],
        )
        for row in rows
    ]


def _events(row: dict[str, Any]) -> list[SpanEvent]:
    columns = (row["event_times"], row["event_names"], row["event_attributes"], row["event_drops"])
    return [
        SpanEvent(values.rfc3339(unix_nano), name, values.attributes(attributes), dropped)
        for unix_nano, name, attributes, dropped in zip(*columns, strict=True)
    ]


def _links(row: dict[str, Any]) -> list[SpanLink]:
    names = ("link_trace_ids", "link_span_ids", "link_states", "link_attributes", "link_drops", "link_flags")
    return [
        SpanLink(trace_id, span_id, state, values.attributes(attributes), dropped, flags)
        for trace_id, span_id, state, attributes, dropped, flags in zip(*(row[name] for name in names), strict=True)
    ]
