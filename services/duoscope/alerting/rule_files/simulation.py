"""Runs rules over series in memory, evaluation by evaluation, as promtool's unit tests do.

Alerts are judged by the conditions and the state machine that the evaluator uses; recordings are written into the same
memory. What a rule no longer says ends with a marker, as in Prometheus.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from duoscope.alerting.evaluation import Found, Instance, advance
from duoscope.alerting.instances import Policy, Status, Subject
from duoscope.alerting.rule_files import conversion
from duoscope.alerting.rule_files.groups import Group, Rule
from duoscope.kernel.errors import DuoscopeError
from duoscope.notification import templates
from duoscope.notification.templates import AlertData, Mistake, Sample, TemplateError
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.memory import Memory
from duoscope.telemetry.promql.storage import meets
from duoscope.telemetry.promql.syntax import parse, tree
from duoscope.telemetry.promql.values import Scalar, Vector
from duoscope.telemetry.questions.answers import Steps
from duoscope.telemetry.questions.promql import evaluated

INSTANCES_MAX: Final = 1_000_000
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_OF_NOTHING: Final = frozenset({"absent", "absent_over_time", "vector", "scalar", "time", "pi"})
"""Functions that have a value without any series."""


@dataclass(frozen=True, slots=True)
class External:
    """The outside as templates see it: `$externalLabels`, `$externalURL`."""

    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str = ""


@dataclass(slots=True)
class Running:
    """A rule with what it said last.

    Attributes:
        rule: as its file has it.
        node: its expression.
        policy: of an alert.
        instances: of an alert, by subject and labels.
        values: the last value of each series of an alert.
        said: the series that its last evaluation wrote.
    """

    rule: Rule
    node: tree.Node
    policy: Policy
    instances: dict[tuple[Subject, Labels], Instance] = field(default_factory=dict[tuple[Subject, Labels], Instance])
    values: dict[Labels, float] = field(default_factory=dict[Labels, float])
    said: set[Labels] = field(default_factory=set[Labels])
    silent_for: int = -1
    """The number of series in memory with which it was found to have no value."""


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires, with its texts."""

    labels: dict[str, str]
    annotations: dict[str, str]


class Simulation:
    """Groups of rules over a memory. Raises INVALID for a rule that cannot be evaluated at all."""

    def __init__(
        self, groups: Sequence[Group], memory: Memory, *, interval_ms: int, external: External | None = None
    ) -> None:
        self._memory = memory
        self._interval_ms = interval_ms
        self._external = external or External()
        self._running = [[self._prepared(rule) for rule in group.rules] for group in groups]

    def _prepared(self, rule: Rule) -> Running:
        if rule.problems:
            raise conversion.refused(rule, rule.problems[0])
        definition = conversion.definition(rule, interval_s=max(1, self._interval_ms // 1000))
        policy = replace(
            definition.policy,
            interval=timedelta(milliseconds=self._interval_ms),
            pending_for=timedelta(milliseconds=rule.for_ms),
            keep_firing_for=timedelta(milliseconds=rule.keep_firing_ms),
        )
        try:
            return Running(rule, parse.parse(rule.expression), policy)
        except ExpressionError as error:
            raise conversion.refused(rule, error.message) from error

    async def evaluate(self, at_ms: int) -> list[str]:
        """Evaluate all rules once, in their order. Returns what went wrong."""
        problems: list[str] = []
        for running in (each for group in self._running for each in group):
            try:
                said = await (self._alert if running.rule.kind == "alert" else self._record)(running, at_ms)
            except (ExpressionError, DuoscopeError, TemplateError) as error:
                message = error.message if isinstance(error, (ExpressionError, DuoscopeError)) else str(error)
                problems.append(f"rule: {running.rule.name}, err: {message}")
                continue
            for labels, value in said.items():
                self._memory.add(labels, at_ms, value)
            for labels in running.said - set(said):
                self._memory.add(labels, at_ms, "stale")
            running.said = set(said)
        return problems

    async def firing(self, name: str, at_ms: int) -> list[Firing]:
        """The alerts of that name that fire, with their texts as of a moment."""
        found: list[Firing] = []
        for running in (each for group in self._running for each in group if each.rule.name == name):
            fires = [each for each in self._active(running) if each.state.status is Status.FIRING]
            found += [await self._told(running, instance, at_ms) for instance in fires]
        return found

    async def _record(self, running: Running, at_ms: int) -> dict[Labels, float]:
        if self._is_silent(running):
            return {}
        answer = await engine.instant(self._memory, running.rule.expression, running.node, at_ms)
        said: dict[Labels, float] = {}
        for labels, value in _samples(answer.value):
            key = label_sets.of({**dict(labels), label_sets.NAME: running.rule.name, **running.rule.labels})
            if key in said:
                raise ExpressionError("vector contains metrics with the same labelset after applying rule labels")
            said[key] = value
        return said

    async def _alert(self, running: Running, at_ms: int) -> dict[Labels, float]:
        if self._is_silent(running) and not running.instances:
            return {}
        answered = await evaluated(self._memory, running.rule.expression, Steps(at_ms * 1_000_000, 1_000_000_000))
        judged = conversion.CONDITION.judged(answered)
        running.values |= dict(zip(judged.labels, judged.values.tolist(), strict=True))
        step = advance(list(running.instances.values()), Found(judged), running.policy, _time(at_ms), INSTANCES_MAX)
        gone = set(step.forgotten)
        running.instances = {key: each for key, each in running.instances.items() if each.instance_id not in gone}
        running.instances |= {each.key: each for each in step.changed}
        said: dict[Labels, float] = {}
        for instance in self._active(running):
            labels = await self._labels(running, instance, at_ms)
            state, active_at = instance.state.status.value, instance.state.active_at
            said[label_sets.of(labels | {label_sets.NAME: "ALERTS", "alertstate": state})] = 1.0
            if active_at is not None:
                of_state = label_sets.of(labels | {label_sets.NAME: "ALERTS_FOR_STATE"})
                if of_state in said:
                    raise ExpressionError("vector contains metrics with the same labelset after applying alert labels")
                said[of_state] = active_at.timestamp()
        return said

    def _active(self, running: Running) -> Iterator[Instance]:
        for instance in running.instances.values():
            if instance.state.subject is Subject.SERIES and instance.state.status in {Status.PENDING, Status.FIRING}:
                yield instance

    async def _labels(self, running: Running, instance: Instance, at_ms: int) -> dict[str, str]:
        own = await self._rendered(running, instance, running.rule.labels, at_ms)
        return {**dict(instance.labels), **own, "alertname": running.rule.name}

    async def _told(self, running: Running, instance: Instance, at_ms: int) -> Firing:
        labels = {name: value for name, value in (await self._labels(running, instance, at_ms)).items() if value}
        return Firing(labels, await self._rendered(running, instance, running.rule.annotations, at_ms))

    async def _rendered(
        self, running: Running, instance: Instance, texts: Mapping[str, str], at_ms: int
    ) -> dict[str, str]:
        value = running.values.get(instance.labels, math.nan)
        data = AlertData(dict(instance.labels), value, self._external.labels, self._external.url)

        async def ask(expression: str) -> list[Sample]:
            try:
                answer = await engine.instant(self._memory, expression, parse.parse(expression), at_ms)
            except ExpressionError as error:
                raise Mistake(error.message) from error
            return [Sample(dict(labels), value) for labels, value in _samples(answer.value)]

        made, _ = await templates.render_asking(texts, data, ask)
        return made

    def _is_silent(self, running: Running) -> bool:
        """Whether the expression has no value whatever the time, since none of its series is there."""
        series = self._memory.names
        if running.silent_for != len(series):
            if _may_speak(running.node, series):
                return False
            running.silent_for = len(series)
        return True


def _may_speak(node: tree.Node, series: frozenset[Labels]) -> bool:  # noqa: PLR0911 - a branch for each kind of node
    match node:
        case tree.Selector():
            return any(meets(each, node.groups) for each in series)
        case tree.Matrix():
            return _may_speak(node.selector, series)
        case tree.Call() if node.function in _OF_NOTHING or not node.arguments:
            return True
        case tree.Binary():
            sides = [_may_speak(each, series) for each in (node.left, node.right)]
            if node.operator == "or" or node.matching.fill_left is not None or node.matching.fill_right is not None:
                return any(sides)
            return sides[0] if node.operator == "unless" else all(sides)
        case tree.Aggregate():
            return _may_speak(node.of, series)
        case tree.Call():
            of_series = [each for each in node.arguments if tree.type_of(each) in {"vector", "matrix"}]
            return all(_may_speak(each, series) for each in of_series)
        case tree.Paren() | tree.Negative() | tree.Subquery():
            return _may_speak(node.of, series)
        case _:
            return True


def _samples(value: object) -> list[tuple[Labels, float]]:
    match value:
        case Scalar(values):
            return [(label_sets.NONE, float(values[0]))]
        case Vector() as vector:
            if vector.is_hist.any():
                raise ExpressionError("the expression is a histogram: take a number of it")
            return [
                (labels, float(vector.values[row, 0])) for row, labels in enumerate(vector.labels) if vector.has[row, 0]
            ]
        case _:
            raise ExpressionError("the expression is neither a vector nor a scalar")


def _time(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)
