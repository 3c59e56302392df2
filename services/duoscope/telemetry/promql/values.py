"""The values of expressions: matrices of series by steps, and the points that windows are cut from."""

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from duoscope.kernel.limits import PROMQL_CELLS_MAX
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.syntax.text import place

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Objects: TypeAlias = Any
"""An array of histograms, with None where there is none, or None for no histograms at all; numpy has no type for it."""

STALE_BITS: Final = 0x7FF0000000000002
STALE: Final = np.array([STALE_BITS], np.uint64).view(np.float64)[0]
"""The value of a point that ends its series."""


def filled(hist: Objects) -> Bools:
    """The cells that have a histogram."""
    missing: Any = None
    return np.not_equal(hist, missing)


def anywhere(has: Bools) -> Bools:
    """The steps that any series has."""
    return np.asarray(has.any(axis=0), np.bool_)


def at_any_time(has: Bools) -> Bools:
    """The series that have any step."""
    return np.asarray(has.any(axis=1), np.bool_)


@dataclass(slots=True)
class Scalar:
    """A value with one number per step."""

    values: Floats


@dataclass(slots=True)
class String:
    """A text value."""

    value: str


@dataclass(slots=True)
class Vector:
    """Series over steps.

    Attributes:
        labels: of each series.
        values: numbers, series by steps.
        has: where there is a sample.
        hist: histograms in place of numbers, or None if there are none at all.
        drop: series whose metric name is removed when the answer is made.
        is_ordered: whether the order of the series matters.
    """

    labels: list[Labels]
    values: Floats
    has: Bools
    hist: Objects = None
    drop: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    is_ordered: bool = False

    def __post_init__(self) -> None:
        if len(self.drop) != len(self.labels):
            self.drop = np.zeros(len(self.labels), np.bool_)

    @property
    def is_hist(self) -> Bools:
        """The cells that have a histogram."""
        if self.hist is None:
            return np.zeros(self.has.shape, np.bool_)
        return self.has & filled(self.hist)

    @property
    def is_float(self) -> Bools:
        """The cells that have a number."""
        return self.has if self.hist is None else self.has & ~filled(self.hist)

    def taken(self, rows: Any) -> "Vector":
        """Some of the series, in that order."""
        index = np.asarray(rows)
        if index.dtype == np.bool_:
            index = np.flatnonzero(index)
        index = index.astype(np.int64)
        hist = self.hist[index] if self.hist is not None else None
        named = [self.labels[row] for row in index]
        return Vector(named, self.values[index], self.has[index], hist, self.drop[index], self.is_ordered)

    def present(self) -> "Vector":
        """The vector without series that have no sample at all."""
        some = at_any_time(self.has)
        return self if some.all() else self.taken(some)


@dataclass(slots=True)
class Points:
    """Points of series, those of one series together and ordered by time.

    Attributes:
        labels: of each series.
        bounds: where the points of each series begin, and the end of the last.
        times: milliseconds since 1970.
        values: numbers; STALE where the series ended.
        hist: histograms in place of numbers, or None if there are none.
        is_delta: series whose points are increments.
        drop: series whose metric name is removed when the answer is made.
    """

    labels: list[Labels]
    bounds: Ints
    times: Ints
    values: Floats
    hist: Objects = None
    is_delta: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    drop: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        if len(self.is_delta) != len(self.labels):
            self.is_delta = np.zeros(len(self.labels), np.bool_)
        if len(self.drop) != len(self.labels):
            self.drop = np.zeros(len(self.labels), np.bool_)

    @property
    def is_stale(self) -> Bools:
        """The points that end their series."""
        return self.values.view(np.uint64) == STALE_BITS

    def kept(self, keep: Bools) -> "Points":
        """Some of the points, for all the series."""
        if keep.all():
            return self
        before = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
        hist = self.hist[keep] if self.hist is not None else None
        return Points(
            self.labels, before[self.bounds], self.times[keep], self.values[keep], hist, self.is_delta, self.drop
        )

    def windows(self, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
        """The first point in each window (start, end] of each series, and the first after it."""
        series = len(self.labels)
        shape = (series, len(ends))
        if not series or not len(ends) or not len(self.times):
            nothing = np.zeros(shape, np.int64)
            return nothing, nothing.copy()
        check_cells(series, len(ends))
        least = min(int(self.times.min()), int(starts.min())) - 1
        span = max(int(self.times.max()), int(ends.max())) - least + 2
        number = np.repeat(np.arange(series, dtype=np.int64), np.diff(self.bounds))
        keys = number * span + (self.times - least)
        rows = np.arange(series, dtype=np.int64)[:, None] * span
        low = np.searchsorted(keys, (rows + (starts - least)[None, :]).ravel(), side="right").reshape(shape)
        high = np.searchsorted(keys, (rows + (ends - least)[None, :]).ravel(), side="right").reshape(shape)
        return low.astype(np.int64), high.astype(np.int64)


Value: TypeAlias = Scalar | String | Vector


class Notes:
    """The warnings and remarks of an answer, each once."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self.warnings: dict[str, None] = {}
        self.infos: dict[str, None] = {}

    def warn(self, message: str, position: int) -> None:
        """Warn that something in the data makes the answer doubtful."""
        self.warnings[f"PromQL warning: {message} ({place(self._expression, position)})"] = None

    def inform(self, message: str, position: int) -> None:
        """Remark that something may not be as intended."""
        self.infos[f"PromQL info: {message} ({place(self._expression, position)})"] = None


def empty(steps: int) -> Vector:
    """A vector without series."""
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_))


def check_cells(series: int, steps: int) -> None:
    """Refuse matrices that would not fit into memory.

    Raises:
        ExpressionError: it has more values than one query may have.
    """
    if series * steps > PROMQL_CELLS_MAX:
        raise execution(
            f"{series} series at {steps} steps are more than {PROMQL_CELLS_MAX} values: "
            "take a larger step or a shorter range, or select fewer series"
        )


def merged(vector: Vector) -> Vector:
    """Merge series with equal labels, which must not share a step.

    Raises:
        ExpressionError: two share a step.
    """
    numbers: dict[Labels, int] = {}
    rows = np.array([numbers.setdefault(labels, len(numbers)) for labels in vector.labels], np.int64)
    if len(numbers) == len(vector.labels):
        return vector
    steps = vector.values.shape[1]
    count = np.zeros((len(numbers), steps), np.int64)
    np.add.at(count, rows, vector.has.astype(np.int64))
    if (count > 1).any():
        raise execution("vector cannot contain metrics with the same labelset")
    values = np.zeros((len(numbers), steps))
    np.add.at(values, rows, np.where(vector.has, vector.values, 0.0))
    hist: Objects = None
    if vector.hist is not None:
        hist = np.full((len(numbers), steps), None, object)
        for row, column in zip(*np.nonzero(vector.is_hist), strict=True):
            hist[rows[row], column] = vector.hist[row, column]
    drop = np.zeros(len(numbers), np.bool_)
    drop[rows] = vector.drop
    return Vector(list(numbers), values, count > 0, hist, drop, vector.is_ordered)


def named(vector: Vector) -> Vector:
    """The vector without the metric names that the answer must not have.

    Raises:
        ExpressionError: two series are then the same, at the same time.
    """
    vector = vector.present()
    if vector.drop.any():
        cut = [
            label_sets.without(labels, label_sets.SCHEMA) if drop else labels
            for labels, drop in zip(vector.labels, vector.drop, strict=True)
        ]
        vector = Vector(cut, vector.values, vector.has, vector.hist, is_ordered=vector.is_ordered)
    return merged(vector)
