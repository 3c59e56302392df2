"""Dashboards: what people write of them but for the widgets, which are rows of their own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.ids import new_id
from duoscope.metadata.columns import DeletedAt, Visibility
from duoscope.metadata.listing import CONTAINS, IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction


class Dashboard(Struct, frozen=True):
    """A row of `dashboards`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    dashboard_id: UUID
    name: str
    description: str
    layout_config: dict[str, Any]
    variables: list[dict[str, Any]]
    is_public: bool
    visibility: Visibility
    view_count: int
    version: Annotated[int, Meta(description="It grows with every change.")]
    created_by: UUID | None
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, dashboard_id, name, description, layout_config, variables, is_public, "
    "visibility, view_count, version, "
    # Whom another tenant has is not told.
    "CASE WHEN tenant_id = app_tenant_id() THEN created_by END AS created_by, deleted_at, created_at, updated_at"
)
LISTING: Final = Listing(
    name="dashboards",
    select=f"SELECT {_COLUMNS} FROM dashboards",
    key="dashboard_id",
    sorts={"name": str, "created_at": datetime, "updated_at": datetime},
    filters={
        "name": CONTAINS,
        "deleted": IS_DELETED,
        "tag": "jsonb_exists(layout_config -> 'tags', ?)",
        "visibility": "visibility = ?",
    },
)


def from_row(row: Record) -> Dashboard:
    """Build a Dashboard from a row of the listing or of the table."""
    return Dashboard(**dict(row))


async def get(tx: Transaction, dashboard_id: UUID) -> Dashboard | None:
    """The dashboard, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM dashboards WHERE dashboard_id = $1", dashboard_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, dashboard_id: UUID) -> Dashboard | None:
    """Like `get`, of the transaction's own tenant alone, locked for a change until the transaction ends."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM dashboards WHERE dashboard_id = $1 FOR UPDATE", dashboard_id)
    return from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many the tenant has that are not deleted. Others who make one wait until the transaction ends."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('dashboards ' || current_setting('app.tenant_id'), 0))"
    )
    return await tx.fetchval("SELECT count(*) FROM dashboards WHERE tenant_id = app_tenant_id() AND deleted_at IS NULL")


async def create(
    tx: Transaction,
    *,
    name: str,
    description: str,
    layout_config: dict[str, Any],
    variables: list[Any],
    created_by: UUID | None,
) -> Dashboard:
    """Store a new dashboard of the transaction's tenant, without widgets."""
    row = await tx.fetchrow(
        "INSERT INTO dashboards (organization_id, workspace_id, tenant_id, dashboard_id, name, description, "
        "layout_config, variables, created_by) "
        "VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), $1, $2, $3, $4, $5, $6) "
        f"RETURNING {_COLUMNS}",
        *(new_id(), name, description, layout_config, variables, created_by),
    )
    assert row is not None
    return from_row(row)


async def save(tx: Transaction, dashboard: Dashboard) -> Dashboard:
    """Save what people write of a dashboard that the transaction has locked, as its next version."""
    row = await tx.fetchrow(
        "UPDATE dashboards SET name = $2, description = $3, layout_config = $4, variables = $5, version = version + 1 "
        f"WHERE dashboard_id = $1 RETURNING {_COLUMNS}",
        *(dashboard.dashboard_id, dashboard.name, dashboard.description, dashboard.layout_config, dashboard.variables),
    )
    assert row is not None
    return from_row(row)


async def show(tx: Transaction, dashboard_id: UUID, visibility: Visibility) -> Dashboard:
    """Save who reads a dashboard that the transaction has locked; its document and version stay."""
    row = await tx.fetchrow(
        f"UPDATE dashboards SET visibility = $2 WHERE dashboard_id = $1 RETURNING {_COLUMNS}",
        *(dashboard_id, visibility),
    )
    assert row is not None
    return from_row(row)


async def add_views(tx: Transaction, views: Mapping[UUID, int]) -> None:
    """Add to the views of dashboards. It is no change: neither the version nor `updated_at` is another afterwards."""
    ids = sorted(views)  # one order, so that two processes do not wait for each other
    await tx.execute(
        "SELECT FROM dashboards WHERE dashboard_id = ANY ($1::uuid[]) ORDER BY dashboard_id FOR UPDATE", ids
    )
    await tx.execute(
        "UPDATE dashboards d SET view_count = least(d.view_count::bigint + v.n, 2147483647) "
        "FROM unnest($1::uuid[], $2::bigint[]) AS v (dashboard_id, n) WHERE d.dashboard_id = v.dashboard_id",
        *(ids, [views[each] for each in ids]),
    )
