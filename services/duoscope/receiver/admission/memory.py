"""The memory that requests hold: the receiver's budget, a tenant's share of it, and the reservation of one request.

What a request takes is known only step by step: a length that was announced, a chunk that arrived, a guess of what
inflates next. Each step asks before it takes. On the way into `Ingest.accept`, which reserves for itself, the
reservation is given up without a moment in between.
"""

from types import TracebackType
from typing import Protocol, Self

from prometheus_client import Gauge

from duoscope.kernel import limits
from duoscope.kernel.errors import unavailable

_held_bytes = Gauge("duoscope_ingest_held_bytes", "Request bytes accepted and not yet committed")


class Budget:
    """Bytes of requests in memory over all signals. A request that does not fit is told to retry."""

    def __init__(self, bytes_max: int = limits.INGEST_QUEUE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held = 0

    @property
    def free(self) -> int:
        """The bytes that are free."""
        return self._bytes_max - self._held

    def take(self, size: int) -> None:
        """Reserve `size` bytes. If nothing is held, a request of any size may enter."""
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


class Holder(Protocol):
    """A tenant, with the bytes that its requests hold."""

    held: int


class MemoryShare:
    """A tenant's share of the budget: it may hold as much as remains free for others.

    So one tenant alone fills half of it, two fill two thirds and leave a third free (dynamic thresholds, Choudhury and
    Hahne, 1998). A tenant that holds nothing is limited by the budget alone, however large its request.
    """

    __slots__ = ("_account", "_budget")

    def __init__(self, budget: Budget, account: Holder) -> None:
        self._budget = budget
        self._account = account

    def take(self, size: int) -> None:
        """Reserve `size` bytes.

        Raises:
            DuoscopeError: UNAVAILABLE with a retry hint.
        """
        if self._account.held and self._account.held + size > self._budget.free:
            raise unavailable(
                "This tenant's requests fill its share of the receiver's memory; send the same request again shortly.",
                code="tenant-busy",
                retry_after_s=limits.INGEST_RETRY_AFTER_S,
            )
        self._budget.take(size)
        self._account.held += size

    def give_back(self, size: int) -> None:
        """Release what `take` reserved."""
        self._budget.give_back(size)
        self._account.held -= size


class Takes(Protocol):
    """A source of memory: the whole budget, or a tenant's share of it."""

    def take(self, size: int) -> None:
        """Reserve `size` bytes, or raise UNAVAILABLE."""
        ...

    def give_back(self, size: int) -> None:
        """Release what `take` reserved."""
        ...


class Reservation:
    """Bytes of one request; leaving the context returns them."""

    def __init__(self, budget: Takes) -> None:
        self._budget = budget
        self._size = 0

    @property
    def size(self) -> int:
        """The bytes that are reserved now."""
        return self._size

    def resize(self, size: int) -> None:
        """Hold `size` bytes from now on.

        The previous reservation is returned first, so that the rule for a request in an empty budget applies to the
        whole request, and not to its last step.

        Raises:
            DuoscopeError: UNAVAILABLE with a retry hint; nothing is held any more.
        """
        self.release()
        self._budget.take(size)
        self._size = size

    def release(self) -> None:
        """Return everything. May be called twice."""
        held, self._size = self._size, 0
        if held:
            self._budget.give_back(held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
