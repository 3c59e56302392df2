"""Links by which strangers see a dashboard: made, listed and revoked by their ids."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.api.bodies import Name, Services
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.dashboards import sharing
from duoscope.dashboards.model import VARIABLES_MAX
from duoscope.dashboards.variables import OPTIONS_MAX
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import in_range
from duoscope.kernel.errors import invalid
from duoscope.metadata.dashboard_links import DashboardLink
from duoscope.net.origins import ANY, parse_origins

ROUTES: Final = Routes("dashboards")
_Value = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
_ORIGINS_MAX: Final = 20


class NewDashboardLink(Struct, forbid_unknown_fields=True):
    """A link that is to be made."""

    name: Annotated[Name, Meta(description="By which people tell links apart.")]
    variables: Annotated[
        dict[_Value, Annotated[list[_Value], Meta(min_length=1, max_length=OPTIONS_MAX)]],
        Meta(
            max_length=VARIABLES_MAX,
            description="The values that may be chosen, by variable. Others stay as the dashboard has them.",
            examples=[{"service": ["checkout", "cart"]}],
        ),
    ] = {}
    range_seconds_max: Annotated[
        int, Meta(ge=60, le=400 * 86_400, description="The longest range, up to now, that may be looked at.")
    ] = 86_400
    embed_origins: Annotated[
        list[_Value],
        Meta(max_length=_ORIGINS_MAX, description="Of pages that may show it in a frame.", examples=[[]]),
    ] = []
    expires_at: datetime | None = None


class CreatedDashboardLink(Struct, frozen=True):
    """A link with its token, which is shown this once."""

    link: DashboardLink
    token: str
    url: Annotated[str, Meta(description="Of the page that draws the dashboard.")]


class DashboardLinkList(Struct, frozen=True):
    """The links of a dashboard, the newest first."""

    items: list[DashboardLink]


@ROUTES.post("/api/v1/dashboards/{dashboard_id:uuid}/links", "Share a dashboard", "dashboard:write", problems=WRITES)
async def create_dashboard_link(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], data: JSONBody[NewDashboardLink],
    services: Services,
) -> CreatedDashboardLink:  # fmt: skip
    """Make a link by which everybody who has it sees the dashboard. You need the permissions that its questions need,
    such as `log:read`. The token is in this answer and nowhere else.
    """
    try:
        origins = parse_origins(data.embed_origins)
    except ValueError as error:
        raise invalid(f"`embed_origins`: {error}.") from error
    if ANY in origins:
        raise invalid("`embed_origins`: name each origin; * would let any page show it.")
    if data.expires_at is not None and (data.expires_at.tzinfo is None or data.expires_at <= datetime.now(UTC)):
        raise invalid("`expires_at` is a time to come, with its zone.")
    expires_at = None if data.expires_at is None else in_range("expires_at", data.expires_at)
    link, token = await sharing.create(
        services.metadata,
        request.user,
        dashboard_id,
        name=data.name,
        variables=data.variables,
        range_seconds_max=data.range_seconds_max,
        embed_origins=list(origins),
        expires_at=expires_at,
    )
    return CreatedDashboardLink(link, token, f"{services.public_url.rstrip('/')}/public/dashboards/{token}")


@ROUTES.get(
    "/api/v1/dashboards/{dashboard_id:uuid}/links", "List links to a dashboard", "dashboard:read", problems=READS
)
async def list_dashboard_links(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], services: Services
) -> DashboardLinkList:
    """List the links of a dashboard, also those that were revoked or are over."""
    return DashboardLinkList(await sharing.list_links(services.metadata, request.user, dashboard_id))


@ROUTES.delete(
    "/api/v1/dashboards/{dashboard_id:uuid}/links/{dashboard_link_id:uuid}",
    "Revoke a link to a dashboard",
    "dashboard:write",
    problems=READS,
)
async def revoke_dashboard_link(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    dashboard_link_id: FromPath[UUID],
    services: Services,
) -> None:
    """Revoke a link, for good. Within two seconds it shows nothing any more."""
    await sharing.revoke(
        services.metadata, request.user, dashboard_id=dashboard_id, dashboard_link_id=dashboard_link_id
    )
