"""Burn rates: how fast an error budget is used up, over pairs of a long and a short window.

A rate of 1 uses the budget up exactly in the period; a pair is in breach while both of its windows burn faster than its
factor: the long one says that it matters, the short one that it is still so (Google: The Site Reliability Workbook,
chapter 5). Windows with too few events are not judged: one failure of three requests is no reason to wake anybody.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct, structs

from duoscope.alerting.comparing import STEPS_MAX, Judged, refused
from duoscope.kernel.errors import DuoscopeError, invalid, invalid_in
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Floats
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.questions.formula import Simple
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion
from duoscope.telemetry.questions.kinds import Question
from duoscope.telemetry.questions.metric import MetricQuestion
from duoscope.telemetry.questions.promql import PromqlQuestion
from duoscope.telemetry.times import SECOND_NS

DAY_S: Final = 86_400
OF_DAYS: Final = 30
WINDOW: Final = "$window"
"""Stands in PromQL for the length of the window that is asked for."""
_IN_WINDOW: Final = re.compile(r"\[\s*\$window\s*[\]:]")
_PARTS_MAX: Final = 12
"""Steps in which a short window of a metric is read: these begin at multiples of their length."""
_ADDITIVE: Final = {"increase", "sum", "count"}
_FACTORS: Final = ((3600, 300, 14.4), (6 * 3600, 1800, 6.0), (DAY_S, 7200, 3.0), (3 * DAY_S, 6 * 3600, 1.0))
"""Long and short window in seconds and factor, for a period of 30 days: 2, 5, 10 and 10 percent of the budget."""


class BurnWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """A long and a short window, and how fast the budget must burn in both."""

    long_seconds: Annotated[
        int, Meta(ge=60, le=14 * DAY_S, description="A multiple of the short one.", examples=[3600])
    ]
    short_seconds: Annotated[int, Meta(ge=10, le=7 * DAY_S, examples=[300])]
    factor: Annotated[float, Meta(gt=0, description="1 uses up the budget in the period.", examples=[14.4])]


Objective = Annotated[float, Meta(ge=0.5, lt=1, description="The share of events that must be good.", examples=[0.999])]
PeriodDays = Annotated[int, Meta(ge=7, le=90, description="Days for which the objective holds.", examples=[30])]
MinEvents = Annotated[
    int, Meta(ge=1, le=10**9, description="A long window with fewer events in all is not judged.", examples=[100])
]
Windows = Annotated[tuple[BurnWindow, ...], Meta(min_length=1, max_length=4)]


class BurnRate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="burn_rate"):
    """The error budget burns too fast. The rule's question counts all events, `good` those that were good."""

    good: Annotated[Simple, Meta(description="Counts the good events, by the same labels.")]
    objective: Objective
    period_days: PeriodDays = OF_DAYS
    min_events: MinEvents = 100
    windows: Annotated[
        Windows | None,
        Meta(description="By default 1 h and 5 m at 14.4, 6 h and 30 m at 6, 1 d and 2 h at 3, 3 d and 6 h at 1 for "
             "30 days, and in proportion for other periods."),
    ] = None  # fmt: skip

    @property
    def threshold(self) -> None:
        """Each pair of windows has its own."""

    @property
    def pairs(self) -> Windows:
        """The windows, also where they are the default."""
        return self.windows or default_windows(self.period_days)

    def check(self) -> None:
        """Raise INVALID for windows that cannot be read, and factors that nothing can reach."""
        most = 1 / (1 - self.objective)
        for window in self.pairs:
            long_s, short_s = window.long_seconds, window.short_seconds
            if long_s % short_s or not short_s < long_s <= STEPS_MAX // _PARTS_MAX * short_s:
                raise refused(
                    f"`long_seconds` is 2 to {STEPS_MAX // _PARTS_MAX} times `short_seconds`, not {long_s / short_s:g}."
                )
            if long_s > self.period_days * DAY_S:
                raise refused("`long_seconds` is at most the period.")
            if window.factor >= most:
                raise refused(
                    f"the objective {self.objective:g} cannot burn faster than {most:g} times, when everything fails: "
                    f"a factor of {window.factor:g} would never be reached. Give `windows` with lower factors."
                )

    def asks(self, total: Question, end_ns: int) -> list[tuple[Question, Steps]]:
        """All events, then the good ones, of all pairs; what pairs can share is asked once."""
        return [
            asked
            for question in (total, self.good)
            for windows in _together(question, self.pairs)
            for asked in _asked(question, end_ns, windows)
        ]

    def judged(self, total: Question, answers: Sequence[Answered]) -> Judged:
        """Judge each series by the pairs that have enough events; the value is the fastest burn rate of a pair."""
        left, found = list(answers), list[_Burning]()
        of_total, of_good = (_sums(question, left, self.pairs) for question in (total, self.good))
        pairs = zip(self.pairs, of_total, of_good, strict=True)
        for window, (total_long, total_short), (good_long, good_short) in pairs:
            found.append(
                _Burning(
                    window,
                    total_long,
                    self._rates(total_long, good_long),
                    self._rates(total_short, good_short),
                )
            )
        labels = sorted({each for one in found for each in one.total})
        rates = np.full((len(found), len(labels)), np.nan)
        breach = np.zeros(rates.shape, np.bool_)
        for row, one in enumerate(found):
            for column, each in enumerate(labels):
                if one.total.get(each, 0.0) >= self.min_events:
                    rates[row, column] = min(one.long[each], one.short.get(each, 0.0))
                    breach[row, column] = rates[row, column] > one.window.factor
        is_judged = np.asarray((~np.isnan(rates)).any(axis=0), np.bool_)
        is_breach = np.asarray(breach.any(axis=0), np.bool_)
        values: Floats = np.where(np.isnan(rates), 0.0, rates).max(axis=0, initial=0.0)
        return Judged(labels, values, is_breach, ~is_breach, is_judged)

    def _rates(self, total: dict[Labels, float], good: dict[Labels, float]) -> dict[Labels, float]:
        return {
            each: max(0.0, 1 - good.get(each, 0.0) / number) / (1 - self.objective)
            for each, number in total.items()
            if number > 0
        }


@dataclass(frozen=True, slots=True)
class _Burning:
    """A pair of windows with the events of the long one, and the burn rates in both, by series."""

    window: BurnWindow
    total: dict[Labels, float]
    long: dict[Labels, float]
    short: dict[Labels, float]


def default_windows(period_days: int) -> Windows:
    """The four pairs, for a period."""
    return tuple(
        BurnWindow(long_s * period_days // OF_DAYS, short_s * period_days // OF_DAYS, factor)
        for long_s, short_s, factor in _FACTORS
    )


def check_events(name: str, question: Question) -> None:
    """Raise INVALID, naming the question, unless it counts events, in windows of any length."""
    match question:
        case PromqlQuestion():
            if not _IN_WINDOW.search(question.expression):
                raise invalid(
                    f"`{name}`: PromQL counts the events of a window by its length, {WINDOW}, as a range: "
                    f"sum(increase(http_requests_total[{WINDOW}]))."
                )
        case MetricQuestion():
            if question.aggregation not in _ADDITIVE:
                raise invalid(f"`{name}`: `aggregation` is one of {', '.join(sorted(_ADDITIVE))}: it counts events.")
        case LogQuestion() | TraceQuestion():
            if question.measure.function not in _ADDITIVE:
                raise invalid(f"`{name}`: `measure` is count or sum: it counts events.")
        case _:
            raise invalid(f"`{name}` is a question of kind promql, metric, log or trace.")
    try:
        of_window(question, 3600).check()
    except DuoscopeError as error:
        raise invalid_in(name, error) from error


def of_window(question: Question, seconds: int) -> Question:
    """A question about events, for a window of that length."""
    if isinstance(question, PromqlQuestion):
        return structs.replace(question, expression=question.expression.replace(WINDOW, f"{seconds}s"))
    return question


def _together(question: Question, windows: Windows) -> list[Windows]:
    """The windows in groups of which one reading in steps answers each."""
    groups: list[Windows] = []
    for window in windows:
        longer = (*groups[-1], window) if groups else (window,)
        if groups and isinstance(question, LogQuestion | TraceQuestion) and _count(question, longer) <= STEPS_MAX:
            groups[-1] = longer
        else:
            groups.append((window,))
    return groups


def _step_s(question: Question, windows: Windows) -> int:
    short_s = math.gcd(*(window.short_seconds for window in windows))
    if not isinstance(question, MetricQuestion):
        return short_s
    return short_s // max(parts for parts in range(1, _PARTS_MAX + 1) if short_s % parts == 0)


def _count(question: Question, windows: Windows) -> int:
    return max(window.long_seconds for window in windows) // _step_s(question, windows)


def _asked(question: Question, end_ns: int, windows: Windows) -> list[tuple[Question, Steps]]:
    if isinstance(question, PromqlQuestion):
        return [
            (of_window(question, seconds), Steps(end_ns, seconds * SECOND_NS))
            for window in windows
            for seconds in (window.long_seconds, window.short_seconds)
        ]
    return [(question, Steps(end_ns, _step_s(question, windows) * SECOND_NS, _count(question, windows)))]


_Sums = tuple[dict[Labels, float], dict[Labels, float]]


def _sums(question: Question, answers: list[Answered], pairs: Windows) -> list[_Sums]:
    """The events of the long and the short window by series, of each pair. Takes the answers that it uses out of the
    list.
    """
    found: list[_Sums] = []
    for windows in _together(question, pairs):
        if isinstance(question, PromqlQuestion):
            found += [(_totals(answers.pop(0), 1), _totals(answers.pop(0), 1)) for _ in windows]
            continue
        answered, step_s = answers.pop(0), _step_s(question, windows)
        found += [
            (
                _totals(answered, window.long_seconds // step_s),
                _totals(answered, window.short_seconds // step_s),
            )
            for window in windows
        ]
    return found


def _totals(answered: Answered, last: int) -> dict[Labels, float]:
    counted = answered.has[:, -last:] & np.isfinite(answered.values[:, -last:])
    sums = np.where(counted, answered.values[:, -last:], 0.0).sum(axis=1)
    return dict(zip(answered.labels, sums.tolist(), strict=True))
