"""Organizations. Platform admins create and remove them; each changes its own name and settings."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Code, Description, Name, Services, given
from duoscope.api.listing import ActiveFilter, CodeFilter, DeletedFilter, NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import organizations as rules
from duoscope.kernel.errors import require_found
from duoscope.metadata import organizations
from duoscope.metadata.columns import IsActive, Settings
from duoscope.metadata.organizations import Organization

ROUTES: Final = Routes("organizations")


class NewOrganization(Struct, forbid_unknown_fields=True):
    """An organization to be created, with its first workspace and tenant."""

    name: Name
    region_id: UUID
    code: Code | None = None
    description: Description = ""
    workspace: Annotated[Name, Meta(description="Name of its first workspace.")] = "Default"
    tenant: Annotated[Name, Meta(description="Name of its first tenant, to log in to.")] = "Default"
    mfa_required: Annotated[
        bool, Meta(description="Whether its users need a second factor; it may change this setting itself.")
    ] = True


class MadeOrganization(Struct, frozen=True):
    """A new organization, with the tenant where its first users log in."""

    organization: Organization
    workspace_id: UUID
    tenant_id: UUID


class OrganizationChange(Change):
    """The changes of an organization. Region, code and activity are for platform admins."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    settings: Settings | UnsetType = UNSET
    region_id: UUID | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


class OrganizationPage(Struct, frozen=True):
    """One page of organizations, and the cursor of the next page."""

    items: list[Organization]
    next_cursor: str | None


@ROUTES.post("/api/v1/organizations", "Create an organization", "organization:admin", problems=WRITES)
async def create_organization(
    request: Request[Principal, Any, Any], data: JSONBody[NewOrganization], services: Services
) -> MadeOrganization:
    """Create an organization. For platform admins only. It gets the built-in roles, a workspace and a tenant; invite
    its first admin next.
    """
    made = await rules.create_organization(
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
    return MadeOrganization(made.organization, made.workspace.workspace_id, made.tenant.tenant_id)


@ROUTES.get("/api/v1/organizations", "List organizations", "organization:read", problems=LISTS)
async def list_organizations(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    code: CodeFilter = None,
    region_id: Annotated[UUID | None, QueryParameter(description="Organizations of this region.")] = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
) -> OrganizationPage:
    """List your own organization; all, for platform admins. Sorts: created_at, name, code."""
    filters = {"name": name, "code": code, "region_id": region_id, "is_active": is_active, "deleted": deleted}
    async with rules.organizations_of(services.metadata, request.user) as tx:
        return OrganizationPage(*await listing.page(tx, organizations.LISTING, paging, filters, answer=Organization))


@ROUTES.get("/api/v1/organizations/{organization_id:uuid}", "Read an organization", "organization:read", problems=READS)
async def get_organization(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> Organization:
    """Your own organization; any, for platform admins."""
    async with rules.organizations_of(services.metadata, request.user) as tx:
        found = await organizations.find_by_id(tx, organization_id)
    return require_found(found, "organization")


@ROUTES.patch(
    "/api/v1/organizations/{organization_id:uuid}", "Change an organization", "organization:write", problems=WRITES
)
async def change_organization(
    request: Request[Principal, Any, Any],
    organization_id: FromPath[UUID],
    data: JSONBody[OrganizationChange],
    services: Services,
) -> Organization:
    """Change an organization. Needs organization:write organization-wide. Fields that are not given keep their values.

    Settings are replaced as a whole, except `mfa_required`, whether its users need a second factor: it stays until
    given.
    """
    return await rules.change_organization(services.metadata, request.user, organization_id, given(data))


@ROUTES.delete(
    "/api/v1/organizations/{organization_id:uuid}", "Delete an organization", "organization:delete", problems=WRITES
)
async def delete_organization(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> None:
    """Delete an organization. For platform admins only. None of its users can log in, and none of its keys can send. It
    can be restored for 90 days.
    """
    await rules.delete_organization(services.metadata, request.user, organization_id)


@ROUTES.post(
    "/api/v1/organizations/{organization_id:uuid}/restore",
    "Restore an organization",
    "organization:delete",
    problems=WRITES,
    status_code=200,
)
async def restore_organization(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> Organization:
    """Restore a deleted organization."""
    return await rules.restore_organization(services.metadata, request.user, organization_id)
