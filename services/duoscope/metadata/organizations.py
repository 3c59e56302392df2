"""Organizations: the customers of the platform. A trigger gives a new one its five built-in roles."""

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
    """An organization of the platform."""

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
    """Build an Organization from a row of the listing or of the table."""
    return Organization(**dict(row))


async def create(
    tx: Transaction, *, region_id: UUID, name: str, code: str, mfa_required: bool, description: str = ""
) -> Organization:
    """Create an organization. Needs a platform transaction. Raises CONFLICT for a code that is taken."""
    with taken("organization", "code", CODE_REMEDY):
        row = await tx.fetchrow(
            "INSERT INTO organizations (organization_id, region_id, name, code, description, settings) "
            "VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
            *(new_id(), region_id, name, code, description, {"mfa_required": mfa_required}),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        "SELECT * FROM organizations WHERE organization_id = $1 AND deleted_at IS NULL", organization_id
    )
    return from_row(row) if row else None


async def find_by_id(tx: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM organizations WHERE organization_id = $1", organization_id)
    return from_row(row) if row else None


async def find(tx: Transaction, code: str) -> Organization | None:
    """The organization with that code, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM organizations WHERE code = $1 AND deleted_at IS NULL", code)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Organization]:
    """The organizations that the transaction may see: its own, or all on the platform."""
    rows = await tx.fetch("SELECT * FROM organizations WHERE deleted_at IS NULL ORDER BY organization_id")
    return [from_row(row) for row in rows]


async def list_codes(tx: Transaction) -> dict[UUID, str]:
    """The codes of the organizations that the transaction may see, deleted or not."""
    rows = await tx.fetch("SELECT organization_id, code FROM organizations")
    return {row["organization_id"]: row["code"] for row in rows}


async def any_exists(tx: Transaction) -> bool:
    """Whether the platform has had its first start. Deleted organizations count."""
    return bool(await tx.fetchval("SELECT EXISTS (SELECT FROM organizations)"))


async def lock(tx: Transaction, organization_id: UUID) -> Organization | None:
    """The organization, deleted or not, locked for a change until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM organizations WHERE organization_id = $1 FOR UPDATE", organization_id)
    return from_row(row) if row else None


async def save(tx: Transaction, organization: Organization) -> Organization:
    """Save the columns that may change. Raises CONFLICT for a code that is taken."""
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
    """Serialize changes of an organization that must not happen at the same time.

    For example two admins who remove each other: each would still see the other.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"organization {organization_id}")


async def serialise_makings(tx: Transaction, organization_id: UUID) -> None:
    """Serialize the creation of resources that are limited in number, so that the limit holds."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"makings of {organization_id}")


async def has_a_place_to_work(tx: Transaction, organization_id: UUID) -> bool:
    """Whether an active tenant in an active workspace remains; without one nobody could log in."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM tenants t JOIN workspaces w USING (organization_id, workspace_id) "
            "WHERE t.organization_id = $1 AND t.is_active AND t.deleted_at IS NULL "
            "AND w.is_active AND w.deleted_at IS NULL)",
            organization_id,
        )
    )


async def enter(tx: Transaction, organization_id: UUID) -> None:
    """Restrict the rest of a platform transaction to one organization; see tenants.enter."""
    await tx.execute("SELECT set_config('app.organization_id', $1, true)", str(organization_id))
