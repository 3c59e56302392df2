"""A span as the API shows it: its columns in SQL, cut where it is too large, and the structure made of them."""

from typing import Annotated, Any, Final, LiteralString

from msgspec import Meta, Struct

from duoscope.kernel.limits import ANSWER_ITEM_BYTES_MAX, ANSWER_PAGE_BYTES_MAX, ANSWER_TEXT_BYTES_MAX
from duoscope.telemetry import cutting, items, values
from duoscope.telemetry.items import Attributes, InstrumentationScope, Origins, Resource, SpanId, Time, TraceId


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


SIZE = f"""
    {_TIE_BREAKER} AS tie_breaker, {_WHOLE_BYTES} AS whole_bytes,
    least(whole_bytes, {{span_bytes:UInt64}}) AS row_bytes"""
COLUMNS = f"""
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
STORED = f"""
    toUnixTimestamp64Nano(timestamp) AS start_unix_nano, trace_id, span_id, parent_span_id,
    trace_state AS shown_trace_state, flags, span_name AS shown_name, span_kind, service_name, duration_nano,
    status_code, status_message AS shown_message, span_attributes_json, span_attributes_doubles,
    dropped_attributes_count, dropped_events_count, dropped_links_count,
    arrayMap(t -> toUnixTimestamp64Nano(t), `events.timestamp`) AS event_times, `events.name` AS event_names,
    `events.attributes` AS event_attributes, `events.dropped_attributes_count` AS event_drops,
    arrayMap(id -> lower(hex(id)), `links.trace_id`) AS link_trace_ids,
    arrayMap(id -> lower(hex(id)), `links.span_id`) AS link_span_ids, `links.trace_state` AS link_states,
    `links.attributes` AS link_attributes, `links.dropped_attributes_count` AS link_drops, `links.flags` AS link_flags,
    {items.STORED}, {_TIE_BREAKER} AS tie_breaker"""
"""The same as COLUMNS, as they are stored: where a page has room for its spans, none of them is too large."""
CUTS: Final[dict[str, object]] = {
    "span_bytes": ANSWER_ITEM_BYTES_MAX,
    "part_bytes": ANSWER_PAGE_BYTES_MAX // 4,
    "cut_bytes": ANSWER_TEXT_BYTES_MAX,
}


def shorten(row: cutting.Row, size: int) -> None:
    """Make of a row of STORED one of COLUMNS."""
    cutting.shorten_objects(row, size, {"resource": "shown_resource", "scope": "shown_scope_attributes"})
    row["truncated"] = []


def decoded(rows: list[dict[str, Any]]) -> list[Span]:
    """Make the spans of rows of COLUMNS."""
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
