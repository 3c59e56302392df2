"""Wraps the bytes of an OTLP request for ClickHouse: a few tags and lengths in front, the bytes themselves untouched.

The message is `proto/duoscope/ingest/v1/envelope.proto`; `FORMAT Protobuf` reads length-delimited messages back to
back.
"""

from functools import lru_cache

import xxhash

from duoscope.kernel.scope import Scope

_LENGTH_DELIMITED = 2
_VARINT = 0
_SEVEN_BITS = 0x7F
_RETENTION_FIELD = 4
_DIGEST_FIELD = 5
_REQUEST_FIELD = 15


def wrap(scope: Scope, retention_days: int, raw: bytes) -> tuple[bytes, bytes]:
    """The envelope in two pieces, to be written one after the other: what goes in front, and `raw`."""
    head = b"".join(
        (
            _owner(scope, retention_days),
            _tag(_DIGEST_FIELD, _LENGTH_DELIMITED),
            b"\x10",
            xxhash.xxh3_128_digest(raw),
            _tag(_REQUEST_FIELD, _LENGTH_DELIMITED),
            _varint(len(raw)),
        )
    )
    return _varint(len(head) + len(raw)) + head, raw


@lru_cache(maxsize=4096)
def _owner(scope: Scope, retention_days: int) -> bytes:
    ids = (scope.organization_id, scope.workspace_id, scope.tenant_id)
    texts = [str(identifier).encode() for identifier in ids]
    fields = [_tag(number, _LENGTH_DELIMITED) + _varint(len(text)) + text for number, text in enumerate(texts, start=1)]
    return b"".join(fields) + _tag(_RETENTION_FIELD, _VARINT) + _varint(retention_days)


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > _SEVEN_BITS:
        out.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
