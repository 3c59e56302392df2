"""Batches of rows that a version before the request log left on disk: read once more, never written.

The file: a magic, the length of a JSON head, the head and its checksum, the blocks, and a checksum of all that.
"""

import json
from pathlib import Path
from typing import Any, Final

import xxhash

from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.batch import Batch, Insert, Part
from duoscope.receiver.durability.records import CorruptFileError

SPOOLED: Final = ".spooled"
SUFFIXES: Final = (".batch", SPOOLED)
_MAGIC: Final = b"DUOBATCH2\n"
_CHECKSUM_BYTES: Final = 16
_SIZE_BYTES: Final = 8
TELLING_BYTES: Final = 8
"""So many bytes tell such a file from another."""


def clean(folder: Path) -> None:
    """Remove what was being written when a process died."""
    for torn in folder.glob("*.new"):
        torn.unlink()


def is_one(content: bytes) -> bool:
    """Whether a file with this beginning is such a batch."""
    return content.startswith(_MAGIC[:TELLING_BYTES])


def read(content: bytes) -> Batch:
    """The batch of a file.

    Raises:
        CorruptFileError: it is not as it was written.
    """
    start = len(_MAGIC) + _SIZE_BYTES
    sound = xxhash.xxh3_128_digest(content[:-_CHECKSUM_BYTES]) == content[-_CHECKSUM_BYTES:]
    if not sound:
        raise CorruptFileError("the file is torn or was changed")
    head_bytes = int.from_bytes(content[len(_MAGIC) : start], "big")
    head: dict[str, Any] = json.loads(content[start : start + head_bytes])
    parts = tuple(
        Part(workspace, tenant, digest, Outcome(items, stored, rejected), {t: (a, b) for t, (a, b) in rows.items()})
        for workspace, tenant, digest, rows, items, stored, rejected in head["parts"]
    )
    at = start + head_bytes + _CHECKSUM_BYTES
    inserts: list[Insert] = []
    for table, form, length in head["inserts"]:
        inserts.append(Insert(table, form, content[at : at + length]))
        at += length
    return Batch(head["token"], head["received_ns"], parts, tuple(inserts))
