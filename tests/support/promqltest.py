"""Reads the test scripts of the Prometheus project, with an in-memory store for their `load` blocks."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.histograms import CUSTOM, Histogram, compatible
from duoscope.telemetry.promql.storage import meets
from duoscope.telemetry.promql.syntax import text
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.promql.values import STALE, Points, Scalar, String, Vector

EPSILON = 1e-6
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_ITEM = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|\S+")
_LABEL = re.compile(
    r"""\s*(?:("(?:[^"\\]|\\.)*"|[\w.:]+)\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|("(?:[^"\\]|\\.)*"))\s*,?"""
)


def milliseconds(word):
    """Parse a duration, or seconds."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", word)
    if parts and "".join(number + unit for number, unit in parts) == word.lstrip("-"):
        found = sum(int(number) * _UNITS[unit] for number, unit in parts)
        return -found if word.startswith("-") else found
    return round(float(word) * 1000)


def read_series(line):
    """Parse the labels of a line; also returns the rest of the line."""
    line = line.strip()
    match = re.match(r"[^\W\d][\w:]*|:[\w:]+", line)
    pairs = {}
    rest = line
    if match and not (match.group().lower() in ("nan", "inf") and not line[match.end() :].strip()):
        pairs["__name__"] = match.group()
        rest = line[match.end() :]
    if rest.startswith("{") and not rest.startswith("{{"):
        position = 1
        while rest[position] != "}":
            found = _LABEL.match(rest, position)
            assert found, f"no labels: {line}"
            name, value, metric = found.groups()
            if metric is not None:
                pairs["__name__"] = text.decoded(metric)
            else:
                pairs[text.decoded(name) if name[0] == '"' else name] = text.decoded(value)
            position = found.end()
            while rest[position] == " ":
                position += 1
        rest = rest[position + 1 :]
    return label_sets.of(pairs), rest


def read_histogram(inner):
    made = Histogram()
    fields = dict(re.findall(r"(\w+):(\[[^\]]*\]|\S+)", inner))

    def numbers(name):
        return [float(number) for number in fields.get(name, "[]")[1:-1].split()]

    made.schema = int(fields.get("schema", 0))
    made.sum = float(fields.get("sum", 0))
    made.count = float(fields.get("count", 0))
    made.zero_count = float(fields.get("z_bucket", 0))
    made.zero_threshold = float(fields.get("z_bucket_w", 0))
    start, negative = int(fields.get("offset", 0)), int(fields.get("n_offset", 0))
    made.positive = {start + number: count for number, count in enumerate(numbers("buckets"))}
    made.negative = {negative + number: count for number, count in enumerate(numbers("n_buckets"))}
    made.bounds = tuple(numbers("custom_values"))
    made.hint = fields.get("counter_reset_hint", "unknown")
    return made


def read_values(words):
    """Parse numbers, histograms, "stale", and None for no value."""
    values = []
    for item in _ITEM.findall(words):
        if found := re.fullmatch(r"\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x(\d+))?", item):
            first, sign, change, times = found.groups()
            now = read_histogram(first)
            values.append(now)
            for _ in range(int(times or 0)):
                if change is not None:
                    added = read_histogram(change)
                    hint = now.hint
                    now = now.plus(added, 1.0 if sign == "+" else -1.0)[0]
                    now.hint = hint
                values.append(now)
        elif found := re.fullmatch(r"_(?:x(\d+))?", item):
            values += [None] * int(found.group(1) or 1)
        elif item == "stale":
            values.append("stale")
        else:
            found = re.fullmatch(r"(.+?)(?:x(\d+))?", item)
            first, times = found.groups()
            if times is None:
                values.append(float(first))
                continue
            moving = re.fullmatch(
                r"([+-]?[\d.]+(?:[eE][+-]?\d+)?|[+-]?(?:Inf|NaN|inf|nan))([+-][\d.]+(?:[eE][+-]?\d+)?)?", first
            )
            start, step = float(moving.group(1)), float(moving.group(2) or 0)
            values += [start + step * number for number in range(int(times) + 1)]
    return values


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


class Memory:
    """Series in memory."""

    def __init__(self):
        self.series = {}

    def add(self, labels, time, value):
        self.series.setdefault(labels, {})[time] = value

    async def points(self, requests):
        return [self._points(request) for request in requests]

    async def compute(self, work, _unwanted):
        return work()

    async def series_of(self, requests):
        raise NotImplementedError

    def _points(self, request):
        labels = sorted(one for one in self.series if meets(one, request.groups))
        bounds, times, values, hists = [0], [], [], []
        for one in labels:
            for time in sorted(self.series[one]):
                if request.start_ms < time <= request.end_ms:
                    value = self.series[one][time]
                    times.append(time)
                    is_hist = isinstance(value, Histogram)
                    values.append(0.0 if is_hist else STALE if value == "stale" else value)
                    hists.append(value if is_hist else None)
            bounds.append(len(times))
        hist = None
        if any(one is not None for one in hists):
            hist = np.empty(len(hists), object)
            hist[:] = hists
        return Points(labels, np.array(bounds, np.int64), np.array(times, np.int64), np.array(values, np.float64), hist)


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
            interval = milliseconds(head.split()[1])
            loaded = []
            for line in lines[1:]:
                if line.startswith("@"):
                    continue
                labels, rest = read_series(line)
                if rest.startswith("@st"):  # when the series began, which is kept nowhere here
                    continue
                loaded.append((labels, [(at * interval, value) for at, value in enumerate(read_values(rest))]))
            yield ("load_with_nhcb" if "nhcb" in head.split()[0] else "load"), loaded
        else:
            yield "eval", _evaluation(number, lines)


def _evaluation(number, lines):
    head = lines[0]
    flavour = re.match(r"eval(_\w+)?", head).group(1) or ""
    if found := re.match(r"eval(?:_\w+)? instant at (\S+) +(.*)", head):
        at = milliseconds(found.group(1))
        made = Evaluation(number, "instant", at, at, 0, found.group(2))
    else:
        found = re.match(r"eval(?:_\w+)? range from (\S+) to (\S+) step (\S+) +(.*)", head)
        start, end, step = map(milliseconds, found.groups()[:3])
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
            labels, rest = read_series(line)
            made.expected.append((labels, read_values(rest)))
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
            milliseconds, re.match(r"range vector from (\S+) to (\S+) step (\S+)", ranged[0]).groups()
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
