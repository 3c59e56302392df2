"""Memory that answers to reads hold, from the rows of a query until the last byte is sent: a budget for each tenant and
one for all.

A request opens an account (`reading`); everything read within it counts, and is given back at the end of the request.
Without an account, as in background work, nothing counts.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable


class ReadMemory:
    """The bytes held by answers of one process."""

    def __init__(
        self, tenant_bytes_max: int = limits.ANSWERS_TENANT_BYTES_MAX, bytes_max: int = limits.ANSWERS_BYTES_MAX
    ) -> None:
        self._tenant_bytes_max = tenant_bytes_max
        self._bytes_max = bytes_max
        self._held: Counter[UUID] = Counter()

    @property
    def held(self) -> int:
        """The bytes held in all."""
        return self._held.total()

    def take(self, tenant_id: UUID, size: int) -> None:
        """Count bytes of a tenant.

        Raises:
            DuoscopeError: RATE_LIMITED `answers-unread` beyond the tenant's budget, UNAVAILABLE `answers-full` beyond
                that of all.
        """
        own = self._held[tenant_id]
        # A tenant that holds nothing gets one answer of any size: an answer has a limit of its own.
        if own and own + size > self._tenant_bytes_max:
            raise DuoscopeError(
                ErrorKind.RATE_LIMITED,
                "answers-unread",
                "Answers to your tenant fill its share of memory: read them, ask for less "
                "at once, or try again shortly.",
                retry_after_s=limits.READ_RETRY_AFTER_S,
            )
        if self.held + size > self._bytes_max:
            raise unavailable(
                "The memory for answers is full; try again shortly.",
                code="answers-full",
                retry_after_s=limits.READ_RETRY_AFTER_S,
            )
        self._held[tenant_id] += size

    def give_back(self, tenant_id: UUID, size: int) -> None:
        """Release bytes of a tenant."""
        self._held[tenant_id] -= size
        if not self._held[tenant_id]:
            del self._held[tenant_id]


class Account:
    """The bytes that one request holds."""

    def __init__(self) -> None:
        self._taken: list[tuple[ReadMemory, UUID, int]] = []
        self._is_closed = False
        self.read_rows = self.read_bytes = 0
        """What its queries read in the store."""

    def take(self, memory: ReadMemory, tenant_id: UUID, size: int) -> None:
        """Count bytes until the request is over; raises as `ReadMemory.take` does.

        What comes after that, of a statement that nobody waited for, is not counted: nobody would give it back.
        """
        if self._is_closed:
            return
        memory.take(tenant_id, size)
        self._taken.append((memory, tenant_id, size))

    def release(self, memory: ReadMemory, tenant_id: UUID, size: int) -> None:
        """Release bytes that were taken, before the request is over."""
        if (memory, tenant_id, size) in self._taken:
            self._taken.remove((memory, tenant_id, size))
            memory.give_back(tenant_id, size)

    def close(self) -> None:
        """Release all bytes."""
        self._is_closed = True
        while self._taken:
            memory, tenant_id, size = self._taken.pop()
            memory.give_back(tenant_id, size)


def current() -> Account:
    """The open account; a new one for background work."""
    return _account.get() or Account()


_account: ContextVar[Account | None] = ContextVar("account", default=None)


@contextmanager
def reading() -> Generator[Account]:
    """Open an account for everything read within the context."""
    account = Account()
    token = _account.set(account)
    try:
        yield account
    finally:
        _account.reset(token)
        account.close()


def hold(memory: ReadMemory, tenant_id: UUID, size: int) -> None:
    """Count bytes in the open account, if there is one. Raises as `ReadMemory.take` does."""
    account = _account.get()
    if account is not None:
        account.take(memory, tenant_id, size)
