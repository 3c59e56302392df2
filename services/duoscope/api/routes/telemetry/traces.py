"""Routes of traces."""

from typing import Annotated, Final

from litestar.params import JSONBody, PathParameter, QueryParameter

from duoscope.api.routing import LISTS, READS, Routes
from duoscope.api.searching import Reader, TraceComparison, TraceSearch
from duoscope.telemetry import traces
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("traces")

TraceId = Annotated[str, PathParameter(description="32 hexadecimal digits.")]


@ROUTES.post("/api/v1/traces/search", "Search traces", "trace:read", problems=LISTS, status_code=200)
async def search(data: JSONBody[TraceSearch], reader: Reader) -> traces.TracePage:
    """Search traces with a matching span in the time range, ordered by the newest such span, newest first.

    `child`, `descendant` and `without…` ask for other spans, `trace` for sums. Then a page may be shorter than `limit`
    before the last one: it ends when 20,000 traces were looked at.
    """
    times = time_range(data.start, data.end)
    return await traces.search(reader, times, data.query, data.wanted, limit=data.limit, cursor=data.cursor)


@ROUTES.post("/api/v1/traces/compare", "Compare two sets of spans", "trace:read", problems=LISTS, status_code=200)
async def compare(data: JSONBody[TraceComparison], reader: Reader) -> traces.Comparison:
    """Find which values of which fields are more frequent in some spans than in others: the slow, the failed, those in
    a box of the heatmap against the rest. Of a large set an even sample of about 20,000 spans is compared.
    """
    return await traces.compare(
        reader,
        time_range(data.start, data.end),
        data.query,
        data.selection.selection,
        data.against,
        limit=data.limit,
    )


@ROUTES.get("/api/v1/traces/{trace_id:str}", "Read a trace", "trace:read", problems=READS)
async def get_trace(
    trace_id: TraceId,
    reader: Reader,
    cursor: Annotated[
        str | None, QueryParameter(description="`next_cursor` of the previous page of the same trace.")
    ] = None,
) -> traces.Trace:
    """The spans of a trace with their attributes, resources, scopes, events and links, ordered by their start.

    A trace of many spans has several pages; its own figures cover all its spans on each.
    """
    return await traces.get(reader, trace_id, cursor=cursor)


@ROUTES.get("/api/v1/traces/{trace_id:str}/summary", "Read a trace as columns", "trace:read", problems=READS)
async def get_summary(trace_id: TraceId, reader: Reader) -> traces.TraceColumns:
    """The tree of a trace of up to 100,000 spans: names, times, self times, orphans, clocks that are wrong, and the
    critical path, but no attributes, events or links. `spans/{span_id}` has these.
    """
    return await traces.get_columns(reader, trace_id)


@ROUTES.get("/api/v1/traces/{trace_id:str}/spans/{span_id:str}", "Read a span", "trace:read", problems=READS)
async def get_spans(
    trace_id: TraceId,
    span_id: Annotated[str, PathParameter(description="16 hexadecimal digits.")],
    reader: Reader,
) -> traces.SpansOfId:
    """The spans of an id in a trace, with everything they carry: one, unless both sides of a call share it."""
    return await traces.get_spans(reader, trace_id, span_id)
