"""Routes of log records."""

from typing import Annotated, Any, Final, cast

from litestar import MediaType, Request
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation
from litestar.response import ServerSentEvent, Stream

from duoscope.api.authentication import still_permitted
from duoscope.api.log_streams import LogStreams
from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import EndParameter, LogSearch, QueryTextParameter, Reader, StartParameter
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.telemetry import log_context, log_export, log_patterns, logs, trace_logs
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


@ROUTES.get("/api/v1/logs/patterns", "Find patterns of log records", "log:read", problems=LISTS)
async def patterns(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    query_text: QueryTextParameter = "",
    limit: Annotated[
        int, QueryParameter(ge=1, le=log_patterns.PATTERNS_MAX, description="Patterns that are shown.")
    ] = log_patterns.PATTERNS_DEFAULT,
    compare_start: Annotated[
        str | None, QueryParameter(description="The range to compare with; an hour before `compare_end` unless given.")
    ] = None,
    compare_end: Annotated[str | None, QueryParameter(description="Its end, excluded.")] = None,
) -> log_patterns.Patterns:
    """Fold the records that a search finds into patterns, with counts and samples, by their newest 100,000 lines. With
    `compare_end`, also say which patterns are new, and which are gone, against another range.
    """
    if compare_start is not None and compare_end is None:
        raise invalid("`compare_start` needs a `compare_end`.")
    compared = time_range(compare_start, compare_end) if compare_end is not None else None
    return await log_patterns.patterns(reader, time_range(start, end), query_text, limit=limit, compared=compared)


@ROUTES.get(
    "/api/v1/logs/export",
    "Export log records",
    "log:read",
    responses={
        200: ResponseSpec(
            str,
            description="One record a line, or a Parquet file. The header `duoscope-matched` says how many records "
            "match, `duoscope-truncated` whether the file has fewer.",
            generate_examples=False,
            media_type=cast("MediaType", "application/x-ndjson"),
        )
    },
    problems=(400, 401, 403, 429, 503),
)
async def export(  # noqa: PLR0917 - parameters of the query
    request: Request[Principal, Any, Any],
    reader: Reader,
    tails: NamedDependency[SkipValidation[LogStreams]],
    start: StartParameter = None,
    end: EndParameter = None,
    query_text: QueryTextParameter = "",
    form: Annotated[log_export.Format, QueryParameter(name="format", description="Of the file.")] = "ndjson",
    limit: Annotated[
        int, QueryParameter(ge=1, le=log_export.ROWS_MAX, description="Records that the file has at most.")
    ] = log_export.ROWS_DEFAULT,
) -> Stream:
    """Stream the records that a search finds, newest first and with nothing cut, as lines of JSON or as Parquet. A file
    that ends early, because the reader may read no more or the store fails, ends without its last chunk.
    """
    times = time_range(start, end)
    found = await log_export.matched(reader, times, query_text)
    content = log_export.export(reader, times, query_text, form, limit=limit)
    parts = tails.bytes_of(request.user.scope.tenant_id, content, still_permitted(request, "log:read"))
    headers = {
        "duoscope-matched": str(found),
        "duoscope-truncated": str(found > limit).lower(),
        "content-disposition": f'attachment; filename="logs.{form}"',
    }
    return Stream(parts, media_type=log_export.MEDIA_TYPES[form], headers=headers)


@ROUTES.get("/api/v1/traces/{trace_id:str}/logs", "Read the log records of a trace", "log:read", problems=LISTS)
async def of_trace(
    reader: Reader,
    trace_id: Annotated[str, PathParameter(description="32 hexadecimal digits.")],
    limit: Annotated[
        int, QueryParameter(ge=1, le=SEARCH_LIMIT_MAX, description="Records of a page.")
    ] = SEARCH_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
) -> logs.LogPage:
    """Read the records with this trace id, newest first, from five minutes before its first span to five minutes after
    the end of its last one; of a trace without spans in all that is kept.
    """
    return await trace_logs.of_trace(reader, trace_id, limit=limit, cursor=cursor)


@ROUTES.get("/api/v1/logs/{record_id:str}", "Read a log record", "log:read", problems=(400, 401, 403, 404, 429, 503))
async def get_record(
    record_id: Annotated[str, PathParameter(description="`id` of a record in a search or tail.")],
    reader: Reader,
) -> logs.LogRecord:
    """One record with nothing cut."""
    return await logs.get(reader, record_id)
