"""Permissions: the fixed list of `resource:action`, and which of them a user holds where."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.refs import UserRef
from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Record, Transaction


class Permission(Struct, frozen=True):
    """Something that can be permitted."""

    permission_id: UUID
    resource: Annotated[str, Meta(examples=["log"])]
    action: Annotated[str, Meta(examples=["read"])]
    name: Annotated[str, Meta(examples=["log:read"])]
    description: str
    is_platform: Annotated[bool, Meta(description="Held by platform admins; no role can contain it.")]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """The permissions of a user in one tenant, with names such as `log:read`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    permissions: frozenset[str]


LISTING: Final = Listing(
    name="permissions",
    select="SELECT * FROM permissions",
    key="permission_id",
    sorts={"name": str},
    filters={"resource": "resource = ?", "action": "action = ?"},
)


def from_row(row: Record) -> Permission:
    """Build a Permission from a row of the listing or of the table."""
    return Permission(**dict(row))


async def get(tx: Transaction, permission_id: UUID) -> Permission | None:
    """One permission by its id."""
    row = await tx.fetchrow("SELECT * FROM permissions WHERE permission_id = $1", permission_id)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Permission]:
    """All permissions."""
    return [from_row(row) for row in await tx.fetch("SELECT * FROM permissions ORDER BY name")]


class Place(Struct, frozen=True):
    """A tenant in which a user holds a role, with the names that people know it by."""

    workspace_id: UUID
    workspace_name: Annotated[str, Meta(examples=["Shop"])]
    tenant_id: UUID
    tenant_name: Annotated[str, Meta(examples=["Production"])]
    permissions: Annotated[list[str], Meta(examples=[["log:read"]])]


async def places_of(tx: Transaction, user: UserRef) -> list[Place]:
    """Return the tenants that `grants_of` finds, with their names; needs a transaction of the organization."""
    grants = {grant.tenant_id: grant for grant in await grants_of(tx, user)}
    rows = await tx.fetch(
        "SELECT w.workspace_id, w.name AS workspace_name, t.tenant_id, t.name AS tenant_name "
        "FROM tenants t JOIN workspaces w USING (organization_id, workspace_id) WHERE t.tenant_id = ANY($1) "
        "ORDER BY w.name, t.name, t.tenant_id",
        list(grants),
    )
    return [Place(**dict(row), permissions=sorted(grants[row["tenant_id"]].permissions)) for row in rows]


@dataclass(frozen=True, slots=True)
class Held:
    """The permissions of a user in the transaction's tenant; `organization_permissions` are held organization-wide.

    `ends` and `organization_ends` have the expiry of those that expire; `own_limits` are the tenant's.
    """

    email: str
    is_platform_admin: bool
    permissions: frozenset[str]
    organization_permissions: frozenset[str]
    ends: dict[str, datetime]
    organization_ends: dict[str, datetime]
    own_limits: dict[str, int]


async def held(tx: Transaction, user_id: UUID) -> Held | None:
    """The current permissions of an active user in the transaction's tenant. None if user, tenant, workspace or
    organization is inactive or deleted.
    """
    row = await tx.fetchrow(
        """
        WITH granted AS (
            SELECT p.name, ur.tenant_id IS NULL AS is_everywhere,
                CASE WHEN bool_and(ur.expires_at IS NOT NULL) THEN max(ur.expires_at) END AS ends_at
            FROM user_roles ur
            JOIN roles r ON r.organization_id = ur.organization_id AND r.role_id = ur.role_id AND r.deleted_at IS NULL
            JOIN role_permissions rp
                ON rp.organization_id = ur.organization_id AND rp.role_owner_id = ur.role_owner_id
                AND rp.role_id = ur.role_id
            JOIN permissions p ON p.permission_id = rp.permission_id
            WHERE ur.organization_id = app_organization_id() AND ur.user_id = $1
                AND (ur.tenant_id = app_tenant_id() OR ur.tenant_id IS NULL) AND coalesce(ur.expires_at > now(), true)
            GROUP BY 1, 2
        ), here AS (
            SELECT name, CASE WHEN bool_and(ends_at IS NOT NULL) THEN max(ends_at) END AS ends_at
            FROM granted GROUP BY 1
        )
        SELECT u.email, u.is_platform_admin, t.settings -> 'limits' AS own_limits,
            ARRAY(SELECT name FROM here) AS permissions,
            ARRAY(SELECT name FROM granted WHERE is_everywhere) AS organization_permissions,
            ARRAY(SELECT (name, ends_at) FROM here WHERE ends_at IS NOT NULL) AS ends,
            ARRAY(SELECT (name, ends_at) FROM granted WHERE is_everywhere AND ends_at IS NOT NULL) AS organization_ends
        FROM users u
        JOIN organizations o USING (organization_id)
        JOIN workspaces w ON w.organization_id = u.organization_id AND w.workspace_id = app_workspace_id()
        JOIN tenants t ON t.organization_id = w.organization_id AND t.workspace_id = w.workspace_id
            AND t.tenant_id = app_tenant_id()
        WHERE u.organization_id = app_organization_id() AND u.user_id = $1
            AND u.is_active AND NOT u.is_locked AND u.deleted_at IS NULL AND o.is_active AND o.deleted_at IS NULL
            AND w.is_active AND w.deleted_at IS NULL AND t.is_active AND t.deleted_at IS NULL
        """,
        user_id,
    )
    if row is None:
        return None
    return Held(
        row["email"],
        row["is_platform_admin"],
        frozenset(row["permissions"]),
        frozenset(row["organization_permissions"]),
        dict(row["ends"]),
        dict(row["organization_ends"]),
        row["own_limits"] or {},
    )


async def grants_of(tx: Transaction, user: UserRef) -> list[Grant]:
    """Return the active tenants in which a user has a role, oldest assignment first.

    Takes a platform transaction, or that of the organization or a tenant, which shows only the part that belongs to it.
    """
    rows = await tx.fetch(
        """
        SELECT t.organization_id, t.workspace_id, t.tenant_id, min(ur.assigned_at) AS since,
            coalesce(array_agg(DISTINCT p.name) FILTER (WHERE p.name IS NOT NULL), '{}') AS permissions
        FROM user_roles ur
        JOIN roles r ON r.organization_id = ur.organization_id AND r.role_id = ur.role_id AND r.deleted_at IS NULL
        JOIN tenants t ON t.organization_id = ur.organization_id
            AND (t.tenant_id = ur.tenant_id OR ur.tenant_id IS NULL)
        JOIN workspaces w ON w.organization_id = t.organization_id AND w.workspace_id = t.workspace_id
        LEFT JOIN role_permissions rp
            ON rp.organization_id = ur.organization_id AND rp.role_owner_id = ur.role_owner_id
            AND rp.role_id = ur.role_id
        LEFT JOIN permissions p ON p.permission_id = rp.permission_id
        WHERE ur.organization_id = $1 AND ur.user_id = $2 AND coalesce(ur.expires_at > now(), true)
            AND t.is_active AND t.deleted_at IS NULL AND w.is_active AND w.deleted_at IS NULL
        GROUP BY 1, 2, 3 ORDER BY since, t.tenant_id
        """,
        *user,
    )
    return [
        Grant(row["organization_id"], row["workspace_id"], row["tenant_id"], frozenset(row["permissions"]))
        for row in rows
    ]
