"""Operators between two samples: numbers, a histogram and a number, two histograms."""

from collections.abc import Callable
from typing import Final

import numpy as np

from duoscope.telemetry.promql.histograms import Histogram, compatible
from duoscope.telemetry.promql.syntax.tree import Binary
from duoscope.telemetry.promql.values import Bools, Floats, Notes, Objects, Vector

ARITHMETIC: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: Final[dict[str, Callable[[Floats, Floats], Bools]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def numbers(operator: str, left: Floats, right: Floats) -> tuple[Floats, Bools | None]:
    """The result of arithmetic, or where a comparison holds."""
    if operator in COMPARISONS:
        return left, COMPARISONS[operator](left, right)
    return ARITHMETIC[operator](left, right), None


def histograms_and_number(node: Binary, vector: Vector, number: Floats, notes: Notes, *, is_swapped: bool) -> Objects:
    """Histograms of a vector multiplied or divided by a number; no other operator is defined between the two."""
    made = np.full(vector.values.shape, None, object)
    is_hist = vector.is_hist
    if not is_hist.any():
        return made
    if node.operator == "*" or (node.operator == "/" and not is_swapped):
        for row, step in zip(*np.nonzero(is_hist), strict=True):
            found: Histogram = vector.hist[row, step]
            factor = float(number[row, step])
            made[row, step] = found.scaled(factor) if node.operator == "*" else found.divided(factor)
        return made
    sides = "float {} histogram" if is_swapped else "histogram {} float"
    _incompatible(node, sides, notes)
    return made


def histograms(
    node: Binary, left: Vector, right: Vector, notes: Notes, *, is_swapped: bool
) -> tuple[Objects, Floats, Bools]:
    """Pairs with at least one histogram: resulting histograms, resulting numbers, and where there are such numbers."""
    made = np.full(left.values.shape, None, object)
    values = np.zeros(left.values.shape)
    answered = np.zeros(left.values.shape, np.bool_)
    pairs = left.has & right.has & (left.is_hist | right.is_hist)
    for row, step in zip(*np.nonzero(pairs), strict=True):
        one = left.hist[row, step] if left.hist is not None else None
        other = right.hist[row, step] if right.hist is not None else None
        if one is None or other is None:
            number = float(left.values[row, step] if one is None else right.values[row, step])
            made[row, step] = _mixed(node, one, other, number, notes)
        elif node.operator in ("+", "-"):
            made[row, step] = _added(node, one, other, notes)
        elif node.operator in ("==", "!="):
            holds = one.equals(other) is (node.operator == "==")
            if node.returns_bool:
                values[row, step], answered[row, step] = float(holds), True
            elif holds:
                made[row, step] = other if is_swapped else one
        else:
            _incompatible(node, "histogram {} histogram", notes)
    return made, values, answered


def _mixed(
    node: Binary, one: Histogram | None, other: Histogram | None, number: float, notes: Notes
) -> Histogram | None:
    if node.operator == "*":
        found = one or other
        assert found is not None
        return found.scaled(number)
    if node.operator == "/" and one is not None:
        return one.divided(number)
    _incompatible(node, "float {} histogram" if one is None else "histogram {} float", notes)
    return None


def _added(node: Binary, one: Histogram, other: Histogram, notes: Notes) -> Histogram | None:
    if not compatible(one, other):
        notes.warn("vector contains a mix of histograms with exponential and custom buckets schemas", node.position)
        return None
    if node.operator == "+" and {one.hint, other.hint} == {"reset", "not_reset"}:
        notes.warn("conflicting counter resets during histogram addition", node.position)
    made, reconciled = one.plus(other, 1.0 if node.operator == "+" else -1.0)
    if reconciled:
        what = "addition" if node.operator == "+" else "subtraction"
        notes.inform(f"mismatched custom buckets were reconciled during {what}", node.position)
    return made.compact()


def _incompatible(node: Binary, sides: str, notes: Notes) -> None:
    notes.inform(
        f'incompatible sample types encountered for binary operator "{node.operator}": {sides.format(node.operator)}',
        node.position,
    )
