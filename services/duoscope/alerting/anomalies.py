"""Anomalies: how far a number is from those of the same hours of past days, by a robust z-score.

The centre is the median of the past, the scale its median absolute deviation: a few odd days, such as the last
incident, move neither (B. Iglewicz, D. Hoaglin: How to Detect and Handle Outliers, 1993).
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
from msgspec import Meta, Struct

from duoscope.alerting.comparing import (
    STEPS_MAX,
    Compared,
    Judged,
    Judgement,
    Window,
    reduced,
    refused,
    there,
)
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Bools, Floats
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.times import SECOND_NS

DAY_S: Final = 86_400
SCORE_MAX: Final = 1000.0
"""Scores are cut at it: where the past is constant, any difference is infinitely far."""
_OF_MEDIAN: Final = 1.4826
_OF_MEAN: Final = 1.2533
"""What makes a standard deviation of the median and of the mean absolute deviation, of normal values."""
_LEAST_SHARE: Final = 0.001
"""The scale is at least this share of the median: rounding is no anomaly."""


class Anomaly(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="anomaly"):
    """The value is unlike those of the same hours of past days. Until enough days have data, it is learning."""

    score: Annotated[
        float,
        Meta(gt=0, le=100, description="A breach is further than so many robust standard deviations.", examples=[5]),
    ] = 5.0
    recovery: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | None,
        Meta(description="What is firing resolves at this score and nearer."),
    ] = None
    direction: Annotated[Literal["above", "below", "both"], Meta(description="On which side of the past.")] = "both"
    days: Annotated[int, Meta(ge=2, le=14, description="How many days, or weeks, are looked back.")] = 7
    every_days: Annotated[
        Literal[1, 7], Meta(description="1: every past day. 7: the same day of past weeks.")
    ] = 1  # fmt: skip
    days_min: Annotated[
        int, Meta(ge=2, le=14, description="So many of them must have data; with fewer, the rule is learning.")
    ] = 3
    around_seconds: Annotated[
        int, Meta(ge=600, le=6 * 3600, description="How much of each past day, around the same time, is compared.")
    ] = 3600
    min_deviation: Annotated[
        float, Meta(ge=0, description="The least standard deviation: smaller differences are never far.")
    ] = 0.0
    window: Annotated[Window | None, Meta(description="By default the newest step alone.")] = None

    @property
    def threshold(self) -> float:
        """The score compared with."""
        return self.score

    def check(self) -> None:
        """Raise INVALID for numbers that do not fit together."""
        if self.days_min > self.days:
            raise refused("`days_min` is at most `days`.")
        if self.recovery is not None and self.recovery > self.score:
            raise refused("`recovery` is at most `score`.")
        if self.window and self.window.judged in ("at_least_once", "all_the_time"):
            raise refused("an anomaly is of one number: `window.judged` is last, average, sum or count.")

    def steps(self, end_ns: int, interval_s: int) -> Steps:
        """The moments of the window itself. Raises INVALID for a window that is no whole number of steps."""
        return Compared(comparison=">", value=0, window=self.window).steps(end_ns, interval_s)

    def moments(self, end_ns: int, interval_s: int) -> list[Steps]:
        """The window's moments, then those of each past day. Raises INVALID for a window longer than `around_seconds`,
        or too many steps.
        """
        now = self.steps(end_ns, interval_s)
        step_s = now.step_ns // SECOND_NS
        count = self.around_seconds // step_s // now.count * now.count
        if not now.count <= count <= STEPS_MAX:
            raise refused(
                f"`around_seconds` is the window's length at least, and at most {STEPS_MAX} steps of {step_s} s."
            )
        half_ns = (count - now.count) // 2 * now.step_ns
        past = [
            Steps(end_ns - day * self.every_days * DAY_S * SECOND_NS + half_ns, now.step_ns, count)
            for day in range(1, self.days + 1)
        ]
        return [now, *past]

    def judged(self, now: Answered, past: Sequence[Answered], *, is_count: bool) -> Judged:
        """Judge each series by its own past.

        Args:
            now: the window.
            past: the same hours of past days, the latest first.
            is_count: whether days before the first count above 0 are days without data.
        """
        how: Judgement = self.window.judged if self.window else "last"
        numbers = reduced(now, how)
        samples = np.stack([_samples(now.labels, day, now.values.shape[1], how) for day in past], axis=1)
        has_day = _days_with_data(samples, is_count=is_count)
        samples[~has_day] = np.nan
        is_known = np.asarray(has_day.sum(axis=1) >= self.days_min, np.bool_)
        scores = self._scores(numbers, samples.reshape(len(now.labels), samples.shape[1] * samples.shape[2]), is_known)
        covered = Compared(comparison=">", value=0, window=self.window).covered(now)
        breach, recovered = self._beyond(scores, self.score), ~self._beyond(scores, self.recovery or self.score)
        has = ~np.isnan(numbers)
        found = Judged(now.labels, scores, breach, recovered, covered & is_known, learning=int((has & ~is_known).sum()))
        return there(found, has)

    def _scores(self, numbers: Floats, samples: Floats, is_known: Bools) -> Floats:
        scores = np.zeros(len(numbers))
        rows = np.flatnonzero(is_known & ~np.isnan(numbers))
        if not len(rows):
            return scores
        known = samples[rows]
        centre = np.nanmedian(known, axis=1)
        distances = np.abs(known - centre[:, None])
        spread = _OF_MEDIAN * np.nanmedian(distances, axis=1)
        spread = np.where(spread > 0, spread, _OF_MEAN * np.nanmean(distances, axis=1))
        spread = np.maximum(spread, np.maximum(self.min_deviation, _LEAST_SHARE * np.abs(centre)))
        off = numbers[rows] - centre
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(off == 0, 0.0, off / spread)
        scores[rows] = np.clip(far, -SCORE_MAX, SCORE_MAX)
        return scores

    def _beyond(self, scores: Floats, limit: float) -> Bools:
        match self.direction:
            case "above":
                return np.asarray(scores > limit, np.bool_)
            case "below":
                return np.asarray(scores < -limit, np.bool_)
            case "both":
                return np.asarray(np.abs(scores) > limit, np.bool_)


def _samples(labels: list[Labels], day: Answered, width: int, how: Judgement) -> Floats:
    """One number of each window's length of a day, by series; NaN where there is none."""
    blocks = day.values.shape[1] // width
    shape = len(day.labels) * blocks, width
    of_blocks = Answered(day.labels, day.values.reshape(shape), day.has.reshape(shape))
    numbers = reduced(of_blocks, how).reshape(len(day.labels), blocks)
    row_of = {each: row for row, each in enumerate(day.labels)}
    rows = np.array([row_of.get(each, len(day.labels)) for each in labels], np.int64)
    return np.vstack([numbers, np.full((1, blocks), np.nan)])[rows]


def _days_with_data(samples: Floats, *, is_count: bool) -> Bools:
    """Of each series, the days that have any number, the latest first."""
    has = np.asarray(~np.isnan(samples).all(axis=2), np.bool_)
    if not is_count:
        return has
    counted = (np.nan_to_num(samples) != 0).any(axis=2)
    began = np.flip(np.maximum.accumulate(np.flip(counted, axis=1), axis=1), axis=1)
    return np.asarray(has & began, np.bool_)
