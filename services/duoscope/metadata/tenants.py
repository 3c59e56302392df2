"""Tenants: the units of isolation. A tenant's settings say how long its telemetry is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from duoscope.kernel.errors import invalid
from duoscope.kernel.ids import new_id
from duoscope.kernel.limits import RETENTION_CLASSES_DAYS, RETENTION_DEFAULT_DAYS
from duoscope.metadata.conflicts import CODE_REMEDY, taken
from duoscope.metadata.listing import CONTAINS, IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class Tenant:
    """A row of `tenants`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    name: str
    code: str
    domain: str
    settings: dict[str, Any]
    is_active: bool
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def retention_days(self) -> int:
        """How long telemetry that arrives now is kept."""
        return int(self.settings["retention_days"])

    @property
    def own_limits(self) -> dict[str, int]:
        """The limits that differ from the instance's defaults, by name (kernel/ingest_limits.py, query_limits.py)."""
        return dict(self.settings.get("limits", {}))


LISTING: Final = Listing(
    name="tenants",
    select="SELECT * FROM tenants",
    key="tenant_id",
    sorts={"created_at": datetime, "name": str, "code": str},
    filters={
        "deleted": IS_DELETED,
        "name": CONTAINS,
        "code": "code = ?",
        "is_active": "is_active = ?",
        "workspace_id": "workspace_id = ?",
    },
)


def from_row(row: Record) -> Tenant:
    """Build a Tenant from a row of the listing or of the table."""
    return Tenant(**dict(row))


def check_retention(days: int) -> int:
    """Return the number of days, if it is valid. Raises INVALID if it is not in
    kernel.limits.RETENTION_CLASSES_DAYS.
    """
    if days not in RETENTION_CLASSES_DAYS:
        raise invalid(f"retention_days must be one of {', '.join(map(str, RETENTION_CLASSES_DAYS))}.")
    return days


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    workspace_id: UUID,
    name: str,
    code: str,
    domain: str = "",
    retention_days: int = RETENTION_DEFAULT_DAYS,
) -> Tenant:
    """Create a tenant in a workspace that the transaction acts for. Raises CONFLICT for a code taken in the
    workspace.
    """
    with taken("tenant", "code", CODE_REMEDY):
        row = await tx.fetchrow(
            "INSERT INTO tenants (organization_id, workspace_id, tenant_id, name, code, domain, settings) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
            *(organization_id, workspace_id, new_id(), name, code, domain),
            {"retention_days": check_retention(retention_days)},
        )
    assert row is not None
    return from_row(row)


async def find_by_id(tx: Transaction, tenant_id: UUID) -> Tenant | None:
    """The tenant, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM tenants WHERE tenant_id = $1", tenant_id)
    return from_row(row) if row else None


async def get(tx: Transaction, tenant_id: UUID) -> Tenant | None:
    """The tenant, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM tenants WHERE tenant_id = $1 AND deleted_at IS NULL", tenant_id)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Tenant]:
    """The tenants that the transaction may see: its workspace's, or all on the platform (for the worker's fan-out)."""
    rows = await tx.fetch("SELECT * FROM tenants WHERE deleted_at IS NULL ORDER BY tenant_id")
    return [from_row(row) for row in rows]


async def list_places(tx: Transaction) -> dict[UUID, tuple[str, str]]:
    """The organization's code and the workspace's name of each tenant, for a readable list of all tenants."""
    rows = await tx.fetch(
        "SELECT t.tenant_id, o.code AS organization, w.name AS workspace FROM tenants t "
        "JOIN organizations o USING (organization_id) JOIN workspaces w USING (organization_id, workspace_id)"
    )
    return {row["tenant_id"]: (row["organization"], row["workspace"]) for row in rows}


async def list_with_deleted(tx: Transaction) -> list[Tenant]:
    """The tenants that the transaction may see, including deleted ones."""
    return [from_row(row) for row in await tx.fetch("SELECT * FROM tenants ORDER BY tenant_id")]


async def set_limits(tx: Transaction, tenant_id: UUID, own: dict[str, int]) -> Tenant:
    """Replace the tenant's own limits, which the caller has checked."""
    row = await tx.fetchrow(
        "UPDATE tenants SET settings = settings || jsonb_build_object('limits', $2::jsonb) WHERE tenant_id = $1 "
        "RETURNING *",
        *(tenant_id, own),
    )
    assert row is not None
    return from_row(row)


async def enter(tx: Transaction, tenant: Tenant) -> None:
    """Restrict the rest of a platform transaction to one tenant, so that scoped INSERTs get its ids.

    Grants nothing: a platform transaction sees every tenant before and after.
    """
    await tx.execute(
        "SELECT set_config('app.organization_id', $1, true), set_config('app.workspace_id', $2, true), "
        "set_config('app.tenant_id', $3, true)",
        *(str(tenant.organization_id), str(tenant.workspace_id), str(tenant.tenant_id)),
    )


async def lock(tx: Transaction, tenant_id: UUID) -> Tenant | None:
    """The tenant, deleted or not, locked for a change until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM tenants WHERE tenant_id = $1 FOR UPDATE", tenant_id)
    return from_row(row) if row else None


async def save(tx: Transaction, tenant: Tenant) -> Tenant:
    """Save the columns that a tenant may change itself."""
    row = await tx.fetchrow(
        "UPDATE tenants SET name = $2, domain = $3, settings = $4 WHERE tenant_id = $1 RETURNING *",
        *(tenant.tenant_id, tenant.name, tenant.domain, tenant.settings),
    )
    assert row is not None
    return from_row(row)


async def save_place(tx: Transaction, tenant: Tenant) -> Tenant:
    """Save the columns that the organization decides. Raises CONFLICT for a code taken in the workspace."""
    with taken("tenant", "code"):
        row = await tx.fetchrow(
            "UPDATE tenants SET code = $2, is_active = $3 WHERE tenant_id = $1 RETURNING *",
            *(tenant.tenant_id, tenant.code, tenant.is_active),
        )
    assert row is not None
    return from_row(row)
