"""What a channel is told: alerts that fire or are resolved, under one key.

A message is data alone: it is stored in the outbox as JSON, and a channel makes a request of it (`channels`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

Status: TypeAlias = Literal["firing", "resolved"]
Severity: TypeAlias = Literal["critical", "error", "warning", "info"]

SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "error", "warning", "info")
"""The most severe first."""
_SYNONYMS: Final[dict[str, Severity]] = {
    **{each: each for each in SEVERITIES},
    "page": "critical",
    "crit": "critical",
    "fatal": "critical",
    "emergency": "critical",
    "high": "error",
    "err": "error",
    "major": "error",
    "warn": "warning",
    "minor": "warning",
    "notice": "info",
    "none": "info",
}
"""What others write in the label `severity`."""


def severity_of(word: str) -> Severity:
    """The severity that a word of others means; `warning` for one that means nothing here."""
    return _SYNONYMS.get(word.lower(), "warning")


class Alert(Struct, frozen=True):
    """One alert of a message.

    Attributes:
        status: of this alert; a message may have both.
        labels: what tells it apart; `alertname` is its rule.
        annotations: rendered texts, such as `summary` and `description`.
        starts_at: when it began to fire.
        ends_at: when it was resolved, or None while it fires.
        fingerprint: of its labels, the same in the message of its firing and of its end.
        value: of the rule's question, where it has one.
        url: where a person sees its rule and evidence, or "".
    """

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    fingerprint: str
    value: float | None = None
    url: str = ""

    @property
    def severity(self) -> Severity:
        """That of the label `severity`; `warning` for a word that means nothing here."""
        return severity_of(self.labels.get("severity", ""))

    @property
    def name(self) -> str:
        """The name of its rule."""
        return self.labels.get("alertname", "alert")


class Message(Struct, frozen=True):
    """One delivery to one channel.

    Attributes:
        key: of the delivery, the same in every attempt: the other side may know a repetition by it (`webhook-id`).
        incident: what fires and is resolved under one name at the other side (`dedup_key`): the same in the message of
            the firing and in that of its end.
        alerts: at least one; those that fire first.
        group_labels: the labels that all of the group share because it was made by them.
        receiver: the notification group's name.
        external_url: where the UI is, or "".
        omitted: how many further alerts the group has that are not in `alerts`.
    """

    key: str
    incident: str
    alerts: Annotated[tuple[Alert, ...], Meta(min_length=1)]
    group_labels: dict[str, str]
    receiver: str = ""
    external_url: str = ""
    omitted: int = 0

    @property
    def status(self) -> Status:
        """Firing as long as one of its alerts is."""
        return "firing" if self.firing else "resolved"

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.status == "firing")

    @property
    def resolved(self) -> tuple[Alert, ...]:
        """The alerts that are over."""
        return tuple(alert for alert in self.alerts if alert.status == "resolved")

    @property
    def severity(self) -> Severity:
        """The most severe of those that fire, or of all where none does."""
        found = {alert.severity for alert in self.firing or self.alerts}
        return next(severity for severity in SEVERITIES if severity in found)

    @property
    def common_labels(self) -> dict[str, str]:
        """The labels that all alerts have with one value."""
        return _common([alert.labels for alert in self.alerts])

    @property
    def common_annotations(self) -> dict[str, str]:
        """The annotations that all alerts have with one value."""
        return _common([alert.annotations for alert in self.alerts])


def _common(maps: Sequence[dict[str, str]]) -> dict[str, str]:
    return {name: value for name, value in maps[0].items() if all(each.get(name) == value for each in maps)}
