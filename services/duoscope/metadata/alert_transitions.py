"""What happened to instances of alert rules: an outbox towards history and notification, in the order of each
instance's numbers.

A transition is written in the transaction of the state that it leads to. It carries all that its readers need, since
the rule may be another, or gone, when they come to it. History and notification read across tenants, and need a
platform transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class AlertTransition:
    """A row of `alert_transitions`, without its place; see alerting/instances.py.

    Attributes:
        transition_id: a UUIDv7.
        instance_id: of the instance; of the rule for slots that were missed.
        number: of the instance; for slots that were missed, of the lease.
        subject: `series`, `data`, `health`; `rule` for slots that were missed.
        kind: as of `Transition`, or `missed`.
        reason: why.
        at: the slot.
        active_at, fired_at: see `Transition`.
        value, threshold: of the series, and what it was compared with.
        labels: of the instance with the rule's own.
        annotations: of the rule, with their templates as they are.
        details: `query_type`, `runbook_url`, `dashboard_url`, `read_rows`, `read_bytes`, and for missed slots `from`,
            `to` and `slots`.
    """

    alert_rule_id: UUID
    alert_rule_name: str
    severity: str
    transition_id: UUID
    instance_id: UUID
    number: int
    subject: str
    kind: str
    reason: str
    at: datetime
    active_at: datetime | None
    fired_at: datetime | None
    value: float | None
    threshold: float | None
    labels: dict[str, str]
    annotations: dict[str, str]
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlacedTransition:
    """A transition with the tenant whose it is."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    transition: AlertTransition


_COLUMNS: Final[LiteralString] = (
    "alert_rule_id, alert_rule_name, severity, transition_id, instance_id, number, subject, kind, reason, at, "
    "active_at, fired_at, value, threshold, labels, annotations, details"
)
_PLACED: Final[LiteralString] = f"SELECT organization_id, workspace_id, tenant_id, {_COLUMNS} FROM alert_transitions"


async def add(tx: Transaction, alert_rule_id: UUID, transitions: Sequence[AlertTransition]) -> None:
    """Write what happened to instances of one rule of the transaction's tenant."""
    if not transitions:
        return
    first = transitions[0]
    values = [
        [getattr(each, name) for each in transitions]
        for name in (
            *("transition_id", "instance_id", "number", "subject", "kind", "reason", "at", "active_at", "fired_at"),
            *("value", "threshold", "labels", "details"),
        )
    ]
    await tx.execute(
        f"INSERT INTO alert_transitions (organization_id, workspace_id, tenant_id, {_COLUMNS}) "
        "SELECT r.organization_id, r.workspace_id, r.tenant_id, r.alert_rule_id, $2, $3, given.transition_id, "
        "given.instance_id, given.number, given.subject, given.kind, given.reason, given.at, given.active_at, "
        "given.fired_at, given.value, given.threshold, given.labels, $4, given.details "
        "FROM alert_rules r, unnest($5::uuid[], $6::uuid[], $7::int[], $8::text[], $9::text[], $10::text[], "
        "$11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::float8[], $15::float8[], $16::jsonb[], "
        "$17::jsonb[]) AS given (transition_id, instance_id, number, subject, kind, reason, at, active_at, fired_at, "
        "value, threshold, labels, details) WHERE r.alert_rule_id = $1",
        *(alert_rule_id, first.alert_rule_name, first.severity, first.annotations, *values),
    )


async def begin_part(tx: Transaction, history_part: UUID, *, rows_max: int, untold_s: float) -> bool:
    """Take what history does not have into a part of it, under a new id. Returns whether there was anything.

    What notification has still to take up waits for it, so that history knows who was told, but not longer than
    `untold_s`.
    """
    return (
        await tx.execute(
            "UPDATE alert_transitions SET history_part = $1 WHERE transition_id IN (SELECT transition_id "
            "FROM alert_transitions WHERE shipped_at IS NULL AND history_part IS NULL AND (notified_at IS NOT NULL "
            "OR kind IN ('pending', 'cleared', 'missed') "
            "OR recorded_at <= clock_timestamp() - make_interval(secs => $3)) "
            "ORDER BY recorded_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            *(history_part, rows_max, untold_s),
        )
        > 0
    )


async def open_parts(tx: Transaction) -> list[UUID]:
    """The parts of history that were begun and are not known to be there."""
    rows = await tx.fetch(
        "SELECT DISTINCT history_part FROM alert_transitions WHERE shipped_at IS NULL AND history_part IS NOT NULL"
    )
    return [row["history_part"] for row in rows]


async def of_part(tx: Transaction, history_part: UUID) -> list[PlacedTransition]:
    """The transitions of a part of history, always in the same order."""
    rows = await tx.fetch(
        f"{_PLACED} WHERE history_part = $1 AND shipped_at IS NULL ORDER BY tenant_id, transition_id", history_part
    )
    return [_placed(dict(row)) for row in rows]


async def finish_part(tx: Transaction, history_part: UUID) -> None:
    """Record that history has a part."""
    await tx.execute(
        "UPDATE alert_transitions SET shipped_at = now() WHERE history_part = $1 AND shipped_at IS NULL", history_part
    )


async def unnotified(tx: Transaction, *, rows_max: int) -> list[PlacedTransition]:
    """The oldest transitions that notification has not taken up, each locked for one reader."""
    rows = await tx.fetch(
        f"{_PLACED} WHERE notified_at IS NULL ORDER BY recorded_at, transition_id LIMIT $1 FOR UPDATE SKIP LOCKED",
        rows_max,
    )
    return [_placed(dict(row)) for row in rows]


async def notified(tx: Transaction, transition_ids: Sequence[UUID]) -> None:
    """Record that notification has taken transitions up."""
    await tx.execute(
        "UPDATE alert_transitions SET notified_at = now() WHERE transition_id = ANY ($1::uuid[])", list(transition_ids)
    )


async def forget(tx: Transaction, *, kept_s: float, kept_unnotified_s: float, rows_max: int) -> int:
    """Remove transitions that history has had for so long, and notification has taken up or never will. Returns how
    many.
    """
    return await tx.execute(
        "DELETE FROM alert_transitions WHERE transition_id IN (SELECT transition_id FROM alert_transitions "
        "WHERE shipped_at < now() - make_interval(secs => $1) "
        "AND (notified_at IS NOT NULL OR recorded_at < now() - make_interval(secs => $2)) LIMIT $3)",
        *(kept_s, kept_unnotified_s, rows_max),
    )


def _placed(values: dict[str, Any]) -> PlacedTransition:
    place = {name: values.pop(name) for name in ("organization_id", "workspace_id", "tenant_id")}
    return PlacedTransition(**place, transition=AlertTransition(**values))
