"""Role assignments: user, role, tenant, expiry. Without a tenant, a role is held in every tenant of the
organization.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import Listing
from duoscope.metadata.roles import Role
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class UserRole:
    """A row of `user_roles`, with the name of the role and its permissions."""

    organization_id: UUID
    workspace_id: UUID | None
    tenant_id: UUID | None
    user_role_id: UUID
    user_id: UUID
    role_id: UUID
    role_name: str
    role_type: str | None
    assigned_at: datetime
    expires_at: datetime | None
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """An assignment as shown to an operator. Without a tenant it is organization-wide."""

    organization: str
    email: str
    role: str
    workspace: str | None
    tenant: str | None
    expires_at: datetime | None
    is_active: bool
    is_platform_admin: bool


_SELECT: Final[LiteralString] = (
    "SELECT ur.organization_id, ur.workspace_id, ur.tenant_id, ur.user_role_id, ur.user_id, ur.role_id, "
    "r.name AS role_name, r.role_type, ur.assigned_at, ur.expires_at, ARRAY(SELECT p.name FROM role_permissions rp "
    "JOIN permissions p USING (permission_id) WHERE rp.organization_id = ur.organization_id "
    "AND rp.role_id = ur.role_id ORDER BY p.name) AS permissions "
    "FROM user_roles ur JOIN roles r ON r.organization_id = ur.organization_id AND r.role_id = ur.role_id "
    "AND r.deleted_at IS NULL"
)
LISTING: Final = Listing(
    name="user_roles",
    select=_SELECT,
    key="user_role_id",
    sorts={"assigned_at": datetime},
    filters={"user_id": "ur.user_id = ?", "role_id": "ur.role_id = ?", "tenant_id": "ur.tenant_id = ?"},
)


def from_row(row: Record) -> UserRole:
    """Build a UserRole from a row of the listing."""
    values: dict[str, Any] = dict(row)
    values["permissions"] = tuple(values["permissions"])
    return UserRole(**values)


async def get(tx: Transaction, *, user_id: UUID, user_role_id: UUID) -> UserRole | None:
    """Return an assignment of the user, or None if the transaction sees no such assignment."""
    row = await tx.fetchrow(_SELECT + " WHERE ur.user_id = $1 AND ur.user_role_id = $2", user_id, user_role_id)
    return from_row(row) if row else None


async def has(tx: Transaction, *, user_id: UUID, role_id: UUID, tenant_id: UUID | None) -> bool:
    """Return whether the user has the role in that tenant or, for None, organization-wide, be it expired or not."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM user_roles WHERE user_id = $1 AND role_id = $2 "
            "AND tenant_id IS NOT DISTINCT FROM $3)",
            *(user_id, role_id, tenant_id),
        )
    )


async def of_user(tx: Transaction, user_id: UUID) -> list[UserRole]:
    """The assignments that the transaction may see and that have not expired."""
    rows = await tx.fetch(_SELECT + " WHERE ur.user_id = $1 AND coalesce(ur.expires_at > now(), true)", user_id)
    return [from_row(row) for row in rows]


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    workspace_id: UUID | None,
    tenant_id: UUID | None,
    user_id: UUID,
    role: Role,
    expires_at: datetime | None = None,
) -> UserRole:
    """Give a user a role. Raises CONFLICT if they already have it there."""
    user_role_id = new_id()
    with taken("user-role", "role in this place"):
        await tx.execute(
            "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, role_id, "
            "role_owner_id, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            *(organization_id, workspace_id, tenant_id, user_role_id, user_id, role.role_id, role.owner_id, expires_at),
        )
    made = await get(tx, user_id=user_id, user_role_id=user_role_id)
    assert made is not None
    return made


async def set_expiry(tx: Transaction, user_role_id: UUID, expires_at: datetime | None) -> bool:
    """Set the expiry. Returns False if the transaction may not, or sees no such assignment."""
    return (
        await tx.execute("UPDATE user_roles SET expires_at = $2 WHERE user_role_id = $1", user_role_id, expires_at) > 0
    )


async def delete(tx: Transaction, user_role_id: UUID) -> bool:
    """Remove an assignment. Returns False if the transaction may not, or sees no such assignment."""
    return await tx.execute("DELETE FROM user_roles WHERE user_role_id = $1", user_role_id) > 0


async def leaves_no_admin(tx: Transaction, user_id: UUID, *, user_role_id: UUID | None = None) -> bool:
    """Whether a tenant, or the organization, would have no admin without the user, or without one assignment.

    An admin is an active user who holds the built-in role without an expiry: in the tenant or organization-wide. The
    organization's own admins hold it organization-wide.
    """
    return bool(
        await tx.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM user_roles mine
                JOIN roles r ON r.organization_id = mine.organization_id AND r.role_id = mine.role_id
                WHERE mine.user_id = $1 AND ($2::uuid IS NULL OR mine.user_role_id = $2) AND mine.expires_at IS NULL
                    AND r.role_type = 'admin'
                    AND (mine.tenant_id IS NULL OR EXISTS (
                        SELECT FROM tenants t WHERE t.tenant_id = mine.tenant_id AND t.deleted_at IS NULL))
                    AND NOT EXISTS (
                        SELECT FROM user_roles other
                        JOIN users u ON u.organization_id = other.organization_id AND u.user_id = other.user_id
                        WHERE other.organization_id = mine.organization_id AND other.role_id = mine.role_id
                            AND other.expires_at IS NULL AND other.user_role_id <> mine.user_role_id
                            AND ($2::uuid IS NOT NULL OR other.user_id <> $1)
                            AND (other.tenant_id IS NULL OR other.tenant_id = mine.tenant_id)
                            AND u.is_active AND NOT u.is_locked AND u.deleted_at IS NULL
                    )
            )
            """,
            *(user_id, user_role_id),
        )
    )


async def list_access(tx: Transaction, organization: str | None) -> list[Assignment]:
    """The assignments of existing users, in all organizations or in the one with that code. Needs a platform
    transaction.
    """
    rows = await tx.fetch(
        """
        SELECT o.code AS organization, u.email, r.name AS role, w.name AS workspace, t.name AS tenant, ur.expires_at,
            u.is_active AND NOT u.is_locked AS is_active, u.is_platform_admin
        FROM user_roles ur
        JOIN organizations o ON o.organization_id = ur.organization_id AND o.deleted_at IS NULL
        JOIN users u ON u.organization_id = ur.organization_id AND u.user_id = ur.user_id AND u.deleted_at IS NULL
        JOIN roles r ON r.organization_id = ur.organization_id AND r.role_id = ur.role_id AND r.deleted_at IS NULL
        LEFT JOIN tenants t ON t.organization_id = ur.organization_id AND t.tenant_id = ur.tenant_id
        LEFT JOIN workspaces w ON w.organization_id = t.organization_id AND w.workspace_id = t.workspace_id
        WHERE ($1::text IS NULL OR o.code = $1) AND coalesce(ur.expires_at > now(), true)
        ORDER BY o.code, u.email, w.name NULLS FIRST, t.name, r.name
        """,
        organization,
    )
    return [Assignment(**dict(row)) for row in rows]
