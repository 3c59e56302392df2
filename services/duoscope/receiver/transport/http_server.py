"""OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, protobuf or JSON, plain, gzip or zstd.

A plain ASGI application: three paths, raw bytes in, a few bytes out; and `OPTIONS`, with which browsers ask before a
page sends. Errors carry google.rpc.Status in the encoding of the request, as the specification requires. Memory for a
request is reserved before it is used, from its first byte on.
Connections and their timeouts are handled by `net/http_listener.py`, also for the API's port.
"""

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Sequence
from functools import partial
from typing import Final

from google.protobuf import json_format
from google.protobuf.message import Message

from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.net.addresses import Network
from duoscope.net.bodies import GoneError, TimedBody
from duoscope.net.http_listener import Application, Bounds, HttpServer, Receive, Refusals, Scope, Send
from duoscope.net.proxies import FORWARDED_FOR, client_behind
from duoscope.net.tls import TlsFiles
from duoscope.receiver.admission.memory import Reservation
from duoscope.receiver.ingest import IDEMPOTENCY_KEY, Ingest, Sender
from duoscope.receiver.signals import SIGNALS, Signal
from duoscope.receiver.status import (
    STATUSES,
    Accepted,
    busy,
    response,
    retry_after_s,
    rpc_status,
    shutting_down,
    too_large,
    too_slow,
    unexpected,
)
from duoscope.receiver.transport.compression import GZIP, ZSTD, inflate
from duoscope.receiver.transport.cross_origin import Asker, Headers, is_preflight
from duoscope.receiver.transport.json_encoding import to_protobuf

_log = logging.getLogger(__name__)

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
CONTENT_ENCODINGS: Final = (GZIP, ZSTD)
READY_PATH: Final = "/health/ready"

_BY_PATH: Final = {signal.http_path: signal for signal in SIGNALS}
_ENDPOINTS: Final = {signal.name: f"POST {signal.http_path}" for signal in SIGNALS}
_READ_AHEAD_BYTES: Final = 512 * 1024
"""More than the server passes on at once."""


class HttpApplication:
    """The ASGI application over `ingest`."""

    def __init__(self, ingest: Ingest, trusted_proxies: Sequence[Network] = ()) -> None:
        """Create the application. The X-Forwarded-For of `trusted_proxies` is trusted."""
        self._ingest = ingest
        self._trusted = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == READY_PATH and scope["method"] == "GET":
            await self._say_ready(send)
            return
        headers = _headers(scope)
        encoding = _encoding(headers)
        asker = Asker(self._ingest.origins, headers)
        try:
            if scope["path"] in _BY_PATH and is_preflight(scope["method"], headers):
                await _allow(send, await asker.preflight())
                return
            message = await self._export(scope, headers, receive, asker)
        except DuoscopeError as error:
            await _refuse(send, error, encoding, await asker.headers())
        except GoneError:
            return
        except Exception:  # noqa: BLE001 - the client must hear that the data is not at fault
            _log.exception("%s over HTTP failed", scope["path"])
            await _refuse(send, unexpected(), encoding, await asker.headers())
        else:
            await _answer(send, 200, message, encoding, await asker.headers())

    def refusing(self, error: DuoscopeError) -> Application:
        """An application that answers every request with `error`, in the request's encoding."""

        async def refuse(scope: Scope, _receive: Receive, send: Send) -> None:
            headers = _headers(scope)
            readable = Asker(self._ingest.origins, headers).headers_at_once()
            await _refuse(send, error, _encoding(headers), readable)

        return refuse

    async def _say_ready(self, send: Send) -> None:
        """Answer a probe: 200, or 503 while telemetry goes to disk. Requests are accepted either way.

        A failing background job is named but does not change the status: taking receivers out of service would not
        repair it.
        """
        status = 200
        parts = {"ingest": "ready", "background": " ".join(self._ingest.background_problems()) or "ready"}
        try:
            await self._ingest.ready()
        except DuoscopeError as error:
            status, parts["ingest"] = 503, error.message
        body = json.dumps({"status": "ready" if status == 200 else "not ready", "parts": parts}).encode()  # noqa: PLR2004 - OK
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _export(self, scope: Scope, headers: dict[str, str], receive: Receive, asker: Asker) -> Message:
        signal = _BY_PATH.get(scope["path"])
        if signal is None:
            raise DuoscopeError(
                ErrorKind.NOT_FOUND, "not-found", f"No such path. OTLP is taken at {', '.join(_BY_PATH)}."
            )
        if scope["method"] != "POST":
            raise DuoscopeError(ErrorKind.METHOD_NOT_ALLOWED, "method-not-allowed", "OTLP is sent with POST.")
        address = client_behind((scope["client"] or (None,))[0], headers.get(FORWARDED_FOR, ""), self._trusted)
        endpoint = _ENDPOINTS[signal.name]
        principal = asker.principal = await self._ingest.authenticate(headers, signal, address, endpoint)
        with self._ingest.answering(principal, signal, address, endpoint):
            return response(signal, await self._accept(principal, signal, headers, receive))

    async def _accept(
        self, principal: IngestPrincipal, signal: Signal, headers: dict[str, str], receive: Receive
    ) -> Accepted:
        content_type = _content_type(headers)
        if content_type not in (PROTOBUF, JSON):
            raise DuoscopeError(
                ErrorKind.UNSUPPORTED_MEDIA, "unsupported-media-type", f"Send content-type {PROTOBUF} or {JSON}."
            )
        content_encoding = _content_encoding(headers)
        with self._ingest.enter(principal, signal) as entry:
            with Reservation(entry) as reservation:
                raw = await _read(headers, receive, reservation)
                if content_encoding:
                    raw = await inflate(raw, content_encoding, reservation)
                remark = ""
                if content_type == JSON:
                    raw, remark = await to_protobuf(signal, raw, reservation)
            entry.settle()
            sender = Sender(headers.get(IDEMPOTENCY_KEY, ""), partial(_is_gone, receive))
            return (await self._ingest.accept(principal, signal, raw, sender)).with_remark(remark)


async def _is_gone(receive: Receive) -> bool:
    """Whether a client whose request was read whole has disconnected."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            return (await receive())["type"] == "http.disconnect"
    return False


def http_server(
    application: HttpApplication,
    tls: TlsFiles | None = None,
    trusted: Sequence[Network] = (),
    *,
    connections_max: int = limits.INGEST_CONNECTIONS_MAX,
) -> HttpServer:
    """The OTLP/HTTP port, which serves `application`; connections of `trusted` proxies have no limit by address."""
    refusals = Refusals(application.refusing, _in_json, b"content-type: application/json\r\n", busy(), shutting_down())
    bounds = Bounds(
        connections_max,
        min(connections_max, limits.INGEST_CONNECTIONS_ADDRESS_MAX),
        limits.INGEST_REQUEST_BYTES_MAX,
        trusted,
    )
    return HttpServer(application, refusals, bounds, context=tls.http_context() if tls else None)


def _in_json(error: DuoscopeError) -> bytes:
    return json_format.MessageToJson(rpc_status(error), indent=None).encode()


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by name in lower case; a repeated header becomes one list (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _content_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _encoding(headers: dict[str, str]) -> str:
    """The encoding of the answer. A sender that sent no protobuf, such as a person with curl, can read JSON."""
    return PROTOBUF if _content_type(headers) == PROTOBUF else JSON


def _content_encoding(headers: dict[str, str]) -> str:
    given = headers.get("content-encoding", "").strip().lower()
    if given in ("", "identity"):
        return ""
    if given not in CONTENT_ENCODINGS:
        raise DuoscopeError(
            ErrorKind.UNSUPPORTED_MEDIA,
            "unsupported-encoding",
            f"Send content-encoding {' or '.join(CONTENT_ENCODINGS)}, or none at all.",
        )
    return given


async def _read(headers: dict[str, str], receive: Receive, reservation: Reservation) -> bytes:
    announced = headers.get("content-length", "")
    expected = int(announced) if announced.isdigit() else None
    if expected is not None:
        if expected > limits.INGEST_REQUEST_BYTES_MAX:
            raise too_large()
        # Is there room for all of it? Asked before it is sent; held only as it arrives, for the sender may be slow.
        reservation.resize(expected)
    chunks: list[bytes] = []
    size = 0
    timed = TimedBody(receive)
    more = True
    try:
        while more:
            reservation.resize(min(size + _READ_AHEAD_BYTES, limits.INGEST_REQUEST_BYTES_MAX))
            event = await timed.receive()
            chunk = event.get("body", b"")
            more = event.get("more_body", False)
            size += len(chunk)
            if size > limits.INGEST_REQUEST_BYTES_MAX:
                raise too_large()
            chunks.append(chunk)
    except TimeoutError:
        raise too_slow() from None
    reservation.resize(size)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _allow(send: Send, headers: Headers) -> None:
    """Answer a preflight."""
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})


async def _refuse(send: Send, error: DuoscopeError, encoding: str, readable: Headers) -> None:
    headers = [*readable]
    pause_s = retry_after_s(error)
    if pause_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(pause_s))).encode()))
    if error.kind is ErrorKind.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if error.code == "unsupported-encoding":
        # RFC 9110, section 12.5.3: the encodings that the server would have accepted.
        headers.append((b"accept-encoding", ", ".join(CONTENT_ENCODINGS).encode()))
    await _answer(send, STATUSES[error.kind][1], rpc_status(error), encoding, headers)


async def _answer(send: Send, status: int, body: Message, encoding: str, extra: Headers) -> None:
    payload = json_format.MessageToJson(body, indent=None).encode() if encoding == JSON else body.SerializeToString()
    headers = [
        (b"content-type", encoding.encode()),
        (b"content-length", str(len(payload)).encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
