"""Appends requests to the log, and acknowledges them once they are on the disk.

    requests -> known? answer           (the log, the ledger in ClickHouse, or another receiver has it)
             -> decode                  (native; malformed requests are answered, bad items counted)
             -> append, sync            (all that arrived meanwhile together: a group commit; while a group is synced,
                                        the next one is decoded and appended)
             -> answer
    segment  -> sealed when it is large or old enough; `Storing` brings its rows into ClickHouse

The commits of a segment have a fixed price (ClickHouse analyses every view again, once an INSERT), so a segment waits
for more requests, of all signals, until that price is a small share of the time, or for INGEST_SEGMENT_AGE_MAX_S. Where
every reader waits for `settled`, a small segment that nobody reads waits longer: up to INGEST_SEGMENT_AGE_UNREAD_MAX_S.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar
from uuid import UUID

from prometheus_client import Counter, Histogram

from duoscope.background.driver import AGAIN, Driver, Job, Next
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.kernel.ids import new_id
from duoscope.receiver.admission.fair_queue import FairQueue
from duoscope.receiver.admission.tenant_series import TenantSeries
from duoscope.receiver.decoder import Kind, MalformedError, Outcome, TooManyItemsError
from duoscope.receiver.durability.batch import Batch
from duoscope.receiver.durability.inserter import Inserter
from duoscope.receiver.durability.known import KnownRequests
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.records import Record
from duoscope.receiver.durability.request_log import RequestLog, SegmentWriter
from duoscope.receiver.durability.storing import Sealed, Storing
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.group import Group
from duoscope.receiver.repeats import Repeats
from duoscope.receiver.requests import Request
from duoscope.receiver.status import disk_trouble, no_memory
from duoscope.stores.clickhouse import IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_items = Counter("duoscope_ingest_items", "Items of requests that were answered", ["signal", "outcome"])
_cut = Counter("duoscope_ingest_cut_items", "Items stored with less than was sent, at least so many", ["signal"])
_sync_seconds = Histogram(
    "duoscope_ingest_append_seconds",
    "Time to decode a group of requests, append it to the log and sync it",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)

_T = TypeVar("_T")

_GROUPS_MAX: Final = 2
"""One that is synced, and one that is decoded."""

Acknowledge: TypeAlias = Literal["synced", "stored"]
"""When a request is answered: once it is on this receiver's disk, or once it is in ClickHouse."""

APPEND_REQUESTS: Final = Job(
    "append-requests", period_s=1.0, at_once=True, retry_s=0.1, turn_max_s=math.inf, stop_s=math.inf
)
"""One turn appends what waits, and waits for the first request or until the segment is due."""


@dataclass(slots=True)
class _Segment:
    """The segment that grows.

    Attributes:
        writer: its file.
        due_at: when it is to be sealed.
        large_due_at: the same, once it has many rows.
        must_ask: whether the ledger is to be asked before its rows are inserted.
        tenants: whose requests are in it.
        settled: set when they can be read, or wait on the disk.
        claimed: outcomes of its requests by their keys, where other receivers are to know them.
        elsewhere: keys of requests that another receiver took while the disk was slow.
        answers: its requests with their outcomes, where they wait until they are stored.
    """

    writer: SegmentWriter
    due_at: float
    large_due_at: float
    must_ask: bool = False
    tenants: set[UUID] = field(default_factory=set[UUID])
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    claimed: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    elsewhere: set[str] = field(default_factory=set[str])
    answers: list[tuple[Request, Outcome]] = field(default_factory=list[tuple[Request, Outcome]])


class Appender:
    """Takes the requests of all signals into the log. Call `submit` from any task of the loop it was started in."""

    def __init__(
        self,
        log: RequestLog,
        storing: Storing,
        known: KnownRequests,
        inserter: Inserter,
        writer: IngestWriter,
        *,
        threads: ThreadPoolExecutor,
        driver: Driver,
        acknowledge: Acknowledge,
        claims: IngestLeases | None = None,
        readers_wait: bool = False,
    ) -> None:
        """Create and start it; with `claims` if there may be other receivers, and with `readers_wait` if nobody reads
        the store without having waited for `settled`.
        """
        self._log = log
        self._storing = storing
        self._known = known
        self._inserter = inserter
        self._repeats = Repeats(known, storing, inserter, writer, claims)
        self._threads = threads
        self._waits_for_store = acknowledge == "stored"
        self._claims = claims
        self._readers_wait = readers_wait
        self._gathering = Gathering(counts_values=True)
        self._series = TenantSeries()
        self._queue: FairQueue[Request] = FairQueue()
        self._arrived = asyncio.Event()
        self._segment: _Segment | None = None
        self._sealing: _Segment | None = None
        self._sealed_at = 0.0
        self._groups: list[Group] = []
        self._slow_works = 0
        self._counts: asyncio.Task[None] | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._job = driver.start(APPEND_REQUESTS, self._turn)

    def submit(self, request: Request) -> None:
        """Queue a request; its `done` gets the result.

        Raises:
            DuoscopeError: UNAVAILABLE during shutdown, or while the disk does not answer.
        """
        if self._closing:
            raise unavailable("The receiver is shutting down.", code="shutting-down", retry_after_s=1)
        if self._disk_is_slow:
            raise disk_trouble()
        self._queue.add(request.principal.scope.tenant_id, len(request.raw), request)
        self._arrived.set()
        if self._groups and self._groups[-1].is_written:
            self._groups[-1].may_go_on.set()

    @property
    def _disk_is_slow(self) -> bool:
        return self._slow_works > 0

    async def close(self) -> None:
        """Accept nothing new; append what waits, and seal it."""
        self._closing = True
        self._arrived.set()
        await self._job.stop()
        while self._queue:
            await self._turn()
        await self._seal()
        if self._gathering.counts_due_in_s is not None and not self._inserter.is_away:
            await self._insert_counts()
        if self._counts:
            await self._counts

    async def settled(self, tenant_id: UUID) -> None:
        """Wait, not long, until the requests that the tenant got answers for can be read.

        Seals the segment they are in: who reads need not wait until it is old enough.
        """
        if self._inserter.is_away:
            return
        waiting = self._storing.unsettled(tenant_id)
        if self._sealing and tenant_id in self._sealing.tenants:
            waiting.append(self._sealing.settled)
        segment = self._segment
        if segment and tenant_id in segment.tenants:
            segment.due_at = min(segment.due_at, self._sealed_at + limits.INGEST_SEGMENT_AGE_MIN_S)
            self._arrived.set()
            waiting.append(segment.settled)
        if waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.READ_SETTLED_MAX_S):
                    for each in waiting:
                        await each.wait()

    async def _turn(self) -> Next:
        if not self._queue and not self._closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._due_in_s()):  # wait_for() makes a task each time
                    await self._arrived.wait()
        if self._queue:
            await self._storing.room()
            await self._append(self._queue.take(limits.INGEST_BATCH_BYTES_MAX))
        if not self._queue and not self._closing:
            self._arrived.clear()
        if self._due_in_s() == 0:
            await (self._seal() if self._segment else self._insert_counts())
        return AGAIN

    def _due_in_s(self) -> float | None:
        """Seconds until the segment is sealed; without one, until counts that none took along are inserted, if there
        are any.
        """
        segment = self._segment
        if segment is None:
            return None if self._inserter.is_away else self._gathering.counts_due_in_s
        is_full = segment.writer.written_bytes > limits.INGEST_BATCH_BYTES_MAX
        if is_full or self._gathering.rows > limits.INGEST_BATCH_ROWS_MAX:
            return 0.0
        is_large = self._gathering.rows > limits.INGEST_SEGMENT_ROWS_UNREAD_MAX
        due_at = min(segment.due_at, segment.large_due_at) if is_large else segment.due_at
        return max(0.0, due_at - time.monotonic())

    def _new_segment(self) -> _Segment:
        """A segment that begins now, with the times at which it is to be sealed."""
        writer, now = self._log.create(), time.monotonic()
        if self._waits_for_store:
            due_at = self._sealed_at + limits.INGEST_BATCH_WAIT_MAX_S
            return _Segment(writer, due_at, due_at)
        if self._inserter.is_away:  # few files, for whenever it is back
            due_at = now + limits.INGEST_SEGMENT_AGE_AWAY_S
            return _Segment(writer, due_at, due_at)
        age_s = max(self._storing.cost_s / limits.INGEST_COMMIT_SHARE, limits.INGEST_SEGMENT_AGE_MIN_S)
        large_due_at = now + min(age_s, limits.INGEST_SEGMENT_AGE_MAX_S)
        if self._readers_wait:
            return _Segment(writer, now + min(age_s, limits.INGEST_SEGMENT_AGE_UNREAD_MAX_S), large_due_at)
        return _Segment(writer, large_due_at, large_due_at)

    async def _insert_counts(self) -> None:
        """Have counts of values inserted by themselves: no segment came that would take them along."""
        take = partial(self._gathering.take, new_id().hex, values=True)
        batch = await self._loop.run_in_executor(self._threads, take)
        if self._counts:
            await asyncio.wait({self._counts})
        self._counts = asyncio.create_task(self._inserted(batch))

    async def _inserted(self, counts: Batch) -> None:
        try:
            await self._inserter.insert(counts)
        except (DuoscopeError, RejectedByStoreError) as error:
            _log.warning("counts of values are lost: %s", error)

    async def _append(self, requests: list[Request]) -> None:
        """Resolve every request, one way or another."""
        try:
            fresh, asked = await self._repeats.answered(requests)
            while fresh:
                fresh = await self._write(fresh, asked=asked)
        except Exception as error:  # noqa: BLE001 - whatever it was, every waiting request gets an answer
            if not isinstance(error, DuoscopeError):
                _log.exception("a group of requests failed")
            for request in requests:
                request.resolve(error)

    async def _write(self, requests: list[Request], *, asked: bool) -> list[Request]:
        """Append as many requests as the segment has room for; they are answered when they are synced. Returns the
        others, once more can be appended.
        """
        while len(self._groups) == _GROUPS_MAX or any(group.failed for group in self._groups):
            await self._finished(self._groups[:1])
        group = Group(requests, asked)
        self._groups.append(group)
        group.work = asyncio.get_running_loop().run_in_executor(self._threads, self._write_down, group)
        group.task = asyncio.create_task(self._acknowledge(group))
        await group.may_go_on.wait()
        if group.failed:
            await self._finished([group])
        remaining = requests[len(group.results) :]
        if self._segment and (remaining or self._due_in_s() == 0):
            await self._seal()
        await self._release([request for request in remaining if request.done.done()])
        return [request for request in remaining if not request.done.done()]

    async def _finished(self, groups: list[Group]) -> None:
        """Wait until these groups are answered."""
        tasks = [group.task for group in groups if group.task]
        if tasks:
            await asyncio.wait(tasks)

    async def _acknowledge(self, group: Group) -> None:
        """Answer the requests of a group once they are on the disk, or cannot be brought there."""
        started = time.monotonic()
        assert group.work is not None
        broke: Exception | None = None
        was_slow = False
        try:
            _, was_slow = await self._in_time(group.work, group.requests, sum(len(each.raw) for each in group.requests))
            _sync_seconds.observe(time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - whatever it was, every waiting request gets an answer
            broke = error
        group.may_go_on.set()
        try:
            if self._groups[0] is not group:
                await self._finished(self._groups[:1])
            if group.is_lost:
                return
            if group.failed:
                await self._lose(group, broke)
                return
            others = group.answer_others()
            if was_slow and self._claims and self._segment:
                # Their senders were refused, and the claims may have lapsed.
                group.asked = False
                for _, record in group.sound():  # whoever sends again meanwhile is known
                    self._known.add(record.digest, record.received_ns, record.outcome)
                self._segment.elsewhere |= set(await self._claims.take([request.key for request, _ in group.sound()]))
            self._take_over(group.sound(), asked=group.asked)
            await self._release(others)
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("a group of requests failed")
            for request in group.requests:
                request.resolve(error)
        finally:
            self._groups.remove(group)

    async def _lose(self, failed: Group, broke: Exception | None) -> None:
        """Answer the requests of a group that is not on the disk, and of the one that was appended behind it."""
        behind = [group for group in self._groups if group is not failed]
        if behind:
            await asyncio.wait([group.work for group in behind if group.work])
        if broke:
            _log.error("a group of requests failed", exc_info=broke)
            for request in failed.requests:
                request.resolve(broke)
        elif failed.error:
            _log.error("cannot append to the request log: %s", failed.error)
        lost: list[Request] = []
        unrecorded: list[Request] = []
        for group in (failed, *behind):
            group.is_lost = True
            unrecorded += group.answer_others()
            lost += [request for request, _ in group.sound()] if group is not failed or not broke else group.requests
        for request in lost:
            request.resolve(disk_trouble())
        await self._in_time(self._break_off(lost))
        await self._release(unrecorded + [each for each in lost if each.key not in self._storing.undecided])

    async def _release(self, requests: list[Request]) -> None:
        if requests and self._claims:
            await self._claims.release([request.key for request in requests])

    async def _in_time(self, work: Awaitable[_T], requests: Sequence[Request] = (), size: int = 0) -> tuple[_T, bool]:
        """The result of work with the disk, and whether it took too long. Then these requests are refused before it is
        done, and whatever waits or comes.
        """
        task = asyncio.ensure_future(work)
        patience_s = limits.INGEST_SYNC_MAX_S + size / limits.INGEST_APPEND_BYTES_PER_S_MIN
        done, _ = await asyncio.wait({task}, timeout=patience_s)
        if not done:
            _log.error("the disk has not answered for %.1f s", patience_s)
            self._slow_works += 1
            for request in (*requests, *self._queue.take(self._queue.bytes)):
                request.resolve(disk_trouble())
        try:
            return await task, not done
        finally:
            self._slow_works -= not done

    def _write_down(self, group: Group) -> None:
        """Decode requests until the segment is full, at least the first; append the sound ones, and sync. Blocks."""
        for request in group.requests:
            if group.results and self._gathering.rows > limits.INGEST_BATCH_ROWS_MAX:
                break
            group.results.append(self._decode(request))
        sound = [record for _, record in group.sound()]
        if not sound:
            return
        try:
            if self._segment is None:
                self._segment = self._new_segment()
            writer = self._segment.writer
            end = writer.write(sound)
            group.is_written = True
            # Whoever comes later is heard by `submit`; with nobody there, the loop is not woken twice.
            if self._queue:
                self._loop.call_soon_threadsafe(group.may_go_on.set)
            writer.sync(end)
        except OSError as error:
            group.error = error

    def _decode(self, request: Request) -> Record | DuoscopeError:
        series = self._series.of(request.principal.scope.tenant_id) if request.signal.kind is Kind.METRICS else None
        try:
            return self._gathering.add(request.record(), series)
        except MalformedError:
            return request.signal.malformed()
        except TooManyItemsError:
            return request.signal.too_many_items()
        except MemoryError:
            return no_memory()

    def _take_over(self, sound: list[tuple[Request, Record]], *, asked: bool) -> None:
        """Answer for requests that are on the disk."""
        segment = self._segment
        if segment is None:
            return
        segment.must_ask |= not asked
        segment.tenants.update(record.scope.tenant_id for _, record in sound)
        for request, record in sound:
            self._known.add(record.digest, record.received_ns, record.outcome)
            if self._claims:
                segment.claimed[record.key] = record.outcome
            if self._waits_for_store:
                segment.answers.append((request, record.outcome))
            else:
                _answer(request, record.outcome)

    async def _break_off(self, lost: list[Request]) -> None:
        """Seal the segment at what is synced, without what was written or gathered behind it."""
        segment = self._sealing = self._segment
        self._segment = None
        self._gathering.drop()
        if segment is None:
            return
        path, end = segment.writer.abandon(), segment.writer.synced_bytes
        try:
            await asyncio.to_thread(self._log.cut, path, end)
        except OSError as error:
            _log.error("cannot cut %s of the request log: %s", path.name, error)
            self._storing.undecided |= {request.key: path for request in lost}
        await self._hand_over(segment, path, None)

    async def _seal(self) -> None:
        await self._finished(self._groups)
        segment = self._sealing = self._segment
        self._segment = None
        self._sealed_at = time.monotonic()
        if segment is None:
            return
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._finish, segment.writer)
        (path, batch), _ = await self._in_time(work)
        await self._hand_over(segment, path, batch)

    def _finish(self, writer: SegmentWriter) -> tuple[Path, Batch | None]:
        """Where the file of the segment is, and its rows; without them, they are made again from the file."""
        path = writer.seal()
        try:
            # While ClickHouse is away no rows are kept: counts gather until it is back. A stop takes all along.
            values = False if self._inserter.is_away else True if self._closing else None
            return path, self._gathering.take(writer.name, values=values)
        except Exception:  # noqa: BLE001 - whatever it was, the file has it all
            _log.exception("the rows of %s are made again", writer.name)
            self._gathering.drop()
            return path, None

    async def _hand_over(self, segment: _Segment, path: Path, batch: Batch | None) -> None:
        def told(stored: Batch | None) -> None:
            judged = {part.key: part.outcome for part in stored.parts} if stored else dict[str, Outcome]()
            for request, outcome in segment.answers:
                _answer(request, judged.get(request.key, outcome))

        sealed = Sealed(
            path,
            batch,
            segment.must_ask,
            elsewhere=segment.elsewhere,
            end=None if batch else segment.writer.synced_bytes,
            claimed=segment.claimed,
            tenants=segment.tenants,
            settled=segment.settled,
            told=told if self._waits_for_store else None,
        )
        try:
            # Where requests are answered when they are stored, others may not answer for them before.
            if self._claims and not self._waits_for_store:
                await self._claims.hold(segment.claimed)
        finally:
            self._sealing = None
            self._storing.add(sealed)


def _answer(request: Request, outcome: Outcome) -> None:
    signal = request.signal.name
    _items.labels(signal, "stored").inc(outcome.stored)
    _items.labels(signal, "rejected").inc(sum(outcome.rejected.values()))
    _cut.labels(signal).inc(max(outcome.cut.values(), default=0))
    request.resolve(outcome)
