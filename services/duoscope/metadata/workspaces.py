"""Workspaces: subdivisions of an organization."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.ids import new_id
from duoscope.metadata.columns import DeletedAt, IsActive, Settings
from duoscope.metadata.conflicts import CODE_REMEDY, taken
from duoscope.metadata.listing import CONTAINS, IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction


class Workspace(Struct, frozen=True):
    """A subdivision of an organization."""

    organization_id: UUID
    workspace_id: UUID
    name: Annotated[str, Meta(examples=["Shop"])]
    code: Annotated[str, Meta(examples=["shop"])]
    description: str
    datasource_config: Settings
    is_active: IsActive
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


LISTING: Final = Listing(
    name="workspaces",
    select="SELECT * FROM workspaces",
    key="workspace_id",
    sorts={"created_at": datetime, "name": str, "code": str},
    filters={"deleted": IS_DELETED, "name": CONTAINS, "code": "code = ?", "is_active": "is_active = ?"},
)


def from_row(row: Record) -> Workspace:
    """Build a Workspace from a row of the listing or of the table."""
    return Workspace(**dict(row))


async def create(tx: Transaction, *, organization_id: UUID, name: str, code: str, description: str = "") -> Workspace:
    """Create a workspace in an organization that the transaction acts for. Raises CONFLICT for a code taken in the
    organization.
    """
    with taken("workspace", "code", CODE_REMEDY):
        row = await tx.fetchrow(
            "INSERT INTO workspaces (organization_id, workspace_id, name, code, description) "
            "VALUES ($1, $2, $3, $4, $5) RETURNING *",
            *(organization_id, new_id(), name, code, description),
        )
    assert row is not None
    return from_row(row)


async def find_by_id(tx: Transaction, workspace_id: UUID) -> Workspace | None:
    """The workspace, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM workspaces WHERE workspace_id = $1", workspace_id)
    return from_row(row) if row else None


async def get(tx: Transaction, workspace_id: UUID) -> Workspace | None:
    """The workspace, or None if the transaction may not see it."""
    row = await tx.fetchrow("SELECT * FROM workspaces WHERE workspace_id = $1 AND deleted_at IS NULL", workspace_id)
    return from_row(row) if row else None


async def find(tx: Transaction, organization_id: UUID, code: str) -> Workspace | None:
    """The organization's workspace with that code, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        "SELECT * FROM workspaces WHERE organization_id = $1 AND code = $2 AND deleted_at IS NULL",
        *(organization_id, code),
    )
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[Workspace]:
    """The workspaces that the transaction may see: its organization's, or all on the platform."""
    rows = await tx.fetch("SELECT * FROM workspaces WHERE deleted_at IS NULL ORDER BY workspace_id")
    return [from_row(row) for row in rows]


async def lock(tx: Transaction, workspace_id: UUID) -> Workspace | None:
    """The workspace, deleted or not, locked for a change until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM workspaces WHERE workspace_id = $1 FOR UPDATE", workspace_id)
    return from_row(row) if row else None


async def save(tx: Transaction, workspace: Workspace) -> Workspace:
    """Save the columns that may change. Raises CONFLICT for a code taken in the organization."""
    with taken("workspace", "code"):
        row = await tx.fetchrow(
            "UPDATE workspaces SET name = $2, code = $3, description = $4, datasource_config = $5, is_active = $6 "
            "WHERE workspace_id = $1 RETURNING *",
            *(workspace.workspace_id, workspace.name, workspace.code, workspace.description),
            *(workspace.datasource_config, workspace.is_active),
        )
    assert row is not None
    return from_row(row)
