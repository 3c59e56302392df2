"""What OTLP 1.11 promises a client, over gRPC, HTTP with protobuf and HTTP with JSON, asked of a running server.

Whether a client sends its data again or drops it hangs on these statuses, so every row is held on every transport.
"""

import gzip
import json
from dataclasses import dataclass, field

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from duoscope.identity import administration
from duoscope.identity.api_keys import ApiKeyVerifier
from duoscope.identity.passwords import SlowHasher
from duoscope.identity.secret_keys import SecretKeys
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.limits import INGEST_REQUEST_BYTES_MAX
from duoscope.kernel.settings import Settings
from duoscope.receiver.envelope import _varint
from duoscope.receiver.grpc_server import _OPTIONS, GrpcServer
from duoscope.receiver.http_server import JSON, PROTOBUF, HttpApplication
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import SIGNALS
from duoscope.stores.clickhouse import TelemetryStore

TRANSPORTS = ("grpc", "http/protobuf", "http/json")
BY_NAME = {signal.name: signal for signal in SIGNALS}
NO_LIMIT = [("grpc.max_send_message_length", -1)]


@dataclass
class Answer:
    """What came back: the gRPC code (that of google.rpc.Status over HTTP) and, over HTTP, its status."""

    code: int
    http: int | None
    status: Status = field(default_factory=Status)
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        info = ErrorInfo()
        assert self.status.details[0].Unpack(info)
        return info.reason

    @property
    def retry_s(self) -> float | None:
        """Seconds until the client may try again, where it may."""
        hint = RetryInfo()
        found = [hint.retry_delay.ToMilliseconds() / 1000 for each in self.status.details if each.Unpack(hint)]
        return found[0] if found else None


def grpc_call(target, signal, raw, headers, *, compressed=False):
    compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    with grpc.insecure_channel(target, options=NO_LIMIT) as channel:
        export = channel.unary_unary(f"/{signal.grpc_service}/Export")
        response, call = _outcome(export, raw, metadata=list(headers.items()), compression=compression, timeout=60)
    if response is not None:
        return Answer(0, None, body=response)
    details = {key: value for key, value in call.trailing_metadata() if isinstance(value, bytes)}
    status = Status.FromString(details.get("grpc-status-details-bin", b""))
    code = call.code().value[0]
    assert not status.code or (status.code, status.message) == (code, call.details())
    status.message = call.details()
    return Answer(code, None, status)


def _outcome(export, raw, **options):
    try:
        return export.with_call(raw, **options)
    except grpc.RpcError as error:
        return None, error


def http_answer(response):
    """HTTP's answer, whose google.rpc.Status must be in the encoding of the request."""
    content_type = response.headers["content-type"]
    assert content_type == response.request.headers.get("content-type", PROTOBUF) or content_type == PROTOBUF
    status = Status()
    if response.status_code != 200:
        if content_type == JSON:
            json_format.Parse(response.content, status)
        else:
            status.ParseFromString(response.content)
    return Answer(status.code, response.status_code, status, response.content, dict(response.headers))


@pytest.fixture
def send(running):
    """Sends bytes that are already in the transport's encoding."""

    def call(transport, signal, raw, *, headers=None, compressed=False, encoding=None):
        signal = BY_NAME[signal]
        headers = {"authorization": f"Bearer {running.key}"} if headers is None else headers
        if transport == "grpc":
            return grpc_call(running.grpc_target, signal, raw, headers, compressed=compressed)
        content_type = JSON if transport == "http/json" else PROTOBUF
        headers = {**headers, "content-type": content_type}
        if compressed or encoding:
            headers["content-encoding"] = encoding or "gzip"
        raw = gzip.compress(raw) if compressed else raw
        answer = http_answer(httpx.post(f"{running.otlp_url}{signal.http_path}", content=raw, headers=headers))
        assert answer.headers["content-type"] == content_type
        return answer

    return call


@pytest.fixture
def requests(otlp):
    """A sound request of each signal, as a message."""
    now = now_unix_nano()
    metric = BY_NAME["metrics"].request().resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
    span = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "s", "start_time_unix_nano": now}
    return {
        "traces": otlp.spans("s", span),
        "logs": otlp.logs("s", {"time_unix_nano": now, "body": "text"}),
        "metrics": otlp.metrics("s", metric),
    }


def encoded(transport, message):
    return to_json(message) if transport == "http/json" else message.SerializeToString()


def to_json(message):
    """OTLP/JSON of a message: enums as numbers, ids in hex."""
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    for resource in document.get("resourceSpans", []):
        for span in resource["scopeSpans"][0]["spans"]:
            span["traceId"], span["spanId"] = (b"t" * 16).hex().upper(), (b"s" * 8).hex()
    return json.dumps(document).encode()


def expect(answer, code, http, reason=None):
    """The code on the transport it came by, and words that a person wrote."""
    assert answer.code == code.value[0]
    assert answer.http in (None, http)
    message = answer.status.message
    assert message.endswith(".")
    for leak in ("Error", "Traceback", "Exception", "google", "python", "0x", "None"):
        assert leak not in message
    if reason:
        assert answer.reason == reason


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", BY_NAME)
@pytest.mark.parametrize("compressed", [False, True])
def test_full_success_leaves_partial_success_unset(send, requests, transport, signal, compressed):
    answer = send(transport, signal, encoded(transport, requests[signal]), compressed=compressed)
    assert (answer.code, answer.http) in {(0, None), (0, 200)}
    assert answer.body == (b"{}" if transport == "http/json" else b"")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", BY_NAME)
def test_an_empty_request_succeeds(send, transport, signal):
    answer = send(transport, signal, b"{}" if transport == "http/json" else b"")
    assert (answer.code, answer.http) in {(0, None), (0, 200)}
    assert answer.body == (b"{}" if transport == "http/json" else b"")


MALFORMED = {
    "grpc": [b"\xff", b"\x0a\x05abc", b"\x0a\x04\x0a\x02\x0a\x7f"],
    "http/protobuf": [b"\xff", b"\x0a\x05abc", b"\x0a\x04\x0a\x02\x0a\x7f"],
    "http/json": [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"resourceSpans": 3, "resourceLogs": 3, "resourceMetrics": 3}',
        b"[" * 100_000,
        b'{"resourceSpans":' * 5000,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
}


@pytest.mark.parametrize("signal", BY_NAME)
@pytest.mark.parametrize(("transport", "raw"), [(name, raw) for name, given in MALFORMED.items() for raw in given])
def test_malformed_bytes_are_refused_for_good(send, transport, signal, raw):
    answer = send(transport, signal, raw)
    expect(answer, grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-request")
    assert BY_NAME[signal].request.DESCRIPTOR.name in answer.status.message
    assert answer.retry_s is None


@pytest.mark.parametrize("transport", ["grpc", "http/protobuf"])
def test_text_that_is_not_utf8_and_endless_nesting_are_malformed(send, requests, transport):
    text = requests["logs"].SerializeToString().replace(b"text", b"te\xffx")
    expect(send(transport, "logs", text), grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-request")
    # Field 5 of AnyValue holds field 1 of ArrayValue holds an AnyValue, and so on; outside it, the way to a log body.
    deep = b""
    for tag in [b"\x2a", b"\x0a"] * 60 + [b"\x2a", b"\x2a", b"\x12", b"\x12", b"\x0a"]:
        deep = tag + _varint(len(deep)) + deep
    expect(send(transport, "logs", deep), grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-request")


@pytest.mark.parametrize(
    "span",
    [{"traceId": "no hex"}, {"traceId": "abc"}, {"startTimeUnixNano": "soon"}, {"kind": []}, {"name": "\ud800"}],
)
def test_json_with_a_wrong_field_is_malformed(send, span):
    raw = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    expect(send("http/json", "traces", raw), grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-request")


def test_json_ignores_unknown_fields(send):
    span = {"traceId": "AB" * 16, "spanId": "cd" * 8, "startTimeUnixNano": now_unix_nano(), "later": {"version": [1]}}
    raw = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span], "x": 1}]}], "y": None}).encode()
    assert send("http/json", "traces", raw).http == 200


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", BY_NAME)
def test_no_key_and_a_wrong_key(send, requests, running, transport, signal):
    raw = encoded(transport, requests[signal])
    for headers in ({}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}):
        answer = send(transport, signal, raw, headers=headers)
        expect(answer, grpc.StatusCode.UNAUTHENTICATED, 401, "api-key-missing")
    for headers in ({"authorization": "Bearer x"}, {"x-api-key": running.key[:-1] + "?"}):
        answer = send(transport, signal, raw, headers=headers)
        expect(answer, grpc.StatusCode.UNAUTHENTICATED, 401, "api-key-invalid")
    assert send(transport, signal, raw, headers={"x-api-key": running.key}).code == 0
    assert send(transport, signal, raw, headers={"authorization": f"bearer {running.key}"}).code == 0


@pytest.fixture(scope="session")
def keys_by_permission(running):
    made = (
        running.admin("create-api-key", "--tenant", running.known["tenant_id"], "--allow", f"{name}:write")
        for name in BY_NAME
    )
    return {signal: key["api_key"] for signal, key in zip(BY_NAME, made, strict=True)}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", BY_NAME)
def test_a_key_sends_the_signals_it_may(send, requests, keys_by_permission, transport, signal):
    raw = encoded(transport, requests[signal])
    for allowed, key in keys_by_permission.items():
        answer = send(transport, signal, raw, headers={"x-api-key": key})
        if allowed == signal:
            assert answer.code == 0
        else:
            expect(answer, grpc.StatusCode.PERMISSION_DENIED, 403, "signal-not-permitted")
            assert f"{signal}:write" in answer.status.message


def test_unknown_paths_methods_and_types(running):
    headers = {"authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=running.otlp_url, headers=headers) as client:
        for path in ("/", "/v1/trace", "/v1/traces/", "/v2/traces"):
            for content_type in (PROTOBUF, JSON):
                answer = http_answer(client.post(path, content=b"", headers={"content-type": content_type}))
                expect(answer, grpc.StatusCode.UNIMPLEMENTED, 404, "not-found")
                assert answer.headers["content-type"] == content_type
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
            answer = client.request(method, "/v1/traces")
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
        for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = client.post("/v1/traces", content=b"{}", headers={"content-type": content_type})
            assert answer.status_code == 415
            assert PROTOBUF in answer.json()["message"]
        with_charset = {"content-type": "Application/JSON; charset=utf-8"}
        assert client.post("/v1/traces", content=b"{}", headers=with_charset).status_code == 200
    with grpc.insecure_channel(running.grpc_target) as channel:
        for path in ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/other.Service/Export"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(b"", metadata=list(headers.items()), timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("transport", ["http/protobuf", "http/json"])
def test_broken_gzip_is_refused(send, requests, transport):
    raw = gzip.compress(encoded(transport, requests["logs"]))
    for broken in (raw[:-9], raw[:5], b"", b"no gzip", raw[:20] + b"\x00" * 8 + raw[28:]):
        answer = send(transport, "logs", broken, encoding="gzip")
        expect(answer, grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-gzip")
    answer = send(transport, "logs", raw, encoding="br")
    expect(answer, grpc.StatusCode.INVALID_ARGUMENT, 415, "unsupported-encoding")
    assert send(transport, "logs", encoded(transport, requests["logs"]), encoding="identity").http == 200


def test_gzip_in_several_members_is_read_whole(send, requests, running):
    first = requests["logs"].SerializeToString()
    requests["logs"].resource_logs[0].scope_logs[0].log_records[0].body.string_value = "membership"
    both = gzip.compress(first) + gzip.compress(requests["logs"].SerializeToString())
    assert send("http/protobuf", "logs", both, encoding="gzip").http == 200
    with running.api() as api:
        assert len(api.post("/logs/search", json={"query": "membership"}).json()["items"]) == 1
    answer = send("http/protobuf", "logs", gzip.compress(b"") * 1000, encoding="gzip")
    expect(answer, grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-gzip")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("compressed", [False, True])
def test_requests_that_are_too_large_are_refused_for_good(send, transport, compressed):
    answer = send(transport, "logs", bytes(INGEST_REQUEST_BYTES_MAX + 1), compressed=compressed)
    assert answer.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert answer.http in (None, 413)
    # Without RetryInfo a client drops the data, as it must: it would be too large again.
    assert answer.retry_s is None
    assert "retry-after" not in answer.headers


def test_collectors_may_ping_every_ten_seconds():
    options = dict(_OPTIONS)
    assert options["grpc.http2.min_recv_ping_interval_without_data_ms"] <= 5000
    assert options["grpc.keepalive_permit_without_calls"]


@pytest.fixture
async def stranded(metadata_store):
    """A receiver whose ClickHouse is away, and a key for it."""
    hasher = SlowHasher()
    tenant = await administration.create_tenant(metadata_store, organization="Acme", workspace="Main", tenant="one")
    key = await administration.create_api_key(metadata_store, hasher, tenant_id=tenant.tenant_id, name="collector")
    verifier = ApiKeyVerifier(metadata_store, hasher, SecretKeys((b"s" * 32,)))
    # Port 9 (discard) of the loopback interface: nothing listens there.
    store = TelemetryStore(Settings(clickhouse_dsn="http://127.0.0.1:9"))
    ingest = Ingest(store, verifier)
    yield ingest, key.api_key
    await ingest.close()
    await store.close()
    hasher.close()


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
async def test_a_store_that_is_away_asks_http_clients_to_come_again(stranded, requests, content_type):
    ingest, key = stranded
    raw = to_json(requests["logs"]) if content_type == JSON else requests["logs"].SerializeToString()
    headers = {"x-api-key": key, "content-type": content_type}
    transport = httpx.ASGITransport(HttpApplication(ingest))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = http_answer(await client.post("/v1/logs", content=raw, headers=headers))
    expect(answer, grpc.StatusCode.UNAVAILABLE, 503, "telemetry-store-unavailable")
    assert answer.retry_s is not None
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_store_that_is_away_asks_grpc_clients_to_come_again(stranded, requests):
    ingest, key = stranded
    server = GrpcServer(ingest)
    await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        export = channel.unary_unary(f"/{BY_NAME['logs'].grpc_service}/Export")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await export(requests["logs"].SerializeToString(), metadata=[("x-api-key", key)])
    await server.stop(0)
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    answer = Answer(caught.value.code().value[0], None, Status.FromString(details))
    expect(answer, grpc.StatusCode.UNAVAILABLE, 503, "telemetry-store-unavailable")
    assert answer.retry_s is not None
