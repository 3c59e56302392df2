"""Batches on disk: what makes a commit all or nothing, and what bridges an outage of ClickHouse.

A batch is a few INSERTs under one deduplication token. Before the first, the batch is written to a file; when the last
has committed, the file goes. If the process dies in between, the next start repeats the INSERTs under the same token:
what was stored is skipped, what was not is added. While ClickHouse is away the files stay and are inserted later,
oldest first. One idea, two uses; the file's suffix says how far a batch came:

  .batch    written, not acknowledged. In the page cache: survives the process, which is all that it is for
  .spooled  acknowledged: synced to disk first
  .poison   acknowledged, but ClickHouse refuses it; `duoscope admin spool` shows and replays it

The file: a magic, the length of a JSON head, the head, the blocks, and a checksum of all that.
"""

import dataclasses
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import xxhash

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.receiver.decoder import Outcome

_MAGIC: Final = b"DUOBATCH1\n"
_CHECKSUM_BYTES: Final = 16
_SIZE_BYTES: Final = 8

WRITTEN: Final = ".batch"
SPOOLED: Final = ".spooled"
POISON: Final = ".poison"


class CorruptBatchError(Exception):
    """The file is torn or was changed; none of it can be believed."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A block for one table."""

    table: str
    form: str
    block: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """INSERTs that belong together.

    Attributes:
        token: identifies the content: a UUIDv7 in hex, so that files sort by age.
        inserts: in order; the ledger's is the last.
        outcomes: of the requests in it, by their digest.
    """

    token: str
    inserts: tuple[Insert, ...]
    outcomes: dict[str, Outcome]


class Journal:
    """The folder of batch files. One process owns it. Its methods block: call them in threads."""

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Own the folder, which is made where it is missing.

        Raises:
            DuoscopeError: CONFLICT while another process has it.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "ingest-folder-in-use",
                f"Another receiver uses {folder}. Give each its own with --data-dir (or DUOSCOPE_DATA_DIR).",
            ) from error
        for torn in folder.glob("*.new"):
            torn.unlink()
        return cls(folder, lock)

    def close(self) -> None:
        """Let another process have it. May be called again."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write(self, batch: Batch) -> Path:
        """Keep a batch until `remove`; survives the death of this process.

        Raises:
            OSError: the disk is full or broken.
        """
        head = json.dumps(
            {
                "token": batch.token,
                "inserts": [[i.table, i.form, len(i.block)] for i in batch.inserts],
                "outcomes": {digest: dataclasses.astuple(outcome) for digest, outcome in batch.outcomes.items()},
            }
        ).encode()
        path = self._folder / f"{batch.token}{WRITTEN}"
        new = path.with_suffix(".new")
        checksum = xxhash.xxh3_128()
        try:
            with new.open("wb") as file:
                for part in (_MAGIC, len(head).to_bytes(_SIZE_BYTES, "big"), head, *(i.block for i in batch.inserts)):
                    checksum.update(part)
                    file.write(part)
                file.write(checksum.digest())
            new.rename(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        return path

    def read(self, path: Path) -> Batch:
        """The batch of a file.

        Raises:
            CorruptBatchError: it is not what `write` wrote.
        """
        content = path.read_bytes()
        body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if not body.startswith(_MAGIC) or xxhash.xxh3_128_digest(body) != checksum:
            raise CorruptBatchError(path.name)
        at = len(_MAGIC) + _SIZE_BYTES
        size = int.from_bytes(body[len(_MAGIC) : at], "big")
        head: dict[str, Any] = json.loads(body[at : at + size])
        at += size
        inserts: list[Insert] = []
        for table, form, length in head["inserts"]:
            inserts.append(Insert(table, form, body[at : at + length]))
            at += length
        outcomes = {digest: Outcome(*outcome) for digest, outcome in head["outcomes"].items()}
        return Batch(head["token"], tuple(inserts), outcomes)

    def spool(self, path: Path) -> Path:
        """Make a written batch survive the machine; it may then be acknowledged."""
        return self._sync_as(path, SPOOLED)

    def set_aside(self, path: Path) -> Path:
        """Take a batch that cannot be inserted out of the way."""
        return self._sync_as(path, POISON)

    def release(self, path: Path) -> Path:
        """Put a batch that was set aside back into the spool."""
        return self._sync_as(path, SPOOLED)

    def _sync_as(self, path: Path, suffix: str) -> Path:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        renamed = path.rename(path.with_suffix(suffix))
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return renamed

    def remove(self, path: Path) -> None:
        """Forget a batch that is stored."""
        path.unlink(missing_ok=True)

    def files(self, *suffixes: str) -> list[Path]:
        """The batches of these kinds, oldest first."""
        return sorted((path for path in self._folder.iterdir() if path.suffix in suffixes), key=lambda path: path.stem)

    def size(self, *suffixes: str) -> int:
        """Bytes of the batches of these kinds."""
        return sum(_size(path) for path in self.files(*suffixes))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
