"""Rules of Grafana's provisioning export: a query of Prometheus, reduced, and compared by a threshold.

Such a rule is a small graph: queries, and expressions over them by their `refId`. The condition is followed down to one
query, or to the queries of a `math` expression; what is on the way becomes PromQL and a threshold.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from duoscope.alerting.comparing import Comparison
from duoscope.alerting.conditions import Threshold
from duoscope.alerting.definitions import PolicyConfig
from duoscope.alerting.instances import WhenNoData
from duoscope.alerting.rule_files import documents
from duoscope.alerting.rule_files.documents import Document
from duoscope.alerting.rule_files.groups import Group, Rule, duration
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.notation import milliseconds

_OF_EXPRESSIONS: Final = frozenset({"__expr__", "-100"})
_COMPARISONS: Final[Mapping[str, Comparison]] = {
    "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "==", "ne": "!=",
    "within_range": "in", "within_range_included": "in", "outside_range": "out", "outside_range_included": "out",
}  # fmt: skip
_REDUCERS: Final = {
    "last": "", "mean": "avg_over_time", "avg": "avg_over_time", "min": "min_over_time", "max": "max_over_time",
    "sum": "sum_over_time", "count": "count_over_time",
}  # fmt: skip
_NO_DATA: Final = {
    "nodata": WhenNoData.OWN, "ok": WhenNoData.OK, "alerting": WhenNoData.ALERT, "keeplast": WhenNoData.KEEP,
}  # fmt: skip
_REFERENCE: Final = re.compile(r"\$\{?(\w+)\}?")
_VALUES: Final = re.compile(r"\$values\.\w+(?:\.Value)?|\(index \$values \"\w+\"\)(?:\.Value)?")
_DEFAULT_RANGE_S: Final = 600
_STEP_MS_MIN: Final = 15_000
NODES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Compared:
    """The condition and policy of a rule of Grafana, beside its `Rule`, whose expression does not compare."""

    rule: Rule
    condition: Threshold
    config: PolicyConfig
    is_paused: bool


def is_provisioning(document: Document) -> bool:
    """Whether a document is Grafana's: its groups have a folder, or rules with `data`."""
    groups = [documents.mapping(each) for each in documents.sequence(documents.mapping(document).get("groups"))]
    rules = [documents.mapping(rule) for group in groups for rule in documents.sequence(group.get("rules"))]
    return any("folder" in group for group in groups) or any("data" in rule for rule in rules)


def read(document: Document) -> list[tuple[Group, list[Compared]]]:
    """The groups of an export, each with what its rules compare; rules that cannot be taken over have no `Compared`."""
    found: list[tuple[Group, list[Compared]]] = []
    for number, each in enumerate(documents.sequence(documents.mapping(document).get("groups")), 1):
        group = documents.mapping(each)
        compared: list[Compared] = []
        rules: list[Rule] = []
        for given in map(documents.mapping, documents.sequence(group.get("rules"))):
            try:
                made = _rule(given)
            except DuoscopeError as error:
                rules.append(Rule("alert", _title(given), "", problems=(error.message,)))
                continue
            rules.append(made.rule if isinstance(made, Compared) else made)
            if isinstance(made, Compared):
                compared.append(made)
        folder, name = documents.text(group.get("folder")), documents.text(group.get("name")) or f"group {number}"
        interval_ms = _length_ms(documents.text(group.get("interval")) or "1m")
        found.append((Group(f"{folder}/{name}" if folder else name, tuple(rules), interval_ms), compared))
    return found


def _rule(given: Mapping[str, Document]) -> Compared | Rule:
    graph = _Graph(given)
    recorded = documents.mapping(given.get("record"))
    labels, annotations = documents.texts(given.get("labels")), documents.texts(given.get("annotations"))
    losses = graph.losses
    if metric := documents.text(recorded.get("metric")):
        expression = graph.expression(documents.text(recorded.get("from")))
        return Rule("record", metric, expression, labels=labels, losses=tuple(losses))
    condition, expression = graph.condition(documents.text(given.get("condition")))
    annotations = {name: _VALUES.sub("$value", text) for name, text in annotations.items()}
    if documents.text(given.get("execErrState")).lower() not in {"", "error"}:
        losses.append("execErrState: errors leave series as they are, and the rule is in `error` after three")
    if "notification_settings" in given:
        losses.append("notification_settings: who is told is said by the rule's notification groups")
    no_data = _NO_DATA.get(documents.text(given.get("noDataState")).lower(), WhenNoData.OWN)
    gone = documents.text(given.get("missing_series_evals_to_resolve"))
    config = PolicyConfig(
        for_seconds=-(-_length_ms(documents.text(given.get("for")) or "0s") // 1000),
        keep_firing_seconds=-(-_length_ms(documents.text(given.get("keep_firing_for")) or "0s") // 1000),
        no_data=no_data,
        vanished_after=min(1000, int(gone)) if gone.isdecimal() and int(gone) > 0 else 2,
    )
    rule = Rule("alert", _title(given), expression, labels=labels, annotations=annotations, losses=tuple(losses))
    return Compared(rule, condition, config, documents.text(given.get("isPaused")).lower() == "true")


class _Graph:
    """The queries and expressions of one rule."""

    def __init__(self, given: Mapping[str, Document]) -> None:
        nodes = [documents.mapping(each) for each in documents.sequence(given.get("data"))]
        if len(nodes) > NODES_MAX:
            raise documents.refused(f"it has more than {NODES_MAX} queries and expressions")
        self._nodes = {documents.text(node.get("refId")): node for node in nodes}
        self.losses: list[str] = []

    def condition(self, name: str) -> tuple[Threshold, str]:
        """The comparison, and the expression that it is made of. Raises INVALID if that cannot be said."""
        model = documents.mapping(self._node(name).get("model"))
        kind = documents.text(model.get("type")) if self._is_expression(name) else ""
        if kind == "threshold":
            evaluator, _ = self._evaluator(model)
            return evaluator, self.expression(documents.text(model.get("expression")))
        if kind == "classic_conditions":
            evaluator, asked = self._evaluator(model)
            of = documents.mapping(asked.get("query"))
            names = documents.sequence(of.get("params"))
            reducer = documents.text(documents.mapping(asked.get("reducer")).get("type"))
            return evaluator, self._reduced(documents.text(names[0]) if names else "", reducer)
        # What is neither says by another number than 0 that it holds.
        return Threshold(comparison="!=", value=0), self.expression(name)

    def expression(self, name: str, depth: int = 0) -> str:
        """A node as PromQL. Raises INVALID if it is none."""
        if depth > NODES_MAX:
            raise documents.refused(f"the expressions refer to one another in a circle: {name[:40]}")
        node = self._node(name)
        model = documents.mapping(node.get("model"))
        if not self._is_expression(name):
            text = documents.text(model.get("expr")).strip()
            if not text:
                raise documents.refused(f"query {name} is not one of Prometheus: it has no `expr`")
            return self._without_macros(name, text)
        kind = documents.text(model.get("type"))
        inner = documents.text(model.get("expression"))
        if kind == "reduce":
            return self._reduced(inner, documents.text(model.get("reducer")), depth)
        if kind == "math":
            if re.search(r"&&|\|\||!(?!=)", inner):
                raise documents.refused(f"expression {name}: boolean math is not PromQL")
            return _REFERENCE.sub(lambda found: f"({self.expression(found.group(1), depth + 1)})", inner)
        raise documents.refused(f"expression {name} is a {kind[:40] or 'thing'} of another kind than reduce and math")

    def _reduced(self, name: str, reducer: str, depth: int = 0) -> str:
        """One number of the time range of a query."""
        function = _REDUCERS.get(reducer or "last")
        if function is None:
            raise documents.refused(f"the reducer {reducer[:40]!r} has nothing like it here")
        expression = self.expression(name, depth + 1)
        model = documents.mapping(self._node(name).get("model"))
        if not function or self._is_expression(name) or documents.text(model.get("instant")) == "true":
            return expression
        span = documents.mapping(self._node(name).get("relativeTimeRange"))
        seconds = _whole(span.get("from"), _DEFAULT_RANGE_S) - _whole(span.get("to"), 0)
        step_ms = max(_STEP_MS_MIN, _whole(model.get("intervalMs"), _STEP_MS_MIN))
        return f"{function}(({expression})[{duration(max(1, seconds) * 1000)}:{duration(step_ms)}])"

    def _evaluator(self, model: Mapping[str, Document]) -> tuple[Threshold, Mapping[str, Document]]:
        asked = [documents.mapping(each) for each in documents.sequence(model.get("conditions"))]
        if len(asked) != 1:
            raise documents.refused(f"{len(asked)} conditions are not one; make a rule of each")
        evaluator = documents.mapping(asked[0].get("evaluator"))
        kind = documents.text(evaluator.get("type"))
        comparison = _COMPARISONS.get(kind)
        numbers = _numbers(documents.sequence(evaluator.get("params")))
        if comparison is None or not numbers:
            raise documents.refused(f"the comparison {kind[:40]!r} has nothing like it here")
        if comparison in {"in", "out"}:
            if len(numbers) == 1:
                raise documents.refused(f"{kind} takes two numbers")
            return Threshold(comparison=comparison, low=min(numbers[:2]), high=max(numbers[:2])), asked[0]
        recovery = self._recovery(asked[0], comparison)
        return Threshold(comparison=comparison, value=numbers[0], recovery=recovery), asked[0]

    def _recovery(self, asked: Mapping[str, Document], comparison: Comparison) -> float | None:
        unload = documents.mapping(asked.get("unloadEvaluator"))
        numbers = _numbers(documents.sequence(unload.get("params")))
        if not numbers:
            return None
        if comparison in {">", "<"}:
            return numbers[0]
        self.losses.append("unloadEvaluator: a recovery threshold goes with > and < alone")
        return None

    def _without_macros(self, name: str, text: str) -> str:
        span = documents.mapping(self._node(name).get("relativeTimeRange"))
        seconds = max(1, _whole(span.get("from"), _DEFAULT_RANGE_S) - _whole(span.get("to"), 0))
        lengths = {"__rate_interval": "1m", "__interval": "1m", "__range": f"{seconds}s"}
        made = re.sub(r"\$\{?(__rate_interval|__interval|__range)\}?", lambda found: lengths[found.group(1)], text)
        if made != text:
            self.losses.append(
                f"query {name}: $__interval and $__rate_interval are one minute, $__range is {seconds} s"
            )
        return made

    def _is_expression(self, name: str) -> bool:
        return documents.text(self._node(name).get("datasourceUid")) in _OF_EXPRESSIONS

    def _node(self, name: str) -> Mapping[str, Document]:
        if name not in self._nodes:
            raise documents.refused(f"there is no query {name[:40]!r}")
        return self._nodes[name]


def _title(given: Mapping[str, Document]) -> str:
    return documents.text(given.get("title")) or documents.text(given.get("uid")) or "rule"


def _length_ms(word: str) -> int:
    try:
        return max(0, milliseconds(word))
    except ExpressionError as error:
        raise documents.refused(error.message) from error


def _numbers(given: Sequence[Document]) -> list[float]:
    try:
        return [float(documents.text(each)) for each in given]
    except ValueError as error:
        raise documents.refused("the comparison is with something that is no number") from error


def _whole(given: "Document | None", default: int) -> int:
    word = documents.text(given)
    return int(word) if word.isdecimal() and len(word) < 10 else default  # noqa: PLR2004 - 30 years in seconds
