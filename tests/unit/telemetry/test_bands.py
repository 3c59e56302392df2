"""Histograms on common bands of values."""

import math
import random

import numpy as np
import pytest

from duoscope.telemetry.metrics import bands


def explicit(*histograms):
    """Cells of histograms (step, bounds, counts), by step and bounds of the band."""
    rows = [{"bucket_bounds": bounds, "added_buckets": counts} for _, bounds, counts in histograms]
    return cells(bands.explicit(rows, [step for step, _, _ in histograms], 3))


def exponential(*histograms):
    """Cells of histograms (step, scale, positive, negative, zeros), whose buckets are counts by index."""
    rows = [
        {"scale": scale, "added_positive": listed(up), "added_negative": listed(down), "added_zeros": zeros}
        | {"zero_width": 0.5}
        for _, scale, up, down, zeros in histograms
    ]
    return cells(bands.exponential(rows, [step for step, *_ in histograms], 3))


def listed(buckets):
    return list(buckets), list(buckets.values())


def cells(found):
    return {
        (int(step), found.lower[band], found.upper[band]): found.counts[step, band]
        for step, band in zip(*np.nonzero(found.counts), strict=True)
    }


@pytest.mark.parametrize(
    ("histograms", "expected"),
    [
        ([], {}),
        ([(0, [1, 2], [0, 0, 0])], {}),
        ([(0, [], [7])], {}),
        ([(0, [1, 2, 4], [0, 3, 0, 0]), (2, [1, 2, 4], [0, 0, 5, 0])], {(0, 1, 2): 3, (2, 2, 4): 5}),
        # Beyond the bounds.
        ([(0, [1, 2], [4, 0, 6])], {(0, -math.inf, 1): 4, (0, 2, math.inf): 6}),
        ([(0, [-math.inf, 1, math.inf], [0, 3, 2, 0])], {(0, -math.inf, 1): 3, (0, 1, math.inf): 2}),
        # Of other bounds: spread evenly, the first bucket from 0, the last one where it begins.
        ([(0, [10, 20], [10, 10, 0]), (0, [5, 20], [4, 15, 0])],
         {(0, -math.inf, 5): 9, (0, 5, 10): 10, (0, 10, 20): 20}),
        ([(0, [1, 2], [0, 0, 6]), (1, [1, 2, 4], [0, 0, 2, 1])],
         {(0, 2, 4): 6, (1, 2, 4): 2, (1, 4, math.inf): 1}),
    ],
)  # fmt: skip
def test_explicit(histograms, expected):
    assert explicit(*histograms) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("histograms", "expected"),
    [
        ([], {}),
        ([(1, 0, {2: 3}, {}, 0)], {(1, 4, 8): 3}),
        # The lowest scale is that of all; a subtracted count of an empty bucket is none.
        ([(0, 1, {4: 3, 5: 1, 9: -1}, {}, 0), (1, 0, {0: 1}, {}, 0)], {(0, 4, 8): 4, (1, 1, 2): 1}),
        ([(0, 0, {1: 1}, {0: 2, 1: 3}, 4)], {(0, -4, -2): 3, (0, -2, -1): 2, (0, -0.5, 0.5): 4, (0, 2, 4): 1}),
        ([(0, 0, {1: 1}, {}, 4)], {(0, 0, 0.5): 4, (0, 2, 4): 1}),
        ([(0, -10, {0: 1}, {}, 0)], {(0, 1, math.inf): 1}),
    ],
)  # fmt: skip
def test_exponential(histograms, expected):
    assert exponential(*histograms) == expected


def test_bands_are_few_and_hold_everything():
    rng = random.Random(5)
    bounds = sorted(rng.uniform(0, 100) for _ in range(5000))
    counts = [rng.randrange(3) for _ in range(5001)]
    found = bands.explicit([{"bucket_bounds": bounds, "added_buckets": counts}], [0], 1)
    assert found.counts.shape[1] == bands.BANDS_MAX
    assert found.counts.sum() == pytest.approx(sum(counts))
    wide = {rng.randrange(-20_000, 20_000): 2 for _ in range(3000)}
    row = {
        "scale": 5,
        "added_positive": listed(wide),
        "added_negative": listed(wide),
        "added_zeros": 1,
        "zero_width": 0,
    }
    found = bands.exponential([row], [0], 1)
    assert bands.BANDS_MAX / 2 < found.counts.shape[1] <= bands.BANDS_MAX
    assert found.counts.sum() == 4 * len(wide) + 1
    assert list(found.lower) == sorted(found.lower)
