"""A trace by its id: all its spans page by page, and single spans."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid, not_found
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values
from duoscope.telemetry.items import Time, TraceId
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.traces import spans
from duoscope.telemetry.traces.spans import Span

TRACE_SPANS_MAX: Final = 10_000
"""Spans of one page of a trace."""
TRACE_SERVICES_MAX: Final = 1000
"""The maximum number of services of one trace that are named."""
TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
SAME_SPANS_MAX: Final = 100
"""Spans of one id that are shown."""


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


class SpansOfId(Struct, frozen=True):
    """The spans of one id in a trace, in the order of their start.

    There is one as a rule. Both sides of a call may share an id, as with Zipkin, and a sender may repeat itself.
    """

    items: list[Span]
    truncated: Annotated[bool, Meta(description=f"Whether there are more: over {SAME_SPANS_MAX}, or large ones.")]


# A trace has one row per day, and until these are merged one per INSERT.
SERVICES: Final = f"arraySort(groupUniqArrayArray({TRACE_SERVICES_MAX})(service_names))"
ROOT: Final = "(argMinMerge(s.root_service), argMinMerge(s.root_name))"
SUMMARY: Final = f"""
    toUnixTimestamp64Nano(min(first_timestamp)) AS start_unix_nano,
    toUnixTimestamp64Nano(max(end_timestamp)) AS end_unix_nano,
    sum(s.span_count) AS span_count,
    sum(s.error_count) AS error_count,
    {SERVICES} AS services, {ROOT} AS root"""
"""The columns of a whole trace in `@trace_summaries AS s`, grouped by trace."""
_SPAN_CURSOR = (cursors.NANOSECONDS, cursors.Text("[0-9a-f]{16}"), cursors.UINT64, cursors.Whole(0, TRACE_SPANS_MAX))
_SPANS_FROM = """timestamp >= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND (timestamp > fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    OR (span_id, tie_breaker) >= (toFixedString(unhex({last_id:String}), 8), {last_tie:UInt64}))"""
_ORDER = "ORDER BY timestamp, span_id, tie_breaker"


@dataclass(frozen=True, slots=True)
class Found:
    """The place of a trace in the store.

    Attributes:
        trace_id: in lower case.
        summary: a row of SUMMARY.
        where: a condition of its spans in `@traces`.
        parameters: those of the condition.
    """

    trace_id: str
    summary: dict[str, Any]
    where: str
    parameters: dict[str, object]


async def find(reader: TelemetryReader, trace_id: str) -> Found:
    """Find when and in which services a trace has spans.

    Raises:
        DuoscopeError: INVALID for an invalid trace id; NOT_FOUND; UNAVAILABLE.
    """
    identifier = _hexadecimal(trace_id, TRACE_ID_BYTES, "trace")
    found = await reader.query(
        f"SELECT {SUMMARY}, toUnixTimestamp64Nano(max(last_timestamp)) + 1 AS last_unix_nano "
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
    return Found(identifier, summary, where, parameters)


async def get(reader: TelemetryReader, trace_id: str, *, cursor: str | None = None) -> Trace:
    """Read a trace with everything its spans carry; with a cursor, the spans after those of the previous page.

    Raises:
        DuoscopeError: INVALID for an invalid trace id or cursor; NOT_FOUND; UNAVAILABLE.
    """
    identifier = _hexadecimal(trace_id, TRACE_ID_BYTES, "trace")
    position = cursors.decode(cursor, ("trace", identifier), _SPAN_CURSOR) if cursor else None
    trace = await find(reader, identifier)
    where, parameters, summary = trace.where, trace.parameters, trace.summary
    seen = 0
    if position:
        last_ns, last_id, last_tie, seen = position
        where += f" AND {_SPANS_FROM}"
        parameters = parameters | {"last_ns": last_ns, "last_id": last_id, "last_tie": last_tie}
    rows, more = await _beginning(
        reader, where, parameters | {"seen": seen}, TRACE_SPANS_MAX, name="traces.get", offset=" OFFSET {seen:UInt64}"
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
        spans=await items.decoded(rows, spans.decoded),
        next_cursor=next_cursor,
    )


async def get_spans(reader: TelemetryReader, trace_id: str, span_id: str) -> SpansOfId:
    """Read the spans of an id in a trace, with everything they carry.

    Raises:
        DuoscopeError: INVALID for an invalid id; NOT_FOUND; UNAVAILABLE.
    """
    own_id = _hexadecimal(span_id, SPAN_ID_BYTES, "span")
    trace = await find(reader, trace_id)
    rows, more = await _beginning(
        reader,
        f"{trace.where} AND span_id = toFixedString(unhex({{span_id:String}}), 8)",
        trace.parameters | {"span_id": own_id},
        SAME_SPANS_MAX,
        name="traces.span",
    )
    if not rows:
        raise not_found("span")
    return SpansOfId(await items.decoded(rows, spans.decoded), more)


async def _beginning(
    reader: TelemetryReader, where: str, parameters: dict[str, object], limit: int, *, name: str, offset: str = ""
) -> tuple[list[dict[str, Any]], bool]:
    """The first of some spans in the order of their start, and whether there are more."""
    found, limited = f"FROM @traces WHERE {where} {_ORDER}", f"LIMIT {{rows:UInt64}}{offset}"
    return await cutting.beginning(
        reader,
        spans.COLUMNS,
        # The size decides nothing: as a part of the order it is computed before rows are sorted, which then are small.
        f"{spans.SIZE} {found}, row_bytes {limited}",
        parameters | spans.CUTS,
        limit,
        name=name,
        stored=f"SELECT {spans.STORED} {found} {limited}",
        shorten=spans.shorten,
    )


def _hexadecimal(identifier: str, length_bytes: int, kind: str) -> str:
    lower = identifier.lower()
    if len(lower) != 2 * length_bytes or set(lower) - set("0123456789abcdef"):
        raise invalid(f"A {kind} id has {2 * length_bytes} hexadecimal digits.", code=f"invalid-{kind}-id")
    return lower


def _span_position(row: dict[str, Any]) -> list[Any]:
    return [row["start_unix_nano"], row["span_id"].hex(), row["tie_breaker"]]
