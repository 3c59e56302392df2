"""Workspaces: parts of an organization, made and removed by whoever may organization-wide."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.authentication import requires
from duoscope.api.bodies import Change, Code, DeletedAt, Description, IsActive, Name, Services, Settings, given
from duoscope.api.listing import (
    ActiveFilter,
    CodeFilter,
    DeletedFilter,
    NameFilter,
    OrganizationParameter,
    PagingDependency,
)
from duoscope.api.problems import documented
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import places
from duoscope.kernel.errors import not_found
from duoscope.metadata import workspaces
from duoscope.stores.postgres import Record

TAGS: Final = ["workspaces"]


class Workspace(Struct, frozen=True):
    """A part of an organization."""

    organization_id: UUID
    workspace_id: UUID
    name: Annotated[str, Meta(examples=["Shop"])]
    code: Annotated[str, Meta(examples=["shop"])]
    description: str
    datasource_config: Settings
    is_active: IsActive
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


class WorkspacePage(Struct, frozen=True):
    """Workspaces, and the cursor of the next page."""

    items: list[Workspace]
    next_cursor: str | None


class NewWorkspace(Struct, forbid_unknown_fields=True):
    """A workspace to be made."""

    name: Name
    code: Code | None = None
    description: Description = ""


class WorkspaceChange(Change):
    """What to change of a workspace."""

    name: Name | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    datasource_config: Settings | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


@post(
    "/api/v1/workspaces",
    guards=[requires("workspace:write")],
    tags=TAGS,
    summary="Make a workspace",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def create_workspace(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewWorkspace],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """For holders of workspace:write organization-wide. The code must be new in the organization."""
    authority = request.user.over_organization("workspace:write", organization_id)
    made = await places.create_workspace(
        services.metadata,
        authority,
        name=data.name,
        code=data.code or "",
        description=data.description,
        quota=services.quota,
    )
    return _shown(made)


@get(
    "/api/v1/workspaces",
    guards=[requires("workspace:read")],
    tags=TAGS,
    summary="List workspaces",
    responses=documented(400, 401, 403, 404, 503),
)
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
    """The one you are in; all of the organization, where workspace:read is held organization-wide.

    Sorts: created_at, name, code.
    """
    authority = request.user.over("workspace:read", organization_id)
    filters = {"name": name, "code": code, "is_active": is_active, "deleted": deleted}
    async with services.metadata.open(authority.scope, "workspaces.list") as tx:
        return WorkspacePage(*await listing.page(tx, workspaces.LISTING, paging, filters, _from_row))


@get(
    "/api/v1/workspaces/{workspace_id:uuid}",
    guards=[requires("workspace:read")],
    tags=TAGS,
    summary="Read a workspace",
    responses=documented(400, 401, 403, 404, 503),
)
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
    if found is None:
        raise not_found("workspace")
    return _shown(found)


@patch(
    "/api/v1/workspaces/{workspace_id:uuid}",
    guards=[requires("workspace:write")],
    tags=TAGS,
    summary="Change a workspace",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def change_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    data: JSONBody[WorkspaceChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """For holders of workspace:write organization-wide. Fields that are not given stay."""
    authority = request.user.over_organization("workspace:write", organization_id)
    return _shown(await places.change_workspace(services.metadata, authority, workspace_id, given(data)))


@delete(
    "/api/v1/workspaces/{workspace_id:uuid}",
    guards=[requires("workspace:delete")],
    tags=TAGS,
    summary="Delete a workspace",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def delete_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """For holders of workspace:delete organization-wide; not the last one. It can be restored for 90 days."""
    authority = request.user.over_organization("workspace:delete", organization_id)
    await places.delete_workspace(services.metadata, authority, workspace_id)


@post(
    "/api/v1/workspaces/{workspace_id:uuid}/restore",
    status_code=200,
    guards=[requires("workspace:delete")],
    tags=TAGS,
    summary="Restore a workspace",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def restore_workspace(
    request: Request[Principal, Any, Any],
    workspace_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Workspace:
    """Take a deletion back."""
    authority = request.user.over_organization("workspace:delete", organization_id)
    return _shown(await places.restore_workspace(services.metadata, authority, workspace_id, quota=services.quota))


def _shown(workspace: workspaces.Workspace) -> Workspace:
    return msgspec.convert(workspace, Workspace, from_attributes=True)


def _from_row(row: Record) -> Workspace:
    return _shown(workspaces.from_row(row))


ROUTES: Final = (
    create_workspace,
    list_workspaces,
    get_workspace,
    change_workspace,
    delete_workspace,
    restore_workspace,
)
