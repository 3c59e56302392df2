"""Tokens of the embedded ClickHouse: those that a kill left without their rows, and those that a power cut took.

A table writes down the token of an INSERT before it accepts the part. After a kill in between, it would skip the INSERT
when it is repeated, and acknowledged rows would be missing. So before the engine starts, tokens of missing
parts are removed, in the way in which the engine itself removes them. Tokens of parts that have since expired are
removed too; they are no longer needed.

The engine syncs the parts of an INSERT and not its tokens. They are synced before the next INSERT of a segment begins,
and so before the segment goes and before the ledger says that all of it is stored. Where a power cut left a part and
took its token, the segment is still there, and the part goes: else its rows would be stored twice.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PART: Final = re.compile(r"([^_]+)_(\d+)_(\d+)_(\d+)(?:_\d+)?")
"""Partition, first and last block, level, and mutation."""

_UUID: Final = re.compile(r"\bUUID '([0-9a-f-]{36})'")

_NOT_MERGED: Final = "0"
"""The level of a part that an INSERT wrote."""

_OF_ONE_FILE, _OF_MANY_FILES = "data.packed", "checksums.txt"
"""A file that a part has, whichever of both it is."""

_ADDED, _DROPPED = "1", "2"

_LOGS_READ: Final = 2
"""Of a table: the newest, and the one before, for the newest may just have begun."""

_LINES_MAX: Final = 200
"""Per table: more INSERTs than can have been in progress at once."""


def forget_missing_parts(clickhouse: Path) -> int:
    """Remove tokens of missing parts from the data folder of an engine that is not running. Returns how many."""
    return sum(_mend(logs) for logs in clickhouse.glob("store/*/*/deduplication_logs"))


def set_aside_untold_parts(clickhouse: Path, since_ns: int, *, besides: Iterable[str] = ()) -> int:
    """Detach parts that an INSERT wrote and whose tokens are lost, of an engine that is not running.

    Args:
        clickhouse: the engine's data folder.
        since_ns: nanoseconds since 1970. Parts that are older are left alone: whatever they are, nothing that waits to
            be inserted again can be what they have.
        besides: tables whose rows nobody inserts again.

    Returns:
        How many parts.
    """
    left_alone = {_uuid(path) for table in besides for path in clickhouse.glob(f"metadata/*/{table}.sql")}
    return sum(
        _detach_untold(logs, since_ns)
        for logs in clickhouse.glob("store/*/*/deduplication_logs")
        if logs.parent.name not in left_alone
    )


class TokenLogs:
    """The tokens of an engine's INSERTs, which it writes down and does not sync."""

    def __init__(self, clickhouse: Path) -> None:
        """Look after the engine of a data folder, once its tables are there."""
        self._folders = tuple(map(str, clickhouse.glob("store/*/*/deduplication_logs")))
        self._synced: dict[str, int] = {}

    def sync(self) -> None:
        """Force the tokens of all INSERTs so far to the disk. Blocks. Raises OSError."""
        for folder in self._folders:
            with contextlib.suppress(FileNotFoundError):  # of a table that was dropped, a log that is no longer needed
                for log in os.scandir(folder):
                    # What is as long as it was is as it was: lines are only added.
                    if self._synced.get(log.path) != log.stat().st_size:
                        self._synced[log.path] = _sync(log.path)


def _sync(path: str) -> int:
    """Force a file to the disk. Returns how many bytes of it are surely there."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(opened).st_size
        os.fdatasync(opened)
    finally:
        os.close(opened)
    return size


def _detach_untold(logs: Path, since_ns: int) -> int:
    """Of INSERTs at the same time, one may be told of and another not.

    Blocks are numbered; of those before the first that they tell of, logs say nothing.
    """
    files = sorted(logs.glob("deduplication_log_*.txt"), key=_number)
    told = {_fields(line)[1] for path in files[-_LOGS_READ:] for line in _lines(path)}
    first_told = min((int(part[2]) for part in map(_PART.fullmatch, told) if part), default=0)
    untold = [
        path
        for path in logs.parent.iterdir()
        if (part := _PART.fullmatch(path.name))
        and path.name not in told
        and int(part[2]) > first_told
        and part[4] == _NOT_MERGED
        and path.stat().st_mtime_ns >= since_ns
    ]
    detached = logs.parent / "detached"
    for path in untold:
        detached.mkdir(exist_ok=True)
        path.rename(detached / f"untold_{path.name}")
    return len(untold)


def _uuid(definition: Path) -> str:
    """Of the table that a file defines, which is the name of its folder."""
    found = _UUID.search(definition.read_text())
    return found[1] if found else ""


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _mend(logs: Path) -> int:
    files = sorted(logs.glob("deduplication_log_*.txt"), key=_number)
    if files:
        _cut_torn_line(files[-1])
    lines = [line for path in files[-_LOGS_READ:] for line in _lines(path)][-_LINES_MAX:]
    last = {part: (operation, token) for operation, part, token in (_fields(line) for line in lines)}
    there = [part for path in logs.parent.iterdir() if (part := _PART.fullmatch(path.name)) and not _is_empty(path)]
    missing = [
        (part, token) for part, (operation, token) in last.items() if operation == _ADDED and not _covered(part, there)
    ]
    if missing:
        with files[-1].open("a") as file:
            file.writelines(f"{_DROPPED}\t{part}\t{token}\n" for part, token in missing)
    return len(missing)


def _is_empty(part: Path) -> bool:
    """Whether a power cut left of a part no more than its folder. The engine will set it aside."""
    files = (part / _OF_ONE_FILE, part / _OF_MANY_FILES)
    return not any(path.exists() and path.stat().st_size for path in files)


def _cut_torn_line(path: Path) -> None:
    """Cut off what a power cut left of the last line: the engine reads no further than to there."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _fields(line: str) -> tuple[str, str, str]:
    operation, _, rest = line.partition("\t")
    part, _, token = rest.partition("\t")
    return operation, part, token


def _covered(name: str, parts: Iterable[re.Match[str]]) -> bool:
    """Whether the part, or one that it was merged into, exists. An invalid name counts as covered, so that it is left
    alone.
    """
    part = _PART.fullmatch(name)
    if part is None:
        return True
    first, last = int(part[2]), int(part[3])
    return any(each[1] == part[1] and int(each[2]) <= first and last <= int(each[3]) for each in parts)
