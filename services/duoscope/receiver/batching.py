"""Gathers requests into few large batches, and limits how many wait.

An INSERT has a fixed price (ClickHouse analyses every view again), so requests that arrive together share one. A batch
leaves when it is full, or a set time after the previous one started; an idle receiver does not wait at all.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from duoscope.background.driver import AGAIN, Driver, Job, Next
from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel import limits
from duoscope.kernel.errors import unavailable
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.receiver.admission.fair_queue import FairQueue
from duoscope.receiver.decoder import Outcome


@dataclass(slots=True, eq=False)
class Request:
    """One waiting request. `done` is resolved exactly once; `applied` has the limits of its tenant."""

    principal: IngestPrincipal
    raw: bytes
    digest: str
    received_ns: int
    done: asyncio.Future[Outcome]
    applied: IngestLimits = field(default_factory=IngestLimits)

    def resolve(self, outcome: Outcome | Exception) -> None:
        """Answer the request; a second answer is ignored."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


_JOBS: Final = {
    signal: Job(f"batch-{signal}", period_s=1.0, at_once=True, retry_s=0.1, turn_max_s=math.inf)
    for signal in ("traces", "logs", "metrics")
}
"""One turn makes one batch, and waits for its first request."""

Commit = Callable[[list[Request]], Awaitable[None]]


class Batcher:
    """Gathers the requests of one signal. Call `submit` from any task of the loop it was started in."""

    def __init__(self, signal: str, commit: Commit, driver: Driver) -> None:
        """Pass batches of `signal`, by its name, to `commit`, which resolves every request and raises nothing."""
        self._commit = commit
        self._waiting: FairQueue[Request] = FairQueue()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._slots = asyncio.Semaphore(limits.INGEST_BATCHES_PER_SIGNAL_MAX)
        self._commits: set[asyncio.Task[None]] = set()
        self._closing = False
        self._leaves_at = 0.0
        self._job = driver.start(_JOBS[signal], self._turn)

    def submit(self, request: Request) -> None:
        """Queue a request; its `done` gets the result.

        Raises:
            DuoscopeError: UNAVAILABLE during shutdown.
        """
        if self._closing:
            raise unavailable("The receiver is shutting down.", code="shutting-down", retry_after_s=1)
        self._waiting.add(request.principal.scope.tenant_id, len(request.raw), request)
        self._arrived.set()
        if self._waiting.bytes >= limits.INGEST_BATCH_BYTES_MAX:
            self._full.set()

    async def close(self) -> None:
        """Accept nothing new; commit what waits."""
        self._closing = True
        self._arrived.set()
        self._full.set()
        await self._job.stop()
        while self._waiting:
            await self._turn()
        await asyncio.gather(*self._commits)

    async def _turn(self) -> Next:
        await self._arrived.wait()
        await self._slots.acquire()
        task: asyncio.Task[None] | None = None
        try:
            await self._wait_for_company(self._leaves_at)
            if batch := self._take():
                self._leaves_at = time.monotonic() + limits.INGEST_BATCH_WAIT_MAX_S
                task = asyncio.create_task(self._pass_on(batch), name="commit a batch")
                self._commits.add(task)
                task.add_done_callback(self._commits.discard)
        finally:
            if task is None:
                self._slots.release()
        return AGAIN

    async def _wait_for_company(self, until: float) -> None:
        remaining_s = until - time.monotonic()
        if remaining_s > 0 and not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), remaining_s)

    def _take(self) -> list[Request]:
        batch = self._waiting.take(limits.INGEST_BATCH_BYTES_MAX)
        if not self._waiting and not self._closing:
            self._arrived.clear()
        if self._waiting.bytes < limits.INGEST_BATCH_BYTES_MAX and not self._closing:
            self._full.clear()
        return batch

    async def _pass_on(self, batch: list[Request]) -> None:
        try:
            await self._commit(batch)
        finally:
            self._slots.release()
