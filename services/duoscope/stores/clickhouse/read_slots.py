"""Slots for queries, shared fairly between tenants, and within a tenant between its users and keys.

A tenant may have a limited number of queries at work, and a limited number of requests that wait; beyond that, it is
told to retry. Waiting tenants take turns, and so do the callers of one tenant. Of one caller the questions that have
read already come first: under load some are answered in time then, where all would be a little on their way. The last
slots are for tenants that have none at work, so that a few greedy ones leave room for the next.

The more of the store's time a tenant had lately, the more it gives way to others: its queries do not begin for a
while where one of theirs is at work, and what is at work already waits for theirs, block by block.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from uuid import UUID

import prometheus_client as prometheus

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.stores.clickhouse.questions import Asker, Question

_QUEUE_FULL: Final = "too-many-reads"
_WAITED_TOO_LONG: Final = "reads-busy"
BUSY_CODES: Final = frozenset({_QUEUE_FULL, _WAITED_TOO_LONG})
"""Codes of the errors that say that no slot was free: the store itself is well."""

_at_work = prometheus.Gauge("duoscope_queries_running", "Queries of telemetry at work")
_in_line = prometheus.Gauge("duoscope_queries_waiting", "Queries of telemetry that wait for a slot")


_HALVED_S: Final = 10.0
"""The time after which what a tenant had counts half."""
_UNHEEDED_S: Final = 0.5
"""Seconds of the store's time lately that put nobody behind others."""
_APART: Final = 2
"""Doublings more than another tenant had, from which on a query does not begin beside one of that tenant."""


_LATER_S: Final = 0.01
"""The time after which it has surely been so long, by whichever clock."""


class Turn(NamedTuple):
    """A slot.

    Attributes:
        threads: how many the query may use.
        priority: 1, or more for a query that gives way to those with less.
    """

    threads: int
    priority: int


class _Waiter(NamedTuple):
    turn: "asyncio.Future[None]"
    asker: Asker
    question: Question
    since: float


class ReadSlots:
    """The slots of one process."""

    def __init__(
        self,
        slots: int = limits.READS_MAX,
        kept: int = limits.READS_KEPT,
        wait_max_s: float = limits.READ_WAIT_MAX_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._kept = kept
        self._wait_max_s = wait_max_s
        self._running: Counter[UUID] = Counter()
        self._running_of: Counter[tuple[UUID, UUID]] = Counter()
        self._waiting: OrderedDict[UUID, OrderedDict[UUID, deque[_Waiter]]] = OrderedDict()
        self._clock = clock
        self._had: dict[UUID, tuple[float, float]] = {}
        self._began: dict[UUID, list[float]] = {}

    @asynccontextmanager
    async def taken(self, asker: Asker, question: Question) -> AsyncGenerator[Turn]:
        """Hold a slot within the context.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-reads` if too many requests of the tenant wait; UNAVAILABLE
                `reads-busy` after too long a wait; what ended the question.
        """
        if asker.caller_id in self._waiting.get(asker.tenant_id, ()) or not self._has_place(asker):
            await self._wait(asker, question)
        else:
            self._start(asker, question)
        began = self._clock()
        self._began.setdefault(asker.tenant_id, []).append(began)
        try:
            # A tenant's first query may use several threads; further ones at the same time have one each.
            threads = limits.READ_THREADS_MAX if self._running[asker.tenant_id] == 1 else 1
            yield Turn(threads, self._priority(asker.tenant_id))
        finally:
            self._note(asker.tenant_id, began)
            self._end(asker)

    def _lately(self, tenant_id: UUID) -> float:
        """The seconds that the queries of a tenant had, of which those of longer ago count less."""
        now, (seconds, at) = self._clock(), self._had.get(tenant_id, (0.0, 0.0))
        had = seconds * 0.5 ** ((now - at) / _HALVED_S) if seconds else 0.0
        return had + sum(now - began for began in self._began.get(tenant_id, ()))

    def _note(self, tenant_id: UUID, began: float) -> None:
        had = self._lately(tenant_id)  # with what is at work, which counts by itself until it ends
        running = self._began[tenant_id]
        running.remove(began)
        had -= sum(self._clock() - each for each in running)
        if not running:
            del self._began[tenant_id]
        # The newest last; of whom there is nothing left is forgotten.
        self._had.pop(tenant_id, None)
        self._had[tenant_id] = had, self._clock()
        oldest = next(iter(self._had))
        if self._lately(oldest) < _UNHEEDED_S / 2:
            del self._had[oldest]

    def _priority(self, tenant_id: UUID) -> int:
        """By doublings, so that those who had about as much stand side by side."""
        return 1 + max(0, math.ceil(math.log2(max(self._lately(tenant_id), _UNHEEDED_S) / _UNHEEDED_S)))

    def _start(self, asker: Asker, question: Question) -> None:
        question.has_had_slot = True
        self._running[asker.tenant_id] += 1
        self._running_of[asker.tenant_id, asker.caller_id] += 1
        _at_work.inc()

    def _end(self, asker: Asker) -> None:
        _at_work.dec()
        caller = asker.tenant_id, asker.caller_id
        self._running[asker.tenant_id] -= 1
        self._running_of[caller] -= 1
        if not self._running[asker.tenant_id]:
            del self._running[asker.tenant_id]
        if not self._running_of[caller]:
            del self._running_of[caller]
        self._wake()

    def _gives_way(self, asker: Asker, waited_s: float) -> bool:
        """Whether a query should not begin yet, for the sake of somebody who had much less and is at work."""
        if waited_s >= limits.READ_GIVES_WAY_MAX_S:
            return False
        own = self._priority(asker.tenant_id)
        return own > _APART and any(
            self._priority(other) <= own - _APART for other in self._running if other != asker.tenant_id
        )

    def _has_place(self, asker: Asker, waited_s: float = 0.0) -> bool:
        if self._gives_way(asker, waited_s):
            return False
        own, total = self._running[asker.tenant_id], self._running.total()
        if own >= asker.limits.queries_at_once or total >= (self._slots - self._kept if own else self._slots):
            return False
        of_key = asker.limits.key_queries_at_once if asker.kind == "api-key" else 0
        return not of_key or self._running_of[asker.tenant_id, asker.caller_id] < of_key

    async def _wait(self, asker: Asker, question: Question) -> None:
        self._require_short_queue(asker, question)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(turn, asker, question, self._clock())
        queues = self._waiting.setdefault(asker.tenant_id, OrderedDict())
        queues.setdefault(asker.caller_id, deque()).append(waiter)
        _in_line.inc()
        # Whoever is at work may be so for long, and then nobody else wakes those that gave way.
        patience = asyncio.get_running_loop().call_later(limits.READ_GIVES_WAY_MAX_S + _LATER_S, self._wake)
        try:
            with question.waiting(turn):
                async with asyncio.timeout(self._wait_max_s):
                    await turn
        except TimeoutError:
            if not _was_granted(turn):
                question.refused_with = _WAITED_TOO_LONG
                raise unavailable(
                    "Earlier queries took too long; try again shortly, or ask for less at once.",
                    code=_WAITED_TOO_LONG,
                    retry_after_s=limits.READ_RETRY_AFTER_S,
                ) from None
        except asyncio.CancelledError:
            if _was_granted(turn):
                self._end(asker)
            raise
        finally:
            patience.cancel()
            _in_line.dec()
            self._leave(waiter)

    def _require_short_queue(self, asker: Asker, question: Question) -> None:
        queues = self._waiting.get(asker.tenant_id, OrderedDict[UUID, deque[_Waiter]]())
        waiting = {id(waiter.question) for queue in queues.values() for waiter in queue if not waiter.turn.done()}
        # One request may ask several things at once: it waits as one.
        if len(waiting) < asker.limits.queries_waiting or question.is_running or id(question) in waiting:
            return
        question.refused_with = _QUEUE_FULL
        raise DuoscopeError(
            ErrorKind.RATE_LIMITED,
            _QUEUE_FULL,
            f"{asker.limits.queries_waiting} requests of your tenant wait already (its limit queries_waiting), behind "
            f"{self._running[asker.tenant_id]} queries at work; wait for their answers before you ask more.",
            retry_after_s=limits.READ_RETRY_AFTER_S,
        )

    def _leave(self, waiter: _Waiter) -> None:
        queues = self._waiting.get(waiter.asker.tenant_id)
        queue = queues.get(waiter.asker.caller_id) if queues else None
        if queues is None or queue is None:
            return
        if waiter in queue:
            queue.remove(waiter)
        if not queue:
            del queues[waiter.asker.caller_id]
        if not queues:
            del self._waiting[waiter.asker.tenant_id]

    def _wake(self) -> None:
        """Give free slots to waiting tenants in turn."""
        progress = True
        while progress:
            progress = False
            for tenant_id in list(self._waiting):
                if self._wake_one(tenant_id):
                    self._waiting.move_to_end(tenant_id)
                    progress = True

    def _wake_one(self, tenant_id: UUID) -> bool:
        """Give a slot to the next caller of a tenant that may have one. Returns whether there was one."""
        queues = self._waiting[tenant_id]
        for caller_id, queue in list(queues.items()):
            # Of those that have read, and of those that have not, the one that came first.
            left = (waiter for waiter in queue if not waiter.turn.done())
            waiter = min(left, key=lambda waiter: not waiter.question.has_had_slot, default=None)
            if waiter is not None and self._has_place(waiter.asker, self._clock() - waiter.since):
                waiter.turn.set_result(None)
                self._start(waiter.asker, waiter.question)
                queues.move_to_end(caller_id)
                return True
        return False


def _was_granted(turn: "asyncio.Future[None]") -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None
