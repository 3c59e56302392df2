"""The log of requests on disk: what makes a commit all or nothing, an acknowledgement durable, and bridges outages.

A request is appended to a segment, and acknowledged once its bytes are synced. A segment is sealed when it is large or
old enough; then its rows are inserted under its name as the deduplication token, and its file goes. If the process or
the machine dies in between, or ClickHouse is away, the file is decoded again later and inserted under the same token:
what was stored is skipped, what was not is added. The file's suffix says what it is:

  .growing  requests are appended, and acknowledged once they are synced
  .segment  sealed: on the way into ClickHouse
  .poison   torn, changed, or refused by ClickHouse; `duoscope admin spool` shows and replays it

Versions before the log kept batches of rows (`landed_batches`), which are still inserted.
"""

import errno
import fcntl
import logging
import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from uuid import UUID

import xxhash

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Kind
from duoscope.receiver.durability import landed_batches
from duoscope.receiver.durability.batch import Batch, Part, split_token
from duoscope.receiver.durability.records import (
    END,
    FORMER_MAGIC,
    MAGIC,
    CorruptFileError,
    Reading,
    Record,
    heads,
    parts_of,
    read,
)

_log = logging.getLogger(__name__)

GROWING: Final = ".growing"
SEGMENT: Final = ".segment"
POISON: Final = ".poison"
_WHY: Final = ".why"
_NEW: Final = ".new"
"""A file that is written, and means nothing yet."""
_NAME: Final = re.compile(r"[0-9a-f]{32}")
_BUFFERS_MAX: Final = 1000
"""Parts of one write; Linux takes 1024."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file of the log, as shown to an operator."""

    name: str
    state: str
    size_bytes: int
    received_ns: int
    requests: int | None
    items: int | None
    why: str


class SegmentWriter:
    """The segment that requests are appended to. Its methods block.

    Attributes:
        name: of the segment: a UUIDv7 in hex.
        path: of the file, once it is sealed.
        written_bytes: where the last whole request ends.
        synced_bytes: how much of the file is on the disk, and may be acknowledged.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Create the file. Raises OSError: the disk is full or broken."""
        self.name = name
        self.path = folder / f"{self.name}{SEGMENT}"
        self._growing = self.path.with_suffix(GROWING)
        self._file = os.open(self._growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.synced_bytes = 0
        try:
            os.write(self._file, MAGIC)
            _sync_folder(folder)
        except OSError:
            os.close(self._file)
            self._growing.unlink(missing_ok=True)
            raise
        self.written_bytes = len(MAGIC)
        self._syncing = threading.Lock()
        self._is_broken = False

    def write(self, records: list[Record]) -> int:
        """Append requests. Returns where they end, for `sync`. One thread at a time, also while another syncs.

        Raises:
            OSError: they are not in the file; `cut` it before it is read.
        """
        waiting = [memoryview(part) for record in records for part in parts_of(record)]
        end = self.written_bytes + sum(map(len, waiting))
        while waiting:
            written = os.writev(self._file, waiting[:_BUFFERS_MAX])
            while waiting and written >= len(waiting[0]):
                written -= len(waiting.pop(0))
            if written:
                waiting[0] = waiting[0][written:]
        self.written_bytes = end
        return end

    def sync(self, end: int) -> None:
        """Return when the file is on the disk up to `end`, and may be acknowledged. What others wrote meanwhile is
        synced with it.

        Raises:
            OSError: this sync failed or an earlier one. A kernel reports a failure once, and a second sync as done.
        """
        with self._syncing:
            if self.synced_bytes >= end:
                return
            if self._is_broken:
                raise OSError(errno.EIO, "an earlier sync of this file failed")
            written = self.written_bytes
            self._is_broken = True
            os.fdatasync(self._file)
            self._is_broken = False
            self.synced_bytes = written

    def seal(self) -> Path:
        """Close the file, which is whole. Returns where it is."""
        with suppress(OSError):  # they say that it is whole, no more
            os.write(self._file, END)
            self._growing.rename(self.path)
        return self.abandon()

    def abandon(self) -> Path:
        """Close the file, of which more may be written than is synced. Returns where it is."""
        with suppress(OSError):  # what counts was synced
            os.close(self._file)
        return self.path if self.path.exists() else self._growing


class RequestLog:
    """The folder of the log. One process owns it. Its methods block: call them in threads.

    Attributes:
        growing: names of segments that are written, or were just sealed and have not been handed over.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self.growing: set[str] = set()

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
        landed_batches.clean(folder)
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

    def create(self) -> SegmentWriter:
        """A new segment. Raises OSError: the disk is full or broken."""
        name = new_id().hex
        # Before the file is there, for whoever lists the folder.
        self.growing.add(name)
        try:
            return SegmentWriter(self._folder, name)
        except OSError:
            self.growing.discard(name)
            raise

    def cut(self, path: Path, size: int) -> None:
        """Leave only the first bytes of a segment, and remove one that has none left. Raises OSError."""
        if size <= len(MAGIC):
            path.unlink(missing_ok=True)
        elif path.stat().st_size > size:
            with path.open("r+b") as file:
                file.truncate(size)
                os.fsync(file.fileno())

    def read(self, path: Path) -> list[Record] | Batch:
        """The requests of a segment, or the batch that an earlier version wrote.

        What a power cut tore at the end of a segment is left out: it was not acknowledged. What was torn or changed
        elsewhere is set aside.

        Raises:
            CorruptFileError: it is neither.
        """
        content = path.read_bytes()
        if landed_batches.is_one(content):
            return landed_batches.read(content)
        if path.suffix == GROWING and len(content) < len(MAGIC):
            return []  # the process died when it had created the file
        reading = Reading()
        found = list(read(content, reading, is_sealed=path.suffix != GROWING))
        if reading.damaged:
            # Of this name, so that there is one however often the segment is read.
            rest = path.with_name(path.stem[:12] + xxhash.xxh3_128_hexdigest(path.stem.encode())[12:] + POISON)
            if not rest.exists():
                _log.error("%s is damaged; what cannot be read is set aside", path.name)
                rest.write_bytes(content[: len(MAGIC)] + reading.damaged + END)
                self.set_aside(rest, f"requests of segment {path.stem} that are damaged; the others are inserted")
        elif reading.is_torn:
            _log.warning("%s ends with a write that was torn", path.name)
        return found

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

    def set_aside(self, path: Path, why: str) -> Path:
        """Move a file that cannot be inserted out of the way, with a note of the reason if there is room."""
        with suppress(OSError):
            path.with_suffix(_WHY).write_text(why[:2000])
        return self._sync_as(path, POISON)

    def split_off(self, path: Path, kind: Kind, why: str) -> bool:
        """Set the requests of one signal aside in a file of their own, and leave the others of a segment.

        Returns False, and changes nothing, if there are no others, or parts that cannot be read. If this is killed in
        between, it can be repeated.
        """
        content = path.read_bytes()
        if landed_batches.is_one(content):
            return False
        reading = Reading()
        found = list(read(content, reading))
        left = [record for record in found if record.kind is not kind]
        if not left or reading.damaged:
            return False
        # Neither is found under this suffix before it is whole.
        aside, rest = path.with_name(split_token(path.stem, kind) + _NEW), path.with_suffix(_NEW)
        _write(aside, [record for record in found if record.kind is kind])
        self.set_aside(aside, why)
        _write(rest, left)
        rest.rename(path)
        _sync_folder(self._folder)
        return True

    def release(self, path: Path) -> Path:
        """Put a file that was set aside back on its way."""
        path.with_suffix(_WHY).unlink(missing_ok=True)
        with path.open("rb") as file:
            is_landed = landed_batches.is_one(file.read(landed_batches.TELLING_BYTES))
        return self._sync_as(path, landed_batches.SPOOLED if is_landed else SEGMENT)

    def _sync_as(self, path: Path, suffix: str) -> Path:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        renamed = path.rename(path.with_suffix(suffix))
        _sync_folder(self._folder)
        return renamed

    def remove(self, path: Path) -> None:
        """Forget what is stored."""
        path.unlink(missing_ok=True)
        path.with_suffix(_WHY).unlink(missing_ok=True)

    def files(self, *, poison: bool = False) -> list[Path]:
        """The files on their way into ClickHouse, or those that were set aside; oldest first.

        Copies that an operator put beside them have other names.
        """
        suffixes = {POISON} if poison else {GROWING, SEGMENT, *landed_batches.SUFFIXES}
        found = (path for path in self._folder.iterdir() if path.suffix in suffixes and _NAME.fullmatch(path.stem))
        return sorted(found, key=lambda path: path.stem)

    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(size_of, (*self.files(), *self.files(poison=True))))

    def has_room(self) -> bool:
        """Whether the disk has space left, beyond what is kept free for other data on it."""
        disk = os.statvfs(self._folder)
        free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        return free > min(limits.INGEST_DISK_FREE_BYTES_MIN, total // 20)

    def requests(self, path: Path) -> Sequence[Record | Part]:
        """The requests of a file, with their outcomes. Changes nothing.

        The requests themselves are read only where a write may have been torn, and from an earlier version's file.

        Raises:
            CorruptFileError: it is neither a segment nor a batch.
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            if landed_batches.is_one(file.read(landed_batches.TELLING_BYTES)):
                return landed_batches.read(path.read_bytes()).parts
            file.seek(0)
            return list(read(file.read(), Reading()) if path.suffix == GROWING else heads(file))

    def describe(self, path: Path) -> tuple[Waiting, Sequence[Record | Part]]:
        """The state of a file for an operator, and its requests. Changes nothing."""
        state = "poison" if path.suffix == POISON else "waiting"
        try:
            why = path.with_suffix(_WHY).read_text()
        except OSError:
            why = ""
        try:
            found = self.requests(path)
        except (CorruptFileError, OSError):
            why = why or "the file is torn or was changed"
            return Waiting(path.stem, state, size_of(path), created_ns(path), None, None, why), []
        items = sum(each.outcome.stored for each in found)
        return Waiting(path.stem, state, size_of(path), created_ns(path), len(found), items, why), found

    def find(self, name: str, *, poison: bool = False) -> Path | None:
        """A file by its name; with `poison`, only one that was set aside."""
        files = self.files(poison=True) + ([] if poison else self.files())
        return next((path for path in files if path.stem == name), None)


def waiting_since_ns(folder: Path) -> int | None:
    """Return when the oldest segment in a folder was created, in nanoseconds since 1970; None if there is none."""
    return min(map(created_ns, RequestLog.look(folder).files()), default=None) if folder.exists() else None


def created_ns(path: Path) -> int:
    """Return when a file was created, in nanoseconds since 1970. Its name, a UUIDv7, begins with milliseconds."""
    return int(path.stem[:12], 16) * 1_000_000


def size_of(path: Path) -> int:
    """The size of a file; 0 for one that is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(path: Path, records: Sequence[Record]) -> None:
    with path.open("wb") as file:
        magic = FORMER_MAGIC if records[0].is_former else MAGIC
        file.writelines((magic, *(part for record in records for part in parts_of(record)), END))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
