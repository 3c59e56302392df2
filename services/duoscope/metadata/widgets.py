"""Widgets of dashboards, written with their dashboard."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from msgspec import Struct

from duoscope.kernel.ids import new_id
from duoscope.stores.postgres import Transaction


class Widget(Struct, frozen=True):
    """A row of `widgets`, as it is written: its place, its dashboard and its id are the store's."""

    widget_key: str
    title: str
    widget_type: str
    query_config: dict[str, Any]
    visualization_config: dict[str, Any]
    position_config: dict[str, Any]
    refresh_interval: int | None


_WRITTEN: Final[LiteralString] = (
    "widget_key, title, widget_type, query_config, visualization_config, position_config, refresh_interval"
)


async def of_dashboard(tx: Transaction, dashboard_id: UUID) -> list[Widget]:
    """The widgets of a dashboard, in their order."""
    rows = await tx.fetch(f"SELECT {_WRITTEN} FROM widgets WHERE dashboard_id = $1 ORDER BY number", dashboard_id)
    return [Widget(**dict(row)) for row in rows]


async def replace(tx: Transaction, dashboard_id: UUID, widgets: Sequence[Widget]) -> None:
    """Write the widgets of a dashboard that the transaction has locked: those with a known key keep their id."""
    await tx.execute(
        "DELETE FROM widgets WHERE dashboard_id = $1 AND widget_key <> ALL ($2::text[])",
        *(dashboard_id, [widget.widget_key for widget in widgets]),
    )
    rows = [
        msgspec.to_builtins(widget) | {"number": number, "widget_id": str(new_id())}
        for number, widget in enumerate(widgets)
    ]
    await tx.execute(
        f"INSERT INTO widgets (organization_id, workspace_id, tenant_id, dashboard_id, widget_id, number, {_WRITTEN}) "
        f"SELECT app_organization_id(), app_workspace_id(), app_tenant_id(), $1, widget_id, number, {_WRITTEN} "
        "FROM jsonb_to_recordset($2::jsonb) AS w(widget_id uuid, number integer, widget_key text, title text, "
        "widget_type text, query_config jsonb, visualization_config jsonb, position_config jsonb, "
        "refresh_interval integer) "
        "ON CONFLICT (tenant_id, dashboard_id, widget_key) DO UPDATE SET number = excluded.number, "
        "title = excluded.title, widget_type = excluded.widget_type, query_config = excluded.query_config, "
        "visualization_config = excluded.visualization_config, position_config = excluded.position_config, "
        "refresh_interval = excluded.refresh_interval",
        *(dashboard_id, rows),
    )
