"""Mends what a kill of the embedded ClickHouse may leave: a token of an INSERT that is remembered, and no row of it.

A table writes the token of an INSERT down before it takes the part in. Killed in between, it would skip the INSERT when
the journal repeats it, and rows that were acknowledged would be missing. Before the engine starts, tokens of parts that
are not there are forgotten, in the way the engine itself forgets them. Of a part that has since expired a token says
nothing that is needed either.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PART: Final = re.compile(r"([^_]+)_(\d+)_(\d+)_\d+(?:_\d+)?")
"""Partition, first and last block, level, and mutation."""

_ADDED, _DROPPED = "1", "2"

_LINES_MAX: Final = 200
"""Of each table: more INSERTs than can have been under way at once."""


def forget_missing_parts(clickhouse: Path) -> int:
    """Look through the data folder of an engine that is not running. How many tokens were forgotten."""
    return sum(_mend(logs) for logs in clickhouse.glob("store/*/*/deduplication_logs"))


def _mend(logs: Path) -> int:
    files = sorted(logs.glob("deduplication_log_*.txt"), key=lambda path: int(path.stem.rpartition("_")[2]))
    lines = [line for path in files[-2:] for line in path.read_text().splitlines()][-_LINES_MAX:]
    last = {part: (operation, token) for operation, part, token in (_fields(line) for line in lines)}
    there = [found for path in logs.parent.iterdir() if (found := _PART.fullmatch(path.name))]
    missing = [
        (part, token) for part, (operation, token) in last.items() if operation == _ADDED and not _covered(part, there)
    ]
    if missing:
        with files[-1].open("a") as file:
            file.writelines(f"{_DROPPED}\t{part}\t{token}\n" for part, token in missing)
    return len(missing)


def _fields(line: str) -> tuple[str, str, str]:
    operation, _, rest = line.partition("\t")
    part, _, token = rest.partition("\t")
    return operation, part, token


def _covered(name: str, parts: Iterable[re.Match[str]]) -> bool:
    """Whether the part, or one that it was merged into, is there. A name that is none is left alone."""
    part = _PART.fullmatch(name)
    if part is None:
        return True
    first, last = int(part[2]), int(part[3])
    return any(each[1] == part[1] and int(each[2]) <= first and last <= int(each[3]) for each in parts)
