"""The list of metrics, and queries of every type over real points."""

import itertools

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
from duoscope.kernel.ids import new_id
from duoscope.telemetry.metrics import heatmap, query
from duoscope.telemetry.times import TimeRange

S = 10**9
_START_S = (now_unix_nano() // (3600 * S) - 3) * 3600
DELTA, CUMULATIVE = 1, 2


def at(second):
    return (_START_S + second) * S


def minutes(count):
    return TimeRange(at(0), at(60 * count))


@pytest.fixture
def tenant(telemetry_store, deliver, otlp, new_scope):
    """Delivers metrics to a tenant of this test's own and queries them."""

    class Tenant:
        scope = new_scope()
        reader = telemetry_store.bind(scope)

        async def send(self, *sent, service="checkout", **resource):
            await deliver(self.scope, otlp.metrics(service, *sent, **resource))

        async def ask(self, name, aggregation=None, *, times=None, step="1m", **options):
            """Values by label values."""
            result = await query.query(
                self.reader, times or minutes(3), name, aggregation=aggregation, step=step, **options
            )
            self.last = result
            return {tuple(s.labels.values()): [value for _, value in s.points] for s in result.series}

        async def bands(self, name, **options):
            """Observations by step and bounds."""
            found = await heatmap.heatmap(self.reader, minutes(3), name, step="1m", **options)
            self.last = found
            cells = zip(found.steps, found.bands, found.counts, strict=True)
            return {(step, found.lower[band], found.upper[band]): count for step, band, count in cells}

    return Tenant()


@pytest.fixture
def points(otlp):
    """Points of (second, value, attributes)."""

    def make(*given, start=None):
        return [
            NumberDataPoint(
                time_unix_nano=at(second),
                start_time_unix_nano=0 if start is None else at(start),
                as_double=value,
                attributes=otlp.attributes(attributes),
            )
            for second, value, attributes in given
        ]

    return make


async def test_gauges(tenant, points):
    a, b = {"queue": "a", "n": 1}, {"queue": "b"}
    given = [(0, 1, a), (30, 3, a), (40, 10, b), (60, 5, a), (179, 7, b)]
    await tenant.send(Metric(name="depth", unit="1", gauge=Gauge(data_points=points(*given))), region="eu")
    assert await tenant.ask("depth") == {(): [pytest.approx(14 / 3), 5, 7]}
    assert tenant.last.type == "gauge"
    assert tenant.last.aggregation == "avg"
    assert await tenant.ask("depth", "last") == {(): [13, 5, 7]}
    assert await tenant.ask("depth", "max", group_by=["queue"]) == {("a",): [3, 5], ("b",): [10, 7]}
    assert await tenant.ask("depth", "count", group_by=["n", "region"]) == {("", "eu"): [1, 1], ("1", "eu"): [2, 1]}
    assert await tenant.ask("depth", "sum", query_text="queue:a n:1") == {(): [4, 5]}
    assert await tenant.ask("depth", "sum", query_text="resource.region:eu -queue:a") == {(): [10, 7]}
    assert await tenant.ask("depth", "p50", query_text="queue:a") == {(): [2, 5]}
    assert await tenant.ask("depth", "min", group_by=["service", "attributes.queue", "resource.region"], step=180) == {
        ("checkout", "a", "eu"): [1], ("checkout", "b", "eu"): [7]
    }  # fmt: skip
    assert tenant.last.series[0].points[0][0] == query.second(_START_S)


async def test_cumulative_counters_notice_resets(tenant, points):
    a, b = {"s": "a"}, {"s": "b"}
    # a began long ago, goes back by itself at 70; b begins inside the range, and its process restarts at 90.
    old = points((-30, 100, a), (30, 110, a), (70, 4, a), (130, 10, a), start=-9000)
    young = points((30, 5, b), (60, 6, b), start=10)
    again = points((90, 50, b), start=80)
    for given in (old, young, again):
        await tenant.send(
            Metric(name="hits", sum=Sum(aggregation_temporality=CUMULATIVE, is_monotonic=True, data_points=given))
        )
    assert await tenant.ask("hits", "increase", group_by=["s"]) == {("a",): [10, 4, 6], ("b",): [5, 51]}
    assert await tenant.ask("hits") == {(): [15 / 60, 55 / 60, 6 / 60]}
    assert tenant.last.aggregation == "rate"


async def test_counters_that_go_down_and_delta_counters(tenant, points):
    up_down = points((0, 5, {}), (60, 3, {}), (120, 4, {}), start=-9000)
    await tenant.send(Metric(name="open", sum=Sum(aggregation_temporality=CUMULATIVE, data_points=up_down)))
    assert await tenant.ask("open", "increase") == {(): [0, -2, 1]}
    delta = points((0, 5, {}), (30, 3, {}), (120, 4, {}))
    await tenant.send(Metric(name="sent", sum=Sum(aggregation_temporality=DELTA, is_monotonic=True, data_points=delta)))
    assert await tenant.ask("sent", "increase") == {(): [8, 4]}
    await tenant.send(Metric(name="g", gauge=Gauge(data_points=points((0, 1, {})))))
    with pytest.raises(DuoscopeError, match="of a gauge is one of avg"):
        await tenant.ask("g", "rate")


def _histogram(temporality, *given, start=-9000, **more):
    return Histogram(
        aggregation_temporality=temporality,
        data_points=[
            HistogramDataPoint(
                time_unix_nano=at(second), start_time_unix_nano=at(start), count=sum(counts), sum=total,
                bucket_counts=counts, explicit_bounds=[1, 2, 4], **more,
            )
            for second, total, counts in given
        ],
    )  # fmt: skip


async def test_histograms(tenant, otlp):
    cumulative = _histogram(
        CUMULATIVE,
        (-30, 100, [10, 0, 0, 0]),
        (30, 130, [10, 10, 10, 0]),
        (90, 160, [10, 10, 20, 0]),
        (150, 3, [0, 0, 0, 1]),
    )
    await tenant.send(Metric(name="took", unit="s", histogram=cumulative))
    assert await tenant.ask("took", "count") == {(): [20, 10, 1]}
    assert await tenant.ask("took", "rate") == {(): [20 / 60, 10 / 60, 1 / 60]}
    assert await tenant.ask("took", "sum") == {(): [30, 30, 3]}
    assert await tenant.ask("took") == {(): [1.5, 3, 3]}
    assert await tenant.ask("took", "p50") == {(): [2, 3, 4]}
    assert tenant.last.type == "histogram"
    attributes = otlp.attributes({"kind": "delta"})
    delta = _histogram(DELTA, (30, 5, [2, 0, 0, 0]), (40, 5, [0, 2, 0, 0]), min=0.5, max=1.5, attributes=attributes)
    await tenant.send(Metric(name="took", unit="s", histogram=delta))
    of_delta = {"query_text": "kind:delta"}
    assert await tenant.ask("took", "p25", **of_delta) == {(): [0.75]}
    assert await tenant.ask("took", "max", **of_delta) == {(): [1.5]}
    assert await tenant.ask("took", "count", group_by=["kind"]) == {("",): [20, 10, 1], ("delta",): [4]}
    expected = {(0, None, 1): 2, (0, 1, 2): 12, (0, 2, 4): 10, (1, 2, 4): 10, (2, 4, None): 1}
    assert await tenant.bands("took") == expected
    assert (tenant.last.unit, tenant.last.step_count, tenant.last.count) == ("s", 3, 35)
    assert await tenant.bands("took", **of_delta) == {(0, None, 1): 2, (0, 1, 2): 2}
    whole_hour = await heatmap.heatmap(tenant.reader, minutes(3), "took", step="1h")
    assert [whole_hour.count, *whole_hour.counts] == [35, 2, 12, 20, 1]


async def test_exponential_histograms(tenant):
    def point(second, scale, offset, counts, *, start=-9000, zero=0, negative=()):
        made = ExponentialHistogramDataPoint(
            time_unix_nano=at(second), start_time_unix_nano=at(start), scale=scale, zero_count=zero,
            count=sum(counts) + zero + sum(negative), sum=float(sum(counts)),
        )  # fmt: skip
        made.positive.offset = offset
        made.positive.bucket_counts.extend(counts)
        made.negative.bucket_counts.extend(negative)
        return made

    # The second point has half the resolution; its buckets hold those of the first one and eight more in (4, 16].
    given = [point(-30, 1, 2, [4, 4]), point(30, 0, 1, [8, 0, 0, 0]), point(90, 0, 1, [8, 8], zero=2, negative=[2])]
    histogram = ExponentialHistogram(aggregation_temporality=CUMULATIVE, data_points=given)
    await tenant.send(Metric(name="size", exponential_histogram=histogram))
    assert await tenant.ask("size", "count") == {(): [0, 12]}
    assert await tenant.ask("size", "p99") == {(): [pytest.approx(8, rel=0.02)]}
    assert await tenant.ask("size", "p50") == {(): [pytest.approx(2 ** (2 + 2 / 8))]}
    assert await tenant.ask("size", "p10") == {(): [pytest.approx(-(2 ** (1 - 1.2 / 2)))]}
    assert await tenant.ask("size", "p25") == {(): [0]}
    assert tenant.last.type == "exponential_histogram"
    assert await tenant.bands("size") == {(1, -2, -1): 2, (1, 0, 0): 2, (1, 4, 8): 8}
    delta = ExponentialHistogram(
        aggregation_temporality=DELTA, data_points=[point(30, 3, 0, [1]), point(40, 0, 0, [1])]
    )
    await tenant.send(Metric(name="step", exponential_histogram=delta))
    assert await tenant.ask("step", "count") == {(): [2]}
    assert await tenant.ask("step", "p50") == {(): [pytest.approx(2**0.5)]}
    assert await tenant.bands("step") == {(0, 1, 2): 2}


async def test_summaries(tenant):
    def point(second, count, total, median):
        made = SummaryDataPoint(time_unix_nano=at(second), start_time_unix_nano=at(-9000), count=count, sum=total)
        made.quantile_values.add(quantile=0.5, value=median)
        made.quantile_values.add(quantile=0.95, value=median * 2)
        return made

    given = [point(-30, 10, 10, 1), point(30, 14, 18, 3), point(40, 15, 20, 5), point(90, 2, 8, 7)]
    await tenant.send(Metric(name="wait", summary=Summary(data_points=given)))
    assert await tenant.ask("wait", "count") == {(): [5, 2]}
    assert await tenant.ask("wait") == {(): [2, 4]}
    assert await tenant.ask("wait", "p50") == {(): [4, 7]}
    assert await tenant.ask("wait", "p95") == {(): [8, 14]}
    assert await tenant.ask("wait", "p99") == {}
    with pytest.raises(DuoscopeError, match="of a summary is one of"):
        await tenant.ask("wait", "max")


async def test_one_name_in_two_types(tenant, points):
    await tenant.send(Metric(name="mixed", gauge=Gauge(data_points=points((0, 1, {})))))
    counter = Sum(aggregation_temporality=DELTA, is_monotonic=True, data_points=points((60, 6, {})))
    await tenant.send(Metric(name="mixed", sum=counter))
    assert await tenant.ask("mixed", "sum") == {(): [6]}
    assert await tenant.ask("mixed", "sum", metric_type="gauge") == {(): [1]}
    assert await tenant.ask("mixed", "sum", metric_type="summary") == {}


async def test_mistakes(tenant):
    for options, message in [
        ({"aggregation": "median"}, "of a metric is one of avg"),
        ({"aggregation": "p100.1"}, "not 'p100.1'"),
        ({"aggregation": "p-1"}, "p0 to p100, such as p99.9, not 'p-1'"),
        ({"aggregation": "p9."}, "not 'p9.'"),
        ({"step": "x"}, "`step` must be"),
        ({"step": 0}, "`step` must be"),
        ({"step": "1500ms"}, "`step` must be"),
        ({"step": "1s", "times": minutes(600)}, "more than 11000 points"),
        ({"group_by": ["a", "a"]}, "`group_by` takes"),
        ({"group_by": list("abcdefghijk")}, "`group_by` takes"),
        ({"metric_type": "meter"}, "`type` is one of"),
        ({"query_text": "word"}, "metrics have no text"),
    ]:
        with pytest.raises(DuoscopeError, match=message):
            await tenant.ask("any", **options)
    assert await tenant.ask("never seen") == {}
    assert tenant.last.type is None
    assert await tenant.bands("never seen") == {}
    assert (tenant.last.type, tenant.last.count) == (None, 0)
    with pytest.raises(DuoscopeError, match="more than 1500 columns"):
        await heatmap.heatmap(tenant.reader, minutes(60), "any", step="1s")


async def test_a_heatmap_is_of_a_histogram(tenant, points, api):
    await tenant.send(Metric(name="g", gauge=Gauge(data_points=points((0, 1, {})))))
    await tenant.send(Metric(name="took", histogram=_histogram(DELTA, (5, 1, [0, 2, 0, 1]))))
    headers = await api.headers(tenant.scope)

    async def get(**options):
        times = {"start": str(at(0)), "end": str(at(60))}
        return await api.client.get("/api/v1/metrics/heatmap", headers=headers, params=times | options)

    assert (
        (await get(metric="g")).json()["detail"].startswith("A heatmap is of a histogram, and this metric is a gauge")
    )
    found = (await get(metric="took", step="30s", query="service:checkout")).json()
    assert [found[name] for name in ("lower", "upper")] == [[1.0, 2.0, 4.0], [2.0, 4.0, None]]
    assert [found[name] for name in ("steps", "bands", "counts")] == [[0, 0], [0, 2], [2.0, 1.0]]
    assert (await get(metric="took", query="service:cart")).json()["counts"] == []


async def test_list(tenant, points, otlp):
    for service, name in itertools.product(("a", "b"), ("x.one", "x.two", "y")):
        gauge = Gauge(data_points=points((0, 1, {})))
        await tenant.send(Metric(name=name, unit="s", description="Seconds.", gauge=gauge), service=service)
    await tenant.send(Metric(name="y", histogram=_histogram(DELTA, (5, 1, [1, 0, 0, 0]))), service="c")
    found, cursor = [], None
    while True:
        page = await query.list_metrics(tenant.reader, limit=1, cursor=cursor)
        found += page.items
        if not (cursor := page.next_cursor):
            break
    assert [(m.name, m.type) for m in found] == [
        ("x.one", "gauge"), ("x.two", "gauge"), ("y", "gauge"), ("y", "histogram")
    ]  # fmt: skip
    assert (found[0].unit, found[0].description, found[0].services) == ("s", "Seconds.", ["a", "b"])
    assert (found[3].temporality, found[3].services) == ("delta", ["c"])
    assert found[3].last_seen == query.values.rfc3339(at(5))
    assert [m.name for m in (await query.list_metrics(tenant.reader, prefix="x.")).items] == ["x.one", "x.two"]
    assert [m.type for m in (await query.list_metrics(tenant.reader, service="c")).items] == ["histogram"]


async def test_a_query_names_the_schema_urls_of_its_points(tenant, points, otlp, deliver, api):
    kinds = {
        "gauge": {"gauge": Gauge(data_points=points((5, 1, {})))},
        "counter": {"sum": Sum(aggregation_temporality=DELTA, data_points=points((5, 1, {})))},
        "histogram": {"histogram": _histogram(DELTA, (5, 1, [1, 0, 0, 0]))},
    }
    for service, of_resource, of_scope in (("a", "r/1", "s/1"), ("b", "r/2", ""), ("c", "", "s/2")):
        request = otlp.metrics(service, *(Metric(name=name, **data) for name, data in kinds.items()))
        request.resource_metrics[0].schema_url = of_resource
        request.resource_metrics[0].scope_metrics[0].schema_url = of_scope
        await deliver(tenant.scope, request)
    headers = await api.headers(tenant.scope)

    async def shown(**options):
        asked = {"start": at(0), "end": at(60), "step": "1m", "with_schema_urls": True} | options
        answer = await api.client.post("/api/v1/metrics/query", headers=headers, json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()["schema_urls"]

    for name in kinds:
        assert await shown(metric=name) == {"resource": ["r/1", "r/2"], "scope": ["s/1", "s/2"]}
        assert await shown(metric=name, query="service:b") == {"resource": ["r/2"], "scope": []}
        # From rollups, which do not have them; and of days in which the metric was seen before the last hour.
        found = await shown(metric=name, step="1h", end=at(3600 * 3), group_by=["service"])
        assert found == {"resource": ["r/1", "r/2"], "scope": ["s/1", "s/2"]}
        assert await shown(metric=name, start=at(-7200), end=at(-3600)) == {"resource": [], "scope": []}
    assert await shown(metric="never sent") == {"resource": [], "scope": []}
    assert await shown(metric="gauge", with_schema_urls=False) is None
    neighbour = await api.headers(type(tenant.scope)(*(new_id() for _ in range(3))))
    answer = await api.client.post(
        "/api/v1/metrics/query", headers=neighbour, json={"metric": "gauge", "with_schema_urls": True}
    )
    assert answer.json()["schema_urls"] == {"resource": [], "scope": []}
