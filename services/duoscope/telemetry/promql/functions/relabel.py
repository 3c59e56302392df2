"""Functions that change labels, or sort by them."""

import functools
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql import patterns
from duoscope.telemetry.promql.errors import ExpressionError, execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.syntax.text import shown
from duoscope.telemetry.promql.values import Vector, merged

_REFERENCE: Final = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")
_CHUNKS: Final = re.compile(r"\d+|\D+")


def replace(vector: Vector, target: str, template: str, source: str, expression: str) -> Vector:
    """`label_replace`: if the source's whole value matches, the target becomes the template filled from it.

    Raises:
        ExpressionError: the target is not a name, the expression is invalid, or series become equal.
    """
    _check(target, "label_replace")
    try:
        pattern = patterns.compiled(expression)
    except ExpressionError as error:
        raise execution(f"invalid regular expression in label_replace(): {error.message}") from None

    def change(labels: Labels) -> Labels:
        match = pattern.fullmatch(label_sets.get(labels, source))
        return labels if match is None else label_sets.replaced(labels, target, _filled(template, match))

    return _changed(vector, [change(labels) for labels in vector.labels], target)


def join(vector: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """`label_join`: the target becomes the values of the sources.

    Raises:
        ExpressionError: a name is invalid, or series become equal.
    """
    _check(target, "label_join")
    for source in sources:
        if not label_sets.is_name(source):
            raise execution(f"invalid source label name in label_join(): {source}")
    joined = [
        label_sets.replaced(labels, target, separator.join(label_sets.get(labels, source) for source in sources))
        for labels in vector.labels
    ]
    return _changed(vector, joined, target)


def _check(target: str, function: str) -> None:
    if not label_sets.is_name(target):
        raise execution(f"invalid destination label name in {function}(): {shown(target)}")


def _changed(vector: Vector, labels: list[Labels], target: str) -> Vector:
    drop = vector.drop & (target != label_sets.NAME)
    return merged(Vector(labels, vector.values, vector.has, vector.hist, drop, vector.is_ordered))


def _filled(template: str, match: Any) -> str:
    def value(reference: re.Match[str]) -> str:
        name = reference.group(1) or reference.group(2)
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(value, template)


def by_value(vector: Vector, *, descending: bool) -> Vector:
    """Sort by the number at the only step, NaN last; histograms are left out."""
    made = Vector(vector.labels, vector.values, vector.is_float, drop=vector.drop).present()
    if made.values.shape[1] != 1:
        return made
    values = made.values[:, 0]
    order = np.lexsort((-values if descending else values, np.isnan(values)))
    made = made.taken(order)
    made.is_ordered = True
    return made


def by_label(vector: Vector, names: Sequence[str], *, descending: bool) -> Vector:
    """Sort by the values of labels, numbers in them as numbers; then by all labels."""

    def compare(left: int, right: int) -> int:
        one, other = vector.labels[left], vector.labels[right]
        for name in names:
            a, b = label_sets.get(one, name), label_sets.get(other, name)
            if a != b:
                return -1 if _naturally_less(a, b) else 1
        return -1 if one < other else int(one > other)

    order = sorted(range(len(vector.labels)), key=functools.cmp_to_key(compare), reverse=descending)
    made = vector.taken(np.array(order, np.int64))
    made.is_ordered = True
    return made


def _naturally_less(one: str, other: str) -> bool:
    left, right = _CHUNKS.findall(one), _CHUNKS.findall(other)
    for a, b in zip(left, right, strict=False):
        if a == b or (a.isdecimal() and b.isdecimal() and int(a) == int(b)):
            continue
        return int(a) < int(b) if a.isdecimal() and b.isdecimal() else a < b
    return len(left) < len(right)
