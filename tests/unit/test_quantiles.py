"""Quantiles of merged buckets."""

import math
import random

import pytest

from duoscope.telemetry.metrics.quantiles import ExponentialBuckets, explicit


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
