"""Alerts in Alertmanager's form: those of rules and those that others post; and the posting."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from duoscope.alerting import evidence
from duoscope.api.bodies import Services
from duoscope.api.compat.alertmanager.forms import (
    KEYS,
    ROOT,
    AlertGroup,
    AlertStatus,
    AmReceiver,
    GettableAlert,
    PostableAlert,
    filters,
)
from duoscope.api.dependencies import ApiServices
from duoscope.api.routing import LISTS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel import clock
from duoscope.kernel.errors import invalid
from duoscope.kernel.scope import Scope
from duoscope.metadata import alert_instances, alert_rules, external_alerts, notification_groups
from duoscope.metadata.alert_instances import AlertInstance
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.external_alerts import ExternalAlert
from duoscope.metadata.notification_groups import NotificationGroup
from duoscope.notification import annotating, external
from duoscope.notification.labelling import labels_of
from duoscope.notification.muting import Mutes, are_met
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.patterns import compiled

ROUTES: Final = Routes("alertmanager")
POSTED_MAX: Final = 5000
_FRESH: Final = timedelta(minutes=5)
"""An alert of a rule that fires is said to fire for so long at least."""
_FIRES: Final = frozenset({"firing", "no_data", "error"})

_Flag = Annotated[bool, QueryParameter(description="Whether those are in the answer.")]
_Filter = Annotated[
    list[str] | None, QueryParameter(name="filter", description='Matchers, such as `service=~"a|b"`; all must match.')
]
_Receiver = Annotated[str | None, QueryParameter(description="An expression that matches a receiver's whole name.")]
_Listed = tuple[GettableAlert, list[NotificationGroup]]


@dataclass(frozen=True, slots=True)
class _Read:
    """What a tenant has of alerts, as PostgreSQL has it."""

    tenant_id: UUID
    groups: list[NotificationGroup]
    told: dict[UUID, list[NotificationGroup]]
    rules: dict[UUID, AlertRule]
    mutes: Mutes
    active: list[tuple[UUID, AlertInstance]]
    posted: list[ExternalAlert]


async def _alerts(services: ApiServices, scope: Scope) -> list[_Listed]:
    """The alerts of a tenant that fire, each with the groups that are told of it."""
    async with services.metadata.open(scope, "alertmanager.alerts") as tx:
        groups = await notification_groups.of_tenant(tx)
        by_id = {each.group_id: each for each in groups}
        told: dict[UUID, list[NotificationGroup]] = {}
        for alert_rule_id, group_id in await notification_groups.of_rules(tx):
            told.setdefault(alert_rule_id, []).append(by_id[group_id])
        found = _Read(
            scope.tenant_id,
            groups,
            told,
            {each.alert_rule_id: each for each in await alert_rules.enabled(tx)},
            await Mutes.read(tx, {scope.tenant_id}),
            await alert_instances.active(tx),
            await external_alerts.active(tx),
        )
    # There may be thousands, each with templates.
    return await asyncio.to_thread(_listed, found, services.public_url, clock.now())


def _listed(read: _Read, public_url: str, now: datetime) -> list[_Listed]:
    found: list[_Listed] = []
    for alert_rule_id, each in read.active:
        rule = read.rules.get(alert_rule_id)
        if rule is None or each.status not in _FIRES or each.fired_at is None:
            continue
        own = labels_of(rule.labels, each.labels)
        labels = {"alertname": rule.name, "severity": rule.severity, **own}
        receivers = read.told.get(alert_rule_id, [])
        texts = annotating.Texts(rule.annotations, each.subject, rule.name, own, each.value, public_url)
        shown = GettableAlert(
            labels=labels,
            annotations=annotating.without_queries(texts),
            starts_at=each.fired_at,
            updated_at=each.judged_at or each.fired_at,
            ends_at=now + _FRESH,
            generator_url=evidence.url(rule, each.labels, each.active_at or each.fired_at, now, public_url),
            fingerprint=each.instance_id.hex,
            receivers=[AmReceiver(group.name) for group in receivers],
            status=_status(read.mutes, labels, tenant_id=read.tenant_id, instance_id=each.instance_id),
        )
        found.append((shown, receivers))
    for alert in read.posted:
        receivers = external.receivers(alert.labels, read.groups)
        shown = GettableAlert(
            labels=alert.labels,
            annotations=alert.annotations,
            starts_at=alert.starts_at,
            updated_at=alert.updated_at,
            ends_at=alert.ends_at,
            generator_url=alert.generator_url,
            fingerprint=alert.fingerprint,
            receivers=[AmReceiver(group.name) for group in receivers],
            status=_status(read.mutes, alert.labels, tenant_id=read.tenant_id, instance_id=alert.external_alert_id),
        )
        found.append((shown, receivers))
    return found


def _status(mutes: Mutes, labels: dict[str, str], *, tenant_id: UUID, instance_id: UUID) -> AlertStatus:
    held = mutes.all_of(labels, tenant_id=tenant_id, instance_id=instance_id)
    return AlertStatus(
        state="suppressed" if held else "active",
        silenced_by=_texts(each.silence_id for each in held),
        inhibited_by=_texts(each.inhibited_by for each in held),
        muted_by=_texts(each.maintenance_window_id for each in held),
    )


def _texts(ids: Iterable[UUID | None]) -> list[str]:
    return [str(each) for each in ids if each is not None]


def _chosen(
    found: Sequence[_Listed], *, active: bool, silenced: bool, inhibited: bool, muted: bool, texts: Sequence[str],
    receiver: str | None,
) -> list[_Listed]:  # fmt: skip
    """The alerts that the parameters ask for. Raises INVALID."""
    matchers = filters(texts)
    try:
        named = compiled(receiver) if receiver else None
    except ExpressionError as error:
        raise invalid(f"receiver: {error}.") from error

    def is_wanted(alert: GettableAlert) -> bool:
        status = alert.status
        if not active and status.state == "active":
            return False
        if (not silenced and status.silenced_by) or (not inhibited and status.inhibited_by):
            return False
        if not muted and status.muted_by:
            return False
        return are_met(matchers, alert.labels)

    return [
        (alert, groups if named is None else [each for each in groups if named.fullmatch(each.name)])
        for alert, groups in found
        if is_wanted(alert) and (named is None or any(named.fullmatch(each.name) for each in groups))
    ]


@ROUTES.get(f"{ROOT}/alerts", "Alertmanager: list alerts", "alert:read", problems=LISTS, **KEYS)
async def alertmanager_alerts(
    request: Request[Principal, Any, Any],
    services: Services,
    *,
    active: _Flag = True,
    silenced: _Flag = True,
    inhibited: _Flag = True,
    unprocessed: _Flag = True,
    texts: _Filter = None,
    receiver: _Receiver = None,
) -> list[GettableAlert]:
    """The alerts that fire: of the tenant's rules, and those that others posted."""
    del unprocessed  # none is
    found = await _alerts(services, request.user.scope)
    chosen = _chosen(
        found, active=active, silenced=silenced, inhibited=inhibited, muted=True, texts=texts or (), receiver=receiver
    )
    return [alert for alert, _ in chosen]


@ROUTES.get(f"{ROOT}/alerts/groups", "Alertmanager: list groups of alerts", "alert:read", problems=LISTS, **KEYS)
async def alertmanager_groups(
    request: Request[Principal, Any, Any],
    services: Services,
    *,
    active: _Flag = True,
    silenced: _Flag = True,
    inhibited: _Flag = True,
    muted: _Flag = True,
    texts: _Filter = None,
    receiver: _Receiver = None,
) -> list[AlertGroup]:
    """The alerts that fire, as they are told together to each notification group."""
    found = await _alerts(services, request.user.scope)
    chosen = _chosen(
        found, active=active, silenced=silenced, inhibited=inhibited, muted=muted, texts=texts or (), receiver=receiver
    )
    made: dict[tuple[str, tuple[tuple[str, str], ...]], list[GettableAlert]] = {}
    for alert, groups in chosen:
        for group in groups:
            names = sorted(alert.labels) if "..." in group.group_by else group.group_by
            labels = tuple((name, alert.labels[name]) for name in names if name in alert.labels)
            made.setdefault((group.name, labels), []).append(alert)
    return [AlertGroup(dict(labels), AmReceiver(name), alerts) for (name, labels), alerts in sorted(
        made.items(), key=lambda each: each[0]
    )]  # fmt: skip


@ROUTES.post(f"{ROOT}/alerts", "Alertmanager: post alerts", "alert:write", problems=WRITES, status_code=200, **KEYS)
async def alertmanager_post_alerts(
    request: Request[Principal, Any, Any],
    data: JSONBody[Annotated[list[PostableAlert], Meta(max_length=POSTED_MAX)]],
    services: Services,
) -> Response[None]:
    """Post alerts. They are told to the notification groups whose `external_matchers` they meet, and end at their
    `endsAt` unless they are posted again.
    """
    posted = [
        external.posted(
            each.labels, each.annotations, each.generator_url, starts_at=each.starts_at, ends_at=each.ends_at
        )
        for each in data
    ]
    await external.post(services.metadata, request.user, posted)
    return Response(None)
