"""Tenants: the units that are kept apart. A tenant's settings say how long its telemetry is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from duoscope.kernel.errors import invalid
from duoscope.kernel.ids import new_id
from duoscope.kernel.limits import RETENTION_CLASSES_DAYS, RETENTION_DEFAULT_DAYS
from duoscope.metadata.conflicts import taken
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


def _tenant(row: Record) -> Tenant:
    return Tenant(**dict(row))


def check_retention(days: int) -> int:
    """The class itself; INVALID for what is none of kernel.limits.RETENTION_CLASSES_DAYS."""
    if days not in RETENTION_CLASSES_DAYS:
        raise invalid(f"retention_days must be one of {', '.join(map(str, RETENTION_CLASSES_DAYS))}.")
    return days


async def create(
    m: Transaction,
    *,
    organization_id: UUID,
    workspace_id: UUID,
    name: str,
    code: str,
    domain: str = "",
    retention_days: int = RETENTION_DEFAULT_DAYS,
) -> Tenant:
    """Make one in a workspace that the transaction acts for. CONFLICT for a code taken in the workspace."""
    with taken("tenant", "code"):
        row = await m.fetchrow(
            "INSERT INTO tenants (organization_id, workspace_id, tenant_id, name, code, domain, settings) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
            *(organization_id, workspace_id, new_id(), name, code, domain),
            {"retention_days": check_retention(retention_days)},
        )
    assert row is not None
    return _tenant(row)


async def get(m: Transaction, tenant_id: UUID) -> Tenant | None:
    """The tenant, if the transaction may see it."""
    row = await m.fetchrow("SELECT * FROM tenants WHERE tenant_id = $1 AND deleted_at IS NULL", tenant_id)
    return _tenant(row) if row else None


async def list_all(m: Transaction) -> list[Tenant]:
    """Those the transaction may see: its workspace's, or all on the platform (for the worker's fan-out)."""
    rows = await m.fetch("SELECT * FROM tenants WHERE deleted_at IS NULL ORDER BY tenant_id")
    return [_tenant(row) for row in rows]


async def set_retention(m: Transaction, tenant_id: UUID, retention_days: int) -> bool:
    """Keep what arrives from now on for another time; False if the transaction sees no such tenant."""
    touched = await m.execute(
        "UPDATE tenants SET settings = settings || jsonb_build_object('retention_days', $2::integer) "
        "WHERE tenant_id = $1 AND deleted_at IS NULL",
        *(tenant_id, check_retention(retention_days)),
    )
    return touched > 0


async def enter(m: Transaction, tenant: Tenant) -> None:
    """Let the rest of a platform transaction act for one tenant, so that scoped INSERTs know where they belong.

    Grants nothing: a platform transaction sees every tenant before and after.
    """
    await m.execute(
        "SELECT set_config('app.organization_id', $1, true), set_config('app.workspace_id', $2, true), "
        "set_config('app.tenant_id', $3, true)",
        *(str(tenant.organization_id), str(tenant.workspace_id), str(tenant.tenant_id)),
    )
