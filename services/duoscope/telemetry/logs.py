"""Log records: search, newest first, and tail."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from operator import itemgetter
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.stores.read_slots import BUSY_CODES
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import items, values
from duoscope.telemetry.items import Attributes, InstrumentationScope, Origins, Resource, SpanId, Time, TraceId
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import SECOND_NS, TimeRange

TAIL_INTERVAL_S: Final = 1.0
TAIL_REACH_NS: Final = 60 * SECOND_NS
"""A record is tailed if it arrives this long after its timestamp at the latest, or that long before."""
TAIL_ROWS_MAX: Final = 500
"""Records a poll looks at; more than that a second no one reads."""


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


class TailBatch(Struct, frozen=True):
    """What arrived between two looks, oldest first. `gap`: more arrived than a look takes in; some are missing."""

    items: list[LogRecord]
    gap: bool


ALIKE_MAX: Final = 10_000
"""Of records equal in everything, time included, pages show about this many: each page reads all before it again."""
# Equal for records that no reader could tell apart, so that a cursor may count them instead of naming one.
_TIE_BREAKER = (
    "cityHash64(service_name, severity_number, severity_text, body, trace_id, span_id, log_attributes_json, "
    "event_name, resource, scope_name, observed_timestamp)"
)
_COLUMNS = (
    "toUnixTimestamp64Nano(timestamp) AS ts, toUnixTimestamp64Nano(observed_timestamp) AS observed_ts, "
    "severity_number, severity_text, service_name, body, body_kind, event_name, trace_id, span_id, trace_flags, "
    f"log_attributes_json, dropped_attributes_count, {items.COLUMNS}, {_TIE_BREAKER} AS tie_breaker"
)
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
    return LogPage(await items.decoded(rows, _records), next_cursor)


async def tail(
    reader: TelemetryReader,
    query: str = "",
    *,
    wait: Callable[[], Awaitable[None]] | None = None,
) -> AsyncGenerator[TailBatch]:
    """What arrives from now on, a batch a poll (an empty one too, as a sign of life); never ends by itself.

    A poll looks at the newest TAIL_ROWS_MAX records around now and yields those that it had not seen: a record counts
    as new when it arrives, whatever its timestamp within TAIL_REACH_NS. `wait` is awaited between polls.

    Raises:
        DuoscopeError: INVALID for the query; UNAVAILABLE.
    """
    condition = compile_query(query, Signal.LOGS)
    pause = wait or _pause
    while (rows := await _window(reader, condition)) is None:
        await pause()
    seen = _keys(rows)
    while True:
        await pause()
        if (rows := await _window(reader, condition)) is None:
            continue  # what it would have shown, the next one shows
        present = _keys(rows)
        fresh = present - seen
        new: list[dict[str, Any]] = []
        for row in reversed(rows):
            key = (row["ts"], row["tie_breaker"])
            if fresh[key] > 0:
                fresh[key] -= 1
                new.append(row)
        # A full window forgets what fell out of its old end, and must not take it for new when others expire.
        horizon = now_unix_nano() - TAIL_REACH_NS
        seen = Counter({key: count for key, count in (seen | present).items() if key[0] >= horizon})
        yield TailBatch(await items.decoded(new, _records), gap=len(new) == TAIL_ROWS_MAX)


async def _pause() -> None:
    await asyncio.sleep(TAIL_INTERVAL_S)


async def _window(reader: TelemetryReader, condition: Condition | None) -> list[dict[str, Any]] | None:
    """The newest records there are; None where the tenant has no place for another query just now."""
    now = now_unix_nano()
    times = TimeRange(now - TAIL_REACH_NS, now + TAIL_REACH_NS)
    try:
        return await _newest(reader, times, condition, TAIL_ROWS_MAX, None, name="logs.tail")
    except DuoscopeError as error:
        if error.code in BUSY_CODES:
            return None
        raise


def _keys(rows: list[dict[str, Any]]) -> Counter[tuple[int, int]]:
    return Counter((row["ts"], row["tie_breaker"]) for row in rows)


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
    rows = await reader.query(f"SELECT {_COLUMNS} {in_order}", parameters, name=name)
    if len(rows) > wanted and rows[wanted - 1]["ts"] == rows[wanted]["ts"]:
        # The page ends among records of one nanosecond, of which the table's order gave any: read all of these.
        rows = await reader.query(
            f"SELECT {_COLUMNS} FROM @logs WHERE {where} AND timestamp IN (SELECT timestamp {in_order}) "
            "ORDER BY timestamp DESC, tie_breaker DESC LIMIT {reach:UInt64}",
            parameters,
            name=name,
        )
    rows.sort(key=itemgetter("ts", "tie_breaker"), reverse=True)
    return rows[offset:wanted]


def _records(rows: list[dict[str, Any]]) -> list[LogRecord]:
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
