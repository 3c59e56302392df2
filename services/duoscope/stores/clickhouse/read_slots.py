"""Slots for queries, shared fairly between tenants.

A tenant may have a limited number of queries at work, and a limited number that wait; beyond that, it is told to retry.
Waiting tenants take turns. The last slots are for tenants that have none at work, so that a few greedy ones leave room
for the next.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable

_QUEUE_FULL: Final = "too-many-reads"
_WAITED_TOO_LONG: Final = "reads-busy"
BUSY_CODES: Final = frozenset({_QUEUE_FULL, _WAITED_TOO_LONG})
"""Codes of the errors that say that no slot was free: the store itself is well."""


class ReadSlots:
    """The slots of one process."""

    def __init__(
        self,
        slots: int = limits.READS_MAX,
        kept: int = limits.READS_KEPT,
        tenant_max: int = limits.READS_TENANT_MAX,
        queue_max: int = limits.READS_WAITING_TENANT_MAX,
        wait_max_s: float = limits.READ_WAIT_MAX_S,
    ) -> None:
        self._slots = slots
        self._kept = kept
        self._tenant_max = tenant_max
        self._queue_max = queue_max
        self._wait_max_s = wait_max_s
        self._running: Counter[UUID] = Counter()
        self._waiting: OrderedDict[UUID, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def taken(self, tenant_id: UUID) -> AsyncGenerator[int]:
        """Hold a slot within the context. Yields how many threads the query may use.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-reads` if too many queries of the tenant wait; UNAVAILABLE
                `reads-busy` after too long a wait.
        """
        if tenant_id in self._waiting or not self._has_place(tenant_id):
            await self._wait(tenant_id)
        else:
            self._running[tenant_id] += 1
        try:
            # A tenant's first query may use several threads; further ones at the same time have one each.
            yield limits.READ_THREADS_MAX if self._running[tenant_id] == 1 else 1
        finally:
            self._running[tenant_id] -= 1
            if not self._running[tenant_id]:
                del self._running[tenant_id]
            self._wake()

    def _has_place(self, tenant_id: UUID) -> bool:
        own, total = self._running[tenant_id], self._running.total()
        return own < self._tenant_max and total < (self._slots - self._kept if own else self._slots)

    async def _wait(self, tenant_id: UUID) -> None:
        queue = self._waiting.setdefault(tenant_id, deque())
        if len(queue) >= self._queue_max:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                _QUEUE_FULL,
                f"{self._queue_max} queries of your tenant wait already, behind {self._tenant_max} at work; wait for "
                "their answers before you ask more.",
                retry_after_s=limits.READ_RETRY_AFTER_S,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(self._wait_max_s):
                await turn
        except TimeoutError:
            if not _was_granted(turn):
                raise unavailable(
                    "Earlier queries took too long; try again shortly, or ask for less at once.",
                    code=_WAITED_TOO_LONG,
                    retry_after_s=limits.READ_RETRY_AFTER_S,
                ) from None
        except asyncio.CancelledError:
            if _was_granted(turn):
                self._running[tenant_id] -= 1
                self._wake()
            raise
        finally:
            if turn in queue:
                queue.remove(turn)
            if not queue and self._waiting.get(tenant_id) is queue:
                del self._waiting[tenant_id]

    def _wake(self) -> None:
        """Give free slots to waiting tenants in turn."""
        progress = True
        while progress:
            progress = False
            for tenant_id in list(self._waiting):
                queue = self._waiting[tenant_id]
                while queue and queue[0].done():
                    queue.popleft()
                if queue and self._has_place(tenant_id):
                    queue.popleft().set_result(None)
                    self._running[tenant_id] += 1
                    self._waiting.move_to_end(tenant_id)
                    progress = True
                if not queue:
                    del self._waiting[tenant_id]


def _was_granted(turn: "asyncio.Future[None]") -> bool:
    return turn.done() and not turn.cancelled()
