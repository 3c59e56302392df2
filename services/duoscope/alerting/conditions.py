"""The conditions of rules: what makes the answer to a question a breach. Pure arithmetic over series by steps.

A condition says over which moments a question is asked, and judges each series of the answer with one number. Series
without enough values in their window are inconclusive; those without any are not there.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Bools, Floats, at_any_time
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.questions.formula import Simple
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion
from duoscope.telemetry.questions.kinds import Question
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
    """

    labels: list[Labels]
    values: Floats
    is_breach: Bools
    is_recovered: Bools
    is_conclusive: Bools
    is_filter: bool = False


class _Compared(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
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
            return self._of_numbers(answered.labels, _reduced(answered, how), self._covered(answered))
        breach, unrecovered = self.compared(answered.values), ~self.recovered(answered.values)
        if how == "at_least_once":
            breach, unrecovered = (at_any_time(answered.has & each) for each in (breach, unrecovered))
        else:
            breach, unrecovered = (~at_any_time(answered.has & ~each) for each in (breach, unrecovered))
        values = _reduced(answered, "last")
        found = Judged(answered.labels, values, breach, ~unrecovered, self._covered(answered))
        return _there(found, at_any_time(answered.has))

    def _of_numbers(self, labels: list[Labels], values: Floats, covered: Bools, has: Bools | None = None) -> Judged:
        found = Judged(labels, values, self.compared(values), self.recovered(values), covered)
        return _there(found, ~np.isnan(values) if has is None else has)

    def _covered(self, answered: Answered) -> Bools:
        least = self.window.min_coverage if self.window else 0.0
        return np.asarray(answered.has.mean(axis=1) >= least, np.bool_)


class Threshold(_Compared, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="threshold"):
    """The value itself is compared."""


class Change(_Compared, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="change"):
    """How much the value changed since an earlier window of the same length is compared."""

    earlier_seconds: Annotated[Seconds, Meta(description="How much earlier.", examples=[3600])]
    by: Literal["absolute", "percent"] = "percent"

    def changed(self, answered: Answered, earlier: Answered) -> Judged:
        """Judge the change of each series that is in both; of none in percent of zero."""
        now, before = _reduced(answered, self._how), _matched(answered.labels, earlier, self._how)
        change = now - before
        if self.by == "percent":
            change = np.where(before == 0, np.nan, 100 * change / np.abs(before))
        return self._of_numbers(answered.labels, change, self._covered(answered))

    @property
    def _how(self) -> Judgement:
        return self.window.judged if self.window else "last"


class Ratio(_Compared, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="ratio"):
    """The value divided by that of another question with the same labels is compared."""

    to: Annotated[Simple, Meta(description="The divisor.")]

    def divided(self, answered: Answered, divisor: Answered) -> Judged:
        """Judge the ratio of each series that has a divisor other than zero."""
        how: Judgement = self.window.judged if self.window else "last"
        below = _matched(answered.labels, divisor, how)
        ratios = np.where(below == 0, np.nan, _reduced(answered, how) / np.where(below == 0, 1, below))
        return self._of_numbers(answered.labels, ratios, self._covered(answered))


class Absence(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="absence"):
    """Nothing is there, or a series that was there no longer is, until it is back. No items are nothing."""

    window: Annotated[Window | None, Meta(description="By default the newest step alone.")] = None

    @property
    def threshold(self) -> None:
        """Nothing is compared."""

    def check(self) -> None:
        """Accept everything."""

    def steps(self, end_ns: int, interval_s: int) -> Steps:
        """The moments at which the question is asked. Raises INVALID for a window that is no whole number of steps."""
        return Threshold(comparison=">", value=0, window=self.window).steps(end_ns, interval_s)

    def judged(self, answered: Answered, question: Question) -> Judged:
        """Find the series that are there: none of these is in breach."""
        there = answered.has
        if isinstance(question, LogQuestion | TraceQuestion):
            there = there & (answered.values != 0)
        yes = np.ones(len(answered.labels), np.bool_)
        fine = Judged(answered.labels, _reduced(answered, "last"), ~yes, yes, yes)
        return _there(fine, at_any_time(there))


class Present(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="any"):
    """Each series of the answer is in breach: for PromQL that compares by itself, as Prometheus' rules do."""

    @property
    def threshold(self) -> None:
        """Nothing is compared."""

    def check(self) -> None:
        """Accept everything."""

    def steps(self, end_ns: int, interval_s: int) -> Steps:
        """The moment at which the question is asked."""
        return Steps(end_ns, interval_s * SECOND_NS)

    def judged(self, answered: Answered) -> Judged:
        """Take every series for a breach."""
        yes = np.ones(len(answered.labels), np.bool_)
        found = Judged(answered.labels, answered.values[:, -1], yes, ~yes, yes, is_filter=True)
        return _there(found, answered.has[:, -1])


Condition = Threshold | Change | Ratio | Absence | Present


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


def _there(judged: Judged, has: Bools) -> Judged:
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
    )


def _reduced(answered: Answered, how: Judgement) -> Floats:
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


def _matched(labels: list[Labels], other: Answered, how: Judgement) -> Floats:
    """One number of another answer's series with the same labels; NaN where there is none."""
    numbers = dict(zip(other.labels, _reduced(other, how).tolist(), strict=True))
    return np.array([numbers.get(each, np.nan) for each in labels], np.float64)
