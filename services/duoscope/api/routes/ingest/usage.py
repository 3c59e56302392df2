"""Usage: sent and stored items, by hour or day."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter

from duoscope.api.bodies import Services
from duoscope.api.listing import OrganizationParameter
from duoscope.api.routing import READS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import not_found
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.telemetry.usage import metering
from duoscope.telemetry.usage.metering import Grouping, Per, Signal, UsagePage, UsageQuestion

ROUTES: Final = Routes("usage")

_READ: Final = "tenant:read"


@ROUTES.get("/api/v1/usage", "Requests, bytes and items by hour or day", _READ, problems=READS)
async def get_usage(  # noqa: PLR0917 - each is a parameter of the query
    request: Request[Principal, Any, Any],
    services: Services,
    start: Annotated[
        str | None,
        QueryParameter(description="Start. RFC 3339, or Unix nanoseconds; its hour or day counts whole."),
    ] = None,
    end: Annotated[str | None, QueryParameter(description="End; by default now. Its hour or day counts whole.")] = None,
    per: Annotated[Per, QueryParameter(description="Sum by UTC hour, over at most 31 days, or by UTC day.")] = "day",
    group_by: Annotated[
        list[Grouping] | None, QueryParameter(description="Can be given several times; by default `signal`.")
    ] = None,
    signal: Annotated[Signal | None, QueryParameter(description="Only this signal.")] = None,
    api_key_id: Annotated[UUID | None, QueryParameter(description="Only usage of this key.")] = None,
    reach: Annotated[
        Literal["tenant", "workspace", "organization"],
        QueryParameter(
            description="The tenant you are in; or the sum over those of its workspace or organization in which you "
            "hold tenant:read. Held organization-wide, deleted tenants count too."
        ),
    ] = "tenant",
    workspace_id: Annotated[
        UUID | None, QueryParameter(description="With `reach=workspace`: another workspace of the organization.")
    ] = None,
    organization_id: OrganizationParameter = None,
    limit: Annotated[int, QueryParameter(ge=1, le=SEARCH_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
) -> UsagePage:
    """Exact usage: the INSERT that stores the items counts it. A retry of a stored request is not counted again.

    Hours and days are those in which requests arrived, not those of the items' own times.
    """
    principal = request.user
    if reach == "tenant":
        scopes = [principal.scope]
    else:
        scopes = await services.access.reach(principal, _READ, organization_id)
        if reach == "workspace":
            wanted = workspace_id or principal.scope.workspace_id
            scopes = [scope for scope in scopes if scope.workspace_id == wanted]
            if not scopes:
                raise not_found("workspace")
    asked = UsageQuestion(
        start=start,
        end=end,
        per=per,
        group_by=frozenset(["signal"] if group_by is None else group_by),
        signal=signal,
        api_key_id=api_key_id,
        limit=limit,
        cursor=cursor,
    )
    return await metering.usage([(scope, services.telemetry.bind(scope)) for scope in scopes], asked)
