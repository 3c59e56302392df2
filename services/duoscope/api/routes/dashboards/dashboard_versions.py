"""The versions of a dashboard: who made them when, what differs, and back to one of them."""

import asyncio
import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import PagingDependency
from duoscope.api.routes.dashboards.answers import IfMatch, StoredDashboard, Version, matching, tagged
from duoscope.api.routing import READS, UNDER_IF_MATCH, Routes
from duoscope.dashboards import management, model
from duoscope.dashboards.changes import CHANGES_MAX, Change, differences
from duoscope.dashboards.model import Dashboard
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import not_found
from duoscope.metadata import dashboard_versions

ROUTES: Final = Routes("dashboards")


class VersionSummary(Struct, frozen=True):
    """A version of a dashboard, without its document."""

    version: Version
    created_by: UUID | None
    created_at: datetime


class VersionPage(Struct, frozen=True):
    """One page of versions, and the cursor of the next page."""

    items: list[VersionSummary]
    next_cursor: str | None


class WholeVersion(Struct, frozen=True):
    """A version, and what differs from another."""

    version: Version
    dashboard: Dashboard
    compared_with: Annotated[int | None, Meta(description="Null for none.")]
    changes: Annotated[list[Change], Meta(description=f"From that version to this one, at most {CHANGES_MAX}.")]


@ROUTES.get(
    "/api/v1/dashboards/{dashboard_id:uuid}/versions", "List versions of a dashboard", "dashboard:read", problems=READS
)
async def list_dashboard_versions(
    request: Request[Principal, Any, Any], dashboard_id: FromPath[UUID], services: Services, paging: PagingDependency
) -> VersionPage:
    """List the versions that are kept, the newest 100. Sorts: created_at."""
    await management.read(services.metadata, request.user, dashboard_id)
    filters = {"dashboard_id": dashboard_id}
    async with services.metadata.open(request.user.scope, "dashboard_versions.list") as tx:
        return VersionPage(*await listing.page(tx, dashboard_versions.LISTING, paging, filters, answer=VersionSummary))


@ROUTES.get(
    "/api/v1/dashboards/{dashboard_id:uuid}/versions/{version:str}",
    "Read a version of a dashboard",
    "dashboard:read",
    problems=READS,
)
async def get_dashboard_version(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    version: FromPath[str],
    services: Services,
    compared_with: Annotated[
        int | None, QueryParameter(ge=1, lt=10**9, description="Another version; by default there is no comparison.")
    ] = None,
) -> WholeVersion:
    """Read a version, and what differs from another: each change with its place, before and after."""
    number = _number(version)
    document = await _document(services, request.user, dashboard_id, number)
    changes: list[Change] = []
    if compared_with is not None:
        other = await _document(services, request.user, dashboard_id, compared_with)
        changes = await asyncio.to_thread(differences, other, document)
    return WholeVersion(number, await asyncio.to_thread(model.parsed, document), compared_with, changes)


@ROUTES.post(
    "/api/v1/dashboards/{dashboard_id:uuid}/versions/{version:str}/restore",
    "Restore a version of a dashboard",
    "dashboard:write",
    problems=UNDER_IF_MATCH,
    status_code=200,
)
async def restore_dashboard_version(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    version: FromPath[str],
    services: Services,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Make the document of a version the newest version. It needs `If-Match`."""
    document = await _document(services, request.user, dashboard_id, _number(version))
    kept = await management.change(
        services.metadata, request.user, dashboard_id, lambda _: document, check_version=matching(if_match)
    )
    return tagged(kept)


async def _document(services: Services, principal: Principal, dashboard_id: UUID, version: int) -> dict[str, Any]:
    return await management.version(services.metadata, principal, dashboard_id, version)


def _number(version: str) -> int:
    """The number of a version. Raises NOT_FOUND for what is none."""
    if not re.fullmatch(r"[1-9]\d{0,8}", version, re.ASCII):
        raise not_found("version of the dashboard")
    return int(version)
