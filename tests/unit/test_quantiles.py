"""Quantiles of merged buckets."""

import math
import random

import pytest

from duoscope.telemetry.metrics import quantiles
from duoscope.telemetry.metrics.quantiles import ExponentialBuckets


def explicit(histograms, q, least=None, greatest=None):
    return quantiles.explicit([(*histogram, least, greatest) for histogram in histograms], q)


def test_explicit_interpolates_within_a_bucket():
    histogram = ([1, 2, 4], [0, 10, 10, 0])
    assert explicit([histogram], 0.25) == pytest.approx(1.5)
    assert explicit([histogram], 0.5) == pytest.approx(2)
    assert explicit([histogram], 0.75) == pytest.approx(3)
    assert explicit([histogram], 0) == pytest.approx(1)
    assert explicit([histogram], 1) == pytest.approx(4)


def test_explicit_edges():
    assert explicit([], 0.5) is None
    assert explicit([([1, 2], [0, 0, 0])], 0.5) is None
    assert explicit([([], [7])], 0.5) is None
    assert explicit([([10], [4, 0])], 0.5) == pytest.approx(5)  # the first bucket begins at zero
    assert explicit([([-5, 5], [2, 0, 0])], 0.5) == pytest.approx(-5)  # or has no beginning at all
    assert explicit([([10], [1, 3])], 0.9) == 10  # above the last bound nothing more is known


def test_explicit_merges_other_bounds():
    one, other = ([10, 20], [10, 10, 0]), ([5, 20], [5, 15, 0])
    assert explicit([one, one], 0.5) == explicit([one], 0.5)
    # Evenly spread over 0 to 20 both times, only cut elsewhere.
    assert explicit([one, other], 0.3) == pytest.approx(6)
    assert explicit([one, other], 0.9) == pytest.approx(18)


def _exponential(values, scale):
    positive, negative, zeros = {}, {}, 0
    for value in values:
        if value == 0:
            zeros += 1
            continue
        index = math.ceil(math.log2(abs(value)) * 2**scale) - 1
        side = positive if value > 0 else negative
        side[index] = side.get(index, 0) + 1
    return positive.items(), negative.items(), zeros


@pytest.mark.parametrize("scale", [0, 3, 8])
def test_exponential_is_right_to_a_bucket(scale):
    rng = random.Random(7)
    values = sorted([rng.lognormvariate(0, 2) * rng.choice((1, 1, -1)) for _ in range(2000)] + [0.0] * 100)
    buckets = ExponentialBuckets()
    for part, part_scale in ((values[::2], scale), (values[1::2], scale + 1)):
        positive, negative, zeros = _exponential(part, part_scale)
        buckets.add(part_scale, positive, negative, zeros, 0.0)
    assert buckets.scale == scale
    width = 2 ** (2**-scale)
    for q in (0.01, 0.1, 0.25, 0.5, 0.75, 0.95, 0.99):
        exact, found = values[math.ceil(q * len(values)) - 1], buckets.quantile(q)
        assert found is not None
        if exact == 0:
            assert found == 0
        else:
            assert 1 / width - 1e-9 <= found / exact <= width + 1e-9


def test_exponential_edges():
    buckets = ExponentialBuckets()
    assert buckets.quantile(0.5) is None
    buckets.add(0, [(0, 0.0)], [], 0, 0)
    assert buckets.quantile(0.5) is None
    buckets.add(0, [(1, 1.0)], [], 0, 0)
    assert buckets.quantile(1) == pytest.approx(4)
    buckets.add(-10, [(0, 1.0)], [], 0, 0)  # 2^0 to 2^1024, which no float reaches
    assert buckets.quantile(1) == math.inf
    wide = ExponentialBuckets()
    wide.add(0, [(1, 1.0)], [], 3, 0.5)
    assert wide.quantile(0.375) == pytest.approx(0.25)


def test_explicit_stays_within_what_was_observed():
    histogram = ([1, 10, 100], [0, 8, 2, 0])
    assert explicit([histogram], 0.99, 2, 50) == pytest.approx(10 + 40 * (9.9 - 8) / 2)
    assert explicit([histogram], 1, 2, 50) == pytest.approx(50)
    assert explicit([histogram], 0, 2, 50) == 2
    assert explicit([([1, 10], [0, 0, 4])], 0.5, 20, 40) == pytest.approx(30)  # above the last bound, but known
    assert explicit([([], [4])], 0.25, 20, 40) == pytest.approx(25)
    assert explicit([([10, 20], [4, 0, 0])], 0.5, -10, 0) == pytest.approx(-5)
    assert explicit([([10], [4, 0])], 0.5, 7, 7) == 7
    # Each has its own extremes.
    merged = quantiles.explicit([([10, 20], [10, 0, 0], 0, 5), ([10, 20], [0, 10, 0], 10, 12)], 1)
    assert merged == pytest.approx(12)
    # What cannot be is not believed: 15 of the observations are above 10.
    assert explicit([([10, 20], [1, 15, 0])], 1, 0, 0) == 20
    assert explicit([([10, 20], [1, 15, 0])], 1, 30, 40) == 20


def test_explicit_takes_infinite_bounds_for_none():
    assert explicit([([1, 2, math.inf], [0, 10, 10, 0])], 0.25) == pytest.approx(1.5)
    assert explicit([([1, 2, math.inf], [0, 10, 10, 0])], 0.75) == 2
    assert explicit([([-math.inf, 1, 2], [0, 10, 10, 0])], 0.75) == pytest.approx(1.5)
    assert explicit([([math.inf], [5, 0])], 0.5) is None
    assert explicit([([-math.inf, math.inf], [0, 5, 0])], 0.5, 1, 3) == 2


def test_exponential_stays_within_what_was_observed():
    def buckets(*known):
        made = ExponentialBuckets()
        for each in known:
            made.add(0, [(5, 10.0)], [], 0, 0, known=each)  # from 32 to 64
        return made

    assert buckets((40, 50)).quantile(0.99) == 50
    assert buckets((40, 50)).quantile(0.01) == 40
    assert buckets((40, 50), (33, 60)).quantile(1) == 60
    assert buckets((40, 50), (33, None)).quantile(1) == 64
    assert buckets((0, 0)).quantile(1) == 64
    negative = ExponentialBuckets()
    negative.add(0, [], [(5, 10.0)], 0, 0, known=(-50, -40))
    assert negative.quantile(0.01) == -50
    assert negative.quantile(0.99) == -40


@pytest.mark.parametrize("seed", range(20))
def test_quantiles_are_between_the_extremes_of_all_that_was_merged(seed):
    rng = random.Random(seed)
    exponential, explicits, everything = ExponentialBuckets(), [], []
    for _ in range(rng.randrange(1, 5)):
        values = [rng.lognormvariate(0, 2) * rng.choice((1, -1, 0)) for _ in range(rng.randrange(1, 40))]
        everything += values
        scale = rng.randrange(-2, 6)
        positive, negative, zeros = _exponential(values, scale)
        exponential.add(scale, positive, negative, zeros, 0.0, known=(min(values), max(values)))
        bounds = sorted({rng.uniform(-5, 5) for _ in range(rng.randrange(6))})
        counts = [0] * (len(bounds) + 1)
        for value in values:
            counts[sum(value > bound for bound in bounds)] += 1
        explicits.append((bounds, counts, min(values), max(values)))
    found = [(exponential.quantile(q / 20), quantiles.explicit(explicits, q / 20)) for q in range(21)]
    for column in zip(*found, strict=True):
        assert all(min(everything) <= value <= max(everything) for value in column)
        assert list(column) == pytest.approx(sorted(column))
