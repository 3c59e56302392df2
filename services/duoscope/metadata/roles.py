"""Roles: built-in ones that an organization's tenants share, and custom ones of a tenant."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Transaction

BUILT_IN = ("admin", "developer", "viewer", "demo", "service")


@dataclass(frozen=True, slots=True)
class Role:
    """A row of `roles`. `owner_id` is the tenant of a custom role, the organization of a built-in one."""

    organization_id: UUID
    role_id: UUID
    owner_id: UUID
    tenant_id: UUID | None
    name: str
    description: str
    role_type: str | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = "organization_id, role_id, owner_id, tenant_id, name, description, role_type, created_at, updated_at"


async def find(m: Transaction, name: str) -> Role | None:
    """The role of that name in the transaction's tenant: its own, or its organization's built-in one."""
    row = await m.fetchrow(
        f"SELECT {_COLUMNS} FROM roles WHERE organization_id = app_organization_id() "
        "AND owner_id IN (app_tenant_id(), app_organization_id()) AND name = $1 ORDER BY tenant_id IS NULL LIMIT 1",
        name,
    )
    return Role(**dict(row)) if row else None


async def list_all(m: Transaction) -> list[Role]:
    """Those the transaction may see."""
    rows = await m.fetch(f"SELECT {_COLUMNS} FROM roles ORDER BY role_type IS NULL, name")
    return [Role(**dict(row)) for row in rows]


async def assign(m: Transaction, user_id: UUID, role: Role, *, expires_at: datetime | None = None) -> None:
    """Give a user a role in the transaction's tenant. CONFLICT if they have it."""
    with taken("user-role", "role"):
        await m.execute(
            "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, role_id, "
            "role_owner_id, expires_at) VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), "
            "$1, $2, $3, $4, $5)",
            *(new_id(), user_id, role.role_id, role.owner_id, expires_at),
        )
