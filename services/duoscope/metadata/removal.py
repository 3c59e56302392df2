"""Soft deletion, the same for every resource that has it: deleted_at is set, and 90 days later the purge removes the
row.
"""

from typing import Final, Literal, LiteralString
from uuid import UUID

from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Transaction

KEPT_DAYS: Final = 90
"""The same as in migration 0006, whose policies let nothing younger be removed."""

_DELETE: Final[dict[str, LiteralString]] = {
    "regions": "UPDATE regions SET deleted_at = now() WHERE region_id = $1 AND deleted_at IS NULL",
    "organizations": "UPDATE organizations SET deleted_at = now() WHERE organization_id = $1 AND deleted_at IS NULL",
    "workspaces": "UPDATE workspaces SET deleted_at = now() WHERE workspace_id = $1 AND deleted_at IS NULL",
    "tenants": "UPDATE tenants SET deleted_at = now() WHERE tenant_id = $1 AND deleted_at IS NULL",
    "users": "UPDATE users SET deleted_at = now() WHERE user_id = $1 AND deleted_at IS NULL",
    "roles": "UPDATE roles SET deleted_at = now() WHERE role_id = $1 AND deleted_at IS NULL AND role_type IS NULL",
    "dashboards": "UPDATE dashboards SET deleted_at = now() WHERE dashboard_id = $1 AND deleted_at IS NULL",
}  # fmt: skip
_RESTORE: Final[dict[str, LiteralString]] = {
    "regions": "UPDATE regions SET deleted_at = NULL WHERE region_id = $1 AND deleted_at IS NOT NULL",
    "organizations": "UPDATE organizations SET deleted_at = NULL WHERE organization_id = $1 AND deleted_at IS NOT NULL",
    "workspaces": "UPDATE workspaces SET deleted_at = NULL WHERE workspace_id = $1 AND deleted_at IS NOT NULL",
    "tenants": "UPDATE tenants SET deleted_at = NULL WHERE tenant_id = $1 AND deleted_at IS NOT NULL",
    "users": "UPDATE users SET deleted_at = NULL WHERE user_id = $1 AND deleted_at IS NOT NULL",
    "roles": "UPDATE roles SET deleted_at = NULL WHERE role_id = $1 AND deleted_at IS NOT NULL",
    "dashboards": "UPDATE dashboards SET deleted_at = NULL WHERE dashboard_id = $1 AND deleted_at IS NOT NULL",
}
# Ancestors first: rows that depend on them go with them. A region goes when its last organization has.
_PURGE: Final[dict[str, LiteralString]] = {
    "organization": "DELETE FROM organizations WHERE deleted_at IS NOT NULL "
    "RETURNING organization_id, organization_id AS id",
    "workspace": "DELETE FROM workspaces WHERE deleted_at IS NOT NULL RETURNING organization_id, workspace_id AS id",
    "tenant": "DELETE FROM tenants WHERE deleted_at IS NOT NULL RETURNING organization_id, tenant_id AS id",
    "user": "DELETE FROM users WHERE deleted_at IS NOT NULL RETURNING organization_id, user_id AS id",
    "role": "DELETE FROM roles WHERE deleted_at IS NOT NULL RETURNING organization_id, role_id AS id",
    "dashboard": "DELETE FROM dashboards WHERE deleted_at IS NOT NULL RETURNING organization_id, dashboard_id AS id",
    "invitation": "DELETE FROM invitations RETURNING organization_id, invitation_id AS id",
    "identity-provider": "DELETE FROM identity_providers WHERE deleted_at IS NOT NULL "
    "RETURNING organization_id, identity_provider_id AS id",
    "alert-rule": "DELETE FROM alert_rules WHERE deleted_at IS NOT NULL RETURNING organization_id, alert_rule_id AS id",
    "region": "DELETE FROM regions WHERE deleted_at < now() - interval '90 days' "
    "RETURNING NULL::uuid AS organization_id, region_id AS id",
}  # fmt: skip

Table = Literal["regions", "organizations", "workspaces", "tenants", "users", "roles", "dashboards"]
PURGED: Final = tuple(_PURGE)
"""The resources that are purged, in that order."""


async def delete(tx: Transaction, table: Table, identifier: UUID) -> bool:
    """Soft-delete a row. Returns False if the transaction may not, or sees no such row that exists."""
    return await tx.execute(_DELETE[table], identifier) > 0


async def restore(tx: Transaction, table: Table, identifier: UUID) -> bool:
    """Undo a deletion. Returns False if the transaction may not, or sees no such deleted row. Raises CONFLICT for
    users.
    """
    with taken("user", "e-mail address"):
        return await tx.execute(_RESTORE[table], identifier) > 0


async def purge(tx: Transaction, resource: str) -> list[tuple[UUID | None, UUID]]:
    """Remove rows for good, in a purging transaction, which sees old deletions only. Returns organizations and ids."""
    return [(row["organization_id"], row["id"]) for row in await tx.fetch(_PURGE[resource])]
