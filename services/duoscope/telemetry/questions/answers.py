"""The moments at which a question is asked, and its answer."""

from dataclasses import dataclass, field

import numpy as np

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Bools, Floats, Ints
from duoscope.telemetry.times import TimeRange

INVALID: str = "invalid-question"


@dataclass(frozen=True, slots=True)
class Steps:
    """`count` moments, `step_ns` apart, the last of them at `end_ns`. Each stands for the step that ends there."""

    end_ns: int
    step_ns: int
    count: int = 1

    @property
    def times(self) -> TimeRange:
        """All steps together."""
        return TimeRange(self.end_ns - self.count * self.step_ns, self.end_ns)

    @property
    def moments_ms(self) -> Ints:
        """The ends of the steps, in milliseconds."""
        last = self.end_ns // 1_000_000
        return last - np.arange(self.count - 1, -1, -1, dtype=np.int64) * (self.step_ns // 1_000_000)


@dataclass(slots=True)
class Answered:
    """The answer to a question.

    Attributes:
        labels: of each series, all different.
        values: series by steps.
        has: where there is a value.
        is_complete: whether there are no further series.
        points_read: how many points it is made of, where that is known.
    """

    labels: list[Labels]
    values: Floats = field(repr=False)
    has: Bools = field(repr=False)
    is_complete: bool = True
    points_read: int = 0


def of_numbers(labels: list[Labels], values: Floats, *, is_complete: bool = True) -> Answered:
    """Make an answer of numbers where NaN stands for none."""
    return Answered(labels, values, ~np.isnan(values), is_complete)


def refused(message: str) -> DuoscopeError:
    """The error for a question that cannot be asked; the message says where."""
    return invalid(message, code=INVALID)
