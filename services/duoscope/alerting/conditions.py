"""The conditions of rules: what makes the answer to a question a breach. Pure arithmetic over series by steps.

A condition says which questions are asked over which moments (`asks`), and judges each series of the answers with one
number (`judge`). Series without enough values in their window are inconclusive; those without any are not there.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from duoscope.alerting.anomalies import Anomaly
from duoscope.alerting.burn_rates import BurnRate
from duoscope.alerting.comparing import (
    Compared,
    Judged,
    Judgement,
    Seconds,
    Window,
    matched,
    reduced,
    there,
)
from duoscope.alerting.composites import Composite
from duoscope.telemetry.promql.values import at_any_time
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.questions.formula import Simple
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion
from duoscope.telemetry.questions.kinds import Question
from duoscope.telemetry.times import SECOND_NS


class Threshold(Compared, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="threshold"):
    """The value itself is compared."""


class Change(Compared, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="change"):
    """How much the value changed since an earlier window of the same length is compared."""

    earlier_seconds: Annotated[Seconds, Meta(description="How much earlier.", examples=[3600])]
    by: Literal["absolute", "percent"] = "percent"

    def changed(self, answered: Answered, earlier: Answered) -> Judged:
        """Judge the change of each series that is in both; of none in percent of zero."""
        now, before = reduced(answered, self._how), matched(answered.labels, earlier, self._how)
        change = now - before
        if self.by == "percent":
            change = np.where(before == 0, np.nan, 100 * change / np.where(before == 0, 1, np.abs(before)))
        return self.of_numbers(answered.labels, change, self.covered(answered))

    @property
    def _how(self) -> Judgement:
        return self.window.judged if self.window else "last"


class Ratio(Compared, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="ratio"):
    """The value divided by that of another question with the same labels is compared."""

    to: Annotated[Simple, Meta(description="The divisor.")]

    def divided(self, answered: Answered, divisor: Answered) -> Judged:
        """Judge the ratio of each series that has a divisor other than zero."""
        how: Judgement = self.window.judged if self.window else "last"
        below = matched(answered.labels, divisor, how)
        ratios = np.where(below == 0, np.nan, reduced(answered, how) / np.where(below == 0, 1, below))
        return self.of_numbers(answered.labels, ratios, self.covered(answered))


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
        has = answered.has
        if isinstance(question, LogQuestion | TraceQuestion):
            has = has & (answered.values != 0)
        yes = np.ones(len(answered.labels), np.bool_)
        fine = Judged(answered.labels, reduced(answered, "last"), ~yes, yes, yes)
        return there(fine, at_any_time(has))


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
        return there(found, answered.has[:, -1])


Condition = Threshold | Change | Ratio | Absence | Present | Anomaly | BurnRate | Composite
Asked = tuple[Question, Steps]
"""A question with the moments at which it is asked."""


def asks(condition: Condition, question: Question, end_ns: int, interval_s: int) -> list[Asked]:
    """The questions that a verdict at a moment needs, each with its moments; none for a condition over other rules.

    Raises:
        DuoscopeError: INVALID for a window that is no whole number of steps.
    """
    match condition:
        case Composite():
            return []
        case Anomaly():
            return [(question, steps) for steps in condition.moments(end_ns, interval_s)]
        case BurnRate():
            return condition.asks(question, end_ns)
        case Change():
            now = condition.steps(end_ns, interval_s)
            before = Steps(now.end_ns - condition.earlier_seconds * SECOND_NS, now.step_ns, now.count)
            return [(question, now), (question, before)]
        case Ratio():
            steps = condition.steps(end_ns, interval_s)
            return [(question, steps), (condition.to, steps)]
        case _:
            return [(question, condition.steps(end_ns, interval_s))]


def judge(condition: Condition, question: Question, answers: Sequence[Answered]) -> Judged:
    """The verdict on the answers to what `asks` returned, in its order."""
    match condition:
        case Composite():
            raise TypeError("a condition over other rules is judged by their states")
        case Anomaly():
            is_count = isinstance(question, LogQuestion | TraceQuestion)
            return condition.judged(answers[0], answers[1:], is_count=is_count)
        case BurnRate():
            return condition.judged(question, answers)
        case Change():
            return condition.changed(answers[0], answers[1])
        case Ratio():
            return condition.divided(answers[0], answers[1])
        case Absence():
            return condition.judged(answers[0], question)
        case _:
            return condition.judged(answers[0])
