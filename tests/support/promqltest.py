"""Reads the test scripts of the Prometheus project, with an in-memory store for their `load` blocks."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from duoscope.telemetry.promql import engine, notation
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.histograms import CUSTOM, Histogram, compatible
from duoscope.telemetry.promql.memory import Memory
from duoscope.telemetry.promql.syntax import text
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.promql.values import Points, Scalar, String, Vector

EPSILON = 1e-6


@dataclass
class Evaluation:
    """One `eval` with its expected result."""

    line: int
    kind: str
    start: int
    end: int
    step: int
    expression: str
    expected: list = field(default_factory=list)
    expects: list = field(default_factory=list)
    fails: bool = False


def _statements(path):
    """The lines of each command, with the number of its first line."""
    current, first = [], 0
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.strip()
        if line.startswith("#") or not line:
            continue
        if re.match(r"(load|clear|eval)\w*\b", raw) and not raw[0].isspace():
            if current:
                yield first, current
            current, first = [line], number
        else:
            current.append(line)
    if current:
        yield first, current


def commands(path: Path) -> Iterator[tuple[str, object]]:
    """`load` with series, `clear`, `eval` with an Evaluation."""
    for number, lines in _statements(path):
        head = lines[0]
        if head.startswith("clear"):
            yield "clear", None
        elif head.startswith("load"):
            interval = notation.milliseconds(head.split()[1])
            loaded = []
            for line in lines[1:]:
                if line.startswith("@"):
                    continue
                labels, rest = notation.series(line)
                if rest.startswith("@st"):  # when the series began, which is kept nowhere here
                    continue
                loaded.append((labels, [(at * interval, value) for at, value in enumerate(notation.values(rest))]))
            yield ("load_with_nhcb" if "nhcb" in head.split()[0] else "load"), loaded
        else:
            yield "eval", _evaluation(number, lines)


def _evaluation(number, lines):
    head = lines[0]
    flavour = re.match(r"eval(_\w+)?", head).group(1) or ""
    if found := re.match(r"eval(?:_\w+)? instant at (\S+) +(.*)", head):
        at = notation.milliseconds(found.group(1))
        made = Evaluation(number, "instant", at, at, 0, found.group(2))
    else:
        found = re.match(r"eval(?:_\w+)? range from (\S+) to (\S+) step (\S+) +(.*)", head)
        start, end, step = map(notation.milliseconds, found.groups()[:3])
        made = Evaluation(number, "range", start, end, step, found.group(4))
    if flavour == "_fail":
        made.fails = True
    elif flavour:
        made.expects.append(flavour[1:])
    for line in lines[1:]:
        if line.startswith("expect "):
            what = line.removeprefix("expect ").strip()
            made.fails |= what.startswith("fail")
            made.expects.append(what)
        elif line.startswith(("expected_fail_message", "expected_fail_regexp")):
            continue
        elif re.fullmatch(r"[+-]?(?:[\d.]+(?:[eE][+-]?\d+)?|Inf|NaN|inf|nan)", line):
            made.expected.append((None, [float(line)]))
        else:
            labels, rest = notation.series(line)
            made.expected.append((labels, notation.values(rest)))
    return made


def add_custom_histograms(memory: Memory, loaded) -> None:  # noqa: C901
    """Add the classic histograms of a `load` as native ones with custom buckets."""
    groups = {}
    for labels, points in loaded:
        name = label_sets.get(labels, "__name__")
        for suffix in ("_bucket", "_sum", "_count"):
            if name.endswith(suffix):
                bare = label_sets.replaced(labels, "__name__", name.removesuffix(suffix))
                key = label_sets.without(bare, ("le",))
                for time, value in points:
                    if value is None or value == "stale":
                        continue
                    parts = groups.setdefault(key, {}).setdefault(time, {"buckets": {}})
                    if suffix == "_bucket":
                        parts["buckets"][float(label_sets.get(labels, "le"))] = value
                    else:
                        parts[suffix] = value
    for key, times in groups.items():
        for time, parts in times.items():
            bounds = sorted(parts["buckets"])
            if not bounds:
                continue
            made = Histogram(schema=CUSTOM, bounds=tuple(bound for bound in bounds if bound != math.inf))
            before = 0.0
            for index, bound in enumerate(bounds):
                made.positive[index] = parts["buckets"][bound] - before
                before = parts["buckets"][bound]
            made.count = parts.get("_count", before)
            if made.count > before:
                index = len(made.bounds)
                made.positive[index] = made.positive.get(index, 0.0) + made.count - before
            made.sum = parts.get("_sum", 0.0)
            memory.add(key, time, made.compact())


async def failure(memory: Memory, evaluation: Evaluation) -> str | None:
    """The error in the answer to an evaluation, or None."""
    try:
        node = parse(evaluation.expression)
        if evaluation.kind == "instant":
            answer = await engine.instant(memory, evaluation.expression, node, evaluation.start)
        else:
            answer = await engine.over_range(
                memory, evaluation.expression, node, evaluation.start, evaluation.end, evaluation.step
            )
    except ExpressionError as error:
        if not evaluation.fails:
            return f"error: {error.message}"
        return _wrong_message(evaluation, error.message)
    if evaluation.fails:
        return "did not fail"
    if wrong := _wrong_notes(evaluation, answer):
        return wrong
    return _wrong_values(evaluation, answer)


def _wrong_message(evaluation, message):
    for expect in evaluation.expects:
        if found := re.match(r"fail (msg|regex):\s*(.*)", expect):
            kind, wanted = found.groups()
            if kind == "msg" and wanted not in message:
                return f"failed with {message!r}"
            if kind == "regex" and not re.search(wanted, message):
                return f"failed with {message!r}"
    return None


def _wrong_notes(evaluation, answer):
    for level, found in (("warn", answer.warnings), ("info", answer.infos)):
        wanted = [e for e in evaluation.expects if e == level or e.startswith(f"{level} ")]
        if f"no_{level}" in evaluation.expects and found:
            return f"unexpected {level}: {found}"
        if evaluation.expects and not wanted:
            continue
        if wanted and not found:
            return f"no {level}"
        for one in wanted:
            if match := re.match(rf"{level} (msg|regex):\s*(.*)", one):
                kind, pattern = match.groups()
                if not any(pattern == note if kind == "msg" else re.search(pattern, note) for note in found):
                    return f"{level}s are {found}"
    return None


def _wrong_values(evaluation, answer):  # noqa: C901, PLR0911, PLR0912
    value = answer.value
    texts = [e for e in evaluation.expects if e.startswith("string ")]
    if isinstance(value, String):
        if not texts:
            return "is a string"
        wanted = text.decoded(texts[0].removeprefix("string ").strip())
        return None if value.value == wanted else f"string {value.value!r}"
    if isinstance(value, Points):
        ranged = [e for e in evaluation.expects if e.startswith("range vector")]
        start, end, step = map(
            notation.milliseconds, re.match(r"range vector from (\S+) to (\S+) step (\S+)", ranged[0]).groups()
        )
        moments = list(range(start, end + 1, step))
        for labels, wanted in evaluation.expected:
            row = value.labels.index(labels)
            low, high = value.bounds[row], value.bounds[row + 1]
            got = dict(zip(value.times[low:high].tolist(), value.values[low:high].tolist(), strict=True))
            if got != dict(zip(moments, wanted, strict=False)):
                return f"{labels}: {got}"
        return None
    if isinstance(value, Scalar):
        value = Vector([()], value.values[None, :], np.ones((1, len(value.values)), bool))
    expected = [(labels or (), wanted) for labels, wanted in evaluation.expected]
    got = {}
    for row, labels in enumerate(value.labels):
        if labels in got:
            return f"twice {labels}"
        got[labels] = [
            _cell(value, row, step)
            for step in range(value.values.shape[1])
        ]  # fmt: skip
    wanted_all = {labels: values for labels, values in expected if any(v is not None for v in values)}
    if set(got) != set(wanted_all):
        missing, extra = (
            [label_sets.shown(x) for x in some] for some in (set(wanted_all) - set(got), set(got) - set(wanted_all))
        )
        return f"missing {missing}, extra {extra}"
    if "ordered" in evaluation.expects and list(got) != [labels for labels, _ in expected]:
        return f"order is {[label_sets.shown(labels) for labels in got]}"
    for labels, wanted in wanted_all.items():
        padded = wanted + [None] * (len(got[labels]) - len(wanted))
        for step, (a, b) in enumerate(zip(got[labels], padded, strict=False)):
            if not same(a, b):
                return f"{label_sets.shown(labels)} step {step}: {a} is not {b}"
        if len(wanted) > len(got[labels]):
            return "too few steps"
    return None


def _cell(value, row, step):
    if not value.has[row, step]:
        return None
    return value.hist[row, step] if value.is_hist[row, step] else float(value.values[row, step])


def same(a, b) -> bool:
    """Whether two samples are equal except for rounding."""
    if a is None or b is None:
        return a is b
    if isinstance(a, Histogram) or isinstance(b, Histogram):
        return isinstance(a, Histogram) and isinstance(b, Histogram) and _same_histogram(a, b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    total, apart = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < 2.2250738585072014e-308:
        return apart < EPSILON * 2.2250738585072014e-308
    return apart / min(total, 1.7976931348623157e308) < EPSILON


def _same_histogram(a, b):
    if not compatible(a, b) or a.schema != b.schema or a.bounds != b.bounds or a.zero_threshold != b.zero_threshold:
        return False
    if b.hint not in ("unknown", a.hint):
        return False
    a, b = a.compact(), b.compact()
    if set(a.positive) != set(b.positive) or set(a.negative) != set(b.negative):
        return False
    pairs = [(a.sum, b.sum), (a.count, b.count), (a.zero_count, b.zero_count)]
    pairs += [(a.positive[index], b.positive[index]) for index in b.positive]
    pairs += [(a.negative[index], b.negative[index]) for index in b.negative]
    return all(same(one, other) for one, other in pairs)
