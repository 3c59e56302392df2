"""Inserts batch files: those ClickHouse was away for, those of a process that died on the way. See `journal`.

A file is inserted again when nobody knows what became of it, so first the ledger is asked which of its requests other
batches have stored: they may have been sent again meanwhile, to this receiver or another. Their rows are left out. For
the rest the token makes sure that what the first attempt did commit is not stored twice. Requests that were not
acknowledged are left out as well where another receiver has them by now: see `claims`. From then on each receiver
answers for its own.
"""

import asyncio
import contextlib
import json
import logging
import math
import random
import time
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from duoscope.background.driver import AGAIN, Driver, Job, Next, Running
from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.journal import SPOOLED, WRITTEN, Batch, CorruptBatchError, Insert, Journal, Part
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.native_blocks import without_rows
from duoscope.receiver.durability.sifting import without_refused
from duoscope.stores.clickhouse import LEDGER, IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_inserts = Counter("duoscope_ingest_inserts", "INSERTs into ClickHouse", ["table", "outcome"])
_insert_seconds = Histogram(
    "duoscope_ingest_insert_seconds",
    "Time of one INSERT, views included",
    ["table"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
_spool_bytes = Gauge("duoscope_ingest_spool_bytes", "Bytes of batch files on disk, poison included")
_spool_batches = Gauge("duoscope_ingest_spool_batches", "Acknowledged batches that wait for ClickHouse")
_spool_age = Gauge("duoscope_ingest_spool_oldest_seconds", "Age of the oldest batch that waits for ClickHouse")
_away = Gauge("duoscope_ingest_store_away", "1 while ClickHouse does not take INSERTs and batches go to disk")
_poison = Counter("duoscope_ingest_poison_batches", "Batches set aside: torn, changed, or refused for good")
_replayed = Counter("duoscope_ingest_replayed_batches", "Batches that went from disk into ClickHouse")
_errors = Counter(
    "duoscope_ingest_batch_errors",
    "Tries to store a batch that ended in an error nobody foresaw; the batch waits on disk",
)
_FORESEEN: Final = (DuoscopeError, RejectedByStoreError, CorruptBatchError, FileNotFoundError)

REPLAY_SPOOL: Final = Job(
    "replay-spool",
    period_s=limits.INGEST_SPOOL_LOOK_S,
    at_once=True,
    jitter=0.0,
    retry_s=limits.INGEST_SPOOL_PAUSE_MIN_S,
    stop_s=math.inf,
)
_SAME_REQUEST_NS: Final = limits.INGEST_SAME_REQUEST_S * 1_000_000_000

_NOT_THE_DATA: Final = frozenset({
    60, 81, 164, 192, 193, 194, 195, 201, 236, 394, 439, 473, 497, 516,  # tables, accounts, rights, quotas, a stop
    8, 10, 16, 20, 42, 43, 44, 46, 47, 50, 53, 62, 63, 115, 179, 184, 215,  # columns, functions, types: another schema
    74, 75, 76, 86, 173, 198, 1000, 1001,  # disk, network, memory
})  # fmt: skip
"""Codes of ClickHouse that say nothing against a batch: it can be inserted once the store has been put in order."""


class Remembered:
    """What became of requests, by `Part.key`, for as long as a repetition counts as a retry."""

    def __init__(self, entries_max: int | None = None) -> None:
        self._entries_max = entries_max
        self._outcomes: OrderedDict[str, tuple[int, Outcome]] = OrderedDict()

    def add(self, key: str, received_ns: int, outcome: Outcome) -> None:
        """Remember a request; what is too old to matter is forgotten."""
        self._outcomes[key] = (received_ns, outcome)
        while self._outcomes:
            oldest_ns, _ = next(iter(self._outcomes.values()))
            too_many = self._entries_max is not None and len(self._outcomes) > self._entries_max
            if not too_many and oldest_ns >= received_ns - _SAME_REQUEST_NS:
                return
            self._outcomes.popitem(last=False)

    def get(self, key: str, received_ns: int) -> Outcome | None:
        """What became of the same request, if it came within the window."""
        found = self._outcomes.get(key)
        return found[1] if found and received_ns - found[0] <= _SAME_REQUEST_NS else None

    def discard(self, key: str) -> None:
        """Forget a request."""
        self._outcomes.pop(key, None)


class Spool:
    """The journal's way into ClickHouse.

    Attributes:
        away: whether ClickHouse did not answer the last INSERT: batches then go to disk at once.
        outcomes: of the requests that wait in files: durable, and perhaps not in the ledger yet.
        undecided: requests in files that could not be synced: neither acknowledged nor lost.
    """

    def __init__(self, journal: Journal, writer: IngestWriter, claims: IngestLeases | None = None) -> None:
        self._journal = journal
        self._claims = claims
        self._writer = writer
        self._sifting = asyncio.Lock()
        self._closing = False
        self._pause_s = limits.INGEST_SPOOL_PAUSE_MIN_S
        self._bytes = 0
        self._waiting_bytes = 0
        self._batches = 0
        self._commits = 0
        self._job: Running | None = None
        self._unsynced: dict[Path, list[str]] = {}
        self._failures: dict[Path, tuple[int, int]] = {}
        self._away_since = 0.0
        self._oldest = math.inf
        self.away = False
        self.outcomes = Remembered()
        self.undecided: set[str] = set()

    async def start(self, driver: Driver) -> None:
        """Take up what an earlier process left. What it had not acknowledged counts too: it may be half there."""
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
        """Answer from now on for what a process that died had written, unless another receiver does."""
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
                batch = await asyncio.to_thread(_without, batch, gone)
                if not batch.parts:
                    await asyncio.to_thread(self._journal.remove, path)
                    return
                await asyncio.to_thread(self._journal.write, batch)
            await self._claims.hold({part.key: part.outcome for part in batch.parts})
        await asyncio.to_thread(self._journal.spool, path)
        # It was not there to answer while it was dead.
        self._remember(batch, now_unix_nano())

    async def close(self) -> None:
        """Stop; what is not inserted yet stays on disk for the next start."""
        self._closing = True
        if self._job:
            await self._job.stop()

    def look(self) -> None:
        """Look for files now."""
        if self._job:
            self._job.activate()

    def admit(self) -> None:
        """Raise UNAVAILABLE when the disk space set apart for outages is used up, or the disk is nearly full."""
        if self._bytes > limits.INGEST_SPOOL_BYTES_MAX:
            raise unavailable(
                "The telemetry store is away and the spool is full; send the same request again later.",
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
        if self.away:
            # What waits may be older than this process.
            since = datetime.fromtimestamp(min(self._away_since, self._oldest), UTC)
            raise unavailable(
                f"The telemetry store is away since {since:%Y-%m-%d %H:%M:%S} UTC. Telemetry goes to the receiver's "
                f"disk, where {self._batches:,} batches ({self._waiting_bytes:,} bytes) wait.",
                code="spooling",
                retry_after_s=limits.INGEST_RETRY_AFTER_S,
            )

    async def keep(self, path: Path, batch: Batch) -> None:
        """Make a written batch durable, to be inserted later; when this returns, it may be acknowledged.

        Raises:
            OSError: it may not, and may be stored all the same: its requests are undecided until it is.
        """
        was_away = self.away
        self._set_away(away=True)
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
        """Make a written batch that cannot be inserted durable, where an operator finds it."""
        _poison.inc()
        await asyncio.to_thread(self._journal.set_aside, path, why)
        _log.error("set batch %s aside: %s", path.stem, why)

    async def insert(self, batch: Batch) -> Batch:
        """All INSERTs of a batch, whatever part of them was done before. What of it is stored.

        That is all of it, but for items that ClickHouse refuses for good, which count as rejected.

        Raises:
            DuoscopeError: UNAVAILABLE.
            RejectedByStoreError: never will be, and for no item of it.
        """
        with _errors_counted():
            for table in [insert.table for insert in batch.inserts]:
                try:
                    await self._insert(batch, table)
                except RejectedByStoreError as error:
                    batch = await self._without_refused(batch, table, error)
                    await self._insert(batch, table)
        self._commits += bool(batch.inserts)
        return batch

    async def _insert(self, batch: Batch, table: str) -> None:
        insert = batch.insert_of(table)
        if insert is None:  # none of its rows is left
            return
        started = time.monotonic()
        try:
            await self._writer.insert(table, insert.block, form=insert.form, token=batch.token)
        except DuoscopeError as error:
            _inserts.labels(insert.table, error.code).inc()
            raise
        except RejectedByStoreError as error:
            _inserts.labels(insert.table, "rejected").inc()
            if error.code in _NOT_THE_DATA:
                raise unavailable(
                    "The telemetry store is not in order.",
                    code="telemetry-store-unavailable",
                    retry_after_s=limits.INGEST_RETRY_AFTER_S,
                    detail=str(error),
                ) from error
            raise
        _inserts.labels(insert.table, "committed").inc()
        _insert_seconds.labels(insert.table).observe(time.monotonic() - started)

    async def _without_refused(self, batch: Batch, table: str, error: RejectedByStoreError) -> Batch:
        """The batch without what an INSERT of it was refused for.

        Raises:
            DuoscopeError: UNAVAILABLE.
            RejectedByStoreError: it cannot be told what that is.
        """
        _log.warning("ClickHouse refuses batch %s, which is tried by request and by item: %s", batch.token, error)
        try:
            # One at a time: the spool may take up a batch that is still being tried.
            async with self._sifting:
                rest = await without_refused(batch, table, self._writer)
        except DuoscopeError as trouble:
            if trouble.kind is ErrorKind.UNAVAILABLE:
                raise
            _log.error("nothing can be tried out: %s", trouble.detail)
            rest = None
        if rest is None:
            raise error
        return rest

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
        self._set_away(away=False)
        return None

    async def _replay_all(self, files: list[Path]) -> bool:
        """Insert files, oldest first. Whether any went in."""
        progress = False
        while files and not self._closing:
            if await self._try_to_replay(files.pop(0)):
                progress = True
            elif not progress:
                # Is it the store or this batch? Another one tells.
                if not files or not await self._try_to_replay(files.pop(random.randrange(len(files)))):  # noqa: S311 - any
                    break
                progress = True
        return progress

    async def _try_to_replay(self, path: Path) -> bool:
        """Whether the file is out of the way. One that fails again and again between others that go in is set aside."""
        try:
            await self._replay(path)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this file, the others are to be inserted
            if isinstance(error, DuoscopeError):
                _log.warning("batch %s waits for ClickHouse: %s", path.stem, error.detail or error.message)
            else:
                _log.exception("batch %s waits: it cannot be read or inserted", path.stem)
            times, commits = self._failures.get(path, (0, self._commits))
            times += self._commits > commits
            self._failures[path] = times, self._commits
            if times >= limits.INGEST_SPOOL_TRIES_MAX:
                with contextlib.suppress(OSError):
                    await self.set_aside(path, "ClickHouse takes other batches and not this one")
                    self._settled(path)
            return False
        self._settled(path)
        self._set_away(away=False)
        if self._job:
            self._job.note_progress()
        return True

    def _settled(self, path: Path) -> None:
        self._failures.pop(path, None)
        self.undecided.difference_update(self._unsynced.pop(path, ()))

    async def _replay(self, path: Path) -> None:
        try:
            with _errors_counted():
                batch = await asyncio.to_thread(self._journal.read, path)
        except FileNotFoundError:  # inserted late, or dropped by an operator
            return
        except CorruptBatchError:
            await self.set_aside(path, "the file is torn or was changed")
            return
        try:
            with _errors_counted():
                missing = await self._what_is_missing(batch, acknowledged=path.suffix == SPOOLED)
            await self.insert(missing)
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
        if stored and any(ms in stored[key][3] for key, ms in _ledger_times(batch) if key in stored):
            # It is this batch's own: all else is done, but perhaps not what is counted from the ledger.
            return replace(batch, inserts=batch.inserts[-1:])
        gone = [p for p in batch.parts if (p.tenant_id, p.digest) in stored or p.key in elsewhere]
        if not gone:
            return batch
        _log.info("%d of %d requests of batch %s were stored before", len(gone), len(batch.parts), batch.token)
        return await asyncio.to_thread(_without, batch, gone)

    def _remember(self, batch: Batch, since_ns: int) -> None:
        for part in batch.parts:
            self.outcomes.add(part.key, since_ns, part.outcome)

    def _set_away(self, *, away: bool) -> None:
        if away != self.away:
            _log.warning("ClickHouse is away; batches go to disk" if away else "ClickHouse is back")
            self._away_since = now_unix_nano() / 1e9
        self.away = away
        _away.set(away)

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


@contextlib.contextmanager
def _errors_counted() -> Generator[None]:
    """Errors of duoscope itself, that is: what a store, a disk or an operator may do is counted elsewhere."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _FORESEEN):
            _errors.inc()
        raise


def _ledger_times(batch: Batch) -> list[tuple[tuple[str, str], int]]:
    """By tenant and digest, the millisecond of receipt that the batch's rows of the ledger give."""
    lines = [json.loads(line) for line in batch.inserts[-1].block.split(b"\n")] if batch.inserts else []
    return [((line["tenant_id"], line["digest"]), round(float(line["received_at"]) * 1000)) for line in lines]


def _without(batch: Batch, gone: Sequence[Part]) -> Batch:
    """The batch without some of its requests and their rows."""
    there = {part.key for part in gone}
    kept = [part for part in batch.parts if part.key not in there]
    if not kept:
        return Batch(batch.token, batch.received_ns, ())
    inserts: list[Insert] = []
    for insert in batch.inserts:
        if insert.table == LEDGER:
            lines = zip(insert.block.split(b"\n"), batch.parts, strict=True)
            block = b"\n".join(line for line, part in lines if part.key not in there)
        else:
            block = without_rows(insert.block, [part.rows[insert.table] for part in gone if insert.table in part.rows])
        if block:
            inserts.append(Insert(insert.table, insert.form, block))
    return Batch(batch.token, batch.received_ns, tuple(_moved(part, gone) for part in kept), tuple(inserts))


def _moved(part: Part, gone: Sequence[Part]) -> Part:
    """A part whose rows have moved up, where those of others before it are gone."""
    rows: dict[str, tuple[int, int]] = {}
    for table, (start, end) in part.rows.items():
        before = [other.rows[table] for other in gone if table in other.rows]
        up = sum(b - a for a, b in before if b <= start)
        rows[table] = start - up, end - up
    return replace(part, rows=rows)
