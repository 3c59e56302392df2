"""Instances of alert rules: where each stands. Only what the evaluation of the rule returned is ever written."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class AlertInstance:
    """A row of `alert_instances`, without its place; see alerting/instances.py."""

    instance_id: UUID
    subject: str
    fingerprint: str
    labels: dict[str, str]
    status: str
    number: int
    since: datetime | None
    value: float | None
    seen_at: datetime | None
    judged_at: datetime | None
    active_at: datetime | None
    held: timedelta
    fired_at: datetime | None
    recovering_at: datetime | None
    resolved_at: datetime | None
    recent: int
    missing: int
    failures: int


_COLUMNS: Final[LiteralString] = (
    "instance_id, subject, fingerprint, labels, status, number, since, value, seen_at, judged_at, active_at, held, "
    "fired_at, recovering_at, resolved_at, recent, missing, failures"
)
LISTING: Final = Listing(
    name="alerts",
    select="SELECT i.instance_id, i.alert_rule_id, r.name AS alert_rule_name, r.severity, i.subject, i.status, "
    "i.labels, r.labels AS rule_labels, r.annotations, i.value, i.since, i.active_at, i.fired_at, "
    "i.recovering_at IS NOT NULL AS is_recovering, r.runbook_url, r.dashboard_url, i.tenant_id, "
    "r.query_config, r.condition_config, r.interval_seconds, r.cooldown_minutes, r.policy_config, "
    "CASE WHEN a.instance_id IS NOT NULL THEN jsonb_build_object("
    "'comment', a.comment, 'acknowledged_at', a.acknowledged_at, 'acknowledged_by', a.acknowledged_by, "
    "'acknowledged_by_email', a.acknowledged_by_email) END AS acknowledgement "
    "FROM alert_instances i JOIN alert_rules r USING (organization_id, workspace_id, tenant_id, alert_rule_id) "
    "LEFT JOIN alert_acknowledgements a ON a.tenant_id = i.tenant_id AND a.instance_id = i.instance_id "
    "AND a.fired_at = i.fired_at",
    key="i.instance_id",
    sorts={"since": datetime},
    filters={
        "active": "(i.status <> 'inactive') = ?",
        "status": "i.status = ?",
        "severity": "r.severity = ?",
        "alert_rule_id": "i.alert_rule_id = ?",
        "instance_id": "i.instance_id = ?",
        "acknowledged": "(a.instance_id IS NOT NULL) = ?",
    },
)


async def of_rule(tx: Transaction, alert_rule_id: UUID) -> list[AlertInstance]:
    """All instances of a rule that are remembered."""
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM alert_instances WHERE alert_rule_id = $1", alert_rule_id)
    return [AlertInstance(**dict(row)) for row in rows]


async def active(tx: Transaction) -> list[tuple[UUID, AlertInstance]]:
    """The tenant's instances that are not inactive, with their rules, oldest first."""
    rows = await tx.fetch(
        f"SELECT alert_rule_id, {_COLUMNS} FROM alert_instances WHERE status <> 'inactive' ORDER BY since, instance_id"
    )
    return [(row["alert_rule_id"], AlertInstance(**{k: v for k, v in row.items() if k != "alert_rule_id"}))
            for row in rows]  # fmt: skip


async def save(tx: Transaction, alert_rule_id: UUID, instances: Sequence[AlertInstance]) -> None:
    """Write instances of a rule of the transaction's tenant, whose row the transaction has locked."""
    if not instances:
        return
    columns = list(zip(*(astuple(each) for each in instances), strict=True))
    await tx.execute(
        f"INSERT INTO alert_instances (organization_id, workspace_id, tenant_id, alert_rule_id, {_COLUMNS}) "
        "SELECT r.organization_id, r.workspace_id, r.tenant_id, r.alert_rule_id, given.* "
        "FROM alert_rules r, unnest($2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::int[], "
        "$8::timestamptz[], $9::float8[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::interval[], "
        "$14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::bigint[], $18::int[], $19::int[]) "
        "AS given (instance_id, subject, fingerprint, labels, status, number, since, value, seen_at, judged_at, "
        "active_at, held, fired_at, recovering_at, resolved_at, recent, missing, failures) "
        "WHERE r.alert_rule_id = $1 "
        "ON CONFLICT (tenant_id, instance_id) DO UPDATE SET status = excluded.status, number = excluded.number, "
        "since = excluded.since, value = excluded.value, seen_at = excluded.seen_at, judged_at = excluded.judged_at, "
        "active_at = excluded.active_at, held = excluded.held, fired_at = excluded.fired_at, "
        "recovering_at = excluded.recovering_at, resolved_at = excluded.resolved_at, recent = excluded.recent, "
        "missing = excluded.missing, failures = excluded.failures",
        *(alert_rule_id, *(list(column) for column in columns)),
    )


async def forget(tx: Transaction, alert_rule_id: UUID, instance_ids: Sequence[UUID]) -> None:
    """Remove instances of a rule of which nothing is worth remembering."""
    if instance_ids:
        await tx.execute(
            "DELETE FROM alert_instances WHERE alert_rule_id = $1 AND instance_id = ANY ($2::uuid[])",
            *(alert_rule_id, list(instance_ids)),
        )
