"""Dashboards: made, listed, read, changed as a whole or one part of them, deleted and restored."""

import asyncio
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
from duoscope.metadata import dashboards
from duoscope.metadata.columns import DeletedAt, Visibility
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
    visibility: Visibility
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


class Shown(Struct, forbid_unknown_fields=True):
    """The readers of a dashboard."""

    visibility: Visibility


@ROUTES.post("/api/v1/dashboards", "Create a dashboard", "dashboard:write", problems=WRITES)
async def create_dashboard(
    request: Request[Principal, Any, Any], data: JSONBody[Dashboard], services: Services
) -> StoredDashboard:
    """Create a dashboard. 400 `invalid-dashboard` tells a mistake with its place, as a JSON pointer."""
    await asyncio.to_thread(model.require_storable, data)
    return shown(await management.create(services.metadata, request.user, data))


@ROUTES.get("/api/v1/dashboards", "List dashboards", "dashboard:read", problems=LISTS)
async def list_dashboards(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    tag: Annotated[str | None, QueryParameter(description="Dashboards with this tag.", max_length=1000)] = None,
    visibility: Annotated[Visibility | None, QueryParameter(description="Only those that these read.")] = None,
    deleted: DeletedFilter = False,
) -> DashboardPage:
    """List the tenant's dashboards, and those that other tenants show to the workspace. Sorts: name, created_at,
    updated_at.
    """
    filters = {"name": name, "tag": tag, "visibility": visibility, "deleted": deleted}
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
    await asyncio.to_thread(model.require_shallow, data)
    kept = await management.change(
        services.metadata,
        request.user,
        dashboard_id,
        lambda document: merged(document, data),
        check_version=matching(if_match),
    )
    return tagged(kept)


@ROUTES.patch(
    "/api/v1/dashboards/{dashboard_id:uuid}/visibility", "Show a dashboard to others", "dashboard:write", problems=READS
)
async def show_dashboard(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], data: JSONBody[Shown], services: Services
) -> StoredDashboard:
    """Say who reads a dashboard: its tenant, or every tenant of its workspace. The others see its document over their
    own telemetry, and can copy it. Neither its version nor its document changes.
    """
    return shown(await management.show(services.metadata, request.user, dashboard_id, data.visibility))


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


def _summary(record: Any) -> dict[str, Any]:
    row = from_row(record)
    return {name: getattr(row, name, row.layout_config.get(name)) for name in DashboardSummary.__struct_fields__}
