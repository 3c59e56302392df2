"""OTLP/JSON to protobuf bytes, after which JSON goes the way of everything else.

It is proto3 JSON with three differences (OTLP 1.11, "JSON Protobuf Encoding"): ids are hex in any case, enums are
numbers, unknown fields are ignored. protobuf's own JSON parser does the rest. It is Python and slow next to binary, so
it runs in threads and large senders are better off with protobuf.
"""

import base64
import binascii
from typing import Any, Final, cast

import msgspec
from google.protobuf import json_format

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.receiver.signals import Signal

_ID_KEYS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_NESTING_MAX: Final = 64

_BYTES_PER_BYTE: Final = 3
_BYTES_PER_CONTAINER: Final = 220
_BYTES_PER_COMMA: Final = 60
"""What the parsed document and the message take, measured; the whole is known only afterwards."""


def to_protobuf(signal: Signal, body: bytes) -> bytes:
    """The same request as serialized protobuf.

    Raises:
        DuoscopeError: INVALID for text that is no JSON, or JSON that is no request of this signal.
    """
    try:
        document: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _malformed(signal, "it is not JSON") from error
    if not isinstance(document, dict):
        raise _malformed(signal, "it is not a JSON object")
    message = signal.request()
    try:
        members = cast("dict[str, Any]", document)
        _ids_to_base64(members, 0)
        json_format.ParseDict(members, message, ignore_unknown_fields=True, max_recursion_depth=_NESTING_MAX)
        return message.SerializeToString()
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed(signal, "a field has the wrong type, or an id is not hex") from error


def memory_estimate(body: bytes) -> int:
    """Bytes that `to_protobuf` takes for `body`, which may be dozens of times its length, as in `[[],[],[]`."""
    containers = body.count(b"{") + body.count(b"[")
    return len(body) * _BYTES_PER_BYTE + containers * _BYTES_PER_CONTAINER + body.count(b",") * _BYTES_PER_COMMA


def _ids_to_base64(value: Any, depth: int) -> None:
    """Rewrite hex ids in place as the base64 that proto3 JSON wants for bytes."""
    if depth > _NESTING_MAX:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        for element in cast("list[Any]", value):
            _ids_to_base64(element, depth + 1)
    elif isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        for key, element in members.items():
            if key in _ID_KEYS and isinstance(element, str):
                members[key] = base64.b64encode(binascii.unhexlify(element)).decode()
            elif isinstance(element, dict | list):
                _ids_to_base64(element, depth + 1)


def _malformed(signal: Signal, why: str) -> DuoscopeError:
    name = signal.request.DESCRIPTOR.name
    return invalid(f"The body is not a valid {name} in OTLP/JSON: {why}.", code="malformed-request")
