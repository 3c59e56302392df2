"""Obligations on connections, from OTLP and common sense: pings, deadlines, limits, order of checks, memory, a clean
stop.

The limits in seconds are shortened here; the tests check what happens after them. Clients are plain sockets where a
library would hide what is tested.
"""

import asyncio
import contextlib
import gzip

import grpc
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from duoscope.kernel import limits
from duoscope.receiver.ingest import Accepted, Ingest
from duoscope.receiver.signals import LOGS

obligation = pytest.mark.obligation
METHOD = f"/{LOGS.grpc_service}/Export"
PING, GOAWAY, ACK = 6, 7, 1


class Wire:
    """A TCP connection to the HTTP port, seen as it is."""

    def __init__(self, reader, writer, key):
        self.reader, self.writer, self.key = reader, writer, key

    async def send(self, raw):
        self.writer.write(raw)
        await self.writer.drain()

    async def request(self, length=0, body=b"", *extra, key=None, content_type="application/json"):
        lines = ["POST /v1/logs HTTP/1.1", "host: x", f"x-api-key: {key or self.key}", f"content-type: {content_type}"]
        lines += [f"content-length: {length}", *extra, "", ""]
        await self.send("\r\n".join(lines).encode() + body)

    async def answer(self):
        """Status, headers and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def closed(self):
        """Wait until the other end closes; what came before is answered."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""


@pytest.fixture
def connect():
    @contextlib.asynccontextmanager
    async def connecting(send):
        host, port = send.http_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield Wire(reader, writer, send.key)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return connecting


def reason(body):
    status = json_format.Parse(body, Status())
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


class FrameCounter:
    """Reads an HTTP/2 byte stream and keeps the types of its frames, acknowledgements apart."""

    def __init__(self, preface):
        self._skip, self._buffer = preface, b""
        self.pings = self.goaways = 0
        self.changed = asyncio.Event()

    def feed(self, data):
        self._buffer += data
        self._buffer, self._skip = self._buffer[self._skip :], max(0, self._skip - len(self._buffer))
        while len(self._buffer) >= 9 and len(self._buffer) >= 9 + int.from_bytes(self._buffer[:3], "big"):
            kind, flags = self._buffer[3], self._buffer[4]
            self.pings += kind == PING and not flags & ACK
            self.goaways += kind == GOAWAY
            self._buffer = self._buffer[9 + int.from_bytes(self._buffer[:3], "big") :]
        self.changed.set()


@obligation(
    "40", "the collector's default", "pings on an idle connection, every second", "acknowledged, no GOAWAY", over="grpc"
)
async def test_pings_of_a_real_client(serve):
    there, back = FrameCounter(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), FrameCounter(0)

    async def relay(reader, writer, counter):
        with contextlib.closing(writer):
            while data := await reader.read(65536):
                counter.feed(data)
                writer.write(data)

    async with serve() as send:
        host, port = send.grpc_target.split(":")

        async def accept(reader, writer):
            upstream = await asyncio.open_connection(host, int(port))
            with contextlib.suppress(ConnectionError):
                await asyncio.gather(relay(reader, upstream[1], there), relay(upstream[0], writer, back))

        relaying = await asyncio.start_server(accept, "127.0.0.1", 0)
        send.grpc_target = f"127.0.0.1:{relaying.sockets[0].getsockname()[1]}"
        options = [("grpc.keepalive_time_ms", 1100), ("grpc.keepalive_permit_without_calls", 1)]
        options += [("grpc.http2.max_pings_without_data", 0)]
        async with send.channel(options) as channel:
            await channel.unary_unary(METHOD)(b"", metadata=[("x-api-key", send.key)])
            before = there.pings
            while there.pings < before + 4:
                there.changed.clear()
                await asyncio.wait_for(there.changed.wait(), 10)
            await channel.unary_unary(METHOD)(b"", metadata=[("x-api-key", send.key)])
            assert back.goaways == 0
            assert channel.get_state() is grpc.ChannelConnectivity.READY
        relaying.close()
        await relaying.wait_closed()


@obligation("41", "our own", "headers with a wrong key, and not a byte of a message", "refused at once", over="grpc")
async def test_grpc_checks_the_key_before_the_message(serve):
    async with serve() as send, send.channel() as channel:
        call = channel.stream_unary(METHOD)(metadata=[("x-api-key", "wrong")], timeout=10)
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        # A bomb is not even looked at.
        call = channel.unary_unary(METHOD)(gzip.compress(bytes(2**22)), metadata=[("x-api-key", "wrong")], timeout=10)
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


@obligation("42", "RFC 9110, 10.1.1", "expect: 100-continue with a wrong key; too long; sound", "401; 413; 100 and 200")
async def test_http_checks_before_the_body(serve, connect):
    async with serve() as send:
        for key, length, status in (("wrong", 2, 401), (None, limits.INGEST_REQUEST_BYTES_MAX + 1, 413)):
            async with connect(send) as wire:
                await wire.request(length, b"", "expect: 100-continue", key=key)
                assert (await wire.answer())[0] == status
        async with connect(send) as wire:
            await wire.request(2, b"", "expect: 100-continue")
            assert (await wire.answer())[0] == 100
            await wire.send(b"{}")
            assert (await wire.answer())[0] == 200


@obligation(
    "43", "OTLP/HTTP Connection", "a refused body that is sent all the same", "its answer arrives; the connection lives"
)
async def test_a_refused_body_is_read_to_its_end(serve, connect):
    async with serve() as send, connect(send) as wire:
        size = 8 * 2**20
        await wire.request(size, bytes(size), key="wrong")
        assert (await wire.answer())[0] == 401
        await wire.request(2, b"{}")
        assert (await wire.answer())[0] == 200
        # Told to close, the server waits for the end of the body: else the answer would go down with the connection.
        await wire.request(size, b"", "connection: close", key="wrong")
        status, headers, _ = await wire.answer()
        assert (status, headers["connection"]) == (401, "close")
        await wire.send(bytes(size))
        assert await wire.closed() == b""


@obligation("44", "our own", "no headers, half a line of them, or a refused body without end", "closed")
async def test_silent_connections_are_closed(serve, connect, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_HEADERS_MAX_S", 0.2)
    monkeypatch.setattr(limits, "HTTP_DISCARD_MAX_S", 0.2)
    async with serve() as send:
        for start in (b"", b"\r\n", b"POST /v1/lo", b"POST /v1/logs HTTP/1.1\r\nhost: x\r\nx-api"):
            async with connect(send) as wire:
                await wire.send(start)
                assert await wire.closed() == b""
        async with connect(send) as wire:
            await wire.request(2, b"{}")
            assert (await wire.answer())[0] == 200
            await wire.send(b"P")
            assert await wire.closed() == b""
        async with connect(send) as wire:
            await wire.request(1000, b"12", key="wrong")
            assert (await wire.answer())[0] == 401
            assert await wire.closed() == b""


@obligation("45", "our own", "nothing, on a connection that had its answer", "closed after a while")
async def test_idle_connections_are_closed(serve, connect, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_IDLE_MAX_S", 1)
    async with serve() as send, connect(send) as wire:
        await wire.request(2, b"{}")
        assert (await wire.answer())[0] == 200
        assert await wire.closed() == b""


@obligation("46", "Failures", "a body that stops half-way", "503 with Retry-After: the data is not at fault")
async def test_slow_bodies(serve, connect, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_BODY_PAUSE_MAX_S", 0.2)
    async with serve() as send, connect(send) as wire:
        await wire.request(1000, b"{")
        status, headers, body = await wire.answer()
        assert (status, reason(body)) == (503, "request-too-slow")
        assert int(headers["retry-after"]) > 0


@obligation("47", "Failures", "a call whose message does not come", "UNAVAILABLE with RetryInfo", over="grpc")
async def test_slow_messages(serve, monkeypatch):
    monkeypatch.setattr(limits, "HTTP_BODY_MAX_S", 0.2)
    async with serve() as send, send.channel() as channel:
        call = channel.stream_unary(METHOD)(metadata=[("x-api-key", send.key)], timeout=10)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        status = Status.FromString(dict(await call.trailing_metadata())["grpc-status-details-bin"])
        assert any("RetryInfo" in each.type_url for each in status.details)


@obligation(
    "48", "RFC 9110, 15; RFC 6585, 5", "headers over 16 KiB; what is no HTTP", "431; 400; google.rpc.Status in JSON"
)
async def test_what_is_no_request(serve, connect):
    big = b"a" * limits.HTTP_HEADERS_BYTES_MAX
    line = b"POST /v1/logs HTTP/1.1\r\n"
    async with serve() as send:
        for raw in (line + b"a: " + big + b"\r\n\r\n", line + b"a: " + big, b"POST /" + big, line + b"a: b\r\n" * 8000):
            async with connect(send) as wire:
                await wire.send(raw)
                status, headers, body = await wire.answer()
                assert (status, headers["connection"], reason(body)) == (431, "close", "headers-too-large")
        for raw in (
            b"\x16\x03\x01\x02\x00\x01",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            line + b"content-length: x\r\n\r\n",
        ):
            async with connect(send) as wire:
                await wire.send(raw)
                status, headers, body = await wire.answer()
                assert (status, reason(body)) == (400, "malformed-http")
                assert headers["content-type"] == "application/json"


@obligation(
    "49", "OTLP/HTTP Throttling", "more connections than there may be", "503 with Retry-After; far more: closed"
)
async def test_too_many_connections(serve, connect):
    async with serve(connections_max=4) as send, contextlib.AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connect(send)) for _ in range(4)]
        for wire in wires:
            await wire.request(2, b"{}")
            assert (await wire.answer())[0] == 200
        wires.append(await stack.enter_async_context(connect(send)))
        await wires[4].request(2, b"{}")
        status, headers, body = await wires[4].answer()
        assert (status, headers["connection"], reason(body)) == (503, "close", "too-many-connections")
        assert int(headers["retry-after"]) > 0
        await wires[4].closed()
        # Far more are closed unheard; but who says nothing gives way to who comes after.
        silent = await stack.enter_async_context(connect(send))
        newer = await stack.enter_async_context(connect(send))
        assert await silent.closed() == b""
        await newer.request(2, b"{}")
        assert (await newer.answer())[0] == 503
        # Once one leaves there is room again.
        wires[0].writer.close()
        await wires[0].writer.wait_closed()
        again = await stack.enter_async_context(connect(send))
        await again.request(2, b"{}")
        assert (await again.answer())[0] in (200, 503)


@obligation(
    "50", "OTLP/HTTP Request", "a body in pieces; one that breaks off", "held in memory's budget from its first byte"
)
async def test_bodies_count_from_their_first_byte(serve, connect):
    async with serve() as send:
        budget = send.ingest.budget
        async with connect(send) as wire:
            await wire.request(60 * 2**20, b"", "expect: 100-continue")
            assert (await wire.answer())[0] == 100
            # A little ahead of what arrives, and not all that was announced.
            assert 0 < budget._held < 2**20
        async with connect(send) as wire:
            budget.take(budget._bytes_max - 2**20)
            await wire.request(60 * 2**20, b"", "expect: 100-continue")
            status, _, body = await wire.answer()
            assert (status, reason(body)) == (503, "receiver-busy")
            budget.give_back(budget._bytes_max - 2**20)


@obligation(
    "54",
    "Failures",
    "400 requests at once on one connection",
    "OK, or UNAVAILABLE with RetryInfo",
    over="grpc",
)
async def test_many_calls_at_once_on_one_connection(serve):
    async with serve() as send, send.channel([("grpc.enable_retries", 0)]) as channel:
        export = channel.unary_unary(METHOD)

        async def outcome():
            call = export(b"", metadata=[("x-api-key", send.key)])
            metadata = dict(await call.trailing_metadata() or ())
            status = Status.FromString(metadata.get("grpc-status-details-bin", b""))
            return await call.code(), any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)

        async def outcomes():
            return await asyncio.gather(*(outcome() for _ in range(400)))

        assert set(await outcomes()) == {(grpc.StatusCode.OK, False)}
        # And where the memory for requests is full, they are told when to come again.
        budget = send.ingest.budget
        budget.take(budget._bytes_max)
        refused = await outcomes()
        budget.give_back(budget._bytes_max)
        assert set(refused) == {(grpc.StatusCode.UNAVAILABLE, True)}


class Gate(Ingest):
    """Holds every request until the test opens, as a slow store would."""

    def __init__(self, *parts, **named):
        super().__init__(*parts, **named)
        self.opened, self.entered = asyncio.Event(), asyncio.Semaphore(0)

    async def accept(self, principal, signal, raw, sender):
        del principal, signal, raw, sender
        self.entered.release()
        await self.opened.wait()
        return Accepted()


@obligation(
    "51", "Failures", "a request under way when the receiver is told to stop", "answered; the connection is closed"
)
@pytest.mark.parametrize("transport", ["grpc", "http/protobuf", "http/json"])
async def test_a_stop_answers_what_is_under_way(serve, connect, transport):
    async with serve(Gate) as send, connect(send) as idle, connect(send) as busy:
        under_way = asyncio.create_task(send(transport, "logs"))
        await busy.request(2, b"{}")
        await send.ingest.entered.acquire()
        await send.ingest.entered.acquire()
        stopping = asyncio.gather(*(server.stop(10) for server in send.servers))
        assert await idle.closed() == b""
        late = await send("grpc", "logs", timeout_s=5)
        assert late.code == grpc.StatusCode.UNAVAILABLE.value[0]
        with pytest.raises(ConnectionRefusedError):
            async with connect(send):
                pass
        send.ingest.opened.set()
        assert (await under_way).code == 0
        status, headers, _ = await busy.answer()
        assert (status, headers["connection"]) == (200, "close")
        await stopping


@obligation(
    "52", "Failures", "a new request on an open connection while the receiver stops", "503, UNAVAILABLE", over="all"
)
async def test_a_stop_refuses_what_is_new(serve, connect):
    async with serve(Gate) as send, connect(send) as wire, send.channel() as channel:
        export = channel.unary_unary(METHOD)
        first = export(b"", metadata=[("x-api-key", send.key)])
        await wire.request(1000, b"{", "expect: 100-continue")
        assert (await wire.answer())[0] == 100
        await send.ingest.entered.acquire()
        stopping = asyncio.gather(*(server.stop(10) for server in send.servers))
        await asyncio.sleep(0)
        second = export(b"", metadata=[("x-api-key", send.key)], timeout=5)
        assert await second.code() is grpc.StatusCode.UNAVAILABLE
        # The body that was on its way when the stop came is read and answered.
        await wire.send(b" " * 998 + b"}")
        await send.ingest.entered.acquire()
        send.ingest.opened.set()
        status, headers, _ = await wire.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await first == b""
        await stopping


@obligation(
    "53",
    "our own",
    "a request that outlasts the time a stop may take",
    "cut off, so that a client sends it again",
    over="all",
)
async def test_a_stop_ends(serve, connect):
    async with serve(Gate) as send, connect(send) as wire, send.channel() as channel:
        call = channel.unary_unary(METHOD)(b"", metadata=[("x-api-key", send.key)])
        await wire.request(2, b"{}")
        await send.ingest.entered.acquire()
        await send.ingest.entered.acquire()
        await asyncio.gather(*(server.stop(0.1) for server in send.servers))
        assert await wire.closed() == b""
        send.ingest.opened.set()
        assert await call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
