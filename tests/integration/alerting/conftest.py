"""Rules of a tenant on the real stores, evaluated by a clock of the test's."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.alerting import rules
from duoscope.alerting.definitions import PolicyConfig
from duoscope.alerting.evaluator import Evaluator
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Principal
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_instances, alert_rules
from duoscope.metadata.alert_rules import AlertRule
from support.api import make_member

S = 10**9
MINUTE = timedelta(minutes=1)


@dataclass
class Watched:
    """A tenant whose rules are evaluated each minute from `start` on, when the test says so."""

    metadata: object
    telemetry: object
    scope: object
    principal: Principal
    deliver: object
    otlp: object
    start: datetime
    now: datetime = field(init=False)
    happened: list[datetime] = field(default_factory=list)
    """When an evaluator said that something happened."""

    def __post_init__(self):
        self.now = self.start

    def evaluator(self) -> Evaluator:
        """An evaluator that knows nothing of those before it."""
        return Evaluator(self.metadata, self.telemetry, lambda _: self.now, lambda: self.happened.append(self.now))

    async def rule(self, query, condition, *, name="rule", cooldown_minutes=0, first=0, **policy) -> AlertRule:
        """Make a rule whose first slot is in that minute."""
        made = await rules.create(
            self.metadata,
            self.principal,
            AlertRule(
                organization_id=self.scope.organization_id,
                workspace_id=self.scope.workspace_id,
                tenant_id=self.scope.tenant_id,
                alert_rule_id=new_id(),
                name=name,
                description="",
                query_type=query["kind"],
                query_config=query,
                condition_config=condition,
                policy_config=rules.configs(query=None, condition=None, policy=PolicyConfig(**policy))["policy_config"],
                severity="critical",
                cooldown_minutes=cooldown_minutes,
                interval_seconds=60,
                labels={"team": "shop"},
                annotations={"summary": "{{ $value }}"},
                runbook_url="",
                dashboard_url="",
                is_enabled=True,
                version=1,
                last_evaluated_at=None,
                last_duration_ms=None,
                last_problem="",
                created_by=None,
                deleted_at=None,
                created_at=self.start,
                updated_at=self.start,
            ),
        )
        await self.due(made, self.start + first * MINUTE)
        return made

    async def due(self, rule, moment):
        async with self.metadata.open(self.scope, "test.due") as tx:
            await tx.execute("UPDATE alert_rules SET due_at = $2 WHERE alert_rule_id = $1", rule.alert_rule_id, moment)

    async def minute(self, number, evaluator=None) -> list[str]:
        """Evaluate what is due in the minute of that number. Returns what happened, oldest first."""
        self.now = self.start + number * MINUTE + timedelta(seconds=1)
        before = {each["transition_id"] for each in await self.transitions()}
        evaluator = evaluator or self.evaluator()
        for _ in range(await self._due()):
            assert await evaluator.evaluate_next()
        return [
            f"{each['kind']} {each['reason']}" + "".join(f" {value}" for name, value in sorted(each["labels"].items())
                                                         if name != "team")
            for each in await self.transitions()
            if each["transition_id"] not in before
        ]  # fmt: skip

    async def _due(self) -> int:
        async with self.metadata.open(self.scope, "test.due") as tx:
            return await tx.fetchval(
                "SELECT count(*) FROM alert_rules WHERE due_at <= $1 AND is_enabled AND deleted_at IS NULL", self.now
            )

    async def transitions(self):
        async with self.metadata.open(self.scope, "test.transitions") as tx:
            return await tx.fetch("SELECT * FROM alert_transitions ORDER BY recorded_at, instance_id, number")

    async def states(self, rule):
        async with self.metadata.open(self.scope, "test.states") as tx:
            return await alert_instances.of_rule(tx, rule.alert_rule_id)

    async def read(self, rule):
        async with self.metadata.open(self.scope, "test.rule") as tx:
            return await alert_rules.get(tx, rule.alert_rule_id)

    async def gauge(self, name, *points, **attributes):
        """Store points of a gauge, as (minute, value)."""
        start_ns = int(self.start.timestamp()) * S
        data = [
            NumberDataPoint(
                time_unix_nano=start_ns + int(minute * 60 * S),
                as_double=value,
                attributes=self.otlp.attributes(attributes),
            )
            for minute, value in points
        ]
        await self.deliver(self.scope, self.otlp.metrics("shop", Metric(name=name, gauge=Gauge(data_points=data))))


@pytest.fixture
async def watched(metadata_store, telemetry_store, new_scope, deliver, otlp):
    scope = new_scope()
    user_id = await make_member(metadata_store, scope, ROLE_PERMISSIONS)
    principal = Principal(scope, user_id, new_id(), ROLE_PERMISSIONS)
    start = datetime.fromtimestamp((now_unix_nano() // (3600 * S) - 5) * 3600, UTC)
    return Watched(metadata_store, telemetry_store, scope, principal, deliver, otlp, start)
