"""Batches on disk: what makes a commit all or nothing, and what bridges an outage of ClickHouse.

A batch is a few INSERTs under one deduplication token. Before the first, the batch is written to a file; when the last
has committed, the file goes. If the process dies in between, the next start repeats the INSERTs under the same token:
what was stored is skipped, what was not is added. While ClickHouse is away the files stay and are inserted later,
oldest first. One idea, two uses; the file's suffix says how far a batch came:

  .batch    written, not acknowledged. In the page cache: survives the process, which is all that it is for
  .spooled  acknowledged, or found by the process after the one that died over it: synced to disk first
  .poison   acknowledged, but torn, changed, or refused by ClickHouse; `duoscope admin spool` shows and replays it

The file: a magic, the length of a JSON head, the head and its checksum, the blocks, and a checksum of all that.
"""

import fcntl
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Self
from uuid import UUID

import xxhash

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.batch import Batch, Insert, Part

_MAGIC: Final = b"DUOBATCH2\n"
_CHECKSUM_BYTES: Final = 16
_SIZE_BYTES: Final = 8
_HEAD_BYTES_MAX: Final = 256 * 1024 * 1024

WRITTEN: Final = ".batch"
SPOOLED: Final = ".spooled"
POISON: Final = ".poison"
_WHY: Final = ".why"
_NAME: Final = re.compile(r"[0-9a-f]{32}")
"""A token. Copies that an operator put beside the batches are not batches."""


class CorruptBatchError(Exception):
    """The file is torn or was changed; none of its content can be trusted."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch file, as shown to an operator."""

    name: str
    state: str
    size_bytes: int
    received_ns: int | None
    requests: int | None
    rows: int | None
    why: str


class Journal:
    """The folder of batch files. One process owns it. Its methods block: call them in threads."""

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the folder as its owner, and create it if it does not exist.

        Raises:
            DuoscopeError: CONFLICT while another process owns it.
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

    @classmethod
    def look(cls, folder: Path) -> Self:
        """Open the folder beside the receiver that owns it: for an operator, who may list and rename files."""
        return cls(folder, -1)

    def close(self) -> None:
        """Give up ownership. May be called again."""
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
                "received_ns": batch.received_ns,
                "inserts": [[i.table, i.form, len(i.block)] for i in batch.inserts],
                "parts": [[p.workspace_id, p.tenant_id, p.digest, p.rows, *_values(p.outcome)] for p in batch.parts],
            }
        ).encode()
        path = self._folder / f"{batch.token}{WRITTEN}"
        new = path.with_suffix(".new")
        checksum = xxhash.xxh3_128()
        try:
            with new.open("wb") as file:
                for part in (_MAGIC, len(head).to_bytes(_SIZE_BYTES, "big"), head):
                    checksum.update(part)
                    file.write(part)
                of_head = checksum.digest()
                for part in (of_head, *(i.block for i in batch.inserts)):
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
        if xxhash.xxh3_128_digest(content[:-_CHECKSUM_BYTES]) != content[-_CHECKSUM_BYTES:]:
            raise CorruptBatchError(path.name)
        with path.open("rb") as file:
            head, batch = _read_head(file, path)
            at = file.tell()
        inserts: list[Insert] = []
        for table, form, length in head["inserts"]:
            inserts.append(Insert(table, form, content[at : at + length]))
            at += length
        return Batch(batch.token, batch.received_ns, batch.parts, tuple(inserts))

    def read_head(self, path: Path) -> Batch:
        """The batch of a file without its rows, which are not looked at.

        Raises:
            CorruptBatchError: what was read is not what `write` wrote.
        """
        with path.open("rb") as file:
            return _read_head(file, path)[1]

    @property
    def receiver_id(self) -> UUID:
        """The identity of the folder's owner, whichever process that is."""
        path = self._folder / "receiver-id"
        try:
            return UUID(path.read_text())
        except (OSError, ValueError):
            made = new_id()
            path.write_text(str(made))
            return made

    def spool(self, path: Path) -> Path:
        """Make a written batch survive the machine; it may then be acknowledged."""
        return self._sync_as(path, SPOOLED)

    def set_aside(self, path: Path, why: str) -> Path:
        """Move a batch that cannot be inserted out of the way, with a note of the reason if there is room."""
        with suppress(OSError):
            path.with_suffix(_WHY).write_text(why[:2000])
        return self._sync_as(path, POISON)

    def release(self, path: Path) -> Path:
        """Put a batch that was set aside back into the spool."""
        path.with_suffix(_WHY).unlink(missing_ok=True)
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
        path.with_suffix(_WHY).unlink(missing_ok=True)

    def files(self, *suffixes: str) -> list[Path]:
        """The batches of these kinds, oldest first."""
        found = (path for path in self._folder.iterdir() if path.suffix in suffixes and _NAME.fullmatch(path.stem))
        return sorted(found, key=lambda path: path.stem)

    def size(self, *suffixes: str) -> int:
        """Bytes of the batches of these kinds; of all if none is given."""
        return sum(_size(path) for path in self.files(*(suffixes or (WRITTEN, SPOOLED, POISON))))

    def has_room(self) -> bool:
        """Whether the disk has space left, beyond what is kept free for other data on it."""
        disk = os.statvfs(self._folder)
        free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        return free > min(limits.INGEST_DISK_FREE_BYTES_MIN, total // 20)

    def describe(self, path: Path) -> Waiting:
        """The state of a file for an operator; for a torn one only what the file system says."""
        state = {WRITTEN: "in flight", SPOOLED: "waiting", POISON: "poison"}[path.suffix]
        try:
            why = path.with_suffix(_WHY).read_text()
        except OSError:
            why = ""
        try:
            batch = self.read_head(path)
        except (CorruptBatchError, OSError):
            return Waiting(path.stem, state, _size(path), None, None, None, why or "the file is torn or was changed")
        stored = sum(part.outcome.stored for part in batch.parts)
        return Waiting(path.stem, state, _size(path), batch.received_ns, len(batch.parts), stored, why)

    def find(self, name: str, *suffixes: str) -> Path | None:
        """The file of a batch by its name."""
        return next((path for path in self.files(*suffixes) if path.stem == name), None)


def _values(outcome: Outcome) -> tuple[object, ...]:
    return outcome.items, outcome.stored, outcome.reasons


def _read_head(file: BinaryIO, path: Path) -> tuple[dict[str, Any], Batch]:
    start = file.read(len(_MAGIC) + _SIZE_BYTES)
    size = int.from_bytes(start[len(_MAGIC) :], "big")
    if not start.startswith(_MAGIC) or size > _HEAD_BYTES_MAX:
        raise CorruptBatchError(path.name)
    raw = file.read(size)
    if xxhash.xxh3_128_digest(start + raw) != file.read(_CHECKSUM_BYTES):
        raise CorruptBatchError(path.name)
    head: dict[str, Any] = json.loads(raw)
    parts = tuple(
        Part(workspace, tenant, digest, Outcome(items, stored, rejected), {t: (a, b) for t, (a, b) in rows.items()})
        for workspace, tenant, digest, rows, items, stored, rejected in head["parts"]
    )
    return head, Batch(head["token"], head["received_ns"], parts)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
