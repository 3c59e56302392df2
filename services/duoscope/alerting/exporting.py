"""Writes alert rules and named expressions as a rule file of Prometheus."""

from collections.abc import Sequence

import yaml

from duoscope.alerting.conditions import Absence, Present, Threshold
from duoscope.alerting.definitions import Definition, parsed
from duoscope.alerting.rule_files.conversion import SEPARATOR
from duoscope.alerting.rule_files.documents import refused
from duoscope.alerting.rule_files.groups import Group, Rule, written
from duoscope.kernel.errors import DuoscopeError
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.named_expressions import NamedExpression
from duoscope.telemetry.promql.numerals import formatted
from duoscope.telemetry.questions.promql import PromqlQuestion

_COMPARED = frozenset({">", ">=", "<", "<=", "==", "!="})


def rule_file(rules: Sequence[AlertRule], expressions: Sequence[NamedExpression]) -> str:
    """A rule file, as YAML. Rules that Prometheus could not evaluate stand in comments at its top, with the reason."""
    groups: dict[tuple[str, int, int], list[Rule]] = {}
    left_out: list[str] = []
    for each in expressions:
        made = Rule("record", each.name, each.expression, labels=each.labels)
        groups.setdefault((_group(each.source), each.interval_seconds, 0), []).append(made)
    for rule in rules:
        try:
            definition = parsed(rule)
            made = _rule(rule, definition)
        except DuoscopeError as error:
            left_out.append(f"# not exported: {' '.join(rule.name.split())}: {' '.join(error.message.split())}")
            continue
        key = (_group(rule.source), rule.interval_seconds, definition.config.delay_seconds)
        groups.setdefault(key, []).append(made)
    names: dict[str, int] = {}
    listed: list[Group] = []
    for (name, interval_s, delay_s), of_group in groups.items():
        names[name] = names.get(name, 0) + 1
        unique = name if names[name] == 1 else f"{name} {names[name]}"
        listed.append(Group(unique, tuple(of_group), interval_s * 1000, delay_s * 1000))
    text = yaml.safe_dump(written(listed), sort_keys=False, allow_unicode=True, width=120)
    return "\n".join([*left_out, text])


def _group(source: str) -> str:
    """The group that a source names; one for all that were written here."""
    parts = source.split(SEPARATOR)
    return parts[1] if len(parts) > 2 else "duoscope"  # noqa: PLR2004 - the file, the group, the rule


def _rule(rule: AlertRule, definition: Definition) -> Rule:
    labels = {"severity": rule.severity} | rule.labels
    name = labels.pop("alertname", rule.name)
    annotations = dict(rule.annotations)
    for what in ("runbook_url", "dashboard_url"):
        if url := getattr(rule, what):
            annotations.setdefault(what, url)
    return Rule(
        "alert",
        name,
        _expression(definition),
        definition.config.for_seconds * 1000,
        definition.config.keep_firing_seconds * 1000,
        labels,
        annotations,
    )


def _expression(definition: Definition) -> str:
    """The condition as PromQL that compares by itself. Raises INVALID if there is no such PromQL."""
    question, condition = definition.question, definition.condition
    if not isinstance(question, PromqlQuestion):
        raise _unlike(f"it watches a question of another kind than promql: {type(question).__name__}")
    text = question.expression
    if definition.config.of_last > 1:
        raise _unlike("m of the last n evaluations")
    match condition:
        case Present():
            return text
        case Threshold(window=None, recovery=None) if condition.comparison in _COMPARED and condition.value is not None:
            return f"({text}) {condition.comparison} {formatted(condition.value)}"
        case Threshold(window=None, low=float() | int() as low, high=float() | int() as high):
            joined = ("<", "or", ">") if condition.comparison == "out" else (">=", "and", "<=")
            return f"({text}) {joined[0]} {formatted(low)} {joined[1]} ({text}) {joined[2]} {formatted(high)}"
        case Absence(window=None):
            return f"absent({text})"
        case _:
            raise _unlike(f"a condition with a window, a recovery threshold, or of the kind {type(condition).__name__}")


def _unlike(why: str) -> DuoscopeError:
    return refused(f"Prometheus has nothing like this: {why}")
