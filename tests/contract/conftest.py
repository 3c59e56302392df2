"""The conformance suite's rows, and clients of the three OTLP transports.

A test of an obligation carries `@pytest.mark.obligation(id, section, sent, back)`. `make conformance` prints all of
them as a table, with what each transport did.
"""

import asyncio
import gzip
import json
import os
import socket
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import httpx
import pytest
from backports import zstd
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.operators import administration
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.settings import Settings
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import SIGNALS
from duoscope.receiver.transport.grpc_server import GrpcServer
from duoscope.receiver.transport.http_server import JSON, PROTOBUF, HttpApplication, http_server
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.clickhouse import TelemetryStore

TRANSPORTS = ("grpc", "http/protobuf", "http/json")
BY_NAME = {signal.name: signal for signal in SIGNALS}
NO_LIMIT = [("grpc.max_send_message_length", -1)]
_COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress}


def pytest_configure(config):
    config.addinivalue_line("markers", "obligation(id, section, sent, back): a row of the OTLP conformance suite")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    row = item.get_closest_marker("obligation")
    if row is not None:
        transport = getattr(item, "callspec", None) and item.callspec.params.get("transport")
        outcome.get_result().obligation = (row.args, transport or row.kwargs.get("over", "http"))


def pytest_terminal_summary(terminalreporter):
    if not os.environ.get("CONFORMANCE_TABLE"):
        return
    rows = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            if hasattr(report, "obligation") and (report.when == "call" or outcome != "passed"):
                row, transport = report.obligation
                counts = rows.setdefault(row, {}).setdefault(transport, [0, 0])
                counts[outcome != "passed"] += 1
    write = terminalreporter.write_line
    kept = 0
    for row in sorted(rows):
        identifier, section, sent, back = row
        by_transport = rows[row]
        failed = sum(bad for _, bad in by_transport.values())
        kept += not failed
        verdicts = ", ".join(
            f"{name} {good}" if not bad else f"{name} {bad} of {good + bad} FAILED"
            for name, (good, bad) in sorted(by_transport.items())
        )
        write(f"{'ok  ' if not failed else 'FAIL'} {identifier}  {section}")
        write(f"       sent: {sent}")
        write(f"       back: {back}")
        write(f"       held: {verdicts}")
    write(f"{kept} of {len(rows)} obligations of OTLP 1.11 kept")


@dataclass
class Answer:
    """The answer: the gRPC code (over HTTP that of google.rpc.Status) and, over HTTP, its status."""

    code: int
    http: int | None
    status: Status = field(default_factory=Status)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def detail(self, kind):
        """The detail of a kind, or None."""
        found = kind()
        return next((found for each in self.status.details if each.Unpack(found)), None)

    @property
    def reason(self) -> str:
        return self.detail(ErrorInfo).reason

    @property
    def bad_request(self):
        return self.detail(BadRequest)

    @property
    def retry_s(self) -> float | None:
        """The seconds until the client may try again, if it may."""
        hint = self.detail(RetryInfo)
        return hint and hint.retry_delay.ToMilliseconds() / 1000

    def message(self, transport, signal):
        """The body as the signal's response."""
        assert (self.code, self.http) in {(0, None), (0, 200)}, self.status
        found = signal.response()
        if transport == "http/json":
            return json_format.Parse(self.body, found)
        found.ParseFromString(self.body)
        return found

    def expect(self, code, http, reason=None):
        """Check the code on the transport it came by, and words of its message."""
        assert self.code == code.value[0], self.status
        assert self.http in (None, http)
        message = self.status.message
        assert message.endswith(".")
        for leak in ("Error", "Traceback", "Exception", "google", "python", "0x", "None"):
            assert leak not in message
        if reason:
            assert self.reason == reason
        return self


def grpc_outcome(code, details, metadata):
    packed = {key: value for key, value in metadata or () if isinstance(value, bytes)}
    status = Status.FromString(packed.get("grpc-status-details-bin", b""))
    assert not status.code or (status.code, status.message) == (code.value[0], details)
    status.message = details
    return Answer(code.value[0], None, status)


def http_answer(response):
    """An HTTP answer, whose google.rpc.Status must be in the encoding of the request."""
    content_type = response.headers["content-type"]
    sent = response.request.headers.get("content-type", "").partition(";")[0].lower()
    assert content_type == (PROTOBUF if sent == PROTOBUF else JSON)
    status = Status()
    if response.status_code != 200 and response.content:
        if content_type == JSON:
            json_format.Parse(response.content, status)
        else:
            status.ParseFromString(response.content)
    return Answer(status.code, response.status_code, status, response.content, response.headers)


def _to_json(message):
    """A message as OTLP/JSON: enums as numbers, ids in hex."""
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    for resource in document.get("resourceSpans", []):
        for span in resource["scopeSpans"][0]["spans"]:
            span["traceId"], span["spanId"] = (b"t" * 16).hex().upper(), (b"s" * 8).hex()
    return json.dumps(document).encode()


class Sender:
    """A client of a receiver over all three transports; bytes are already in the transport's encoding."""

    def __init__(self, grpc_target, http_url, key, *, credentials=None, verify=True):
        self.grpc_target, self.http_url, self.key = grpc_target, http_url, key
        self.credentials, self.verify = credentials, verify

    def channel(self, options=()):
        options = [*NO_LIMIT, *options]
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.grpc_target, options=options)
        return grpc.aio.secure_channel(self.grpc_target, self.credentials, options=options)

    def client(self, **options):
        return httpx.AsyncClient(base_url=self.http_url, verify=self.verify, timeout=60, **options)

    async def __call__(
        self, transport, signal, raw=None, *, headers=None, compression=None, encoding=None, timeout_s=60
    ):
        """Send a request. `compression` compresses, `encoding` only sets the header. Without `raw` it is the empty
        request.
        """
        signal = BY_NAME[signal]
        if raw is None:
            raw = b"{}" if transport == "http/json" else b""
        headers = {"authorization": f"Bearer {self.key}"} if headers is None else headers
        if transport == "grpc":
            return await self._over_grpc(signal, raw, headers, compression, timeout_s)
        headers = {**headers, "content-type": JSON if transport == "http/json" else PROTOBUF}
        if compression:
            raw = _COMPRESS[compression](raw)
        if compression or encoding:
            headers["content-encoding"] = compression or encoding
        async with self.client() as client:
            return http_answer(await client.post(signal.http_path, content=raw, headers=headers, timeout=timeout_s))

    async def _over_grpc(self, signal, raw, headers, compression, timeout_s):
        kind = grpc.Compression.Gzip if compression else grpc.Compression.NoCompression
        async with self.channel() as channel:
            export = channel.unary_unary(f"/{signal.grpc_service}/Export")
            call = export(raw, metadata=list(headers.items()), compression=kind, timeout=timeout_s)
            code, details = await call.code(), await call.details()
            if code is grpc.StatusCode.OK:
                return Answer(0, None, body=await call)
            return grpc_outcome(code, details, await call.trailing_metadata())


@pytest.fixture
def send(running):
    """A client of the running duoscope."""
    return Sender(running.grpc_target, running.otlp_url, running.key)


@pytest.fixture
def sound(otlp):
    """A valid request of each signal, as a message."""
    now = now_unix_nano()
    metric = BY_NAME["metrics"].request().resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
    span = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "s", "start_time_unix_nano": now}
    return {
        "traces": otlp.spans("s", span),
        "logs": otlp.logs("s", {"time_unix_nano": now, "body": "text"}),
        "metrics": otlp.metrics("s", metric),
    }


@pytest.fixture
def encoded(sound):
    """A valid request of a signal in the encoding of a transport."""
    return lambda transport, signal: (
        _to_json(sound[signal]) if transport == "http/json" else sound[signal].SerializeToString()
    )


@pytest.fixture
async def verifier(metadata_store):
    """A verifier of keys; `verifier.key` is a valid key."""
    hasher = SlowHasher()
    tenant = await administration.create_tenant(metadata_store, organization="Acme", workspace="Main", tenant="one")
    key = await administration.create_api_key(metadata_store, hasher, tenant_id=tenant.tenant_id, name="collector")
    made = ApiKeyVerifier(metadata_store, hasher, SecretKeys((b"s" * 32,)))
    made.key = key.api_key
    yield made
    hasher.close()


@pytest.fixture
async def stranded_store():
    """A ClickHouse that is down. Port 9 (discard) of the loopback interface: nothing listens there."""
    store = TelemetryStore(Settings(clickhouse_dsn="http://127.0.0.1:9"))
    yield store
    await store.close()


@pytest.fixture
def serve(stranded_store, verifier, tmp_path):
    """Serves an Ingest on both ports; empty requests need no store."""

    @asynccontextmanager
    async def serving(kind=Ingest, tls=None, *, trusted=(), **options):
        ingest = kind(
            stranded_store, verifier, await asyncio.to_thread(RequestLog.open, tmp_path / "ingest"), driver=Driver()
        )
        await ingest.start()
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        http = http_server(HttpApplication(ingest, trusted), tls, **options)
        await http.start(listening)
        grpc_server = GrpcServer(ingest, tls, trusted)
        await grpc_server.start("127.0.0.1", 0)
        scheme = "https" if tls else "http"
        sender = Sender(f"127.0.0.1:{grpc_server.port}", f"{scheme}://127.0.0.1:{http.port}", verifier.key)
        sender.servers, sender.ingest = (http, grpc_server), ingest
        try:
            yield sender
        finally:
            await http.stop(0)
            await grpc_server.stop(0)
            await ingest.close()
            assert ingest.budget._held == 0

    return serving
