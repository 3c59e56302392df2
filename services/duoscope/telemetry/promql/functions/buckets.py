"""Quantiles and fractions of histograms: classic ones, whose buckets are series with a label `le`, and native ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.functions import native
from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import formatted
from duoscope.telemetry.promql.values import Bools, Floats, Ints, Notes, Vector, anywhere, at_any_time

_TOLERANCE: Final = 1e-12
_LEAST_NORMAL: Final = 2.2250738585072014e-308
OfClassic = Callable[[Floats, Floats, Ints], Floats]
OfNative = Callable[[Histogram, int], float]


@dataclass(slots=True)
class _Classic:
    """The buckets of one histogram: rows of the vector and their bounds, least first."""

    labels: Labels
    rows: Ints
    bounds: Floats


def quantile(vector: Vector, q: Floats, notes: Notes, position: int, q_position: int) -> Vector:
    """The quantile of each histogram, with one `q` per step."""
    for wrong in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]):
        notes.warn(f"quantile value should be between 0 and 1, got {formatted(float(wrong))}", q_position)

    def of_classic(bounds: Floats, counts: Floats, steps: Ints) -> Floats:
        return _classic_quantile(bounds, counts, q[steps])

    return _each(vector, of_classic, lambda found, step: native.quantile(found, float(q[step])), notes, position)


def fraction(vector: Vector, lower: Floats, upper: Floats, notes: Notes, position: int) -> Vector:
    """The fraction of each histogram's observations between two values, one pair per step."""

    def of_classic(bounds: Floats, counts: Floats, steps: Ints) -> Floats:
        return _classic_fraction(bounds, counts, lower[steps], upper[steps])

    def of_native(found: Histogram, step: int) -> float:
        return native.fraction(found, float(lower[step]), float(upper[step]))

    return _each(vector, of_classic, of_native, notes, position, is_fraction=True)


def _each(
    vector: Vector,
    of_classic: OfClassic,
    of_native: OfNative,
    notes: Notes,
    position: int,
    *,
    is_fraction: bool = False,
) -> Vector:
    steps = vector.values.shape[1]
    floats, hists = vector.is_float, vector.is_hist
    labels: list[Labels] = []
    values: list[Floats] = []
    present: list[Bools] = []
    by_labels: dict[Labels, int] = {labels: row for row, labels in enumerate(vector.labels) if hists[row].any()}
    for histogram in _classic(vector, floats, notes, position):
        has = floats[histogram.rows]
        any_of_it = anywhere(has)
        row = by_labels.get(histogram.labels)
        if row is not None and (both := any_of_it & hists[row]).any():
            notes.warn(
                "vector contains a mix of classic and native histograms for metric name "
                f'"{label_sets.get(histogram.labels, label_sets.NAME)}"',
                position,
            )
            any_of_it = any_of_it & ~both
            hists[row] &= ~both
        answer = np.full(steps, np.nan)
        for which, bounds, counts in _by_presence(histogram, vector.values, has, any_of_it):
            rising, forced = _monotonic(_coalesced(bounds, counts))
            if forced and not is_fraction:
                notes.inform(
                    "input to histogram_quantile needed to be fixed for monotonicity (see "
                    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric "
                    f'name "{label_sets.get(histogram.labels, label_sets.NAME)}"',
                    position,
                )
            answer[which] = of_classic(np.unique(bounds), rising, which)
        labels.append(histogram.labels)
        values.append(answer)
        present.append(any_of_it)
    for row in np.flatnonzero(at_any_time(hists)):
        answer = np.full(steps, np.nan)
        for step in np.flatnonzero(hists[row]):
            answer[step] = of_native(vector.hist[row, step], int(step))
        labels.append(vector.labels[row])
        values.append(answer)
        present.append(hists[row])
    if not labels:
        return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_))
    drop = np.ones(len(labels), np.bool_)
    return Vector(labels, np.stack(values), np.stack(present), drop=drop).present()


def _classic(vector: Vector, floats: Bools, notes: Notes, position: int) -> Iterator[_Classic]:
    found: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        if not floats[row].any():
            continue
        text = label_sets.get(labels, label_sets.LE)
        try:
            bound = float(text)
        except ValueError:
            notes.warn(
                f'bucket label "le" is missing or has a malformed value of "{text}" for metric name '
                f'"{label_sets.get(labels, label_sets.NAME)}"',
                position,
            )
            continue
        found.setdefault(label_sets.without(labels, (label_sets.LE,)), []).append((bound, row))
    for labels, pairs in found.items():
        pairs.sort(key=lambda pair: pair[0])
        yield _Classic(labels, np.array([row for _, row in pairs]), np.array([bound for bound, _ in pairs]))


def _by_presence(
    histogram: _Classic, values: Floats, has: Bools, wanted: Bools
) -> Iterator[tuple[Ints, Floats, Floats]]:
    """Group the steps that have the same buckets: which steps, their bounds, and counts of buckets by steps."""
    if has.all():
        which = np.flatnonzero(wanted)
        if len(which):
            yield which, histogram.bounds, values[histogram.rows][:, which]
        return
    patterns, pattern_of = np.unique(has, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        which = np.flatnonzero((pattern_of.ravel() == number) & wanted)
        kept = patterns[:, number]
        if len(which) and kept.any():
            yield which, histogram.bounds[kept], values[histogram.rows[kept]][:, which]


def _coalesced(bounds: Floats, counts: Floats) -> Floats:
    """Add up buckets of equal bounds."""
    starts = np.flatnonzero(np.concatenate([[True], bounds[1:] != bounds[:-1]]))
    return np.add.reduceat(counts, starts, axis=0)


def _monotonic(counts: Floats) -> tuple[Floats, bool]:
    """Counts that never fall from one bucket to the next, and whether any fell by more than rounding explains."""
    made = counts.copy()
    forced = False
    before = made[0].copy()
    for row in range(1, len(made)):
        now = made[row]
        total = np.abs(before) + np.abs(now)
        apart = np.abs(now - before)
        is_tiny = (before == 0) | (now == 0) | (total < _LEAST_NORMAL)
        relative = apart / np.where(total == 0, 1, total)
        near = (is_tiny & (apart < _TOLERANCE * _LEAST_NORMAL)) | (~is_tiny & (relative < _TOLERANCE))
        falls = (now < before) & ~near
        forced |= bool(falls.any())
        made[row] = np.where(near | falls, before, now)
        before = made[row].copy()
    return made, forced


def _classic_quantile(bounds: Floats, counts: Floats, q: Floats) -> Floats:
    steps = np.arange(len(counts.T))
    if not np.isposinf(bounds[-1]) or len(bounds) < 2:  # noqa: PLR2004 - the one above all, and another
        found = np.full(len(steps), np.nan)
    else:
        total = counts[-1]
        rank = q * total
        reached = counts[:-1] >= rank
        bucket = np.where(reached.any(axis=0), np.argmax(reached, axis=0), len(bounds) - 1)
        inner = np.minimum(bucket, len(bounds) - 2)
        before = np.maximum(inner - 1, 0)
        start = np.where(inner > 0, bounds[before], 0.0)
        below = np.where(inner > 0, counts[before, steps], 0.0)
        found: Floats = start + (bounds[inner] - start) * ((rank - below) / (counts[inner, steps] - below))
        found = np.where((inner == 0) & (bounds[0] <= 0), bounds[0], found)
        found = np.where(bucket == len(bounds) - 1, bounds[-2], found)
        found = np.where(total == 0, np.nan, found)
    found = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, found))
    return np.where(np.isnan(q), np.nan, found)


def _classic_fraction(bounds: Floats, counts: Floats, lower: Floats, upper: Floats) -> Floats:
    if not np.isposinf(bounds[-1]):
        return np.full(len(counts.T), np.nan)
    total = counts[-1]
    below = _classic_rank(bounds, counts, lower)
    above = _classic_rank(bounds, counts, upper)
    found = np.where(lower >= upper, 0.0, (above - below) / total)
    return np.where((total == 0) | np.isnan(lower) | np.isnan(upper), np.nan, found)


def _classic_rank(bounds: Floats, counts: Floats, value: Floats) -> Floats:
    """The number of observations below a value, one per step."""
    steps = np.arange(len(counts.T))
    lowers = np.concatenate([[0.0 if bounds[0] > 0 else -np.inf], bounds[:-1]])
    before = np.vstack([np.zeros(len(counts.T)), counts[:-1]])
    at_start = lowers[:, None] >= value[None, :]
    within = (lowers[:, None] < value[None, :]) & (bounds[:, None] > value[None, :])
    hit = at_start | within
    row = np.argmax(hit, axis=0)
    start, end = before[row, steps], counts[row, steps]
    inside = start + (end - start) * (value - lowers[row]) / (bounds[row] - lowers[row])
    inside = np.where(np.isneginf(lowers[row]), end, inside)
    found = np.where(at_start[row, steps], start, inside)
    return np.where(hit.any(axis=0), np.minimum(found, counts[-1]), counts[-1])
