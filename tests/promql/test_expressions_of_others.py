"""The expressions of public dashboards and rules parse and are answered, on series that have the names they ask for."""

import json
import re

import numpy as np
import pytest
import yaml

from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.promql.values import Points
from support.shared import shared

_VARIABLES = {
    "__interval": "1m",
    "__rate_interval": "5m",
    "__range": "1h",
    "__range_s": "3600",
    "__interval_ms": "60000",
}
# LogQL, what Grafana evaluates itself, and two of MetricsQL.
_NO_PROMQL = re.compile(r"\) default |\) offset |\|=|\|~|\| *(json|logfmt|unwrap)|label_values\(|query_result\(|\$k\b")
_MOMENTS = np.arange(0, 3_600_001, 60_000, dtype=np.int64)


class Obliging:
    """A storage with a few series for each selector that match its equalities."""

    async def points(self, requests):
        return [self._made(request) for request in requests]

    async def compute(self, work, _unwanted):
        return work()

    async def series(self, requests):
        return [self._made(request).labels for request in requests]

    @staticmethod
    def _made(request):
        sure = {m.name: m.value for m in request.groups[0] if m.type == "="}
        name = sure.get("__name__", "anything")
        bounds = ("0.1", "1", "+Inf") if name.endswith("_bucket") else ("",)
        labels = sorted(
            label_sets.of({"le": le, "job": "j", "instance": "i:1", "namespace": "n", "pod": "p", **sure})
            for le in bounds
        )
        kept = _MOMENTS[(request.start_ms < _MOMENTS) & (request.end_ms >= _MOMENTS)]
        times = np.tile(kept, len(labels))
        places = np.arange(len(labels) + 1, dtype=np.int64) * len(kept)
        return Points(labels, places, times, times / 1000.0 + np.repeat(np.arange(len(labels)), len(kept)))


def _filled(expression):
    for name, value in _VARIABLES.items():
        expression = re.sub(rf"\$\{{?{name}\b(:\w+)?\}}?", value, expression)
    # A variable in the place of a number, of a duration, or of a text.
    expression = re.sub(r"\[(\$\{?\w+(:\w+)?\}?)", "[5m", expression)
    return re.sub(r"\$\{?\w+(:\w+)?\}?|\[\[\w+\]\]", "1", expression)


def _of_dashboards(folder):
    def found(value):
        if isinstance(value, dict):
            if isinstance(value.get("expr"), str):
                yield value["expr"]
            for inner in value.values():
                yield from found(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from found(inner)

    for path in sorted(folder.glob("*.json")):
        for expression in found(json.loads(path.read_text())):
            yield path.name, expression


def _of_rules(folder):
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("tests/*.yaml")]):
        for document in yaml.safe_load_all(path.read_text()):
            for group in (document or {}).get("groups", []):
                for rule in group.get("rules", []):
                    yield path.name, str(rule["expr"])
            for test in (document or {}).get("tests", []):
                for one in test.get("promql_expr_test", []):
                    yield path.name, one["expr"]


async def _failures(expressions):
    for name, expression in expressions:
        text = _filled(expression)
        try:
            node = parse(text)
            answer = await engine.instant(Obliging(), text, node, 3_600_000)
            assert answer.value is not None
            if name.endswith(".json"):
                await engine.over_range(Obliging(), text, node, 1_800_000, 3_600_000, 60_000)
        except ExpressionError as error:
            yield f"{name}: {text}: {error.message}"


async def test_dashboards():
    found = dict.fromkeys(_of_dashboards(shared("dashboards")))
    expressions = [(name, text) for name, text in found if text.strip() and not _NO_PROMQL.search(text)]
    assert len(expressions) > 700
    failures = [failure async for failure in _failures(expressions)]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("of", ["tests", "all"])
async def test_rules(of):
    folder = shared("rules")
    expressions = list(dict.fromkeys(_of_rules(folder / "tests" if of == "tests" else folder)))
    assert expressions
    failures = [failure async for failure in _failures(expressions)]
    assert not failures, "\n".join(failures)
