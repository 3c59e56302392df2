"""Traces."""

from typing import Annotated, Final

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from duoscope.api.authentication import requires
from duoscope.api.problems import documented
from duoscope.api.searching import Reader, TraceSearch
from duoscope.telemetry import traces
from duoscope.telemetry.times import time_range

_READ: Final = requires("trace:read")


@post(
    "/api/v1/traces/search",
    status_code=200,
    guards=[_READ],
    tags=["traces"],
    summary="Search traces",
    responses=documented(400, 401, 403, 503),
)
async def search(data: JSONBody[TraceSearch], reader: Reader) -> traces.TracePage:
    """Traces that have a span in the time range that meets the query, by the newest such span, newest first."""
    times = time_range(data.start, data.end)
    return await traces.search(reader, times, data.query, limit=data.limit, cursor=data.cursor)


@get(
    "/api/v1/traces/{trace_id:str}",
    guards=[_READ],
    tags=["traces"],
    summary="Read a trace",
    responses=documented(400, 401, 403, 404, 503),
)
async def get_trace(
    trace_id: Annotated[str, PathParameter(description="32 hexadecimal digits.")],
    reader: Reader,
    cursor: Annotated[
        str | None, QueryParameter(description="`next_cursor` of the page before, of the same trace.")
    ] = None,
) -> traces.Trace:
    """The spans of a trace with their attributes, resources, scopes, events and links, by their start.

    A trace of many spans has several pages; its figures are those of all of it on each.
    """
    return await traces.get(reader, trace_id, cursor=cursor)
