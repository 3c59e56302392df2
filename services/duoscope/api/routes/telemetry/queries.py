"""Queries of a tenant's telemetry: those at work, the slowest of a day, and how to cancel one."""

from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from duoscope.api.bodies import Services
from duoscope.api.routing import READS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.limits import QUERIES_SHOWN_DEFAULT, QUERIES_SHOWN_MAX
from duoscope.stores.clickhouse.asked import Asked
from duoscope.stores.clickhouse.questions import shown_bytes, shown_rows
from duoscope.telemetry.values import rfc3339

ROUTES: Final = Routes("queries")
_MS: Final = 1000

Milliseconds = Annotated[float, Meta(ge=0, examples=[1234.5])]


class Query(Struct, frozen=True):
    """A question that one request asks, in one or more statements."""

    query_id: UUID
    request_id: Annotated[str, Meta(description="`x-request-id` of the request.")]
    state: Annotated[
        Literal["waiting", "running", "finished", "cancelled"],
        Meta(description="`waiting` for a place; `cancelled` also if its client went away."),
    ]
    caller_kind: Annotated[Literal["user", "api-key", "system"], Meta(description="Who asks.")]
    caller_id: Annotated[UUID, Meta(description="Of the user or the API key.")]
    caller_name: Annotated[str, Meta(description="E-mail address, or the key's name.", examples=["ada@example.com"])]
    route: Annotated[str, Meta(examples=["POST /api/v1/logs/search"])]
    question: Annotated[
        str,
        Meta(
            description="The parameters of the request, or its body; of long ones the beginning.",
            examples=['{"query": "severity>=warn"}'],
        ),
    ]
    started_at: Annotated[str, Meta(examples=["2026-11-21T08:00:00Z"])]
    duration_ms: Annotated[Milliseconds, Meta(description="While statements waited or ran.")]
    waited_ms: Annotated[Milliseconds, Meta(description="How long statements waited for a place, together.")]
    rows_read: Annotated[int, Meta(ge=0, description="By statements that are through.", examples=[2_000_000])]
    bytes_read: Annotated[int, Meta(ge=0, examples=[64_000_000])]
    statements: Annotated[int, Meta(ge=0, examples=[3])]
    windows: Annotated[int, Meta(ge=0, description="Windows of time that were read, newest first.", examples=[2])]


class QueryList(Struct, frozen=True):
    """The queries of a tenant that the process which answers knows."""

    running: Annotated[list[Query], Meta(description="At work, the oldest first.")]
    slowest: Annotated[list[Query], Meta(description="Of the last 24 hours, the slowest first.")]


@ROUTES.get("/api/v1/queries", "List queries", "query:read", problems=(400, 401, 403, 503))
async def list_queries(
    request: Request[Principal, Any, Any],
    services: Services,
    limit: Annotated[
        int, QueryParameter(ge=1, le=QUERIES_SHOWN_MAX, description="Queries of each list.")
    ] = QUERIES_SHOWN_DEFAULT,
) -> QueryList:
    """The queries of your tenant's users and API keys that are at work, and those that took longest within a day. Each
    process of the API knows its own, and forgets them when it stops.
    """
    tenant_id, questions = request.user.scope.tenant_id, services.telemetry.questions
    return QueryList(
        [_shown(asked, is_over=False) for asked in questions.at_work(tenant_id)[:limit]],
        [_shown(asked, is_over=True) for asked in questions.slowest(tenant_id, limit)],
    )


@ROUTES.delete("/api/v1/queries/{query_id:uuid}", "Cancel a query", "query:delete", problems=READS)
async def cancel_query(request: Request[Principal, Any, Any], query_id: FromPath[UUID], services: Services) -> None:
    """End a query that is at work: its request is answered with `query-cancelled` at once."""
    services.telemetry.questions.cancel(tenant_id=request.user.scope.tenant_id, question_id=query_id)


def _shown(asked: Asked, *, is_over: bool) -> Query:
    state = "running" if asked.is_running else "waiting"
    if is_over or asked.was_ended:
        state = "cancelled" if asked.was_ended else "finished"
    return Query(
        query_id=asked.question_id,
        request_id=asked.described.request_id,
        state=state,
        caller_kind=cast("Literal['user', 'api-key', 'system']", asked.asker.kind),
        caller_id=asked.asker.caller_id,
        caller_name=asked.asker.name,
        route=asked.described.route,
        question=asked.described.text,
        started_at=rfc3339(asked.asked_ns),
        duration_ms=round(asked.busy_s * _MS, 1),
        waited_ms=round(asked.waited_s * _MS, 1),
        rows_read=shown_rows(asked.read_rows),
        bytes_read=shown_bytes(asked.read_bytes),
        statements=asked.statements,
        windows=asked.windows,
    )
