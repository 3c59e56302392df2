"""Limits of organizations: their own limits, and the counts that are limited."""

from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class Count:
    """The number of existing resources, and that number including deleted ones that can be restored."""

    living: int
    kept: int


_DELETABLE: Final[LiteralString] = "count(*) FILTER (WHERE deleted_at IS NULL) AS living, count(*) AS kept"
_COUNT: Final[dict[str, LiteralString]] = {
    "workspaces": f"SELECT {_DELETABLE} FROM workspaces WHERE organization_id = $1",
    "tenants": f"SELECT {_DELETABLE} FROM tenants WHERE organization_id = $1",
    "users": f"SELECT {_DELETABLE} FROM users WHERE organization_id = $1",
    "roles": f"SELECT {_DELETABLE} FROM roles WHERE organization_id = $1 AND role_type IS NULL",
    "identity_providers": f"SELECT {_DELETABLE} FROM identity_providers WHERE organization_id = $1",
    "invitations": "SELECT count(*) AS living, 0 AS kept FROM invitations WHERE organization_id = $1 "
    "AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()",
    "api_keys": "SELECT count(*) AS living, 0 AS kept FROM api_keys WHERE organization_id = $1 AND status <> 'revoked'",
}


async def own(tx: Transaction, organization_id: UUID) -> dict[str, Any]:
    """The organization's own limits, if the transaction may see them."""
    found = await tx.fetchval("SELECT limits FROM organization_limits WHERE organization_id = $1", organization_id)
    return found or {}


async def of_tenants(tx: Transaction, organization_id: UUID) -> list[dict[str, Any]]:
    """The limits that tenants of the organization have of their own."""
    rows = await tx.fetch(
        "SELECT settings -> 'limits' AS limits FROM tenants "
        "WHERE organization_id = $1 AND deleted_at IS NULL AND settings ? 'limits'",
        organization_id,
    )
    return [row["limits"] for row in rows]


async def save(tx: Transaction, organization_id: UUID, limits: dict[str, int]) -> None:
    """Store an organization's own limits. Needs a platform transaction. Receivers are notified with the commit."""
    await tx.execute(
        "INSERT INTO organization_limits (organization_id, limits) VALUES ($1, $2) "
        "ON CONFLICT (organization_id) DO UPDATE SET limits = excluded.limits, updated_at = now()",
        *(organization_id, limits),
    )


async def count(tx: Transaction, organization_id: UUID, name: str) -> Count:
    """Count a resource in the whole organization, even from a tenant's transaction."""
    row = await tx.fetchrow_of_organization(_COUNT[name], organization_id)
    assert row is not None
    return Count(row["living"], row["kept"])
