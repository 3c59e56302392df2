"""What holds the beginning of an alert back: a silence, maintenance, or another alert that inhibits it.

None of them changes a state, and none holds back an end. What one held back is told when it is over, if the alert still
fires.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from msgspec import structs

from duoscope.metadata import inhibition_rules, maintenance_windows, silences
from duoscope.metadata.inhibition_rules import Firing, InhibitionRule
from duoscope.metadata.maintenance_windows import MaintenanceWindow
from duoscope.metadata.notifications import Mute
from duoscope.metadata.silences import Matcher, Silence
from duoscope.notification.labelling import labels_of
from duoscope.notification.silencing import is_met
from duoscope.stores.postgres import Transaction


def _with_labels(firing: Firing) -> Firing:
    return (
        structs.replace(firing, labels=labels_of(firing.rule_labels, firing.labels)) if firing.rule_labels else firing
    )


def are_met(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels meet all conditions."""
    return all(is_met(each, labels) for each in matchers)


class Inhibitors:
    """The alerts that may inhibit others by one rule, by the values of its `equal` labels."""

    def __init__(self, rule: InhibitionRule, firing: Sequence[Firing]) -> None:
        self._rule = rule
        self._sources: dict[tuple[str, ...], list[Firing]] = {}
        for each in firing:
            if each.tenant_id == rule.tenant_id and are_met(rule.source_matchers, each.labels):
                self._sources.setdefault(self._key(each.labels), []).append(each)

    def of(self, labels: Mapping[str, str], instance_id: UUID) -> Mute | None:
        """The alert that inhibits this one. As in Alertmanager, an alert that is source and target is inhibited by none
        that is too, so that alerts do not inhibit each other.
        """
        sources = self._sources.get(self._key(labels), ())
        if not sources or not are_met(self._rule.target_matchers, labels):
            return None
        is_both = are_met(self._rule.source_matchers, labels)
        for each in sources:
            if each.instance_id == instance_id or (is_both and are_met(self._rule.target_matchers, each.labels)):
                continue
            return Mute(inhibition_rule_id=self._rule.inhibition_rule_id, inhibited_by=each.instance_id)
        return None

    def _key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self._rule.equal)


@dataclass(slots=True)
class Mutes:
    """All that holds alerts back now, of some tenants."""

    silences: dict[UUID, list[Silence]] = field(default_factory=dict[UUID, list[Silence]])
    windows: dict[UUID, list[MaintenanceWindow]] = field(default_factory=dict[UUID, list[MaintenanceWindow]])
    inhibitors: dict[UUID, list[Inhibitors]] = field(default_factory=dict[UUID, list[Inhibitors]])

    @classmethod
    async def read(cls, tx: Transaction, tenant_ids: Collection[UUID]) -> Self:
        """Read them, in a platform transaction or in one of the only tenant."""
        made = cls()
        if not tenant_ids:
            return made
        for silence in await silences.active(tx, tenant_ids):
            made.silences.setdefault(silence.tenant_id, []).append(silence)
        for window in await maintenance_windows.active(tx, tenant_ids):
            made.windows.setdefault(window.tenant_id, []).append(window)
        rules = await inhibition_rules.enabled(tx, tenant_ids)
        found = await inhibition_rules.firing(tx, {each.tenant_id for each in rules}) if rules else []
        firing = await asyncio.to_thread(lambda: [_with_labels(each) for each in found]) if found else []
        for rule in rules:
            made.inhibitors.setdefault(rule.tenant_id, []).append(Inhibitors(rule, firing))
        return made

    def of(self, labels: Mapping[str, str], *, tenant_id: UUID, instance_id: UUID) -> Mute | None:
        """One of those that hold an alert back; None if nothing does."""
        return next(iter(self.all_of(labels, tenant_id=tenant_id, instance_id=instance_id)), None)

    def all_of(self, labels: Mapping[str, str], *, tenant_id: UUID, instance_id: UUID) -> list[Mute]:
        """All that hold an alert back."""
        found = [
            Mute(silence_id=each.silence_id)
            for each in self.silences.get(tenant_id, ())
            if are_met(each.matchers, labels)
        ]
        found += [
            Mute(maintenance_window_id=each.maintenance_window_id)
            for each in self.windows.get(tenant_id, ())
            if are_met(each.matchers, labels)
        ]
        inhibited = (each.of(labels, instance_id) for each in self.inhibitors.get(tenant_id, ()))
        return found + [each for each in inhibited if each is not None]
