"""Alerts that others post: checked and stored, and taken up for the groups that ask for them.

Each begins when it is first posted, and ends at its end unless it is posted again; all else is as with alerts of rules.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import in_range
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.kernel.ids import new_id
from duoscope.metadata import external_alerts, notification_groups
from duoscope.metadata.external_alerts import ExternalAlert, Posted
from duoscope.metadata.notification_groups import NotificationGroup
from duoscope.metadata.notifications import Owed
from duoscope.notification.channels.words import clean
from duoscope.notification.messages import Alert
from duoscope.notification.muting import are_met
from duoscope.stores.postgres import MetadataStore, Transaction

ALERTS_MAX: Final = 10_000
"""Of one tenant."""
TIMEOUT_S: Final = 300.0
"""After so long an alert ends that was posted without an end."""
LABELS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 4096


def posted(
    labels: dict[str, str],
    annotations: dict[str, str],
    generator_url: str,
    *,
    starts_at: datetime | None,
    ends_at: datetime | None,
) -> Posted:
    """An alert as somebody posts it. Raises INVALID for one without labels, or with too many or too long ones."""
    starts_at, ends_at = _given("startsAt", starts_at), _given("endsAt", ends_at)
    labels = {name: clean(value) for name, value in labels.items() if value}
    if not labels:
        raise invalid("An alert has at least one label.")
    texts = (*labels.items(), *annotations.items())
    if len(texts) > LABELS_MAX or any(len(name) + len(value) > TEXT_CHARS_MAX or "\0" in name for name, value in texts):
        raise invalid(f"An alert has at most {LABELS_MAX} labels and annotations of {TEXT_CHARS_MAX} characters each.")
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise invalid("An alert ends after it starts.")
    digest = hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]
    kept = {name: clean(value) for name, value in annotations.items()}
    return Posted(digest, labels, kept, clean(generator_url)[:TEXT_CHARS_MAX], starts_at, ends_at)


def _given(field: str, moment: datetime | None) -> datetime | None:
    """A time that was given: Go's zero time is none, and PostgreSQL knows others no better."""
    return in_range(field, moment) if moment is not None and moment.year > 1 else None


async def post(store: MetadataStore, principal: Principal, alerts: Sequence[Posted]) -> None:
    """Store what somebody posts. Raises CONFLICT `too-many-alerts`."""
    by_fingerprint = {each.fingerprint: each for each in alerts}
    async with store.open(principal.scope, "external_alerts.post") as tx:
        if not await external_alerts.post(
            tx, list(by_fingerprint.values()), timeout_s=TIMEOUT_S, alerts_max=ALERTS_MAX
        ):
            raise DuoscopeError(
                ErrorKind.CONFLICT, "too-many-alerts", f"A tenant has at most {ALERTS_MAX:,} alerts of others."
            )


def receivers(labels: dict[str, str], groups: Sequence[NotificationGroup]) -> list[NotificationGroup]:
    """The groups, of one tenant, that are told of an alert that somebody posted."""
    return [each for each in groups if each.external_matchers is not None and are_met(each.external_matchers, labels)]


async def take_up(tx: Transaction, *, rows_max: int) -> list[Owed]:
    """Take up what was posted, or is over, in a platform transaction: each is owed to the groups that ask for it."""
    untold = await external_alerts.untold(tx, rows_max=rows_max)
    asking = await notification_groups.of_external(tx, {each.tenant_id for each in untold}) if untold else []
    return [_owed(each, [group for group in asking if group.tenant_id == each.tenant_id]) for each in untold]


def _owed(alert: ExternalAlert, groups: Sequence[NotificationGroup]) -> Owed:
    made = Alert(
        status="firing" if alert.is_told else "resolved",
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=None if alert.is_told else alert.ends_at,
        fingerprint=alert.fingerprint,
        url=alert.generator_url,
    )
    told: list[UUID] = [each.group_id for each in receivers(alert.labels, groups)]
    return Owed(
        tenant_id=alert.tenant_id,
        alert_rule_id=None,
        alert_rule_name=made.name,
        instance_id=alert.external_alert_id,
        transition_id=new_id(),
        number=alert.number,
        status=made.status,
        alert=msgspec.to_builtins(made),
        group_ids=told,
    )
