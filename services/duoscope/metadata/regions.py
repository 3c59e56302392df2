"""Regions: the platform's list of locations."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.ids import new_id
from duoscope.metadata.columns import DeletedAt, IsActive
from duoscope.metadata.conflicts import CODE_REMEDY, taken
from duoscope.metadata.listing import CONTAINS, IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction


class Region(Struct, frozen=True):
    """A location of organizations."""

    region_id: UUID
    name: Annotated[str, Meta(examples=["Frankfurt"])]
    code: Annotated[str, Meta(examples=["eu-central"])]
    description: str
    is_active: IsActive
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


_COLUMNS = "region_id, name, code, description, is_active, deleted_at, created_at, updated_at"


LISTING: Final = Listing(
    name="regions",
    select=f"SELECT {_COLUMNS} FROM regions",
    key="region_id",
    sorts={"code": str, "name": str, "created_at": datetime},
    filters={"deleted": IS_DELETED, "name": CONTAINS, "code": "code = ?", "is_active": "is_active = ?"},
)


def from_row(row: Record) -> Region:
    """Build a Region from a row of the listing or of the table."""
    return Region(**dict(row))


async def create(tx: Transaction, *, name: str, code: str, description: str = "") -> Region:
    """Create a region. Needs a platform transaction. Raises CONFLICT for a code that is taken."""
    with taken("region", "code", CODE_REMEDY):
        row = await tx.fetchrow(
            f"INSERT INTO regions (region_id, name, code, description) VALUES ($1, $2, $3, $4) RETURNING {_COLUMNS}",
            *(new_id(), name, code, description),
        )
    assert row is not None
    return from_row(row)


async def find(tx: Transaction, code: str) -> Region | None:
    """The region with that code."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM regions WHERE code = $1 AND deleted_at IS NULL", code)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Region]:
    """All regions, ordered by code: there are few."""
    return [
        from_row(row)
        for row in await tx.fetch(f"SELECT {_COLUMNS} FROM regions WHERE deleted_at IS NULL ORDER BY code")
    ]


async def get(tx: Transaction, region_id: UUID) -> Region | None:
    """The region, deleted or not."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM regions WHERE region_id = $1", region_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, region_id: UUID) -> Region | None:
    """The region, locked for a change until the transaction ends."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM regions WHERE region_id = $1 FOR UPDATE", region_id)
    return from_row(row) if row else None


async def save(tx: Transaction, region: Region) -> Region:
    """Save the columns that may change. Raises CONFLICT for a code that is taken."""
    with taken("region", "code"):
        row = await tx.fetchrow(
            "UPDATE regions SET name = $2, code = $3, description = $4, is_active = $5 "
            f"WHERE region_id = $1 RETURNING {_COLUMNS}",
            *(region.region_id, region.name, region.code, region.description, region.is_active),
        )
    assert row is not None
    return from_row(row)


async def has_organizations(tx: Transaction, region_id: UUID) -> bool:
    """Whether an organization belongs to it. Needs a platform transaction."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM organizations WHERE region_id = $1 AND deleted_at IS NULL)", region_id
        )
    )
