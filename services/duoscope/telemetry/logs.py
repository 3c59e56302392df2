"""Log records: search, newest first."""

import re
from typing import Annotated, Any, Final, LiteralString

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid, not_found
from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values, windows
from duoscope.telemetry.items import Attributes, Hint, InstrumentationScope, Origins, Resource, SpanId, Time, TraceId
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import TimeRange

RecordId = Annotated[
    str,
    Meta(
        description="32 hexadecimal digits, computed from the whole content of the record.", examples=["18a1fc7f" * 4]
    ),
]
_ID: Final = re.compile("[0-9a-f]{32}")


class LogRecord(Struct, frozen=True):
    """A log record as OpenTelemetry's data model has it."""

    id: RecordId
    timestamp: Time
    observed_timestamp: Time | None
    severity_number: Annotated[int, Meta(description="0 to 24; 0 is unspecified.", examples=[17])]
    severity_text: str
    service_name: str
    body: Annotated[Any, Meta(description="A text, or any other JSON value.", examples=["connection refused"])]
    event_name: str
    trace_id: TraceId | None
    span_id: SpanId | None
    trace_flags: int
    attributes: Attributes
    dropped_attributes_count: int
    resource: Resource
    scope: InstrumentationScope
    truncated: Annotated[
        list[str],
        Meta(
            description="Fields that are shown incompletely: body, attributes, resource, scope. "
            "`GET /api/v1/logs/{id}` has all.",
            examples=[[]],
        ),
    ]


class LogPage(Struct, frozen=True):
    """One page of log records, newest first."""

    items: list[LogRecord]
    next_cursor: str | None
    hint: Hint = None


ALIKE_MAX: Final = 10_000
"""Of records that are equal in everything, time included, pages show about this many: each page reads all previous ones
again."""
# Equal for records that a reader could not tell apart, so that a cursor may count them instead of naming one:
# everything that a record consists of except its timestamp.
TIE_BREAKER = (
    "cityHash64(observed_timestamp, severity_number, severity_text, service_name, body, body_kind, event_name, "
    "trace_id, span_id, trace_flags, log_attributes_json, dropped_attributes_count, "
    f"{items.COLUMNS})"
)
"""The SQL of the second half of a record's id: records of one time are in its order."""
_CUT: Final[tuple[tuple[LiteralString, LiteralString], ...]] = (
    ("body", "body"),
    ("attributes", "log_attributes_json"),
    ("resource", "resource"),
    ("scope", "scope_attributes"),
)
_OBJECTS: Final = {
    "attributes": "shown_attributes",
    "resource": "shown_resource",
    "scope": "shown_scope_attributes",
}
_PLAIN: Final = (
    "toUnixTimestamp64Nano(timestamp) AS ts, toUnixTimestamp64Nano(observed_timestamp) AS observed_ts, "
    "severity_number, severity_text, service_name, event_name, trace_id, span_id, trace_flags, "
    "log_attributes_doubles, dropped_attributes_count, "
)


def _shorten(row: cutting.Row, size: int) -> None:
    cut = cutting.shorten_objects(row, size, _OBJECTS)
    if cutting.is_longer(row["shown_body"], size):
        row["shown_body"] = cutting.beginning_of(row["shown_body"], size)
        if row["shown_kind"] in _STRUCTURES:
            row["shown_kind"] = "string_value"
        cut.insert(0, "body")
    row["truncated"] = cut


# The beginning of a structure is not a structure.
_STRUCTURES: Final = ("array_value", "kvlist_value")
COLUMNS: Final = cutting.Columns(
    stored=f"{_PLAIN} body AS shown_body, body_kind AS shown_kind, log_attributes_json AS shown_attributes, "
    f"{items.STORED}, {TIE_BREAKER} AS tie_breaker",
    cut=f"{_PLAIN} {cutting.text('body')} AS shown_body, "
    f"if(length(body) > {{cut_bytes:UInt64}} AND body_kind IN {_STRUCTURES}, 'string_value', body_kind) AS shown_kind, "
    f"{cutting.json_object('log_attributes_json')} AS shown_attributes, {items.SHOWN}, "
    f"{cutting.names(*_CUT)} AS truncated, "
    " length(shown_body) + length(shown_attributes) + length(shown_resource) "
    f"+ length(shown_scope_attributes) + length(severity_text) + length(event_name) + {items.TEXT_BYTES} + 500 "
    f"AS row_bytes, {TIE_BREAKER} AS tie_breaker",
    shorten=_shorten,
)
"""The columns that `records` reads, and `ts` with `tie_breaker`, which differ for any two distinguishable records."""
# The table is ordered by five minutes: this order reads its end and stops.
_NEWEST_FIRST = "toStartOfFiveMinutes(timestamp) DESC, timestamp DESC"
_BEFORE = (
    "timestamp <= fromUnixTimestamp64Nano({last_ts:Int64}, 'UTC') "
    f"AND (timestamp < fromUnixTimestamp64Nano({{last_ts:Int64}}, 'UTC') OR {TIE_BREAKER} <= {{last_tie:UInt64}})"
)


_CURSOR_PARTS = (cursors.UINT64, cursors.Whole(0, ALIKE_MAX), cursors.Whole(0, 1))


async def search(
    reader: TelemetryReader,
    times: TimeRange,
    query: str = "",
    *,
    limit: int = SEARCH_LIMIT_DEFAULT,
    cursor: str | None = None,
    whole: bool = False,
) -> LogPage:
    """Search records of a time range, newest first; records of the same nanosecond come in a stable order. With `whole`
    nothing of a record is cut.

    A cursor keeps its first page's range, so records that arrive meanwhile do not shift the pages. A query that finds
    nothing is tried again with terms that look like attributes also matching text: users paste `user_id=42`.

    Raises:
        DuoscopeError: INVALID for the query, the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    position, or_text, hint = None, 0, None
    if cursor:
        times, (*position, or_text) = cursors.decode_in_range(cursor, ("logs", query), _CURSOR_PARTS)
    condition = compile_query(query, Signal.LOGS, or_text=bool(or_text), indexed=reader.indexed)
    rows, more = await _newest(reader, times, condition, limit, position, name="logs.search", whole=whole)
    if not rows and not cursor:
        wider = compile_query(query, Signal.LOGS, or_text=True)
        if wider != compile_query(query, Signal.LOGS):
            or_text = 1
            rows, more = await _newest(reader, times, wider, limit, None, name="logs.search_text", whole=whole)
        hint = items.hint(query, Signal.LOGS, times, found=bool(rows))
    next_cursor = None
    if more:
        last_ts, last_tie = rows[-1]["ts"], rows[-1]["tie_breaker"]
        seen = sum((row["ts"], row["tie_breaker"]) == (last_ts, last_tie) for row in rows)
        if position and position[:2] == [last_ts, last_tie]:
            seen += position[2]
        if seen > ALIKE_MAX and last_tie:
            last_tie, seen = last_tie - 1, 0
        next_cursor = cursors.encode(("logs", query), [times.start_ns, times.end_ns, last_ts, last_tie, seen, or_text])
    return LogPage(await items.decoded(rows, records), next_cursor, hint)


async def _newest(
    reader: TelemetryReader,
    times: TimeRange,
    condition: Condition | None,
    limit: int,
    position: list[int] | None,
    *,
    name: str,
    whole: bool,
) -> tuple[list[dict[str, Any]], bool]:
    """The newest rows of a range after a position (timestamp, tie-breaker, number of equal rows already seen).

    Returns as many as requested, or as fit on a page, and whether there are more.
    """
    latest_ns = position[0] + 1 if position else times.end_ns
    return await windows.backward(
        times,
        latest_ns,
        limit,
        lambda window: _newest_in(reader, window, condition, limit, position, name=name, whole=whole),
        reached=reader.reached(name, repr(condition) if condition else ""),
    )


async def _newest_in(
    reader: TelemetryReader,
    times: TimeRange,
    condition: Condition | None,
    limit: int,
    position: list[int] | None,
    *,
    name: str,
    whole: bool,
) -> tuple[list[dict[str, Any]], bool]:
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    parameters = times.parameters | (condition.parameters if condition else {}) | (cutting.WHOLE if whole else {})
    offset = 0
    if position:
        parameters["last_ts"], parameters["last_tie"], offset = position
        where += f" AND {_BEFORE}"
    wanted = limit + offset
    parameters |= {"reach": wanted + 1, "offset": offset}
    in_order = f"FROM @logs WHERE {where} ORDER BY {_NEWEST_FIRST} LIMIT {{reach:UInt64}}"
    rows = await cutting.page(reader, COLUMNS, in_order, parameters, name=name)
    if rows and rows[0]["found"] > wanted and any(r["ts"] == r["last_ts"] and r["nth"] <= wanted for r in rows):
        # The page ends within records of one nanosecond, in which the table has no order: read all of these.
        all_of_these = (
            f"FROM @logs WHERE {where} AND timestamp IN (SELECT timestamp {in_order}) "
            "ORDER BY timestamp DESC, tie_breaker DESC LIMIT {reach:UInt64}"
        )
        rows = await cutting.page(reader, COLUMNS, all_of_these, parameters, name=name)
    shown = [row for row in rows if row["nth"] <= wanted]
    return shown, bool(shown) and shown[-1]["nth"] < rows[0]["found"]


async def get(reader: TelemetryReader, record_id: str) -> LogRecord:
    """A record by its id, with nothing cut.

    Raises:
        DuoscopeError: INVALID for an invalid id; NOT_FOUND; UNAVAILABLE.
    """
    ts, tie = place_of(record_id)
    rows = await reader.query(
        f"SELECT {COLUMNS.cut} FROM @logs WHERE {TimeRange.CONDITION} AND {TIE_BREAKER} = {{tie:UInt64}} LIMIT 1",
        TimeRange(ts, ts + 1).parameters | {"tie": tie} | cutting.WHOLE,
        name="logs.get",
    )
    if not rows:
        raise not_found("log record")
    return (await items.decoded(rows, records))[0]


def place_of(record_id: str) -> tuple[int, int]:
    """Parse the id of a record into its time and its tie-breaker.

    Raises:
        DuoscopeError: INVALID for an invalid id; NOT_FOUND for one that no record can have.
    """
    if not _ID.fullmatch(record_id):
        raise invalid("The id of a log record has 32 hexadecimal digits.", code="invalid-log-id")
    ts, tie = int(record_id[:16], 16), int(record_id[16:], 16)
    if ts >= 2**63 - 1:
        raise not_found("log record")
    return ts, tie


def records(rows: list[dict[str, Any]]) -> list[LogRecord]:
    """Turn rows of `COLUMNS` into records."""
    origins = Origins()
    return [
        LogRecord(
            id=f"{row['ts']:016x}{row['tie_breaker']:016x}",
            timestamp=values.rfc3339(row["ts"]),
            observed_timestamp=values.rfc3339(row["observed_ts"]) if row["observed_ts"] else None,
            severity_number=row["severity_number"],
            severity_text=row["severity_text"],
            service_name=row["service_name"],
            body=values.typed(row["shown_body"], row["shown_kind"]),
            event_name=row["event_name"],
            trace_id=values.hex_id(row["trace_id"]) or None,
            span_id=values.hex_id(row["span_id"]) or None,
            trace_flags=row["trace_flags"],
            attributes=values.attributes(row["shown_attributes"], row["log_attributes_doubles"]),
            dropped_attributes_count=row["dropped_attributes_count"],
            resource=origins.resource(row),
            scope=origins.scope(row),
            truncated=row["truncated"],
        )
        for row in rows
    ]
