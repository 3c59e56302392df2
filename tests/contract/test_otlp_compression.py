"""The obligations of OTLP 1.11 on compression and sizes: what is inflated, how far, and what is refused for good.

Bombs and damaged bodies are made here; the rows of sound requests in gzip and zstd are in `test_otlp_conformance.py`.
"""

import gzip
import zlib

import grpc
import pytest
from backports import zstd

from duoscope.kernel.limits import INGEST_REQUEST_BYTES_MAX, INGEST_ZSTD_WINDOW_LOG_MAX
from duoscope.receiver.signals import LOGS

TRANSPORTS = ("grpc", "http/protobuf", "http/json")
HTTP = TRANSPORTS[1:]

obligation = pytest.mark.obligation
over_http = pytest.mark.parametrize("transport", HTTP)


@obligation(
    "14",
    "OTLP/gRPC Request; OTLP/HTTP Request",
    "a request over the limit, plain, or only once inflated",
    "RESOURCE_EXHAUSTED or 413, no RetryInfo, no Retry-After",
)
@pytest.mark.parametrize(
    ("transport", "compression"),
    [(name, kind) for name in TRANSPORTS for kind in (None, "gzip", "zstd") if (name, kind) != ("grpc", "zstd")],
)
async def test_too_large(send, transport, compression):
    answer = await send(transport, "logs", bytes(INGEST_REQUEST_BYTES_MAX + 1), compression=compression)
    assert answer.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert answer.http in (None, 413)
    assert answer.retry_s is None
    assert "retry-after" not in answer.headers


def _bomb(encoding):
    """Half a terabyte of zeros, said to be none."""
    if encoding == "zstd":
        zeros = zstd.compress(bytes(2**24), options={zstd.CompressionParameter.content_size_flag: 0})
        return zeros * 60
    deflater = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = bytes(2**24)
    return b"".join(deflater.compress(block) for _ in range(64)) + deflater.flush()[:-4] + bytes(4)


@obligation("15", "OTLP/HTTP Request", "a bomb that claims to be small", "RESOURCE_EXHAUSTED or 413, read no further")
@pytest.mark.parametrize(("transport", "encoding"), [(name, kind) for name in HTTP for kind in ("gzip", "zstd")])
async def test_bombs(send, transport, encoding):
    answer = await send(transport, "logs", _bomb(encoding), encoding=encoding)
    answer.expect(grpc.StatusCode.RESOURCE_EXHAUSTED, 413, "request-too-large")
    assert answer.retry_s is None


@obligation("16", "Bad Data", "compressed bodies that are damaged or cut short", "400, no Retry-After")
@over_http
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_broken_compression(send, encoded, transport, encoding):
    raw = {"gzip": gzip, "zstd": zstd}[encoding].compress(encoded(transport, "logs"))
    for broken in (raw[:-9], raw[:5], b"", b"no such format", raw[:4] + b"\xff" * 9 + raw[13:], raw + b"\x00"):
        answer = await send(transport, "logs", broken, encoding=encoding)
        answer.expect(grpc.StatusCode.INVALID_ARGUMENT, 400, f"malformed-{encoding}")


@obligation(
    "17",
    "OTLP/gRPC Request",
    "gzip that is damaged, or a compression we do not know",
    "not retryable, no text of grpcio",
)
@pytest.mark.parametrize("transport", ["grpc"])
async def test_broken_compression_over_grpc(send, transport):
    answer = await send(transport, "logs", b"\x1f\x8b\x08\x00broken")
    answer.expect(grpc.StatusCode.INVALID_ARGUMENT, None, "malformed-gzip")
    async with send.channel() as channel:
        export = channel.unary_unary(f"/{LOGS.grpc_service}/Export")
        call = export(b"", metadata=[("x-api-key", send.key)], compression=grpc.Compression.Deflate, timeout=10)
        assert await call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNIMPLEMENTED)


@obligation("18", "OTLP/HTTP Request", "a content-encoding we do not take", "415 with accept-encoding: gzip, zstd")
@over_http
async def test_unknown_content_encodings(send, encoded, transport):
    for encoding in ("br", "deflate", "gzip, gzip", "x"):
        answer = await send(transport, "logs", encoded(transport, "logs"), encoding=encoding)
        answer.expect(grpc.StatusCode.INVALID_ARGUMENT, 415, "unsupported-encoding")
        assert answer.headers["accept-encoding"] == "gzip, zstd"
    for encoding in ("identity", "GZIP"):
        raw = encoded(transport, "logs")
        raw = gzip.compress(raw) if encoding == "GZIP" else raw
        assert (await send(transport, "logs", raw, encoding=encoding)).http == 200


@obligation(
    "19", "OTLP/HTTP Request", "gzip of several members, zstd of several frames", "200, and all of it is stored"
)
@pytest.mark.parametrize("transport", ["http/protobuf"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_bodies_in_parts(send, sound, running, transport, encoding):
    compress = {"gzip": gzip, "zstd": zstd}[encoding].compress
    first = sound["logs"].SerializeToString()
    sound["logs"].resource_logs[0].scope_logs[0].log_records[0].body.string_value = f"membership{encoding}"
    both = compress(first) + compress(sound["logs"].SerializeToString())
    assert (await send(transport, "logs", both, encoding=encoding)).http == 200
    with running.api() as api:
        assert len(api.post("/logs/search", json={"query": f"membership{encoding}"}).json()["items"]) == 1
    answer = await send(transport, "logs", compress(b"") * 1000, encoding=encoding)
    answer.expect(grpc.StatusCode.INVALID_ARGUMENT, 400, f"malformed-{encoding}")


@obligation("20", "OTLP/HTTP Request", "zstd with a window over our limit", "400: it says which window is taken")
@over_http
async def test_zstd_windows(send, encoded, transport):
    window = zstd.CompressionParameter.window_log
    raw = encoded(transport, "logs")
    for log in (23, INGEST_ZSTD_WINDOW_LOG_MAX):
        made = zstd.ZstdCompressor(options={window: log})
        assert (await send(transport, "logs", made.compress(raw) + made.flush(), encoding="zstd")).http == 200
    made = zstd.ZstdCompressor(options={window: INGEST_ZSTD_WINDOW_LOG_MAX + 1})
    answer = await send(transport, "logs", made.compress(raw) + made.flush(), encoding="zstd")
    assert "32 MiB" in answer.expect(grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed-zstd").status.message
