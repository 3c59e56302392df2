"""Organizations: whom the platform serves. A new one comes with its five built-in roles (a trigger makes them)."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.ids import new_id
from duoscope.metadata.columns import DeletedAt, IsActive, Settings
from duoscope.metadata.conflicts import CODE_REMEDY, taken
from duoscope.metadata.listing import CONTAINS, IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction


class Organization(Struct, frozen=True):
    """One that the platform serves."""

    organization_id: UUID
    region_id: UUID
    name: Annotated[str, Meta(examples=["Acme"])]
    code: Annotated[str, Meta(examples=["acme"])]
    description: str
    settings: Settings
    is_active: IsActive
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


LISTING: Final = Listing(
    name="organizations",
    select="SELECT * FROM organizations",
    key="organization_id",
    sorts={"created_at": datetime, "name": str, "code": str},
    filters={
        "deleted": IS_DELETED,
        "name": CONTAINS,
        "code": "code = ?",
        "is_active": "is_active = ?",
        "region_id": "region_id = ?",
    },
)


def from_row(row: Record) -> Organization:
    """A row of the listing, or of the table."""
    return Organization(**dict(row))


async def create(
    tx: Transaction, *, region_id: UUID, name: str, code: str, mfa_required: bool, description: str = ""
) -> Organization:
    """Make one; a platform transaction only. CONFLICT for a code that is taken."""
    with taken("organization", "code", CODE_REMEDY):
        row = await tx.fetchrow(
            "INSERT INTO organizations (organization_id, region_id, name, code, description, settings) "
            "VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
            *(new_id(), region_id, name, code, description, {"mfa_required": mfa_required}),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, if the transaction may see it."""
    row = await tx.fetchrow(
        "SELECT * FROM organizations WHERE organization_id = $1 AND deleted_at IS NULL", organization_id
    )
    return from_row(row) if row else None


async def find_by_id(tx: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, deleted or not, if the transaction may see it."""
    row = await tx.fetchrow("SELECT * FROM organizations WHERE organization_id = $1", organization_id)
    return from_row(row) if row else None


async def find(tx: Transaction, code: str) -> Organization | None:
    """The organization of that code, if the transaction may see it."""
    row = await tx.fetchrow("SELECT * FROM organizations WHERE code = $1 AND deleted_at IS NULL", code)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Organization]:
    """Those the transaction may see: its own, or all on the platform."""
    rows = await tx.fetch("SELECT * FROM organizations WHERE deleted_at IS NULL ORDER BY organization_id")
    return [from_row(row) for row in rows]


async def list_codes(tx: Transaction) -> dict[UUID, str]:
    """Of those the transaction may see, deleted or not."""
    rows = await tx.fetch("SELECT organization_id, code FROM organizations")
    return {row["organization_id"]: row["code"] for row in rows}


async def any_exists(tx: Transaction) -> bool:
    """Whether the platform has had its first start; deleted organizations count."""
    return bool(await tx.fetchval("SELECT EXISTS (SELECT FROM organizations)"))


async def lock(tx: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, deleted or not, to be changed: nobody else changes it until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM organizations WHERE organization_id = $1 FOR UPDATE", organization_id)
    return from_row(row) if row else None


async def save(tx: Transaction, organization: Organization) -> Organization:
    """Write what may be changed. CONFLICT for a code that is taken."""
    with taken("organization", "code"):
        row = await tx.fetchrow(
            "UPDATE organizations SET region_id = $2, name = $3, code = $4, description = $5, settings = $6, "
            "is_active = $7 WHERE organization_id = $1 RETURNING *",
            *(organization.organization_id, organization.region_id, organization.name, organization.code),
            *(organization.description, organization.settings, organization.is_active),
        )
    assert row is not None
    return from_row(row)


async def serialise(tx: Transaction, organization_id: UUID) -> None:
    """Let those changes of an organization that must not cross each other happen one after the other.

    Such as two admins who remove one another: each would still find the other.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"organization {organization_id}")


async def serialise_makings(tx: Transaction, organization_id: UUID) -> None:
    """Let what is limited by number in an organization be made one after the other, or the limit would not hold."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"makings of {organization_id}")


async def has_a_place_to_work(tx: Transaction, organization_id: UUID) -> bool:
    """Whether an active tenant in an active workspace is left; without one nobody could log in."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM tenants t JOIN workspaces w USING (organization_id, workspace_id) "
            "WHERE t.organization_id = $1 AND t.is_active AND t.deleted_at IS NULL "
            "AND w.is_active AND w.deleted_at IS NULL)",
            organization_id,
        )
    )


async def enter(tx: Transaction, organization_id: UUID) -> None:
    """Let the rest of a platform transaction act for one organization; see tenants.enter."""
    await tx.execute("SELECT set_config('app.organization_id', $1, true)", str(organization_id))
