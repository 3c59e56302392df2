"""Maintenance windows: when nobody is told of some alerts, again and again."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct, convert, to_builtins

from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.metadata.silences import Matcher
from duoscope.stores.postgres import Record, Transaction


class MaintenanceWindow(Struct, frozen=True):
    """A maintenance window of a tenant."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    maintenance_window_id: UUID
    name: str
    comment: str
    matchers: Annotated[list[Matcher], Meta(description="All of them must match; none for all alerts.")]
    starts_at: Annotated[str, Meta(description="Of the first time, by the clock of the time zone.")]
    ends_at: Annotated[str, Meta(description="Of the first time, by the clock of the time zone.")]
    time_zone: str
    recurrence: str
    is_enabled: bool
    version: int
    active_from: Annotated[datetime | None, Meta(description="Of the current or the next time; null for none.")]
    active_until: datetime | None
    created_by: UUID | None
    created_by_email: str
    created_at: datetime
    updated_at: datetime


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, maintenance_window_id, name, comment, matchers, "
    "to_char(starts_at, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS starts_at, "
    "to_char(ends_at, 'YYYY-MM-DD\"T\"HH24:MI:SS') AS ends_at, time_zone, recurrence, is_enabled, version, "
    "active_from, active_until, created_by, created_by_email, created_at, updated_at"
)
LISTING: Final = Listing(
    name="maintenance_windows",
    select=f"SELECT {_COLUMNS} FROM maintenance_windows",
    key="maintenance_window_id",
    sorts={"name": str, "created_at": datetime},
    filters={"name": CONTAINS, "is_enabled": "is_enabled = ?"},
)


def from_row(row: Record) -> MaintenanceWindow:
    """Build a MaintenanceWindow from a row of the listing or of the table."""
    return convert(dict(row), MaintenanceWindow)


async def create(tx: Transaction, window: MaintenanceWindow) -> MaintenanceWindow:
    """Store a window of the transaction's tenant. Raises CONFLICT for the name."""
    with taken("maintenance-window", "name"):
        row = await tx.fetchrow(
            "INSERT INTO maintenance_windows (organization_id, workspace_id, tenant_id, maintenance_window_id, name, "
            "comment, matchers, starts_at, ends_at, time_zone, recurrence, is_enabled, active_from, active_until, "
            "created_by, created_by_email) VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), "
            f"$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING {_COLUMNS}",
            *(window.maintenance_window_id, *_written(window), window.created_by, window.created_by_email),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, maintenance_window_id: UUID) -> MaintenanceWindow | None:
    """The window, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM maintenance_windows WHERE maintenance_window_id = $1", maintenance_window_id
    )
    return from_row(row) if row else None


async def lock(tx: Transaction, maintenance_window_id: UUID) -> MaintenanceWindow | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM maintenance_windows WHERE maintenance_window_id = $1 FOR UPDATE",
        maintenance_window_id,
    )
    return from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many windows the transaction's tenant has."""
    return await tx.fetchval("SELECT count(*) FROM maintenance_windows WHERE tenant_id = app_tenant_id()")


async def save(tx: Transaction, window: MaintenanceWindow) -> MaintenanceWindow:
    """Save all that may change, as the next version. Raises CONFLICT for the name."""
    with taken("maintenance-window", "name"):
        row = await tx.fetchrow(
            "UPDATE maintenance_windows SET name = $2, comment = $3, matchers = $4, starts_at = $5, ends_at = $6, "
            "time_zone = $7, recurrence = $8, is_enabled = $9, active_from = $10, active_until = $11, "
            f"version = version + 1 WHERE maintenance_window_id = $1 RETURNING {_COLUMNS}",
            *(window.maintenance_window_id, *_written(window)),
        )
    assert row is not None
    return from_row(row)


def _written(window: MaintenanceWindow) -> tuple[object, ...]:
    return (
        *(window.name, window.comment, to_builtins(window.matchers)),
        *(datetime.fromisoformat(window.starts_at), datetime.fromisoformat(window.ends_at)),
        *(window.time_zone, window.recurrence, window.is_enabled, window.active_from, window.active_until),
    )


async def delete(tx: Transaction, maintenance_window_id: UUID) -> None:
    """Delete a window."""
    await tx.execute("DELETE FROM maintenance_windows WHERE maintenance_window_id = $1", maintenance_window_id)


async def active(tx: Transaction, tenant_ids: Collection[UUID] | None = None) -> list[MaintenanceWindow]:
    """The windows that are now: of these tenants in a platform transaction, or of the transaction's tenant."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM maintenance_windows WHERE ($1::uuid[] IS NULL OR tenant_id = ANY ($1)) "
        "AND is_enabled AND active_from <= now() AND active_until > now() ORDER BY active_until DESC",
        None if tenant_ids is None else list(tenant_ids),
    )
    return [from_row(row) for row in rows]


async def enabled(tx: Transaction) -> list[MaintenanceWindow]:
    """The windows of the transaction's tenant that are not switched off."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM maintenance_windows WHERE tenant_id = app_tenant_id() AND is_enabled "
        "ORDER BY maintenance_window_id"
    )
    return [from_row(row) for row in rows]


async def passed(tx: Transaction, *, rows_max: int) -> list[MaintenanceWindow]:
    """Windows of all tenants whose time is over, locked until their next one is set."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM maintenance_windows WHERE active_until <= now() ORDER BY active_until LIMIT $1 "
        "FOR UPDATE SKIP LOCKED",
        rows_max,
    )
    return [from_row(row) for row in rows]


async def set_next(tx: Transaction, window: MaintenanceWindow, time: tuple[datetime, datetime] | None) -> None:
    """Set the next time of a window; None if it is over for good."""
    await tx.execute(
        "UPDATE maintenance_windows SET active_from = $3, active_until = $4 WHERE tenant_id = $1 "
        "AND maintenance_window_id = $2",
        *(window.tenant_id, window.maintenance_window_id, *(time or (None, None))),
    )
