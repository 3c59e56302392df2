"""Log records: search, newest first."""

from operator import itemgetter
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import items, values
from duoscope.telemetry.items import Attributes, InstrumentationScope, Origins, Resource, SpanId, Time, TraceId
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import TimeRange


class LogRecord(Struct, frozen=True):
    """A log record as OpenTelemetry's data model has it."""

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


class LogPage(Struct, frozen=True):
    """Newest first."""

    items: list[LogRecord]
    next_cursor: str | None


ALIKE_MAX: Final = 10_000
"""Of records equal in everything, time included, pages show about this many: each page reads all before it again."""
# Equal for records that no reader could tell apart, so that a cursor may count them instead of naming one: all that a
# record consists of but its timestamp.
_TIE_BREAKER = (
    "cityHash64(observed_timestamp, severity_number, severity_text, service_name, body, body_kind, event_name, "
    "trace_id, span_id, trace_flags, log_attributes_json, dropped_attributes_count, "
    f"{items.COLUMNS})"
)
COLUMNS: Final = (
    "toUnixTimestamp64Nano(timestamp) AS ts, toUnixTimestamp64Nano(observed_timestamp) AS observed_ts, "
    "severity_number, severity_text, service_name, body, body_kind, event_name, trace_id, span_id, trace_flags, "
    f"log_attributes_json, dropped_attributes_count, {items.COLUMNS}, {_TIE_BREAKER} AS tie_breaker"
)
"""What `records` reads of a row, and `ts` with `tie_breaker`, which no two records share that can be told apart."""
# The table is in the order of five minutes: this order reads its end and stops.
_NEWEST_FIRST = "toStartOfFiveMinutes(timestamp) DESC, timestamp DESC"
_BEFORE = (
    "timestamp <= fromUnixTimestamp64Nano({last_ts:Int64}, 'UTC') "
    f"AND (timestamp < fromUnixTimestamp64Nano({{last_ts:Int64}}, 'UTC') OR {_TIE_BREAKER} <= {{last_tie:UInt64}})"
)


_CURSOR_PARTS = (cursors.UINT64, cursors.Whole(0, ALIKE_MAX))


async def search(
    reader: TelemetryReader,
    times: TimeRange,
    query: str = "",
    *,
    limit: int = SEARCH_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> LogPage:
    """Records of a time range that meet a query, newest first; records of one nanosecond in a stable order.

    A cursor stays with its first page's range, and records that arrive meanwhile move nothing.

    Raises:
        DuoscopeError: INVALID for the query, the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    condition = compile_query(query, Signal.LOGS)
    position = None
    if cursor:
        times, position = cursors.decode_in_range(cursor, ("logs", query), _CURSOR_PARTS)
    rows = await _newest(reader, times, condition, limit + 1, position, name="logs.search")
    next_cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        last_ts, last_tie = rows[-1]["ts"], rows[-1]["tie_breaker"]
        seen = sum((row["ts"], row["tie_breaker"]) == (last_ts, last_tie) for row in rows)
        if position and position[:2] == [last_ts, last_tie]:
            seen += position[2]
        if seen > ALIKE_MAX and last_tie:
            last_tie, seen = last_tie - 1, 0
        next_cursor = cursors.encode(("logs", query), [times.start_ns, times.end_ns, last_ts, last_tie, seen])
    return LogPage(await items.decoded(rows, records), next_cursor)


async def _newest(
    reader: TelemetryReader,
    times: TimeRange,
    condition: Condition | None,
    limit: int,
    position: list[int] | None,
    *,
    name: str,
) -> list[dict[str, Any]]:
    """The newest rows of a range after a position (timestamp, tie-breaker, rows equal to these already seen)."""
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    parameters = times.parameters | (condition.parameters if condition else {})
    offset = 0
    if position:
        parameters["last_ts"], parameters["last_tie"], offset = position
        where += f" AND {_BEFORE}"
    wanted = limit + offset
    parameters["reach"] = wanted + 1
    in_order = f"FROM @logs WHERE {where} ORDER BY {_NEWEST_FIRST} LIMIT {{reach:UInt64}}"
    rows = await reader.query(f"SELECT {COLUMNS} {in_order}", parameters, name=name)
    if len(rows) > wanted and rows[wanted - 1]["ts"] == rows[wanted]["ts"]:
        # The page ends among records of one nanosecond, of which the table's order gave any: read all of these.
        rows = await reader.query(
            f"SELECT {COLUMNS} FROM @logs WHERE {where} AND timestamp IN (SELECT timestamp {in_order}) "
            "ORDER BY timestamp DESC, tie_breaker DESC LIMIT {reach:UInt64}",
            parameters,
            name=name,
        )
    rows.sort(key=itemgetter("ts", "tie_breaker"), reverse=True)
    return rows[offset:wanted]


def records(rows: list[dict[str, Any]]) -> list[LogRecord]:
    """Rows of `COLUMNS` as records."""
    origins = Origins()
    return [
        LogRecord(
            timestamp=values.rfc3339(row["ts"]),
            observed_timestamp=values.rfc3339(row["observed_ts"]) if row["observed_ts"] else None,
            severity_number=row["severity_number"],
            severity_text=row["severity_text"],
            service_name=row["service_name"],
            body=values.typed(row["body"], row["body_kind"]),
            event_name=row["event_name"],
            trace_id=values.hex_id(row["trace_id"]) or None,
            span_id=values.hex_id(row["span_id"]) or None,
            trace_flags=row["trace_flags"],
            attributes=values.attributes(row["log_attributes_json"]),
            dropped_attributes_count=row["dropped_attributes_count"],
            resource=origins.resource(row),
            scope=origins.scope(row),
        )
        for row in rows
    ]
