"""Routes of traces."""

from typing import Annotated, Final

from litestar.params import JSONBody, PathParameter, QueryParameter

from duoscope.api.routing import LISTS, READS, Routes
from duoscope.api.searching import Reader, TraceSearch
from duoscope.telemetry import traces
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("traces")


@ROUTES.post("/api/v1/traces/search", "Search traces", "trace:read", problems=LISTS, status_code=200)
async def search(data: JSONBody[TraceSearch], reader: Reader) -> traces.TracePage:
    """Search traces with a matching span in the time range, ordered by the newest such span, newest first."""
    times = time_range(data.start, data.end)
    return await traces.search(reader, times, data.query, limit=data.limit, cursor=data.cursor)


@ROUTES.get("/api/v1/traces/{trace_id:str}", "Read a trace", "trace:read", problems=READS)
async def get_trace(
    trace_id: Annotated[str, PathParameter(description="32 hexadecimal digits.")],
    reader: Reader,
    cursor: Annotated[
        str | None, QueryParameter(description="`next_cursor` of the previous page of the same trace.")
    ] = None,
) -> traces.Trace:
    """The spans of a trace with their attributes, resources, scopes, events and links, ordered by their start.

    A trace of many spans has several pages; its own figures cover all its spans on each.
    """
    return await traces.get(reader, trace_id, cursor=cursor)
