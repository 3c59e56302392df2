"""Series as test files of Prometheus write them: `up{job="a"}` and its values, `0+10x5 _ stale`.

`series` reads the labels of one series, `values` what it has at each interval. Both raise ExpressionError with what is
wrong; how many values a text may stand for is bounded.
"""

import re
from typing import Final, Literal, TypeAlias

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.histograms import Hint, Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.syntax import text

VALUES_MAX: Final = 1_000_000
"""Values that one text may stand for."""
Sample: TypeAlias = "float | Histogram | Literal['stale'] | None"
"""What a series has at a moment; None for nothing."""

_UNITS_MS: Final = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip
_NUMBER: Final = r"(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN])"
_ITEM: Final = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|\S+", re.DOTALL)
_HISTOGRAMS: Final = re.compile(r"\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x(\d+))?", re.DOTALL)
_NUMBERS: Final = re.compile(rf"([+-]?{_NUMBER})(?:([+-]{_NUMBER})?x(\d+))?")
_GAP: Final = re.compile(r"_(?:x(\d+))?")
_NAME: Final = re.compile(r"(?:[^\W\d]|:)[\w:]*")
_STRING: Final = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''
_LABEL: Final = re.compile(rf"\s*(?:({_STRING}|[\w.:]+)\s*=\s*({_STRING})|({_STRING}))\s*")
_FIELD: Final = re.compile(r"(\w+):(\[[^\]]*\]|\S+)")
_FIELDS: Final = frozenset(
    ("schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset", "buckets", "n_buckets", "custom_values",
     "counter_reset_hint")
)  # fmt: skip
_HINTS: Final[dict[str, Hint]] = {
    "unknown": "unknown", "reset": "reset", "not_reset": "not_reset", "gauge": "gauge",
}  # fmt: skip


def milliseconds(word: str) -> int:
    """Parse a duration such as `1m30s`, or a number of seconds.

    Raises:
        ExpressionError: it is neither.
    """
    sign, digits = (-1, word[1:]) if word.startswith("-") else (1, word)
    parts: list[tuple[str, str]] = re.findall(r"(\d+)(ms|[smhdwy])", digits, re.ASCII)
    if parts and "".join(number + unit for number, unit in parts) == digits:
        return sign * sum(int(number) * _UNITS_MS[unit] for number, unit in parts)
    try:
        return round(float(word) * 1000)
    except (ValueError, OverflowError):
        raise ExpressionError(f"not a valid duration string: {word[:40]!r}") from None


def series(line: str) -> tuple[Labels, str]:
    """Read the labels of a series at the beginning of a line. Also returns the rest of the line.

    Raises:
        ExpressionError: they cannot be read.
    """
    rest = line.strip()
    pairs: dict[str, str] = {}
    if (found := _NAME.match(rest)) and not _is_number(rest):
        pairs[label_sets.NAME] = found.group()
        rest = rest[found.end() :]
    if not rest.startswith("{") or rest.startswith("{{"):
        return label_sets.of(pairs), rest
    position = 1
    while not rest.startswith("}", position):
        found = _LABEL.match(rest, position)
        if found is None or rest[found.end() : found.end() + 1] not in {",", "}"}:
            raise ExpressionError(f"no labels of a series: {line.strip()[:200]}")
        name, value, metric = found.groups()
        if metric is not None:
            pairs[label_sets.NAME] = text.decoded(metric)
        else:
            pairs[text.decoded(name) if name[0] in "\"'" else name] = text.decoded(value)
        position = found.end() + (rest[found.end()] == ",")
        position += len(rest[position:]) - len(rest[position:].lstrip())
    return label_sets.of(pairs), rest[position + 1 :]


def whole_series(line: str) -> Labels:
    """The labels of a series that is all of a text. Raises ExpressionError."""
    labels, rest = series(line)
    if rest.strip():
        raise ExpressionError(f"more than the labels of a series: {line.strip()[:200]}")
    return labels


def values(words: str) -> list[Sample]:
    """Read the values of a series, one for each interval: numbers, histograms, `_`, `stale`, with `x` for repetition.

    Raises:
        ExpressionError: one cannot be read, or they are more than VALUES_MAX.
    """
    found: list[Sample] = []
    for item in _ITEM.findall(words):
        found += _values(item, VALUES_MAX - len(found))
    return found


def _values(item: str, room: int) -> list[Sample]:
    if item == "stale":
        return ["stale"]
    if found := _GAP.fullmatch(item):
        return [None] * _times(found.group(1) or "1", room)
    if found := _HISTOGRAMS.fullmatch(item):
        return _histograms(*found.groups(), room=room)
    if found := _NUMBERS.fullmatch(item):
        first, step, times = found.groups()
        if times is None:
            return [number(first)]
        start, change = number(first), number(step or "0")
        made: list[Sample] = []
        for _ in range(_times(times, room) + 1):
            made.append(start)
            start += change
        return made
    raise ExpressionError(f"no value of a series: {item[:40]!r}")


def _histograms(first: str, sign: str | None, change: str | None, times: str | None, *, room: int) -> list[Sample]:
    now = histogram(first)
    made: list[Sample] = [now]
    for _ in range(_times(times or "0", room)):
        if change is not None:
            hint = now.hint
            now = now.plus(histogram(change), 1.0 if sign == "+" else -1.0)[0]
            now.hint = hint
        made.append(now)
    return made


def histogram(inner: str) -> Histogram:
    """Read a native histogram, without its double braces. Raises ExpressionError."""
    fields: dict[str, str] = dict(_FIELD.findall(inner))
    if unknown := sorted(set(fields) - _FIELDS):
        raise ExpressionError(f"a histogram has no field {unknown[0][:40]!r}")

    def numbers(name: str) -> list[float]:
        return [number(word) for word in fields.get(name, "[]").strip("[]").split()]

    def one(name: str) -> float:
        return number(fields.get(name, "0"))

    word = fields.get("counter_reset_hint", "unknown")
    hint = _HINTS.get(word)
    if hint is None:
        raise ExpressionError(f"a histogram has no counter_reset_hint {word[:40]!r}")
    made = Histogram(schema=int(one("schema")), hint=hint)
    made.sum, made.count = one("sum"), one("count")
    made.zero_count, made.zero_threshold = one("z_bucket"), one("z_bucket_w")
    made.positive = {int(one("offset")) + place: count for place, count in enumerate(numbers("buckets"))}
    made.negative = {int(one("n_offset")) + place: count for place, count in enumerate(numbers("n_buckets"))}
    made.bounds = tuple(numbers("custom_values"))
    return made


def number(word: str) -> float:
    """Parse a number as PromQL writes it. Raises ExpressionError."""
    try:
        return float(word)
    except ValueError:
        raise ExpressionError(f"not a number: {word[:40]!r}") from None


def _times(word: str, room: int) -> int:
    times = int(word) if len(word) < len(str(VALUES_MAX)) + 1 else VALUES_MAX + 1
    if times >= room:
        raise ExpressionError(f"a series has at most {VALUES_MAX:,} values")
    return times


def _is_number(rest: str) -> bool:
    return re.fullmatch(r"(?i)nan|inf", rest) is not None
