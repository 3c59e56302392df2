"""Roles: built-in ones, which an organization's tenants share, and custom ones, of the organization or of one
tenant.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction

BUILT_IN = ("admin", "developer", "viewer", "demo", "service")


@dataclass(frozen=True, slots=True)
class Role:
    """A row of `roles` with its permissions. `owner_id` is the tenant or the organization that it belongs to."""

    organization_id: UUID
    role_id: UUID
    owner_id: UUID
    workspace_id: UUID | None
    tenant_id: UUID | None
    name: str
    description: str
    role_type: str | None
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime
    permissions: tuple[str, ...]


_COLUMNS: Final[LiteralString] = (
    "organization_id, role_id, owner_id, workspace_id, tenant_id, name, description, role_type, deleted_at, "
    "created_at, updated_at, ARRAY(SELECT p.name FROM role_permissions rp JOIN permissions p USING (permission_id) "
    "WHERE rp.organization_id = roles.organization_id AND rp.role_id = roles.role_id ORDER BY p.name) AS permissions"
)

LISTING: Final = Listing(
    name="roles",
    select=f"SELECT {_COLUMNS} FROM roles",
    key="role_id",
    sorts={"name": str, "created_at": datetime},
    filters={
        "deleted": IS_DELETED,
        "name": "strpos(lower(name), lower(?)) > 0",
        "tenant_id": "tenant_id = ?",
        "is_built_in": "(role_type IS NOT NULL) = ?",
    },
)


def from_row(row: Record) -> Role:
    """Build a Role from a row of the listing or of the table."""
    values: dict[str, Any] = dict(row)
    values["permissions"] = tuple(values["permissions"])
    return Role(**values)


async def find(tx: Transaction, name: str) -> Role | None:
    """The role with that name in the transaction's tenant: its own, or its organization's."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM roles WHERE organization_id = app_organization_id() AND deleted_at IS NULL "
        "AND owner_id IN (app_tenant_id(), app_organization_id()) AND name = $1 ORDER BY tenant_id IS NULL LIMIT 1",
        name,
    )
    return from_row(row) if row else None


async def get(tx: Transaction, role_id: UUID) -> Role | None:
    """The role, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM roles WHERE role_id = $1", role_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, role_id: UUID) -> Role | None:
    """The role, deleted or not, locked for a change. None also if the transaction sees it but may not change it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM roles WHERE role_id = $1 FOR UPDATE", role_id)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Role]:
    """The roles that the transaction may see."""
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM roles WHERE deleted_at IS NULL ORDER BY role_type IS NULL, name")
    return [from_row(row) for row in rows]


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    workspace_id: UUID | None,
    tenant_id: UUID | None,
    name: str,
    description: str,
    permissions: frozenset[str],
) -> Role:
    """Create a custom role. Raises CONFLICT if the tenant, or the organization, already has a role of that name."""
    role_id = new_id()
    with taken("role", "name"):
        await tx.execute(
            "INSERT INTO roles (organization_id, role_id, workspace_id, tenant_id, name, description) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            *(organization_id, role_id, workspace_id, tenant_id, name, description),
        )
    owner_id = tenant_id or organization_id
    await _set_permissions(tx, permissions, organization_id=organization_id, owner_id=owner_id, role_id=role_id)
    made = await get(tx, role_id)
    assert made is not None
    return made


async def save(tx: Transaction, role: Role) -> Role:
    """Save name, description and permissions of a custom role. Raises CONFLICT for a name that is taken."""
    with taken("role", "name"):
        await tx.execute(
            "UPDATE roles SET name = $2, description = $3 WHERE role_id = $1",
            *(role.role_id, role.name, role.description),
        )
    await tx.execute(
        "DELETE FROM role_permissions WHERE organization_id = $1 AND role_id = $2 AND permission_id NOT IN "
        "(SELECT permission_id FROM permissions WHERE name = ANY($3))",
        *(role.organization_id, role.role_id, list(role.permissions)),
    )
    await _set_permissions(
        tx,
        frozenset(role.permissions),
        organization_id=role.organization_id,
        owner_id=role.owner_id,
        role_id=role.role_id,
    )
    saved = await get(tx, role.role_id)
    assert saved is not None
    return saved


async def _set_permissions(
    tx: Transaction, permissions: frozenset[str], *, organization_id: UUID, owner_id: UUID, role_id: UUID
) -> None:
    await tx.execute(
        "INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id) "
        "SELECT $1, $2, $3, permission_id FROM permissions WHERE name = ANY($4) ON CONFLICT DO NOTHING",
        *(organization_id, owner_id, role_id, sorted(permissions)),
    )


async def assign(tx: Transaction, user_id: UUID, role: Role, *, expires_at: datetime | None = None) -> None:
    """Give a user a role in the transaction's tenant. Raises CONFLICT if they already have it."""
    with taken("user-role", "role"):
        await tx.execute(
            "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, role_id, "
            "role_owner_id, expires_at) VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), "
            "$1, $2, $3, $4, $5)",
            *(new_id(), user_id, role.role_id, role.owner_id, expires_at),
        )
