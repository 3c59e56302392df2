"""Quantiles of merged histogram buckets. Pure functions: no store, no time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

SCALE_MIN: Final = -10
"""The lowest scale of OpenTelemetry's exponential histograms."""


Bounds = tuple[float | None, float | None]
"""The least and the greatest observation, each if it is known."""
_UNKNOWN: Final[Bounds] = (None, None)
_ROUNDING: Final = 1e-9
"""By this fraction a reported extreme may lie outside the bucket that it was counted in."""


def explicit(
    histograms: Iterable[tuple[Sequence[float], Sequence[float], float | None, float | None]], q: float
) -> float | None:
    """The q-quantile of histograms with explicit bounds, interpolated; None without observations.

    Observations count as spread evenly within a bucket, so histograms of different bounds merge by their distribution
    functions. No bucket extends beyond the least and the greatest observation, if these are known. If not, the rules of
    Prometheus' histogram_quantile apply: the first bucket begins at 0 if its bound is positive, and a quantile above
    the last bound returns that bound.

    Args:
        histograms: for each its upper bounds, counts (with one more for above the last bound), least and greatest
            observation.
        q: from 0 to 1.
    """
    spread: list[tuple[float, float, float]] = []
    points: list[tuple[float, float]] = []
    for bounds, counts, least, greatest in histograms:
        for lower, upper, count in _pieces(*finite(bounds, counts), (least, greatest)):
            if upper > lower:
                spread.append((lower, upper, count))
            else:
                points.append((upper, count))
    total = sum(count for _, _, count in spread) + sum(count for _, count in points)
    if not total:
        return None
    return _invert(spread, points, q * total)


def finite(bounds: Sequence[float], counts: Sequence[float]) -> tuple[list[float], list[float]]:
    """The same buckets without infinite bounds, which separate nothing."""
    bounds, counts = list(bounds), list(counts)
    if bounds and bounds[-1] == math.inf:
        bounds.pop()
        counts[-2:] = [sum(counts[-2:])]
    if bounds and bounds[0] == -math.inf:
        bounds.pop(0)
        counts[:2] = [sum(counts[:2])]
    return bounds, counts


def _pieces(bounds: list[float], counts: list[float], known: Bounds) -> Iterator[tuple[float, float, float]]:
    """The (lower, upper, count) of each bucket with observations."""
    filled = [number for number, count in enumerate(counts) if count > 0]
    if not filled or (not bounds and None in known):
        return
    edges = [-math.inf, *bounds, math.inf]
    least, greatest = _sound(known, edges[filled[0] + 1], edges[filled[-1]])
    first = least if least is not None else min(0.0, bounds[0])
    last = greatest if greatest is not None else bounds[-1]
    for number in filled:
        lower = bounds[number - 1] if number else first
        upper = bounds[number] if number < len(bounds) else last
        yield _within(lower, least, greatest), _within(upper, least, greatest), counts[number]


def _sound(known: Bounds, lowest_upper: float, highest_lower: float) -> Bounds:
    """The extremes that are plausible, given where the first bucket with observations ends and the last one begins.

    Some senders report zeros when they do not know the extremes.
    """
    least, greatest = known
    if least is not None and least > lowest_upper + abs(least) * _ROUNDING:
        least = None
    if greatest is not None and greatest < highest_lower - abs(greatest) * _ROUNDING:
        greatest = None
    return _UNKNOWN if least is not None and greatest is not None and least > greatest else (least, greatest)


def _within(value: float, least: float | None, greatest: float | None) -> float:
    if least is not None and value < least:
        return least
    return greatest if greatest is not None and value > greatest else value


def _invert(spread: list[tuple[float, float, float]], points: list[tuple[float, float]], rank: float) -> float:
    """The value at which the sum of evenly spread counts and of counts at a point reaches `rank`."""
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
            return min(edge, position + (rank - reached) / slope)
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
        self._known: list[Bounds] = []

    def add(
        self,
        scale: int,
        positive: Iterable[tuple[int, float]],
        negative: Iterable[tuple[int, float]],
        zero_count: float,
        zero_threshold: float,
        *,
        known: Bounds = _UNKNOWN,
    ) -> None:
        """Add buckets given as (index, count); bucket i covers (2^(i/2^scale), 2^((i+1)/2^scale)].

        `known` are the least and the greatest of these observations.
        """
        target = scale if self.scale is None else min(scale, self.scale)
        if self.scale is not None and target < self.scale:
            self.positive = _shifted(self.positive.items(), self.scale - target)
            self.negative = _shifted(self.negative.items(), self.scale - target)
        self.scale = target
        observed = zero_count
        for mine, theirs in ((self.positive, positive), (self.negative, negative)):
            for index, count in _shifted(theirs, scale - target).items():
                mine[index] = mine.get(index, 0.0) + count
                observed += count
        if observed > 0:
            self._known.append(known)
        self.zero_count += zero_count
        self.zero_threshold = max(self.zero_threshold, zero_threshold)

    def quantile(self, q: float) -> float | None:
        """The q-quantile, interpolated on the buckets' own exponential scale; None without observations.

        It lies between the least and the greatest observation, if these are known for everything that was added.
        """
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
            found = self._in_zero_bucket(fraction)
        else:
            found = self._power(sign, index + (fraction if sign > 0 else 1 - fraction))
        return _within(found, *_sound(self._extremes(), self._edge(ordered[0], upper=True), self._edge(ordered[-1])))

    def _extremes(self) -> Bounds:
        least, greatest = ([known[side] for known in self._known] for side in (0, 1))
        return (
            None if None in least else min(each for each in least if each is not None),
            None if None in greatest else max(each for each in greatest if each is not None),
        )

    def _edge(self, bucket: tuple[int, int, float], *, upper: bool = False) -> float:
        """The lower or upper edge of a bucket (index, sign, count)."""
        index, sign, _ = bucket
        if sign == 0:
            return self.zero_threshold if upper else -self.zero_threshold
        return self._power(sign, index + (upper == (sign > 0)))

    def _power(self, sign: int, exponent: float) -> float:
        try:
            return sign * math.pow(2.0, exponent / 2.0 ** (self.scale or 0))
        except OverflowError:
            return sign * math.inf

    def _in_zero_bucket(self, fraction: float) -> float:
        """Zero, unless the bucket is known to be wider; then only on the sides that have observations."""
        lower = -self.zero_threshold if self.negative else 0.0
        upper = self.zero_threshold if self.positive else 0.0
        return lower + (upper - lower) * fraction


def _shifted(buckets: Iterable[tuple[int, float]], by: int) -> dict[int, float]:
    merged: dict[int, float] = {}
    for index, count in buckets:
        merged[index >> by] = merged.get(index >> by, 0.0) + count
    return merged
