"""From transitions of alerts to what channels are owed, in one transaction.

Transitions are the only source: a beginning of an episode is owed to the channels that its rule tells at that moment,
its end to those that were owed the beginning, whatever the rule has become (bugs of others: docs/adr/0035). One process
at a time does this, in the order of the transitions.
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Final
from uuid import UUID

import msgspec

from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import aggregation_groups, alert_transitions, notifications
from duoscope.metadata.aggregation_groups import Told
from duoscope.metadata.alert_transitions import AlertTransition, PlacedTransition
from duoscope.metadata.notifications import Mute, Muted, Owed
from duoscope.notification import external
from duoscope.notification.annotating import Texts, with_queries
from duoscope.notification.maintenance import set_next_times
from duoscope.notification.messages import Alert, Status
from duoscope.notification.muting import Mutes
from duoscope.notification.templates import Mistake, Sample
from duoscope.stores.postgres import MetadataStore, Transaction

TRANSITIONS_MAX: Final = 1000
"""Taken up in one transaction."""
WINDOWS_MAX: Final = 100
"""Of which the next time is found in one transaction."""
_PLATFORM: Final = PlatformScope(reason="transitions of all tenants become what their channels are owed")
_STATUS: Final[dict[str, Status]] = {
    "firing": "firing",
    "no_data": "firing",
    "error": "firing",
    "resolved": "resolved",
}
"""By the kind of transition; nobody is told of others."""
LATE: Final = "late-data"
"""The reason of a firing that late data show."""

Ask = Callable[[PlacedTransition, str], Awaitable[Sequence[Sample]]]
"""Answers a query of an annotation. Raises Mistake if it cannot."""


async def no_queries(transition: PlacedTransition, expression: str) -> Sequence[Sample]:
    """Answer nothing: where there is no telemetry to ask."""
    del transition, expression
    raise Mistake("queries in annotations are not answered here")


async def owe(store: MetadataStore, *, external_url: str, ask: Ask = no_queries) -> int:
    """Take up the oldest transitions. Returns how many; fewer than TRANSITIONS_MAX if there are no more.

    Owes nothing while another process is at it.
    """
    async with store.open_platform(_PLATFORM, "notifications.owe") as tx:
        if not await notifications.lock_owing(tx):
            return 0
        placed = await alert_transitions.unnotified(tx, rows_max=TRANSITIONS_MAX)
        owed = [
            await _owed(each, external_url, ask) for each in placed if _STATUS.get(each.transition.kind) is not None
        ]
        posted = await external.take_up(tx, rows_max=TRANSITIONS_MAX)
        owed += posted
        tenants = {each.tenant_id for each in owed}
        await set_next_times(tx, rows_max=WINDOWS_MAX)
        mutes = await Mutes.read(tx, tenants)
        owed = [replace(each, mute=_mute(each, mutes)) for each in owed]
        for round_ in _rounds(owed):
            await notifications.owe_firing(tx, [each for each in round_ if each.status == "firing"])
            await notifications.owe_resolved(tx, [each for each in round_ if each.status == "resolved"])
        await alert_transitions.notified(tx, [each.transition.transition_id for each in placed])
        # After them: what has ended meanwhile is not told any more.
        return max(len(placed), len(posted), await _end_mutes(tx), await _repeat(tx))


async def _repeat(tx: Transaction) -> int:
    """Tell again what still fires and was told long ago, unless it is held back by now. Returns how many."""
    told = await aggregation_groups.to_repeat(tx, groups_max=TRANSITIONS_MAX)
    mutes = await Mutes.read(tx, {each.tenant_id for each in told})
    await aggregation_groups.repeat(tx, [each for each in told if _mute(each, mutes) is None])
    return len(told)


async def _end_mutes(tx: Transaction) -> int:
    """Tell what was held back by what is over, unless something else holds it back. Returns how many rows."""
    waiting = await notifications.no_longer_muted(tx, rows_max=TRANSITIONS_MAX)
    mutes = await Mutes.read(tx, {each.tenant_id for each in waiting})
    told: list[Muted] = []
    for each in waiting:
        mute = _mute(each, mutes)
        if mute is None:
            told.append(each)
        else:
            await notifications.mute(tx, each, mute)
    await notifications.unmute(tx, told)
    return len(waiting)


def _mute(alert: Owed | Muted | Told, mutes: Mutes) -> Mute | None:
    return mutes.of(alert.alert["labels"], tenant_id=alert.tenant_id, instance_id=alert.instance_id)


def _rounds(owed: Sequence[Owed]) -> Iterator[list[Owed]]:
    """The first of each instance, then the second of each, by their numbers: an end must find its own beginning, and a
    clock may step back between them.
    """
    of_instance: dict[UUID, list[Owed]] = {}
    for each in sorted(owed, key=lambda each: each.number):
        of_instance.setdefault(each.instance_id, []).append(each)
    for together in zip_longest(*of_instance.values()):
        yield [each for each in together if each is not None]


async def _owed(placed: PlacedTransition, external_url: str, ask: Ask) -> Owed:
    told = placed.transition
    status = _STATUS[told.kind]
    alert = Alert(
        status=status,
        labels={"alertname": told.alert_rule_name, "severity": told.severity} | told.labels,
        annotations=await _annotations(placed, external_url, ask),
        starts_at=told.fired_at or told.at,
        ends_at=told.at if status == "resolved" else None,
        fingerprint=told.instance_id.hex,
        value=told.value if told.value is not None and math.isfinite(told.value) else None,
        url=_url(placed, external_url),
    )
    return Owed(
        tenant_id=placed.tenant_id,
        alert_rule_id=told.alert_rule_id,
        alert_rule_name=told.alert_rule_name,
        instance_id=told.instance_id,
        transition_id=told.transition_id,
        number=told.number,
        status=status,
        alert=msgspec.to_builtins(alert),
    )


async def _annotations(placed: PlacedTransition, external_url: str, ask: Ask) -> dict[str, str]:
    told: AlertTransition = placed.transition
    links = {name: str(told.details.get(name) or "") for name in ("runbook_url", "dashboard_url")}
    links = {name: url for name, url in links.items() if url}
    if told.reason == LATE:
        links["late"] = (
            f"Its breach began at {told.active_at:%Y-%m-%d %H:%M:%S %Z}: the data that show it came after that was "
            "judged."
        )

    async def answer(expression: str) -> Sequence[Sample]:
        return await ask(placed, expression)

    texts = Texts(told.annotations, told.subject, told.alert_rule_name, told.labels, told.value, external_url)
    # The transitions of all tenants are in this transaction: one that cannot be told well is told badly.
    return links | await with_queries(texts, answer, whose=f"transition {told.transition_id}")


def _url(placed: PlacedTransition, external_url: str) -> str:
    """Where the UI shows the question of an alert."""
    look = placed.transition.details.get("look")
    return f"{external_url.rstrip('/')}/t/{placed.tenant_id}/{look}" if look and external_url else ""
