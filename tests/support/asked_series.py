"""Names and labels of series that a dashboard asks for, so that it can be looked at over telemetry that has them."""

import re
from collections import defaultdict

from duoscope.dashboards.filling import Chosen, Values, filled, promql
from duoscope.dashboards.variables import LabelValues, ListVariable, QueryResult, QueryVariable, by_name
from duoscope.telemetry.promql.syntax import tree
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.questions.promql import PromqlQuestion

SAMPLES = ("1", "a", "200", "500", "404", "5m", "GET", "eth0", "sda", "/", "ext4", "user", "idle", "x:1", "a.b", "a/b")
EVERYWHERE = {"job": "job", "instance": "instance", "namespace": "namespace", "pod": "pod", "cluster": "cluster"}
"""Labels that series of one target have in common, so that they can be joined."""


def values(dashboard):
    """What stands for each variable while telemetry is made: a text of its own for those that are asked for."""
    found = by_name(dashboard.variables, {})
    for variable in dashboard.variables:
        if isinstance(variable, QueryVariable):
            found[variable.name] = Chosen((f"a {variable.name}",), is_literal=True)
        elif isinstance(variable, ListVariable):
            found[variable.name] = Chosen((variable.options[0].value,), is_literal=True)
    return Values(found, 60, 3600)


def selectors(node):
    if isinstance(node, tree.Selector):
        yield node
    if isinstance(node, tree.Matrix):
        yield node.selector
    for child in tree.children(node):
        yield from selectors(child)


def value_for(matchers):
    """A value that all matchers of one label take."""
    parts = [
        part
        for matcher in matchers
        for part in (matcher.value, *re.split(r"[|()]", matcher.value))
        if matcher.type in ("=", "=~")
    ]
    plain = [re.sub(r"\\(.)", r"\1", re.sub(r"\.[*+]|^\^|\$$", "", part)) for part in parts]
    for candidate in (*plain, *parts, *(re.sub(r"\.", "0", part) for part in plain), *SAMPLES):
        if candidate and all(matcher.matches(candidate) for matcher in matchers):
            return candidate
    return ""


def series(dashboard):
    """Names and labels of series, one at least for each selector of the dashboard's questions and variables."""
    of = values(dashboard)
    texts = [
        filled(query.question, of).expression
        for widget in dashboard.widgets
        for query in widget.queries
        if isinstance(query.question, PromqlQuestion)
    ]
    for variable in dashboard.variables:
        match getattr(variable, "source", None):
            case LabelValues(_, selector) if selector:
                texts.append(promql(selector, of))
            case QueryResult(expression):
                texts.append(promql(expression, of))
    # A label that a variable is the value of has that value wherever a question says nothing else.
    shared_labels = dict(EVERYWHERE)
    for variable in dashboard.variables:
        if isinstance(source := getattr(variable, "source", None), LabelValues):
            shared_labels[source.label] = f"a {variable.name}"
    found, target = {}, {}
    for labels in (each for text in texts for each in wanted(text, shared_labels)):
        name = labels.pop("__name__", "") or "anything"
        if name == "target_info":  # a target has one
            target |= labels
            continue
        bounds = ("0.1", "1", "+Inf") if name.endswith("_bucket") and "le" not in labels else (None,)
        for bound in bounds:
            found[name, tuple(sorted((labels | ({"le": bound} if bound else {})).items()))] = None
    return [*found, *([("target_info", tuple(sorted(target.items())))] if target else [])]


def wanted(text, shared_labels):
    """Labels that satisfy each selector of an expression."""
    for selector in selectors(parse(text)):
        for group in selector.groups:
            by_label = defaultdict(list)
            for matcher in group:
                by_label[matcher.name].append(matcher)
            labels = shared_labels | {label: value_for(those) for label, those in by_label.items()}
            yield {label: value for label, value in labels.items() if value}
