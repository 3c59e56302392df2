"""The decoder turns OTLP into columns; here the message that was sent says what values it should have found.

Fields are the matter of the next file.

Each test builds a request, stores it as the receiver does, reads it back through the API's own functions (points of
metrics, which the API only adds up, through the views) and compares.
"""

import base64
import math
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import logs, traces, values
from duoscope.telemetry.times import TimeRange

NOW = now_unix_nano() // 10**9 * 10**9 + 123_456_789
ALL_TIME = TimeRange(0, 2**63 - 1)
TRACE, SPAN = bytes(range(1, 17)), bytes(range(248, 256))


def shown(value: AnyValue) -> Any:
    """The expected value in the API."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [shown(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case "bytes_value":
            return {"bytes_value": base64.b64encode(value.bytes_value).decode()}
        case "double_value" if not math.isfinite(value.double_value):
            return str(value.double_value)
        case kind:
            return getattr(value, kind)


def attributes(pairs) -> dict[str, Any]:
    return {pair.key: shown(pair.value) for pair in pairs}


def same(found: Any, expected: Any) -> bool:
    """Equal, and of one JSON type. A double's digits are those that give it back, which may be an integer's."""
    match expected:
        case float():
            return type(found) in (int, float) and float(found) == expected
        case list():
            return type(found) is list and len(found) == len(expected) and all(map(same, found, expected))
        case dict():
            return (
                type(found) is dict
                and set(found) == set(expected)
                and all(same(found[key], inner) for key, inner in expected.items())
            )
        case _:
            return type(found) is type(expected) and found == expected


TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", '"', "\\", "\\u0041", "\x00", "\x1f\x7f", "\n\r\t", "/", "\u2028", "😀", "null", "{}", "é" * 70]
)
SCALARS = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), -1, 0, 1, 127, 128, 2**53 + 1, 2**63 - 1]),
    st.floats() | st.sampled_from([1.0, -0.0, 1e300, 5e-324, 1e16, 1.2345678901234567e19, 0.1]),
    st.binary(max_size=9),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(TEXT, VALUES, max_size=6)


async def records(reader, limit=100):
    page = await logs.search(reader, ALL_TIME, limit=limit)
    return msgspec.to_builtins(page.items)


async def trace(reader, trace_id=TRACE):
    return msgspec.to_builtins(await traces.get(reader, trace_id.hex()))


# A tenant of its own for every example, so that the fixtures need not be fresh.
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_attributes=st.lists(ATTRIBUTES, min_size=2, max_size=5), body=VALUES)
async def test_attributes_of_every_shape_in_every_place(stored, otlp, given_attributes, body):
    lists = [otlp.attributes(each) for each in given_attributes]
    expected = [attributes(pairs) for pairs in lists]
    request = otlp.logs("s", *({"time_unix_nano": NOW + n, "body": body} for n in range(len(lists))))
    for pairs, record in zip(lists, request.resource_logs[0].scope_logs[0].log_records, strict=True):
        record.attributes.extend(pairs)
    del request.resource_logs[0].resource.attributes[:]
    request.resource_logs[0].resource.attributes.extend(lists[0])
    request.resource_logs[0].scope_logs[0].scope.attributes.extend(lists[1])
    spans = ExportTraceServiceRequest()
    resource_spans = spans.resource_spans.add()
    resource_spans.resource.CopyFrom(request.resource_logs[0].resource)
    span = resource_spans.scope_spans.add(scope=request.resource_logs[0].scope_logs[0].scope).spans.add(
        trace_id=TRACE, span_id=SPAN, start_time_unix_nano=NOW, attributes=lists[0]
    )
    for pairs in lists:
        span.events.add(attributes=pairs)
        span.links.add(trace_id=TRACE, span_id=SPAN, attributes=pairs)
    reader = await stored(request, spans)
    found = (await records(reader))[::-1]
    for record, wanted in zip(found, expected, strict=True):
        assert same(record["attributes"], wanted)
        assert same(record["body"], shown(otlp.value(body)))
        assert same(record["resource"]["attributes"], expected[0])
        assert same(record["scope"]["attributes"], expected[1])
    (found_span,) = (await trace(reader))["spans"]
    assert same(found_span["attributes"], expected[0])
    assert same(found_span["resource"]["attributes"], expected[0])
    assert same(found_span["scope"]["attributes"], expected[1])
    assert same([event["attributes"] for event in found_span["events"]], expected)
    assert same([link["attributes"] for link in found_span["links"]], expected)


def all_types(pairs_of_points, exemplar=None):
    """A metric of each type, a point for each list of attributes."""
    metrics = [Metric(name=kind) for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary")]
    for metric in metrics:
        data = getattr(metric, metric.name)
        data.SetInParent()
        for number, pairs in enumerate(pairs_of_points):
            point = data.data_points.add(time_unix_nano=NOW + number, attributes=pairs)
            if metric.name in ("gauge", "sum"):
                point.as_double = number
            if exemplar is not None and metric.name != "summary":
                point.exemplars.append(exemplar)
    return metrics


POINT_VIEWS = ("metrics", "histograms", "exponential_histograms", "summaries")


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_attributes=st.lists(ATTRIBUTES, min_size=1, max_size=5))
async def test_attributes_of_points(stored, otlp, given_attributes):
    lists = [otlp.attributes(each) for each in given_attributes]
    reader = await stored(otlp.metrics("s", *all_types(lists)))
    for view in POINT_VIEWS:
        rows = await reader.query(
            f"SELECT metric_name, attributes_json, series_id FROM @{view} ORDER BY metric_name, timestamp", name="test"
        )
        expected = [attributes(pairs) for pairs in lists] * (2 if view == "metrics" else 1)
        assert len(rows) == len(expected)
        for row, wanted in zip(rows, expected, strict=True):
            assert same(values.attributes(row["attributes_json"]), wanted), row["attributes_json"]


LENGTHS = (0, 1, 127, 128, 129, 130, 16_383, 16_384, 16_385, 16_386, 70_000, 130_000)
VARINTS = (0, 1, -1, 127, 128, 16_383, 16_384, 2**31, 2**32, 2**53 + 1, 2**56, 2**62, 2**63 - 1, -(2**63), -(2**31))


async def test_points_of_lengths_and_numbers_at_the_edges_of_their_encoding(stored, otlp):
    odd = "\x01"  # what must be escaped takes another way
    lists = [
        otlp.attributes({"text": "x" * size, "odd": odd * (size > 3), "bytes": b"\xff" * size, "list": ["y" * size]})
        for size in LENGTHS
    ]
    lists += [otlp.attributes({"text": "é" * (size // 2)}) for size in LENGTHS]
    lists += [otlp.attributes({"n": number, "inside": [number], "o": {"k": number}}) for number in VARINTS]
    lists += [otlp.attributes({"d": float(number), "yes": True, "no": False, "none": None}) for number in VARINTS]
    reader = await stored(otlp.metrics("s", *all_types(lists)[:1], *all_types(lists)[2:3]))
    for view in ("metrics", "histograms"):
        rows = await reader.query(f"SELECT attributes_json FROM @{view} ORDER BY timestamp", name="test")
        assert len(rows) == len(lists)
        for row, pairs in zip(rows, lists, strict=True):
            assert same(values.attributes(row["attributes_json"]), attributes(pairs)), row["attributes_json"][:200]


async def test_one_series_whatever_the_order_of_its_attributes(stored, otlp):
    forward = otlp.attributes({"a": "1", "b": 2, "c": [1]})
    lists = [forward, forward[::-1], otlp.attributes({"a": "2", "b": 1, "c": [1]}), otlp.attributes({"a": 1, "b": "2"})]
    reader = await stored(otlp.metrics("s", *all_types(lists)))
    for view in POINT_VIEWS:
        rows = await reader.query(
            f"SELECT series_id FROM @{view} WHERE metric_name != 'sum' ORDER BY timestamp", name="test"
        )
        first, second, *others = [row["series_id"] for row in rows]
        assert first == second
        assert len({first, *others}) == 3
