"""Permissions: the fixed list of `resource:action`, and which of them a user holds where."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class Permission:
    """A row of `permissions`."""

    permission_id: UUID
    resource: str
    action: str
    name: str
    description: str
    is_platform: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user may do in one tenant. `permissions` are names such as `log:read`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    permissions: frozenset[str]


async def list_all(m: Transaction) -> list[Permission]:
    """Every permission there is."""
    return [Permission(**dict(row)) for row in await m.fetch("SELECT * FROM permissions ORDER BY name")]


async def platform_names(m: Transaction) -> frozenset[str]:
    """The permissions that platform admins hold besides those of their roles."""
    return frozenset(row["name"] for row in await m.fetch("SELECT name FROM permissions WHERE is_platform"))


async def grants_of(m: Transaction, organization_id: UUID, user_id: UUID) -> list[Grant]:
    """The active tenants in which a user has a role, oldest assignment first; a platform transaction."""
    rows = await m.fetch(
        """
        SELECT ur.organization_id, ur.workspace_id, ur.tenant_id, min(ur.assigned_at) AS since,
            coalesce(array_agg(DISTINCT p.name) FILTER (WHERE p.name IS NOT NULL), '{}') AS permissions
        FROM user_roles ur
        JOIN tenants t USING (organization_id, workspace_id, tenant_id)
        JOIN workspaces w USING (organization_id, workspace_id)
        LEFT JOIN role_permissions rp
            ON rp.organization_id = ur.organization_id AND rp.role_owner_id = ur.role_owner_id
            AND rp.role_id = ur.role_id
        LEFT JOIN permissions p ON p.permission_id = rp.permission_id
        WHERE ur.organization_id = $1 AND ur.user_id = $2 AND coalesce(ur.expires_at > now(), true)
            AND t.is_active AND t.deleted_at IS NULL AND w.is_active AND w.deleted_at IS NULL
        GROUP BY 1, 2, 3 ORDER BY since, ur.tenant_id
        """,
        *(organization_id, user_id),
    )
    return [
        Grant(row["organization_id"], row["workspace_id"], row["tenant_id"], frozenset(row["permissions"]))
        for row in rows
    ]
