"""Requests that are refused whole, over both transports: in the tenant's rejections and in the key's usage log."""
# ruff: noqa: PLR0917 - fixtures

import asyncio
import gzip
from collections import Counter

import grpc
import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.directory import ingest_limits
from duoscope.kernel import limits
from duoscope.kernel.actor import operator
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import unavailable
from duoscope.kernel.scope import PlatformScope
from duoscope.receiver import refusals
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import LOGS, TRACES
from duoscope.receiver.transport.grpc_server import GrpcServer
from duoscope.receiver.transport.http_server import HttpApplication
from duoscope.telemetry.usage.reasons import REFUSALS

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
async def verifier(metadata_store, hasher, secret_keys):
    return ApiKeyVerifier(metadata_store, hasher, secret_keys)


@pytest.fixture
async def ingest(verifier, telemetry_store, tmp_path):
    made = Ingest(telemetry_store, verifier, RequestLog.open(tmp_path / "ingest"), driver=Driver())
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def write(ingest, metadata_store, verifier):
    """Write what was counted, as is done every five seconds."""

    async def write():
        await ingest._refusals.write()
        await ApiKeyUpkeep(metadata_store, verifier).flush()

    return write


@pytest.fixture
async def client(ingest, inhabited):
    transport = httpx.ASGITransport(HttpApplication(ingest))
    headers = PROTOBUF | {"x-api-key": inhabited.key.api_key}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


@pytest.fixture
async def export(ingest, inhabited):
    """Send bytes over gRPC; answers the status."""
    server = GrpcServer(ingest)
    await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:

        async def call(signal, raw):
            method = channel.unary_unary(f"/{signal.grpc_service}/Export")
            try:
                await method(raw, metadata=(("x-api-key", inhabited.key.api_key),))
            except grpc.aio.AioRpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        yield call
    await server.stop(1)


@pytest.fixture
async def told(ingest, inhabited, api, metadata_store, write):
    """The API's view: rejections by signal and reason; the usage log: requests by endpoint and status."""
    principal = await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)
    headers = await api.headers(principal.scope, "tenant:read")

    async def told():
        await write()
        answer = await api.client.get("/api/v1/ingest/rejections?per=day", headers=headers)
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        assert all(item["explanation"] == _explained(item["reason"]) for item in items)
        assert not any(item["items"] for item in items)
        async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.usage") as tx:
            rows = await tx.fetch("SELECT endpoint, status_code, request_count FROM api_key_usage_logs")
        uses = Counter()
        for row in rows:
            uses[row["endpoint"], row["status_code"]] += row["request_count"]
        return {(item["signal"], item["reason"]): item["requests"] for item in items}, dict(uses)

    return told


def _explained(reason):
    return REFUSALS[reason].format(burst_seconds=1)


async def test_what_was_refused_over_http(client, told, otlp, inhabited, metadata_store, verifier):
    record = otlp.logs("s", {"time_unix_nano": now_unix_nano()}).SerializeToString()
    three = otlp.logs("s", *({"time_unix_nano": now_unix_nano()} for _ in range(3))).SerializeToString()
    too_long = {"content-length": str(limits.INGEST_REQUEST_BYTES_MAX + 1)}
    await ingest_limits.change(
        metadata_store, operator(), inhabited.tenant_id, {"items_per_second": 2, "burst_seconds": 1}
    )
    await verifier.recheck()
    for path, content, headers, status in (
        ("logs", record, {}, 200),
        ("logs", b"\xff", {}, 400),
        ("logs", b"\xff", {}, 400),
        ("logs", b"no gzip", {"content-encoding": "gzip"}, 400),
        ("logs", b"<xml/>", {"content-type": "application/xml"}, 415),
        ("logs", b"", {"content-encoding": "br"}, 415),
        ("metrics", b"", too_long, 413),
        ("logs", three, {}, 413),
    ):
        answer = await client.post(f"/v1/{path}", content=content, headers=headers)
        assert answer.status_code == status, answer.text
    assert await told() == (
        {
            ("logs", "malformed-request"): 2,
            ("logs", "malformed-gzip"): 1,
            ("logs", "unsupported-media-type"): 1,
            ("logs", "unsupported-encoding"): 1,
            ("logs", "larger-than-limit"): 1,
            ("metrics", "request-too-large"): 1,
        },
        {
            ("/v1/logs", 200): 1, ("/v1/logs", 400): 3, ("/v1/logs", 415): 2, ("/v1/logs", 413): 1,
            ("/v1/metrics", 413): 1,
        },
    )  # fmt: skip


async def test_what_was_refused_over_grpc(export, told, otlp, inhabited, metadata_store, verifier):
    record = otlp.logs("s", {"time_unix_nano": now_unix_nano()}).SerializeToString()
    await ingest_limits.change(
        metadata_store, operator(), inhabited.tenant_id, {"items_per_second": 1, "burst_seconds": 1}
    )
    await verifier.recheck()
    assert await export(LOGS, record) is grpc.StatusCode.OK
    assert await export(LOGS, record) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await export(TRACES, b"\xff") is grpc.StatusCode.RESOURCE_EXHAUSTED  # the pledge of the one before
    await asyncio.sleep(1.1)  # the clock of a limit is a clock
    assert await export(TRACES, b"\xff") is grpc.StatusCode.INVALID_ARGUMENT
    # More than a message may hold, which is found before or after it is inflated.
    large = bytes(limits.INGEST_REQUEST_BYTES_MAX + 1)
    assert await export(TRACES, large) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await export(TRACES, gzip.compress(large, 1)) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await told() == (
        {
            ("logs", "items-limited"): 1,
            ("traces", "items-limited"): 1,
            ("traces", "malformed-request"): 1,
            ("traces", "request-too-large"): 2,
        },
        {("logs", 200): 1, ("logs", 429): 1, ("traces", 429): 1, ("traces", 400): 1, ("traces", 413): 2},
    )


async def _sent_as(encoding, port, key):
    """The gRPC status of a call whose message is compressed so, sent as HTTP/2: grpcio's client knows no such name."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    path = f"/{LOGS.grpc_service}/Export"
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "te": "trailers"}
    headers |= {"content-type": "application/grpc", "grpc-encoding": encoding, "x-api-key": key}
    connection.send_headers(1, list(headers.items()))
    connection.send_data(1, b"\x01\x00\x00\x00\x08squeezed", end_stream=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            writer.write(connection.data_to_send())
            for event in connection.receive_data(await reader.read(65536)):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    answer = dict(event.headers)
                    if "grpc-status" in answer:
                        return answer["grpc-status"]
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("encoding", ["zstd", "snappy", "deflate", "unheard-of"])
async def test_compressions_that_grpc_does_not_take_are_counted(
    ingest, told, inhabited, verifier, monkeypatch, encoding
):
    counted, count = asyncio.Semaphore(0), refusals.RejectionCounter.count

    def noted(self, *what):
        count(self, *what)
        counted.release()

    monkeypatch.setattr(refusals.RejectionCounter, "count", noted)
    server = GrpcServer(ingest)
    await server.start("127.0.0.1", 0)
    assert await _sent_as(encoding, server.port, inhabited.key.api_key) in {"12", "13"}  # UNIMPLEMENTED, INTERNAL
    assert await _sent_as(encoding, server.port, "no key of ours") in {"12", "13"}
    verifier._verified.clear()  # the call ends before its key is known
    assert await _sent_as(encoding, server.port, inhabited.key.api_key) in {"12", "13"}
    async with asyncio.timeout(20):
        await counted.acquire()
        await counted.acquire()
    await server.stop(1)
    assert await told() == ({("logs", "unsupported-encoding"): 2}, {("logs", 415): 2})


async def test_a_key_from_a_wrong_address(ingest, told, inhabited, metadata_store, verifier, client):
    async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.bind") as tx:
        await tx.execute("UPDATE api_keys SET allowed_addresses = $1", ["192.0.2.1"])
    await verifier.recheck()
    assert (await client.post("/v1/logs", content=b"")).status_code == 403
    assert await told() == ({("logs", "address-not-allowed"): 1}, {("/v1/logs", 403): 1})


async def test_a_key_from_a_wrong_page(ingest, told, inhabited, metadata_store, verifier, client):
    async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.pages") as tx:
        await tx.execute("UPDATE api_keys SET allowed_origins = '{https://a.example}', rate_limit = 5, name = 'page'")
    await verifier.recheck()
    assert (await client.post("/v1/logs", content=b"", headers={"origin": "https://a.example"})).status_code == 200
    assert (await client.post("/v1/logs", content=b"", headers={"origin": "https://b.example"})).status_code == 403
    assert await told() == (
        {("logs", "origin-not-allowed"): 1}, {("/v1/logs", 200): 1, ("/v1/logs", 403): 1},
    )  # fmt: skip


async def test_a_key_that_may_not_send_the_signal(ingest, told, verifier, inhabited):
    principal = await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)
    object.__setattr__(principal, "signals", frozenset({"logs:write"}))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(HttpApplication(ingest)), base_url="http://test")
    answer = await client.post("/v1/traces", content=b"", headers=PROTOBUF | {"x-api-key": inhabited.key.api_key})
    assert answer.status_code == 403
    assert await told() == ({("traces", "signal-not-permitted"): 1}, {("/v1/traces", 403): 1})


async def test_counts_outlive_an_outage_once_and_have_an_end(ingest, told, client, monkeypatch):
    counts, writer = ingest._refusals, ingest._refusals._writer
    assert (await client.post("/v1/logs", content=b"\xff")).status_code == 400
    insert = type(writer).insert

    async def committed_unheard(self, *block, **how):
        await insert(self, *block, **how)
        raise unavailable("away", code="telemetry-store-unavailable", retry_after_s=1)

    monkeypatch.setattr(type(writer), "insert", committed_unheard)
    await counts.write()
    # What is counted meanwhile waits, and no more kinds of it than there is room for.
    monkeypatch.setattr(refusals, "COUNTS_MAX", 1)
    for path in ("logs", "logs", "metrics"):
        assert (await client.post(f"/v1/{path}", content=b"\xff")).status_code == 400
    await counts.write()
    monkeypatch.undo()
    await counts.write()
    found, uses = await told()
    assert found == {("logs", "malformed-request"): 3}
    assert uses == {("/v1/logs", 400): 3, ("/v1/metrics", 400): 1}
