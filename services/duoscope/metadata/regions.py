"""Regions: the platform's own list of places."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class Region:
    """A row of `regions`."""

    region_id: UUID
    name: str
    code: str
    description: str
    is_active: bool
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = "region_id, name, code, description, is_active, deleted_at, created_at, updated_at"


def _region(row: Record) -> Region:
    return Region(**dict(row))


async def create(m: Transaction, *, name: str, code: str, description: str = "") -> Region:
    """Make one; a platform transaction only. CONFLICT for a code that is taken."""
    with taken("region", "code"):
        row = await m.fetchrow(
            f"INSERT INTO regions (region_id, name, code, description) VALUES ($1, $2, $3, $4) RETURNING {_COLUMNS}",
            *(new_id(), name, code, description),
        )
    assert row is not None
    return _region(row)


async def find(m: Transaction, code: str) -> Region | None:
    """The region of that code."""
    row = await m.fetchrow(f"SELECT {_COLUMNS} FROM regions WHERE code = $1 AND deleted_at IS NULL", code)
    return _region(row) if row else None


async def list_all(m: Transaction) -> list[Region]:
    """All regions, by code: there are few."""
    return [
        _region(row) for row in await m.fetch(f"SELECT {_COLUMNS} FROM regions WHERE deleted_at IS NULL ORDER BY code")
    ]
