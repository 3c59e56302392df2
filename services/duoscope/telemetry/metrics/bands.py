"""Histograms of different steps on common bands of values, for heatmaps. Pure functions: no store, no time.

Bands follow each other from the least to the greatest value that was observed; there are `BANDS_MAX` at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from duoscope.telemetry.metrics.quantiles import finite
from duoscope.telemetry.promql.values import Floats, Ints

BANDS_MAX: Final = 128

Row = Mapping[str, Any]
"""A step, a shape of buckets, and what was counted in them: see `distributions.added_up`."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Observations by step and band.

    Attributes:
        lower: of each band its lower bound, in the metric's unit; -inf for none.
        upper: of each band its upper bound; inf for none.
        counts: observations, steps by bands.
    """

    lower: Floats = field(repr=False)
    upper: Floats = field(repr=False)
    counts: Floats = field(repr=False)

    def trimmed(self) -> "Bands":
        """The same without the lowest and the highest bands in which there is nothing."""
        filled = np.flatnonzero(self.counts.any(axis=0))
        some = slice(filled[0], filled[-1] + 1) if len(filled) else slice(0, 0)
        return Bands(self.lower[some], self.upper[some], self.counts[:, some])


def explicit(rows: Sequence[Row], numbers: Sequence[int], steps: int) -> Bands:
    """Histograms with explicit bounds, on all of their bounds, or on as many as may be.

    Where bounds differ, the observations of a bucket count as spread evenly in it, as for percentiles; those of a
    bucket without an end are in the band that begins where the bucket does. Histograms without bounds are left out:
    their observations may be anywhere.

    Args:
        rows: of which each has `bucket_bounds` and `added_buckets`.
        numbers: the step of each row, from 0.
        steps: how many there are.
    """
    shapes: dict[tuple[float, ...], list[tuple[int, list[float]]]] = {}
    for row, number in zip(rows, numbers, strict=True):
        bounds, counts = finite(row["bucket_bounds"], row["added_buckets"])
        if bounds:
            shapes.setdefault(tuple(bounds), []).append((number, counts))
    edges = _edges(shapes)
    lower, upper = np.append(-np.inf, edges), np.append(edges, np.inf)
    found = np.zeros((steps, len(lower)))
    for bounds, given in shapes.items():
        counts = np.maximum(np.array([each for _, each in given], np.float64), 0)
        np.add.at(found, [number for number, _ in given], counts @ _shares(np.array(bounds), lower, upper))
    return Bands(lower, upper, found).trimmed()


def _edges(shapes: Mapping[tuple[float, ...], Sequence[tuple[int, list[float]]]]) -> Floats:
    """The bounds of all shapes that are beside an observation or between two."""
    between: list[Floats] = [np.zeros(0)]
    ends: list[float] = []
    for bounds, given in shapes.items():
        filled = np.flatnonzero(np.any(np.array([each for _, each in given]) > 0, axis=0))
        if len(filled):
            between.append(np.array(bounds))
            ends += [bounds[max(int(filled[0]) - 1, 0)], bounds[min(int(filled[-1]), len(bounds) - 1)]]
    edges = np.unique(np.concatenate(between))
    if ends:
        edges = edges[(edges >= min(ends)) & (edges <= max(ends))]
    if len(edges) < BANDS_MAX:
        return edges
    return edges[np.unique(np.linspace(0, len(edges) - 1, BANDS_MAX - 1).round().astype(np.int64))]


def _shares(bounds: Floats, lower: Floats, upper: Floats) -> Floats:
    """Which share of each bucket is in which band."""
    starts, ends = np.append(-np.inf, bounds), np.append(bounds, np.inf)
    # As for percentiles, the first bucket begins at 0 if its bound is positive.
    starts[0] = 0.0 if bounds[0] > 0 else -np.inf
    shares = np.zeros((len(starts), len(lower)))
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if np.isfinite(start) and np.isfinite(end) and end > start:
            shared = np.minimum(upper, end) - np.maximum(lower, start)
            shares[number] = np.maximum(shared, 0) / (end - start)
        elif np.isfinite(end):
            shares[number, np.searchsorted(upper, end)] = 1
        else:
            shares[number, np.searchsorted(lower, start, side="right") - 1] = 1
    return shares


def exponential(rows: Sequence[Row], numbers: Sequence[int], steps: int) -> Bands:
    """Exponential histograms at the highest scale that all of them have and at which the bands are few enough.

    Args:
        rows: of which each has `scale`, `added_positive`, `added_negative`, `added_zeros` and `zero_width`.
        numbers: the step of each row, from 0.
        steps: how many there are.
    """
    scale = min((int(row["scale"]) for row in rows), default=0)
    sides = [_side(rows, numbers, side, scale) for side in ("negative", "positive")]
    zeros = np.zeros((steps, 1))
    np.add.at(zeros[:, 0], np.array(numbers, np.int64), [max(float(row["added_zeros"]), 0) for row in rows])
    width = max((float(row["zero_width"]) for row in rows), default=0.0)
    has_zeros = int(zeros.any())
    while sum(int(np.ptp(side.indexes)) + 1 for side in sides if len(side.indexes)) + has_zeros > BANDS_MAX:
        scale -= 1
        sides = [_Side(side.numbers, side.indexes >> 1, side.counts) for side in sides]
    negative, positive = (side.bands(scale, steps) for side in sides)
    parts = [
        Bands(-negative.upper[::-1], -negative.lower[::-1], negative.counts[:, ::-1]),
        Bands(np.array([-width if len(negative.lower) else 0.0]), np.array([width]), zeros).trimmed(),
        positive,
    ]
    return Bands(
        np.concatenate([part.lower for part in parts]),
        np.concatenate([part.upper for part in parts]),
        np.concatenate([part.counts for part in parts], axis=1),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """Buckets of one sign: the step, the index and the observations of each."""

    numbers: Ints
    indexes: Ints
    counts: Floats

    def bands(self, scale: int, steps: int) -> Bands:
        if not len(self.indexes):
            return Bands(np.zeros(0), np.zeros(0), np.zeros((steps, 0)))
        first, last = int(self.indexes.min()), int(self.indexes.max())
        counts = np.zeros((steps, last - first + 1))
        np.add.at(counts, (self.numbers, self.indexes - first), self.counts)
        with np.errstate(over="ignore", under="ignore"):
            edges = np.exp2(np.arange(first, last + 2) / 2.0**scale)
        return Bands(edges[:-1], edges[1:], counts)


def _side(rows: Sequence[Row], numbers: Sequence[int], side: str, scale: int) -> _Side:
    indexes: list[Ints] = [np.zeros(0, np.int64)]
    counts: list[Floats] = [np.zeros(0)]
    for row in rows:
        keys, values = row[f"added_{side}"]
        indexes.append(np.array(keys, np.int64) >> (int(row["scale"]) - scale))
        counts.append(np.array(values, np.float64))
    of_rows = np.repeat(np.array(numbers, np.int64), [len(each) for each in counts[1:]])
    found = np.concatenate(counts)
    some = found > 0
    return _Side(of_rows[some], np.concatenate(indexes)[some], found[some])
