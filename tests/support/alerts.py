"""An alert of a tenant, and what its channels are owed for it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_instances, alert_rules, alert_transitions, notification_groups
from duoscope.metadata.alert_instances import AlertInstance
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.alert_transitions import AlertTransition
from duoscope.notification.owing import owe


async def notified(api, scope, group_id):
    """A rule that tells a group, and one message that is owed for it; answers both ids."""
    store, rule_id, at = api.services.metadata, new_id(), datetime(2026, 3, 1, tzinfo=UTC)
    place = (scope.organization_id, scope.workspace_id, scope.tenant_id)
    rule = AlertRule(
        *place, rule_id, "HighErrors", "", "promql", {}, {}, {}, "critical", 0, 60, {}, {}, "", "", True, 1,
        None, None, "", None, None, at, at,
    )  # fmt: skip
    transition = AlertTransition(
        rule_id, rule.name, "critical", new_id(), new_id(), 1, "series", "firing", "breach", at, at, at, 1.0, 0.5,
        {"instance": "a"}, {}, {},
    )  # fmt: skip
    async with store.open(scope, "test.notified") as tx:
        await alert_rules.create(tx, rule, offset_s=0)
        await notification_groups.set_of_rule(tx, rule_id, [UUID(group_id)])
        await alert_transitions.add(tx, rule_id, [transition])
    await owe(store, external_url="")
    async with store.open(scope, "test.notified") as tx:
        (row,) = await tx.fetch("SELECT notification_id FROM notifications")
    return rule_id, row["notification_id"]


async def alerting(api, scope, rule_id):
    """An instance of a rule that is pending: what fires is told with an end that moves on. Answers its id."""
    at, instance_id = datetime(2026, 3, 1, tzinfo=UTC), new_id()
    instance = AlertInstance(
        instance_id, "series", "0" * 32, {"instance": "a"}, "pending", 1, at, 1.0, at, at, at, timedelta(0), None, None,
        None, 1, 0, 0,
    )  # fmt: skip
    async with api.services.metadata.open(scope, "test.alerting") as tx:
        await alert_instances.save(tx, rule_id, [instance])
    return instance_id
