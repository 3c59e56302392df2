"""A tail of log records: all that arrives from now on, whatever timestamps it carries.

A record has no time of arrival. ClickHouse numbers the blocks that it stores, and keeps a row's block number through
merges: so the records that arrived since the last look are the rows of blocks that no part had then (docs/adr/0015). A
look costs little while nothing arrives, and otherwise reads only the parts with new blocks.
"""

import asyncio
import bisect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from operator import itemgetter
from typing import Any, Final

from msgspec import Struct

from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse import BUSY_CODES, Blocks, TelemetryReader
from duoscope.telemetry import cutting, items
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.logs import COLUMNS, LogRecord, records

TAIL_INTERVAL_S: Final = 1.0
TAIL_ROWS_MAX: Final = 500
"""Records that one look shows; nobody can read more than that per second."""


class TailBatch(Struct, frozen=True):
    """The records that arrived between two looks, oldest first. `gap`: more arrived than a look shows, and the oldest
    are missing.
    """

    items: list[LogRecord]
    gap: bool


class KnownBlocks:
    """The blocks seen so far, as ranges of numbers by partition."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[tuple[int, int]]] = {}

    def add(self, parts: Iterable[Blocks]) -> list[Blocks]:
        """Add the blocks of parts. Returns those that were not known.

        A merged part also covers the numbers between its parts. ClickHouse merges no parts between which a block might
        still arrive, so no block of the partition has these numbers, or ever will.
        """
        return [fresh for part in parts for fresh in self._add(part)]

    def _add(self, part: Blocks) -> list[Blocks]:
        known = self._ranges.setdefault(part.partition, [])
        first = bisect.bisect_left(known, part.low, key=itemgetter(1))
        last = bisect.bisect_right(known, part.high, key=itemgetter(0))
        touched = known[first:last]
        fresh: list[Blocks] = []
        at = part.low
        for low, high in touched:
            if at < low:
                fresh.append(Blocks(part.partition, at, low - 1))
            at = high + 1
        if at <= part.high:
            fresh.append(Blocks(part.partition, at, part.high))
        if fresh:
            low, high = min([part.low, *(r[0] for r in touched)]), max([part.high, *(r[1] for r in touched)])
            known[first:last] = [(low, high)]
        return fresh


async def tail(
    reader: TelemetryReader,
    query: str = "",
    *,
    wait: Callable[[], Awaitable[None]] | None = None,
) -> AsyncGenerator[TailBatch]:
    """Yield what arrives from now on, one batch per look (also an empty one, as a sign of life). Never ends by itself.

    A look shows the TAIL_ROWS_MAX latest records, by their timestamps, that arrived since the previous look. `wait` is
    awaited between looks.

    Raises:
        DuoscopeError: INVALID for the query; UNAVAILABLE.
    """
    # A tail cannot be tried again when it finds nothing, so terms that look like attributes also match text from the
    # start.
    condition = compile_query(query, Signal.LOGS, or_text=True)
    pause = wait or _pause
    clock = asyncio.get_running_loop().time
    known, looked_at = KnownBlocks(), clock()
    known.add(await reader.log_blocks())
    unread: list[Blocks] = []
    while True:
        await pause()
        since, looked_at = looked_at, clock()
        unread += known.add(await reader.log_blocks(changed_within_s=looked_at - since))
        rows: list[dict[str, Any]] = []
        try:
            rows = await _arrived(reader, condition, unread) if unread else []
            unread = []
        except DuoscopeError as error:
            # The tenant has no slot for a query at this moment: the next look reads these blocks, too.
            if error.code not in BUSY_CODES:
                raise
        gap = bool(rows) and min(len(rows), TAIL_ROWS_MAX) < rows[0]["found"]
        rows = rows[:TAIL_ROWS_MAX][::-1]
        yield TailBatch(await items.decoded(rows, records), gap=gap)


async def _pause() -> None:
    await asyncio.sleep(TAIL_INTERVAL_S)


# Parts without new blocks are excluded before any of their rows are read.
_NEW = """
    arrayExists((p, low, high) -> p = block_partition AND part_last_block >= low AND part_first_block <= high,
        {partitions:Array(String)}, {lows:Array(Int64)}, {highs:Array(Int64)})
    AND arrayExists((p, low, high) -> p = block_partition AND block >= low AND block <= high,
        {partitions:Array(String)}, {lows:Array(Int64)}, {highs:Array(Int64)})"""


async def _arrived(reader: TelemetryReader, condition: Condition | None, blocks: list[Blocks]) -> list[dict[str, Any]]:
    parameters: dict[str, object] = {
        "partitions": [each.partition for each in blocks],
        "lows": [each.low for each in blocks],
        "highs": [each.high for each in blocks],
        "rows": TAIL_ROWS_MAX + 1,
        "offset": 0,
    }
    where = _NEW + (f" AND {condition.sql}" if condition else "")
    arrived = f"FROM @log_arrivals WHERE {where} ORDER BY timestamp DESC LIMIT {{rows:UInt64}}"
    return await cutting.page(
        reader,
        COLUMNS,
        arrived,
        parameters | (condition.parameters if condition else {}),
        name="logs.tail",
    )
