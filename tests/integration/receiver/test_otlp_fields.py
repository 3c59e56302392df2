"""Every field of spans, log records and points of every type is decoded: the message that was sent says what to expect.

What attributes hold is the matter of test_otlp_decoding.py.
"""

import math

import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import logs, traces, values
from duoscope.telemetry.times import TimeRange

NOW = now_unix_nano() // 10**9 * 10**9 + 123_456_789
ALL_TIME = TimeRange(0, 2**63 - 1)
TRACE, SPAN = bytes(range(1, 17)), bytes(range(248, 256))
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
TEMPORALITIES = ("unspecified", "delta", "cumulative")


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def hex_or_none(identifier: bytes, length: int) -> str | None:
    return identifier.hex() if len(identifier) == length and any(identifier) else None


async def records(reader, limit=100):
    page = await logs.search(reader, ALL_TIME, limit=limit)
    return msgspec.to_builtins(page.items)


async def trace(reader, trace_id=TRACE):
    return msgspec.to_builtins(await traces.get(reader, trace_id.hex()))


def full_spans(otlp):
    """Two resources with two scopes each, and spans that together use every field and every number of a kind."""
    request = ExportTraceServiceRequest()
    number = 0
    for r in range(2):
        resource_spans = request.resource_spans.add(
            resource=otlp.resource(f"service {r}", r=r), schema_url=f"https://example.com/{r}"
        )
        resource_spans.resource.dropped_attributes_count = r
        for s in range(2):
            scope_spans = resource_spans.scope_spans.add(schema_url=f"https://example.com/{r}/{s}")
            scope_spans.scope.name, scope_spans.scope.version = f"scope {r}{s}", f"{s}.0"
            scope_spans.scope.attributes.extend(otlp.attributes({"s": s}))
            scope_spans.scope.dropped_attributes_count = s + 3
            for kind in (*range(3 * s, 3 * s + 3), 77, -1):
                number += 1
                span = scope_spans.spans.add(
                    trace_id=TRACE,
                    span_id=number.to_bytes(8, "big"),
                    trace_state=f"vendor={number}",
                    parent_span_id=SPAN if number % 2 else b"",
                    flags=2**32 - number,
                    name=f"span {number}",
                    kind=kind,
                    start_time_unix_nano=NOW + number,
                    end_time_unix_nano=NOW + number + 10**9 * number if number != 5 else NOW,
                    attributes=otlp.attributes({"n": number}),
                    dropped_attributes_count=2**32 - 1,
                    dropped_events_count=number,
                    dropped_links_count=number + 1,
                )
                span.status.code = number % 5 - 1
                span.status.message = f"status {number}"
                for n in range(number % 4):
                    span.events.add(
                        time_unix_nano=NOW + n, name=f"event {n}", dropped_attributes_count=n + 7
                    ).attributes.extend(otlp.attributes({"e": n}))
                    span.links.add(
                        trace_id=bytes([n + 1]) * 16,
                        span_id=bytes([n + 2]) * 8,
                        trace_state=f"linked={n}",
                        dropped_attributes_count=n + 9,
                        flags=n + 0x300,
                    ).attributes.extend(otlp.attributes({"l": n}))
            request.resource_spans[r].scope_spans.add()  # a scope without spans
    request.resource_spans.add()  # a resource without scopes
    return request


def expected_spans(request):
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                duration = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
                yield {
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": hex_or_none(span.parent_span_id, 8),
                    "trace_state": span.trace_state,
                    "flags": span.flags,
                    "name": span.name,
                    "kind": KINDS[span.kind] if 0 <= span.kind < 6 else "unspecified",
                    "service_name": attributes(resource_spans.resource.attributes).get("service.name", ""),
                    "start": values.rfc3339(span.start_time_unix_nano),
                    "end": values.rfc3339(span.start_time_unix_nano + duration),
                    "duration_ns": duration,
                    "status": STATUSES[span.status.code] if 0 <= span.status.code < 3 else "unset",
                    "status_message": span.status.message,
                    "attributes": attributes(span.attributes),
                    "dropped_attributes_count": span.dropped_attributes_count,
                    "events": [
                        {
                            "timestamp": values.rfc3339(event.time_unix_nano),
                            "name": event.name,
                            "attributes": attributes(event.attributes),
                            "dropped_attributes_count": event.dropped_attributes_count,
                        }
                        for event in span.events
                    ],
                    "dropped_events_count": span.dropped_events_count,
                    "links": [
                        {
                            "trace_id": link.trace_id.hex(),
                            "span_id": link.span_id.hex(),
                            "trace_state": link.trace_state,
                            "attributes": attributes(link.attributes),
                            "dropped_attributes_count": link.dropped_attributes_count,
                            "flags": link.flags,
                        }
                        for link in span.links
                    ],
                    "dropped_links_count": span.dropped_links_count,
                    "truncated": [],
                    **origin(resource_spans, scope_spans),
                }


def origin(resource_items, scope_items):
    resource, scope = resource_items.resource, scope_items.scope
    return {
        "resource": {
            "attributes": attributes(resource.attributes),
            "dropped_attributes_count": resource.dropped_attributes_count,
            "schema_url": resource_items.schema_url,
        },
        "scope": {
            "name": scope.name,
            "version": scope.version,
            "attributes": attributes(scope.attributes),
            "dropped_attributes_count": scope.dropped_attributes_count,
            "schema_url": scope_items.schema_url,
        },
    }


async def test_every_field_of_a_span(stored, otlp):
    request = full_spans(otlp)
    reader = await stored(request)
    found = await trace(reader)
    expected = sorted(expected_spans(request), key=lambda span: span["start"])
    assert found["spans"] == expected
    assert found["span_count"] == len(expected)
    assert found["error_count"] == sum(span["status"] == "error" for span in expected)
    assert found["services"] == ["service 0", "service 1"]
    narrow = await reader.query(
        "SELECT hex(span_id) AS id, hex(parent_span_id) AS parent, span_name, span_kind, service_name, duration_nano, "
        "status_code FROM @spans_v3 ORDER BY timestamp",
        name="test",
    )
    assert [list(row.values()) for row in narrow] == [
        [
            span["span_id"].upper(),
            (span["parent_span_id"] or "0" * 16).upper(),
            *(span[name] for name in ("name", "kind", "service_name", "duration_ns", "status")),
        ]
        for span in expected
    ]


async def test_a_span_needs_ids_and_a_parent_is_kept_only_if_it_can_be_one(stored, otlp):
    fine = {"trace_id": TRACE, "start_time_unix_nano": NOW}
    reader = await stored(
        otlp.spans(
            "s",
            {**fine, "span_id": SPAN, "name": "kept", "parent_span_id": b"short"},
            {**fine, "span_id": b"r" * 8, "name": "kept", "parent_span_id": b"too long for a span id"},
            {**fine, "span_id": b"q" * 8, "name": "kept", "parent_span_id": bytes(8)},
            *({**fine, "span_id": bad} for bad in (b"", b"short", b"nine byte", bytes(8))),
            *({**fine, "span_id": SPAN, "trace_id": bad} for bad in (b"", TRACE[:15], TRACE + b"x", bytes(16))),
        )
    )
    rows = await reader.query("SELECT span_name, parent_span_id FROM @traces", name="test")
    assert [tuple(row.values()) for row in rows] == [("kept", bytes(8))] * 3
    assert await reader.query("SELECT count() AS n FROM @spans_v3", name="test") == [{"n": 3}]


async def test_every_field_of_a_log_record(stored, otlp):
    given = [
        {
            "time_unix_nano": NOW + n,
            "observed_time_unix_nano": NOW + 5 * n,
            "severity_number": severity,
            "severity_text": f"SEVERITY {n}",
            "body": f"body {n}",
            "attributes": {"n": n},
            "dropped_attributes_count": n,
            "flags": 2**32 - 1 - n,
            "trace_id": trace_id,
            "span_id": span_id,
            "event_name": f"event.{n}",
        }
        for n, (severity, trace_id, span_id) in enumerate(
            [
                (0, TRACE, SPAN),
                (1, TRACE, b""),
                (24, b"", SPAN),
                (25, TRACE[1:], SPAN + b"x"),
                (-1, TRACE + b"x", SPAN[1:]),
                (9, bytes(16), bytes(8)),
            ]
        )
    ]
    request = otlp.logs("s", *given)
    resource_logs = request.resource_logs[0]
    resource_logs.schema_url, resource_logs.resource.dropped_attributes_count = "https://example.com/r", 4
    scope_logs = resource_logs.scope_logs[0]
    scope_logs.schema_url, scope_logs.scope.version, scope_logs.scope.dropped_attributes_count = "https://e/s", "2", 5
    scope_logs.scope.attributes.extend(otlp.attributes({"of": "scope"}))
    reader = await stored(request)
    shown = (await records(reader))[::-1]
    assert len({record.pop("id") for record in shown}) == len(given)
    assert not any(record.pop("truncated", None) for record in shown)
    assert shown == [
        {
            "timestamp": values.rfc3339(record.time_unix_nano),
            "observed_timestamp": values.rfc3339(record.observed_time_unix_nano)
            if record.observed_time_unix_nano
            else None,
            "severity_number": record.severity_number if 0 <= record.severity_number <= 24 else 0,
            "severity_text": record.severity_text,
            "service_name": "s",
            "body": record.body.string_value,
            "event_name": record.event_name,
            "trace_id": hex_or_none(record.trace_id, 16),
            "span_id": hex_or_none(record.span_id, 8),
            "trace_flags": record.flags,
            "attributes": attributes(record.attributes),
            "dropped_attributes_count": record.dropped_attributes_count,
            **origin(resource_logs, scope_logs),
        }
        for record in scope_logs.log_records
    ]
    by_trace = await reader.query("SELECT body, span_id FROM @logs_v3_by_trace ORDER BY timestamp", name="test")
    assert [tuple(row.values()) for row in by_trace] == [("body 0", SPAN), ("body 1", bytes(8))]


async def test_a_log_record_without_a_time_takes_that_of_its_observation_or_now(stored, otlp):
    before = now_unix_nano()
    reader = await stored(
        otlp.logs(
            "s",
            {"body": "own", "time_unix_nano": NOW - 7, "observed_time_unix_nano": NOW - 5},
            {"body": "observed", "observed_time_unix_nano": NOW - 5},
            {"body": "arrived"},
        )
    )
    found = {record["body"]: record for record in await records(reader)}
    assert found["own"]["timestamp"] == values.rfc3339(NOW - 7)
    assert found["observed"]["timestamp"] == found["observed"]["observed_timestamp"] == values.rfc3339(NOW - 5)
    assert values.rfc3339(before) <= found["arrived"]["timestamp"] <= values.rfc3339(now_unix_nano())
    assert found["arrived"]["observed_timestamp"] is None


async def rows_of(reader, view, columns, where="true"):
    rows = await reader.query(
        f"SELECT {columns} FROM @{view} WHERE {where} ORDER BY metric_name, timestamp", name="test"
    )
    return [tuple(row.values()) for row in rows]


NANOS = "toUnixTimestamp64Nano(timestamp) AS ns, toUnixTimestamp64Nano(start_timestamp) AS start_ns"


async def test_every_field_of_gauges_and_sums(stored, otlp):
    request = otlp.metrics("s", Metric(name="gauge", unit="By", description="of a gauge"))
    scope_metrics = request.resource_metrics[0].scope_metrics[0]
    gauge = scope_metrics.metrics[0].gauge
    for n, value in enumerate((0.0, -1.5, 1e300, math.inf, math.nan)):
        gauge.data_points.add(time_unix_nano=NOW + n, start_time_unix_nano=NOW - n, as_double=value, flags=2 * n)
    for n, number in enumerate((0, -1, 2**53, -(2**63)), start=5):
        gauge.data_points.add(time_unix_nano=NOW + n, as_int=number)
    gauge.data_points.add(time_unix_nano=NOW + 90)  # no value, and nothing that says so
    gauge.data_points.add(as_int=5)  # no time
    for temporality in range(4):
        metric = scope_metrics.metrics.add(name=f"sum {temporality}")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, temporality == 2
        metric.sum.data_points.add(time_unix_nano=NOW, start_time_unix_nano=NOW - 1, as_int=temporality)
    scope_metrics.metrics.add(name="nothing")
    reader = await stored(request)
    found = await rows_of(
        reader, "metrics", f"metric_name, {NANOS}, value, value_is_int, flags, temporality, is_monotonic, metric_type"
    )
    expected = [
        (
            metric.name,
            point.time_unix_nano,
            point.start_time_unix_nano,
            float(getattr(point, point.WhichOneof("value"))),
            point.WhichOneof("value") == "as_int",
            point.flags,
            (*TEMPORALITIES, "unspecified")[metric.sum.aggregation_temporality],
            int(metric.sum.is_monotonic),
            "gauge" if metric.HasField("gauge") else "counter",
        )
        for metric in scope_metrics.metrics
        for point in (*metric.gauge.data_points, *metric.sum.data_points)
        if point.time_unix_nano and point.WhichOneof("value")
    ]
    assert [tuple(map(str, row)) for row in found] == [tuple(map(str, row)) for row in expected]
    catalogue = await reader.query(
        "SELECT metric_name, any(unit) AS u, any(description) AS d FROM @metric_names GROUP BY metric_name ORDER BY 1",
        name="test",
    )
    assert [tuple(row.values()) for row in catalogue] == [
        ("gauge", "By", "of a gauge"),
        *((f"sum {n}", "", "") for n in range(4)),
    ]


async def test_points_of_every_type_keep_the_schema_urls_they_came_under(stored, otlp):
    """Two scopes of one resource, then another resource: each point has those of its own."""
    kinds = {"metrics": "gauge", "histograms": "histogram"}
    kinds |= {"exponential_histograms": "exponential_histogram", "summaries": "summary"}
    request = otlp.metrics("s")
    del request.resource_metrics[:]
    expected = []
    for r, s in ((0, 0), (0, 1), (1, 0)):
        if not s:
            of_resource = request.resource_metrics.add(schema_url=f"https://example.com/{r}")
        scope_metrics = of_resource.scope_metrics.add(schema_url=f"https://example.com/{r}/{s}")
        for kind in kinds.values():
            metric = scope_metrics.metrics.add(name=f"m{r}{s}")
            point = getattr(metric, kind).data_points.add(time_unix_nano=NOW)
            if kind == "gauge":
                point.as_int = 1
        expected.append((f"m{r}{s}", of_resource.schema_url, scope_metrics.schema_url))
    reader = await stored(request)
    for view in kinds:
        assert await rows_of(reader, view, "metric_name, resource_schema_url, scope_schema_url") == expected


async def test_every_field_of_histograms(stored, otlp):
    request = otlp.metrics("s", Metric(name="h", unit="s"))
    histogram = request.resource_metrics[0].scope_metrics[0].metrics[0].histogram
    histogram.aggregation_temporality = 1
    full = {"sum": -2.5, "min": -3.0, "max": 0.0, "bucket_counts": [1, 2**53 - 1, 0], "explicit_bounds": [-1.0, 1e300]}
    histogram.data_points.add(
        time_unix_nano=NOW, start_time_unix_nano=NOW - 9, count=2**53, flags=2, **full
    )  # sum, min and max are optional: 0 is not the same as unset
    histogram.data_points.add(time_unix_nano=NOW + 1)
    histogram.data_points.add(time_unix_nano=NOW + 2, sum=0.0, min=0.0, max=0.0, count=1, bucket_counts=[1])
    histogram.data_points.add(count=5)  # no time
    reader = await stored(request)
    columns = f"{NANOS}, temporality, unit, flags, count, sum, min, max, bucket_counts, bucket_bounds"
    assert await rows_of(reader, "histograms", columns) == [
        (
            point.time_unix_nano,
            point.start_time_unix_nano,
            "delta",
            "s",
            point.flags,
            point.count,
            *(getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")),
            list(point.bucket_counts),
            list(point.explicit_bounds),
        )
        for point in histogram.data_points[:3]
    ]


async def test_every_field_of_exponential_histograms(stored, otlp):
    request = otlp.metrics("s", Metric(name="e"))
    histogram = request.resource_metrics[0].scope_metrics[0].metrics[0].exponential_histogram
    histogram.aggregation_temporality = 2
    point = histogram.data_points.add(
        time_unix_nano=NOW, start_time_unix_nano=NOW - 9, count=9, sum=1.5, min=-1.0, max=7.0, flags=6
    )
    point.scale, point.zero_count, point.zero_threshold = -10, 2, 0.25
    point.positive.offset, point.negative.offset = -(2**31), 2**31 - 1
    point.positive.bucket_counts.extend([1, 0, 2])
    point.negative.bucket_counts.extend([2**40])
    histogram.data_points.add(time_unix_nano=NOW + 1, scale=20)
    histogram.data_points.add(scale=20)  # no time
    reader = await stored(request)
    columns = (
        f"{NANOS}, temporality, flags, count, sum, min, max, scale, zero_count, zero_threshold, "
        "positive_offset, positive_bucket_counts, negative_offset, negative_bucket_counts"
    )
    assert await rows_of(reader, "exponential_histograms", columns) == [
        (NOW, NOW - 9, "cumulative", 6, 9, 1.5, -1.0, 7.0, -10, 2, 0.25, -(2**31), [1, 0, 2], 2**31 - 1, [2**40]),
        (NOW + 1, 0, "cumulative", 0, 0, None, None, None, 20, 0, 0.0, 0, [], 0, []),
    ]


async def test_every_field_of_summaries(stored, otlp):
    request = otlp.metrics("s", Metric(name="y", unit="ms"))
    summary = request.resource_metrics[0].scope_metrics[0].metrics[0].summary
    point = summary.data_points.add(time_unix_nano=NOW, start_time_unix_nano=NOW - 9, count=7, sum=3.5, flags=6)
    for quantile in (0.0, 0.5, 1.0):
        point.quantile_values.add(quantile=quantile, value=quantile * 10)
    summary.data_points.add(time_unix_nano=NOW + 1)
    summary.data_points.add(count=1)  # no time
    reader = await stored(request)
    assert await rows_of(reader, "summaries", f"{NANOS}, unit, flags, count, sum, quantiles, quantile_values") == [
        (NOW, NOW - 9, "ms", 6, 7, 3.5, [0.0, 0.5, 1.0], [0.0, 5.0, 10.0]),
        (NOW + 1, 0, "ms", 0, 0, 0.0, [], []),
    ]


async def test_points_without_a_value_keep_who_and_when(stored, otlp):
    """All else in them, except their origin, is not read: it means nothing."""
    request = otlp.metrics("s")
    told = {"time_unix_nano": NOW, "start_time_unix_nano": NOW - 9, "flags": 3, "attributes": otlp.attributes({"k": 1})}
    add = request.resource_metrics[0].scope_metrics[0].metrics.add
    for name, value in (("none", {}), ("zero", {"as_int": 0}), ("nan", {"as_double": math.nan})):
        point = add(name=name).gauge.data_points.add(**told, **value)
        point.exemplars.add(time_unix_nano=NOW, as_int=1)
    full = {"count": 3, "sum": 1.0, "min": 0.0, "max": 1.0}
    histogram = add(name="h").histogram.data_points.add(**told, **full, bucket_counts=[3, 0, 0], explicit_bounds=[2, 1])
    histogram.exemplars.add(time_unix_nano=NOW, as_int=1)
    exponential = add(name="e").exponential_histogram.data_points.add(**told, **full, scale=99, zero_count=1)
    exponential.positive.offset = exponential.negative.offset = 7
    exponential.positive.bucket_counts.append(2)
    summary = add(name="y").summary.data_points.add(**told, count=3, sum=1.0)
    summary.quantile_values.add(quantile=0.5, value=1)
    reader = await stored(request)
    same = (NOW, NOW - 9, 3, '{"k":1}')
    who = f"{NANOS}, flags, attributes_json"
    for name in ("none", "zero", "nan"):
        found = await rows_of(reader, "metrics", f"{who}, value, value_is_int", f"metric_name = '{name}'")
        assert found == [(*same, 0.0, False)]
    nothing = (0, None, None, None)
    assert await rows_of(reader, "histograms", f"{who}, count, sum, min, max, bucket_counts, bucket_bounds") == [
        (*same, *nothing, [], [])
    ]
    columns = (
        f"{who}, count, sum, min, max, scale, zero_count, positive_offset, positive_bucket_counts, negative_offset"
    )
    assert await rows_of(reader, "exponential_histograms", columns) == [(*same, *nothing, 0, 0, 0, [], 0)]
    assert await rows_of(reader, "summaries", f"{who}, count, sum, quantiles") == [(*same, 0, 0.0, [])]
    for view in ("exemplars", "metric_names"):
        assert not await reader.query(f"SELECT 1 FROM @{view}", name="test")


async def test_integers_keep_their_last_digits(stored, otlp):
    numbers = [0, 2**53 - 1, 2**53 + 1, -(2**53) - 1, 2**60 + 77, 2**63 - 1, -(2**63), -(2**63) + 1]
    request = otlp.metrics("s", Metric(name="n"))
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    for n, number in enumerate(numbers):
        points.add(time_unix_nano=NOW + n, as_int=number).exemplars.add(time_unix_nano=NOW + n, as_int=number)
    reader = await stored(request)
    for view in ("metrics", "exemplars"):
        rows = await rows_of(reader, view, "value, value_rest")
        assert [int(value) + rest for value, rest in rows] == numbers


async def test_exemplars_of_every_type(stored, otlp):
    request = ExportMetricsServiceRequest()
    scope_metrics = request.resource_metrics.add(resource=otlp.resource("s")).scope_metrics.add()
    for name in ("gauge", "sum", "histogram", "exponential_histogram"):
        point = getattr(scope_metrics.metrics.add(name=name), name).data_points.add(time_unix_nano=NOW)
        if name in ("gauge", "sum"):
            point.as_int = 1
        pairs = otlp.attributes({"user": 'a"b', "deep": [[1]]})
        point.exemplars.add(
            time_unix_nano=NOW - 2, as_double=2.5, trace_id=TRACE, span_id=SPAN, filtered_attributes=pairs
        )
        point.exemplars.add(time_unix_nano=NOW - 1, as_int=-3, trace_id=b"short", span_id=b"short")
    reader = await stored(request)
    rows = await reader.query(
        "SELECT metric_name, toUnixTimestamp64Nano(timestamp) AS ns, value, trace_id, span_id, service_name, "
        "attributes AS a FROM @exemplars ORDER BY metric_name, timestamp",
        name="test",
    )
    expected = []
    for name in ("exponential_histogram", "gauge", "histogram", "sum"):
        expected.append((name, NOW - 2, 2.5, TRACE, SPAN, "s", {"user": 'a"b', "deep": [[1]]}))
        expected.append((name, NOW - 1, -3.0, bytes(16), bytes(8), "s", {}))
    found = [(*list(row.values())[:-1], values.attributes(row["a"])) for row in rows]
    assert found == expected
    (first,) = await reader.query(
        "SELECT toUnixTimestamp64Nano(exemplar_timestamp) AS ns, exemplar_value, exemplar_trace_id, exemplar_span_id, "
        "exemplar_attributes AS a FROM @metrics WHERE metric_name = 'gauge'",
        name="test",
    )
    assert list(first.values())[:-1] == [NOW - 2, 2.5, TRACE, SPAN]
    assert values.attributes(first["a"]) == {"user": 'a"b', "deep": [[1]]}
