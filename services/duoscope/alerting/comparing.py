"""What conditions share: windows, one number of each series, its comparison, verdicts. Pure arithmetic."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Bools, Floats, at_any_time
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.times import SECOND_NS

STEPS_MAX: Final = 400
WINDOW_MAX_S: Final = 7 * 86_400
Comparison = Literal[">", ">=", "<", "<=", "==", "!=", "in", "out"]
Judgement = Literal["at_least_once", "all_the_time", "average", "last", "sum", "count"]
_RANGES: Final = frozenset({"in", "out"})
_ORDERED: Final = frozenset({">", ">=", "<", "<="})
_OF_POINTS: Final = frozenset({"at_least_once", "all_the_time"})
Seconds = Annotated[int, Meta(ge=1, le=WINDOW_MAX_S)]


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """The steps before a moment that are judged together."""

    seconds: Annotated[Seconds, Meta(examples=[300])]
    step_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=86_400)] | None, Meta(description="By default the rule's interval.", examples=[60])
    ] = None
    judged: Annotated[
        Judgement,
        Meta(description="at_least_once and all_the_time compare each step, the others one number of all."),
    ] = "last"
    min_coverage: Annotated[
        float,
        Meta(ge=0, le=1, description="The share of steps that must have a value; with less, nothing is judged."),
    ] = 0.5


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on each series.

    Attributes:
        labels: of each.
        values: the number that was compared.
        is_breach, is_recovered: see `instances.Value`.
        is_conclusive: whether it was judged at all.
        is_filter: whether series that are not there are in no breach.
        learning: how many series are not judged since there is too little past to compare them with.
    """

    labels: list[Labels]
    values: Floats
    is_breach: Bools
    is_recovered: Bools
    is_conclusive: Bools
    is_filter: bool = False
    learning: int = 0


class Compared(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison of one number of each series, or of each of its steps."""

    comparison: Annotated[Comparison, Meta(description="`in` and `out` of a range take `low` and `high`.")]
    value: Annotated[float | None, Meta(description="Compared with; not for ranges.", examples=[90])] = None
    low: Annotated[float | None, Meta(description="Of a range, included.")] = None
    high: Annotated[float | None, Meta(description="Of a range, included.")] = None
    recovery: Annotated[
        float | None,
        Meta(description="What is firing resolves when it no longer compares so with this: 80 for > 90."),
    ] = None
    window: Annotated[Window | None, Meta(description="By default the newest step alone.")] = None

    @property
    def threshold(self) -> float | None:
        """The number compared with; None for a range."""
        return self.value

    def check(self) -> None:
        """Raise INVALID for bounds that do not fit the comparison."""
        if self.comparison in _RANGES:
            if self.low is None or self.high is None or self.low > self.high or self.value is not None:
                raise refused(f"`{self.comparison}` takes `low` and a `high` that is not below it, and no `value`.")
        elif self.value is None or self.low is not None or self.high is not None:
            raise refused(f"`{self.comparison}` takes a `value`, and neither `low` nor `high`.")
        if self.recovery is None:
            return
        if self.comparison not in _ORDERED or self.value is None:
            raise refused("`recovery` goes with >, >=, < and <= alone.")
        if (self.recovery > self.value) if ">" in self.comparison else (self.recovery < self.value):
            raise refused("`recovery` lies on the good side of `value`: 80 for > 90, 90 for < 80.")

    def steps(self, end_ns: int, interval_s: int) -> Steps:
        """The moments at which the question is asked. Raises INVALID for a window that is no whole number of steps."""
        if self.window is None:
            return Steps(end_ns, interval_s * SECOND_NS)
        step_s = self.window.step_seconds or min(interval_s, self.window.seconds)
        count, rest = divmod(self.window.seconds, step_s)
        if rest or not 1 <= count <= STEPS_MAX:
            raise refused(
                f"`window.seconds` is a whole number of steps of {step_s} s, from 1 to {STEPS_MAX}: "
                f"{self.window.seconds} is {self.window.seconds / step_s:g}."
            )
        return Steps(end_ns, step_s * SECOND_NS, count)

    def compared(self, values: Floats) -> Bools:
        """Whether each number is in breach."""
        match self.comparison:
            case "in":
                return (values >= _bound(self.low)) & (values <= _bound(self.high))
            case "out":
                return (values < _bound(self.low)) | (values > _bound(self.high))
            case _:
                return _COMPARE[self.comparison](values, self.value)

    def recovered(self, values: Floats) -> Bools:
        """Whether each number is beyond the recovery threshold."""
        if self.recovery is None:
            return ~self.compared(values)
        return ~_COMPARE[self.comparison](values, self.recovery)

    def judged(self, answered: Answered) -> Judged:
        """Judge the series of an answer, each step or all of them together."""
        how = self.window.judged if self.window else "last"
        if how not in _OF_POINTS:
            return self.of_numbers(answered.labels, reduced(answered, how), self.covered(answered))
        breach, unrecovered = self.compared(answered.values), ~self.recovered(answered.values)
        if how == "at_least_once":
            breach, unrecovered = (at_any_time(answered.has & each) for each in (breach, unrecovered))
        else:
            breach, unrecovered = (~at_any_time(answered.has & ~each) for each in (breach, unrecovered))
        values = reduced(answered, "last")
        found = Judged(answered.labels, values, breach, ~unrecovered, self.covered(answered))
        return there(found, at_any_time(answered.has))

    def of_numbers(self, labels: list[Labels], values: Floats, covered: Bools, has: Bools | None = None) -> Judged:
        """Compare one number of each series; one without (NaN) is not there, unless `has` says so."""
        found = Judged(labels, values, self.compared(values), self.recovered(values), covered)
        return there(found, ~np.isnan(values) if has is None else has)

    def covered(self, answered: Answered) -> Bools:
        """Whether each series has values in enough steps of the window."""
        least = self.window.min_coverage if self.window else 0.0
        return np.asarray(answered.has.mean(axis=1) >= least, np.bool_)


def refused(message: str) -> DuoscopeError:
    """The error for a condition that cannot be."""
    return invalid(f"`condition_config`: {message}", code="invalid-condition")


_COMPARE: Final[dict[str, Any]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def _bound(given: float | None) -> float:
    assert given is not None  # `check` saw to it
    return given


def there(judged: Judged, has: Bools) -> Judged:
    """The verdicts on the series that are there."""
    rows = np.flatnonzero(has)
    if len(rows) == len(judged.labels):
        return judged
    return Judged(
        [judged.labels[row] for row in rows],
        judged.values[rows],
        judged.is_breach[rows],
        judged.is_recovered[rows],
        judged.is_conclusive[rows],
        judged.is_filter,
        judged.learning,
    )


def reduced(answered: Answered, how: Judgement) -> Floats:
    """One number of each series; NaN for one without values."""
    has, values = answered.has, answered.values
    count = has.sum(axis=1)
    known = np.where(has, values, 0.0)
    match how:
        case "sum":
            numbers = known.sum(axis=1)
        case "count":
            numbers = count.astype(np.float64)
        case "average":
            numbers = known.sum(axis=1) / np.maximum(count, 1)
        case _:
            latest = values.shape[1] - 1 - np.argmax(has[:, ::-1], axis=1)
            numbers = values[np.arange(len(values)), latest]
    return np.where(count > 0, numbers, np.nan)


def matched(labels: list[Labels], other: Answered, how: Judgement) -> Floats:
    """One number of another answer's series with the same labels; NaN where there is none."""
    numbers = dict(zip(other.labels, reduced(other, how).tolist(), strict=True))
    return np.array([numbers.get(each, np.nan) for each in labels], np.float64)
