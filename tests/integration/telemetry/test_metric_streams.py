"""What a point adds to its stream: points without a value, several writers of one series, units, integers, extremes.

Figures of the small cases are counted by hand. In the large one several processes observe, restart and export under
one series, beside points without a value: what they observed must come out, whatever the type, temporality and step.
"""

import itertools
import math
import random

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.telemetry.metrics import exemplars, query
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.usage import cardinality

S = 10**9
HOUR = 3600
_START_S = (now_unix_nano() // (HOUR * S) - 6) * HOUR
DELTA, CUMULATIVE = 1, 2
LONG_AGO = -9000


def at(second):
    return int((_START_S + second) * S)


@pytest.fixture
def tenant(telemetry_store, deliver, otlp, new_scope):
    """Delivers metrics to a tenant of this test's own and queries them."""

    class Tenant:
        scope = new_scope()
        reader = telemetry_store.bind(scope)

        async def send(self, *sent, service="checkout"):
            await deliver(self.scope, otlp.metrics(service, *sent))

        async def ask(self, name, aggregation=None, *, end=HOUR, step="1m", **options):
            """Values by label values."""
            times = TimeRange(at(0), at(end))
            self.last = await query.query(self.reader, times, name, aggregation=aggregation, step=step, **options)
            return {tuple(s.labels.values()): [value for _, value in s.points] for s in self.last.series}

        async def total(self, name, aggregation, **options):
            answer = await self.ask(name, aggregation, **options)
            return sum(value for values in answer.values() for value in values if value is not None)

    return Tenant()


def times(second, start):
    return {"time_unix_nano": at(second), "start_time_unix_nano": at(start)}


def number(second, value, start=LONG_AGO, **more):
    kind = "as_int" if isinstance(value, int) else "as_double"
    return NumberDataPoint(**times(second, start), **{kind: value}, **more)


def counter(*points, temporality=CUMULATIVE, monotonic=True):
    return {"sum": Sum(aggregation_temporality=temporality, is_monotonic=monotonic, data_points=points)}


def gauge(*points):
    return {"gauge": Gauge(data_points=points)}


def histogram(second, counts, start=LONG_AGO, *, bounds=(1, 2), **more):
    more = {"sum": float(sum(counts))} | more
    return HistogramDataPoint(
        **times(second, start), count=sum(counts), bucket_counts=counts, explicit_bounds=bounds, **more
    )


def histograms(*points, temporality=CUMULATIVE):
    return {"histogram": Histogram(aggregation_temporality=temporality, data_points=points)}


def exponential(second, counts, start=LONG_AGO, *, offset=0, **more):
    total = {"sum": float(sum(counts))} | more
    point = ExponentialHistogramDataPoint(**times(second, start), count=sum(counts), **total)
    point.positive.offset = offset
    point.positive.bucket_counts.extend(counts)
    return point


def exponentials(*points, temporality=CUMULATIVE):
    return {"exponential_histogram": ExponentialHistogram(aggregation_temporality=temporality, data_points=points)}


def summary(second, count, start=LONG_AGO, *, median=7.0):
    point = SummaryDataPoint(**times(second, start), count=count, sum=float(count))
    point.quantile_values.add(quantile=0.5, value=median)
    return point


def summaries(*points):
    return {"summary": Summary(data_points=points)}


def without_value(point):
    """The same, which says of itself that it has no value."""
    point.flags = 1
    return point


GROWN = {
    "counter": counter(number(-60, 100), without_value(number(30, 0)), number(90, 110)),
    "histogram": histograms(
        histogram(-60, [100, 0, 0]), without_value(histogram(30, [0, 0, 0])), histogram(90, [110, 0, 0])
    ),
    "exponential": exponentials(exponential(-60, [100]), without_value(exponential(30, [])), exponential(90, [110])),
    "summary": summaries(summary(-60, 100), without_value(summary(30, 0, median=0.0)), summary(90, 110)),
}


@pytest.mark.parametrize("kind", GROWN)
async def test_a_point_without_a_value_is_no_reset(tenant, kind):
    await tenant.send(Metric(name="n", **GROWN[kind]))
    assert await tenant.ask("n", "increase") == {(): [10]}
    if kind != "counter":
        assert await tenant.ask("n", "count") == {(): [10]}
        assert await tenant.ask("n", "avg") == {(): [1]}
        assert list(await tenant.ask("n", "p50")) == [()]
    assert await tenant.total("n", "increase", step="1h") == 10
    assert await tenant.total("n", "last", step="1h") == 110 if kind == "counter" else True


async def test_points_without_a_value_or_a_number_are_in_no_figure_of_a_gauge(tenant):
    a, b = ([{"key": "who", "value": {"string_value": who}}] for who in "ab")
    given = [number(0, 10, attributes=a), number(60, 20, attributes=a), number(65, math.nan, attributes=b)]
    nothing = [without_value(number(30, 0, attributes=a)), without_value(number(90, 5.0, attributes=b))]
    infinite = [number(70, math.inf, attributes=b), number(130, -math.inf, attributes=b)]
    await tenant.send(Metric(name="n", **gauge(*given, *nothing, *infinite)))
    for aggregation in ("avg", "min", "max", "sum", "last", "p50"):
        assert await tenant.ask("n", aggregation) == {(): [10, 20]}, aggregation
        assert await tenant.ask("n", aggregation, group_by=["who"]) == {("a",): [10, 20]}, aggregation
    assert await tenant.ask("n", "count") == {(): [1, 1]}
    for aggregation, value in (("avg", 15), ("min", 10), ("max", 20), ("sum", 30), ("count", 2), ("last", 20)):
        assert await tenant.ask("n", aggregation, step="1h") == {(): [value]}, aggregation


async def test_counters_leave_out_what_is_no_number(tenant):
    await tenant.send(Metric(name="n", **counter(number(-60, 5.0), number(0, math.nan), number(60, 7.0))))
    assert await tenant.total("n", "increase") == 2
    assert await tenant.total("n", "increase", step="1h") == 2
    delta = counter(number(0, math.inf, 0), number(60, 3.0, 0), without_value(number(90, 4.0)), temporality=DELTA)
    await tenant.send(Metric(name="d", **delta))
    assert await tenant.ask("d", "increase") == {(): [3]}
    assert await tenant.ask("d", "increase", step="1h") == {(): [3]}


async def test_an_exemplar_without_a_value_has_none_and_integers_stay_whole(tenant):
    point = number(5, 1)
    for value in ({}, {"as_double": 2.5}, {"as_int": 2**53 + 1}):
        point.exemplars.add(time_unix_nano=at(5), **value)
    await tenant.send(Metric(name="n", **gauge(point)))
    page = await exemplars.list_exemplars(tenant.reader, TimeRange(at(0), at(60)), "n")
    assert {each.value for each in page.items} == {None, 2.5, 2**53 + 1}


async def test_sums_that_were_left_out_are_in_no_average(tenant):
    a, b = ([{"key": "who", "value": {"string_value": who}}] for who in "ab")
    points = [
        histogram(30, [4, 0, 0], 0, sum=8.0, attributes=a),
        histogram(30, [0, 1, 0], 0, sum=math.nan, attributes=b),
    ]
    unsummed = histogram(90, [2, 0, 0], 60, attributes=a)
    unsummed.ClearField("sum")
    for temporality, name in ((DELTA, "delta"), (CUMULATIVE, "cumulative")):
        await tenant.send(Metric(name=name, **histograms(*points, unsummed, temporality=temporality)))
        assert await tenant.ask(name, "avg") == {(): [2]}
        assert await tenant.ask(name, "avg", step="1h") == {(): [2]}
        assert await tenant.ask(name, "sum", step="1h") == {(): [8]}
        assert await tenant.total(name, "count") == 7
        assert await tenant.total(name, "count", step="1h") == 7


async def test_a_quantile_of_a_summary_that_is_no_number_blanks_no_other(tenant):
    await tenant.send(Metric(name="n", **summaries(summary(30, 1, median=math.nan), summary(40, 2, median=3.0))))
    assert await tenant.ask("n", "p50") == {(): [3]}


async def test_writers_of_one_series_are_told_apart_by_their_starts(tenant):
    pairs = [(number(60 * i - 60, 1000 + i, -9000), number(60 * i - 40, 5 + i, -8990)) for i in range(10)]
    await tenant.send(Metric(name="n", **counter(*itertools.chain(*pairs))))
    assert await tenant.total("n", "increase") == 18
    assert (await tenant.ask("n", "last"))[()] == [1001 + 6 + 2 * i for i in range(9)]
    # One ends, and a new one begins: its first count is all its own.
    await tenant.send(Metric(name="n", **counter(number(600, 3, 550), number(660, 4, 550))))
    assert await tenant.total("n", "increase") == 22
    assert (await tenant.ask("n", "last"))[()][-2:] == [3, 4]
    assert await tenant.ask("n", "last", step="1h") == {(): [4]}


async def test_a_start_that_is_computed_anew_for_every_point_makes_no_writers(tenant):
    rng = random.Random(5)
    old = [number(60 * i - 60, 1_000_000 + 10 * i, -9000 + rng.random()) for i in range(20)]
    young = [number(60 * i + 60, 10.0 * i, 30 + rng.random()) for i in range(20)]
    await tenant.send(Metric(name="old", **counter(*old)), Metric(name="young", **counter(*young)))
    assert await tenant.total("old", "increase") == 190
    assert await tenant.total("young", "increase") == 190


async def test_units_of_one_name_are_not_put_together(tenant):
    await tenant.send(Metric(name="n", unit="ms", **gauge(number(10, 2000))), service="a")
    await tenant.send(Metric(name="n", unit="s", **gauge(number(20, 2))), service="b")
    for step in ("1m", "1h"):
        assert await tenant.ask("n", "avg", step=step) == {(): [2]}
        assert (tenant.last.unit, tenant.last.other_units) == ("s", ["ms"])
        assert await tenant.ask("n", "avg", step=step, unit="ms") == {(): [2000]}
        assert (tenant.last.unit, tenant.last.other_units) == ("ms", ["s"])
        # What the filter leaves decides, not what is elsewhere.
        assert await tenant.ask("n", "avg", step=step, query_text="service:a") == {(): [2000]}
        assert (tenant.last.unit, tenant.last.other_units) == ("ms", [])
    with pytest.raises(DuoscopeError, match="`unit` of this metric is one of 's', 'ms', not 'h'"):
        await tenant.ask("n", unit="h")


async def test_units_without_a_dimension_are_one(tenant):
    for unit, value in (("", 1), ("1", 2), ("{request}", 4), ("1{request}", 8)):
        await tenant.send(Metric(name="n", unit=unit, **gauge(number(10, value))), service=f"s{value}")
    assert await tenant.ask("n", "sum") == {(): [15]}
    assert tenant.last.other_units == []
    await tenant.send(Metric(name="n", unit="By", **gauge(number(5, 16))))
    assert await tenant.ask("n", "sum") == {(): [15]}
    assert tenant.last.other_units == ["By"]
    assert await tenant.ask("n", "sum", unit="By") == {(): [16]}


@pytest.mark.parametrize("make", [histograms, exponentials, summaries])
async def test_units_of_distributions(tenant, make):
    one = {histograms: histogram, exponentials: exponential, summaries: summary}[make]
    count = 3 if make is summaries else [3]
    more = {"bounds": ()} if make is histograms else {}
    await tenant.send(Metric(name="n", unit="ms", **make(one(10, count, 0, **more))))
    await tenant.send(Metric(name="n", unit="s", **make(one(20, count, 0, **more))))
    for step in ("1m", "1h"):
        assert await tenant.ask("n", "count", step=step) == {(): [3]}
        assert (tenant.last.unit, tenant.last.other_units) == ("s", ["ms"])


async def test_integers_beyond_2_to_the_53_are_exact(tenant):
    base = 2**53 + 1
    await tenant.send(Metric(name="n", **counter(*(number(60 * i - 60, base + i) for i in range(4)))))
    assert await tenant.ask("n", "increase") == {(): [1, 1, 1]}
    assert await tenant.total("n", "increase", step="1h") == 3
    assert await tenant.ask("n", "last") == {(): [base + 1, base + 2, base + 3]}
    tags = ([{"key": "who", "value": {"int_value": who}}] for who in range(3))
    large = [number(5, 2**61 + 3 * who + 1, attributes=tag) for who, tag in enumerate(tags)]
    await tenant.send(Metric(name="g", **gauge(*large)))
    for aggregation, exact in (
        ("min", 2**61 + 1),
        ("max", 2**61 + 7),
        ("sum", 3 * 2**61 + 12),
        ("last", 3 * 2**61 + 12),
    ):
        assert await tenant.ask("g", aggregation) == {(): [exact]}, aggregation
    # A count that has no 64 bits, or is not of integers alone, is a double.
    await tenant.send(Metric(name="g", **gauge(*(number(65 + i, 2**62) for i in range(5)), number(190, 2.0**60))))
    assert await tenant.ask("g", "sum") == {(): [3 * 2**61 + 12, 5.0 * 2**62, 2.0**60]}


async def test_integers_and_units_over_http(tenant, api):
    await tenant.send(Metric(name="n", unit="s", **gauge(number(5, 2**60 + 1))))
    await tenant.send(Metric(name="n", unit="ms", **gauge(number(6, 2**53 + 1))))
    headers = await api.headers(tenant.scope, "metric:read")
    body = {"metric": "n", "aggregation": "last", "start": at(0), "end": at(60), "step": "1m"}

    async def ask(**more):
        return await api.client.post("/api/v1/metrics/query", headers=headers, json=body | more)

    for unit, other, shown in (("s", "ms", 2**60 + 1), ("ms", "s", 2**53 + 1)):
        answer = await ask(unit=unit)
        assert f",{shown}]" in answer.text
        assert (answer.json()["unit"], answer.json()["other_units"]) == (unit, [other])
    for wrong in ({"unit": "h"}, {"unit": "s" * 2000}, {"aggregation": "p100.5"}):
        assert (await ask(**wrong)).status_code == 400


async def test_a_counter_that_falls_by_less_than_a_double_tells_began_anew(tenant):
    await tenant.send(Metric(name="n", **counter(number(-60, 2**60 + 1), number(30, 2**60))))
    assert await tenant.ask("n", "increase") == {(): [2.0**60]}


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
@pytest.mark.parametrize("step", ["1m", "1h"])
async def test_percentiles_stay_within_what_was_reported(tenant, temporality, step):
    explicit = [histogram(30, [0, 90, 10], 0, bounds=(10, 40), min=12.0, max=50.0)]
    wide = [exponential(30, [0, 100], 0, offset=4, min=33.0, max=50.0)]
    await tenant.send(Metric(name="e", **histograms(*explicit, temporality=temporality)))
    await tenant.send(Metric(name="x", **exponentials(*wide, temporality=temporality)))
    for asked, expected in (("p0", 12), ("p45", 26), ("p95", 45), ("p99.9", 49.9), ("p100", 50)):
        assert await tenant.ask("e", asked, step=step) == {(): [pytest.approx(expected)]}, asked
    for asked, expected in (("p0", 33), ("p50", 2**5.5), ("p99", 50), ("p100.0", 50)):
        assert await tenant.ask("x", asked, step=step) == {(): [pytest.approx(expected)]}, asked


async def test_percentiles_of_merged_series(tenant):
    a, b, c = ([{"key": "who", "value": {"string_value": who}}] for who in "abc")
    points = [
        histogram(30, [0, 10, 0], 0, bounds=(10, 100), max=50.0, attributes=a),
        histogram(30, [0, 10, 0], 0, bounds=(10, 100), max=60.0, attributes=b),
    ]
    unknown = histogram(90, [0, 10, 0], 60, bounds=(10, 100), attributes=c)
    known = histogram(95, [0, 10, 0], 60, bounds=(10, 100), max=50.0, attributes=a)
    await tenant.send(Metric(name="n", **histograms(*points, unknown, known, temporality=DELTA)))
    assert await tenant.ask("n", "p100") == {(): [pytest.approx(60), pytest.approx(100)]}


@pytest.mark.parametrize("step", ["1m", "1h"])
async def test_an_infinite_bound_is_none(tenant, step):
    point = histogram(30, [10, 10, 0, 0], 0, bounds=(1, 2, math.inf))
    low = histogram(30, [0, 10, 10], 0, bounds=(-math.inf, 4))
    await tenant.send(Metric(name="n", **histograms(point)), Metric(name="low", **histograms(low)))
    assert await tenant.ask("n", "p25", step=step) == {(): [0.5]}
    assert await tenant.ask("n", "p99.5", step=step) == {(): [pytest.approx(1.99)]}
    assert await tenant.ask("low", "p25", step=step) == {(): [2]}


async def test_cardinality_counts_no_series_that_only_ended(tenant):
    now = now_unix_nano()
    points = [NumberDataPoint(time_unix_nano=now - n * S, as_int=1) for n in range(3)]
    for n, point in enumerate(points):
        point.attributes.add(key="n").value.int_value = n
        point.flags = int(n == 2)
    await tenant.send(Metric(name="n", **gauge(*points)))
    found = await cardinality.cardinality(tenant.reader, IngestLimits(), metric=None, limit=5)
    assert found.active_series == 2


class Writer:
    """A process of a series: what it observed until each of its exports."""

    def __init__(self, rng, start, end):
        self.start = start
        moments = sorted({round(rng.uniform(start + 1, end), 3) for _ in range(rng.randrange(1, 12))})
        self.observed = {moment: [rng.choice((0.5, 1.5, 3.0)) for _ in range(rng.randrange(5))] for moment in moments}

    def exports(self, temporality):
        """(start, time, values) of each export."""
        before, values = self.start, []
        for moment, new in self.observed.items():
            values = new if temporality == DELTA else values + new
            yield (before if temporality == DELTA else self.start), moment, values
            before = moment


def _writers(rng):
    for _ in range(4):
        start = rng.uniform(1, 1000)
        while start < END - 600:
            end = min(END - 1, start + rng.uniform(300, 6000))
            yield Writer(rng, start, end)
            start = end + rng.uniform(0.1, 3000)


def _observed(writers, step):
    """Values by the step in which they were exported."""
    found = {}
    for moment, values in itertools.chain(*(writer.observed.items() for writer in writers)):
        found.setdefault(query.second(int(_START_S + moment) // step * step), []).extend(values)
    return found


def _counts(values):
    return [sum(value <= 1 for value in values), sum(1 < value <= 2 for value in values), sum(v > 2 for v in values)]


MAKERS = {
    "counter": (lambda start, moment, v: number(moment, float(sum(v)), start), counter),
    "histogram": (lambda start, moment, v: histogram(moment, _counts(v), start, sum=sum(v)), histograms),
    "exponential": (
        lambda start, moment, v: exponential(moment, _counts(v), start, offset=-1, sum=float(sum(v))),
        exponentials,
    ),
}
END = 4 * HOUR


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_writers_observe_comes_out(tenant, seed):
    """Processes share a series, start and end as they like; some points have no value; batches come in any order."""
    rng = random.Random(seed)
    writers = list(_writers(rng))
    for (kind, (point, wrap)), temporality in itertools.product(MAKERS.items(), (DELTA, CUMULATIVE)):
        points = [point(*export) for writer in writers for export in writer.exports(temporality)]
        moments = [rng.uniform(1, END) for _ in range(len(points) // 3)]
        points += [without_value(point(rng.choice(writers).start, moment, [0.5, 3.0])) for moment in moments]
        rng.shuffle(points)
        name = f"{kind}.{temporality}"
        for n in range(0, len(points), 40):
            await tenant.send(Metric(name=name, **wrap(*points[n : n + 40], temporality=temporality)))
        counted = sum if kind == "counter" else len
        for step, (aggregation, of_values) in itertools.product((600, HOUR), (("increase", counted), ("sum", sum))):
            wanted = _observed(writers, step)
            await tenant.ask(name, aggregation, end=END, step=step)
            found = {bucket: value for series in tenant.last.series for bucket, value in series.points if value}
            expected = {bucket: pytest.approx(of_values(v)) for bucket, v in wanted.items() if of_values(v)}
            assert found == expected, (name, step, aggregation)
