"""Functions of one native histogram: quantiles, fractions, mean, deviation."""

import math
from collections.abc import Iterator

from duoscope.telemetry.promql.histograms import Bucket, Histogram


def quantile(found: Histogram, q: float) -> float:  # noqa: C901, PLR0911 - as many cases as there are
    """The value below which a fraction of the observations lies, interpolated within its bucket."""
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    if found.count == 0 or math.isnan(q):
        return math.nan
    buckets = list(found.buckets())
    is_forward = math.isnan(found.sum) or q < 0.5  # noqa: PLR2004 - from whichever end is nearer
    rank = (q if is_forward else 1 - q) * found.count
    count, bucket = 0.0, None
    for bucket in buckets if is_forward else reversed(buckets):
        count += bucket.count
        if count >= rank:
            break
    if bucket is None:
        return math.nan
    lower, upper = _bounded(found, bucket)
    if found.is_custom:
        if lower == -math.inf:
            return upper
        if upper == math.inf:
            return lower
    count = min(count, found.count)
    if count < rank:
        return math.nan if math.isnan(found.sum) else upper
    part = (rank - (count - bucket.count) if is_forward else count - rank) / bucket.count
    if found.is_custom or lower <= 0 <= upper:
        return lower + (upper - lower) * part
    low, high = math.log2(abs(lower)), math.log2(abs(upper))
    if lower > 0:
        return 2 ** (low + (high - low) * part)
    return -(2 ** (high + (low - high) * (1 - part)))


def fraction(found: Histogram, lower: float, upper: float) -> float:
    """The fraction of the observations between two values."""
    if found.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank(found, upper) - _rank(found, lower)) / found.count


def _rank(found: Histogram, value: float) -> float:
    below = 0.0
    for bucket in found.buckets():
        lower, upper = _bounded(found, bucket)
        if lower >= value:
            return min(below, found.count)
        if upper > value:
            return min(below + bucket.count * _part(found, lower, upper, value), found.count)
        below += bucket.count
    return found.count


def _part(found: Histogram, lower: float, upper: float, value: float) -> float:
    if lower == -math.inf:
        return 1.0
    if found.is_custom or lower <= 0 <= upper:
        return (value - lower) / (upper - lower)
    low, high, at = math.log2(abs(lower)), math.log2(abs(upper)), math.log2(abs(value))
    return (at - low) / (high - low) if value > 0 else 1 - (at - high) / (low - high)


def _bounded(found: Histogram, bucket: Bucket) -> tuple[float, float]:
    """The bounds of a bucket, with zero where the sign of all observations determines it."""
    lower, upper = bucket.lower, bucket.upper
    if found.is_custom:
        return (0.0, upper) if lower == -math.inf and upper > 0 else (lower, upper)
    if lower < 0 < upper:
        if not found.negative and found.positive:
            lower = 0.0
        elif not found.positive and found.negative:
            upper = 0.0
    return lower, upper


def variance(found: Histogram) -> float:
    """The variance of the observations, each taken to be in the middle of its bucket."""
    if not found.count:
        return math.nan
    mean = found.sum / found.count
    if not math.isfinite(mean):
        return math.nan
    return math.fsum(_squares(found, mean)) / found.count


def _squares(found: Histogram, mean: float) -> Iterator[float]:
    for bucket in found.buckets():
        if found.is_custom:
            middle = (bucket.lower + bucket.upper) / 2
        elif bucket.lower <= 0 <= bucket.upper:
            middle = 0.0
        else:
            middle = math.copysign(math.sqrt(bucket.lower * bucket.upper), bucket.upper)
        yield bucket.count * (middle - mean) ** 2


def mean_of(found: Histogram) -> float:
    """The mean of the observations: sum divided by count."""
    return found.sum / found.count if found.count else math.nan
