"""The versions of dashboards, each the whole document."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from duoscope.kernel.ids import new_id
from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Transaction

KEPT: Final = 100
"""Of one dashboard, the newest."""


class DashboardVersion(Struct, frozen=True):
    """A row of `dashboard_versions` without its document."""

    version: int
    created_by: UUID | None
    created_at: datetime


LISTING: Final = Listing(
    name="dashboard_versions",
    select="SELECT version, version_id, created_by, created_at FROM dashboard_versions",
    key="version_id",
    sorts={"created_at": datetime},
    filters={"dashboard_id": "dashboard_id = ?"},
)


async def create(
    tx: Transaction, dashboard_id: UUID, *, version: int, document: dict[str, Any], created_by: UUID | None
) -> None:
    """Store a version, and forget the oldest beyond those that are kept."""
    await tx.execute(
        "INSERT INTO dashboard_versions (organization_id, workspace_id, tenant_id, dashboard_id, version, version_id, "
        "document, created_by) VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), $1, $2, $3, $4, $5)",
        *(dashboard_id, version, new_id(), document, created_by),
    )
    await tx.execute(
        "DELETE FROM dashboard_versions WHERE dashboard_id = $1 AND version <= $2", *(dashboard_id, version - KEPT)
    )


async def document(tx: Transaction, dashboard_id: UUID, *, version: int) -> dict[str, Any] | None:
    """The document of a version, or None if there is none, or no more."""
    return await tx.fetchval(
        "SELECT document FROM dashboard_versions WHERE dashboard_id = $1 AND version = $2", *(dashboard_id, version)
    )


async def get(tx: Transaction, dashboard_id: UUID, *, version: int) -> DashboardVersion | None:
    """A version without its document, or None if there is none, or no more."""
    row = await tx.fetchrow(
        "SELECT version, created_by, created_at FROM dashboard_versions WHERE dashboard_id = $1 AND version = $2",
        *(dashboard_id, version),
    )
    return DashboardVersion(**dict(row)) if row else None
