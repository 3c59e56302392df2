"""The HTTP connections of the receiver: how many, how slow, how long, and how they end.

uvicorn's protocol reads and writes HTTP/1.1; what it leaves open is closed here. A connection that sends its headers
one byte at a time, or none, is cut off; headers have a size; the rest of a refused body is read for a while, since to
close at once would reset the connection and take the answer with it; connections beyond the limit are told to come
again; and a stop answers what is under way and closes the others.
"""

import asyncio
import logging
import socket
from typing import Any, Final, cast

import uvicorn
from google.protobuf import json_format
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.net.tls import TlsFiles
from duoscope.receiver.status import busy, rpc_status, shutting_down
from duoscope.receiver.transport.http_server import HttpApplication, refusing

_log = logging.getLogger(__name__)

_TLS_CLOSE_MAX_S: Final = 5.0
_HARD_SHARE: Final = 1.25
"""Connections beyond the limit are answered with 503, beyond this multiple of it they are closed unheard."""


class HttpServer:
    """Serves an HttpApplication on a socket. Make it inside the event loop that will serve."""

    def __init__(
        self,
        application: HttpApplication,
        tls: TlsFiles | None = None,
        *,
        connections_max: int = limits.INGEST_CONNECTIONS_MAX,
    ) -> None:
        self._config = uvicorn.Config(
            cast("Any", application),
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=round(limits.INGEST_IDLE_MAX_S),
        )
        self._config.load()
        self._tls = tls
        self._state = _State(connections_max)
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, listening: socket.socket) -> None:
        """Listen on a bound socket, which is closed by `stop`."""
        context = self._tls.http_context() if self._tls else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self._config, self._state),
            sock=listening,
            ssl=context,
            ssl_handshake_timeout=limits.INGEST_HEADERS_MAX_S if context else None,
            ssl_shutdown_timeout=_TLS_CLOSE_MAX_S if context else None,
            backlog=limits.INGEST_CONNECTIONS_MAX,
        )
        self.port = listening.getsockname()[1]

    async def stop(self, grace_s: float) -> None:
        """Take no new connection or request; answer those under way for `grace_s`, then cut them off."""
        assert self._server is not None
        self._server.close()
        self._state.draining = True
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace_s):
                await self._state.wait_until_idle()
        except TimeoutError:
            _log.warning("%d HTTP requests were cut off", len(self._state.tasks))
        # Who reads a body sees its connection go; who waits for an INSERT is answered, unheard, when `Ingest` closes.
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._state.wait_until_idle()


class _State(ServerState):
    """What the connections of one server share."""

    def __init__(self, connections_max: int) -> None:
        super().__init__()
        self.connections_max = connections_max
        self.draining = False
        self._idle = asyncio.Event()

    def closed(self) -> None:
        """A connection was closed."""
        if self.draining and not self.connections:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Until the last connection is closed; only while draining."""
        if self.connections:
            await self._idle.wait()


class _Connection(HttpToolsProtocol):
    """One connection with deadlines.

    `_deadline` runs while headers are awaited or a body is thrown away. Bodies that are wanted have their own in
    `http_server.py`; idle connections have uvicorn's.
    """

    def __init__(self, config: uvicorn.Config, server_state: _State, *_unused: Any, **_named: Any) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        self._shared = server_state
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._only_headers = True
        self._header_bytes = 0
        self._unparsed_bytes = 0
        self._too_long = False
        self._crowded = False
        self._discarded = 0
        self._closes_after_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, unless there are far too many."""
        super().connection_made(cast("asyncio.Transport", transport))
        connections = len(self._shared.connections)
        if connections > self._shared.connections_max * _HARD_SHARE or self._shared.draining:
            self.transport.abort()
            return
        self._crowded = connections > self._shared.connections_max
        self._start_clock(limits.INGEST_HEADERS_MAX_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._stop_clock()
        self._shared.closed()

    def data_received(self, data: bytes) -> None:
        """Parse, and look at how much of it were headers."""
        if self._in_headers and self._deadline is None:
            self._start_clock(limits.INGEST_HEADERS_MAX_S)
        self._only_headers = self._in_headers
        super().data_received(data)
        if self._only_headers:
            # The parser keeps a header to itself until it is complete.
            self._unparsed_bytes += len(data)
        if self._in_headers and (self._too_long or self._unparsed_bytes > limits.INGEST_HEADERS_BYTES_MAX):
            self._reject(b"431 Request Header Fields Too Large", _headers_too_large())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0
        self._discarded = 0

    def on_url(self, url: bytes) -> None:
        """Count."""
        self._header_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count, and keep no more than may be kept."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > limits.INGEST_HEADERS_BYTES_MAX:
            self._too_long = True
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request can be answered from here on."""
        if self._too_long:
            return
        self._in_headers = self._only_headers = False
        self._unparsed_bytes = 0
        self._stop_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand it over, or throw it away up to a limit."""
        if self._too_long:
            return
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > limits.INGEST_REQUEST_BYTES_MAX:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next request may come."""
        if self._too_long:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_next()

    def on_response_complete(self) -> None:
        """Wait for the next request, or throw away the rest of this one."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self.cycle.more_body:
            self._unset_keepalive_if_required()
            self._start_clock(limits.INGEST_DISCARD_MAX_S)
        else:
            self._await_next()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = cast("asyncio.Transport", _Lingering(self, cycle))
        if self._shared.draining:
            cycle.keep_alive = False
            app = refusing(shutting_down())
        elif self._crowded:
            cycle.keep_alive = False
            app = refusing(busy())
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """What is no HTTP; nobody knows its encoding."""
        if not self.transport.is_closing():
            error = invalid("This is not a valid HTTP/1.1 request.", code="malformed-http")
            self._reject(b"400 Bad Request", error)

    def _reject(self, status: bytes, error: DuoscopeError) -> None:
        if self.transport.is_closing():
            return
        content = json_format.MessageToJson(rpc_status(error), indent=None).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(content)) + content)
        self.transport.close()

    def close_after_body(self) -> None:
        """Close when the rest of the body was thrown away, or took too long."""
        self._closes_after_body = True

    def _await_next(self) -> None:
        self._stop_clock()
        if self._closes_after_body:
            self.transport.close()
        self._in_headers = True
        self._header_bytes = 0
        if not self.transport.is_closing() and self.timeout_keep_alive_task is None:
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
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close now, or when the client has sent what it is sending."""
        if self._cycle.more_body:
            self._connection.close_after_body()
        else:
            self._connection.transport.close()


def _headers_too_large() -> DuoscopeError:
    kibibytes = limits.INGEST_HEADERS_BYTES_MAX // 1024
    return invalid(f"The request line and headers may have {kibibytes} KiB.", code="headers-too-large")
