"""Dashboards: made, listed, read, changed as a whole or one part of them, deleted and restored."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.bodies import Name, Services
from duoscope.api.listing import DeletedFilter, NameFilter, PagingDependency
from duoscope.api.routes.dashboards.answers import (
    IfMatch,
    Patch,
    StoredDashboard,
    Version,
    ViewCount,
    matching,
    shown,
    tagged,
)
from duoscope.api.routing import LISTS, READS, UNDER_IF_MATCH, WRITES, Routes
from duoscope.dashboards import management, model
from duoscope.dashboards.changes import merged
from duoscope.dashboards.model import Dashboard
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import not_found
from duoscope.metadata import dashboards
from duoscope.metadata.columns import DeletedAt
from duoscope.metadata.dashboards import from_row

ROUTES: Final = Routes("dashboards")


class DashboardSummary(Struct, frozen=True):
    """A dashboard without its document."""

    dashboard_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    name: str
    description: str
    tags: list[str]
    version: Version
    is_public: bool
    view_count: ViewCount
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt


class DashboardPage(Struct, frozen=True):
    """One page of dashboards, and the cursor of the next page."""

    items: list[DashboardSummary]
    next_cursor: str | None


class Copy(Struct, forbid_unknown_fields=True):
    """The copy of a dashboard."""

    name: Annotated[Name | None, Meta(description="By default that of the original, and that it is a copy.")] = None


@ROUTES.post("/api/v1/dashboards", "Create a dashboard", "dashboard:write", problems=WRITES)
async def create_dashboard(
    request: Request[Principal, Any, Any], data: JSONBody[Dashboard], services: Services
) -> StoredDashboard:
    """Create a dashboard. 400 `invalid-dashboard` tells a mistake with its place, as a JSON pointer."""
    model.require_storable(data)
    return shown(await management.create(services.metadata, request.user, data))


@ROUTES.get("/api/v1/dashboards", "List dashboards", "dashboard:read", problems=LISTS)
async def list_dashboards(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    tag: Annotated[str | None, QueryParameter(description="Dashboards with this tag.", max_length=1000)] = None,
    deleted: DeletedFilter = False,
) -> DashboardPage:
    """List the tenant's dashboards. Sorts: name, created_at, updated_at."""
    filters = {"name": name, "tag": tag, "deleted": deleted}
    async with services.metadata.open(request.user.scope, "dashboards.list") as tx:
        found, cursor = await listing.page(
            tx, dashboards.LISTING, paging, filters, answer=DashboardSummary, read=_summary
        )
    return DashboardPage(found, cursor)


@ROUTES.get("/api/v1/dashboards/{dashboard_id:uuid}", "Read a dashboard", "dashboard:read", problems=READS)
async def get_dashboard(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], services: Services
) -> Response[StoredDashboard]:
    """Read a dashboard; its version is also the `ETag`. It counts as a view."""
    kept = await management.read(services.metadata, request.user, dashboard_id)
    services.views.add(request.user.scope, dashboard_id)
    return tagged(kept)


@ROUTES.patch(
    "/api/v1/dashboards/{dashboard_id:uuid}", "Change a dashboard", "dashboard:write", problems=UNDER_IF_MATCH
)
async def change_dashboard(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    data: JSONBody[Patch],
    services: Services,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Change a dashboard by a merge patch of its document. It needs `If-Match`; 412 `dashboard-changed` if another
    change was first.
    """
    model.require_shallow(data)
    kept = await management.change(
        services.metadata,
        request.user,
        dashboard_id,
        lambda document: merged(document, data),
        check_version=matching(if_match),
    )
    return tagged(kept)


@ROUTES.patch(
    "/api/v1/dashboards/{dashboard_id:uuid}/widgets/{key:str}",
    "Change a widget",
    "dashboard:write",
    problems=UNDER_IF_MATCH,
)
async def change_widget(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    key: FromPath[str],
    data: JSONBody[Patch],
    services: Services,
    *,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Change one widget by a merge patch, as for the dashboard."""
    return await _change_part(services, request.user, dashboard_id, ("widgets", "key", key), data, if_match=if_match)


@ROUTES.patch(
    "/api/v1/dashboards/{dashboard_id:uuid}/variables/{key:str}",
    "Change a variable",
    "dashboard:write",
    problems=UNDER_IF_MATCH,
)
async def change_variable(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    key: FromPath[str],
    data: JSONBody[Patch],
    services: Services,
    *,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Change one variable, by its name, by a merge patch, as for the dashboard."""
    return await _change_part(services, request.user, dashboard_id, ("variables", "name", key), data, if_match=if_match)


@ROUTES.delete("/api/v1/dashboards/{dashboard_id:uuid}", "Delete a dashboard", "dashboard:delete", problems=READS)
async def delete_dashboard(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], services: Services
) -> None:
    """Delete a dashboard. It can be restored for 90 days."""
    await management.delete(services.metadata, request.user, dashboard_id)


@ROUTES.post(
    "/api/v1/dashboards/{dashboard_id:uuid}/restore",
    "Restore a dashboard",
    "dashboard:delete",
    problems=WRITES,
    status_code=200,
)
async def restore_dashboard(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], services: Services
) -> StoredDashboard:
    """Take a deletion back."""
    return shown(await management.restore(services.metadata, request.user, dashboard_id))


@ROUTES.post("/api/v1/dashboards/{dashboard_id:uuid}/clone", "Copy a dashboard", "dashboard:write", problems=WRITES)
async def clone_dashboard(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], data: JSONBody[Copy], services: Services
) -> StoredDashboard:
    """Make a dashboard with the same document under another name."""
    _, original = await management.read(services.metadata, request.user, dashboard_id)
    copy = model.renamed(original, data.name or f"{original.name[:190]} (copy)")
    return shown(await management.create(services.metadata, request.user, copy))


async def _change_part(
    services: Services,
    principal: Principal,
    dashboard_id: UUID,
    part: tuple[str, str, str],
    patch: Patch,
    *,
    if_match: str | None,
) -> Response[StoredDashboard]:
    model.require_shallow(patch)
    listed, identity, name = part

    def changed(document: dict[str, Any]) -> dict[str, Any]:
        if all(each[identity] != name for each in document[listed]):
            raise not_found(listed.removesuffix("s"))
        parts = [merged(each, patch) if each[identity] == name else each for each in document[listed]]
        return document | {listed: parts}

    kept = await management.change(
        services.metadata, principal, dashboard_id, changed, check_version=matching(if_match)
    )
    return tagged(kept)


def _summary(record: Any) -> dict[str, Any]:
    row = from_row(record)
    return {name: getattr(row, name, row.layout_config.get(name)) for name in DashboardSummary.__struct_fields__}
