"""The receiver's pure parts: JSON to protobuf, the table of statuses."""

import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.receiver.admission.memory import Budget, Reservation
from duoscope.receiver.signals import LOGS, METRICS, TRACES
from duoscope.receiver.status import STATUSES
from duoscope.receiver.transport.json_encoding import to_protobuf


@pytest.fixture
def budget():
    return Budget()


@pytest.fixture
def read(budget):
    """The message of a text in OTLP/JSON, and how many bytes it takes as protobuf."""

    async def read(signal, text):
        with Reservation(budget) as reservation:
            reservation.resize(len(text))
            raw, _ = await to_protobuf(signal, text, reservation)
            assert reservation.size == len(raw)
        return signal.request.FromString(raw)

    return read


async def test_json_has_hex_ids_in_any_case_and_numbers_in_any_form(read):
    body = b"""{"resourceSpans":[{"scopeSpans":[{"spans":[{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"","kind":2,
        "startTimeUnixNano":"1544712660000000001","endTimeUnixNano":1544712661000000001,"unknown":{"a":[1]},
        "attributes":[{"key":"traceId","value":{"intValue":"-9223372036854775808"}},
                      {"key":"b","value":{"bytesValue":"/wA="}},{"key":"d","value":{"doubleValue":"NaN"}}]}]}]}]}"""
    span = (await read(TRACES, body)).resource_spans[0].scope_spans[0].spans[0]
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


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"1e999", b'{"resourceLogs":{}}', b'{"resourceLogs":[3}'])
async def test_what_is_no_request_is_refused_in_our_own_words(read, budget, body):
    with pytest.raises(DuoscopeError, match="not a valid ExportLogsServiceRequest in OTLP/JSON: ") as caught:
        await read(LOGS, body)
    assert caught.value.kind is ErrorKind.INVALID
    assert budget.free == limits.INGEST_QUEUE_BYTES_MAX


async def test_a_refusal_of_json_says_where(read):
    with pytest.raises(DuoscopeError) as caught:
        await read(LOGS, b'{"resourceLogs":[{},{"scopeLogs":[{"logRecords":[{"spanId":xy}]}]}]}')
    where = "resourceLogs[1].scopeLogs[0].logRecords[0].spanId, at byte 59: this is no value of JSON."
    assert caught.value.message.endswith(f"OTLP/JSON: {where}")


async def test_the_first_fault_of_an_item_in_json_is_told(budget):
    text = b'{"resourceLogs":[{},{"scopeLogs":[{"logRecords":[{"spanId":"xy"},7]}]}]}'
    with Reservation(budget) as reservation:
        reservation.resize(len(text))
        _, remark = await to_protobuf(LOGS, text, reservation)
    where = "resourceLogs[1].scopeLogs[0].logRecords[0].spanId, at byte 59: an id is hex digits, two a byte"
    assert remark == f"first in the JSON: {where}"


def buckets(count):
    counts = b",".join([b"7"] * count)
    return (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[%b]}]}}]}]}]}'
        % counts
    )


async def test_json_that_is_longer_as_protobuf(read):
    count = 100_000
    (point,) = (
        (await read(METRICS, buckets(count))).resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points
    )
    assert point.bucket_counts == [7] * count
    with pytest.raises(DuoscopeError) as caught:
        await read(METRICS, buckets(limits.INGEST_REQUEST_BYTES_MAX // 8 + 1))
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_every_kind_of_error_has_a_status():
    assert set(STATUSES) == set(ErrorKind)
    retryable = {kind for kind, (_, http) in STATUSES.items() if http in (429, 502, 503, 504)}
    assert retryable == {ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE}
