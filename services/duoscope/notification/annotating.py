"""The annotations of alerts, filled in: for messages, where queries are answered, and for lists, where they are not."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from duoscope.notification import templates
from duoscope.notification.channels.words import clean
from duoscope.notification.templates import AlertData, Sample, TemplateError, Unanswered

_log = logging.getLogger(__name__)

_MARK: Final = "{{"
_OWN: Final = {
    "data": "There are no data for {}.",
    "health": "{} cannot be evaluated.",
}
"""The summary of what a rule's own instances tell: the rule's annotations speak of a series."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Annotations of an alert, and what they are filled in from.

    Attributes:
        texts: the rule's annotations, with their templates.
        subject: `series`, `data` or `health`.
        rule_name: of the rule.
        labels: of the alert.
        value: of its series.
        external_url: where the UI is.
    """

    texts: Mapping[str, str]
    subject: str
    rule_name: str
    labels: Mapping[str, str]
    value: float | None
    external_url: str

    @property
    def data(self) -> AlertData:
        """The alert as templates see it."""
        return AlertData(self.labels, math.nan if self.value is None else self.value, {}, self.external_url)

    @property
    def own(self) -> dict[str, str] | None:
        """The annotations of one of the rule's own instances; None for that of a series."""
        told = _OWN.get(self.subject)
        return None if told is None else {"summary": told.format(self.rule_name)}


def without_queries(alert: Texts) -> dict[str, str]:
    """The annotations; one that asks a query stays the template that it is."""
    if (own := alert.own) is not None:
        return own

    def unasked(expression: str) -> Sequence[Sample]:
        raise Unanswered(expression)

    made: dict[str, str] = {}
    for name, text in alert.texts.items():
        try:
            made[name] = clean(templates.render(text, alert.data, unasked)) if _MARK in text else text
        except Unanswered:
            made[name] = text
        except TemplateError as error:
            made[name] = templates.failed(text, error)
    return made


async def with_queries(
    alert: Texts, ask: Callable[[str], Awaitable[Sequence[Sample]]], *, whose: object
) -> dict[str, str]:
    """The annotations, with the answers of `ask`. What fails is told badly rather than not at all, and logged as of
    `whose`.
    """
    if (own := alert.own) is not None:
        return own
    try:
        made, _ = await templates.render_asking(alert.texts, alert.data, ask)
        return {name: clean(text) for name, text in made.items()}
    except Exception as error:  # noqa: BLE001 - logged; the others must be told
        _log.exception("annotations of %s could not be made", whose)
        return dict.fromkeys(alert.texts, f"(this text could not be made: {type(error).__name__})")
