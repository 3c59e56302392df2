"""The log records of a trace, found by the time range of its spans."""

from typing import Final

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import invalid, not_found
from duoscope.kernel.limits import INGEST_AHEAD_MAX_S, SEARCH_LIMIT_DEFAULT
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import logs
from duoscope.telemetry.times import RANGE_MAX_NS, SECOND_NS, TimeRange
from duoscope.telemetry.traces.whole import TRACE_ID_BYTES

AROUND_NS: Final = 300 * SECOND_NS
"""How long before its first and after its last span the records of a trace are searched."""


async def of_trace(
    reader: TelemetryReader, trace_id: str, *, limit: int = SEARCH_LIMIT_DEFAULT, cursor: str | None = None
) -> logs.LogPage:
    """Read the log records of a trace, newest first.

    Its summary says when it was, so that the records of no other time are read. A trace of which no span is known, as
    it was not sampled, is searched in all that is kept.

    Raises:
        DuoscopeError: INVALID for the id, the limit or the cursor; NOT_FOUND without a span and a record; UNAVAILABLE.
    """
    identifier = trace_id.lower()
    if len(identifier) != 2 * TRACE_ID_BYTES or set(identifier) - set("0123456789abcdef"):
        raise invalid("A trace id has 32 hexadecimal digits.", code="invalid-trace-id")
    found = await reader.query(
        "SELECT toUnixTimestamp64Nano(min(first_timestamp)) AS first_ns, "
        "toUnixTimestamp64Nano(max(end_timestamp)) AS last_ns, count() AS summaries "
        "FROM @trace_summaries WHERE trace_id = toFixedString(unhex({trace_id:String}), 16)",
        {"trace_id": identifier},
        name="logs.trace_times",
    )
    last_ns = now_unix_nano() + INGEST_AHEAD_MAX_S * SECOND_NS
    first_ns = last_ns - RANGE_MAX_NS
    has_spans = bool(found and found[0]["summaries"])
    if has_spans:
        # A span may claim to end long after anything that is kept.
        last_ns = min(last_ns, found[0]["last_ns"] + AROUND_NS)
        first_ns = max(0, min(found[0]["first_ns"], last_ns) - AROUND_NS, last_ns - RANGE_MAX_NS)
    times = TimeRange(first_ns, max(last_ns, first_ns + 1))
    page = await logs.search(reader, times, f"trace_id:{identifier}", limit=limit, cursor=cursor)
    if not (has_spans or page.items or cursor):
        raise not_found("trace")
    return page
