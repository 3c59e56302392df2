"""Inserts batches into ClickHouse, and knows whether it is down."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Generator
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.receiver.durability.batch import Batch
from duoscope.receiver.durability.records import CorruptFileError
from duoscope.receiver.durability.sifting import without_refused
from duoscope.stores.clickhouse import IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_inserts = Counter("duoscope_ingest_inserts", "INSERTs into ClickHouse", ["table", "outcome"])
_insert_seconds = Histogram(
    "duoscope_ingest_insert_seconds",
    "Time of one INSERT, views included",
    ["table"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
_away = Gauge("duoscope_ingest_store_away", "1 while ClickHouse does not take INSERTs and batches go to disk")
_errors = Counter(
    "duoscope_ingest_batch_errors",
    "Tries to store a batch that ended in an error nobody foresaw; the batch waits on disk",
)
_FORESEEN: Final = (DuoscopeError, RejectedByStoreError, CorruptFileError, FileNotFoundError)

_NOT_THE_DATA: Final = frozenset({
    60, 81, 164, 192, 193, 194, 195, 201, 236, 394, 439, 473, 497, 516,  # tables, accounts, rights, quotas, a stop
    8, 10, 16, 20, 42, 43, 44, 46, 47, 50, 53, 62, 63, 115, 179, 184, 215,  # columns, functions, types: another schema
    74, 75, 76, 86, 173, 198, 1000, 1001,  # disk, network, memory
})  # fmt: skip
"""Error codes of ClickHouse that are not caused by the batch: it can be inserted once the store is repaired."""


@contextlib.contextmanager
def errors_counted() -> Generator[None]:
    """Count errors of duoscope itself; errors of a store, a disk or an operator are counted elsewhere."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _FORESEEN):
            _errors.inc()
        raise


class Inserter:
    """The way of batches into ClickHouse.

    Attributes:
        is_away: whether ClickHouse did not answer the last INSERT: batches then go to disk at once.
        away_since: seconds since 1970 at which `is_away` last changed.
        commits: how many batches were inserted.
    """

    def __init__(self, writer: IngestWriter, sync_store: Callable[[], None] | None = None) -> None:
        """Create it.

        `sync_store`, which blocks, forces to the disk what the store does not sync of an INSERT by itself, where that
        is ours to do. The next INSERT waits for it: the last one, into the ledger, says that all others are there.
        """
        self._writer = writer
        self._sync_store = sync_store
        self._sifting = asyncio.Lock()
        self.is_away = False
        self.away_since = 0.0
        self.commits = 0

    def set_away(self, *, away: bool) -> None:
        """Record whether ClickHouse accepts INSERTs."""
        if away != self.is_away:
            _log.warning("ClickHouse is away; batches go to disk" if away else "ClickHouse is back")
            self.away_since = now_unix_nano() / 1e9
        self.is_away = away
        _away.set(away)

    async def insert(self, batch: Batch) -> Batch:
        """All INSERTs of a batch, whatever part of them was done before. What of it is stored.

        That is all of it, but for items that ClickHouse refuses for good, which count as rejected.

        Raises:
            DuoscopeError: UNAVAILABLE.
            RejectedByStoreError: never will be, and for no item of it.
        """
        with errors_counted():
            done: set[tuple[str, str]] = set()
            # Rejections may join them on the way.
            while place := next((insert.place for insert in batch.inserts if insert.place not in done), None):
                done.add(place)
                try:
                    await self._insert(batch, place)
                except RejectedByStoreError as error:
                    batch = await self._without_refused(batch, place, error)
                    await self._insert(batch, place)
        self.commits += bool(batch.inserts)
        return batch

    async def _insert(self, batch: Batch, place: tuple[str, str]) -> None:
        insert = batch.insert_at(place)
        if insert is None:  # none of its rows is left
            return
        started = time.monotonic()
        try:
            await self._writer.insert(insert.table, insert.block, form=insert.form, token=batch.token_of(insert))
            if self._sync_store:
                await asyncio.to_thread(self._sync_store)
        except DuoscopeError as error:
            _inserts.labels(insert.table, error.code).inc()
            raise
        except OSError as error:
            _inserts.labels(insert.table, "not synced").inc()
            raise unavailable(
                "The telemetry store's disk cannot be synced.",
                code="telemetry-store-unavailable",
                retry_after_s=limits.INGEST_RETRY_AFTER_S,
                detail=str(error),
            ) from error
        except RejectedByStoreError as error:
            _inserts.labels(insert.table, "rejected").inc()
            if error.code in _NOT_THE_DATA:
                raise unavailable(
                    "The telemetry store returned an unexpected error.",
                    code="telemetry-store-unavailable",
                    retry_after_s=limits.INGEST_RETRY_AFTER_S,
                    detail=str(error),
                ) from error
            raise
        _inserts.labels(insert.table, "committed").inc()
        _insert_seconds.labels(insert.table).observe(time.monotonic() - started)

    async def _without_refused(self, batch: Batch, place: tuple[str, str], error: RejectedByStoreError) -> Batch:
        """The batch without the rows for which an INSERT was refused.

        Raises:
            DuoscopeError: UNAVAILABLE.
            RejectedByStoreError: the cause cannot be found.
        """
        _log.warning("ClickHouse refuses batch %s, which is tried by request and by item: %s", batch.token, error)
        try:
            # One at a time: trying takes many INSERTs.
            async with self._sifting:
                rest = await without_refused(batch, place, self._writer)
        except DuoscopeError as trouble:
            if trouble.kind is ErrorKind.UNAVAILABLE:
                raise
            _log.error("nothing can be tried out: %s", trouble.detail)
            rest = None
        if rest is None:
            error.table = place[0]
            raise error
        return rest
