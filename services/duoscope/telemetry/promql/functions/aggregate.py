"""Aggregations over series, group by group."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import xxhash

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.accumulators import Mean, Sum, Variance, quantiles
from duoscope.telemetry.promql.errors import ExpressionError, execution
from duoscope.telemetry.promql.histograms import Histogram, compatible, text_of
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import formatted, plain
from duoscope.telemetry.promql.syntax.text import shown
from duoscope.telemetry.promql.values import (
    Bools,
    Floats,
    Ints,
    Notes,
    Objects,
    Scalar,
    String,
    Value,
    Vector,
    filled,
    merged,
)

_HASH_MAX: Final = float(2**64 - 1)
_INT_MAX: Final = 2.0**63


@dataclass(slots=True)
class Groups:
    """The group of each series.

    Attributes:
        labels: of each group.
        of: the group of each series.
        drop: groups whose metric name is removed when the answer is made.
    """

    labels: list[Labels]
    of: Ints
    drop: Bools

    @property
    def members(self) -> Iterator[Ints]:
        """The rows of each group, in their order."""
        if not self.labels:
            return
        order = np.argsort(self.of, kind="stable")
        yield from np.split(order, np.cumsum(np.bincount(self.of, minlength=len(self.labels)))[:-1])


@dataclass(slots=True)
class Aggregation:
    """One aggregation.

    Attributes:
        operator: its name.
        vector: the vector to aggregate.
        groups: of its series.
        parameter: of `topk`, `quantile` and the like.
        notes: of the answer.
        position: of the vector in the expression.
        parameter_position: of the parameter.
        is_instant: whether there is one step and the order of the answer matters.
    """

    operator: str
    vector: Vector
    groups: Groups
    parameter: Value | None
    notes: Notes
    position: int
    parameter_position: int
    is_instant: bool

    @property
    def steps(self) -> int:
        """The number of steps."""
        return self.vector.values.shape[1]

    @property
    def number(self) -> Floats:
        """The parameter, one number per step."""
        assert isinstance(self.parameter, Scalar)
        return self.parameter.values

    def counted(self, where: Bools) -> Ints:
        """The number of samples in each group, by step."""
        counts = np.zeros((len(self.groups.labels), self.steps), np.int64)
        np.add.at(counts, self.groups.of, where.astype(np.int64))
        return counts

    def runs(self, where: Bools) -> Iterator[tuple[Ints, Floats]]:
        """Yield the first number of each group, then the second …: which cells (group by step) have one, and the
        numbers.
        """
        order = np.argsort(self.groups.of, kind="stable")
        sizes = np.bincount(self.groups.of, minlength=len(self.groups.labels))
        starts = np.cumsum(sizes) - sizes
        steps = np.arange(self.steps)
        for number in range(int(sizes.max()) if len(sizes) else 0):
            which = np.flatnonzero(sizes > number)
            rows = order[starts[which] + number]
            present = where[rows]
            cells = (which[:, None] * self.steps + steps[None, :])[present]
            yield cells, self.vector.values[rows][present]

    def made(self, values: Floats, has: Bools, hist: Objects = None) -> Vector:
        """Make the answer: one series per group."""
        shape = (len(self.groups.labels), self.steps)
        vector = Vector(self.groups.labels, values.reshape(shape), has.reshape(shape), hist, self.groups.drop)
        return vector.present()

    def inform_of_ignored(self) -> None:
        """Note that histograms are left out."""
        if self.vector.is_hist.any():
            self.notes.inform(f"ignored histogram in {self.operator} aggregation", self.position)


def grouped(vector: Vector, names: tuple[str, ...], *, without: bool) -> Groups:
    """The groups that `by` or `without` makes."""
    chosen = frozenset(names) | (label_sets.SCHEMA if without else frozenset[str]())
    numbers: dict[Labels, int] = {}
    of = np.zeros(len(vector.labels), np.int64)
    pick = label_sets.without if without else label_sets.only
    for row, labels in enumerate(vector.labels):
        of[row] = numbers.setdefault(pick(labels, chosen), len(numbers))
    drop = np.zeros(len(numbers), np.bool_)
    drop[of] = vector.drop
    return Groups(list(numbers), of, drop)


def _sum(call: Aggregation) -> Vector:
    return _added(call, Sum(len(call.groups.labels) * call.steps), is_mean=False)


def _avg(call: Aggregation) -> Vector:
    return _added(call, Mean(len(call.groups.labels) * call.steps), is_mean=True)


def _added(call: Aggregation, accumulated: Sum | Mean, *, is_mean: bool) -> Vector:
    floats = call.vector.is_float
    for cells, numbers in call.runs(floats):
        accumulated.add(cells, numbers)
    has = call.counted(floats) > 0
    if call.vector.hist is None:
        return call.made(accumulated.result(), has)
    mixed = has & (call.counted(call.vector.is_hist) > 0)
    if mixed.any():
        call.notes.warn("encountered a mix of histograms and floats for aggregation", call.position)
    hist = np.full(has.shape, None, object)
    is_hist = call.vector.is_hist
    for group, rows in enumerate(call.groups.members):
        for step in np.flatnonzero(is_hist[rows].any(axis=0) & ~mixed[group]):
            found: list[Histogram] = [call.vector.hist[row, step] for row in rows if is_hist[row, step]]
            total = _added_histograms(call, found)
            if total is not None:
                hist[group, step] = total.divided(len(found)) if is_mean else total
    return call.made(accumulated.result(), (has & ~mixed) | filled(hist), hist)


def _added_histograms(call: Aggregation, found: list[Histogram]) -> Histogram | None:
    total, reconciled = found[0].copy(), False
    if len({"reset", "not_reset"} & {each.hint for each in found}) > 1:
        call.notes.warn("conflicting counter resets during histogram aggregation", call.position)
    for each in found[1:]:
        if not compatible(total, each):
            call.notes.warn(
                "vector contains a mix of histograms with exponential and custom buckets schemas", call.position
            )
            return None
        total, differed = total.plus(each)
        reconciled |= differed
    if reconciled:
        call.notes.inform("mismatched custom buckets were reconciled during aggregation", call.position)
    return total.compact()


def _count(call: Aggregation) -> Vector:
    counts = call.counted(call.vector.has)
    return call.made(counts.astype(np.float64), counts > 0)


def _group(call: Aggregation) -> Vector:
    counts = call.counted(call.vector.has)
    return call.made(np.ones(counts.shape), counts > 0)


def _min(call: Aggregation) -> Vector:
    return _extreme(call, np.fmin, math.inf)


def _max(call: Aggregation) -> Vector:
    return _extreme(call, np.fmax, -math.inf)


def _extreme(call: Aggregation, better: np.ufunc, worst: float) -> Vector:
    call.inform_of_ignored()
    where = call.vector.is_float
    shape = (len(call.groups.labels), call.steps)
    best = np.full(shape, worst)
    better.at(best, call.groups.of, np.where(where, call.vector.values, worst))
    counts = call.counted(where)
    only_nan = call.counted(where & np.isnan(call.vector.values)) == counts
    return call.made(np.where(only_nan, np.nan, best), counts > 0)


def _variance(call: Aggregation) -> Vector:
    call.inform_of_ignored()
    where = call.vector.is_float
    variances = Variance(len(call.groups.labels) * call.steps)
    for cells, numbers in call.runs(where):
        variances.add(cells, numbers)
    return call.made(variances.result(), call.counted(where) > 0)


def _deviation(call: Aggregation) -> Vector:
    made = _variance(call)
    made.values = np.sqrt(made.values)
    return made


def _quantile(call: Aggregation) -> Vector:
    call.inform_of_ignored()
    q = call.number
    for wrong in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]):
        call.notes.warn(
            f"quantile value should be between 0 and 1, got {formatted(float(wrong))}", call.parameter_position
        )
    where = call.vector.is_float
    values = np.zeros((len(call.groups.labels), call.steps))
    for group, rows in enumerate(call.groups.members):
        values[group] = quantiles(call.vector.values[rows].T, where[rows].T, q)
    return call.made(values, call.counted(where) > 0)


def _topk(call: Aggregation) -> Vector:
    return _best(call, is_greatest=True)


def _bottomk(call: Aggregation) -> Vector:
    return _best(call, is_greatest=False)


def _best(call: Aggregation, *, is_greatest: bool) -> Vector:
    call.inform_of_ignored()
    counts = _counts(call)
    where = call.vector.is_float
    kept = np.zeros(where.shape, np.bool_)
    order: list[Ints] = []
    for rows in call.groups.members:
        values = call.vector.values[rows]
        ranked = np.lexsort((-values if is_greatest else values, np.isnan(values), ~where[rows]), axis=0)
        rank = np.empty_like(ranked)
        np.put_along_axis(rank, ranked, np.arange(len(rows))[:, None], axis=0)
        kept[rows] = where[rows] & (rank < counts[None, :])
        order.append(rows[ranked[:, 0]] if call.is_instant else rows)
    return _kept(call, kept, order)


def _limitk(call: Aggregation) -> Vector:
    counts = _counts(call)
    kept = np.zeros(call.vector.has.shape, np.bool_)
    order: list[Ints] = []
    for rows in call.groups.members:
        has = call.vector.has[rows]
        kept[rows] = has & (np.cumsum(has, axis=0) <= counts[None, :])
        order.append(rows)
    return _kept(call, kept, order)


def _limit_ratio(call: Aggregation) -> Vector:
    ratio = call.number
    if np.isnan(ratio).any():
        raise execution("Ratio value is NaN")
    for wrong in np.unique(ratio[np.abs(ratio) > 1]):
        call.notes.warn(
            f"ratio value should be between -1 and 1, got {formatted(float(wrong))}, capping to "
            f"{'1' if wrong > 0 else '-1'}",
            call.parameter_position,
        )
    ratio = np.clip(ratio, -1, 1)[None, :]
    share = np.array([_hash(labels) / _HASH_MAX for labels in call.vector.labels])[:, None]
    chosen = np.where(ratio >= 0, share < ratio, share >= 1.0 + ratio)
    return _kept(call, call.vector.has & chosen, [np.arange(len(call.vector.labels))])


def _hash(labels: Labels) -> int:
    return xxhash.xxh64_intdigest(b"".join(part.encode() + b"\xff" for pair in labels for part in pair))


def _counts(call: Aggregation) -> Floats:
    least, most = float(np.min(call.number, initial=np.inf)), float(np.max(call.number, initial=-np.inf))
    if most < 1:  # nothing is kept, however little is asked for
        return np.zeros_like(call.number)
    if np.isnan(most):
        raise execution("Parameter value is NaN")
    if least <= -_INT_MAX:
        raise execution(f"Scalar value {formatted(least)} underflows int64")
    if most >= _INT_MAX:
        raise execution(f"Scalar value {formatted(most)} overflows int64")
    return np.trunc(call.number)


def _kept(call: Aggregation, kept: Bools, order: list[Ints]) -> Vector:
    vector = call.vector
    made = Vector(vector.labels, vector.values, kept, vector.hist, vector.drop, vector.is_ordered)
    rows = np.concatenate(order) if order and call.is_instant else np.arange(len(vector.labels))
    made = made.taken(rows).present()
    made.is_ordered = vector.is_ordered or (call.is_instant and call.operator in ("topk", "bottomk"))
    return made


def _count_values(call: Aggregation) -> Vector:
    assert isinstance(call.parameter, String)
    name = call.parameter.value
    if not label_sets.is_name(name):
        raise ExpressionError(f"invalid label name {shown(name)}", "execution")
    cells: dict[Labels, Floats] = {}
    drops: dict[Labels, bool] = {}
    is_hist = call.vector.is_hist
    for row, step in zip(*np.nonzero(call.vector.has), strict=True):
        if is_hist[row, step]:
            text = text_of(call.vector.hist[row, step])
        else:
            text = plain(float(call.vector.values[row, step]))
        group = int(call.groups.of[row])
        labels = label_sets.replaced(call.groups.labels[group], name, text)
        if labels not in cells:
            cells[labels] = np.zeros(call.steps)
            drops[labels] = bool(call.groups.drop[group]) and name != label_sets.NAME
        cells[labels][step] += 1
    if not cells:
        return Vector([], np.zeros((0, call.steps)), np.zeros((0, call.steps), np.bool_))
    values = np.stack(list(cells.values()))
    return merged(Vector(list(cells), values, values > 0, drop=np.array(list(drops.values()))))


AGGREGATIONS: Final[dict[str, Callable[[Aggregation], Vector]]] = {
    "sum": _sum,
    "avg": _avg,
    "count": _count,
    "group": _group,
    "min": _min,
    "max": _max,
    "stddev": _deviation,
    "stdvar": _variance,
    "quantile": _quantile,
    "topk": _topk,
    "bottomk": _bottomk,
    "limitk": _limitk,
    "limit_ratio": _limit_ratio,
    "count_values": _count_values,
}
