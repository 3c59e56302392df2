"""Rules and alerts in Prometheus' form: each rule is a group of its own, since each has its interval and its slots.

Whoever may not read alert rules, as programs with a key, sees those over what they may read anyway.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get

from duoscope.alerting import definitions
from duoscope.api.bodies import Services
from duoscope.api.compat.prometheus.answers import of_values
from duoscope.api.compat.prometheus.handlers import ROOT, shared
from duoscope.api.compat.prometheus.parameters import documents
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import rfc3339
from duoscope.kernel.errors import DuoscopeError
from duoscope.metadata import alert_instances, alert_rules
from duoscope.metadata.alert_instances import AlertInstance
from duoscope.metadata.alert_rules import AlertRule
from duoscope.notification.annotating import Texts, without_queries
from duoscope.notification.labelling import labels_of
from duoscope.telemetry.promql.numerals import formatted

_NEVER: Final = "0001-01-01T00:00:00Z"
_ORDER: Final = ("inactive", "pending", "firing")


async def _found(services: Services, principal: Principal) -> tuple[list[AlertRule], dict[UUID, list[AlertInstance]]]:
    async with services.metadata.open(principal.scope, "prometheus.rules") as tx:
        rules = [rule for rule in await alert_rules.enabled(tx) if _may_see(principal, rule)]
        active = await alert_instances.active(tx)
    by_rule: dict[UUID, list[AlertInstance]] = {rule.alert_rule_id: [] for rule in rules}
    for alert_rule_id, instance in active:
        if alert_rule_id in by_rule:
            by_rule[alert_rule_id].append(instance)
    return rules, by_rule


def _may_see(principal: Principal, rule: AlertRule) -> bool:
    if principal.has("alert-rule:read") and principal.has("alert:read"):
        return True
    try:
        return definitions.parsed(rule).permissions <= principal.permissions
    except DuoscopeError:
        return False


def _alert(rule: AlertRule, instance: AlertInstance, public_url: str) -> dict[str, Any]:
    own = labels_of(rule.labels, instance.labels)
    labels = {"alertname": rule.name, "severity": rule.severity, **own}
    return {
        "labels": labels,
        "annotations": without_queries(
            Texts(rule.annotations, instance.subject, rule.name, own, instance.value, public_url)
        ),
        "state": "pending" if instance.status == "pending" else "firing",
        "activeAt": _time(instance.active_at),
        "value": formatted(instance.value) if instance.value is not None else "",
    }


def _alerts(rule: AlertRule, instances: Sequence[AlertInstance], public_url: str) -> list[dict[str, Any]]:
    """The alerts of a rule; that it cannot be evaluated is Prometheus' `health` and no alert."""
    return [_alert(rule, instance, public_url) for instance in instances if instance.subject != "health"]


def _rule(rule: AlertRule, instances: Sequence[AlertInstance], public_url: str) -> dict[str, Any]:
    alerts = _alerts(rule, instances, public_url)
    states = ["inactive", *(str(alert["state"]) for alert in alerts)]
    health = "unknown" if rule.last_evaluated_at is None else "err" if rule.last_problem else "ok"
    return {
        "type": "alerting",
        "name": rule.name,
        "query": _query(rule),
        "duration": rule.policy_config.get("for_seconds", 0),
        "keepFiringFor": rule.policy_config.get("keep_firing_seconds", 0),
        "labels": {"severity": rule.severity, **rule.labels},
        "annotations": rule.annotations,
        "alerts": alerts,
        "state": max(states, key=_ORDER.index),
        "health": health,
        "lastEvaluation": _time(rule.last_evaluated_at),
        "evaluationTime": (rule.last_duration_ms or 0) / 1000,
    } | ({"lastError": rule.last_problem} if rule.last_problem else {})


def _query(rule: AlertRule) -> str:
    """The rule as one text: its expression, with what it is compared with."""
    expression = str(rule.query_config.get("expression") or rule.query_config.get("formula") or rule.query_type)
    condition: Mapping[str, Any] = rule.condition_config
    if condition.get("kind") == "threshold" and condition.get("value") is not None:
        return f"{expression} {condition['comparison']} {condition['value']:g}"
    return expression


def _time(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else _NEVER


@get(f"{ROOT}/rules", operation_class=documents(), **shared("rules", "Get", "List rules"))
async def rules(request: Request[Principal, Any, Any], services: Services) -> Response[Any]:
    """The enabled rules, each a group of its own, with what is in breach."""
    found, by_rule = await _found(services, request.user)
    return of_values({"groups": await asyncio.to_thread(_groups, found, by_rule, services.public_url)})


def _groups(
    found: Sequence[AlertRule], by_rule: Mapping[UUID, Sequence[AlertInstance]], public_url: str
) -> list[dict[str, Any]]:
    return [
        {
            "name": rule.name,
            "file": "duoscope",
            "interval": rule.interval_seconds,
            "limit": 0,
            "rules": [_rule(rule, by_rule[rule.alert_rule_id], public_url)],
            "evaluationTime": (rule.last_duration_ms or 0) / 1000,
            "lastEvaluation": _time(rule.last_evaluated_at),
        }
        for rule in found
    ]


@get(f"{ROOT}/alerts", operation_class=documents(), **shared("alerts", "Get", "List alerts"))
async def alerts(request: Request[Principal, Any, Any], services: Services) -> Response[Any]:
    """The alerts that are pending or firing."""
    found, by_rule = await _found(services, request.user)

    def listed() -> list[dict[str, Any]]:
        return [each for rule in found for each in _alerts(rule, by_rule[rule.alert_rule_id], services.public_url)]

    return of_values({"alerts": await asyncio.to_thread(listed)})


ROUTES: Final = (rules, alerts)
