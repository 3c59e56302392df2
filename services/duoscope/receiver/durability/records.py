"""The records of the request log: a request as it came, and all that its rows depend on.

A segment is a magic, records behind each other, and an end once it is sealed. A record: a magic, the lengths of its
head and of the request, a checksum of both, the head in MessagePack, the request's bytes. So a segment can be read up
to a write that was torn; and if one that was sealed cannot be read whole, it was changed.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from uuid import UUID

import msgspec
import xxhash

from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Bounds, Kind, Outcome

MAGIC: Final = b"DUOLOG2\n"
FORMER_MAGIC: Final = b"DUOLOG1\n"
"""Of segments from before points were sorted by the hour. Both are of one length."""
END: Final = b"END\n"
_RECORD: Final = struct.Struct("<4sIIQ")
_RECORD_MAGIC: Final = b"REQ\n"


NOT_DECODED: Final = Outcome(0, 0)


class CorruptFileError(Exception):
    """The file is torn or was changed."""


@dataclass(frozen=True, slots=True)
class Record:
    """A request in the log.

    Attributes:
        kind: the signal.
        scope: the tenant.
        api_key_id: the key that it came with.
        digest: of its bytes, in hex; also its identity among the tenant's requests.
        received_ns: when it came, in nanoseconds since 1970.
        retention_days: how long its rows are kept.
        bounds: the limits of its items.
        raw: the OTLP message.
        refused: points that reached the limit of active series, as `Decoder.refused`.
        outcome: what its sender was told.
        is_former: whether its segment is from before points were sorted by the hour, and may be in the tables of then.
    """

    kind: Kind
    scope: Scope
    api_key_id: UUID
    digest: str
    received_ns: int
    retention_days: int
    bounds: Bounds
    raw: bytes = field(repr=False)
    refused: bytes = b""
    outcome: Outcome = NOT_DECODED
    is_former: bool = False

    @property
    def key(self) -> str:
        """The identity of the request, including its tenant: the same bytes from another tenant are another request."""
        return f"{self.scope.tenant_id}/{self.digest}"


class _Head(msgspec.Struct, array_like=True, frozen=True):
    kind: int
    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    api_key_id: UUID
    digest: str
    received_ns: int
    retention_days: int
    bounds: tuple[int, int, int]
    refused: bytes
    items: int
    stored: int
    reasons: dict[str, int]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Head).decode


def parts_of(record: Record) -> tuple[bytes, bytes]:
    """A record as it is written, in two parts: the second is the request itself, which is not copied."""
    bounds, outcome, scope = record.bounds, record.outcome, record.scope
    head = _encode(
        _Head(
            int(record.kind),
            scope.organization_id,
            scope.workspace_id,
            scope.tenant_id,
            record.api_key_id,
            record.digest,
            record.received_ns,
            record.retention_days,
            (bounds.attributes_max, bounds.attribute_bytes_max, bounds.body_bytes_max),
            record.refused,
            outcome.items,
            outcome.stored,
            outcome.reasons,
        )
    )
    return _RECORD.pack(_RECORD_MAGIC, len(head), len(record.raw), _checksum(head, record.raw)) + head, record.raw


@dataclass(slots=True)
class Reading:
    """The parts of a segment that are no sound records.

    Attributes:
        damaged: bytes that cannot be read though they were written: records before sound ones or before the end.
        is_torn: whether the end is missing, and what comes before it is no whole record: its write was torn.
    """

    damaged: bytes = field(default=b"", repr=False)
    is_torn: bool = False


def read(content: bytes, reading: Reading, *, is_sealed: bool = False) -> Iterator[Record]:
    """The sound records of a segment, one after the other; `reading` is complete after the last.

    Args:
        content: of the file.
        reading: what is found beside them.
        is_sealed: whether all of it was synced; else the last write may be torn, if there is no end.

    Raises:
        CorruptFileError: the beginning is not that of a segment.
    """
    if not content.startswith((MAGIC, FORMER_MAGIC)):
        raise CorruptFileError("this is no segment of the request log")
    stop = len(content) - len(END) if content.endswith(END) else len(content)
    at, bad = len(MAGIC), b""
    while stop - at >= _RECORD.size:
        magic, head_size, raw_size, checksum = _RECORD.unpack_from(content, at)
        middle = at + _RECORD.size + head_size
        end = middle + raw_size
        if magic != _RECORD_MAGIC or end > stop:
            break
        head, raw = content[middle - head_size : middle], content[middle:end]
        if _checksum(head, raw) == checksum:
            reading.damaged, bad = reading.damaged + bad, b""
            yield _record(head, raw, is_former=content.startswith(FORMER_MAGIC))
        else:
            bad += content[at:end]
        at = end
    bad += content[at:stop]
    if is_sealed or stop < len(content):
        reading.damaged += bad
    else:
        reading.is_torn = bool(bad)


def heads(file: BinaryIO) -> Iterator[Record]:
    """The records of a segment that was sealed, without the requests themselves, which are not read.

    Checksums are not compared: they are of the requests too.

    Raises:
        CorruptFileError: the beginning is not that of a segment.
    """
    if (beginning := file.read(len(MAGIC))) not in {MAGIC, FORMER_MAGIC}:
        raise CorruptFileError("this is no segment of the request log")
    while len(start := file.read(_RECORD.size)) == _RECORD.size:
        magic, head_size, raw_size, _ = _RECORD.unpack(start)
        if magic != _RECORD_MAGIC:
            return
        with contextlib.suppress(msgspec.MsgspecError):
            yield _record(file.read(head_size), b"", is_former=beginning == FORMER_MAGIC)
        file.seek(raw_size, os.SEEK_CUR)


def _checksum(head: bytes, raw: bytes) -> int:
    return xxhash.xxh3_64_intdigest(raw, seed=xxhash.xxh3_64_intdigest(head))


def _record(encoded: bytes, raw: bytes, *, is_former: bool) -> Record:
    head = _decode(encoded)
    return Record(
        Kind(head.kind),
        Scope(head.organization_id, head.workspace_id, head.tenant_id),
        head.api_key_id,
        head.digest,
        head.received_ns,
        head.retention_days,
        Bounds(*head.bounds),
        raw,
        head.refused,
        Outcome(head.items, head.stored, head.reasons),
        is_former,
    )
