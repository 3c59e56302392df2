"""Tenants: the units of isolation. The organization creates and removes them; each changes some of its own fields."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Code, Name, RetentionDays, Services, ShortText, given, shown
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
from duoscope.identity.directory import tenants as rules
from duoscope.kernel.errors import require_found
from duoscope.metadata import tenants
from duoscope.metadata.columns import DeletedAt, IsActive

ROUTES: Final = Routes("tenants")


class Tenant(Struct, frozen=True):
    """A part of a workspace that is isolated from all others."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    name: Annotated[str, Meta(examples=["Production"])]
    code: Annotated[str, Meta(examples=["production"])]
    domain: Annotated[str, Meta(examples=["shop.example.com"])]
    retention_days: RetentionDays
    is_active: IsActive
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


class TenantPage(Struct, frozen=True):
    """One page of tenants, and the cursor of the next page."""

    items: list[Tenant]
    next_cursor: str | None


class NewTenant(Struct, forbid_unknown_fields=True):
    """A tenant to be created."""

    workspace_id: UUID
    name: Name
    code: Code | None = None
    domain: Annotated[ShortText, Meta(examples=["shop.example.com"])] = ""
    retention_days: RetentionDays = 30


class TenantChange(Change):
    """The changes of a tenant. Only the organization can change code and activity."""

    name: Name | UnsetType = UNSET
    domain: Annotated[ShortText, Meta(examples=["shop.example.com"])] | UnsetType = UNSET
    retention_days: RetentionDays | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


@ROUTES.post("/api/v1/tenants", "Create a tenant", "tenant:write", problems=WRITES)
async def create_tenant(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewTenant],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Tenant:
    """Create a tenant. Needs tenant:write organization-wide. The code must be new in the workspace."""
    authority = request.user.over_organization("tenant:write", organization_id)
    made = await rules.create_tenant(
        services.metadata,
        authority,
        workspace_id=data.workspace_id,
        name=data.name,
        code=data.code or "",
        domain=data.domain,
        retention_days=data.retention_days,
        quota=services.quota,
    )
    return shown(made, Tenant)


@ROUTES.get("/api/v1/tenants", "List tenants", "tenant:read", problems=READS)
async def list_tenants(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    code: CodeFilter = None,
    workspace_id: Annotated[UUID | None, QueryParameter(description="Tenants of this workspace.")] = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
    organization_id: OrganizationParameter = None,
) -> TenantPage:
    """List the tenant you are in; all of the organization, if you hold tenant:read organization-wide.

    Sorts: created_at, name, code.
    """
    authority = request.user.over("tenant:read", organization_id)
    filters = {"name": name, "code": code, "workspace_id": workspace_id, "is_active": is_active, "deleted": deleted}
    async with services.metadata.open(authority.scope, "tenants.list") as tx:
        return TenantPage(
            *await listing.page(tx, tenants.LISTING, paging, filters, answer=Tenant, read=tenants.from_row)
        )


@ROUTES.get("/api/v1/tenants/{tenant_id:uuid}", "Read a tenant", "tenant:read", problems=READS)
async def get_tenant(
    request: Request[Principal, Any, Any],
    tenant_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Tenant:
    """One tenant, deleted or not."""
    authority = request.user.over("tenant:read", organization_id)
    async with services.metadata.open(authority.scope, "tenants.get") as tx:
        found = await tenants.find_by_id(tx, tenant_id)
    found = require_found(found, "tenant")
    return shown(found, Tenant)


@ROUTES.patch("/api/v1/tenants/{tenant_id:uuid}", "Change a tenant", "tenant:write", problems=WRITES)
async def change_tenant(
    request: Request[Principal, Any, Any],
    tenant_id: FromPath[UUID],
    data: JSONBody[TenantChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Tenant:
    """Change a tenant: its admins change their own, the organization's admins any. Fields that are not given keep their
    values.
    """
    authority = request.user.over("tenant:write", organization_id)
    return shown(await rules.change_tenant(services.metadata, authority, tenant_id, given(data)), Tenant)


@ROUTES.delete("/api/v1/tenants/{tenant_id:uuid}", "Delete a tenant", "tenant:delete", problems=WRITES)
async def delete_tenant(
    request: Request[Principal, Any, Any],
    tenant_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Delete a tenant, but not the last one. Needs tenant:delete organization-wide. It can be restored for 90 days."""
    authority = request.user.over_organization("tenant:delete", organization_id)
    await rules.delete_tenant(services.metadata, authority, tenant_id)


@ROUTES.post(
    "/api/v1/tenants/{tenant_id:uuid}/restore", "Restore a tenant", "tenant:delete", problems=WRITES, status_code=200
)
async def restore_tenant(
    request: Request[Principal, Any, Any],
    tenant_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Tenant:
    """Restore a deleted tenant."""
    authority = request.user.over_organization("tenant:delete", organization_id)
    return shown(await rules.restore_tenant(services.metadata, authority, tenant_id, quota=services.quota), Tenant)
