"""Inserts batch files: those that ClickHouse was away for, those of a process that died on the way. See `journal`."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.journal import SPOOLED, WRITTEN, Batch, CorruptBatchError, Journal
from duoscope.stores.clickhouse import IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_inserts = Counter("duoscope_ingest_inserts", "INSERTs into ClickHouse", ["table", "outcome"])
_insert_seconds = Histogram(
    "duoscope_ingest_insert_seconds",
    "Time of one INSERT, views included",
    ["table"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
_spool_bytes = Gauge("duoscope_ingest_spool_bytes", "Bytes of acknowledged requests on disk that wait for ClickHouse")
_poison = Counter("duoscope_ingest_poison_batches", "Batches set aside: torn, changed, or refused for good")


class Spool:
    """The journal's way into ClickHouse. `away` says that the last try found nobody there.

    Attributes:
        away: whether ClickHouse did not answer the last INSERT.
        outcomes: of the requests that wait in files, by digest: durable, and not in the ledger yet.
    """

    def __init__(self, journal: Journal, writer: IngestWriter) -> None:
        self._journal = journal
        self._writer = writer
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self.away = False
        self.outcomes: dict[str, Outcome] = {}

    async def start(self) -> None:
        """Take up what an earlier process left. What it had not acknowledged counts too: it may be half there."""
        for path in await asyncio.to_thread(self._journal.files, WRITTEN):
            await asyncio.to_thread(self._journal.spool, path)
        for path in await asyncio.to_thread(self._journal.files, SPOOLED):
            batch = await self._read(path)
            if batch:
                self.outcomes.update(batch.outcomes)
        await self._measure()
        self._task = asyncio.create_task(self._run(), name="spool")

    async def close(self) -> None:
        """Stop; what is not inserted yet stays on disk for the next start."""
        self._closing.set()
        self._wake.set()
        if self._task:
            await self._task

    def admit(self) -> None:
        """Raise UNAVAILABLE when the disk space set apart for outages is used up."""
        if self._bytes > limits.INGEST_SPOOL_BYTES_MAX:
            raise unavailable(
                "The telemetry store is away and the spool is full; send the same request again later.",
                code="spool-full",
                retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
            )

    async def keep(self, path: Path, batch: Batch) -> None:
        """Make a written batch durable, to be inserted later; when this returns, it may be acknowledged."""
        await asyncio.to_thread(self._journal.spool, path)
        self.outcomes.update(batch.outcomes)
        self.away = True
        await self._measure()
        self._wake.set()

    async def set_aside(self, path: Path, why: str) -> None:
        """Make a written batch that cannot be inserted durable, where an operator finds it."""
        _poison.inc()
        await asyncio.to_thread(self._journal.set_aside, path)
        _log.error("set batch %s aside: %s", path.stem, why)

    async def insert(self, batch: Batch) -> None:
        """All INSERTs of a batch, whatever part of them was done before.

        Raises:
            DuoscopeError: UNAVAILABLE.
            RejectedByStoreError: never will be.
        """
        for insert in batch.inserts:
            started = time.monotonic()
            try:
                await self._writer.insert(insert.table, insert.block, form=insert.form, token=batch.token)
            except DuoscopeError as error:
                _inserts.labels(insert.table, error.code).inc()
                raise
            except RejectedByStoreError:
                _inserts.labels(insert.table, "rejected").inc()
                raise
            _inserts.labels(insert.table, "committed").inc()
            _insert_seconds.labels(insert.table).observe(time.monotonic() - started)

    async def _run(self) -> None:
        pause_s = limits.INGEST_SPOOL_PAUSE_MIN_S
        while not self._closing.is_set():
            self._wake.clear()
            try:
                files = await asyncio.to_thread(self._journal.files, SPOOLED)
                for path in files:
                    await self._replay(path)
                    self.away = False
                    pause_s = limits.INGEST_SPOOL_PAUSE_MIN_S
                    if self._closing.is_set():
                        return
            except DuoscopeError as error:
                _log.warning("the spool waits for ClickHouse: %s", error.detail or error.message)
                await self._woken_or(pause_s)
                pause_s = min(2 * pause_s, limits.INGEST_SPOOL_PAUSE_MAX_S)
            except OSError:
                _log.exception("the spool cannot be read")
                await self._woken_or(limits.INGEST_SPOOL_PAUSE_MAX_S)
            else:
                await self._woken_or(None if not files else 0)

    async def _woken_or(self, seconds: float | None) -> None:
        # New batches do not hurry a store that is away.
        event = self._closing if seconds and self.away else self._wake
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    async def _replay(self, path: Path) -> None:
        batch = await self._read(path)
        if batch is None:
            return
        try:
            await self.insert(batch)
        except RejectedByStoreError as error:
            await self.set_aside(path, str(error))
        else:
            await asyncio.to_thread(self._journal.remove, path)
            _log.info("batch %s went from the spool into ClickHouse", batch.token)
        for digest in batch.outcomes:
            self.outcomes.pop(digest, None)
        await self._measure()

    async def _read(self, path: Path) -> Batch | None:
        try:
            return await asyncio.to_thread(self._journal.read, path)
        except CorruptBatchError:
            await self.set_aside(path, "it is torn or was changed")
            return None

    async def _measure(self) -> None:
        self._bytes = await asyncio.to_thread(self._journal.size, SPOOLED)
        _spool_bytes.set(self._bytes)
