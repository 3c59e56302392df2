"""Inserts sealed segments into ClickHouse, oldest first, and keeps at it while ClickHouse is away. See `request_log`.

A segment that was just sealed has its rows in memory. While ClickHouse is away, and after a restart, the rows are made
again from its file: the same requests under the same token, so whatever an earlier attempt committed is not stored
twice. Where other receivers may have stored some of its requests meanwhile, the ledger is asked first, and those are
left out.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Gauge

from duoscope.background.driver import Driver, Job, Next, Running
from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.batch import Batch
from duoscope.receiver.durability.inserter import Inserter, errors_counted
from duoscope.receiver.durability.judged import of_requests
from duoscope.receiver.durability.known import KnownRequests
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.records import CorruptFileError, Record
from duoscope.receiver.durability.request_log import RequestLog, created_ns, size_of
from duoscope.receiver.gathering import Gathering, signal_of
from duoscope.stores.clickhouse import IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_log_bytes = Gauge("duoscope_ingest_spool_bytes", "Bytes of the request log on disk, poison included")
_log_segments = Gauge("duoscope_ingest_spool_batches", "Segments of acknowledged requests that wait for ClickHouse")
_log_age = Gauge("duoscope_ingest_spool_oldest_seconds", "Age of the oldest segment that waits for ClickHouse")
_poison = Counter("duoscope_ingest_poison_batches", "Segments set aside: torn, changed, or refused for good")
_replayed = Counter("duoscope_ingest_replayed_batches", "Segments that were inserted from the disk")

STORE_SEGMENTS: Final = Job(
    "store-segments",
    period_s=limits.INGEST_SPOOL_LOOK_S,
    at_once=True,
    jitter=0.0,
    retry_s=limits.INGEST_SPOOL_PAUSE_MIN_S,
    stop_s=math.inf,
)
_SAME_REQUEST_NS: Final = limits.INGEST_SAME_REQUEST_S * 1_000_000_000
_NEW_COSTS: Final = 0.3
"""The weight of the last segment in the mean of their costs."""


@dataclass(slots=True, eq=False)
class Sealed:
    """A segment on its way into ClickHouse.

    Attributes:
        path: its file.
        batch: its rows, while they are in memory.
        must_ask: whether the ledger may have some of its requests, of another receiver or an earlier process.
        is_counted: whether the values of its items were counted, when its requests came.
        elsewhere: keys of requests that another receiver or an earlier process has.
        claimed: outcomes of its requests by their keys, which other receivers hear of when it waits on the disk.
        stored: what was stored of it; only its file is still there.
        end: how many bytes of the file count, if it may have more.
        tenants: whose requests are in it, as far as readers wait for them.
        settled: set when it is stored, or waits on the disk.
        told: called then, with the batch, or with None when it waits on the disk.
        failures: how often it failed while others succeeded.
        commits: how many had succeeded when it failed last; None before.
    """

    path: Path
    batch: Batch | None = None
    must_ask: bool = False
    is_counted: bool = True
    elsewhere: Collection[str] = ()
    end: int | None = None
    claimed: Mapping[str, Outcome] = field(default_factory=dict[str, Outcome])
    stored: Batch | None = None
    tenants: Collection[UUID] = ()
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    told: Callable[[Batch | None], None] | None = None
    failures: int = 0
    commits: int | None = None

    def tell(self, stored: Batch | None) -> None:
        """Say what became of it; only the first time counts."""
        self.settled.set()
        told, self.told = self.told, None
        if told:
            told(stored)


class Storing:
    """Brings sealed segments into ClickHouse.

    Attributes:
        cost_s: how long the INSERTs of a segment took lately, in seconds.
        undecided: requests, by key, behind the end of files that could not be cut: neither acknowledged nor lost.
    """

    def __init__(
        self,
        log: RequestLog,
        inserter: Inserter,
        writer: IngestWriter,
        known: KnownRequests,
        claims: IngestLeases | None = None,
    ) -> None:
        """Create it; with `claims` if there may be other receivers."""
        self._log = log
        self._inserter = inserter
        self._writer = writer
        self._known = known
        self._claims = claims
        self._waiting: OrderedDict[Path, Sealed] = OrderedDict()
        self._running: dict[asyncio.Task[None], Sealed] = {}
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._one_ended = asyncio.Event()
        self._closing = False
        self._pause_s = limits.INGEST_SPOOL_PAUSE_MIN_S
        self._not_before = 0.0
        self._doubted: Path | None = None
        self._look_at = 0.0
        self._bytes = 0
        self._job: Running | None = None
        self.cost_s = 0.0
        self.undecided: dict[str, Path] = {}

    async def start(self, driver: Driver) -> None:
        """Take over the files of an earlier process, and answer from now on for their requests."""
        files = await asyncio.to_thread(self._log.files)
        now = now_unix_nano()
        for path in files:
            self._waiting[path] = sealed = Sealed(path, must_ask=True, is_counted=False)
            # The name begins with the time. Only the last segment can have requests that were not acknowledged, which
            # their senders repeat whenever they find a receiver.
            if path == files[-1] or created_ns(path) > now - 2 * _SAME_REQUEST_NS:
                await self._answer_for(sealed, now)
        await self._look()
        self._job = driver.start(STORE_SEGMENTS, self._turn)

    async def _answer_for(self, sealed: Sealed, now: int) -> None:
        try:
            requests = await asyncio.to_thread(self._log.requests, sealed.path)
        except (CorruptFileError, OSError) as error:  # set aside when its turn comes
            _log.error("cannot read %s of the request log: %r", sealed.path.name, error)
            return
        if self._claims:
            sealed.elsewhere = set(await self._claims.take([each.key for each in requests]))
        own = [each for each in requests if each.key not in sealed.elsewhere]
        for each in own:
            self._known.add(each.digest, now, each.outcome)
        if self._claims:
            await self._claims.hold({each.key: each.outcome for each in own})

    async def close(self) -> None:
        """Store what is sealed, as far as ClickHouse is there, and stop. The rest stays for the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.INGEST_COMMIT_MAX_S):
                while self._job and (self._waiting or self._running) and not self._inserter.is_away:
                    self._one_ended.clear()
                    await self._one_ended.wait()
        self._closing = True
        if self._job:
            await self._job.stop()
        if self._running:
            await asyncio.wait(self._running)

    def add(self, sealed: Sealed) -> None:
        """Take over a segment that was sealed."""
        self._log.growing.discard(sealed.path.stem)
        self._waiting[sealed.path] = sealed
        self._bytes += size_of(sealed.path)
        if self._inserter.is_away:  # new segments do not hurry a store that is away
            sealed.batch = None
            sealed.tell(None)
        elif self._job:
            self._job.activate()
        self._count()

    def unsettled(self, tenant_id: UUID) -> list[asyncio.Event]:
        """The `Sealed.settled` of segments with requests of a tenant."""
        return [each.settled for each in self._all() if tenant_id in each.tenants and not each.settled.is_set()]

    async def room(self) -> None:
        """Wait while more rows are in memory than should be. While ClickHouse is away none are."""
        await self._has_room.wait()

    def admit(self) -> None:
        """Raise UNAVAILABLE when the disk space for outages is used up, or the disk is nearly full."""
        if self._bytes > limits.INGEST_SPOOL_BYTES_MAX:
            raise unavailable(
                "The telemetry store is down and the spool is full; send the same request again later.",
                code="spool-full",
                retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
            )
        if not self._log.has_room():
            raise unavailable(
                "The receiver's disk is nearly full; send the same request again later.",
                code="disk-full",
                retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
            )

    async def ready(self) -> None:
        """Raise UNAVAILABLE, with what waits, while telemetry stays on the disk."""
        if self._inserter.is_away:
            # What waits may be older than this process.
            since = datetime.fromtimestamp(min(self._inserter.away_since, self._oldest_s()), UTC)
            raise unavailable(
                f"The telemetry store is down since {since:%Y-%m-%d %H:%M:%S} UTC. Telemetry goes to the receiver's "
                f"disk, where {len(self._waiting) + len(self._running):,} batches ({self._bytes:,} bytes) wait.",
                code="spooling",
                retry_after_s=limits.INGEST_RETRY_AFTER_S,
            )

    async def _turn(self) -> Next | None:
        """Begin what can be begun. Ends and additions activate the job again."""
        if time.monotonic() >= self._look_at:
            await self._look()
        pause_s = self._not_before - time.monotonic()
        if pause_s > 0:
            return Next(pause_s)
        inserts_max = 1 if self._inserter.is_away else limits.INGEST_SEGMENTS_STORED_AT_ONCE_MAX
        while len(self._running) < inserts_max and not self._closing and (sealed := self._next()):
            del self._waiting[sealed.path]
            task = asyncio.create_task(self._attempt(sealed), name="store a segment")
            self._running[task] = sealed
            task.add_done_callback(self._ended)
        if not self._running and not self._waiting:
            self._inserter.set_away(away=False)
        self._count()
        return None

    def _next(self) -> Sealed | None:
        """The oldest segment; after it failed, the newest: is it the store, or this segment?"""
        if not self._waiting:
            return None
        oldest = next(iter(self._waiting))
        return self._waiting[next(reversed(self._waiting)) if oldest == self._doubted else oldest]

    def _put_back(self, sealed: Sealed) -> None:
        """Let a segment wait again, before those that are younger."""
        first = next(iter(self._waiting), sealed.path)
        self._waiting[sealed.path] = sealed
        if sealed.path.stem < first.stem:
            self._waiting.move_to_end(sealed.path, last=False)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._one_ended.set()
        self._count()
        if self._job:
            self._job.activate()

    async def _attempt(self, sealed: Sealed) -> None:
        """Store a segment, or put it back. One that fails again and again while others succeed is set aside."""
        storing = asyncio.create_task(self._store(sealed), name="insert a segment")
        try:
            done, _ = await asyncio.wait({storing}, timeout=limits.INGEST_COMMIT_MAX_S)
            if not done:
                _log.warning("segment %s takes too long to store; it waits on the disk", sealed.path.stem)
                self._inserter.set_away(away=True)
                sealed.tell(None)
                self._count()
            await storing
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this one, the others are to be inserted
            if self._claims and sealed.claimed:
                await self._claims.hold(sealed.claimed)
            await self._failed(sealed, error)
            return
        self._doubted = None
        self._pause_s, self._not_before = limits.INGEST_SPOOL_PAUSE_MIN_S, 0.0
        self._inserter.set_away(away=False)
        if self._job:
            self._job.note_progress()

    async def _failed(self, sealed: Sealed, error: Exception) -> None:
        if isinstance(error, DuoscopeError):
            _log.warning("segment %s waits for ClickHouse: %s", sealed.path.stem, error.detail or error.message)
        else:
            _log.error("segment %s waits: it cannot be read or inserted", sealed.path.stem, exc_info=error)
        sealed.batch = None
        sealed.tell(None)
        if sealed.stored:  # it is the disk of this receiver
            self._put_back(sealed)
            self._not_before = time.monotonic() + limits.INGEST_SPOOL_PAUSE_MAX_S
            return
        self._inserter.set_away(away=True)
        sealed.failures += sealed.commits is not None and self._inserter.commits > sealed.commits
        sealed.commits = self._inserter.commits
        if sealed.failures >= limits.INGEST_SPOOL_TRIES_MAX:
            with contextlib.suppress(OSError):
                await self._set_aside(sealed, "ClickHouse takes other batches and not this one")
                return
        self._put_back(sealed)
        if self._doubted is None and len(self._waiting) > 1:
            self._doubted = sealed.path
        else:
            self._doubted = None
            self._not_before = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, limits.INGEST_SPOOL_PAUSE_MAX_S)

    async def _store(self, sealed: Sealed) -> None:
        started = time.monotonic()
        try:
            sealed.stored = stored = sealed.stored or await self._insert(sealed)
        except FileNotFoundError:  # an operator took it away
            self._decided(sealed)
            sealed.tell(None)
            return
        except CorruptFileError:
            await self._set_aside(sealed, "the file is torn or was changed")
            sealed.tell(None)
            return
        except RejectedByStoreError as error:
            if await self._split(sealed, error):
                await self._store(sealed)
                return
            rows = sealed.batch
            await self._set_aside(sealed, str(error))
            sealed.tell(rows)
            return
        size = size_of(sealed.path)
        await asyncio.to_thread(self._log.remove, sealed.path)
        self._bytes -= size
        self._decided(sealed)
        self.cost_s += _NEW_COSTS * (time.monotonic() - started - self.cost_s)
        sealed.tell(stored)

    async def _insert(self, sealed: Sealed) -> Batch:
        with errors_counted():
            if sealed.batch is None or sealed.must_ask:
                sealed.batch = await self._rows(sealed)
                _replayed.inc()
        for pause_s in (*limits.INGEST_INSERT_RETRY_PAUSES_S, None):
            try:
                return await self._inserter.insert(sealed.batch)
            except DuoscopeError:
                if pause_s is None or self._inserter.is_away:
                    raise
                await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def _rows(self, sealed: Sealed) -> Batch:
        """The rows of a segment, made again from its file, without what is stored or answered for elsewhere."""
        if sealed.end is not None:
            await asyncio.to_thread(self._log.cut, sealed.path, sealed.end)
            sealed.end = None
            self._decided(sealed)
        found = await asyncio.to_thread(self._log.read, sealed.path)
        if isinstance(found, Batch):
            batch = replace(found, inserts=(*found.inserts[:-1], *of_requests(found.inserts[-1].block)))
        else:
            records = [record for record in found if record.key not in sealed.elsewhere]
            batch = await asyncio.to_thread(_gather, sealed, records)
        if not sealed.must_ask or not batch.parts:
            return batch
        requests = [(part.workspace_id, part.tenant_id, part.digest) for part in batch.parts]
        stored = await self._writer.stored(requests, since_ns=batch.received_ns - _SAME_REQUEST_NS)
        if stored and any(ms in stored[key][3] for key, ms in batch.received_ms() if key in stored):
            # It is this segment's own: all else is done, but perhaps not the usage that is counted from the ledger.
            return replace(batch, inserts=batch.inserts[-1:])
        gone = {part.key for part in batch.parts if (part.tenant_id, part.digest) in stored}
        if not gone:
            return batch
        _log.info("%d of %d requests of %s were stored before", len(gone), len(batch.parts), batch.token)
        sealed.elsewhere = {*sealed.elsewhere, *gone}
        if isinstance(found, Batch):
            raise RejectedByStoreError(None, f"other batches have {len(gone)} of its {len(batch.parts)} requests")
        records = [record for record in found if record.key not in sealed.elsewhere]
        return await asyncio.to_thread(_gather, sealed, records)

    async def _split(self, sealed: Sealed, error: RejectedByStoreError) -> bool:
        """Set the requests of the signal aside for which a table refuses all, if there are others in the segment."""
        kind = signal_of(error.table)
        if kind is None or not await asyncio.to_thread(self._log.split_off, sealed.path, kind, str(error)):
            return False
        sealed.batch = None
        _poison.inc()
        _log.error("set the %s of segment %s aside: %s", kind.name.lower(), sealed.path.stem, error)
        return True

    async def _set_aside(self, sealed: Sealed, why: str) -> None:
        """Make a segment that cannot be inserted durable, where an operator finds it."""
        await asyncio.to_thread(self._log.set_aside, sealed.path, why)
        self._decided(sealed)
        _poison.inc()
        _log.error("set segment %s aside: %s", sealed.path.stem, why)

    def _decided(self, sealed: Sealed) -> None:
        """Forget the requests behind the end of a file that has no more."""
        self.undecided = {key: path for key, path in self.undecided.items() if path != sealed.path}

    async def _look(self) -> None:
        """Find files that an operator put back, and measure."""
        self._look_at = time.monotonic() + limits.INGEST_SPOOL_LOOK_S
        found = await asyncio.to_thread(self._log.files)
        own = self._log.growing | {sealed.path.stem for sealed in self._all()}
        for path in found:
            if path.stem not in own and path.exists():
                self._waiting[path] = Sealed(path, must_ask=True)
        self._bytes = await asyncio.to_thread(self._log.size)
        self._count()

    def waiting_since(self) -> datetime | None:
        """The time when the oldest segment was begun that is not in ClickHouse, also one that grows; None for none."""
        growing = (created_ns(Path(name)) / 1e9 for name in tuple(self._log.growing))
        oldest_s = min(self._oldest_s(), min(growing, default=math.inf))
        return None if oldest_s == math.inf else datetime.fromtimestamp(oldest_s, UTC)

    def _oldest_s(self) -> float:
        first = next(iter(self._waiting), None)
        paths = [*([first] if first else []), *(sealed.path for sealed in self._running.values())]
        return min((created_ns(path) / 1e9 for path in paths), default=math.inf)

    def _count(self) -> None:
        if self._inserter.is_away or self._held() <= limits.INGEST_ROWS_HELD_BYTES_MAX:
            self._has_room.set()
        else:
            self._has_room.clear()
        _log_bytes.set(self._bytes)
        _log_segments.set(len(self._waiting) + len(self._running))
        oldest = self._oldest_s()
        _log_age.set(0 if oldest == math.inf else now_unix_nano() / 1e9 - oldest)

    def _held(self) -> int:
        """Bytes of rows in memory."""
        return sum(sealed.batch.size for sealed in self._all() if sealed.batch)

    def _all(self) -> list[Sealed]:
        return [*self._waiting.values(), *self._running.values()]


def _gather(sealed: Sealed, records: list[Record]) -> Batch:
    rows = Gathering(counts_values=not sealed.is_counted)
    for record in records:
        rows.add(record)
    batch = rows.take(sealed.path.stem)
    return batch.in_former_tables() if records and records[0].is_former else batch
