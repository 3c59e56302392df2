"""Native histograms as samples: buckets that grow exponentially, or with custom bounds.

Bucket i of schema s ends at 2^(i / 2^s), included; schema -53 has its bounds listed. Only filled buckets are kept.
"""

import bisect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from duoscope.telemetry.promql.numerals import formatted

CUSTOM: Final = -53
Hint = Literal["unknown", "reset", "not_reset", "gauge"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A range of values and the number of observations in it."""

    lower: float
    upper: float
    lower_included: bool
    upper_included: bool
    count: float


@dataclass(slots=True)
class Histogram:
    """One histogram.

    Attributes:
        schema: resolution, or CUSTOM.
        count: of all observations.
        sum: of all observations.
        zero_threshold: how far from zero the zero bucket reaches.
        zero_count: of the zero bucket.
        positive: counts by bucket.
        negative: counts by bucket, of absolute values.
        bounds: upper bounds, of a CUSTOM one.
        hint: what is known of a reset between this and the previous one.
    """

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: dict[int, float] = field(default_factory=dict[int, float])
    negative: dict[int, float] = field(default_factory=dict[int, float])
    bounds: tuple[float, ...] = ()
    hint: Hint = "unknown"

    @property
    def is_custom(self) -> bool:
        """Whether the bounds are listed."""
        return self.schema == CUSTOM

    def copy(self) -> "Histogram":
        """An equal histogram that can be changed."""
        return Histogram(
            self.schema, self.count, self.sum, self.zero_threshold, self.zero_count, dict(self.positive),
            dict(self.negative), self.bounds, self.hint,
        )  # fmt: skip

    def scaled(self, factor: float) -> "Histogram":
        """Multiply all counts and the sum by a factor."""
        made = self._each(lambda number: number * factor)
        return _as_gauge(made) if factor < 0 else made

    def divided(self, divisor: float) -> "Histogram":
        """Divide all counts and the sum; division by zero leaves no buckets."""
        made = self._each(lambda number: _quotient(number, divisor))
        if divisor == 0:
            made.positive, made.negative = {}, {}
        return _as_gauge(made) if divisor < 0 else made

    def _each(self, apply: Callable[[float], float]) -> "Histogram":
        made = self.copy()
        made.count, made.sum, made.zero_count = apply(self.count), apply(self.sum), apply(self.zero_count)
        made.positive = {index: apply(count) for index, count in self.positive.items()}
        made.negative = {index: apply(count) for index, count in self.negative.items()}
        return made

    def compact(self) -> "Histogram":
        """The histogram without empty buckets."""
        made = self.copy()
        made.positive = {index: count for index, count in self.positive.items() if count}
        made.negative = {index: count for index, count in self.negative.items() if count}
        return made

    def to_schema(self, schema: int) -> "Histogram":
        """The histogram at a lower resolution."""
        made = self.copy()
        if schema != self.schema and not self.is_custom:
            made.positive = _coarser(self.positive, self.schema - schema)
            made.negative = _coarser(self.negative, self.schema - schema)
            made.schema = schema
        return made

    def plus(self, other: "Histogram", sign: float = 1.0) -> "tuple[Histogram, bool]":
        """Add another histogram (or subtract it). Also returns whether custom bounds had to be reconciled.

        Both must be exponential, or both have custom bounds: `compatible` says so.
        """
        reconciled = False
        left, right = self, other
        if self.is_custom:
            if self.bounds != other.bounds:
                common = tuple(bound for bound in self.bounds if bound in set(other.bounds))
                left, right, reconciled = self.on_bounds(common), other.on_bounds(common), True
            made = left.copy()
        else:
            schema = min(self.schema, other.schema)
            left, right = self.to_schema(schema), other.to_schema(schema)
            left, right = _same_zero(left, right)
            made = left.copy()
            made.zero_count += sign * right.zero_count
        made.count += sign * right.count
        made.sum += sign * right.sum
        for own, theirs in ((made.positive, right.positive), (made.negative, right.negative)):
            for index, count in theirs.items():
                own[index] = own.get(index, 0.0) + sign * count
        made.hint = _joint_hint(self.hint, other.hint) if sign > 0 else "gauge"
        return made, reconciled

    def on_bounds(self, bounds: tuple[float, ...]) -> "Histogram":
        """The histogram with some of its bounds."""
        made = self.copy()
        made.bounds, made.positive = bounds, {}
        for index, count in self.positive.items():
            upper = self.bounds[index] if index < len(self.bounds) else math.inf
            place = bisect.bisect_left(bounds, upper)
            made.positive[place] = made.positive.get(place, 0.0) + count
        return made

    def is_reset_after(self, before: "Histogram") -> bool:  # noqa: PLR0911 - as many signs as there are
        """Whether counting began anew since the previous histogram."""
        if self.hint == "reset":
            return True
        if self.hint == "not_reset":
            return False
        if self.is_custom != before.is_custom:
            return True
        current = self
        if self.is_custom:
            if self.bounds != before.bounds:
                common = tuple(bound for bound in self.bounds if bound in set(before.bounds))
                current, before = self.on_bounds(common), before.on_bounds(common)
            return current.count < before.count or _lost_some(current.positive, before.positive)
        if self.count < before.count or self.schema > before.schema or self.zero_threshold < before.zero_threshold:
            return True
        widened = before.to_schema(self.schema).with_zero(self.zero_threshold)
        if widened.zero_threshold != self.zero_threshold or self.zero_count < widened.zero_count:
            return True
        return _lost_some(self.positive, widened.positive) or _lost_some(self.negative, widened.negative)

    def with_zero(self, threshold: float) -> "Histogram":
        """Widen the zero bucket: to the given threshold, or to the end of the filled bucket that it would cut."""
        made = self.copy()
        changed = True
        while changed:
            changed = False
            for buckets in (made.positive, made.negative):
                for index in sorted(buckets):
                    lower, upper = _limits(index, made.schema)
                    if lower >= threshold:
                        break
                    count = buckets[index]
                    if upper > threshold and count:
                        threshold, changed = upper, True
                    if upper <= threshold or not count:
                        made.zero_count += count
                        del buckets[index]
        made.zero_threshold = max(threshold, made.zero_threshold)
        return made

    def equals(self, other: "Histogram") -> bool:
        """Whether both are the same, apart from hints."""
        mine, theirs = self.compact(), other.compact()
        return (
            mine.schema == theirs.schema
            and mine.bounds == theirs.bounds
            and _same(mine.count, theirs.count)
            and _same(mine.sum, theirs.sum)
            and mine.zero_threshold == theirs.zero_threshold
            and _same(mine.zero_count, theirs.zero_count)
            and mine.positive == theirs.positive
            and mine.negative == theirs.negative
        )

    def buckets(self) -> Iterator[Bucket]:
        """All filled buckets, from the least values to the greatest."""
        for index in sorted(self.negative, reverse=True):
            if count := self.negative[index]:
                lower, upper = _limits(index, self.schema)
                yield Bucket(-upper, -lower, lower_included=True, upper_included=False, count=count)
        if self.zero_count:
            yield Bucket(
                -self.zero_threshold, self.zero_threshold, lower_included=True, upper_included=True,
                count=self.zero_count,
            )  # fmt: skip
        for index in sorted(self.positive):
            if count := self.positive[index]:
                lower, upper = self._custom_limits(index) if self.is_custom else _limits(index, self.schema)
                yield Bucket(lower, upper, lower == -math.inf and self.is_custom, upper_included=True, count=count)

    def _custom_limits(self, index: int) -> tuple[float, float]:
        lower = self.bounds[index - 1] if index > 0 else -math.inf
        return lower, self.bounds[index] if index < len(self.bounds) else math.inf


def compatible(left: Histogram, right: Histogram) -> bool:
    """Whether two histograms can be added up."""
    return left.is_custom == right.is_custom


def _limits(index: int, schema: int) -> tuple[float, float]:
    return _bound(index - 1, schema), _bound(index, schema)


def _bound(index: int, schema: int) -> float:
    try:
        return math.ldexp(1.0, index << -schema) if schema <= 0 else math.pow(2.0, index / (1 << schema))
    except OverflowError:
        return math.inf


def _coarser(buckets: dict[int, float], by: int) -> dict[int, float]:
    made: dict[int, float] = {}
    for index, count in buckets.items():
        place = ((index - 1) >> by) + 1
        made[place] = made.get(place, 0.0) + count
    return made


def _same_zero(left: Histogram, right: Histogram) -> tuple[Histogram, Histogram]:
    while left.zero_threshold != right.zero_threshold:
        if left.zero_threshold < right.zero_threshold:
            left = left.with_zero(right.zero_threshold)
        else:
            right = right.with_zero(left.zero_threshold)
    return left, right


def _joint_hint(left: Hint, right: Hint) -> Hint:
    if left == right:
        return left
    if "gauge" in (left, right):
        return "gauge"
    return "unknown"


def _as_gauge(histogram: Histogram) -> Histogram:
    histogram.hint = "gauge"
    return histogram


def _lost_some(now: dict[int, float], before: dict[int, float]) -> bool:
    return any(now.get(index, 0.0) < count for index, count in before.items())


def _same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


def _quotient(number: float, divisor: float) -> float:
    if divisor:
        return number / divisor
    return math.nan if number == 0 or math.isnan(number) else math.copysign(math.inf, number)


def text_of(histogram: Histogram) -> str:
    """Print a histogram as Prometheus does: `{count:20, sum:10, (0.5,1]:1}`."""
    parts = [f"count:{formatted(histogram.count)}, sum:{formatted(histogram.sum)}"]
    for bucket in histogram.buckets():
        opening, closing = "[" if bucket.lower_included else "(", "]" if bucket.upper_included else ")"
        parts.append(f"{opening}{formatted(bucket.lower)},{formatted(bucket.upper)}{closing}:{formatted(bucket.count)}")
    return "{" + ", ".join(parts) + "}"
