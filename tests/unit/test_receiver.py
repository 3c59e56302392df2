"""The receiver's pure parts: the envelope, the probe for distributions, JSON to protobuf, the table of statuses."""

import itertools
import uuid

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import Scope
from duoscope.receiver.envelope import _varint, wrap
from duoscope.receiver.json_encoding import to_protobuf
from duoscope.receiver.probe import has_distributions
from duoscope.receiver.signals import LOGS, METRICS, SIGNALS, TRACES
from duoscope.receiver.status import STATUSES

TYPES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def read_varint(raw: bytes) -> tuple[int, bytes]:
    number = 0
    for index, byte in enumerate(raw):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, raw[index + 1 :]
    raise AssertionError("a varint without an end")


@given(st.integers(0, 2**64 - 1))
def test_varints(number):
    assert read_varint(_varint(number) + b"rest") == (number, b"rest")


@given(st.binary(max_size=400), st.integers(0, 2**16 - 1))
def test_an_envelope_holds_its_request_untouched(raw, retention_days):
    scope = Scope(uuid.uuid4(), uuid.uuid4(), uuid.uuid4())
    head, body = wrap(scope, retention_days, raw)
    assert body == raw
    length, message = read_varint(head + body)
    assert length == len(message)
    fields = {}
    while message:
        tag, message = read_varint(message)
        if tag & 7 == 0:
            fields[tag >> 3], message = read_varint(message)
        else:
            size, message = read_varint(message)
            fields[tag >> 3], message = message[:size], message[size:]
    ids = [str(each).encode() for each in (scope.organization_id, scope.workspace_id, scope.tenant_id)]
    assert [fields[n] for n in (1, 2, 3)] == ids
    assert fields[4] == retention_days
    assert len(fields[5]) == 16
    assert fields[15] == raw


@pytest.mark.parametrize("types", [pair for n in range(3) for pair in itertools.product(TYPES, repeat=n)])
def test_the_probe_knows_distributions(types):
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add()
    for name in types:
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name, description="histogram")
        getattr(metric, name).SetInParent()
        if types[0] == name:
            getattr(metric, name).data_points.add(time_unix_nano=1)
    assert has_distributions(request.SerializeToString()) == bool(set(types) & set(TYPES[2:]))


def test_json_has_hex_ids_in_any_case_and_numbers_in_any_form():
    body = b"""{"resourceSpans":[{"scopeSpans":[{"spans":[{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"","kind":2,
        "startTimeUnixNano":"1544712660000000001","endTimeUnixNano":1544712661000000001,"unknown":{"a":[1]},
        "attributes":[{"key":"traceId","value":{"intValue":"-9223372036854775808"}},
                      {"key":"b","value":{"bytesValue":"/wA="}},{"key":"d","value":{"doubleValue":"NaN"}}]}]}]}]}"""
    request = TRACES.request.FromString(to_protobuf(TRACES, body))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    expected = Span(
        trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
        span_id=bytes.fromhex("eee19b7ec3c1b174"),
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=1544712660000000001,
        end_time_unix_nano=1544712661000000001,
    )
    for key, kind, value in (("traceId", "int_value", -(2**63)), ("b", "bytes_value", b"\xff\x00")):
        setattr(expected.attributes.add(key=key).value, kind, value)
    expected.attributes.add(key="d").value.double_value = float("nan")
    assert json_format.MessageToDict(span) == json_format.MessageToDict(expected)


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"1e999", b'{"resourceLogs":{}}', b'{"resourceLogs":[3]}'])
def test_what_is_no_request_is_refused_in_our_own_words(body):
    with pytest.raises(DuoscopeError, match="not a valid ExportLogsServiceRequest in OTLP/JSON") as caught:
        to_protobuf(LOGS, body)
    assert caught.value.kind is ErrorKind.INVALID


def test_every_kind_of_error_has_a_status():
    assert set(STATUSES) == set(ErrorKind)
    retryable = {kind for kind, (_, http) in STATUSES.items() if http in (429, 502, 503, 504)}
    assert retryable == {ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE}


def _nested(*numbers: int, content: bytes) -> bytes:
    for number in reversed(numbers):
        content = bytes([number << 3 | 2]) + _varint(len(content)) + content
    return content


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_request_of_empty_items_is_refused_before_it_is_parsed(signal):
    items = _nested(1, 2, content=b"\x12\x00" * 5000)
    with pytest.raises(DuoscopeError) as refused:
        signal.check(items)
    assert refused.value.code == "hollow-request"


def test_a_request_of_empty_points_is_refused_before_it_is_parsed():
    with pytest.raises(DuoscopeError) as refused:
        METRICS.check(_nested(1, 2, 2, 5, content=b"\x0a\x00" * 5000))
    assert refused.value.code == "hollow-request"


def test_small_log_records_are_not_hollow():
    record = _nested(2, content=_nested(5, content=_nested(1, content=b"ok")))
    assert LOGS.check(_nested(1, 2, content=record * 5000))
