"""Rollups against plain Python: what the same points counted, in both temporalities, over resets, hours and days.

The oracle observes every value by itself; senders export what they have counted since the last export (delta) or since
they began (cumulative), in batches that come in any order. Each query is asked twice, so that it must read a rollup and
then the points.
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
)

from duoscope.kernel.clock import now_unix_nano
from duoscope.stores.clickhouse import SchemaAccount
from duoscope.telemetry.metrics import query as metrics
from duoscope.telemetry.metrics.frames import Frame
from duoscope.telemetry.times import TimeRange

S = 10**9
HOUR, DAY = 3600, 86_400
_DAY_S = (now_unix_nano() // (DAY * S) - 3) * DAY
DELTA, CUMULATIVE = 1, 2
BOUNDS = (1.0, 2.0, 4.0, 8.0)
EVERY_S = 600
HOURS = 30
LAST = HOURS * HOUR - EVERY_S
SERVICES = ("checkout", "cart")


class Life:
    """A process from its start to its end: values that it observed, by when they were exported."""

    def __init__(self, rng, service, pod, start, end):
        self.service, self.pod, self.start, self.end = service, pod, start, end
        times = range(start + EVERY_S, end + 1, EVERY_S)
        self.observed = {at: [rng.choice((0.5, 1.5, 3, 6, 20)) for _ in range(rng.randrange(4))] for at in times}

    def exports(self, temporality):
        """(start, time, values) of each export."""
        before, values = self.start, []
        for at, new in self.observed.items():
            values = new if temporality == DELTA else values + new
            yield (before if temporality == DELTA else self.start), at, values
            before = at


@pytest.fixture(scope="module")
def lives():
    rng = random.Random(7)
    made = []
    for service, pod in itertools.product(SERVICES, ("a", "b")):
        start = 0
        while start < LAST:
            end = min(LAST, start + rng.randrange(1, 40) * EVERY_S)
            made.append(Life(rng, service, pod, start, end))
            start = end
    return made


def in_ns(second):
    return (_DAY_S + second) * S


def _number(start, at, values):
    return NumberDataPoint(start_time_unix_nano=in_ns(start), time_unix_nano=in_ns(at), as_double=sum(values))


def _bucket_counts(values):
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[sum(value > bound for bound in BOUNDS)] += 1
    return counts


def _distribution(values):
    extremes = {"min": min(values), "max": max(values)} if values else {}
    return {"count": len(values), "sum": sum(values), **extremes}


def _histogram(start, at, values):
    return HistogramDataPoint(
        start_time_unix_nano=in_ns(start),
        time_unix_nano=in_ns(at),
        explicit_bounds=BOUNDS,
        bucket_counts=_bucket_counts(values),
        **_distribution(values),
    )


def _exponential(start, at, values):
    # Scales differ between the exports of a series; they only become coarser within a life, as the data model wants it.
    scale = 3 if at - start < HOUR else 1
    point = ExponentialHistogramDataPoint(
        start_time_unix_nano=in_ns(start), time_unix_nano=in_ns(at), scale=scale, **_distribution(values)
    )
    indexes = [math.ceil(math.log2(value) * 2**scale) - 1 for value in values]
    if indexes:
        point.positive.offset = min(indexes)
        counts = [indexes.count(index) for index in range(min(indexes), max(indexes) + 1)]
        point.positive.bucket_counts.extend(counts)
    return point


def _metric(kind, temporality, points):
    match kind:
        case "counter":
            return {"sum": Sum(aggregation_temporality=temporality, is_monotonic=True, data_points=points)}
        case "histogram":
            return {"histogram": Histogram(aggregation_temporality=temporality, data_points=points)}
        case _:
            data = ExponentialHistogram(aggregation_temporality=temporality, data_points=points)
            return {"exponential_histogram": data}


MAKERS = {"counter": _number, "histogram": _histogram, "exponential_histogram": _exponential}


KINDS = list(itertools.product(MAKERS, (DELTA, CUMULATIVE)))


@pytest.fixture
async def reader(telemetry_store, deliver, otlp, new_scope, lives):
    """Every kind in both temporalities, in eight batches that come out of order."""
    scope = new_scope()
    batches = [[] for _ in range(8)]
    for life, (kind, temporality) in itertools.product(lives, KINDS):
        for number, export in enumerate(life.exports(temporality)):
            metric = Metric(name=f"{kind}.{temporality}", **_metric(kind, temporality, [MAKERS[kind](*export)]))
            batches[number % len(batches)].append((life, metric))
    for batch in (*batches[4:], *batches[:4]):
        for (service, pod), of_life in itertools.groupby(
            sorted(batch, key=lambda item: (item[0].service, item[0].pod)),
            key=lambda item: (item[0].service, item[0].pod),
        ):
            await deliver(scope, otlp.metrics(service, *(metric for _, metric in of_life), pod=pod))
    return telemetry_store.bind(scope)


def expected(lives, step, group_by):
    """Values observed, by service (or all together) and by the step in which they were exported."""
    found = {}
    for life in lives:
        for at, values in life.observed.items():
            key = (life.service if group_by else "", at // step * step)
            found.setdefault(key, []).extend(values)
    return found


async def both(reader, monkeypatch, metric, aggregation, *, step=HOUR, by_service=True):
    """The answer of the rollup, after seeing that the points answer the same."""
    names = []
    query = reader.query

    async def observed(sql, parameters, *, name):
        names.append(name)
        return await query(sql, parameters, name=name)

    times = TimeRange(in_ns(0), in_ns(-(-HOURS * HOUR // step) * step))
    answers = []
    for hourly in (True, False):
        with monkeypatch.context() as patched:
            patched.setattr(reader, "query", observed)
            if not hourly:
                patched.setattr(Frame, "of_hours_and_services", property(lambda _: False))
            result = await metrics.query(
                reader, times, metric, aggregation=aggregation, step=step, group_by=["service"] if by_service else []
            )
        answers.append(
            {
                (series.labels.get("service", ""), point[0]): point[1]
                for series in result.series
                for point in series.points
            }
        )
    rolled_up, raw = [name for name in names if name != "metrics.shape"]
    assert rolled_up.endswith(("_hourly", "_daily"))
    assert not raw.endswith(("_hourly", "_daily"))
    assert answers[0].keys() == answers[1].keys()
    assert answers[0] == {key: pytest.approx(value) for key, value in answers[1].items()}
    return answers[0]


@pytest.mark.parametrize("step", [HOUR, 2 * HOUR, DAY])
@pytest.mark.parametrize("group_by", [True, False])
async def test_what_was_counted(reader, monkeypatch, lives, step, group_by):
    wanted = {
        (service, metrics.second(_DAY_S + at)): values
        for (service, at), values in expected(lives, step, group_by).items()
    }
    for kind, temporality in KINDS:
        name = f"{kind}.{temporality}"
        counted = sum if kind == "counter" else len
        found = await both(reader, monkeypatch, name, "increase", step=step, by_service=group_by)
        assert found == {key: pytest.approx(counted(values)) for key, values in wanted.items()}, name
        rates = await both(reader, monkeypatch, name, "rate", step=step, by_service=group_by)
        assert rates == {key: pytest.approx(counted(values) / step) for key, values in wanted.items()}, name
        sums = await both(reader, monkeypatch, name, "sum", step=step, by_service=group_by)
        assert sums == {key: pytest.approx(sum(values)) for key, values in wanted.items()}, name


@pytest.mark.parametrize("kind", ["histogram", "exponential_histogram"])
@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
async def test_distributions(reader, monkeypatch, lives, kind, temporality):
    wanted = expected(lives, HOUR, True)
    name = f"{kind}.{temporality}"
    averages = await both(reader, monkeypatch, name, "avg")
    medians = await both(reader, monkeypatch, name, "p50")
    greatest = await both(reader, monkeypatch, name, "max")
    for (service, at), values in wanted.items():
        key = (service, metrics.second(_DAY_S + at))
        if not values:
            assert key not in medians
            continue
        assert averages[key] == pytest.approx(sum(values) / len(values))
        if temporality == DELTA:
            assert greatest[key] == max(values)
        rank = sorted(values)[math.ceil(len(values) / 2) - 1]
        if kind == "histogram":
            upper = next((bound for bound in BOUNDS if rank <= bound), BOUNDS[-1])
            lower = max((bound for bound in (0.0, *BOUNDS) if bound < rank), default=0.0)
        else:
            # The coarsest scale that may have been met is 1: a bucket ends at 1.41 times its beginning.
            lower, upper = rank / math.sqrt(2), rank * math.sqrt(2)
        assert lower - 1e-9 <= medians[key] <= upper + 1e-9


async def test_counters_answer_alike_in_both_temporalities(reader):
    times = TimeRange(in_ns(0), in_ns(HOURS * HOUR))
    for aggregation in ("sum", "avg", "min", "max", "count", "p90"):
        delta, cumulative = [
            await metrics.query(reader, times, f"counter.{t}", aggregation=aggregation, step="1h", group_by=["pod"])
            for t in (DELTA, CUMULATIVE)
        ]
        assert [(s.labels, [(at, pytest.approx(value)) for at, value in s.points]) for s in delta.series] == [
            (s.labels, s.points) for s in cumulative.series
        ], aggregation


async def test_gauges_and_up_down_counters(telemetry_store, deliver, otlp, new_scope, monkeypatch):
    scope = new_scope()
    rng = random.Random(3)
    given = {(service, at): rng.uniform(-5, 5) for service in SERVICES for at in range(0, HOURS * HOUR, 900)}
    for service in SERVICES:
        points = [
            NumberDataPoint(time_unix_nano=in_ns(at), start_time_unix_nano=in_ns(0), as_double=value)
            for (of, at), value in given.items()
            if of == service
        ]
        await deliver(
            scope,
            otlp.metrics(
                service,
                Metric(name="gauge", gauge=Gauge(data_points=points)),
                Metric(name="open", sum=Sum(aggregation_temporality=CUMULATIVE, data_points=points)),
            ),
        )
    reader = telemetry_store.bind(scope)
    aggregates = {"avg": lambda v: sum(v) / len(v), "sum": sum, "min": min, "max": max, "count": len}
    for metric, step, (aggregation, aggregate) in itertools.product(("gauge", "open"), (HOUR, DAY), aggregates.items()):
        found = await both(reader, monkeypatch, metric, aggregation, step=step)
        wanted = {}
        for (service, at), value in given.items():
            wanted.setdefault((service, metrics.second(_DAY_S + at // step * step)), []).append(value)
        assert found == {key: pytest.approx(aggregate(values)) for key, values in wanted.items()}
    last = await both(reader, monkeypatch, "open", "last")
    assert last[("cart", metrics.second(_DAY_S + HOUR))] == given[("cart", HOUR + 2700)]


async def test_a_sender_that_mixes_temporalities_under_one_name(telemetry_store, deliver, otlp, new_scope, monkeypatch):
    scope = new_scope()
    for service, temporality, values in (("checkout", DELTA, (3, 4)), ("cart", CUMULATIVE, (3, 7))):
        points = [
            NumberDataPoint(start_time_unix_nano=in_ns(0), time_unix_nano=in_ns(at), as_double=value)
            for at, value in zip((60, 120), values, strict=True)
        ]
        data = Sum(aggregation_temporality=temporality, is_monotonic=True, data_points=points)
        await deliver(scope, otlp.metrics(service, Metric(name="n", sum=data)))
    reader = telemetry_store.bind(scope)
    for group_by, wanted in ((True, {"checkout": 7, "cart": 7}), (False, {"": 14})):
        found = await both(reader, monkeypatch, "n", "sum", by_service=group_by)
        assert {service: value for (service, _), value in found.items()} == wanted


async def test_merges_change_no_answer(reader, telemetry_store, monkeypatch):
    asked = [(f"{kind}.{temporality}", what) for kind, temporality in KINDS for what in ("increase", "sum", "p90")]
    asked = [(name, what) for name, what in asked if not (name.startswith("counter") and what == "p90")]
    before = [await both(reader, monkeypatch, *each) for each in asked]
    account = SchemaAccount.open(telemetry_store._settings)
    for kind in ("counter", "histogram", "exponential_histogram"):
        account.execute(f"OPTIMIZE TABLE metric_{kind}_totals FINAL")
        if kind != "counter":
            account.execute(f"OPTIMIZE TABLE metric_{kind}_sums FINAL")
    account.close()
    for each, wanted in zip(asked, before, strict=True):
        assert await both(reader, monkeypatch, *each) == {key: pytest.approx(value) for key, value in wanted.items()}
    (kept,) = await reader.query(
        "SELECT count() AS n FROM @counters_hourly WHERE temporality = 'cumulative'", name="test"
    )
    (points,) = await reader.query("SELECT count() AS n FROM @metrics WHERE metric_name = 'counter.2'", name="test")
    assert kept["n"] < points["n"] / 3


async def test_a_start_that_nobody_knows_counts_nothing(telemetry_store, deliver, otlp, new_scope, monkeypatch):
    """As the collector's Prometheus receiver sends it: the first scrape says that the counter began at that moment."""
    scope = new_scope()
    given = [
        (60, 60, 1000),
        (60, 120, 1010),
        (60, HOUR + 5, 1030),
        (HOUR + 60, HOUR + 60, 400),
        (HOUR + 60, HOUR + 70, 407),
    ]
    points = [_number(start, at, [value]) for start, at, value in given]
    data = Sum(aggregation_temporality=CUMULATIVE, is_monotonic=True, data_points=points)
    await deliver(scope, otlp.metrics("scraped", Metric(name="n", sum=data)))
    reader = telemetry_store.bind(scope)
    found = await both(reader, monkeypatch, "n", "increase")
    assert list(found.values()) == [10, 27]
