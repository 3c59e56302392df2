"""Sums, means and variances of many runs of numbers at once, one number of each run at a time.

They are compensated like Prometheus' (Neumaier), so that neither order nor size of the numbers affects the result.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.values import Floats, Ints

LOOKED_AT_MAX: Final = 500_000_000
"""Elements of all windows together, where each is looked at in each window that has it: some seconds."""


def require_affordable(lengths: Ints) -> None:
    """Raise ExpressionError if windows of these lengths have too many elements."""
    if int(lengths.sum()) > LOOKED_AT_MAX:
        raise execution(
            f"its ranges have more than {LOOKED_AT_MAX:,} points together, counted in each range that has them: take "
            "shorter ranges, larger steps or fewer series"
        )


def ranks(low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield the first element of each window into an array, then the second …: which windows have one, and where.

    Raises:
        ExpressionError: there are more than LOOKED_AT_MAX.
    """
    lengths = (high - low).ravel()
    require_affordable(lengths)
    first = low.ravel()
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]
    ordered = first[order]
    for number in range(int(lengths.max()) if len(lengths) else 0):
        count = int(np.searchsorted(falling, -number, side="left"))
        yield order[:count], ordered[:count] + number


def _add(increments: Floats, sums: Floats, lost: Floats) -> tuple[Floats, Floats]:
    total = sums + increments
    by_sum = (sums - total) + increments
    by_increment = (increments - total) + sums
    lost = lost + np.where(np.abs(sums) >= np.abs(increments), by_sum, by_increment)
    return total, np.where(np.isinf(total), 0.0, lost)


class Sum:
    """Sums of runs."""

    def __init__(self, runs: int) -> None:
        self._sums = np.zeros(runs)
        self._lost = np.zeros(runs)

    def add(self, runs: Ints, numbers: Floats) -> None:
        """Add one number to each of some runs."""
        self._sums[runs], self._lost[runs] = _add(numbers, self._sums[runs], self._lost[runs])

    def result(self) -> Floats:
        """The sum of each run."""
        return np.where(np.isinf(self._sums), self._sums, self._sums + self._lost)


class Mean:
    """Means of runs: from sums, and where a sum would overflow, adjusted number by number."""

    def __init__(self, runs: int) -> None:
        self._count = np.zeros(runs)
        self._sums = np.zeros(runs)
        self._lost = np.zeros(runs)
        self._is_mean = np.zeros(runs, np.bool_)

    def add(self, runs: Ints, numbers: Floats) -> None:
        """Add one number to each of some runs."""
        self._count[runs] += 1
        count, sums, lost, is_mean = self._count[runs], self._sums[runs], self._lost[runs], self._is_mean[runs]
        total, total_lost = _add(numbers, sums, lost)
        overflows = ~is_mean & np.isinf(total) & (count > 1)
        before = np.maximum(count - 1, 1)
        sums, lost = np.where(overflows, sums / before, sums), np.where(overflows, lost / before, lost)
        is_mean = is_mean | overflows
        share = (count - 1) / count
        mean, mean_lost = _add(numbers / count, share * sums, share * lost)
        self._sums[runs] = np.where(is_mean, mean, total)
        self._lost[runs] = np.where(is_mean, mean_lost, total_lost)
        self._is_mean[runs] = is_mean

    def result(self) -> Floats:
        """The mean of each run; NaN of an empty one."""
        of_sum = np.where(
            np.isinf(self._sums), self._sums / self._count, self._sums / self._count + self._lost / self._count
        )
        return np.where(self._is_mean, self._sums + self._lost, of_sum)


class Variance:
    """Population variances of runs."""

    def __init__(self, runs: int) -> None:
        self._count = np.zeros(runs)
        self._mean = np.zeros(runs)
        self._mean_lost = np.zeros(runs)
        self._sums = np.zeros(runs)
        self._lost = np.zeros(runs)

    def add(self, runs: Ints, numbers: Floats) -> None:
        """Add one number to each of some runs."""
        self._count[runs] += 1
        delta = numbers - (self._mean[runs] + self._mean_lost[runs])
        mean, lost = _add(delta / self._count[runs], self._mean[runs], self._mean_lost[runs])
        self._mean[runs], self._mean_lost[runs] = mean, lost
        squared = delta * (numbers - (mean + lost))
        self._sums[runs], self._lost[runs] = _add(squared, self._sums[runs], self._lost[runs])

    def result(self) -> Floats:
        """The variance of each run; NaN of an empty one."""
        return (self._sums + self._lost) / self._count


def quantiles(numbers: Floats, has: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", q: Floats) -> Floats:
    """Quantiles of each row of a matrix, interpolated; NaN counts as the least.

    Args:
        numbers: rows by numbers.
        has: which of them count.
        q: of each row, 0 to 1; outside that the result is infinite.
    """
    count = has.sum(axis=1)
    values = np.where(has, numbers, np.nan)
    values.sort(axis=1)
    not_numbers = np.isnan(values).sum(axis=1) - (values.shape[1] - count)
    rank = np.where(np.isnan(q), 0.0, np.clip(q, 0, 1)) * (count - 1)
    low = np.maximum(0, np.floor(rank)).astype(np.int64)
    high = np.minimum(count - 1, low + 1)
    weight = rank - np.floor(rank)
    rows = np.arange(len(values))

    def at(index: Ints) -> Floats:
        found = values[rows, np.clip(index - not_numbers, 0, max(0, values.shape[1] - 1))]
        return np.where(index < not_numbers, np.nan, found)

    if not values.shape[1]:
        return np.full(len(values), np.nan)
    # A weight of zero still makes NaN of an infinite neighbour, as it does in Prometheus.
    answers = at(low) * (1 - weight) + at(high) * weight
    answers = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, answers))
    return np.where(np.isnan(q) | (count == 0), np.nan, answers)


class Regression:
    """Straight lines through runs of points, by least squares."""

    def __init__(self, runs: int) -> None:
        self._sums = [Sum(runs) for _ in range(4)]
        self._count = np.zeros(runs)
        self._first = np.full(runs, np.nan)
        self._is_constant = np.ones(runs, np.bool_)

    def add(self, runs: Ints, x: Floats, y: Floats) -> None:
        """Add one point to each of some runs."""
        is_first = self._count[runs] == 0
        self._first[runs] = np.where(is_first, y, self._first[runs])
        self._is_constant[runs] &= is_first | (y == self._first[runs])
        self._count[runs] += 1
        for sums, numbers in zip(self._sums, (x, y, x * y, x * x), strict=True):
            sums.add(runs, numbers)

    def result(self) -> tuple[Floats, Floats]:
        """The slope, and the value where x is 0."""
        n = self._count
        x, y, xy, xx = (sums.result() for sums in self._sums)
        slope = (xy - x * y / n) / (xx - x * x / n)
        intercept = y / n - slope * x / n
        level = np.where(np.isinf(self._first), np.nan, self._first)
        flat = np.where(np.isinf(self._first), np.nan, 0.0)
        return np.where(self._is_constant, flat, slope), np.where(self._is_constant, level, intercept)
