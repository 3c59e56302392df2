"""Removes the items from a batch for which ClickHouse refuses it, so that all others are stored.

If one view refuses an INSERT, its rows may already be in the table and in other views. So the rest is inserted under
the same token as the whole batch: where that was stored, the rest is skipped, and elsewhere it is added. The result is
the same however often this starts again, and a kill in between changes nothing.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from prometheus_client import Counter

from duoscope.kernel import limits
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.batch import Batch, Part
from duoscope.receiver.durability.judged import of_requests
from duoscope.receiver.durability.native_blocks import only_rows, rows_of, without_rows
from duoscope.receiver.durability.splitting import Rows, refused_rows
from duoscope.stores.clickhouse import BESIDE_ITEMS, LEDGER, REJECTIONS, IngestWriter

_log = logging.getLogger(__name__)
_refused = Counter("duoscope_ingest_refused_rows", "Rows that ClickHouse refused for good, each by itself", ["table"])

REFUSED: Final = "refused-by-store"
"""The reason with which such items are counted as rejected."""


async def without_refused(batch: Batch, place: tuple[str, str], writer: IngestWriter) -> Batch | None:
    """The batch without the rows of one of its INSERTs that ClickHouse refuses; these count as rejected.

    Returns None if they cannot be found: each row alone is accepted, or rows of several tenants are refused without
    exception.

    Raises:
        DuoscopeError: UNAVAILABLE, or INTERNAL if nothing can be tried out.
    """
    insert, table = batch.insert_at(place), place[0]
    if insert is None or table in {LEDGER, REJECTIONS}:
        return None
    parts = [part for part in batch.parts if table in part.rows]
    requests = [part.rows[table] for part in parts] or [(0, rows_of(insert.block))]

    async with writer.rehearse(table, batch.token) as rehearsal:

        async def takes(rows: Sequence[Rows]) -> bool:
            block = await asyncio.to_thread(only_rows, insert.block, rows)
            return await rehearsal.takes(block, insert.form)

        found = await refused_rows(requests, takes, splits_max=limits.INGEST_SPLITS_MAX)
    count = _size(found)
    # If no tenant's rows are accepted, the table itself is at fault.
    if not found or (count == _size(requests) and len({part.tenant_id for part in parts}) > 1):
        return None
    _refused.labels(table).inc(count)
    _log.error("ClickHouse refuses %d rows of batch %s for %s; the others go in", count, batch.token, table)
    rest = await asyncio.to_thread(without_rows, insert.block, found)
    inserts = [replace(each, block=rest) if each is insert else each for each in batch.inserts]
    if table in BESIDE_ITEMS:
        return replace(batch, inserts=tuple(each for each in inserts if each.block))
    judged = tuple(_judged(part, table, found) for part in batch.parts)
    ledger = _ledger(inserts[-1].block, judged)
    left = [each for each in inserts if each.block and each.table not in {LEDGER, REJECTIONS}]
    return replace(batch, parts=judged, inserts=(*left, *of_requests(ledger)))


def _size(rows: Sequence[Rows]) -> int:
    return sum(end - start for start, end in rows)


def _judged(part: Part, table: str, refused: Sequence[Rows]) -> Part:
    """The part with its refused rows among its rejected items."""
    first, end = part.rows.get(table, (0, 0))
    count = _size([each for each in refused if first <= each[0] and each[1] <= end])
    if not count:
        return part
    was = part.outcome
    reasons = was.reasons | {REFUSED: was.reasons.get(REFUSED, 0) + count}
    return replace(part, outcome=Outcome(was.items, was.stored - count, reasons))


def _ledger(lines: bytes, parts: Sequence[Part]) -> bytes:
    """The ledger's rows, one per part, with these outcomes."""
    rows = [json.loads(line) for line in lines.split(b"\n")]
    for row, part in zip(rows, parts, strict=True):
        row |= {"stored": part.outcome.stored, "rejected": part.outcome.reasons}
    return "\n".join(map(json.dumps, rows)).encode()
