"""OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, protobuf or JSON, plain or gzip.

A plain ASGI application: three paths, raw bytes in, a few bytes out. Errors carry google.rpc.Status in the encoding of
the request, as the specification asks.
"""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.json_encoding import to_protobuf
from duoscope.receiver.signals import SIGNALS, Signal
from duoscope.receiver.status import STATUSES, rpc_status, unexpected

_log = logging.getLogger(__name__)

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_BY_PATH: Final = {signal.http_path: signal for signal in SIGNALS}
_THREAD_WORTHY_BYTES: Final = 64 * 1024
_GZIP: Final = zlib.MAX_WBITS | 16
_GZIP_MEMBERS_MAX: Final = 64
"""Each costs a copy of what follows it; clients send one."""

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class HttpApplication:
    """The ASGI application over `ingest`."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        # Who sent no protobuf, such as a person with curl, can read JSON.
        encoding = PROTOBUF if content_type == PROTOBUF else JSON
        try:
            response = await self._export(scope, headers, content_type, receive)
        except DuoscopeError as error:
            await _answer(send, STATUSES[error.kind][1], rpc_status(error), encoding, error)
        except _DisconnectedError:
            return
        except Exception:  # noqa: BLE001 - the client must hear that the data is not at fault
            _log.exception("%s over HTTP failed", scope["path"])
            error = unexpected()
            await _answer(send, STATUSES[error.kind][1], rpc_status(error), encoding, error)
        else:
            await _answer(send, 200, response, encoding)

    async def _export(self, scope: _Scope, headers: dict[str, str], content_type: str, receive: _Receive) -> Message:
        signal = _BY_PATH.get(scope["path"])
        if signal is None:
            raise DuoscopeError(
                ErrorKind.NOT_FOUND, "not-found", f"No such path. OTLP is taken at {', '.join(_BY_PATH)}."
            )
        if scope["method"] != "POST":
            raise DuoscopeError(ErrorKind.METHOD_NOT_ALLOWED, "method-not-allowed", "OTLP is sent with POST.")
        principal = await self._ingest.authenticate(headers, signal)
        if content_type not in (PROTOBUF, JSON):
            raise DuoscopeError(
                ErrorKind.UNSUPPORTED_MEDIA, "unsupported-media-type", f"Send content-type {PROTOBUF} or {JSON}."
            )
        body = await _read(headers, receive)
        raw = await _decoded(signal, body, headers.get("content-encoding", ""), content_type)
        await self._ingest.accept(principal, signal, raw)
        return signal.response()


class _DisconnectedError(Exception):
    """The client went away before its request was complete."""


async def _read(headers: dict[str, str], receive: _Receive) -> bytes:
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limits.INGEST_REQUEST_BYTES_MAX:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise _DisconnectedError
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > limits.INGEST_REQUEST_BYTES_MAX:
            raise _too_large()
        chunks.append(chunk)
        if not event.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _decoded(signal: Signal, body: bytes, content_encoding: str, content_type: str) -> bytes:
    """The request as serialized protobuf; work of more than a moment goes to a thread."""

    def decode() -> bytes:
        plain = _decompressed(body, content_encoding.strip().lower())
        return to_protobuf(signal, plain) if content_type == JSON else plain

    if content_type == PROTOBUF and (not content_encoding or len(body) < _THREAD_WORTHY_BYTES):
        return decode()
    return await asyncio.to_thread(decode)


def _decompressed(body: bytes, content_encoding: str) -> bytes:
    if content_encoding in ("", "identity"):
        return body
    if content_encoding != "gzip":
        raise DuoscopeError(
            ErrorKind.UNSUPPORTED_MEDIA, "unsupported-encoding", "Send content-encoding gzip, or none at all."
        )
    members: list[bytes] = []
    room = limits.INGEST_REQUEST_BYTES_MAX + 1
    # RFC 1952, section 2.2: a file is a series of members; reading only the first would lose the others unseen.
    for _ in range(_GZIP_MEMBERS_MAX):
        decompressor = zlib.decompressobj(_GZIP)
        try:
            members.append(decompressor.decompress(body, room))
        except zlib.error as error:
            raise invalid("The body is not valid gzip.", code="malformed-gzip") from error
        room -= len(members[-1])
        if not room:
            raise _too_large()
        if not decompressor.eof:
            raise invalid("The gzip body is cut short.", code="malformed-gzip")
        body = decompressor.unused_data
        if not body:
            return members[0] if len(members) == 1 else b"".join(members)
    raise invalid(f"The gzip body has more than {_GZIP_MEMBERS_MAX} members.", code="malformed-gzip")


def _too_large() -> DuoscopeError:
    megabytes = limits.INGEST_REQUEST_BYTES_MAX // 2**20
    return DuoscopeError(
        ErrorKind.TOO_LARGE,
        "request-too-large",
        f"A request may hold {megabytes} MiB after decompression; send smaller batches.",
    )


async def _answer(send: _Send, status: int, body: Message, encoding: str, error: DuoscopeError | None = None) -> None:
    payload = json_format.MessageToJson(body, indent=None).encode() if encoding == JSON else body.SerializeToString()
    headers = [(b"content-type", encoding.encode()), (b"content-length", str(len(payload)).encode())]
    if error is not None and error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode()))
    if status == STATUSES[ErrorKind.METHOD_NOT_ALLOWED][1]:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
