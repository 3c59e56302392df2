"""Workspaces: subdivisions of an organization, created and removed by holders of organization-wide permissions."""

from typing import Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Code, Description, Name, Services, given
from duoscope.api.listing import (
    ActiveFilter,
    CodeFilter,
    DeletedFilter,
    NameFilter,
    OrganizationParameter,
    PagingDependency,
)
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import workspaces as rules
from duoscope.kernel.errors import require_found
from duoscope.metadata import workspaces
from duoscope.metadata.columns import IsActive, Settings
from duoscope.metadata.workspaces import Workspace

ROUTES: Final = Routes("workspaces")


class WorkspacePage(Struct, frozen=True):
    """One page of workspaces, and the cursor of the next page."""

    items: list[Workspace]
    next_cursor: str | None


class NewWorkspace(Struct, forbid_unknown_fields=True):
    """A workspace to be created."""

    name: Name
    code: Code | None = None
    description: Description = ""


class WorkspaceChange(Change):
    """The changes of a workspace."""

    name: Name | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    datasource_config: Settings | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


@ROUTES.post("/api/v1/workspaces", "Create a workspace", "workspace:write", problems=WRITES)
async def create_workspace(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewWorkspace],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """Create a workspace. Needs workspace:write organization-wide. The code must be new in the organization."""
    authority = request.user.over_organization("workspace:write", organization_id)
    return await rules.create_workspace(
        services.metadata,
        authority,
        name=data.name,
        code=data.code or "",
        description=data.description,
        quota=services.quota,
    )


@ROUTES.get("/api/v1/workspaces", "List workspaces", "workspace:read", problems=READS)
async def list_workspaces(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    code: CodeFilter = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
    organization_id: OrganizationParameter = None,
) -> WorkspacePage:
    """List the workspace you are in; all of the organization, if you hold workspace:read organization-wide.

    Sorts: created_at, name, code.
    """
    authority = request.user.over("workspace:read", organization_id)
    filters = {"name": name, "code": code, "is_active": is_active, "deleted": deleted}
    async with services.metadata.open(authority.scope, "workspaces.list") as tx:
        return WorkspacePage(*await listing.page(tx, workspaces.LISTING, paging, filters, answer=Workspace))


@ROUTES.get("/api/v1/workspaces/{workspace_id:uuid}", "Read a workspace", "workspace:read", problems=READS)
async def get_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """One workspace, deleted or not."""
    authority = request.user.over("workspace:read", organization_id)
    async with services.metadata.open(authority.scope, "workspaces.get") as tx:
        found = await workspaces.find_by_id(tx, workspace_id)
    return require_found(found, "workspace")


@ROUTES.patch("/api/v1/workspaces/{workspace_id:uuid}", "Change a workspace", "workspace:write", problems=WRITES)
async def change_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    data: JSONBody[WorkspaceChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """Change a workspace. Needs workspace:write organization-wide. Fields that are not given keep their values."""
    authority = request.user.over_organization("workspace:write", organization_id)
    return await rules.change_workspace(services.metadata, authority, workspace_id, given(data))


@ROUTES.delete("/api/v1/workspaces/{workspace_id:uuid}", "Delete a workspace", "workspace:delete", problems=WRITES)
async def delete_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Delete a workspace, but not the last one. Needs workspace:delete organization-wide. It can be restored for 90
    days.
    """
    authority = request.user.over_organization("workspace:delete", organization_id)
    await rules.delete_workspace(services.metadata, authority, workspace_id)


@ROUTES.post(
    "/api/v1/workspaces/{workspace_id:uuid}/restore",
    "Restore a workspace",
    "workspace:delete",
    problems=WRITES,
    status_code=200,
)
async def restore_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """Restore a deleted workspace."""
    authority = request.user.over_organization("workspace:delete", organization_id)
    return await rules.restore_workspace(services.metadata, authority, workspace_id, quota=services.quota)
