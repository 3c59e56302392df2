"""A block that is inserted again under its token fills no rollup twice, and late points find theirs."""

import random

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Decoder, Kind
from duoscope.telemetry import span_metrics, traces
from duoscope.telemetry.metrics import query
from duoscope.telemetry.times import TimeRange

S = 10**9
_HOUR_NS = (now_unix_nano() // (3600 * S) - 4) * 3600 * S
DELTA = 1


async def test_sent_twice_counted_once(telemetry_store, otlp, new_scope):
    scope, rng = new_scope(), random.Random(1)
    times = {"time_unix_nano": _HOUR_NS + 60 * S, "start_time_unix_nano": _HOUR_NS}
    number = NumberDataPoint(**times, as_double=5)
    explicit = HistogramDataPoint(**times, count=2, sum=3, bucket_counts=[2, 0], explicit_bounds=[2])
    exponential = ExponentialHistogramDataPoint(**times, count=3, sum=4, scale=0)
    exponential.positive.bucket_counts.append(3)
    request = otlp.metrics(
        "s",
        Metric(name="n", sum=Sum(aggregation_temporality=DELTA, is_monotonic=True, data_points=[number])),
        Metric(name="h", histogram=Histogram(aggregation_temporality=DELTA, data_points=[explicit])),
        Metric(
            name="e",
            exponential_histogram=ExponentialHistogram(aggregation_temporality=DELTA, data_points=[exponential]),
        ),
    )
    span = {"trace_id": rng.randbytes(16), "span_id": rng.randbytes(8), "name": "x", "start_time_unix_nano": _HOUR_NS}
    writer = telemetry_store.ingest()
    for kind, message in ((Kind.METRICS, request), (Kind.TRACES, otlp.spans("s", span))):
        decoder, token = Decoder(kind), str(new_id())
        decoder.add(message.SerializeToString(), scope, 30, now_ns=now_unix_nano())
        for _ in range(3):
            for block in decoder.blocks():
                await writer.insert(block.table, block.native, form="Native", token=token)
    reader = telemetry_store.bind(scope)
    hour = TimeRange(_HOUR_NS, _HOUR_NS + 3600 * S)
    for metric, aggregation, counted in (("n", "sum", 5), ("h", "count", 2), ("h", "sum", 3), ("e", "count", 3)):
        result = await query.query(reader, hour, metric, aggregation=aggregation, step="1h")
        assert [value for _, value in result.series[0].points] == [counted], metric
    (point,) = (await span_metrics.service_figures(reader, hour, "s", step="1h")).points
    assert point.count == 1
    assert (await traces.get(reader, span["trace_id"].hex())).span_count == 1
