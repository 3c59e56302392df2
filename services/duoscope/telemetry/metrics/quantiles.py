"""Quantiles of merged histogram buckets. Pure functions: no store, no time."""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

SCALE_MIN: Final = -10
"""The lowest scale of OpenTelemetry's exponential histograms."""


def explicit(histograms: Iterable[tuple[Sequence[float], Sequence[float]]], q: float) -> float | None:
    """The q-quantile of histograms with explicit bounds, each (upper bounds, counts with one more for above the last).

    Within a bucket observations count as spread evenly, so histograms of different bounds merge by their distribution
    functions. As in Prometheus' histogram_quantile, the first bucket begins at 0 if its bound is positive, and a
    quantile above the last bound answers that bound. None without observations.
    """
    spread: list[tuple[float, float, float]] = []
    points: list[tuple[float, float]] = []
    for bounds, counts in histograms:
        if not bounds:
            continue
        lower = min(0.0, bounds[0])
        for upper, count in zip(bounds, counts, strict=False):
            if count > 0:
                if upper > lower:
                    spread.append((lower, upper, count))
                else:
                    points.append((upper, count))
            lower = upper
        if len(counts) > len(bounds) and counts[-1] > 0:
            points.append((bounds[-1], counts[-1]))
    total = sum(count for _, _, count in spread) + sum(count for _, count in points)
    if not total:
        return None
    return _invert(spread, points, q * total)


def _invert(spread: list[tuple[float, float, float]], points: list[tuple[float, float]], rank: float) -> float:
    """Where the sum of evenly spread counts and of counts at a point reaches `rank`."""
    slopes: dict[float, float] = {}
    jumps: dict[float, float] = {}
    for lower, upper, count in spread:
        slope = count / (upper - lower)
        slopes[lower] = slopes.get(lower, 0.0) + slope
        slopes[upper] = slopes.get(upper, 0.0) - slope
    for at, count in points:
        jumps[at] = jumps.get(at, 0.0) + count
    reached, slope = 0.0, 0.0
    edges = sorted(slopes.keys() | jumps.keys())
    position = edges[0]
    for edge in edges:
        gained = slope * (edge - position)
        if slope > 0 and reached + gained >= rank:
            return position + (rank - reached) / slope
        reached += gained + jumps.get(edge, 0.0)
        position = edge
        if reached >= rank and edge in jumps:
            return edge
        slope += slopes.get(edge, 0.0)
    return edges[-1]


class ExponentialBuckets:
    """Exponential histograms added up at the lowest of their scales."""

    def __init__(self) -> None:
        self.scale: int | None = None
        self.positive: dict[int, float] = {}
        self.negative: dict[int, float] = {}
        self.zero_count = 0.0
        self.zero_threshold = 0.0

    def add(
        self,
        scale: int,
        positive: Iterable[tuple[int, float]],
        negative: Iterable[tuple[int, float]],
        zero_count: float,
        zero_threshold: float,
    ) -> None:
        """Add buckets given as (index, count); bucket i covers (2^(i/2^scale), 2^((i+1)/2^scale)]."""
        target = scale if self.scale is None else min(scale, self.scale)
        if self.scale is not None and target < self.scale:
            self.positive = _shifted(self.positive.items(), self.scale - target)
            self.negative = _shifted(self.negative.items(), self.scale - target)
        self.scale = target
        for mine, theirs in ((self.positive, positive), (self.negative, negative)):
            for index, count in _shifted(theirs, scale - target).items():
                mine[index] = mine.get(index, 0.0) + count
        self.zero_count += zero_count
        self.zero_threshold = max(self.zero_threshold, zero_threshold)

    def quantile(self, q: float) -> float | None:
        """The q-quantile, interpolated on the buckets' own exponential scale; None without observations."""
        if self.scale is None:
            return None
        ordered = [(index, -1, count) for index, count in sorted(self.negative.items(), reverse=True) if count > 0]
        if self.zero_count > 0:
            ordered.append((0, 0, self.zero_count))
        ordered += [(index, 1, count) for index, count in sorted(self.positive.items()) if count > 0]
        if not ordered:
            return None
        reached = list(accumulate(count for _, _, count in ordered))
        rank = q * reached[-1]
        place = next(n for n, total in enumerate(reached) if total >= rank or n == len(reached) - 1)
        index, sign, count = ordered[place]
        fraction = min(1.0, max(0.0, (rank - (reached[place] - count)) / count))
        if sign == 0:
            return self._in_zero_bucket(fraction)
        exponent = index + (fraction if sign > 0 else 1 - fraction)
        try:
            return sign * math.pow(2.0, exponent / 2.0**self.scale)
        except OverflowError:
            return sign * math.inf

    def _in_zero_bucket(self, fraction: float) -> float:
        """Zero, unless the bucket is known to be wider; only on the sides where there are observations at all."""
        lower = -self.zero_threshold if self.negative else 0.0
        upper = self.zero_threshold if self.positive else 0.0
        return lower + (upper - lower) * fraction


def _shifted(buckets: Iterable[tuple[int, float]], by: int) -> dict[int, float]:
    merged: dict[int, float] = {}
    for index, count in buckets:
        merged[index >> by] = merged.get(index >> by, 0.0) + count
    return merged
