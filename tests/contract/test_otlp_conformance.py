"""The obligations of OTLP 1.11 on one request and its answer, each held on gRPC, HTTP protobuf and HTTP JSON.

Whether a client sends its data again or drops it hangs on these statuses. `make conformance` prints the table. The
rows of compression and sizes are in `test_otlp_compression.py`, those of connections in `test_otlp_connections.py`.
"""

import json

import grpc
import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.kernel.limits import INGEST_RETRY_AFTER_S
from duoscope.receiver.ingest import Accepted, Ingest
from duoscope.receiver.signals import SIGNALS
from duoscope.receiver.status import STATUSES, retry_after_s, rpc_status
from duoscope.receiver.transport.http_server import JSON, PROTOBUF

TRANSPORTS = ("grpc", "http/protobuf", "http/json")
HTTP = TRANSPORTS[1:]
BINARY = TRANSPORTS[:2]
BY_NAME = {signal.name: signal for signal in SIGNALS}
REJECTED_FIELDS = {"traces": "rejected_spans", "logs": "rejected_log_records", "metrics": "rejected_data_points"}

obligation = pytest.mark.obligation
over_all = pytest.mark.parametrize("transport", TRANSPORTS)
over_http = pytest.mark.parametrize("transport", HTTP)
over_binary = pytest.mark.parametrize("transport", BINARY)
every_signal = pytest.mark.parametrize("signal", BY_NAME)


@obligation("01", "Full Success", "a sound request, plain", "OK or 200, the response message, partial_success unset")
@over_all
@every_signal
async def test_full_success(send, encoded, transport, signal):
    answer = await send(transport, signal, encoded(transport, signal))
    assert answer.message(transport, BY_NAME[signal]) == BY_NAME[signal].response()
    assert answer.body == (b"{}" if transport == "http/json" else b"")


@obligation("02", "Protocol Details", "a sound request in gzip", "as the same request without compression")
@over_all
@every_signal
async def test_gzip(send, encoded, transport, signal):
    answer = await send(transport, signal, encoded(transport, signal), compression="gzip")
    assert answer.message(transport, BY_NAME[signal]) == BY_NAME[signal].response()


@obligation("03", "OTLP/HTTP Request", "a sound request in zstd", "as the same request without compression")
@over_http
@every_signal
async def test_zstd(send, encoded, transport, signal):
    answer = await send(transport, signal, encoded(transport, signal), compression="zstd")
    assert answer.message(transport, BY_NAME[signal]) == BY_NAME[signal].response()


@obligation("04", "Full Success", "an empty request, plain and in gzip", "OK or 200, as any success")
@over_all
@every_signal
async def test_an_empty_request(send, transport, signal):
    for compression in (None, "gzip"):
        answer = await send(transport, signal, compression=compression)
        assert answer.message(transport, BY_NAME[signal]) == BY_NAME[signal].response()


@obligation("05", "Empty Telemetry Envelopes", "resources and scopes without items", "OK or 200, as any success")
@over_all
@every_signal
async def test_empty_envelopes(send, transport, signal):
    message = BY_NAME[signal].request()
    resources = getattr(message, message.DESCRIPTOR.fields[0].name)
    resource = resources.add()
    getattr(resource, resource.DESCRIPTOR.fields_by_number[2].name).add()
    name = BY_NAME[signal].request.DESCRIPTOR.fields[0].json_name
    raw = json.dumps({name: [{}]}).encode() if transport == "http/json" else message.SerializeToString()
    assert (await send(transport, signal, raw)).message(transport, BY_NAME[signal]) == BY_NAME[signal].response()


class Picky(Ingest):
    """Rejects as many items as a header of the test says; what is rejected in earnest has tests of its own."""

    verdict = Accepted()

    async def accept(self, principal, signal, raw, sender=None):
        del principal, signal, raw, sender
        return self.verdict


@obligation(
    "06", "Partial Success", "a request of which 3 items are rejected", "OK or 200, partial_success: 3, and why"
)
@over_all
@every_signal
async def test_partial_success(serve, transport, signal):
    async with serve(Picky) as send:
        send.ingest.verdict = Accepted(3, "3 had no time.")
        partial = (await send(transport, signal)).message(transport, BY_NAME[signal]).partial_success
    assert getattr(partial, REJECTED_FIELDS[signal]) == 3
    assert partial.error_message == "3 had no time."


@obligation("07", "Partial Success", "a request that earns a warning", "partial_success: 0 rejected, and the warning")
@over_all
@every_signal
async def test_warning(serve, transport, signal):
    async with serve(Picky) as send:
        send.ingest.verdict = Accepted(0, "Clocks are off.")
        message = (await send(transport, signal)).message(transport, BY_NAME[signal])
    assert message.HasField("partial_success")
    assert getattr(message.partial_success, REJECTED_FIELDS[signal]) == 0
    assert message.partial_success.error_message == "Clocks are off."


def varint(number):
    """A length in protobuf's varint encoding."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


MALFORMED = {
    "grpc": [b"\xff", b"\x0a\x05abc", b"\x0a\x04\x0a\x02\x0a\x7f"],
    "http/protobuf": [b"\xff", b"\x0a\x05abc", b"\x0a\x04\x0a\x02\x0a\x7f"],
    "http/json": [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"NaN",
        b'{"resourceSpans": 3, "resourceLogs": 3, "resourceMetrics": 3}',
        b"[" * 100_000,
        b'{"resourceSpans":' * 5000,
        b'{"a":' + b"[" * 900 + b"]" * 899 + b"}",
    ],
}


@obligation(
    "08", "Failures; Bad Data", "bytes that are no request", "INVALID_ARGUMENT or 400, BadRequest, no RetryInfo"
)
@pytest.mark.parametrize(
    ("transport", "raw"),
    [(name, raw) for name, given in MALFORMED.items() for raw in given],
    ids=lambda each: each if isinstance(each, str) else repr(each[:12]),
)
@every_signal
async def test_malformed_bytes(send, transport, raw, signal):
    answer = await send(transport, signal, raw)
    answer.expect(grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-request")
    assert BY_NAME[signal].request.DESCRIPTOR.name in answer.status.message
    assert answer.bad_request.field_violations[0].description == answer.status.message
    assert answer.retry_s is None


@obligation(
    "09",
    "Partial Success",
    "a log record whose text is not UTF-8; one that nests without end",
    "OK or 200, the first rejected, the second cut, and why",
)
@over_binary
async def test_invalid_text_and_nesting(send, sound, transport):
    text = sound["logs"].SerializeToString().replace(b"text", b"te\xffx")
    # Field 5 of AnyValue holds field 1 of ArrayValue holds an AnyValue, and so on; outside it, the way to a log body.
    deep = b""
    for tag in [b"\x2a", b"\x0a"] * 60 + [b"\x2a", b"\x2a", b"\x12", b"\x12", b"\x0a"]:
        deep = tag + varint(len(deep)) + deep
    for raw, why, rejected in ((text, "UTF-8", 1), (deep, "nest", 0)):
        partial = (await send(transport, "logs", raw)).message(transport, BY_NAME["logs"]).partial_success
        assert partial.rejected_log_records == rejected
        assert why in partial.error_message


@obligation(
    "10",
    "Bad Data",
    "JSON with a field of the wrong type, an id that is not hex, half a surrogate pair, beside a sound span",
    "200, one span rejected, and why",
)
@pytest.mark.parametrize("transport", ["http/json"])
@pytest.mark.parametrize(
    "fault",
    [
        {"traceId": "no hex"},
        {"traceId": "abc"},
        {"spanId": "ab cd"},
        {"startTimeUnixNano": "soon"},
        {"kind": []},
        {"name": "\ud800"},
    ],
    ids=repr,
)
async def test_json_with_a_wrong_field(send, transport, fault):
    now = str(now_unix_nano())
    sound = {"traceId": "11" * 16, "spanId": "22" * 8, "startTimeUnixNano": now, "endTimeUnixNano": now, "name": "a"}
    raw = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [sound | fault, sound]}]}]}).encode()
    partial = (await send(transport, "traces", raw)).message(transport, BY_NAME["traces"]).partial_success
    assert partial.rejected_spans == 1
    name = next(iter(fault))
    why = "UTF-8" if name == "name" else f"resourceSpans[0].scopeSpans[0].spans[0].{name}, at byte "
    assert why in partial.error_message


@obligation(
    "11", "JSON Protobuf Encoding", "unknown fields; hex in any case; integers as text or number; .proto names", "200"
)
@pytest.mark.parametrize("transport", ["http/json"])
async def test_json_as_otlp_has_it(send, transport):
    now = now_unix_nano()
    spans = [
        {"traceId": "aB" * 16, "spanId": "Cd" * 8, "startTimeUnixNano": time, "kind": 2, "later": {"version": [1]}}
        for time in (now, str(now))
    ]
    spans.append({"trace_id": "ab" * 16, "span_id": "cd" * 8, "start_time_unix_nano": now, "kind": "SPAN_KIND_CLIENT"})
    raw = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}], "x": 1}], "y": None}).encode()
    answer = await send(transport, "traces", raw)
    assert answer.http == 200
    assert not answer.message(transport, BY_NAME["traces"]).HasField("partial_success")


@obligation("12", "Failures", "no key, or one that does not exist", "UNAUTHENTICATED or 401, no RetryInfo")
@over_all
@every_signal
async def test_no_key_and_a_wrong_key(send, encoded, transport, signal):
    raw = encoded(transport, signal)
    for headers in ({}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}):
        answer = await send(transport, signal, raw, headers=headers)
        assert answer.expect(grpc.StatusCode.UNAUTHENTICATED, 401, "api-key-missing").retry_s is None
    for headers in ({"authorization": "Bearer x"}, {"x-api-key": send.key[:-1] + "?"}):
        answer = await send(transport, signal, raw, headers=headers)
        assert answer.expect(grpc.StatusCode.UNAUTHENTICATED, 401, "api-key-invalid").retry_s is None
    for headers in ({"x-api-key": send.key}, {"authorization": f"bearer {send.key}"}):
        assert (await send(transport, signal, raw, headers=headers)).code == 0


@pytest.fixture(scope="session")
def keys_by_permission(running):
    made = (
        running.admin("create-api-key", "--tenant", running.known["tenant_id"], "--allow", f"{name}:write")
        for name in BY_NAME
    )
    return {signal: key["api_key"] for signal, key in zip(BY_NAME, made, strict=True)}


@obligation("13", "Failures", "a key without the signal's permission", "PERMISSION_DENIED or 403, no RetryInfo")
@over_all
@every_signal
async def test_a_key_sends_the_signals_it_may(send, encoded, keys_by_permission, transport, signal):
    for allowed, key in keys_by_permission.items():
        answer = await send(transport, signal, encoded(transport, signal), headers={"x-api-key": key})
        if allowed == signal:
            assert answer.code == 0
        else:
            answer.expect(grpc.StatusCode.PERMISSION_DENIED, 403, "signal-not-permitted")
            assert f"{signal}:write" in answer.status.message
            assert answer.retry_s is None


@obligation("21", "OTLP/HTTP Request", "a path that is not OTLP's", "404, and where OTLP is taken")
@over_http
async def test_unknown_paths(send, transport):
    content_type = JSON if transport == "http/json" else PROTOBUF
    async with send.client() as client:
        for path in ("/", "/v1/trace", "/v1/traces/", "/v2/traces", "/V1/traces", "/v1/logs%2f"):
            answer = await client.post(path, content=b"", headers={"content-type": content_type})
            assert answer.status_code == 404
            assert answer.headers["content-type"] == content_type
            assert b"/v1/traces" in answer.content


@obligation("22", "OTLP/gRPC Service", "a method that is not OTLP's", "UNIMPLEMENTED")
@pytest.mark.parametrize("transport", ["grpc"])
async def test_unknown_methods_of_grpc(send, transport):
    async with send.channel() as channel:
        for path in ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/other.Service/Export"):
            call = channel.unary_unary(path)(b"", metadata=[("x-api-key", send.key)], timeout=10)
            assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


@obligation("23", "OTLP/HTTP Request", "GET, PUT, DELETE, HEAD, OPTIONS", "405 with allow: POST")
@over_http
@every_signal
async def test_other_methods(send, transport, signal):
    content_type = JSON if transport == "http/json" else PROTOBUF
    async with send.client() as client:
        for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            answer = await client.request(
                method, BY_NAME[signal].http_path, headers={"content-type": content_type, "x-api-key": send.key}
            )
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
            assert answer.headers["content-type"] == content_type


@obligation("24", "Binary, JSON Protobuf Encoding", "other content types, or none", "415, and which are taken")
@pytest.mark.parametrize("transport", ["http"])
async def test_other_content_types(send, transport):
    async with send.client(headers={"x-api-key": send.key}) as client:
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/grpc", "", ";", "json"):
            answer = await client.post("/v1/traces", content=b"{}", headers={"content-type": content_type})
            assert answer.status_code == 415
            assert PROTOBUF in answer.json()["message"]
            assert JSON in answer.json()["message"]


@obligation("25", "OTLP/HTTP Response", "content types with parameters, in any case", "200 in the same content type")
@over_http
async def test_content_types_with_parameters(send, transport):
    content_type, raw = (JSON, b"{}") if transport == "http/json" else (PROTOBUF, b"")
    async with send.client(headers={"x-api-key": send.key}) as client:
        for given in (content_type, f"{content_type}; charset=utf-8", content_type.title(), f"{content_type} ;a=b;c"):
            answer = await client.post("/v1/traces", content=raw, headers={"content-type": given})
            assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


class Full(Ingest):
    """Refuses everything in the way that a test asks for."""

    error = DuoscopeError(ErrorKind.INTERNAL, "x", "x.")

    async def accept(self, principal, signal, raw, sender=None):
        del principal, signal, raw, sender
        raise self.error


@obligation(
    "26",
    "Failures; Throttling",
    "a sound request that cannot be taken now",
    "UNAVAILABLE with RetryInfo; 503 with Retry-After and RetryInfo",
)
@over_all
@every_signal
async def test_what_cannot_be_taken_now(serve, encoded, transport, signal):
    async with serve(Full) as send:
        send.ingest.error = unavailable("The store is away.", code="telemetry-store-unavailable", retry_after_s=2.5)
        answer = await send(transport, signal, encoded(transport, signal))
    answer.expect(grpc.StatusCode.UNAVAILABLE, 503, "telemetry-store-unavailable")
    assert answer.retry_s == 2.5
    assert transport == "grpc" or answer.headers["retry-after"] == "3"


@obligation(
    "27",
    "Throttling",
    "a request beyond a tenant's limit",
    "RESOURCE_EXHAUSTED with RetryInfo; 429 with Retry-After and RetryInfo",
)
@over_all
@pytest.mark.parametrize("pause_s", [0.25, 7.5, None])
async def test_throttling(serve, transport, pause_s):
    async with serve(Full) as send:
        send.ingest.error = DuoscopeError(
            ErrorKind.RATE_LIMITED, "rate-limited", "Too many items.", retry_after_s=pause_s
        )
        answer = await send(transport, "logs")
    answer.expect(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "rate-limited")
    expected = INGEST_RETRY_AFTER_S if pause_s is None else pause_s
    assert answer.retry_s == expected
    assert transport == "grpc" or answer.headers["retry-after"] == str({0.25: 1, 7.5: 8}.get(expected, 2))


@obligation("28", "Throttling", "a request that finds no room in memory", "UNAVAILABLE or 503, and when to come again")
@over_all
@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_no_room(serve, sound, transport, compression):
    async with serve() as send:
        held = send.ingest.budget._bytes_max
        send.ingest.budget.take(held)
        answer = await send(transport, "logs", compression=compression)
        send.ingest.budget.give_back(held)
        assert (await send(transport, "logs", compression=compression)).code == 0
    answer.expect(grpc.StatusCode.UNAVAILABLE, 503, "receiver-busy")
    assert answer.retry_s == INGEST_RETRY_AFTER_S


@obligation(
    "29", "Failures", "a request on which the receiver fails itself", "UNAVAILABLE or 503: the data is not at fault"
)
@over_all
async def test_our_own_faults(serve, transport, caplog):
    async with serve(Full) as send:
        send.ingest.error = RuntimeError("secret words")
        answer = await send(transport, "logs")
    answer.expect(grpc.StatusCode.UNAVAILABLE, 503, "internal-error")
    assert "secret" not in str(answer)
    assert "secret words" in caplog.text


@obligation(
    "30", "Retryable codes", "every kind of refusal there is", "both statuses retryable, or neither; RetryInfo iff so"
)
@pytest.mark.parametrize("transport", ["all"])
@pytest.mark.parametrize("kind", ErrorKind, ids=lambda kind: kind.value)
def test_transports_agree_on_what_is_retryable(transport, kind):
    error = DuoscopeError(kind, "x", "x.", retry_after_s=3)
    code, http = STATUSES[kind]
    always = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
    hinted = any("RetryInfo" in each.type_url for each in rpc_status(error).details)
    retryable = code.name in always or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and hinted)
    assert retryable == (http in (429, 502, 503, 504)) == hinted == (retry_after_s(error) is not None)


@obligation(
    "31", "OTLP/HTTP Connection", "protobuf and JSON by turns on one connection", "200 each, in its own encoding"
)
@pytest.mark.parametrize("transport", ["http"])
async def test_both_encodings_on_one_connection(send, transport):
    async with send.client(headers={"x-api-key": send.key}) as client:
        for content_type, raw in [(PROTOBUF, b""), (JSON, b"{}")] * 3:
            answer = await client.post("/v1/traces", content=raw, headers={"content-type": content_type})
            assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
            assert "connection" not in answer.headers


@obligation(
    "32", "OTLP/gRPC Request", "a call without a message; with headers over 16 KiB", "refused for good; never hangs"
)
@pytest.mark.parametrize("transport", ["grpc"])
async def test_odd_calls(send, transport):
    async with send.channel() as channel:
        export = channel.stream_unary(f"/{BY_NAME['logs'].grpc_service}/Export")
        call = export(metadata=[("x-api-key", send.key)], timeout=10)
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        call = export(iter(()), metadata=[("x-api-key", send.key), ("a", "a" * 20_000)], timeout=10)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
