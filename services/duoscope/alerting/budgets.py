"""Error budgets: what share of the failures that an objective allows in its period has not happened."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct

from duoscope.alerting.burn_rates import DAY_S, of_window
from duoscope.alerting.slos import questions
from duoscope.metadata.slos import Slo
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Floats
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.times import SECOND_NS

STEPS: Final = 120
"""Into which the period is cut."""


class BudgetPoint(Struct, frozen=True):
    """The budget at the end of one step."""

    at: datetime
    budget_left: Annotated[
        float | None, Meta(description="What was left after the failures of the period up to here.", examples=[0.63])
    ]
    burn_rate: Annotated[
        float | None, Meta(description="In this step: 1 uses up the budget in the period; null without events.")
    ]


class SeriesBudget(Struct, frozen=True):
    """The budget of one series."""

    labels: Annotated[dict[str, str], Meta(examples=[{"service": "checkout"}])]
    total: Annotated[float, Meta(description="Events of the period.")]
    good: Annotated[float, Meta(description="Those that were good.")]
    share_good: Annotated[float | None, Meta(description="null without events.", examples=[0.9995])]
    budget_left: Annotated[
        float | None,
        Meta(description="1: nothing failed. 0: as much failed as may. Below: more. null without events."),
    ]
    points: list[BudgetPoint]


class Budget(Struct, frozen=True):
    """The budgets of an objective over its period, up to the end of the step that is now."""

    start: datetime
    end: datetime
    series: list[SeriesBudget]
    is_complete: Annotated[bool, Meta(description="Whether there are no further series.")]


async def budget(reader: TelemetryReader, slo: Slo, now: datetime) -> Budget:
    """Count the events of the period in steps.

    Raises:
        DuoscopeError: INVALID for a question that cannot be answered; UNAVAILABLE.
    """
    step_s = slo.period_days * DAY_S // STEPS
    # Steps of metrics begin at multiples of their length; the others follow, so that both count the same time.
    end_s = int(now.timestamp()) // step_s * step_s + step_s
    steps = Steps(end_s * SECOND_NS, step_s * SECOND_NS, STEPS)
    good, total = [await of_window(each, step_s).read(reader, steps) for each in questions(slo)]
    end = datetime.fromtimestamp(end_s, now.tzinfo)
    ends = [end - timedelta(seconds=step_s * (STEPS - 1 - number)) for number in range(STEPS)]
    goods = _by_labels(good)
    series = [_of_series(slo, each, numbers, goods.get(each), ends) for each, numbers in _by_labels(total).items()]
    return Budget(ends[0] - timedelta(seconds=step_s), end, series, good.is_complete and total.is_complete)


def _by_labels(answered: Answered) -> dict[Labels, Floats]:
    numbers = np.where(answered.has & np.isfinite(answered.values), answered.values, 0.0)
    return dict(zip(answered.labels, numbers, strict=True))


def _of_series(slo: Slo, labels: Labels, total: Floats, good: Floats | None, ends: list[datetime]) -> SeriesBudget:
    good = np.zeros(len(total)) if good is None else np.minimum(good, total)
    bad, events = total - good, float(total.sum())
    allowed = events * (1 - slo.objective)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(total > 0, bad / total / (1 - slo.objective), np.nan)
        left = 1 - np.cumsum(bad) / allowed if events else np.full(len(total), np.nan)
    points = [
        BudgetPoint(at, _number(one), _number(rate))
        for at, one, rate in zip(ends, left.tolist(), rates.tolist(), strict=True)
    ]
    share = float(good.sum()) / events if events else None
    return SeriesBudget(dict(labels), events, float(good.sum()), share, points[-1].budget_left, points)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
