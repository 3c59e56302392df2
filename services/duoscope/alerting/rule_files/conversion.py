"""Makes our rules and named expressions of Prometheus' rules, and says what of them is lost.

An alert becomes a rule whose question is its expression and whose condition is `any`: the expression compares by
itself. Its name is that of the alert; of several alerts with one name, all but the first are named apart, and keep the
name they had in the label `alertname`. A recording becomes a named expression.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec.structs import replace

from duoscope.alerting.conditions import Present
from duoscope.alerting.definitions import Definition, PolicyConfig, check, config_of
from duoscope.alerting.rule_files.documents import refused as _refused
from duoscope.alerting.rule_files.grafana import Compared
from duoscope.alerting.rule_files.groups import Group, Rule
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.errors import DuoscopeError
from duoscope.notification import templates
from duoscope.notification.messages import severity_of
from duoscope.notification.templates import TemplateError
from duoscope.telemetry.questions.promql import EXPRESSION_CHARS_MAX, PromqlQuestion, parsed

INTERVAL_S: Final = 60
"""Between evaluations, for groups that say nothing of it, as in Prometheus."""
CONDITION: Final = Present()
SEPARATOR: Final = " > "
"""Between the file, the group and the rule of a source."""
NAME_CHARS_MAX: Final = 200
LENGTH_MAX_S: Final = 7 * 86_400
OFFSET_MAX_S: Final = 3600
_URL: Final = re.compile(r"https?://[^\s\x00{}]{1,2000}")
_LABEL_CHARS_MAX: Final = 1024
_ANNOTATION_CHARS_MAX: Final = 8192

Outcome = Literal["converted", "partly", "refused"]


@dataclass(frozen=True, slots=True)
class Converted:
    """The outcome of a rule.

    Attributes:
        source: what it is known by when the same file comes again.
        group: it was in.
        kind: `alert` or `record`.
        name: in the file.
        columns: of the row, an alert rule or a named expression; empty if it was refused.
        losses: what is not taken over, or why nothing is.
    """

    source: str
    group: str
    kind: Literal["alert", "record"]
    name: str
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    losses: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Whether all of it was taken over, or a part, or nothing."""
        return "refused" if not self.columns else "partly" if self.losses else "converted"


def converted(
    groups: Sequence[Group], source: str, limits: AlertLimits, compared: Mapping[int, Compared] | None = None
) -> Iterator[Converted]:
    """Convert each rule.

    Args:
        groups: of one file.
        source: the name of the file, the same when it comes again.
        limits: of the tenant.
        compared: conditions and policies of rules that do not compare by themselves, by the identity of the `Rule`.
    """
    names = Counter[str]()
    for group in groups:
        seen = Counter[tuple[str, str, str]]()
        for rule in group.rules:
            told = (rule.kind, rule.name, rule.labels.get("severity", "") if rule.kind == "alert" else "")
            seen[told] += 1
            parts = (source, group.name, *told[1:], str(seen[told]) if seen[told] > 1 else "")
            key = SEPARATOR.join(filter(None, parts))
            made = _Made(group, rule, limits, (compared or {}).get(id(rule)))
            try:
                if rule.problems:
                    raise refused(rule, rule.problems[0])
                columns = made.alert(names) if rule.kind == "alert" else made.recording()
            except DuoscopeError as error:
                yield Converted(key, group.name, rule.kind, rule.name, {}, (error.message,))
            else:
                yield Converted(key, group.name, rule.kind, rule.name, columns, tuple(made.losses))


def definition(rule: Rule, *, interval_s: int, offset_s: int | None = None) -> Definition:
    """The question, condition and policy of an alert of a file."""
    config = PolicyConfig(for_seconds=_whole(rule.for_ms), keep_firing_seconds=_whole(rule.keep_firing_ms))
    if offset_s is not None:
        config = replace(config, delay_seconds=offset_s)
    return Definition(PromqlQuestion(rule.expression), CONDITION, config, interval_s, 0)


def refused(rule: Rule, why: str) -> DuoscopeError:
    """The error for a rule that cannot be taken over."""
    return _refused(f"{rule.kind} {rule.name[:100]!r}: {why}")


class _Made:
    """One rule on its way to a row."""

    def __init__(self, group: Group, rule: Rule, limits: AlertLimits, compared: Compared | None) -> None:
        self._compared = compared
        self._group = group
        self._rule = rule
        self._limits = limits
        self.losses: list[str] = list(rule.losses)

    def alert(self, names: Counter[str]) -> dict[str, Any]:
        rule = self._rule
        defined = definition(rule, interval_s=self._interval_s(), offset_s=self._offset_s())
        if self._compared is not None:
            defined = replace(defined, condition=self._compared.condition, config=self._compared.config)
        if max(rule.for_ms, rule.keep_firing_ms) > LENGTH_MAX_S * 1000:
            raise refused(rule, f"for and keep_firing_for are {LENGTH_MAX_S // 86_400} days at most")
        try:
            check(defined, self._limits)
        except DuoscopeError as error:
            raise refused(rule, error.message) from error
        labels = self._texts("label", rule.labels, _LABEL_CHARS_MAX)
        annotations = self._texts("annotation", rule.annotations, _ANNOTATION_CHARS_MAX)
        self._try_texts({**labels, **annotations}, labels)
        severity = severity_of(labels.get("severity", ""))
        if labels.get("severity") == severity:
            del labels["severity"]
        name = self._name(names)
        if name != rule.name:
            labels["alertname"] = rule.name
        return {
            "name": name,
            "query_type": "promql",
            "query_config": config_of(defined.question),
            "condition_config": config_of(defined.condition),
            "policy_config": config_of(defined.config),
            "severity": severity,
            "interval_seconds": defined.interval_s,
            "labels": labels,
            "annotations": annotations,
            "runbook_url": _url(annotations.get("runbook_url", "")),
            "dashboard_url": _url(annotations.get("dashboard_url", "")),
            "is_enabled": self._compared is None or not self._compared.is_paused,
        }

    def recording(self) -> dict[str, Any]:
        rule = self._rule
        if len(rule.expression) > EXPRESSION_CHARS_MAX:
            raise refused(rule, f"the expression has more than {EXPRESSION_CHARS_MAX} characters")
        try:
            parsed(rule.expression)
        except DuoscopeError as error:
            raise refused(rule, error.message) from error
        if rule.for_ms or rule.keep_firing_ms or rule.annotations:
            self.losses.append("for, keep_firing_for and annotations are those of alerts")
        return {
            "name": rule.name,
            "expression": rule.expression,
            "labels": self._texts("label", rule.labels, _LABEL_CHARS_MAX),
            "interval_seconds": self._interval_s(),
        }

    def _interval_s(self) -> int:
        wanted_s = _whole(self._group.interval_ms or INTERVAL_S * 1000)
        interval_s = min(max(wanted_s, self._limits.alert_interval_seconds, 1), 86_400)
        if interval_s != wanted_s:
            self.losses.append(f"it is evaluated every {interval_s} s, not every {wanted_s}")
        return interval_s

    def _offset_s(self) -> int | None:
        if self._group.offset_ms is None:
            return None
        offset_s = _whole(self._group.offset_ms)
        if offset_s > OFFSET_MAX_S:
            self.losses.append(f"query_offset is {OFFSET_MAX_S} s, the most, and not {offset_s}")
        return min(offset_s, OFFSET_MAX_S)

    def _texts(self, what: str, given: Mapping[str, str], chars_max: int) -> dict[str, str]:
        kept = {name: text for name, text in given.items() if len(text) <= chars_max and "\x00" not in text}
        for name in sorted(set(given) - set(kept)):
            self.losses.append(f"{what} {name} is left out: it has more than {chars_max} characters, or a NUL")
        return kept

    def _try_texts(self, texts: Mapping[str, str], labels: Mapping[str, str]) -> None:
        for name, text in texts.items():
            try:
                templates.check(text, labels)
            except TemplateError as error:
                self.losses.append(f"{name}: {error}")

    def _name(self, names: Counter[str]) -> str:
        """The alert's name, or one that no other of the file has."""
        rule = self._rule
        apart = f" ({rule.labels['severity']})" if rule.labels.get("severity") else f" ({self._group.name})"
        number = 0
        wanted = name = rule.name[:NAME_CHARS_MAX]
        while names[name]:
            number += 1
            more = f"{apart} {number}" if number > 1 else apart
            name = wanted[: NAME_CHARS_MAX - len(more)] + more
        names[name] += 1
        return name


def _whole(milliseconds: int) -> int:
    return -(-milliseconds // 1000)


def _url(text: str) -> str:
    return text if _URL.fullmatch(text) else ""
