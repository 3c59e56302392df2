"""Service level objectives of a tenant."""

from datetime import datetime
from typing import Annotated, Any, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.stores.postgres import Record, Transaction


class Slo(Struct, frozen=True):
    """A row of `slos`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    slo_id: UUID
    name: str
    description: str
    good_config: dict[str, Any]
    total_config: dict[str, Any]
    objective: Annotated[float, Meta(examples=[0.999])]
    period_days: int
    min_events: int
    windows: Annotated[list[dict[str, Any]], Meta(description="Pairs of windows, with factor and severity.")]
    labels: dict[str, str]
    version: int
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, slo_id, name, description, good_config, total_config, objective, "
    "period_days, min_events, windows, labels, version, created_by, created_at, updated_at"
)
LISTING: Final = Listing(
    name="slos",
    select=f"SELECT {_COLUMNS} FROM slos",
    key="slo_id",
    sorts={"name": str, "created_at": datetime},
    filters={"name": CONTAINS},
)


def _from_row(row: Record) -> Slo:
    return Slo(**dict(row))


async def get(tx: Transaction, slo_id: UUID) -> Slo | None:
    """The objective, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM slos WHERE slo_id = $1", slo_id)
    return _from_row(row) if row else None


async def lock(tx: Transaction, slo_id: UUID) -> Slo | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM slos WHERE slo_id = $1 FOR UPDATE", slo_id)
    return _from_row(row) if row else None


async def create(tx: Transaction, slo: Slo) -> Slo:
    """Store a new objective. Raises CONFLICT for the name."""
    with taken("slo", "name"):
        row = await tx.fetchrow(
            "INSERT INTO slos (organization_id, workspace_id, tenant_id, slo_id, created_by, name, description, "
            "good_config, total_config, objective, period_days, min_events, windows, labels) "
            f"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING {_COLUMNS}",
            *(slo.organization_id, slo.workspace_id, slo.tenant_id, slo.slo_id, slo.created_by, *_written(slo)),
        )
    assert row is not None
    return _from_row(row)


async def save(tx: Transaction, slo: Slo) -> Slo:
    """Change an objective that the transaction has locked. Raises CONFLICT for the name."""
    with taken("slo", "name"):
        row = await tx.fetchrow(
            "UPDATE slos SET version = version + 1, name = $2, description = $3, good_config = $4, total_config = $5, "
            "objective = $6, period_days = $7, min_events = $8, windows = $9, labels = $10 WHERE slo_id = $1 "
            f"RETURNING {_COLUMNS}",
            *(slo.slo_id, *_written(slo)),
        )
    assert row is not None
    return _from_row(row)


async def delete(tx: Transaction, slo_id: UUID) -> None:
    """Remove an objective. Deleted rules of it stay, and are of none."""
    await tx.execute("DELETE FROM slos WHERE slo_id = $1", slo_id)


async def count(tx: Transaction) -> int:
    """How many objectives the tenant has. Others who make one wait until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('slos ' || current_setting('app.tenant_id'), 0))")
    return await tx.fetchval("SELECT count(*) FROM slos")


def _written(slo: Slo) -> tuple[object, ...]:
    return (
        *(slo.name, slo.description, slo.good_config, slo.total_config, slo.objective, slo.period_days),
        *(slo.min_events, slo.windows, slo.labels),
    )
