"""Operators between two values: arithmetic, comparisons, sets, and the matching of samples of two vectors."""

from collections.abc import Callable
from typing import Final

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.functions import between
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.syntax.tree import Binary, Matching
from duoscope.telemetry.promql.values import (
    Bools,
    Ints,
    Notes,
    Objects,
    Scalar,
    Vector,
    anywhere,
    check_cells,
    empty,
    filled,
    merged,
)

SETS: Final = frozenset({"and", "or", "unless"})


def scalars(node: Binary, left: Scalar, right: Scalar) -> Scalar:
    """Apply an operator to two numbers."""
    values, holds = between.numbers(node.operator, left.values, right.values)
    return Scalar(holds.astype(np.float64) if holds is not None else values)


def with_scalar(node: Binary, vector: Vector, scalar: Scalar, notes: Notes, *, is_swapped: bool) -> Vector:
    """Apply an operator to a vector and a number; `is_swapped` if the number is on the left."""
    number = np.broadcast_to(scalar.values[None, :], vector.values.shape)
    one, other = (number, vector.values) if is_swapped else (vector.values, number)
    values, holds = between.numbers(node.operator, one, other)
    has = vector.is_float
    hist: Objects = None
    if holds is not None and node.returns_bool:
        values = holds.astype(np.float64)
    elif holds is not None:
        values, has = vector.values, has & holds
    if vector.hist is not None:
        hist = between.histograms_and_number(node, vector, number, notes, is_swapped=is_swapped)
        has = has | filled(hist)
    drop = vector.drop | (node.returns_bool or holds is None)
    return Vector(vector.labels, values, has, hist, drop).present()


def _signatures(matching: Matching) -> Callable[[Labels], Labels]:
    names = frozenset(matching.labels)
    if matching.on:
        return lambda labels: label_sets.only(labels, names)
    left_out = names | label_sets.SCHEMA
    return lambda labels: label_sets.without(labels, left_out)


def sets(node: Binary, left: Vector, right: Vector) -> Vector:
    """Apply `and`, `or` or `unless`."""
    signature = _signatures(node.matching)
    numbers: dict[Labels, int] = {}
    of_left = np.array([numbers.setdefault(signature(labels), len(numbers)) for labels in left.labels], np.int64)
    of_right = np.array([numbers.setdefault(signature(labels), len(numbers)) for labels in right.labels], np.int64)
    steps = left.values.shape[1]
    source, where = (left, of_left) if node.operator == "or" else (right, of_right)
    present = np.zeros((len(numbers), steps), np.bool_)
    np.logical_or.at(present, where, source.has)
    if node.operator != "or":
        has = left.has & (present[of_left] if node.operator == "and" else ~present[of_left])
        return Vector(left.labels, left.values, has, left.hist, left.drop).present()
    kept = right.has & ~present[of_right]
    hist: Objects = None
    if left.hist is not None or right.hist is not None:
        hist = np.vstack([_hist(left), _hist(right)])
    joined = Vector(
        left.labels + right.labels, np.vstack([left.values, right.values]), np.vstack([left.has, kept]), hist,
        np.concatenate([left.drop, right.drop]),
    )  # fmt: skip
    return _same_series(joined.present())


def _same_series(vector: Vector) -> Vector:
    """Merge series with equal labels, if they share no step and both lose or keep their names."""
    if len(set(vector.labels)) == len(vector.labels):
        return vector
    kept_apart = [(labels, bool(drop)) for labels, drop in zip(vector.labels, vector.drop, strict=True)]
    if len(set(kept_apart)) == len(kept_apart):
        return vector
    return merged(vector)


def _hist(vector: Vector) -> Objects:
    return vector.hist if vector.hist is not None else np.full(vector.values.shape, None, object)


def vectors(node: Binary, left: Vector, right: Vector, notes: Notes) -> Vector:
    """Apply arithmetic or a comparison to two vectors.

    Raises:
        ExpressionError: a sample has more than one partner where it may have one.
    """
    matching = node.matching
    is_swapped = matching.cardinality == "one-to-many"
    many, one = (right, left) if is_swapped else (left, right)
    steps = left.values.shape[1]
    fills = matching.fill_left is not None or matching.fill_right is not None
    if (not left.labels or not right.labels) and not fills:
        return empty(steps)
    signature = _signatures(matching)
    numbers: dict[Labels, int] = {}
    of_one = np.array([numbers.setdefault(signature(labels), len(numbers)) for labels in one.labels], np.int64)
    of_many = np.array([numbers.setdefault(signature(labels), len(numbers)) for labels in many.labels], np.int64)
    both = np.ones(steps, np.bool_) if fills else anywhere(left.has) & anywhere(right.has)
    _refuse_duplicates(one, of_one, len(numbers), both, "left" if is_swapped else "right", list(numbers))
    pairs_many, pairs_one = _pairs(of_many, of_one)
    if fills:
        many, one, pairs_many, pairs_one = _filled(
            node, many, one, of_many, of_one, pairs_many, pairs_one, list(numbers), is_swapped=is_swapped
        )
    check_cells(len(pairs_many), steps)
    of_left, of_right = (pairs_one, pairs_many) if is_swapped else (pairs_many, pairs_one)
    first, second = (one, many) if is_swapped else (many, one)
    made = _computed(node, first.taken(of_left), second.taken(of_right), notes, is_swapped=is_swapped)
    results = [
        _result_labels(node, many.labels[int(row)], one.labels[int(other)])
        for row, other in zip(pairs_many.tolist(), pairs_one.tolist(), strict=True)
    ]
    groups = np.array([numbers.get(signature(many.labels[int(row)]), -1) for row in pairs_many.tolist()], np.int64)
    _refuse_many(matching, made.has, groups, results, len(numbers))
    return _joined(Vector(results, made.values, made.has, made.hist, made.drop))


def _pairs(of_many: Ints, of_one: Ints) -> tuple[Ints, Ints]:
    """Rows of both sides that have the same signature."""
    order = np.argsort(of_one, kind="stable")
    ordered = of_one[order]
    low = np.searchsorted(ordered, of_many, side="left")
    high = np.searchsorted(ordered, of_many, side="right")
    count = high - low
    many = np.repeat(np.arange(len(of_many)), count)
    within = np.arange(len(many)) - np.repeat(np.cumsum(count) - count, count)
    return many, order[np.repeat(low, count) + within]


def _filled(  # noqa: PLR0917 - both sides, and their pairs
    node: Binary, many: Vector, one: Vector, of_many: Ints, of_one: Ints, pairs_many: Ints, pairs_one: Ints,
    signatures: list[Labels], *, is_swapped: bool,
) -> tuple[Vector, Vector, Ints, Ints]:  # fmt: skip
    """Both sides with series of fill values for samples without a partner, and the pairs with these."""
    fill_left, fill_right = node.matching.fill_left, node.matching.fill_right
    fill_many, fill_one = (fill_right, fill_left) if is_swapped else (fill_left, fill_right)
    steps = many.values.shape[1]
    shape = (len(signatures), steps)
    has_one, has_many = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    np.logical_or.at(has_one, of_one, one.has)
    np.logical_or.at(has_many, of_many, many.has)
    if fill_one is not None:
        missing = ~has_one[of_many] & many.has
        rows = np.flatnonzero(missing.any(axis=1))
        added = Vector([signatures[of_many[row]] for row in rows], np.full((len(rows), steps), fill_one), missing[rows])
        pairs_many = np.concatenate([pairs_many, rows])
        pairs_one = np.concatenate([pairs_one, np.arange(len(rows)) + len(one.labels)])
        one = _stacked(one, added)
    if fill_many is not None:
        count = len(of_one)
        missing = ~has_many[of_one] & one.has[:count]
        rows = np.flatnonzero(missing.any(axis=1))
        added = Vector([signatures[of_one[row]] for row in rows], np.full((len(rows), steps), fill_many), missing[rows])
        pairs_one = np.concatenate([pairs_one, rows])
        pairs_many = np.concatenate([pairs_many, np.arange(len(rows)) + len(many.labels)])
        many = _stacked(many, added)
    return many, one, pairs_many.astype(np.int64), pairs_one.astype(np.int64)


def _stacked(one: Vector, other: Vector) -> Vector:
    hist: Objects = None
    if one.hist is not None or other.hist is not None:
        hist = np.vstack([_hist(one), _hist(other)])
    return Vector(
        one.labels + other.labels, np.vstack([one.values, other.values]), np.vstack([one.has, other.has]), hist,
        np.concatenate([one.drop, other.drop]),
    )  # fmt: skip


def _computed(node: Binary, left: Vector, right: Vector, notes: Notes, *, is_swapped: bool) -> Vector:
    has = left.is_float & right.is_float
    values, holds = between.numbers(node.operator, left.values, right.values)
    if holds is not None and node.returns_bool:
        values = holds.astype(np.float64)
    elif holds is not None:
        values, has = (right.values if is_swapped else left.values), has & holds
    hist: Objects = None
    if left.hist is not None or right.hist is not None:
        hist, numbers, answered = between.histograms(node, left, right, notes, is_swapped=is_swapped)
        values = np.where(answered, numbers, values)
        has = has | answered | filled(hist)
    drop = right.drop if is_swapped else left.drop
    return Vector(left.labels, values, has, hist, drop | (node.returns_bool or holds is None))


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    labels = many
    if node.operator not in between.COMPARISONS:
        labels = label_sets.without(labels, label_sets.SCHEMA)
    if matching.cardinality == "one-to-one":
        chosen = frozenset(matching.labels)
        labels = label_sets.only(labels, chosen) if matching.on else label_sets.without(labels, chosen)
    for name in matching.include:
        labels = label_sets.replaced(labels, name, label_sets.get(one, name))
    return labels


def _refuse_duplicates(  # noqa: PLR0917 - what a message names
    one: Vector, groups: Ints, count: int, where: Bools, side: str, signatures: list[Labels]
) -> None:
    counts = np.zeros((count, one.values.shape[1]), np.int64)
    np.add.at(counts, groups, one.has.astype(np.int64))
    wrong = np.argwhere((counts > 1) & where[None, :])
    if not len(wrong):
        return
    group, step = (int(place) for place in wrong[0])
    rows = [row for row in np.flatnonzero(groups == group) if one.has[row, step]][:2]
    found = ", ".join(label_sets.shown(one.labels[row]) for row in rows)
    raise execution(
        f"found duplicate series for the match group {label_sets.shown(signatures[group])} on the {side} hand-side of "
        f"the operation: [{found}];many-to-many matching not allowed: matching labels must be unique on one side"
    )


def _refuse_many(matching: Matching, has: Bools, groups: Ints, results: list[Labels], count: int) -> None:
    """Refuse several samples that share a partner, or that would become one series."""
    if matching.cardinality == "one-to-one":
        keys, message = (
            groups,
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        )
    else:
        numbers: dict[tuple[int, Labels], int] = {}
        pairs = zip(groups.tolist(), results, strict=True)
        keys = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], np.int64)
        count, message = len(numbers), "multiple matches for labels: grouping labels must ensure unique matches"
    counts = np.zeros((count + 1, has.shape[1]), np.int64)
    np.add.at(counts, keys, has.astype(np.int64))
    if (counts > 1).any():
        raise execution(message)


def _joined(vector: Vector) -> Vector:
    """Merge series of equal labels; at a step that two of them have, the answer has both and cannot be made."""
    return merged(vector.present())
