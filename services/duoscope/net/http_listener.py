"""HTTP/1.1 connections of a port: their number, their deadlines, and how they end. The API and OTLP/HTTP share it.

uvicorn's protocol reads and writes HTTP/1.1; this module closes the gaps that it leaves. A connection that sends its
headers one byte at a time, or none, is cut off, and so is one that does not read its answer. Headers have a maximum
size. The rest of a refused body is read for a while, since closing at once would reset the connection and lose the
answer. Connections beyond the limit are told to retry, and silent ones give way to new ones (`peers.py`). A stop
answers requests in progress and closes the other connections.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.net.peers import Network, Peer, Peers

_log = logging.getLogger(__name__)

CALL_WHEN_GONE: Final = "duoscope.call_when_gone"
"""An extension in the scope of a request: a function that is given what to call if the client disconnects before its
answer is complete, or None for nothing. ASGI's `receive` tells the same, but only to a task that waits for it."""

_TLS_CLOSE_MAX_S: Final = 5.0
_SWEEP_S: Final = 1.0
_ACCEPT_PAUSE_S: Final = 0.5
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refusals:
    """The errors of a port, in the form that its clients understand.

    Attributes:
        application: answers every request with an error.
        content: the body of an answer to something that is not HTTP.
        headers: of that answer; each line ends in CRLF.
        busy: the answer to connections beyond the limit.
        stopping: the answer to requests that arrive after the stop began.
    """

    application: Callable[[DuoscopeError], Application]
    content: Callable[[DuoscopeError], bytes]
    headers: bytes
    busy: DuoscopeError
    stopping: DuoscopeError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a port's connections.

    Attributes:
        connections_max: in all.
        connections_address_max: from one address.
        body_bytes_max: size of a body that is discarded after its request was refused.
        exempt: networks of proxies, which serve many clients and have no limit by address.
    """

    connections_max: int
    connections_address_max: int
    body_bytes_max: int
    exempt: Sequence[Network] = ()


class HttpServer:
    """Serves an ASGI application on a socket. Make it inside the event loop that will serve."""

    def __init__(
        self, application: Application, refusals: Refusals, bounds: Bounds, *, context: ssl.SSLContext | None = None
    ) -> None:
        """Create the server. With `context` it accepts TLS only."""
        self._config = uvicorn.Config(
            cast("Any", application),
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=round(limits.HTTP_IDLE_MAX_S),
        )
        self._config.load()
        self._context = context
        self._bounds = bounds
        self._state = _State(refusals, bounds)
        self._listening: socket.socket | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, listening: socket.socket) -> None:
        """Listen on a bound socket, which `stop` closes."""
        listening.setblocking(False)  # noqa: FBT003 - its only form
        listening.listen(self._bounds.connections_max)
        self._listening = listening
        self.port = listening.getsockname()[1]
        self._accept_again()
        self._sweep()

    async def stop(self, grace_s: float) -> None:
        """Accept no new connection or request; answer requests in progress for `grace_s`, then cut them off."""
        assert self._listening is not None
        if not self._state.draining:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
        self._state.draining = True
        for handshake in self._handshakes:
            handshake.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace_s):
                await self._state.wait_until_idle()
        except TimeoutError:
            _log.warning("%d HTTP requests were cut off", len(self._state.tasks))
        # A handler that reads a body notices that its connection is gone; one that waits for an INSERT gets its answer,
        # which nobody reads, when `Ingest` closes.
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._state.wait_until_idle()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept_again(self) -> None:
        if self._listening is not None and not self._state.draining:
            asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        """Accept connections. The event loop's own server would count a connection only after its TLS handshake."""
        loop = asyncio.get_running_loop()
        try:
            connection, address = listening.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                _log.warning("no connection can be accepted on port %d: %s", self.port, error.strerror)
                loop.remove_reader(listening)
                loop.call_later(_ACCEPT_PAUSE_S, self._accept_again)
            return
        connection.setblocking(False)  # noqa: FBT003 - its only form
        newcomer = _Newcomer(connection)
        peer = self._state.peers.admit(str(address[0]) if address else None, newcomer.close, loop.time())
        if peer is None:
            connection.close()
            return
        newcomer.peer = peer
        newcomer.task = asyncio.create_task(self._connect(newcomer))
        self._handshakes.add(newcomer.task)
        newcomer.task.add_done_callback(lambda task: self._connected(task, newcomer))

    def _connected(self, task: asyncio.Task[None], newcomer: "_Newcomer") -> None:
        """Called when `_connect` is done, and not at its end: a task that must give way before its first step runs none
        of it.
        """
        self._handshakes.discard(task)
        if newcomer.connection is None:
            newcomer.socket.close()
            self._state.peers.leave(newcomer.peer)

    async def _connect(self, newcomer: "_Newcomer") -> None:
        loop = asyncio.get_running_loop()
        secure = self._context is not None
        try:
            await loop.connect_accepted_socket(
                lambda: _Connection(self._config, self._state, newcomer),
                newcomer.socket,
                ssl=self._context,
                ssl_handshake_timeout=limits.HTTP_HEADERS_MAX_S if secure else None,
                ssl_shutdown_timeout=_TLS_CLOSE_MAX_S if secure else None,
            )
        except (OSError, asyncio.CancelledError) as error:
            # The other end does not speak TLS, or no version that we accept, or is gone.
            _log.debug("a connection to port %d came to nothing", self.port, exc_info=error)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep)
        self._state.date()
        self._state.cut_off_those_who_do_not_read(loop.time())


class _Newcomer:
    """A connection since its acceptance, perhaps before it has a protocol."""

    peer: Peer
    task: asyncio.Task[None]

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.connection: _Connection | None = None

    def close(self) -> None:
        """Close the connection at once."""
        if self.connection is not None:
            self.connection.transport.abort()
        else:
            self.task.cancel()


class _State(ServerState):
    """State that the connections of one server share."""

    def __init__(self, refusals: Refusals, bounds: Bounds) -> None:
        super().__init__()
        self.refusals = refusals
        self.bounds = bounds
        self.peers = Peers(bounds.connections_max, bounds.connections_address_max, bounds.exempt)
        self.draining = False
        self.writing: set[_Connection] = set()
        self._idle = asyncio.Event()

    def date(self) -> None:
        """Set this second's date for answers from now on."""
        self.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    def cut_off_those_who_do_not_read(self, now: float) -> None:
        """Close the connections whose other end has read too little for too long."""
        for connection in [each for each in tuple(self.writing) if not each.is_read(now)]:  # who is read leaves
            _log.info("a client that did not read its answer was cut off", extra={"client": connection.client})
            connection.transport.abort()
            self.writing.discard(connection)

    def closed(self) -> None:
        """Note that a connection was closed."""
        if self.draining and not self.connections:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Wait until the last connection is closed. Only while draining."""
        if self.connections:
            await self._idle.wait()


class _Connection(HttpToolsProtocol):
    """One connection with deadlines.

    `_deadline` runs while headers are awaited or a body is discarded. Wanted bodies have `bodies.py`, idle connections
    uvicorn's own timer.
    """

    def __init__(
        self, config: uvicorn.Config, server_state: _State, newcomer: _Newcomer, *_unused: Any, **_named: Any
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        self._shared = server_state
        self._newcomer = newcomer
        self._peer = newcomer.peer
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._only_headers = True
        self._header_bytes = 0
        self._unparsed_bytes = 0
        self._too_long = False
        self._discarded = 0
        self._closes_after_body = False
        self._when_gone: Callable[[], None] | None = None
        self._written = 0
        self._taken = 0
        self._taken_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, unless the connection already had to give way."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._newcomer.connection = self
        if self._peer.left or self._shared.draining:
            self.transport.abort()
            return
        self._start_clock(limits.HTTP_HEADERS_MAX_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        if self._when_gone is not None and self.cycle.disconnected:
            self._when_gone()
        self._stop_clock()
        self._shared.writing.discard(self)
        self._shared.peers.leave(self._peer)
        self._shared.closed()

    def data_received(self, data: bytes) -> None:
        """Parse the data, and count how much of it were headers."""
        if self._in_headers and self._deadline is None:
            self._start_clock(limits.HTTP_HEADERS_MAX_S)
        self._only_headers = self._in_headers
        super().data_received(data)
        if self._only_headers:
            # The parser keeps a header to itself until it is complete.
            self._unparsed_bytes += len(data)
        if self._in_headers and (self._too_long or self._unparsed_bytes > limits.HTTP_HEADERS_BYTES_MAX):
            self._reject(b"431 Request Header Fields Too Large", _headers_too_large())

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0
        self._discarded = 0

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the URL."""
        self._header_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of a header, and keep it unless there are too many."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > limits.HTTP_HEADERS_BYTES_MAX:
            self._too_long = True
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the request can be answered from here on."""
        if self._too_long:
            return
        self._in_headers = self._only_headers = False
        self._unparsed_bytes = 0
        self._stop_clock()
        self._shared.peers.busy(self._peer)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on the data, or discard it up to a limit."""
        if self._too_long:
            return
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > self._shared.bounds.body_bytes_max:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has ended and the next may begin."""
        if self._too_long:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_next()

    def on_response_complete(self) -> None:
        """Wait for the next request, or discard the rest of this one."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._unset_keepalive_if_required()
            self._start_clock(limits.HTTP_DISCARD_MAX_S)
        else:
            self._await_next()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = cast("asyncio.Transport", _Lingering(self, cycle))
        self._when_gone = None
        cycle.scope["extensions"] = {CALL_WHEN_GONE: self._call_when_gone}  # pyright: ignore[reportGeneralTypeIssues]
        refusals = self._shared.refusals
        if self._shared.draining:
            cycle.keep_alive = False
            app = refusals.application(refusals.stopping)
        elif self._peer.crowded:
            cycle.keep_alive = False
            app = refusals.application(refusals.busy)
        super()._start_asgi_task(cycle, app)

    def _call_when_gone(self, call: Callable[[], None] | None) -> None:
        self._when_gone = call

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Answer data that is not HTTP."""
        if not self.transport.is_closing():
            error = invalid("This is not a valid HTTP/1.1 request.", code="malformed-http")
            self._reject(b"400 Bad Request", error)

    def write(self, data: bytes) -> None:
        """Write a part of an answer, and watch that it is read."""
        self.transport.write(data)
        self._written += len(data)
        if self not in self._shared.writing:
            self._taken, self._taken_at = self._written - len(data), self.loop.time()
            self._shared.writing.add(self)

    def is_read(self, now: float) -> bool:
        """Whether the other end reads what is written, or has read all, judged by how much it took since the last
        check.
        """
        waiting = self.transport.get_write_buffer_size()
        if not waiting:
            self._shared.writing.discard(self)
            return True
        taken = self._written - waiting
        if taken - self._taken >= limits.HTTP_UNREAD_BYTES_MIN:
            self._taken, self._taken_at = taken, now
        return now - self._taken_at <= limits.HTTP_UNREAD_MAX_S

    def _reject(self, status: bytes, error: DuoscopeError) -> None:
        if self.transport.is_closing():
            return
        refusals = self._shared.refusals
        content = refusals.content(error)
        head = b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n"
        self.write(head % (status, refusals.headers, len(content)) + content)
        self.transport.close()

    def close_after_body(self) -> None:
        """Close once the rest of the body is discarded, or took too long."""
        self._closes_after_body = True

    def _await_next(self) -> None:
        self._stop_clock()
        if self._closes_after_body:
            self.transport.close()
        self._in_headers = True
        self._header_bytes = 0
        if self.transport.is_closing():
            return
        self._shared.peers.idle(self._peer, self.loop.time())
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _start_clock(self, seconds: float) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.abort()


class _Lingering:
    """The transport as the answer to one request sees it: its `close` waits for the end of an unread body."""

    def __init__(self, connection: _Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.write = connection.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close now, or when the client has sent what it is sending."""
        if self._cycle.more_body:
            self._connection.close_after_body()
        else:
            self._connection.transport.close()


def _headers_too_large() -> DuoscopeError:
    kibibytes = limits.HTTP_HEADERS_BYTES_MAX // 1024
    return invalid(f"The request line and headers may have {kibibytes} KiB.", code="headers-too-large")
