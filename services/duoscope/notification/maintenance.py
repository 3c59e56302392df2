"""Maintenance windows: made, changed and deleted by users, each change with its audit entry; and their next times."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_rules, maintenance_windows
from duoscope.metadata.maintenance_windows import MaintenanceWindow
from duoscope.notification.recurrence import Times, check, current_or_next
from duoscope.notification.silencing import check_expressions
from duoscope.stores.postgres import MetadataStore, Transaction

WINDOWS_MAX: Final = 200
"""Of one tenant."""


def times_of(window: MaintenanceWindow) -> Times:
    """The times of a window."""
    starts_at, ends_at = (datetime.fromisoformat(each) for each in (window.starts_at, window.ends_at))
    return Times(starts_at, ends_at, window.time_zone, window.recurrence)


async def create(store: MetadataStore, principal: Principal, values: dict[str, Any]) -> MaintenanceWindow:
    """Make a window. Raises INVALID; CONFLICT for the name or `too-many-maintenance-windows`."""
    scope, actor = principal.scope, principal.actor
    unset = datetime.min.replace(tzinfo=UTC)
    window = MaintenanceWindow(
        organization_id=scope.organization_id,
        workspace_id=scope.workspace_id,
        tenant_id=scope.tenant_id,
        maintenance_window_id=new_id(),
        version=1,
        active_from=None,
        active_until=None,
        created_by=actor.user_id if actor.kind == "user" else None,
        created_by_email=actor.email,
        created_at=unset,
        updated_at=unset,
        **values,
    )
    async with store.open(scope, "maintenance_windows.create") as tx:
        if await maintenance_windows.count(tx) >= WINDOWS_MAX:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "too-many-maintenance-windows",
                f"A tenant has at most {WINDOWS_MAX} maintenance windows.",
            )
        made = await maintenance_windows.create(tx, await _timed(tx, window))
        await audit.created(tx, actor, made)
    return made


async def change(
    store: MetadataStore, principal: Principal, maintenance_window_id: UUID, changes: dict[str, Any]
) -> MaintenanceWindow:
    """Change a window: what it held back and does no longer is told. Raises NOT_FOUND; INVALID; CONFLICT."""
    async with store.open(principal.scope, "maintenance_windows.change") as tx:
        before = require_found(await maintenance_windows.lock(tx, maintenance_window_id), "maintenance window")
        after = await maintenance_windows.save(tx, await _timed(tx, structs.replace(before, **changes)))
        await audit.changed(tx, principal.actor, before, after)
    return after


async def delete(store: MetadataStore, principal: Principal, maintenance_window_id: UUID) -> None:
    """Delete a window: what it held back is told. Raises NOT_FOUND."""
    async with store.open(principal.scope, "maintenance_windows.delete") as tx:
        found = require_found(await maintenance_windows.lock(tx, maintenance_window_id), "maintenance window")
        await maintenance_windows.delete(tx, maintenance_window_id)
        await audit.deleted(tx, principal.actor, found)


async def _timed(tx: Transaction, window: MaintenanceWindow) -> MaintenanceWindow:
    """The window with its current or next time, by the database's clock."""
    check_expressions(window.matchers)
    now, times = await alert_rules.clock(tx), times_of(window)
    await asyncio.to_thread(check, times, now)
    since, until = await asyncio.to_thread(current_or_next, times, now) or (None, None)
    return structs.replace(window, active_from=since, active_until=until)


async def set_next_times(tx: Transaction, *, rows_max: int) -> int:
    """Find the next time of windows whose last is over, in a platform transaction. Returns of how many."""
    passed = await maintenance_windows.passed(tx, rows_max=rows_max)
    now = await alert_rules.clock(tx) if passed else None
    for window in passed:
        assert now is not None
        await maintenance_windows.set_next(tx, window, await asyncio.to_thread(_next, window, now))
    return len(passed)


def _next(window: MaintenanceWindow, now: datetime) -> tuple[datetime, datetime] | None:
    """The next time of a stored window; none for one that would be refused today, lest it hold up the others."""
    try:
        return current_or_next(times_of(window), now)
    except DuoscopeError:
        return None
