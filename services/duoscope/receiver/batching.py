"""Gathers envelopes into few large INSERTs and answers each request when the INSERT that holds it has committed.

An INSERT has a fixed price (ClickHouse analyses every view anew), so requests that arrive together share one. A batch
leaves when it is full, or a set time after the one before it started; an idle inlet does not wait at all.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, unavailable
from duoscope.stores.clickhouse import EnvelopeWriter, Inlet, RejectedByStoreError

_log = logging.getLogger(__name__)

_inserts = Counter("duoscope_ingest_inserts", "INSERTs into ClickHouse", ["inlet", "outcome"])
_insert_seconds = Histogram(
    "duoscope_ingest_insert_seconds",
    "Time of one INSERT, views included",
    ["inlet"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
_insert_bytes = Counter("duoscope_ingest_insert_bytes", "Envelope bytes handed to ClickHouse", ["inlet"])
_held_bytes = Gauge("duoscope_ingest_held_bytes", "Request bytes accepted and not yet committed")


@dataclass(slots=True)
class _Item:
    """One request that waits. `done` is resolved exactly once."""

    pieces: tuple[bytes, bytes]
    done: asyncio.Future[None]

    @property
    def size(self) -> int:
        return len(self.pieces[0]) + len(self.pieces[1])


class Budget:
    """Bytes of requests in memory over all inlets. A request that does not fit is told to come again."""

    def __init__(self, bytes_max: int = limits.INGEST_QUEUE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held = 0

    def take(self, size: int) -> None:
        """Reserve `size` bytes; a request may always enter an empty house, however large.

        Raises:
            DuoscopeError: UNAVAILABLE with a retry hint.
        """
        if self._held and self._held + size > self._bytes_max:
            raise unavailable(
                "The receiver is busy; send the same request again shortly.",
                code="receiver-busy",
                retry_after_s=limits.INGEST_RETRY_AFTER_S,
            )
        self._held += size
        _held_bytes.set(self._held)

    def give_back(self, size: int) -> None:
        """Release what `take` reserved."""
        self._held -= size
        _held_bytes.set(self._held)


class Batcher:
    """The way into one inlet. `submit` from any task of the loop it was started in."""

    def __init__(self, writer: EnvelopeWriter, inlet: Inlet) -> None:
        self._writer = writer
        self._inlet = inlet
        self._waiting: deque[_Item] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._slots = asyncio.Semaphore(limits.INGEST_INSERTS_PER_INLET_MAX)
        self._inserts: set[asyncio.Task[None]] = set()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name=f"batch {inlet.name}")

    async def submit(self, pieces: tuple[bytes, bytes]) -> None:
        """Return when the envelope's rows are committed.

        Raises:
            DuoscopeError: INVALID when ClickHouse cannot take this envelope, UNAVAILABLE when it cannot take it now.
        """
        if self._closing:
            raise unavailable("The receiver is shutting down.", code="shutting-down", retry_after_s=1)
        item = _Item(pieces, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._waiting_bytes += item.size
        self._arrived.set()
        if self._waiting_bytes >= limits.INGEST_BATCH_BYTES_MAX:
            self._full.set()
        await item.done

    async def close(self) -> None:
        """Take nothing new; insert what waits."""
        self._closing = True
        self._arrived.set()
        self._full.set()
        await self._task
        await asyncio.gather(*self._inserts)

    async def _run(self) -> None:
        leaves_at = 0.0
        while True:
            await self._arrived.wait()
            await self._slots.acquire()
            await self._wait_for_company(leaves_at)
            batch = self._take()
            if not batch:
                self._slots.release()
                if self._closing:
                    return
                continue
            leaves_at = time.monotonic() + limits.INGEST_BATCH_WAIT_MAX_S
            task = asyncio.create_task(self._insert(batch), name=f"insert {self._inlet.name}")
            self._inserts.add(task)
            task.add_done_callback(self._inserts.discard)

    async def _wait_for_company(self, until: float) -> None:
        remaining_s = until - time.monotonic()
        if remaining_s > 0 and not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), remaining_s)

    def _take(self) -> list[_Item]:
        batch: list[_Item] = []
        size = 0
        while self._waiting and (not batch or size + self._waiting[0].size <= limits.INGEST_BATCH_BYTES_MAX):
            item = self._waiting.popleft()
            size += item.size
            # A client that went away gave up its answer; what it sent was not acknowledged and need not be stored.
            if not item.done.done():
                batch.append(item)
        self._waiting_bytes -= size
        if not self._waiting and not self._closing:
            self._arrived.clear()
        if self._waiting_bytes < limits.INGEST_BATCH_BYTES_MAX and not self._closing:
            self._full.clear()
        return batch

    async def _insert(self, batch: list[_Item]) -> None:
        try:
            await self._commit(batch)
        except RejectedByStoreError as error:
            await self._insert_one_by_one(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, every waiting request gets an answer
            if not isinstance(error, DuoscopeError):
                _log.exception("INSERT into %s failed", self._inlet.table)
            _resolve(batch, error)
        else:
            _resolve(batch, None)
        finally:
            self._slots.release()

    async def _insert_one_by_one(self, batch: list[_Item], error: RejectedByStoreError) -> None:
        """Find the request that ClickHouse cannot take; the others are as good as they were."""
        _log.warning("ClickHouse rejected %d requests for %s: %s", len(batch), self._inlet.table, error)
        if len(batch) == 1:
            _resolve(batch, _not_storable())
            return
        for item in batch:
            try:
                await self._commit([item])
            except RejectedByStoreError:
                _resolve([item], _not_storable())
            except DuoscopeError as later:
                _resolve([item], later)
            else:
                _resolve([item], None)

    async def _commit(self, batch: list[_Item]) -> None:
        """One INSERT, tried again under the same token while the store is away, so that no try doubles another."""
        pieces = [piece for item in batch for piece in item.pieces]
        token = secrets.token_hex(16)
        name = self._inlet.name.lower()
        for pause_s in (*limits.INGEST_INSERT_RETRY_PAUSES_S, None):
            started = time.monotonic()
            try:
                await self._writer.insert(self._inlet, pieces, token=token)
            except DuoscopeError as error:
                _inserts.labels(name, error.code).inc()
                if error.kind is not ErrorKind.UNAVAILABLE or pause_s is None:
                    raise
                _log.warning("INSERT into %s failed, trying again: %s", self._inlet.table, error.detail)
                await asyncio.sleep(pause_s)
            except RejectedByStoreError:
                _inserts.labels(name, "rejected").inc()
                raise
            else:
                _inserts.labels(name, "committed").inc()
                _insert_seconds.labels(name).observe(time.monotonic() - started)
                _insert_bytes.labels(name).inc(sum(map(len, pieces)))
                return


def _resolve(batch: list[_Item], error: Exception | None) -> None:
    for item in batch:
        if item.done.done():
            continue
        if error is None:
            item.done.set_result(None)
        else:
            item.done.set_exception(error)


def _not_storable() -> DuoscopeError:
    return invalid(
        "The request is well-formed but cannot be stored: look for times that are spread over years, or for single "
        "values of many megabytes.",
        code="not-storable",
    )
