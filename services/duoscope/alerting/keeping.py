"""Instances as rows, and what an evaluation changes written in one transaction: state and transitions together.

The transaction holds the rule: by the fence of a lease, or because it changes the rule. Nothing else writes instances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from duoscope.alerting import composites, evidence
from duoscope.alerting.composites import Composite, RuleState, WatchedRules
from duoscope.alerting.definitions import Definition
from duoscope.alerting.evaluation import Found, Instance, Step, end, fingerprint, threshold_of
from duoscope.alerting.instances import ALERTING, Kind, Reason, State, Status, Subject, Transition
from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_instances, alert_rules, alert_transitions
from duoscope.metadata.alert_instances import AlertInstance
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.alert_transitions import AlertTransition
from duoscope.notification.labelling import labels_of
from duoscope.stores.postgres import Transaction
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.labels import Labels

_KEPT: Final = tuple(each.name for each in fields(State) if each.name not in ("subject", "status"))
MISSED: Final = "missed"
_TOLD: Final = frozenset({Kind.FIRING, Kind.NO_DATA, Kind.RESOLVED})
_STALE_AFTER: Final = 3
"""Intervals after which the state of a rule that was not evaluated says nothing."""


async def known(tx: Transaction, alert_rule_id: UUID) -> list[Instance]:
    """The instances of a rule that are remembered."""
    return [_instance(row) for row in await alert_instances.of_rule(tx, alert_rule_id)]


async def write(
    tx: Transaction,
    rule: AlertRule,
    definition: Definition | None,
    step: Step,
    *,
    cost: Mapping[str, int] | None = None,
    more: Sequence[AlertTransition] = (),
) -> None:
    """Write what an evaluation changes of a rule that the transaction holds.

    Args:
        tx: of the rule's tenant.
        rule: as it was evaluated; transitions carry its name, labels and annotations.
        definition: of the rule; None for one that cannot be read.
        step: the changes.
        cost: `read_rows` and `read_bytes` of the question.
        more: further transitions.
    """
    await alert_instances.save(tx, rule.alert_rule_id, [_row(instance) for instance in step.changed])
    await alert_instances.forget(tx, rule.alert_rule_id, step.forgotten)
    threshold = threshold_of(definition.condition) if definition else None
    happened = [
        _transition(
            rule,
            instance_id=instance.instance_id,
            number=transition.number,
            subject=instance.state.subject.value,
            kind=transition.kind.value,
            reason=transition.reason.value,
            at=transition.at,
            active_at=transition.active_at,
            fired_at=transition.fired_at,
            value=transition.value,
            threshold=threshold,
            labels=dict(instance.labels),
            details=dict(cost or {}) | _look(definition, instance, transition),
        )
        for instance, transition in step.happened
    ]
    await alert_transitions.add(tx, rule.alert_rule_id, [*more, *happened])


def _look(definition: Definition | None, instance: Instance, transition: Transition) -> dict[str, str]:
    """Where the UI shows the question of an alert."""
    if definition is None or transition.kind not in _TOLD:
        return {}
    began = transition.active_at or transition.at
    start, end = began - evidence.BEFORE, transition.at + evidence.AFTER
    made = evidence.path(definition.question, dict(instance.labels), start, end)
    return {"look": made} if made else {}


async def end_all(
    tx: Transaction, rule: AlertRule, definition: Definition | None, reason: Reason, now: datetime
) -> None:
    """Resolve what a rule had told, and forget its instances: it is changed, disabled or deleted in the transaction."""
    instances = await known(tx, rule.alert_rule_id)
    if instances:
        await write(tx, rule, definition, end(instances, reason, now))


async def found_of_rules(tx: Transaction, definition: Definition, slot: datetime) -> Found:
    """The verdict of a composite rule on the states of the rules that it watches, as they are now.

    Raises:
        DuoscopeError: INVALID `watched-rule-gone`.
    """
    question, condition = definition.question, definition.condition
    assert isinstance(question, WatchedRules)
    assert isinstance(condition, Composite)
    rules = {rule.alert_rule_id: rule for rule in await alert_rules.living_of(tx, list(question.of.values()))}
    alerting: dict[UUID, list[Labels]] = {}
    for alert_rule_id, instance in await alert_instances.active(tx):
        if instance.subject != Subject.HEALTH and instance.status in ALERTING:
            alerting.setdefault(alert_rule_id, []).append(label_sets.of(instance.labels))
    states = {name: _rule_state(rules.get(each), alerting.get(each, []), slot) for name, each in question.of.items()}
    return Found(composites.judged(condition, states))


def _rule_state(rule: AlertRule | None, alerting: list[Labels], slot: datetime) -> RuleState | None:
    if rule is None or not rule.is_enabled:
        return None
    at = rule.last_evaluated_at
    is_recent = at is not None and slot - at <= _STALE_AFTER * timedelta(seconds=rule.interval_seconds)
    return RuleState(alerting, is_recent and rule.last_outcome != "failed")


def missed(
    rule: AlertRule, fence: int, slot: datetime, *, first: datetime, slots: int, reason: str = "evaluator-behind"
) -> AlertTransition:
    """The note of slots that were not evaluated, from the first of them on, when `slot` was in their place."""
    last = slot - timedelta(seconds=rule.interval_seconds)
    return _transition(
        rule,
        instance_id=rule.alert_rule_id,
        number=fence,
        subject="rule",
        kind=MISSED,
        reason=reason,
        at=slot,
        active_at=None,
        fired_at=None,
        value=None,
        threshold=None,
        labels={},
        details={"from": first.isoformat(), "to": last.isoformat(), "slots": slots},
    )


def _transition(rule: AlertRule, *, labels: dict[str, str], details: dict[str, Any], **what: Any) -> AlertTransition:
    links = {"query_type": rule.query_type, "runbook_url": rule.runbook_url, "dashboard_url": rule.dashboard_url}
    return AlertTransition(
        alert_rule_id=rule.alert_rule_id,
        alert_rule_name=rule.name,
        severity=rule.severity,
        transition_id=new_id(),
        labels=labels_of(rule.labels, labels),
        annotations=rule.annotations,
        details=links | details,
        **what,
    )


def _instance(row: AlertInstance) -> Instance:
    state = State(Subject(row.subject), Status(row.status), **{name: getattr(row, name) for name in _KEPT})
    return Instance(row.instance_id, label_sets.of(row.labels), state)


def _row(instance: Instance) -> AlertInstance:
    state = instance.state
    return AlertInstance(
        instance_id=instance.instance_id,
        subject=state.subject.value,
        fingerprint=fingerprint(instance.labels),
        labels=dict(instance.labels),
        status=state.status.value,
        **{name: getattr(state, name) for name in _KEPT},
    )
