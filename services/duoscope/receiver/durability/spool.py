"""Inserts batch files: those ClickHouse was away for, those of a process that died on the way. See `journal`.

A file is inserted again when nobody knows what became of it, so first the ledger is asked which of its requests other
batches have stored: they may have been sent again meanwhile, to this receiver or another. Their rows are left out. For
the rest the token makes sure that what the first attempt did commit is not stored twice. Requests that were not
acknowledged are left out as well where another receiver has them by now: see `claims`. From then on each receiver
answers for its own.
"""

import asyncio
import contextlib
import logging
import math
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge

from duoscope.background.driver import AGAIN, Driver, Job, Next, Running
from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.receiver.durability.batch import Batch
from duoscope.receiver.durability.inserter import Inserter, errors_counted
from duoscope.receiver.durability.journal import SPOOLED, WRITTEN, CorruptBatchError, Journal
from duoscope.receiver.durability.known import KnownRequests
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.stores.clickhouse import IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_spool_bytes = Gauge("duoscope_ingest_spool_bytes", "Bytes of batch files on disk, poison included")
_spool_batches = Gauge("duoscope_ingest_spool_batches", "Acknowledged batches that wait for ClickHouse")
_spool_age = Gauge("duoscope_ingest_spool_oldest_seconds", "Age of the oldest batch that waits for ClickHouse")
_poison = Counter("duoscope_ingest_poison_batches", "Batches set aside: torn, changed, or refused for good")
_replayed = Counter("duoscope_ingest_replayed_batches", "Batches that went from disk into ClickHouse")

REPLAY_SPOOL: Final = Job(
    "replay-spool",
    period_s=limits.INGEST_SPOOL_LOOK_S,
    at_once=True,
    jitter=0.0,
    retry_s=limits.INGEST_SPOOL_PAUSE_MIN_S,
    stop_s=math.inf,
)
_SAME_REQUEST_NS: Final = limits.INGEST_SAME_REQUEST_S * 1_000_000_000


class Spool:
    """Inserts the files of the journal into ClickHouse.

    Attributes:
        outcomes: of the requests that wait in files: durable, and perhaps not in the ledger yet.
        undecided: requests in files that could not be synced: neither acknowledged nor lost.
    """

    def __init__(
        self, journal: Journal, inserter: Inserter, writer: IngestWriter, claims: IngestLeases | None = None
    ) -> None:
        """Create it; with `claims` if there may be other receivers."""
        self._journal = journal
        self._claims = claims
        self._inserter = inserter
        self._writer = writer
        self._closing = False
        self._pause_s = limits.INGEST_SPOOL_PAUSE_MIN_S
        self._bytes = 0
        self._waiting_bytes = 0
        self._batches = 0
        self._job: Running | None = None
        self._unsynced: dict[Path, list[str]] = {}
        self._failures: dict[Path, tuple[int, int]] = {}
        self._oldest = math.inf
        self.outcomes = KnownRequests()
        self.undecided: set[str] = set()

    async def start(self, driver: Driver) -> None:
        """Load the files of an earlier process. Those that it had not acknowledged count too: they may be partly
        stored.
        """
        for path in await asyncio.to_thread(self._journal.files, SPOOLED):
            try:
                batch = await asyncio.to_thread(self._journal.read_head, path)
            except (CorruptBatchError, OSError) as error:  # set aside when its turn comes
                _log.error("cannot read batch %s: %r", path.stem, error)
            else:
                self._remember(batch, batch.received_ns)
        for path in await asyncio.to_thread(self._journal.files, WRITTEN):
            await self._adopt(path)
        await self._measure()
        self._job = driver.start(REPLAY_SPOOL, self._turn)

    async def _adopt(self, path: Path) -> None:
        """Answer from now on for the requests of a process that died, unless another receiver does."""
        try:
            batch = await asyncio.to_thread(self._journal.read, path)
        except CorruptBatchError:  # set aside when its turn comes
            await asyncio.to_thread(self._journal.spool, path)
            return
        except OSError:
            _log.exception("cannot read batch %s", path.stem)
            return
        if self._claims:
            others = await self._claims.take([part.key for part in batch.parts])
            if gone := [part for part in batch.parts if part.key in others]:
                batch = await asyncio.to_thread(batch.without, gone)
                if not batch.parts:
                    await asyncio.to_thread(self._journal.remove, path)
                    return
                await asyncio.to_thread(self._journal.write, batch)
            await self._claims.hold({part.key: part.outcome for part in batch.parts})
        await asyncio.to_thread(self._journal.spool, path)
        # While this receiver was dead, it could not answer.
        self._remember(batch, now_unix_nano())

    async def close(self) -> None:
        """Stop. What is not inserted yet stays on disk for the next start."""
        self._closing = True
        if self._job:
            await self._job.stop()

    def look(self) -> None:
        """Check for files now."""
        if self._job:
            self._job.activate()

    def admit(self) -> None:
        """Raise UNAVAILABLE when the disk space for outages is used up, or the disk is nearly full."""
        if self._bytes > limits.INGEST_SPOOL_BYTES_MAX:
            raise unavailable(
                "The telemetry store is down and the spool is full; send the same request again later.",
                code="spool-full",
                retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
            )
        if not self._journal.has_room():
            raise unavailable(
                "The receiver's disk is nearly full; send the same request again later.",
                code="disk-full",
                retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
            )

    async def ready(self) -> None:
        """Raise UNAVAILABLE, with what waits, while telemetry goes to disk."""
        if self._inserter.is_away:
            # What waits may be older than this process.
            since = datetime.fromtimestamp(min(self._inserter.away_since, self._oldest), UTC)
            raise unavailable(
                f"The telemetry store is down since {since:%Y-%m-%d %H:%M:%S} UTC. Telemetry goes to the receiver's "
                f"disk, where {self._batches:,} batches ({self._waiting_bytes:,} bytes) wait.",
                code="spooling",
                retry_after_s=limits.INGEST_RETRY_AFTER_S,
            )

    async def keep(self, path: Path, batch: Batch) -> None:
        """Make a written batch durable, to be inserted later; when this returns, it may be acknowledged.

        Raises:
            OSError: it may not, and may be stored all the same: its requests are undecided until it is.
        """
        was_away = self._inserter.is_away
        self._inserter.set_away(away=True)
        try:
            await asyncio.to_thread(self._journal.spool, path)
        except FileNotFoundError:  # stored after all, and removed
            raise
        except OSError:
            self._unsynced[path] = [part.key for part in batch.parts]
            self.undecided.update(self._unsynced[path])
            if not was_away:
                self.look()
            raise
        self._remember(batch, batch.received_ns)
        if self._claims:
            await self._claims.hold({part.key: part.outcome for part in batch.parts})
        size = sum(len(insert.block) for insert in batch.inserts)
        self._bytes += size
        self._waiting_bytes += size
        self._batches += 1
        _spool_bytes.set(self._bytes)
        _spool_batches.set(self._batches)
        if not was_away:  # new batches do not hurry a store that is away
            self.look()

    async def set_aside(self, path: Path, why: str) -> None:
        """Make a batch that cannot be inserted durable, where an operator finds it."""
        _poison.inc()
        await asyncio.to_thread(self._journal.set_aside, path, why)
        _log.error("set batch %s aside: %s", path.stem, why)

    async def _turn(self) -> Next | None:
        files = [*self._unsynced, *await asyncio.to_thread(self._journal.files, SPOOLED)]
        progress = await self._replay_all(sorted(files, key=lambda path: path.stem))
        await self._measure()
        if progress:
            self._pause_s = limits.INGEST_SPOOL_PAUSE_MIN_S
            return AGAIN
        if files:
            pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, limits.INGEST_SPOOL_PAUSE_MAX_S)
            return Next(pause_s)
        self._inserter.set_away(away=False)
        return None

    async def _replay_all(self, files: list[Path]) -> bool:
        """Insert files, oldest first. Returns whether any was inserted."""
        progress = False
        while files and not self._closing:
            if await self._try_to_replay(files.pop(0)):
                progress = True
            elif not progress:
                # Is it the store or this batch? Another batch shows which.
                if not files or not await self._try_to_replay(files.pop(random.randrange(len(files)))):  # noqa: S311 - any
                    break
                progress = True
        return progress

    async def _try_to_replay(self, path: Path) -> bool:
        """Insert a file. Returns whether it is done. One that fails again and again while others succeed is set
        aside.
        """
        try:
            await self._replay(path)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this file, the others are to be inserted
            if isinstance(error, DuoscopeError):
                _log.warning("batch %s waits for ClickHouse: %s", path.stem, error.detail or error.message)
            else:
                _log.exception("batch %s waits: it cannot be read or inserted", path.stem)
            times, commits = self._failures.get(path, (0, self._inserter.commits))
            times += self._inserter.commits > commits
            self._failures[path] = times, self._inserter.commits
            if times >= limits.INGEST_SPOOL_TRIES_MAX:
                with contextlib.suppress(OSError):
                    await self.set_aside(path, "ClickHouse takes other batches and not this one")
                    self._settled(path)
            return False
        self._settled(path)
        self._inserter.set_away(away=False)
        if self._job:
            self._job.note_progress()
        return True

    def _settled(self, path: Path) -> None:
        self._failures.pop(path, None)
        self.undecided.difference_update(self._unsynced.pop(path, ()))

    async def _replay(self, path: Path) -> None:
        try:
            with errors_counted():
                batch = await asyncio.to_thread(self._journal.read, path)
        except FileNotFoundError:  # inserted late, or dropped by an operator
            return
        except CorruptBatchError:
            await self.set_aside(path, "the file is torn or was changed")
            return
        try:
            with errors_counted():
                missing = await self._what_is_missing(batch, acknowledged=path.suffix == SPOOLED)
            await self._inserter.insert(missing)
        except RejectedByStoreError as error:
            await self.set_aside(path, str(error))
        else:
            await asyncio.to_thread(self._journal.remove, path)
            _replayed.inc()
            _log.info("batch %s went from the spool into ClickHouse", batch.token)

    async def _what_is_missing(self, batch: Batch, *, acknowledged: bool) -> Batch:
        """The batch without the requests that are stored, or for which another receiver answers."""
        elsewhere: set[str] = set()
        if self._claims and not acknowledged:
            elsewhere = set(await self._claims.take([part.key for part in batch.parts]))
        requests = [(part.workspace_id, part.tenant_id, part.digest) for part in batch.parts]
        stored = await self._writer.stored(requests, since_ns=batch.received_ns - _SAME_REQUEST_NS)
        if stored and any(ms in stored[key][3] for key, ms in batch.received_ms() if key in stored):
            # It is this batch's own: all else is done, but perhaps not what is counted from the ledger.
            return replace(batch, inserts=batch.inserts[-1:])
        gone = [p for p in batch.parts if (p.tenant_id, p.digest) in stored or p.key in elsewhere]
        if not gone:
            return batch
        _log.info("%d of %d requests of batch %s were stored before", len(gone), len(batch.parts), batch.token)
        return await asyncio.to_thread(batch.without, gone)

    def _remember(self, batch: Batch, since_ns: int) -> None:
        for part in batch.parts:
            self.outcomes.add(part.key, since_ns, part.outcome)

    async def _measure(self) -> None:
        waiting = await asyncio.to_thread(self._journal.files, SPOOLED)
        self._bytes = await asyncio.to_thread(self._journal.size)
        self._waiting_bytes = await asyncio.to_thread(self._journal.size, SPOOLED)
        self._batches = len(waiting)
        _spool_bytes.set(self._bytes)
        _spool_batches.set(self._batches)
        # The name of a file is a UUIDv7, which begins with milliseconds.
        self._oldest = int(waiting[0].stem[:12], 16) / 1e3 if waiting else math.inf
        _spool_age.set(now_unix_nano() / 1e9 - self._oldest if waiting else 0)
