"""Organizations: whom the platform serves. Its admins make and remove them; each changes its own name and settings."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.authentication import requires
from duoscope.api.bodies import Change, Code, DeletedAt, Description, IsActive, Name, Services, Settings, given
from duoscope.api.listing import ActiveFilter, CodeFilter, DeletedFilter, NameFilter, PagingDependency
from duoscope.api.problems import documented
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import platform
from duoscope.kernel.errors import not_found
from duoscope.metadata import organizations
from duoscope.stores.postgres import Record

TAGS: Final = ["organizations"]


class Organization(Struct, frozen=True):
    """One that the platform serves."""

    organization_id: UUID
    region_id: UUID
    name: Annotated[str, Meta(examples=["Acme"])]
    code: Annotated[str, Meta(examples=["acme"])]
    description: str
    settings: Settings
    is_active: IsActive
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


class NewOrganization(Struct, forbid_unknown_fields=True):
    """An organization to be made, with its first workspace and tenant."""

    name: Name
    region_id: UUID
    code: Code | None = None
    description: Description = ""
    workspace: Annotated[Name, Meta(description="Name of its first workspace.")] = "Default"
    tenant: Annotated[Name, Meta(description="Name of its first tenant, to log in to.")] = "Default"
    mfa_required: Annotated[
        bool, Meta(description="Whether its people need a second factor; a setting that it may change itself.")
    ] = True


class MadeOrganization(Struct, frozen=True):
    """A new organization, and where its first people log in."""

    organization: Organization
    workspace_id: UUID
    tenant_id: UUID


class OrganizationChange(Change):
    """What to change of an organization. Region, code and activity are for platform admins."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    settings: Settings | UnsetType = UNSET
    region_id: UUID | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


class OrganizationPage(Struct, frozen=True):
    """Organizations, and the cursor of the next page."""

    items: list[Organization]
    next_cursor: str | None


@post(
    "/api/v1/organizations",
    guards=[requires("organization:admin")],
    tags=TAGS,
    summary="Make an organization",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def create_organization(
    request: Request[Principal, Any, Any], data: JSONBody[NewOrganization], services: Services
) -> MadeOrganization:
    """For platform admins. It comes with the built-in roles, a workspace and a tenant; invite its first admin next."""
    made = await platform.create_organization(
        services.metadata,
        request.user,
        region_id=data.region_id,
        name=data.name,
        code=data.code or "",
        description=data.description,
        workspace=data.workspace,
        tenant=data.tenant,
        mfa_required=data.mfa_required,
    )
    return MadeOrganization(_shown(made.organization), made.workspace.workspace_id, made.tenant.tenant_id)


@get(
    "/api/v1/organizations",
    guards=[requires("organization:read")],
    tags=TAGS,
    summary="List organizations",
    responses=documented(400, 401, 403, 503),
)
async def list_organizations(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    code: CodeFilter = None,
    region_id: Annotated[UUID | None, QueryParameter(description="Those of one region.")] = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
) -> OrganizationPage:
    """Your own; all, for platform admins. Sorts: created_at, name, code."""
    filters = {"name": name, "code": code, "region_id": region_id, "is_active": is_active, "deleted": deleted}
    async with platform.organizations_of(services.metadata, request.user) as tx:
        return OrganizationPage(*await listing.page(tx, organizations.LISTING, paging, filters, _from_row))


@get(
    "/api/v1/organizations/{organization_id:uuid}",
    guards=[requires("organization:read")],
    tags=TAGS,
    summary="Read an organization",
    responses=documented(400, 401, 403, 404, 503),
)
async def get_organization(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> Organization:
    """Your own; any, for platform admins."""
    async with platform.organizations_of(services.metadata, request.user) as tx:
        found = await organizations.find_by_id(tx, organization_id)
    if found is None:
        raise not_found("organization")
    return _shown(found)


@patch(
    "/api/v1/organizations/{organization_id:uuid}",
    guards=[requires("organization:write")],
    tags=TAGS,
    summary="Change an organization",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def change_organization(
    request: Request[Principal, Any, Any],
    organization_id: FromPath[UUID],
    data: JSONBody[OrganizationChange],
    services: Services,
) -> Organization:
    """For holders of organization:write organization-wide. Fields that are not given stay.

    Settings are replaced whole, but for `mfa_required`, whether its people need a second factor: it stays until given.
    """
    return _shown(await platform.change_organization(services.metadata, request.user, organization_id, given(data)))


@delete(
    "/api/v1/organizations/{organization_id:uuid}",
    guards=[requires("organization:delete")],
    tags=TAGS,
    summary="Delete an organization",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def delete_organization(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> None:
    """For platform admins. Nobody of it can log in or send any more. It can be restored for 90 days."""
    await platform.delete_organization(services.metadata, request.user, organization_id)


@post(
    "/api/v1/organizations/{organization_id:uuid}/restore",
    status_code=200,
    guards=[requires("organization:delete")],
    tags=TAGS,
    summary="Restore an organization",
    responses=documented(400, 401, 403, 404, 409, 503),
)
async def restore_organization(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> Organization:
    """Take a deletion back."""
    return _shown(await platform.restore_organization(services.metadata, request.user, organization_id))


def _shown(organization: organizations.Organization) -> Organization:
    return msgspec.convert(organization, Organization, from_attributes=True)


def _from_row(row: Record) -> Organization:
    return _shown(organizations.from_row(row))


ROUTES: Final = (
    create_organization,
    list_organizations,
    get_organization,
    change_organization,
    delete_organization,
    restore_organization,
)
