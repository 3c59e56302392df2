"""Runs a file of promtool's unit tests, and tells what is not as expected."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from duoscope.alerting.rule_files import documents, groups, unit_tests
from duoscope.alerting.rule_files.groups import Group
from duoscope.alerting.rule_files.simulation import External, Firing, Simulation
from duoscope.alerting.rule_files.unit_tests import ExpectedSample, ExpressionTest, TestFile, TestGroup
from duoscope.telemetry.promql import engine, notation
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.memory import Memory
from duoscope.telemetry.promql.numerals import formatted
from duoscope.telemetry.promql.syntax import parse
from duoscope.telemetry.promql.values import Scalar, Vector

EVALUATIONS_MAX: Final = 200_000
ROUNDING: Final = 1e-12
"""Of sums in another order than Prometheus'."""
FUZZY: Final = 1e-6
"""Of a file with `fuzzy_compare`."""


@dataclass(slots=True)
class Checked:
    """The result of a file of tests.

    Attributes:
        failures: each in a few lines; empty if all is as expected.
        points: how many expectations were looked at.
        groups: how many groups of tests were run.
    """

    failures: list[str] = field(default_factory=list[str])
    points: int = 0
    groups: int = 0


async def run(path: Path, *, only: re.Pattern[str] | None = None, ignore_unknown: bool = False) -> Checked:
    """Run a file of tests.

    Args:
        path: of the file; the rules it names are relative to it.
        only: groups of tests with such names alone.
        ignore_unknown: whether fields that are not known are passed over.

    Raises:
        DuoscopeError: INVALID `invalid-file`: it, or a file of rules, cannot be read.
    """
    file = unit_tests.read(_text(path), ignore_unknown=ignore_unknown)
    rules = _ordered(_rules(unit_tests.rule_paths(path, file), ignore_unknown=ignore_unknown), file.group_eval_order)
    checked = Checked()
    for group in file.tests:
        if only is not None and not only.search(group.name):
            continue
        checked.groups += 1
        named = f"    name: {group.name},\n" if group.name else ""
        checked.failures += [named + failure for failure in await _run_group(file, group, rules, checked)]
    return checked


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise documents.refused(f"{path} cannot be read: {error}") from error


def _rules(paths: Sequence[Path], *, ignore_unknown: bool) -> list[Group]:
    found: list[Group] = []
    for path in paths:
        of_file = [group for document in documents.read(_text(path)) for group in groups.read(document)]
        names = [group.name for group in of_file]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise documents.refused(f"{path}: two groups have the name {twice[0]!r}")
        for group in of_file:
            lost = [f"{rule.name}: {each}" for rule in group.rules for each in (*rule.problems, *rule.losses)]
            if (lost := [*group.notes, *lost]) and not ignore_unknown:
                raise documents.refused(f"{path}: group {group.name!r}: {lost[0]}")
        found += of_file
    return found


def _ordered(found: list[Group], order: Sequence[str]) -> list[Group]:
    places = {name: place for place, name in enumerate(order)}
    if unknown := sorted(set(places) - {group.name for group in found}):
        raise documents.refused(f"group_eval_order: there is no group {unknown[0]!r}")
    return sorted(found, key=lambda group: places.get(group.name, len(places)))


async def _run_group(file: TestFile, group: TestGroup, rules: Sequence[Group], checked: Checked) -> list[str]:
    every_ms = unit_tests.length_ms(file.evaluation_interval, unit_tests.MINUTE_MS)
    start_ms = unit_tests.moment_ms(group.start_timestamp)
    alerts = [(unit_tests.length_ms(each.eval_time, 0), each) for each in group.alert_rule_test]
    expressions = [(unit_tests.length_ms(each.eval_time, 0), each) for each in group.promql_expr_test]
    last_ms = max([0, *(at for at, _ in alerts), *(at for at, _ in expressions)])
    if every_ms <= 0 or last_ms // every_ms > EVALUATIONS_MAX:
        raise documents.refused(f"evaluation_interval: more than {EVALUATIONS_MAX:,} evaluations")
    memory = _loaded(group, start_ms, every_ms)
    external = External(group.external_labels, group.external_url)
    simulation = Simulation(rules, memory, interval_ms=every_ms, external=external)
    failures: list[str] = []
    for at_ms in range(0, last_ms + 1, every_ms):
        problems = await simulation.evaluate(start_ms + at_ms)
        if problems:
            return [*failures, *(f"    {each}, time: {_shown_time(at_ms)}" for each in problems)]
        for eval_ms, test in alerts:
            if not at_ms <= eval_ms < at_ms + every_ms:
                continue
            checked.points += 1
            expected = [
                Firing({**_present(each.exp_labels), "alertname": test.alertname}, each.exp_annotations)
                for each in test.exp_alerts
            ]
            got = await simulation.firing(test.alertname, start_ms + at_ms)
            if sorted(map(_shown_alert, expected)) != sorted(map(_shown_alert, got)):
                failures.append(
                    f"    alertname: {test.alertname}, time: {_shown_time(eval_ms)},\n"
                    f"        exp:{_shown_alerts(expected)}\n        got:{_shown_alerts(got)}"
                )
    rounding = FUZZY if file.fuzzy_compare == "true" else ROUNDING
    for eval_ms, test in expressions:
        checked.points += 1
        if problem := await _wrong(memory, test, start_ms + eval_ms, rounding):
            failures.append(f"    expr: {test.expr!r}, time: {_shown_time(eval_ms)},\n{problem}")
    return failures


def _loaded(group: TestGroup, start_ms: int, every_ms: int) -> Memory:
    memory = Memory()
    step_ms = unit_tests.length_ms(group.interval, every_ms)
    for given in group.input_series:
        try:
            labels, values = notation.whole_series(given.series), notation.values(given.values)
        except ExpressionError as error:
            raise documents.refused(f"input_series: {given.series[:200]}: {error.message}") from error
        for place, value in enumerate(values):
            memory.add(labels, start_ms + place * step_ms, value)
    return memory


async def _wrong(memory: Memory, test: ExpressionTest, at_ms: int, rounding: float) -> str:
    try:
        answer = await engine.instant(memory, test.expr, parse.parse(test.expr), at_ms)
        got = sorted(_samples(answer.value), key=lambda each: each[0])
        expected = sorted((_expected(each) for each in test.exp_samples), key=lambda each: each[0])
    except ExpressionError as error:
        return f"        err: {error.message}"
    if len(got) == len(expected) and all(
        one[0] == other[0] and _same(one[1], other[1], rounding) for one, other in zip(got, expected, strict=True)
    ):
        return ""
    return f"        exp: {_shown_samples(expected)}\n        got: {_shown_samples(got)}"


def _expected(sample: ExpectedSample) -> tuple[Labels, float | Histogram]:
    labels = notation.whole_series(sample.labels)
    if not sample.histogram:
        return labels, notation.number(sample.value)
    found = notation.values(sample.histogram)
    if len(found) != 1 or not isinstance(found[0], Histogram):
        raise ExpressionError(f"not a histogram: {sample.histogram[:100]!r}")
    return labels, found[0]


def _samples(value: object) -> list[tuple[Labels, float | Histogram]]:
    match value:
        case Scalar(values):
            return [(label_sets.NONE, float(values[0]))]
        case Vector() as vector:
            is_hist = vector.is_hist
            return [
                (labels, vector.hist[row, 0] if is_hist[row, 0] else float(vector.values[row, 0]))
                for row, labels in enumerate(vector.labels)
                if vector.has[row, 0]
            ]
        case _:
            raise ExpressionError("the expression is neither a vector nor a scalar")


def _same(got: float | Histogram, expected: float | Histogram, rounding: float) -> bool:
    if isinstance(got, Histogram) and isinstance(expected, Histogram):
        return _same_histogram(got.compact(), expected.compact(), rounding)
    if isinstance(got, Histogram) or isinstance(expected, Histogram):
        return False
    if math.isnan(got) or math.isnan(expected):
        return math.isnan(got) and math.isnan(expected)
    return math.isclose(got, expected, rel_tol=rounding, abs_tol=0.0)


def _same_histogram(got: Histogram, expected: Histogram, rounding: float) -> bool:
    shapes = [
        (each.schema, each.bounds, each.zero_threshold, list(each.positive), list(each.negative))
        for each in (got, expected)
    ]
    # What is known of resets is a matter of chunks, which a memory does not have.
    hints = {got.hint, expected.hint} - {"unknown"}
    if shapes[0] != shapes[1] or len(hints) > 1:
        return False
    numbers = [
        (each.count, each.sum, each.zero_count, *each.positive.values(), *each.negative.values())
        for each in (got, expected)
    ]
    return all(_same(one, other, rounding) for one, other in zip(*numbers, strict=True))


def _present(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if value}


def _shown_alert(alert: Firing) -> str:
    parts = (label_sets.shown(label_sets.of(each)) for each in (alert.labels, alert.annotations))
    return "Labels:{} Annotations:{}".format(*parts)


def _shown_alerts(alerts: Sequence[Firing]) -> str:
    lines = [f"            {place}: {text}" for place, text in enumerate(sorted(map(_shown_alert, alerts)))]
    return "[\n" + "\n".join(lines) + "\n            ]" if lines else "[]"


def _shown_samples(samples: Sequence[tuple[Labels, float | Histogram]]) -> str:
    shown = (
        f"{label_sets.shown(labels)} {value if isinstance(value, Histogram) else formatted(value)}"
        for labels, value in samples
    )
    return ", ".join(shown) or "nil"


def _shown_time(milliseconds: int) -> str:
    return groups.duration(milliseconds)
