"""Routes of log records."""

from typing import Annotated, Any, Final, cast

from litestar import MediaType, Request
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation
from litestar.response import ServerSentEvent

from duoscope.api.authentication import still_permitted
from duoscope.api.log_streams import LogStreams
from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import LogSearch, QueryTextParameter, Reader
from duoscope.identity.authorization.permissions import Principal
from duoscope.telemetry import log_context, logs
from duoscope.telemetry import tail as log_tail
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("logs")


@ROUTES.post("/api/v1/logs/search", "Search log records", "log:read", problems=LISTS, status_code=200)
async def search(data: JSONBody[LogSearch], reader: Reader) -> logs.LogPage:
    """Search records of a time range, newest first. Follow `next_cursor` for more: pages stay complete while data
    arrives.
    """
    times = time_range(data.start, data.end)
    return await logs.search(reader, times, data.query, limit=data.limit, cursor=data.cursor)


@ROUTES.get(
    "/api/v1/logs/tail",
    "Follow log records",
    "log:read",
    responses={
        200: ResponseSpec(
            str,
            description="An endless stream of events.",
            generate_examples=False,
            media_type=cast("MediaType", "text/event-stream"),
        )
    },
    problems=(400, 401, 403, 429, 503),
)
async def tail(
    request: Request[Principal, Any, Any],
    reader: Reader,
    tails: NamedDependency[SkipValidation[LogStreams]],
    query_text: QueryTextParameter = "",
) -> ServerSentEvent:
    """Stream server-sent events: `log` for each record as it arrives, `gap` when more arrived than can be shown.

    The stream ends with the access token, after a quarter of an hour at the latest, and as soon as its reader may read
    logs no more: an `error` event says why.
    """
    compile_query(query_text, Signal.LOGS)  # a mistake is answered before the stream begins
    allowed = still_permitted(request, "log:read")
    batches = log_tail.tail(reader, query_text, wait=tails.wait)
    return ServerSentEvent(tails.stream(request.user.scope.tenant_id, batches, allowed))


@ROUTES.get(
    "/api/v1/logs/context",
    "Read the records around a log record",
    "log:read",
    problems=(400, 401, 403, 404, 429, 503),
)
async def context(
    reader: Reader,
    record_id: Annotated[str, QueryParameter(name="id", description="`id` of a record in a search or tail.")],
    before: Annotated[
        int, QueryParameter(ge=0, le=log_context.SIDE_MAX, description="Earlier records.")
    ] = log_context.SIDE_DEFAULT,
    after: Annotated[
        int, QueryParameter(ge=0, le=log_context.SIDE_MAX, description="Later records.")
    ] = log_context.SIDE_DEFAULT,
    source: Annotated[
        log_context.Source,
        QueryParameter(
            description="Whose records: of the same resource, such as a pod; of the same service; or of all."
        ),
    ] = "resource",
) -> log_context.LogContext:
    """Read what the same source sent right before and after a record, without a search's filters. None is missing
    between them, also where many have the same time.
    """
    return await log_context.context(reader, record_id, before=before, after=after, source=source)


@ROUTES.get("/api/v1/logs/{record_id:str}", "Read a log record", "log:read", problems=(400, 401, 403, 404, 429, 503))
async def get_record(
    record_id: Annotated[str, PathParameter(description="`id` of a record in a search or tail.")],
    reader: Reader,
) -> logs.LogRecord:
    """One record with nothing cut."""
    return await logs.get(reader, record_id)
