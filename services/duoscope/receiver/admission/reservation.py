"""The memory of one request while a transport reads and unpacks it, held against the receiver's budget.

What a request takes is known only step by step: a length that was announced, a chunk that arrived, a guess of what
inflates next. Each step asks before it takes. On the way into `Ingest.accept`, which reserves for itself, the
reservation is given up without a moment in between.
"""

from types import TracebackType
from typing import Protocol, Self


class Takes(Protocol):
    """The part of `batching.Budget` that is needed here."""

    def take(self, size: int) -> None:
        """Reserve `size` bytes, or raise UNAVAILABLE."""
        ...

    def give_back(self, size: int) -> None:
        """Release what `take` reserved."""
        ...


class Reservation:
    """Bytes of one request; leaving the context gives them back."""

    def __init__(self, budget: Takes) -> None:
        self._budget = budget
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are reserved now."""
        return self._size

    def resize(self, size: int) -> None:
        """Hold `size` bytes from now on.

        What was held is given back first, so that the budget's rule for a request in an empty house judges the whole
        request, and not its last step.

        Raises:
            DuoscopeError: UNAVAILABLE with a retry hint; nothing is held any more.
        """
        self.release()
        self._budget.take(size)
        self._size = size

    def release(self) -> None:
        """Hold nothing; may be called twice."""
        held, self._size = self._size, 0
        if held:
            self._budget.give_back(held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
