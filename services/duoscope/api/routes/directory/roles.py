"""Roles: the built-in ones, which cannot be changed, and custom ones of the organization or of one tenant."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Description, Name, Services, given, shown
from duoscope.api.listing import DeletedFilter, NameFilter, OrganizationParameter, PagingDependency
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import roles as rules
from duoscope.kernel.errors import require_found
from duoscope.metadata import roles
from duoscope.metadata.columns import DeletedAt

ROUTES: Final = Routes("roles")

Permissions = Annotated[
    list[str],
    Meta(
        max_length=200,
        description="Names as in GET /api/v1/permissions, without platform permissions.",
        examples=[["log:read", "trace:read"]],
    ),
]


class Role(Struct, frozen=True):
    """A named set of permissions."""

    organization_id: UUID
    role_id: UUID
    workspace_id: UUID | None
    tenant_id: Annotated[UUID | None, Meta(description="Tenant that owns the role; null for the organization.")]
    name: Annotated[str, Meta(examples=["on-call"])]
    description: str
    role_type: Annotated[
        str | None, Meta(description="Name of the built-in role: admin, developer, viewer, demo, service.")
    ]
    permissions: Annotated[tuple[str, ...], Meta(examples=[["log:read", "trace:read"]])]
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


class RolePage(Struct, frozen=True):
    """One page of roles, and the cursor of the next page."""

    items: list[Role]
    next_cursor: str | None


class NewRole(Struct, forbid_unknown_fields=True):
    """A role to be created."""

    name: Name
    permissions: Permissions
    description: Description = ""
    tenant_id: Annotated[
        UUID | None,
        Meta(
            description="Tenant that owns the role; by default the organization, or, for a tenant's admin, the tenant."
        ),
    ] = None


class RoleChange(Change):
    """The changes of a custom role. `permissions` is the whole set."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    permissions: Permissions | UnsetType = UNSET


@ROUTES.post("/api/v1/roles", "Create a role", "role:write", problems=WRITES)
async def create_role(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewRole],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Role:
    """Create a custom role. It can contain only what you hold in the same place."""
    authority = request.user.over("role:write", organization_id)
    made = await rules.create(
        services.metadata,
        authority,
        tenant_id=data.tenant_id,
        name=data.name,
        description=data.description,
        permissions=rules.check_permissions(data.permissions),
        quota=services.quota,
    )
    return shown(made, Role)


@ROUTES.get("/api/v1/roles", "List roles", "role:read", problems=READS)
async def list_roles(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    tenant_id: Annotated[UUID | None, QueryParameter(description="Custom roles of this tenant.")] = None,
    is_built_in: Annotated[bool | None, QueryParameter(description="Whether to list built-in or custom ones.")] = None,
    deleted: DeletedFilter = False,
    organization_id: OrganizationParameter = None,
) -> RolePage:
    """List the built-in roles, the organization's, and the tenant's own; all, if you hold role:read organization-wide.

    Sorts: name, created_at.
    """
    authority = request.user.over("role:read", organization_id)
    filters = {"name": name, "tenant_id": tenant_id, "is_built_in": is_built_in, "deleted": deleted}
    async with services.metadata.open(authority.scope, "roles.list") as tx:
        return RolePage(*await listing.page(tx, roles.LISTING, paging, filters, answer=Role))


@ROUTES.get("/api/v1/roles/{role_id:uuid}", "Read a role", "role:read", problems=READS)
async def get_role(
    request: Request[Principal, Any, Any],
    role_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Role:
    """One role with its permissions, deleted or not."""
    authority = request.user.over("role:read", organization_id)
    async with services.metadata.open(authority.scope, "roles.get") as tx:
        found = await roles.get(tx, role_id)
    found = require_found(found, "role")
    return shown(found, Role)


@ROUTES.patch("/api/v1/roles/{role_id:uuid}", "Change a role", "role:write", problems=WRITES)
async def change_role(
    request: Request[Principal, Any, Any],
    role_id: FromPath[UUID],
    data: JSONBody[RoleChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Role:
    """Change a custom role, at once for everyone who holds it. You must hold everything that it had and will have."""
    authority = request.user.over("role:write", organization_id)
    changes = given(data)
    if "permissions" in changes:
        changes["permissions"] = tuple(sorted(rules.check_permissions(changes["permissions"])))
    return shown(await rules.change(services.metadata, authority, role_id, changes), Role)


@ROUTES.delete("/api/v1/roles/{role_id:uuid}", "Delete a role", "role:delete", problems=WRITES)
async def delete_role(
    request: Request[Principal, Any, Any],
    role_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Delete a custom role: it gives nothing any more, at once. It can be restored for 90 days, and its name stays
    taken until then.
    """
    authority = request.user.over("role:delete", organization_id)
    await rules.delete(services.metadata, authority, role_id)


@ROUTES.post("/api/v1/roles/{role_id:uuid}/restore", "Restore a role", "role:delete", problems=WRITES, status_code=200)
async def restore_role(
    request: Request[Principal, Any, Any],
    role_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Role:
    """Restore a deleted role: everyone who held it holds it again."""
    authority = request.user.over("role:delete", organization_id)
    return shown(await rules.restore(services.metadata, authority, role_id, quota=services.quota), Role)
