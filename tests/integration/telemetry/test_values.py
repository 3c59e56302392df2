"""Every kind of OTLP value comes back as it was sent, however deep, whichever way it was stored."""

import base64
import random
import struct

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry import values

EVERYTHING = {
    "text": 'x"\\/é\n\u2028\x01',
    "empty": "",
    "yes": True,
    "no": False,
    "int": -(2**63),
    "double": 2.5,
    "whole": 3.0,
    "bytes": b'\xff\x00\x80abc"\\',
    "none": None,
    "array": ["q", None, 1, 1.5, True, b"\xfe", [], {"deep": [{"deeper": [1, {"é": b"\xfe"}]}]}],
    "object": {"a": {"b": {"c": [b"\xff", "x", {}]}}, "none": None},
    "no array": [],
    "no object": {},
}


def shown(value):
    """The expected form of a Python value in the API."""
    match value:
        case bytes():
            return {"bytes_value": base64.b64encode(value).decode()}
        case list():
            return [shown(item) for item in value]
        case dict():
            return {key: shown(item) for key, item in value.items()}
        case _:
            return value


async def test_every_value_survives_in_every_place(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    request = otlp.spans("s", {"trace_id": b"t" * 16, "span_id": b"s" * 8, "attributes": EVERYTHING}, **EVERYTHING)
    scope_spans = request.resource_spans[0].scope_spans[0]
    scope_spans.scope.attributes.extend(otlp.attributes(EVERYTHING))
    scope_spans.spans[0].start_time_unix_nano = now_unix_nano()
    scope_spans.spans[0].events.add(name="e", attributes=otlp.attributes(EVERYTHING))
    await deliver(scope, request)
    (row,) = await telemetry_store.bind(scope).query(
        "SELECT span_attributes_json, resource, scope_attributes AS of_scope, "
        "`events.attributes` AS of_events FROM @traces",
        name="test",
    )
    expected = shown(EVERYTHING)
    assert values.attributes(row["span_attributes_json"]) == expected
    assert values.attributes(row["resource"]) == {"service.name": "s", **expected}
    assert values.attributes(row["of_scope"]) == expected
    assert values.attributes(row["of_events"][0]) == expected


@pytest.mark.parametrize("body", list(EVERYTHING.values()))
async def test_every_body_survives(telemetry_store, deliver, otlp, new_scope, body):
    scope = new_scope()
    await deliver(scope, otlp.logs("s", {"time_unix_nano": now_unix_nano(), "body": body}))
    (row,) = await telemetry_store.bind(scope).query("SELECT body, body_kind FROM @logs", name="test")
    assert values.typed(row["body"], row["body_kind"]) == shown(body)


async def test_numbers_that_json_lacks_are_texts(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    odd = {"nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "in": [float("nan")]}
    await deliver(
        scope, otlp.logs("s", {"time_unix_nano": now_unix_nano(), "attributes": odd, "body": float("inf")}, **odd)
    )
    (row,) = await telemetry_store.bind(scope).query("SELECT * FROM @logs", name="test")
    expected = {"nan": "nan", "inf": "inf", "minus": "-inf", "in": ["nan"]}
    assert values.attributes(row["log_attributes_json"]) == expected
    assert values.attributes(row["resource"]) == {"service.name": "s", **expected}
    assert values.typed(row["body"], row["body_kind"]) == "inf"


def test_a_senders_own_key_that_looks_like_a_marker_is_left_alone():
    assert values.attributes('{"x":{"@otlp.bytes_value":"no base64!"}}') == {"x": {"@otlp.bytes_value": "no base64!"}}
    assert values.attributes('{"x":{"@otlp.bytes_value":1}}') == {"x": {"@otlp.bytes_value": 1}}


def test_times_and_ids():
    assert values.rfc3339(1_795_224_577_000_000_001) == "2026-11-21T01:29:37.000000001Z"
    assert values.rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert values.hex_id(bytes(8)) == ""
    assert values.hex_id(b"\x01\xab") == "01ab"


def _doubles() -> list[float]:
    """Doubles that a decimal codec could get wrong: every class, bits at random, and decimals among them."""
    rng = random.Random(7)
    edges = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, -5e-324, 2.2250738585072014e-308]
    edges += [1.7976931348623157e308, -1.7976931348623157e308, 2.0**53, 2.0**53 + 2, -(2.0**63), 2.0**64, 0.1, 1 / 3]
    edges += [float(10**n) for n in range(-30, 30)] + [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(4000)]
    decimals = [round(rng.uniform(-1e6, 1e6), rng.randrange(10)) for _ in range(8000)]
    mixed = decimals + edges
    rng.shuffle(mixed)
    return [*mixed, *edges, *decimals]


async def test_every_double_comes_back_to_the_bit(telemetry_store, deliver, otlp, new_scope):
    """Points are stored with a codec that takes floats for decimals (ALP), where they are."""
    scope, now, doubles = new_scope(), now_unix_nano(), _doubles()
    points = [NumberDataPoint(time_unix_nano=now + n, as_double=value) for n, value in enumerate(doubles)]
    await deliver(scope, otlp.metrics("s", Metric(name="m", gauge=Gauge(data_points=points))))
    rows = await telemetry_store.bind(scope).query(
        "SELECT reinterpretAsUInt64(value) AS bits FROM @metrics ORDER BY timestamp", name="test"
    )
    assert [row["bits"] for row in rows] == [struct.unpack("<Q", struct.pack("<d", value))[0] for value in doubles]
