"""Dashboards of a tenant: created, changed, deleted and restored, each change a version, with its audit entry."""

import asyncio
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from duoscope.dashboards import model, stored
from duoscope.dashboards.changes import differences
from duoscope.dashboards.model import Dashboard
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import soft_deletion
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.metadata import dashboard_versions, dashboards, widgets
from duoscope.metadata.columns import Visibility
from duoscope.metadata.dashboards import Dashboard as Row
from duoscope.stores.postgres import MetadataStore, Transaction

DASHBOARDS_MAX: Final = 1000
"""Of one tenant."""
_POINTERS_MAX: Final = 50
Kept = tuple[Row, Dashboard]
"""A row with its document."""


async def create(store: MetadataStore, principal: Principal, dashboard: Dashboard) -> Kept:
    """Store a new dashboard. Raises CONFLICT `too-many-dashboards`."""
    async with store.open(principal.scope, "dashboards.create") as tx:
        await _require_room(tx)
        row = await dashboards.create(
            tx,
            name=dashboard.name,
            description=dashboard.description,
            layout_config=stored.layout(dashboard),
            variables=stored.written(dashboard)["variables"],
            created_by=principal.user_id,
        )
        await _write(tx, principal, row, dashboard)
        await audit.record(tx, principal.actor, "dashboard.created", row, after=_told(row, dashboard))
    return row, dashboard


async def read(store: MetadataStore, principal: Principal, dashboard_id: UUID) -> Kept:
    """Read a dashboard. Raises NOT_FOUND, also for one that is deleted."""
    async with store.open(principal.scope, "dashboards.get") as tx:
        row = require_living(await dashboards.get(tx, dashboard_id), "dashboard")
        return row, await _document(tx, row)


async def change(
    store: MetadataStore,
    principal: Principal,
    dashboard_id: UUID,
    changed: Callable[[dict[str, Any]], Any],
    *,
    check_version: Callable[[int], None],
) -> Kept:
    """Change a dashboard.

    Args:
        store: of metadata.
        principal: who changes it.
        dashboard_id: the dashboard.
        changed: makes the new document of the current one, both in JSON's types.
        check_version: raises unless the version is the one that the author saw.

    Raises:
        DuoscopeError: NOT_FOUND; INVALID for the new document; what the two functions raise.
    """
    async with store.open(principal.scope, "dashboards.change") as tx:
        row = await locked(tx, dashboard_id)
        before = await _document(tx, row)
        document = await asyncio.to_thread(lambda: changed(stored.written(before)))
        check_version(row.version)
        after = await asyncio.to_thread(model.parsed, document)
        if after == before:
            return row, before
        saved = await dashboards.save(
            tx,
            structs.replace(
                row,
                name=after.name,
                description=after.description,
                layout_config=stored.layout(after),
                variables=stored.written(after)["variables"],
            ),
        )
        await _write(tx, principal, saved, after)
        pointers = await asyncio.to_thread(_pointers, before, after)
        await audit.record(
            tx,
            principal.actor,
            "dashboard.changed",
            saved,
            before={"name": row.name, "version": row.version},
            after={"name": saved.name, "version": saved.version, "changed": pointers},
        )
    return saved, after


async def show(store: MetadataStore, principal: Principal, dashboard_id: UUID, visibility: Visibility) -> Kept:
    """Say who reads a dashboard, besides who has a link: its tenant, or its workspace. Raises NOT_FOUND."""
    async with store.open(principal.scope, "dashboards.show") as tx:
        row = await locked(tx, dashboard_id)
        if visibility != row.visibility:
            before, row = row, await dashboards.show(tx, dashboard_id, visibility)
            await audit.record(
                tx,
                principal.actor,
                "dashboard.shown",
                row,
                before={"visibility": before.visibility},
                after={"visibility": row.visibility},
            )
        return row, await _document(tx, row)


async def locked(tx: Transaction, dashboard_id: UUID) -> Row:
    """Lock a dashboard for a change.

    Raises:
        DuoscopeError: NOT_FOUND, also for one that is deleted; FORBIDDEN `of-another-tenant` for one that the
            workspace sees and another tenant has.
    """
    row = await dashboards.lock(tx, dashboard_id)
    if row is None and await dashboards.get(tx, dashboard_id) is not None:
        raise of_another_tenant()
    return require_living(row, "dashboard")


def of_another_tenant() -> DuoscopeError:
    """The error for a change of what another tenant of the workspace has, or everybody."""
    message = "It belongs to another tenant, or came with duoscope: make a copy, and change that."
    return DuoscopeError(ErrorKind.FORBIDDEN, "of-another-tenant", message)


async def delete(store: MetadataStore, principal: Principal, dashboard_id: UUID) -> None:
    """Delete a dashboard, which can be restored for 90 days. Raises NOT_FOUND."""
    async with store.open(principal.scope, "dashboards.delete") as tx:
        row = await locked(tx, dashboard_id)
        row = await soft_deletion.delete(tx, "dashboards", row, dashboard_id)
        await audit.record(tx, principal.actor, "dashboard.deleted", row)


async def restore(store: MetadataStore, principal: Principal, dashboard_id: UUID) -> Kept:
    """Restore a deleted dashboard. Raises NOT_FOUND if it is not deleted; CONFLICT `too-many-dashboards`."""
    async with store.open(principal.scope, "dashboards.restore") as tx:
        await _require_room(tx)
        row = await soft_deletion.restore(tx, "dashboards", dashboard_id, dashboards.get)
        document = await _document(tx, row)
        await audit.record(tx, principal.actor, "dashboard.restored", row, after=_told(row, document))
    return row, document


async def version(store: MetadataStore, principal: Principal, dashboard_id: UUID, number: int) -> dict[str, Any]:
    """Read the document of a version. Raises NOT_FOUND for either, also if it is kept no more."""
    async with store.open(principal.scope, "dashboards.version") as tx:
        require_living(await dashboards.get(tx, dashboard_id), "dashboard")
        found = await dashboard_versions.document(tx, dashboard_id, version=number)
        return require_found(found, "version of the dashboard")


async def _require_room(tx: Transaction) -> None:
    if await dashboards.count(tx) >= DASHBOARDS_MAX:
        message = f"A tenant has at most {DASHBOARDS_MAX} dashboards: delete some first."
        raise DuoscopeError(ErrorKind.CONFLICT, "too-many-dashboards", message)


async def _document(tx: Transaction, row: Row) -> Dashboard:
    return stored.document(
        name=row.name,
        description=row.description,
        layout_config=row.layout_config,
        variables=row.variables,
        rows=await widgets.of_dashboard(tx, row.dashboard_id),
    )


async def _write(tx: Transaction, principal: Principal, row: Row, dashboard: Dashboard) -> None:
    await widgets.replace(tx, row.dashboard_id, stored.widgets(dashboard))
    document = stored.written(dashboard)
    await dashboard_versions.create(
        tx, row.dashboard_id, version=row.version, document=document, created_by=principal.user_id
    )


def _pointers(before: Dashboard, after: Dashboard) -> list[str]:
    found = differences(stored.written(before), stored.written(after))
    return [each.pointer for each in found[:_POINTERS_MAX]]


def _told(row: Row, dashboard: Dashboard) -> dict[str, Any]:
    return {"name": row.name, "version": row.version, "widgets": len(dashboard.widgets)}
