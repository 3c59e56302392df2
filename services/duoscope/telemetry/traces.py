"""Traces: one by its id, and search by the spans that match."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid, not_found
from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values
from duoscope.telemetry.items import Attributes, InstrumentationScope, Origins, Resource, SpanId, Time, TraceId
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.times import SECOND_NS, TimeRange

TRACE_SPANS_MAX: Final = 10_000
"""Spans of one trace that are read in full."""
TRACE_REACH_NS: Final = 86_400 * SECOND_NS
"""How far outside the searched range the other spans of a trace are looked for."""
TRACE_SERVICES_MAX: Final = 1000
"""Services of one trace that are named."""
TRACE_ID_BYTES: Final = 16


class SpanEvent(Struct, frozen=True):
    """What happened at a moment of a span."""

    timestamp: Time
    name: str
    attributes: Attributes
    dropped_attributes_count: int


class SpanLink(Struct, frozen=True):
    """Another span this one is related to."""

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
    parent_span_id: Annotated[SpanId | None, Meta(description="Null at a root.")]
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


class Trace(Struct, frozen=True):
    """All spans of a trace in the order of their start."""

    trace_id: TraceId
    start: Time
    end: Time
    duration_ns: int
    span_count: Annotated[int, Meta(description="Of the whole trace.")]
    error_count: int
    services: Annotated[list[str], Meta(description=f"At most {TRACE_SERVICES_MAX} of them.")]
    truncated: Annotated[bool, Meta(description=f"Whether it has more spans than the first {TRACE_SPANS_MAX}.")]
    spans: list[Span]


class TraceSummary(Struct, frozen=True):
    """What a list shows of a trace. The root is the span without a parent, or else the earliest span there is."""

    trace_id: TraceId
    root_service: str
    root_name: str
    start: Time
    duration_ns: int
    span_count: int
    error_count: int
    services: list[str]


class TracePage(Struct, frozen=True):
    """Traces by the newest of their spans that match, newest first."""

    items: list[TraceSummary]
    next_cursor: str | None


# A trace has a row a day, and until they are merged one an INSERT.
_SUMMARY = f"""
    toUnixTimestamp64Nano(min(first_timestamp)) AS start_unix_nano,
    toUnixTimestamp64Nano(max(end_timestamp)) AS end_unix_nano,
    sum(s.span_count) AS span_count,
    sum(s.error_count) AS error_count,
    arraySort(groupUniqArrayArray({TRACE_SERVICES_MAX})(service_names)) AS services,
    (argMinMerge(s.root_service), argMinMerge(s.root_name)) AS root"""
_DAYS = (
    "date >= toDate(fromUnixTimestamp64Nano({start_ns:Int64}, 'UTC')) "
    "AND date <= toDate(fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC'))"
)
_SPAN_COLUMNS = f"""
    toUnixTimestamp64Nano(timestamp) AS start_unix_nano, trace_id, span_id, parent_span_id, trace_state, flags,
    span_name, span_kind, service_name, duration_nano, status_code, status_message,
    span_attributes_json, dropped_attributes_count, dropped_events_count, dropped_links_count,
    arrayMap(t -> toUnixTimestamp64Nano(t), `events.timestamp`) AS event_times, `events.name` AS event_names,
    `events.attributes` AS event_attributes,
    `events.dropped_attributes_count` AS event_drops,
    arrayMap(id -> lower(hex(id)), `links.trace_id`) AS link_trace_ids,
    arrayMap(id -> lower(hex(id)), `links.span_id`) AS link_span_ids,
    `links.trace_state` AS link_states, `links.attributes` AS link_attributes,
    `links.dropped_attributes_count` AS link_drops, `links.flags` AS link_flags,
    {items.SHOWN}"""


async def get(reader: TelemetryReader, trace_id: str) -> Trace:
    """A trace with everything its spans carry.

    Raises:
        DuoscopeError: INVALID for what cannot be a trace id; NOT_FOUND; UNAVAILABLE.
    """
    identifier = trace_id.lower()
    if len(identifier) != 2 * TRACE_ID_BYTES or set(identifier) - set("0123456789abcdef"):
        raise invalid("A trace id has 32 hexadecimal digits.", code="invalid-trace-id")
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
    # Not all of so many are named: the spans of every service are looked through.
    among = "" if len(summary["services"]) == TRACE_SERVICES_MAX else " AND service_name IN {services:Array(String)}"
    rows = await reader.query(
        f"SELECT {_SPAN_COLUMNS} FROM @traces WHERE {TimeRange.CONDITION}{among} "
        "AND trace_id = toFixedString(unhex({trace_id:String}), 16) "
        "ORDER BY timestamp, span_id LIMIT {spans_max:UInt64}",
        times.parameters
        | cutting.WHOLE
        | {"trace_id": identifier, "services": summary["services"], "spans_max": TRACE_SPANS_MAX},
        name="traces.get",
    )
    if not rows:
        # Summaries expire by days, a day or two after the last of the spans.
        raise not_found("trace")
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
    )


async def search(
    reader: TelemetryReader,
    times: TimeRange,
    query: str = "",
    *,
    limit: int = SEARCH_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> TracePage:
    """Traces that have a span in the range that meets the query. A cursor stays with its first page's range.

    Raises:
        DuoscopeError: INVALID for the query, the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    condition = compile_query(query, Signal.TRACES)
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    parameters: dict[str, object] = dict(condition.parameters) if condition else {}
    page = where
    if cursor:
        times, (last_ns, last_id) = cursors.decode_in_range(cursor, ("traces", query), (_CURSOR_ID,))
        parameters |= {"last_ns": last_ns, "last_id": last_id}
        # What the pages before have shown, and everything that matched later than they ended, is not shown again.
        shown = f"SELECT trace_id FROM @traces WHERE {where} AND NOT ({_NOT_AFTER})"
        page = f"{where} AND {_NOT_AFTER} AND trace_id NOT IN ({shown})"
    matches = await reader.query(
        "SELECT trace_id AS id, toUnixTimestamp64Nano(timestamp) AS newest_unix_nano "
        f"FROM @traces WHERE {page} "
        "ORDER BY toStartOfFiveMinutes(timestamp) DESC, timestamp DESC, trace_id DESC "
        "LIMIT 1 BY trace_id LIMIT {rows:UInt64}",
        parameters | times.parameters | {"rows": limit + 1},
        name="traces.search",
    )
    next_cursor = None
    if len(matches) > limit:
        matches = matches[:limit]
        last = matches[-1]
        position: list[str | int] = [times.start_ns, times.end_ns, last["newest_unix_nano"], last["id"].hex()]
        next_cursor = cursors.encode(("traces", query), position)
    return TracePage(await _summaries(reader, [match["id"].hex() for match in matches], times), next_cursor)


_CURSOR_ID = cursors.Text(f"[0-9a-f]{{{2 * TRACE_ID_BYTES}}}")
# Spans of one nanosecond are told apart by their trace.
_NOT_AFTER = (
    "timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC') "
    "AND (timestamp < fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC') "
    "OR trace_id < toFixedString(unhex({last_id:String}), 16))"
)


async def _summaries(reader: TelemetryReader, trace_ids: list[str], times: TimeRange) -> list[TraceSummary]:
    if not trace_ids:
        return []
    around = TimeRange(max(0, times.start_ns - TRACE_REACH_NS), min(2**63 - 1, times.end_ns + TRACE_REACH_NS))
    rows = await reader.query(
        f"SELECT trace_id AS id, {_SUMMARY} FROM @trace_summaries AS s WHERE {_DAYS} AND trace_id IN "
        "(SELECT toFixedString(unhex(arrayJoin({trace_ids:Array(String)})), 16)) GROUP BY trace_id",
        around.parameters | {"trace_ids": trace_ids},
        name="traces.summaries",
    )
    by_id = {row["id"].hex(): row for row in rows}
    return [_summary(trace_id, by_id[trace_id]) for trace_id in trace_ids if trace_id in by_id]


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
            trace_state=row["trace_state"],
            flags=row["flags"],
            name=row["span_name"],
            kind=row["span_kind"],
            service_name=row["service_name"],
            start=values.rfc3339(row["start_unix_nano"]),
            end=values.rfc3339(row["start_unix_nano"] + row["duration_nano"]),
            duration_ns=row["duration_nano"],
            status=row["status_code"],
            status_message=row["status_message"],
            attributes=values.attributes(row["span_attributes_json"]),
            dropped_attributes_count=row["dropped_attributes_count"],
            events=_events(row),
            dropped_events_count=row["dropped_events_count"],
            links=_links(row),
            dropped_links_count=row["dropped_links_count"],
            resource=origins.resource(row),
            scope=origins.scope(row),
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
