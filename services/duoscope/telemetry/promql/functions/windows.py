"""Windows: for every series and step the points that a range function sees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.values import Bools, Floats, Ints, Notes, Objects, Points, Value, at_any_time, filled

Result: TypeAlias = tuple[Floats, Bools, Objects]
"""Numbers, where there is a sample, and histograms in place of numbers."""
SECOND_MS: Final = 1000.0


@dataclass(slots=True)
class Cut:
    """Points, and for each series and step the first in its window and the first after it."""

    points: Points
    low: Ints
    high: Ints

    @property
    def count(self) -> Ints:
        """The number of points in each window."""
        return self.high - self.low

    @property
    def runs(self) -> int:
        """The number of windows."""
        return self.low.size

    def at(self, index: Ints) -> tuple[Floats, Ints]:
        """Values and times at indexes into the points; for empty windows they are arbitrary."""
        if not len(self.points.times):
            return np.zeros(index.shape), np.zeros(index.shape, np.int64)
        safe = np.clip(index, 0, len(self.points.times) - 1)
        return self.points.values[safe], self.points.times[safe]


@dataclass(slots=True)
class Call:
    """One call of a range function.

    Attributes:
        function: its name.
        points: in the windows, none of them a staleness marker.
        times: of the steps, in milliseconds.
        starts: of the windows, exclusive.
        ends: of the windows, inclusive.
        before: arguments before the range.
        after: arguments after it.
        notes: of the answer.
        position: of the range in the expression.
        argument: of the first other argument.
    """

    function: str
    points: Points
    times: Ints
    starts: Ints
    ends: Ints
    before: Sequence[Value]
    after: Sequence[Value]
    notes: Notes
    position: int
    argument: int = 0

    @property
    def seconds(self) -> float:
        """The length of a window."""
        return float(self.ends[0] - self.starts[0]) / SECOND_MS if len(self.ends) else 0.0

    @property
    def has_histograms(self) -> bool:
        """Whether any point is one."""
        return self.points.hist is not None and bool(filled(self.points.hist).any())

    def all(self) -> Cut:
        """Windows into all points."""
        return Cut(self.points, *self.points.windows(self.starts, self.ends))

    def floats(self) -> Cut:
        """Windows into the numbers alone."""
        if self.points.hist is None:
            return self.all()
        kept = self.points.kept(~filled(self.points.hist))
        return Cut(kept, *kept.windows(self.starts, self.ends))

    def histograms(self) -> Cut:
        """Windows into the histograms alone."""
        assert self.points.hist is not None
        kept = self.points.kept(filled(self.points.hist))
        return Cut(kept, *kept.windows(self.starts, self.ends))

    def name(self, series: int) -> str:
        """The metric's name of a series."""
        return label_sets.get(self.points.labels[series], label_sets.NAME)

    def number(self, which: Value) -> Floats:
        """An argument that is one number per step."""
        values = getattr(which, "values", None)
        if values is None:
            raise ExpressionError(f"{self.function} takes a number")
        return values

    def nothing(self) -> Result:
        """A result without samples."""
        shape = (len(self.points.labels), len(self.times))
        return np.zeros(shape), np.zeros(shape, np.bool_), None

    def warn_of_mix(self, mixed: Bools) -> None:
        """Warn of series that have numbers and histograms in one window."""
        for series in np.flatnonzero(at_any_time(mixed)).tolist():
            self.notes.warn(
                f'encountered a mix of histograms and floats for metric name "{self.name(series)}"', self.position
            )

    def inform_of_ignored(self, floats: Cut) -> None:
        """Note series whose histograms are left out beside numbers."""
        if not self.has_histograms:
            return
        ignored = (floats.count > 0) & (self.histograms().count > 0)
        for series in np.flatnonzero(at_any_time(ignored)).tolist():
            self.notes.inform(
                "ignored histograms in a range containing both floats and histograms for metric name "
                f'"{self.name(series)}"',
                self.position,
            )


Function: TypeAlias = Callable[[Call], Result]
