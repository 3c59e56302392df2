"""Alert rules: what people write of them, and the leases under which they are evaluated.

Leases are taken across tenants and need a platform transaction; all else is of one tenant.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.metadata.columns import DeletedAt
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction

EVALUATORS: Final = 7340032
"""The first number of the advisory locks of evaluators; the second is an evaluator's own."""
_OF_LEASE: Final = ("fence", "due_at", "now", "own_limits", "waiting_since", "exhausted_at", "judged_since")


class AlertRule(Struct, frozen=True):
    """A row of `alert_rules`, without its lease."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    alert_rule_id: UUID
    name: str
    description: str
    query_type: str
    query_config: dict[str, Any]
    condition_config: dict[str, Any]
    policy_config: dict[str, Any]
    severity: str
    cooldown_minutes: int
    interval_seconds: int
    labels: dict[str, str]
    annotations: dict[str, str]
    runbook_url: str
    dashboard_url: str
    is_enabled: bool
    version: int
    last_evaluated_at: datetime | None
    last_duration_ms: float | None
    last_problem: Annotated[str, Meta(description="What is wrong with the last evaluation; empty if nothing is.")]
    created_by: UUID | None
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime
    source: Annotated[
        str, Meta(description="The file, group and rule that it was imported from; empty for one written here.")
    ] = ""
    slo_id: Annotated[UUID | None, Meta(description="The objective whose rule it is.")] = None
    last_outcome: Annotated[
        Literal["", "judged", "learning", "late", "failed"],
        Meta(description="What came of the last evaluation. learning: too little past to compare with. late: telemetry "
             "of the window is not stored yet. Both leave states as they are."),
    ] = ""  # fmt: skip
    last_note: Annotated[str, Meta(description="What else is to know of the last evaluation.")] = ""


@dataclass(frozen=True, slots=True)
class LeasedRule:
    """A rule that is to be evaluated now, by one evaluator.

    Attributes:
        rule: as it was when the lease was taken.
        fence: the number of the lease.
        due_at: the slot that was due.
        now: the time, by the database's clock.
        own_limits: of the tenant, by name.
        waiting_since: when the oldest request was acknowledged that a receiver has on its disk; None if there is none.
        exhausted_at: when the rules of the tenant last took more query time than its limit.
        judged_since: the first slot since which none was left out, under this question, condition and policy; None
            before the first evaluation.
    """

    rule: AlertRule
    fence: int
    due_at: datetime
    now: datetime
    own_limits: dict[str, int]
    waiting_since: datetime | None
    exhausted_at: datetime | None
    judged_since: datetime | None


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, alert_rule_id, name, description, query_type, query_config, "
    "condition_config, policy_config, severity, cooldown_minutes, interval_seconds, labels, annotations, runbook_url, "
    "dashboard_url, is_enabled, version, last_evaluated_at, last_duration_ms, last_problem, created_by, deleted_at, "
    "created_at, updated_at, source, slo_id, last_outcome, last_note"
)
LISTING: Final = Listing(
    name="alert_rules",
    select=f"SELECT {_COLUMNS} FROM alert_rules",
    key="alert_rule_id",
    sorts={"name": str, "created_at": datetime},
    filters={
        "name": CONTAINS,
        "deleted": IS_DELETED,
        "is_enabled": "is_enabled = ?",
        "severity": "severity = ?",
        "query_type": "query_type = ?",
        "has_problem": "(last_problem <> '') = ?",
        "last_outcome": "last_outcome = ?",
        "slo_id": "slo_id = ?",
    },
)


def from_row(row: Record) -> AlertRule:
    """Build an AlertRule from a row of the listing or of the table."""
    return AlertRule(**dict(row))


async def get(tx: Transaction, alert_rule_id: UUID) -> AlertRule | None:
    """The rule, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM alert_rules WHERE alert_rule_id = $1", alert_rule_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, alert_rule_id: UUID) -> AlertRule | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM alert_rules WHERE alert_rule_id = $1 FOR UPDATE", alert_rule_id)
    return from_row(row) if row else None


async def enabled(tx: Transaction) -> list[AlertRule]:
    """The tenant's rules that are evaluated, by name."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE is_enabled AND deleted_at IS NULL ORDER BY name, alert_rule_id"
    )
    return [from_row(row) for row in rows]


async def of_slo(tx: Transaction, slo_id: UUID) -> list[AlertRule]:
    """The rules of an objective that are not deleted, locked for a change."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE slo_id = $1 AND deleted_at IS NULL ORDER BY alert_rule_id "
        "FOR UPDATE",
        slo_id,
    )
    return [from_row(row) for row in rows]


async def watching(tx: Transaction) -> list[AlertRule]:
    """The tenant's rules over other rules that are not deleted. Others who change one wait for the transaction."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('rules of rules ' || current_setting('app.tenant_id'), 0))"
    )
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM alert_rules WHERE query_type = 'rules' AND deleted_at IS NULL")
    return [from_row(row) for row in rows]


async def living_of(tx: Transaction, alert_rule_ids: Collection[UUID]) -> list[AlertRule]:
    """The tenant's rules of these ids that are not deleted."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM alert_rules WHERE alert_rule_id = ANY ($1::uuid[]) AND deleted_at IS NULL",
        list(alert_rule_ids),
    )
    return [from_row(row) for row in rows]


async def living(tx: Transaction) -> list[AlertRule]:
    """The tenant's rules that are not deleted, by name."""
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM alert_rules WHERE deleted_at IS NULL ORDER BY name, alert_rule_id")
    return [from_row(row) for row in rows]


async def count(tx: Transaction) -> int:
    """How many rules the tenant has that are not deleted. Others who make one wait until the transaction ends."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('alert_rules ' || current_setting('app.tenant_id'), 0))"
    )
    return await tx.fetchval("SELECT count(*) FROM alert_rules WHERE deleted_at IS NULL")


async def create(tx: Transaction, rule: AlertRule, *, offset_s: float) -> AlertRule:
    """Store a new rule, whose slots are `offset_s` after multiples of its interval. Raises CONFLICT for the name."""
    with taken("alert-rule", "name"):
        row = await tx.fetchrow(
            "INSERT INTO alert_rules (organization_id, workspace_id, tenant_id, alert_rule_id, name, description, "
            "query_type, query_config, condition_config, policy_config, severity, cooldown_minutes, interval_seconds, "
            "labels, annotations, runbook_url, dashboard_url, is_enabled, created_by, slo_id, source, due_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $21, $22, "
            f"{_next_slot('$13', '$20')}) RETURNING {_COLUMNS}",
            *(rule.organization_id, rule.workspace_id, rule.tenant_id, rule.alert_rule_id, *_written(rule)),
            *(rule.created_by, offset_s, rule.slo_id, rule.source),
        )
    assert row is not None
    return from_row(row)


async def save(tx: Transaction, rule: AlertRule, *, offset_s: float) -> AlertRule:
    """Change a rule that the transaction has locked: whoever evaluates it has lost the lease. Raises CONFLICT for the
    name.
    """
    with taken("alert-rule", "name"):
        row = await tx.fetchrow(
            "UPDATE alert_rules SET name = $2, description = $3, query_type = $4, query_config = $5, "
            "condition_config = $6, policy_config = $7, severity = $8, cooldown_minutes = $9, labels = $11, "
            "annotations = $12, runbook_url = $13, dashboard_url = $14, is_enabled = $15, deleted_at = $16, "
            "version = version + 1, fence = fence + 1, leased_until = NULL, leased_by = NULL, last_problem = $17, "
            "due_at = CASE WHEN interval_seconds = $10 AND is_enabled AND deleted_at IS NULL THEN due_at "
            f"ELSE {_next_slot('$10', '$18')} END, interval_seconds = $10, "
            "judged_since = CASE WHEN query_config = $5 AND condition_config = $6 AND policy_config = $7 "
            "AND interval_seconds = $10 AND is_enabled AND $15 AND deleted_at IS NULL THEN judged_since END "
            f"WHERE alert_rule_id = $1 RETURNING {_COLUMNS}",
            *(rule.alert_rule_id, *_written(rule), rule.deleted_at, rule.last_problem, offset_s),
        )
    assert row is not None
    return from_row(row)


async def clock(tx: Transaction) -> datetime:
    """The time, by the clock that slots go by."""
    return await tx.fetchval("SELECT clock_timestamp()")


def _next_slot(interval: LiteralString, offset: LiteralString) -> LiteralString:
    return (
        "to_timestamp(ceil((extract(epoch FROM clock_timestamp())::float8 - " + offset + "::float8) / " + interval
        + "::int) * " + interval + "::int + " + offset + "::float8)"
    )  # fmt: skip


def _written(rule: AlertRule) -> tuple[object, ...]:
    return (
        *(rule.name, rule.description, rule.query_type, rule.query_config, rule.condition_config, rule.policy_config),
        *(rule.severity, rule.cooldown_minutes, rule.interval_seconds, rule.labels, rule.annotations),
        *(rule.runbook_url, rule.dashboard_url, rule.is_enabled),
    )


_LIVES: Final[LiteralString] = """
    FROM alert_rules r JOIN tenants t USING (organization_id, workspace_id, tenant_id)
        JOIN workspaces w USING (organization_id, workspace_id) JOIN organizations o USING (organization_id)
    WHERE r.is_enabled AND r.deleted_at IS NULL AND t.deleted_at IS NULL AND t.is_active
        AND w.deleted_at IS NULL AND w.is_active AND o.deleted_at IS NULL AND o.is_active"""
# A slot further ahead than any can be was set by a clock that ran ahead.
_FREE: Final[LiteralString] = """
    (r.leased_until IS NULL OR r.leased_until <= clock_timestamp()
        OR r.leased_by IS NOT NULL AND r.leased_by NOT IN (SELECT number FROM living))"""
# A tenant that has used up its query time waits for the next minute.
_SPENT: Final[LiteralString] = """
    spent AS (
        SELECT s.tenant_id FROM alert_query_seconds s JOIN tenants t USING (organization_id, workspace_id, tenant_id)
        WHERE s.minute >= date_trunc('minute', clock_timestamp())
            AND s.seconds >= coalesce((t.settings -> 'limits' ->> 'alert_query_seconds')::float8, $1)
    )"""
_LEASE: Final[LiteralString] = f"""
    WITH {_SPENT}, living AS (
        SELECT objid::int8::int4 AS number FROM pg_locks
        WHERE locktype = 'advisory' AND classid = 7340032 AND objsubid = 2 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ), busy AS (
        SELECT tenant_id, count(*) AS leases FROM alert_rules r
        WHERE leased_until IS NOT NULL AND NOT {_FREE} GROUP BY tenant_id
    ), due AS (
        SELECT r.tenant_id, r.alert_rule_id, r.due_at, row_number() OVER (PARTITION BY r.tenant_id ORDER BY r.due_at)
            + coalesce((SELECT leases FROM busy WHERE busy.tenant_id = r.tenant_id), 0) AS place
        {_LIVES}
            AND (r.due_at <= clock_timestamp()
                OR r.due_at > clock_timestamp() + 2 * make_interval(secs => r.interval_seconds))
            AND {_FREE} AND r.tenant_id NOT IN (SELECT tenant_id FROM spent)
    ), taken AS (
        SELECT r.tenant_id, r.alert_rule_id FROM alert_rules r JOIN due USING (tenant_id, alert_rule_id)
        WHERE due.place <= $2 AND r.due_at = due.due_at AND {_FREE}
        ORDER BY due.place, due.due_at LIMIT 1 FOR UPDATE OF r SKIP LOCKED
    ), leased AS (
        UPDATE alert_rules r SET fence = r.fence + 1, leased_by = $4,
            leased_until = clock_timestamp() + make_interval(secs => $3)
        FROM taken WHERE r.tenant_id = taken.tenant_id AND r.alert_rule_id = taken.alert_rule_id
        RETURNING r.*, clock_timestamp() AS now
    )
    SELECT {_COLUMNS}, fence, due_at, now, judged_since,
        (SELECT coalesce(settings -> 'limits', '{{}}') FROM tenants WHERE tenant_id = leased.tenant_id) AS own_limits,
        (SELECT min(waiting_since) FROM receivers) AS waiting_since,
        (SELECT exhausted_at FROM alert_query_seconds WHERE tenant_id = leased.tenant_id) AS exhausted_at
    FROM leased
"""


async def lease(
    tx: Transaction,
    *,
    lease_s: float,
    of_tenant_max: int,
    query_seconds_max: float = math.inf,
    leased_by: int | None = None,
) -> LeasedRule | None:
    """Lease the rule that is due the longest, of the tenant that has the fewest at work; None if none is due.

    Args:
        tx: a platform transaction.
        lease_s: another may lease it after that long.
        of_tenant_max: rules of one tenant that are at work at once.
        query_seconds_max: a minute, for rules of tenants without a limit of their own.
        leased_by: the number whose advisory lock the evaluator holds (EVALUATORS); once it does not, another may lease
            the rule. None if it holds none.
    """
    row = await tx.fetchrow(_LEASE, query_seconds_max, of_tenant_max, lease_s, leased_by)
    if row is None:
        return None
    values = dict(row)
    lease = {name: values.pop(name) for name in _OF_LEASE}
    return LeasedRule(AlertRule(**values), **lease)


async def finish(
    tx: Transaction,
    alert_rule_id: UUID,
    *,
    fence: int,
    slot: datetime,
    next_due_at: datetime,
    duration_ms: float,
    problem: str,
    outcome: str = "",
    note: str = "",
    is_anew: bool = False,
) -> bool:
    """Record an evaluation and give the lease back; `is_anew` if slots before it were left out. Returns False, and
    changes nothing, if the lease was lost.

    The transaction then holds the rule until it ends, so that nothing else can change its instances.
    """
    return (
        await tx.execute(
            "UPDATE alert_rules SET last_evaluated_at = $3, due_at = $4, last_duration_ms = $5, last_problem = $6, "
            "last_outcome = $7, last_note = $8, leased_until = NULL, leased_by = NULL, "
            "judged_since = CASE WHEN $9 THEN $3 ELSE coalesce(judged_since, $3) END "
            "WHERE alert_rule_id = $1 AND fence = $2",
            *(alert_rule_id, fence, slot, next_due_at, duration_ms, problem, outcome, note, is_anew),
        )
        > 0
    )


async def note(tx: Transaction, alert_rule_id: UUID, problem: str) -> None:
    """Tell the authors of a rule that the transaction holds what else is wrong with its last evaluation."""
    await tx.execute(
        "UPDATE alert_rules SET last_problem = $2 WHERE alert_rule_id = $1 AND last_problem = ''",
        *(alert_rule_id, problem),
    )


async def of_gone(tx: Transaction, *, rows_max: int) -> list[tuple[tuple[UUID, UUID, UUID], UUID]]:
    """Rules that are evaluated no more, since their tenant or what it is in is deleted or switched off, and that have
    alerts; each after its organization, workspace and tenant. Needs a platform transaction.
    """
    rows = await tx.fetch(
        "SELECT DISTINCT r.organization_id, r.workspace_id, r.tenant_id, r.alert_rule_id FROM alert_instances i "
        "JOIN alert_rules r USING (organization_id, workspace_id, tenant_id, alert_rule_id) "
        "JOIN tenants t USING (organization_id, workspace_id, tenant_id) "
        "JOIN workspaces w USING (organization_id, workspace_id) JOIN organizations o USING (organization_id) "
        "WHERE i.status <> 'inactive' AND NOT (t.deleted_at IS NULL AND t.is_active AND w.deleted_at IS NULL "
        "AND w.is_active AND o.deleted_at IS NULL AND o.is_active) LIMIT $1",
        rows_max,
    )
    return [((row["organization_id"], row["workspace_id"], row["tenant_id"]), row["alert_rule_id"]) for row in rows]


async def take_back(tx: Transaction, alert_rule_id: UUID) -> AlertRule | None:
    """Lock a rule, and take it back from whoever evaluates it. None if the transaction may not see it."""
    row = await tx.fetchrow(
        "UPDATE alert_rules SET fence = fence + 1, leased_until = NULL, leased_by = NULL, judged_since = NULL "
        f"WHERE alert_rule_id = $1 RETURNING {_COLUMNS}",
        alert_rule_id,
    )
    return from_row(row) if row else None


async def spend(tx: Transaction, *, seconds: float, seconds_max: float) -> None:
    """Charge query time of this minute to the transaction's tenant, whose row stays locked until it ends."""
    await tx.execute(
        "INSERT INTO alert_query_seconds AS s (organization_id, workspace_id, tenant_id, minute, seconds, "
        "exhausted_at) "
        "VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), date_trunc('minute', clock_timestamp()), "
        "$1, CASE WHEN $1::float8 >= $2::float8 THEN clock_timestamp() END) ON CONFLICT (tenant_id) DO UPDATE SET "
        "seconds = excluded.seconds + CASE WHEN s.minute = excluded.minute THEN s.seconds ELSE 0 END, "
        "exhausted_at = CASE WHEN excluded.seconds + CASE WHEN s.minute = excluded.minute THEN s.seconds ELSE 0 END "
        ">= $2::float8 THEN clock_timestamp() ELSE s.exhausted_at END, minute = excluded.minute",
        *(seconds, seconds_max),
    )


async def lag(tx: Transaction) -> tuple[float, bool]:
    """How many seconds the rule that waits the longest has been due, over all tenants but those that have used up their
    query time lately, and whether there is any rule that is evaluated. Needs a platform transaction.
    """
    row = await tx.fetchrow(
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - r.due_at)) FILTER "
        "(WHERE r.due_at <= clock_timestamp() AND NOT EXISTS (SELECT FROM alert_query_seconds s "
        "WHERE s.tenant_id = r.tenant_id AND s.exhausted_at > clock_timestamp() - interval '5 minutes')), 0)::float8 "
        f"AS lag_s, count(*) > 0 AS has_rules {_LIVES}"
    )
    return (row["lag_s"], row["has_rules"]) if row else (0.0, False)
