"""The evaluator against the Prometheus project's own tests: every file of them, evaluation by evaluation.

Of the core files everything must be right; of the others what is not is printed, with the reasons (`pytest -s`).
"""

from collections import Counter

import pytest

from duoscope.telemetry.promql import notation
from support import promqltest
from support.shared import shared

CORE = (
    "aggregators", "at_modifier", "collision", "functions", "histograms", "literals", "name_label_dropping",
    "operators", "range_queries", "selectors", "staleness", "subquery", "trig_functions",
)  # fmt: skip
OTHERS = {
    "duration_expression": 6,
    "extended_vectors": 20,
    "fill-modifier": 23,
    "info": 23,
    "native_histograms": 177,
    "start_timestamps": 1,
    "type_and_unit": 30,
}
"""How many of their evaluations are right, at the least: what they are about is beyond Prometheus' own defaults."""


async def _failures(path, right):
    """The evaluations with a wrong result: line, expression and error."""
    memory = promqltest.Memory()
    for command, what in promqltest.commands(path):
        if command == "clear":
            memory = promqltest.Memory()
        elif command == "eval":
            wrong = await promqltest.failure(memory, what)
            right[not wrong] += 1
            if wrong:
                yield f"{path.name}:{what.line}: {what.expression}: {wrong}"
        else:
            for labels, points in what:
                for time, value in points:
                    if value is not None:
                        memory.add(labels, time, value)
            if command == "load_with_nhcb":
                promqltest.add_custom_histograms(memory, what)


@pytest.mark.parametrize("name", CORE)
async def test_core(name):
    right = Counter()
    failures = [failure async for failure in _failures(shared("promql", "testdata", f"{name}.test"), right)]
    assert not failures, "\n".join(failures)
    assert right[True] > 0


@pytest.mark.parametrize("name", OTHERS)
async def test_others(name):
    right = Counter()
    failures = [failure async for failure in _failures(shared("promql", "testdata", f"{name}.test"), right)]
    print(f"{name}: {right[True]} right, {right[False]} not:", *failures, sep="\n    ")  # noqa: T201 - a report
    assert right[True] >= OTHERS[name]


def test_the_reader_sees_what_is_wrong():
    assert not promqltest.same(1.0, 1.001)
    assert promqltest.same(1.0, 1.0 + 1e-9)
    assert not promqltest.same(1.0, None)
    assert notation.values("1+2x2 _ stale NaN 3x1")[:5] == [1, 3, 5, None, "stale"]
