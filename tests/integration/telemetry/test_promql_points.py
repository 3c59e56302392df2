"""PromQL over points that were sent over OTLP, in the real store: what a table worked out by hand says."""

import math
import re

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
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql.storage import Request
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.promql.values import Scalar

S = 10**9
_START_S = (now_unix_nano() // (3600 * S) - 3) * 3600
DELTA, CUMULATIVE = 1, 2


def at(second):
    return (_START_S + second) * S


@pytest.fixture
def tenant(telemetry_store, deliver, otlp, new_scope):
    """Delivers metrics to a tenant of this test's own and asks PromQL."""

    class Tenant:
        scope = new_scope()
        storage = ClickHouseStorage(telemetry_store.bind(scope))

        async def send(self, *sent, service="checkout", **resource):
            await deliver(self.scope, otlp.metrics(service, *sent, **resource))
            self.storage = ClickHouseStorage(telemetry_store.bind(self.scope))

        async def ask(self, expression, second, *names):
            """Values by the values of labels, at a second."""
            answer = await engine.instant(self.storage, expression, parse(expression), (_START_S + second) * 1000)
            self.last = answer
            if isinstance(answer.value, Scalar):
                return float(answer.value.values[0])
            return {
                tuple(dict(labels).get(name, "") for name in names): float(answer.value.values[row, 0])
                for row, labels in enumerate(answer.value.labels)
            }

    return Tenant()


def numbers(otlp, *given, start=0):
    return [
        NumberDataPoint(
            time_unix_nano=at(second), start_time_unix_nano=at(start), as_double=value,
            attributes=otlp.attributes(attributes), flags=0,
        )
        for second, value, attributes in given
    ]  # fmt: skip


async def test_gauges_have_their_unit_and_labels(tenant, otlp):
    a, b = {"queue.name": "a", "n": 1}, {"queue.name": "b"}
    points = numbers(otlp, (0, 1, a), (60, 2.5, a), (60, 7, b))
    await tenant.send(Metric(name="queue.depth", unit="By", gauge=Gauge(data_points=points)), region="eu")
    assert await tenant.ask("queue_depth_bytes", 60, "queue_name", "n", "region", "job") == {
        ("a", "1", "eu", "checkout"): 2.5,
        ("b", "", "eu", "checkout"): 7,
    }
    assert await tenant.ask('queue_depth_bytes{queue_name=~"a|c"}', 59, "queue_name") == {("a",): 1}
    assert await tenant.ask('{"queue.depth", "queue.name"="a"}', 60, "__name__", "queue.name") == {
        ("queue.depth", "a"): 2.5
    }
    assert await tenant.ask('{__name__=~"queue.*"}', 60, "__name__", "queue_name") == {
        ("queue_depth_bytes", "a"): 2.5,
        ("queue_depth_bytes", "b"): 7,
    }
    assert await tenant.ask("queue_depth_bytes", 360) == {}
    assert await tenant.ask("queue_depth_bytes", 359, "queue_name") == {("a",): 2.5, ("b",): 7}
    assert await tenant.ask("sum(queue_depth_bytes)", 60) == {(): 9.5}
    assert await tenant.ask("target_info", 60, "job", "region") == {("checkout", "eu"): 1}


async def test_counters_of_both_temporalities(tenant, otlp):
    cumulative = numbers(otlp, *((15 * n, 10.0 * n, {}) for n in range(21)), start=-60)
    delta = numbers(otlp, *((15 * n, 10.0, {}) for n in range(21)))
    for name, temporality, points in (("hits", CUMULATIVE, cumulative), ("sent", DELTA, delta)):
        await tenant.send(
            Metric(name=name, sum=Sum(aggregation_temporality=temporality, is_monotonic=True, data_points=points))
        )
    assert await tenant.ask("rate(hits_total[5m])", 300) == {(): pytest.approx(200 / 300)}
    # Of deltas what was counted after 0 and up to 300: twenty points of ten.
    assert await tenant.ask("increase(sent_total[5m])", 300) == {(): 200}
    assert await tenant.ask("rate(sent_total[5m])", 300) == {(): pytest.approx(200 / 300)}
    assert await tenant.ask("sent_total", 300) == {(): 10}
    assert await tenant.ask("increase(sent_total[15s])", 300) == {(): 10}


async def test_histograms(tenant, otlp):
    points = [
        HistogramDataPoint(
            time_unix_nano=at(60 * n), start_time_unix_nano=at(-60), count=10 * n, sum=20.0 * n,
            bucket_counts=[2 * n, 3 * n, 5 * n], explicit_bounds=[1, 2.5], attributes=otlp.attributes({"route": "/x"}),
        )
        for n in range(11)
    ]  # fmt: skip
    sent = Histogram(aggregation_temporality=CUMULATIVE, data_points=points)
    await tenant.send(Metric(name="http.server.request.duration", unit="s", histogram=sent))
    name = "http_server_request_duration_seconds"
    assert await tenant.ask(f"{name}_bucket", 600, "le") == {("1",): 20, ("2.5",): 50, ("+Inf",): 100}
    assert await tenant.ask(f'{name}_bucket{{le="2.5"}}', 600, "le") == {("2.5",): 50}
    assert await tenant.ask(f"{name}_count", 600, "route") == {("/x",): 100}
    assert await tenant.ask(f"{name}_sum", 600, "route") == {("/x",): 200}
    assert await tenant.ask(f"histogram_quantile(0.35, sum by (le) (rate({name}_bucket[5m])))", 600) == {
        (): pytest.approx(1 + 1.5 * 0.5)
    }
    assert await tenant.ask('{"http.server.request.duration_count"}', 600) == {(): 100}


async def test_exponential_histograms_are_native(tenant, otlp):
    points = [
        ExponentialHistogramDataPoint(
            time_unix_nano=at(60 * n), start_time_unix_nano=at(-60), count=10 * n, sum=30.0 * n, scale=0, zero_count=n,
            positive=ExponentialHistogramDataPoint.Buckets(offset=0, bucket_counts=[4 * n, 5 * n]),
        )
        for n in range(11)
    ]  # fmt: skip
    sent = ExponentialHistogram(aggregation_temporality=CUMULATIVE, data_points=points)
    await tenant.send(Metric(name="took", unit="ms", exponential_histogram=sent))
    name = "took_milliseconds"
    assert await tenant.ask(f"histogram_count({name})", 600) == {(): 100}
    assert await tenant.ask(f"histogram_avg({name})", 600) == {(): 3}
    assert await tenant.ask(f"{name}_count", 600) == {(): 100}
    assert await tenant.ask(f"histogram_count(increase({name}[5m]))", 600) == {(): pytest.approx(50)}
    # Half of 100 is the tenth of the 40 above the zero bucket's 10, in (1, 2].
    assert await tenant.ask(f"histogram_quantile(0.3, sum({name}))", 600) == {(): pytest.approx(math.sqrt(2))}
    assert await tenant.ask(f"histogram_fraction(0, 2, {name})", 600) == {(): 0.5}


async def test_summaries(tenant, otlp):
    quantiles = [SummaryDataPoint.ValueAtQuantile(quantile=q, value=v) for q, v in ((0.5, 3), (0.99, 9))]
    point = SummaryDataPoint(time_unix_nano=at(0), count=4, sum=12, quantile_values=quantiles)
    await tenant.send(Metric(name="gc", unit="s", summary=Summary(data_points=[point])))
    assert await tenant.ask("gc_seconds", 10, "quantile") == {("0.5",): 3, ("0.99",): 9}
    assert await tenant.ask("gc_seconds_count", 10) == {(): 4}
    assert await tenant.ask('gc_seconds{quantile="0.99"}', 10, "quantile") == {("0.99",): 9}


async def test_a_point_without_a_value_ends_its_series(tenant, otlp):
    ended = NumberDataPoint(time_unix_nano=at(60), flags=1)
    gauge = Gauge(data_points=[*numbers(otlp, (0, 1, {}), (30, 2, {})), ended])
    counts = [
        HistogramDataPoint(time_unix_nano=at(0), count=3, sum=4, bucket_counts=[1, 2], explicit_bounds=[1]),
        HistogramDataPoint(time_unix_nano=at(60), flags=1),
    ]
    histogram = Histogram(aggregation_temporality=CUMULATIVE, data_points=counts)
    await tenant.send(Metric(name="here", gauge=gauge), Metric(name="took", histogram=histogram))
    assert await tenant.ask("here", 59) == {(): 2}
    assert await tenant.ask("here", 60) == {}
    assert await tenant.ask("count_over_time(here[2m])", 60) == {(): 2}
    assert await tenant.ask("took_bucket", 59, "le") == {("1",): 1, ("+Inf",): 3}
    assert await tenant.ask("took_bucket or took_sum or took_count", 60) == {}
    assert await tenant.ask("info(here{job='checkout'})", 59, "__name__") == {("here",): 2}


async def test_series_are_listed_by_half_hours_and_without_points(tenant, otlp, monkeypatch):
    """Those with a point in the half hours that the range touches; a point that only ends its series is none."""
    a, b, c, d = ({"n": n} for n in "abcd")
    gauges = numbers(otlp, (0, 1, a), (1800, 1, b), (5400, 1, a), (3600, 1, c))
    ended = numbers(otlp, (0, 0, d))
    ended[0].flags = 1
    bounds = [
        HistogramDataPoint(
            time_unix_nano=at(second), explicit_bounds=bounds, bucket_counts=[1] * (len(bounds) + 1), count=3
        )
        for second, bounds in ((0, [1, 2]), (1, [1, 5]), (1800, [7]))
    ]  # fmt: skip
    quantile = SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=2)
    await tenant.send(
        Metric(name="g", gauge=Gauge(data_points=[*gauges, *ended])),
        Metric(name="h", histogram=Histogram(aggregation_temporality=DELTA, data_points=bounds)),
        Metric(
            name="s",
            summary=Summary(data_points=[SummaryDataPoint(time_unix_nano=at(0), quantile_values=[quantile])]),
        ),
        zone="eu",
    )
    asked, query = [], TelemetryReader.query

    async def noted(self, sql, *arguments, **options):
        asked.append(sql)
        return await query(self, sql, *arguments, **options)

    monkeypatch.setattr(TelemetryReader, "query", noted)

    async def listed(expression, label, first, last):
        request = Request(parse(expression).groups, (_START_S + first) * 1000 - 1, (_START_S + last) * 1000)
        (found,) = await tenant.storage.series([request])
        return sorted(dict(labels).get(label, "") for labels in found)

    assert await listed("g", "n", 0, 0) == ["a"]
    assert await listed("g", "n", 1799, 1800) == ["a", "b"]
    assert await listed("g", "n", 1801, 3599) == ["b"]
    assert await listed("g", "n", 1800, 86_400) == ["a", "b", "c"]
    assert await listed("g", "n", -86_400, 86_400) == ["a", "b", "c"]
    assert await listed("g", "n", -86_400, -1) == []
    assert await listed('{n=~"[bc]"}', "n", 0, 7000) == ["b", "c"]
    assert await listed("h_bucket", "le", 0, 10) == ["+Inf", "1", "2", "5"]
    assert await listed("h_bucket", "le", 1800, 1800) == ["+Inf", "7"]
    assert await listed("h_count", "zone", 0, 10) == ["eu"]
    assert await listed('{__name__=~"s|g"}', "quantile", 0, 10) == ["", "0.5"]
    assert await listed("target_info", "zone", 0, 10) == ["eu"]
    views = {view for sql in asked for view in re.findall(r"@(\w+)", sql)}
    assert views == {"metric_names", "series"}
