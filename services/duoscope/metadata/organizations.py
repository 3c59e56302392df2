"""Organizations: whom the platform serves. A new one comes with its five built-in roles (a trigger makes them)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class Organization:
    """A row of `organizations`."""

    organization_id: UUID
    region_id: UUID
    name: str
    code: str
    description: str
    settings: dict[str, Any]
    is_active: bool
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime


def _organization(row: Record) -> Organization:
    return Organization(**dict(row))


async def create(m: Transaction, *, region_id: UUID, name: str, code: str, description: str = "") -> Organization:
    """Make one; a platform transaction only. CONFLICT for a code that is taken."""
    with taken("organization", "code"):
        row = await m.fetchrow(
            "INSERT INTO organizations (organization_id, region_id, name, code, description) "
            "VALUES ($1, $2, $3, $4, $5) RETURNING *",
            *(new_id(), region_id, name, code, description),
        )
    assert row is not None
    return _organization(row)


async def get(m: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, if the transaction may see it."""
    row = await m.fetchrow(
        "SELECT * FROM organizations WHERE organization_id = $1 AND deleted_at IS NULL", organization_id
    )
    return _organization(row) if row else None


async def find(m: Transaction, code: str) -> Organization | None:
    """The organization of that code, if the transaction may see it."""
    row = await m.fetchrow("SELECT * FROM organizations WHERE code = $1 AND deleted_at IS NULL", code)
    return _organization(row) if row else None


async def list_all(m: Transaction) -> list[Organization]:
    """Those the transaction may see: its own, or all on the platform."""
    rows = await m.fetch("SELECT * FROM organizations WHERE deleted_at IS NULL ORDER BY organization_id")
    return [_organization(row) for row in rows]


async def any_exists(m: Transaction) -> bool:
    """Whether the platform has had its first start; deleted organizations count."""
    return bool(await m.fetchval("SELECT EXISTS (SELECT FROM organizations)"))
