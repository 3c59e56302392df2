"""Copies what happened to alerts to their history in ClickHouse, each transition exactly once, every few seconds.

As for the audit log: PostgreSQL records which transitions are about to be inserted together. If the outcome is unknown,
after a kill or an INSERT without an answer, the part is looked up in ClickHouse and otherwise repeated exactly, under
the same deduplication token. If two workers do the same part at once, it is stored once.

A transition waits until notification has taken it up, so that its row says who is told. What was held back has a second
row, `silenced`, in the same part.
"""

import json
import logging
import math
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid5

from duoscope.background.driver import Driver, Job, Running
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import alert_transitions, notifications
from duoscope.metadata.alert_transitions import PlacedTransition
from duoscope.metadata.notifications import Reached
from duoscope.stores.clickhouse.records import AlertRow, RecordWriter
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

SHIP_ALERTS: Final = Job("ship-alert-history", period_s=5.0, at_once=True, turn_max_s=3600.0)
PART_ROWS_MAX: Final = 500
UNTOLD_S: Final = 30.0
"""How long a transition waits for notification."""
_SHIPPING: Final = PlatformScope(reason="what happened to alerts of all tenants is copied to ClickHouse")


async def ship_alerts(metadata: MetadataStore, records: RecordWriter, *, untold_s: float = UNTOLD_S) -> int:
    """Copy all waiting transitions, but those that notification has to take up, for `untold_s`. Returns how many that
    was. May run twice at once.

    Raises:
        DuoscopeError: UNAVAILABLE while a store is down; the next run continues from there.
    """
    async with metadata.open_platform(_SHIPPING, "worker.open_alerts") as tx:
        begun = await alert_transitions.open_parts(tx)
    count = 0
    for part in begun:
        count += await _ship_part(metadata, records, part, is_repeated=True)
    while True:
        part = new_id()
        async with metadata.open_platform(_SHIPPING, "worker.begin_alerts") as tx:
            if not await alert_transitions.begin_part(tx, part, rows_max=PART_ROWS_MAX, untold_s=untold_s):
                return count
        count += await _ship_part(metadata, records, part, is_repeated=False)


async def _ship_part(metadata: MetadataStore, records: RecordWriter, part: UUID, *, is_repeated: bool) -> int:
    async with metadata.open_platform(_SHIPPING, "worker.read_alerts") as tx:
        placed = await alert_transitions.of_part(tx, part)
        reached = await notifications.reached(tx, part)
    ids = [each.transition.transition_id for each in placed]
    there = await records.alerts_there(ids) if is_repeated and ids else set[UUID]()
    if not there.issuperset(ids):
        rows = [row for each in placed for row in _rows(each, reached.get(each.transition.transition_id))]
        await records.append_alerts(rows, token=f"alerts-{part}")
    async with metadata.open_platform(_SHIPPING, "worker.finish_alerts") as tx:
        await alert_transitions.finish_part(tx, part)
    return len(placed)


def _rows(placed: PlacedTransition, reached: Reached | None) -> list[AlertRow]:
    """The row of a transition; and after that of one that was held back, another that says so."""
    channels = reached.channels if reached else []
    if reached is None or reached.mute is None:
        return [_row(placed, {"notified_channels": channels})]
    mute = reached.mute
    by = {
        "silence": mute.silence_id,
        "maintenance": mute.maintenance_window_id,
        "inhibition": mute.inhibited_by,
    }
    reason, held_by = next((name, str(each)) for name, each in by.items() if each is not None)
    told = _row(placed, {"notified_channels": []})
    held = _row(placed, {"held_channels": channels, "held_by": held_by})
    return [
        told,
        replace(
            held,
            transition_id=str(uuid5(placed.transition.transition_id, "silenced")),
            status="silenced",
            reason=reason,
            message=f"{held.alert_rule_name}: silenced ({reason})",
        ),
    ]


def _row(placed: PlacedTransition, channels: dict[str, Any]) -> AlertRow:
    told = placed.transition
    more = {
        "subject": told.subject,
        "active_at": told.active_at and told.active_at.isoformat(),
        "fired_at": told.fired_at and told.fired_at.isoformat(),
        **told.details,
        **channels,
    }
    return AlertRow(
        organization_id=str(placed.organization_id),
        workspace_id=str(placed.workspace_id),
        tenant_id=str(placed.tenant_id),
        timestamp=told.at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        alert_rule_id=str(told.alert_rule_id),
        alert_rule_name=told.alert_rule_name,
        severity=told.severity,
        status="triggered" if told.kind == "firing" else told.kind,
        message=f"{told.alert_rule_name}: {told.kind} ({told.reason})",
        metadata=json.dumps(more),
        transition_id=str(told.transition_id),
        instance_id=str(told.instance_id),
        number=told.number,
        reason=told.reason,
        value=_finite(told.value),
        threshold=_finite(told.threshold),
        labels=told.labels,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def start_alert_shipping(driver: Driver, metadata: MetadataStore, records: RecordWriter) -> Running:
    """Start a job that copies transitions every few seconds."""

    async def run() -> None:
        if count := await ship_alerts(metadata, records):
            _log.info("alerts: history shipped to ClickHouse, transitions: %d", count)

    return driver.start(SHIP_ALERTS, run)
