"""Streams of log records: their number and duration are limited, and they end when the process does, and when their
reader may read logs no more.
"""

import asyncio
import logging
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from uuid import UUID

import msgspec
from litestar.response import ServerSentEventMessage

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.stores.clickhouse.read_memory import reading
from duoscope.telemetry.tail import TAIL_INTERVAL_S, TailBatch

_log = logging.getLogger(__name__)


class LogStreams:
    """The streams of one process."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._open: Counter[UUID] = Counter()

    async def wait(self) -> None:
        """Wait until the next look, or until the process stops."""
        try:
            await asyncio.wait_for(self._stopping.wait(), TAIL_INTERVAL_S)
        except TimeoutError:
            return

    def stream(
        self, tenant_id: UUID, batches: AsyncGenerator[TailBatch], still_allowed: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[ServerSentEventMessage]:
        """The batches as server-sent events.

        Args:
            tenant_id: the tenant of the records.
            batches: the arriving records.
            still_allowed: called every half second; the stream ends with the error it raises.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-tails` for a tenant with the maximum number of streams; UNAVAILABLE
                `tails-full` if all tenants together have the maximum.
        """
        self._require_place(tenant_id)
        self._open[tenant_id] += 1
        place = _Place(lambda: self._leave(tenant_id))
        events = self._events(place, batches, still_allowed)
        # The end of a stream that nobody began to read never runs.
        weakref.finalize(events, place.give_back)
        return events

    def bytes_of(
        self, tenant_id: UUID, content: AsyncGenerator[bytes], still_allowed: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[bytes]:
        """The parts of a file, which counts as a stream of its tenant, and ends incomplete with the permission.

        Raises:
            DuoscopeError: as `stream` does.
        """
        self._require_place(tenant_id)
        self._open[tenant_id] += 1
        place = _Place(lambda: self._leave(tenant_id))
        parts = self._parts(place, content, still_allowed)
        weakref.finalize(parts, place.give_back)
        return parts

    async def _parts(
        self, place: "_Place", content: AsyncGenerator[bytes], still_allowed: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[bytes]:
        leave = _Leave(still_allowed)
        try:
            async with aclosing(content):
                async for part in content:
                    for start in range(0, len(part), limits.ANSWER_CHUNK_BYTES):
                        yield part[start : start + limits.ANSWER_CHUNK_BYTES]
                    if self._stopping.is_set():
                        raise unavailable(
                            "The server stops; ask again shortly.",
                            code="stopping",
                            retry_after_s=limits.LOG_STREAMS_RETRY_AFTER_S,
                        )
                    await leave.require()
        finally:
            place.give_back()

    def _require_place(self, tenant_id: UUID) -> None:
        own, total = self._open[tenant_id], self._open.total()
        if own >= limits.LOG_STREAMS_TENANT_MAX:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                "too-many-tails",
                f"Your tenant has {limits.LOG_STREAMS_TENANT_MAX} log streams open, the maximum; close one.",
                retry_after_s=limits.LOG_STREAMS_RETRY_AFTER_S,
            )
        # The last slots are for tenants that have none.
        if total >= limits.LOG_STREAMS_MAX or (own and total >= limits.LOG_STREAMS_MAX - limits.LOG_STREAMS_KEPT):
            raise unavailable(
                "Too many log streams are open; try again shortly.",
                code="tails-full",
                retry_after_s=limits.LOG_STREAMS_RETRY_AFTER_S,
            )

    def _leave(self, tenant_id: UUID) -> None:
        self._open[tenant_id] -= 1
        if not self._open[tenant_id]:
            del self._open[tenant_id]

    async def _events(
        self, place: "_Place", batches: AsyncGenerator[TailBatch], still_allowed: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[ServerSentEventMessage]:
        ends_at = asyncio.get_running_loop().time() + limits.LOG_STREAM_MAX_S
        leave = _Leave(still_allowed)
        try:
            yield ServerSentEventMessage(comment="connected", data=None)
            async with aclosing(batches):
                while (batch := await _next(batches, leave)) is not None:
                    for record in batch.items:
                        await leave.require()
                        yield ServerSentEventMessage(event="log", data=msgspec.json.encode(record).decode())
                    if batch.gap:
                        yield ServerSentEventMessage(event="gap", data="{}")
                    if not batch.items:
                        # Tells a dead connection from a quiet one.
                        yield ServerSentEventMessage(comment="nothing new", data=None)
                    if self._stopping.is_set() or asyncio.get_running_loop().time() > ends_at:
                        return
        except DuoscopeError as error:
            _log.info("a log stream was ended", extra={"code": error.code, "detail": error.detail or ""})
            content = msgspec.json.encode({"code": error.code, "detail": error.message}).decode()
            yield ServerSentEventMessage(event="error", data=content)
        finally:
            place.give_back()


class _Place:
    """The slot of one stream, given back once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def give_back(self) -> None:
        """Give the slot to another stream."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class _Leave:
    """The permission to read, which is checked again at intervals."""

    def __init__(self, still_allowed: Callable[[], Awaitable[None]]) -> None:
        self._still_allowed = still_allowed
        self._clock = asyncio.get_running_loop().time
        self._asked_at = self._clock()

    async def require(self) -> None:
        """Check the permission, unless that was just done; raises the check's error."""
        if self._clock() - self._asked_at >= limits.LOG_STREAM_CHECK_S:
            await self._still_allowed()
            self._asked_at = self._clock()


async def _next(batches: AsyncGenerator[TailBatch], leave: _Leave) -> TailBatch | None:
    """The next batch, None after the last. Raises when the permission ends, whatever the batch waits for."""
    step = asyncio.create_task(_step(batches))
    try:
        while not step.done():
            await asyncio.wait({step}, timeout=limits.LOG_STREAM_CHECK_S)
            await leave.require()
        return step.result()
    finally:
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)


async def _step(batches: AsyncGenerator[TailBatch]) -> TailBatch | None:
    # In a task of its own, whose reads give back their memory with each batch and not at the end of the stream.
    with reading():
        return await anext(batches, None)
