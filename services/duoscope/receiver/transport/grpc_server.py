"""OTLP/gRPC: three `Export` methods over raw bytes.

grpcio is not allowed to do several things. It gets no deserialiser, so that we answer malformed bytes ourselves (its
own answer would be UNKNOWN with Python text in it) and they never become objects twice. It does not decompress: it
would do so without a limit, before the sender is authenticated. And a method takes a stream, which on the wire is the
same as the one message that clients send: so the handler runs when the headers have arrived, and only a client with a
valid key can send more than a flow-control window.

grpcio itself refuses an unknown compression, whatever its options, and removes its name from the metadata. The handler
still runs, and is cancelled at once: that is how we detect such a call, and count it for its tenant.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import grpc

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.net.addresses import Network, peer_address
from duoscope.net.proxies import FORWARDED_FOR, client_behind
from duoscope.net.tls import TlsFiles
from duoscope.receiver.admission.memory import Reservation
from duoscope.receiver.ingest import IDEMPOTENCY_KEY, Ingest, Sender
from duoscope.receiver.signals import SIGNALS, Signal
from duoscope.receiver.status import STATUSES, response, rpc_status, shutting_down, too_large, too_slow, unexpected
from duoscope.receiver.transport.compression import GZIP, GZIP_MAGIC, inflate

_log = logging.getLogger(__name__)

_ENDPOINTS: Final = {signal.name: f"gRPC {signal.name}" for signal in SIGNALS}
_LAST_ANSWERS_S: Final = 0.5
_CANCELLED_AFTER_S: Final = 0.05
_AT_ONCE_S: Final = 1.0
"""A call that ends within this time, before its message, was refused by grpcio; later, its client has disconnected."""

_PENDING_MAX: Final = 4000
"""Calls that grpcio holds before our code sees them, each at most a flow-control window. It cancels further calls,
which clients may send again, and begins to at random from three quarters on."""

_IDENTITY_AND_GZIP: Final = 1 << 0 | 1 << 2

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.INGEST_REQUEST_BYTES_MAX),
    ("grpc.per_message_decompression", 0),
    # deflate has no magic number by which `inflate` could tell it; clients are told that gzip is taken.
    ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
    ("grpc.max_metadata_size", limits.HTTP_HEADERS_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", limits.HTTP_HEADERS_BYTES_MAX),
    ("grpc.max_concurrent_streams", limits.INGEST_GRPC_STREAMS_MAX),
    # Otherwise calls that are answered and not yet taken apart count too, and grpcio refuses (REFUSED_STREAM, without
    # RetryInfo) what a client may send. What nobody has taken up yet, of all connections, is bounded here instead.
    ("grpc.http.overload_protection", 0),
    ("grpc.server.max_pending_requests", _PENDING_MAX * 3 // 4),
    ("grpc.server.max_pending_requests_hard_limit", _PENDING_MAX),
    ("grpc.server_handshake_timeout_ms", int(limits.HTTP_HEADERS_MAX_S * 1000)),
    # The collector pings every 10 s by default; grpcio treats more than two pings in five minutes as abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Our own pings detect connections whose other end vanished silently.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.so_reuseport", 0),
)

_Context = grpc.aio.ServicerContext[bytes, bytes]
_Handler = Callable[[AsyncIterator[bytes], _Context], Awaitable[bytes]]


class GrpcServer:
    """Serves `ingest` on one address. `port` is the bound port, also when 0 was asked for."""

    def __init__(
        self,
        ingest: Ingest,
        tls: TlsFiles | None = None,
        trusted_proxies: Sequence[Network] = (),
        *,
        connections_max: int = limits.INGEST_CONNECTIONS_MAX,
    ) -> None:
        """Create the server. The X-Forwarded-For of `trusted_proxies` is trusted."""
        self._ingest = ingest
        self._trusted = trusted_proxies
        self._tls = tls
        connections = ("grpc.max_allowed_incoming_connections", connections_max)
        self._server = grpc.aio.server(options=(*_OPTIONS, connections))
        for signal in SIGNALS:
            method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(self._export(signal))
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(signal.grpc_service, {"Export": method}),)
            )
        self.port = 0
        self._running = 0
        self._draining = False
        self._idle = asyncio.Event()

    async def start(self, host: str, port: int) -> None:
        """Listen on an address.

        Raises:
            RuntimeError: the address cannot be bound.
        """
        address = f"{host}:{port}"
        if self._tls is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self._tls.grpc_credentials())
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Answer new calls with UNAVAILABLE, let running ones end for `grace_s`, then close.

        grpcio's own way is to close first, which new calls on open connections see as CANCELLED.
        """
        self._draining = True
        ends_at = asyncio.get_running_loop().time() + grace_s
        self._idle.clear()
        if self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(ends_at):
                    await self._idle.wait()
        # The rest are answers on their way out.
        await self._server.stop(max(min(grace_s, _LAST_ANSWERS_S), ends_at - asyncio.get_running_loop().time()))

    def _export(self, signal: Signal) -> _Handler:
        async def export(_requests: AsyncIterator[bytes], context: _Context) -> bytes:
            if self._draining:
                return await _abort(context, shutting_down())
            self._running += 1
            try:
                return await self._answer(signal, context)
            finally:
                self._running -= 1
                if not self._running:
                    self._idle.set()

        return export

    async def _answer(self, signal: Signal, context: _Context) -> bytes:
        called_at = asyncio.get_running_loop().time()
        try:
            headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
            address = client_behind(peer_address(context.peer()), headers.get(FORWARDED_FOR, ""), self._trusted)
            endpoint = _ENDPOINTS[signal.name]
            unread = False
            try:
                principal = await self._ingest.authenticate(headers, signal, address, endpoint)
            except asyncio.CancelledError:
                unread = self._is_refused(called_at)
                if not unread:
                    raise
                principal = await self._ingest.authenticate(headers, signal, address, endpoint)  # for whom to count it
            with (
                self._ingest.answering(principal, signal, address, endpoint),
                self._ingest.enter(principal, signal) as entry,
            ):
                if unread:
                    raise _not_decompressed()  # noqa: TRY301 - to be noted as any answer is
                with Reservation(entry) as reservation:
                    message = await self._read(signal, context, reservation, called_at)
                    raw = await inflate(message, GZIP, reservation) if message.startswith(GZIP_MAGIC) else message
                entry.settle()
                accepted = await self._ingest.accept(principal, signal, raw, Sender(headers.get(IDEMPOTENCY_KEY, "")))
        except DuoscopeError as error:
            return await _abort(context, error)
        except Exception:  # noqa: BLE001 - the client must hear that the data is not at fault
            _log.exception("%s over gRPC failed", signal.name)
            return await _abort(context, unexpected())
        return response(signal, accepted).SerializeToString()

    async def _read(self, signal: Signal, context: _Context, reservation: Reservation, called_at: float) -> bytes:
        """The one message of a call, as received."""
        reservation.resize(limits.INGEST_GRPC_WINDOW_BYTES)
        try:
            async with asyncio.timeout(limits.HTTP_BODY_MAX_S):
                message: Any = await context.read()
        except TimeoutError:
            raise too_slow() from None
        except asyncio.CancelledError:
            if self._is_refused(called_at):
                raise _not_decompressed() from None
            raise
        if not isinstance(message, bytes):
            await _be_refused()
            raise invalid(
                f"The call holds no {signal.request.DESCRIPTOR.name}; OTLP sends exactly one.", code="malformed-request"
            )
        reservation.resize(len(message))
        return message

    def _is_refused(self, called_at: float) -> bool:
        """Whether grpcio itself cancelled a call just now, before its message."""
        return not self._draining and asyncio.get_running_loop().time() - called_at < _AT_ONCE_S


def _not_decompressed() -> DuoscopeError:
    """An error that reaches only the counts, since grpcio has already answered."""
    return DuoscopeError(
        ErrorKind.UNSUPPORTED_MEDIA, "unsupported-encoding", "Over gRPC, send messages compressed with gzip, or plain."
    )


async def _be_refused() -> None:
    """Handle a stream that seems to end without a message: grpcio itself refuses a message that is too large.

    It cancels the call a moment later. Our answer reaches only the counts.
    """
    try:
        await asyncio.sleep(_CANCELLED_AFTER_S)
    except asyncio.CancelledError:
        raise too_large() from None


async def _abort(context: _Context, error: DuoscopeError) -> Any:
    status = rpc_status(error)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(STATUSES[error.kind][0], error.message, metadata)
