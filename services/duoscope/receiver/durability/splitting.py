"""Finds the items for which a batch is refused: by request first, then by halves of a request.

Knows nothing of stores: how rows are tried is handed in, by whoever sees to it that trying stores nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

Rows: TypeAlias = tuple[int, int]
"""The first of some rows, and the one behind the last."""

Takes: TypeAlias = Callable[[Sequence[Rows]], Awaitable[bool]]
"""Whether just these rows would be taken."""


async def refused_rows(requests: Sequence[Rows], takes: Takes, *, splits_max: int) -> list[Rows]:
    """Rows without which the rest is taken, as far as one by one tells; none where all are taken.

    Args:
        requests: the rows of each request. They are kept apart however many tries that needs, so that the rows of one
            are never refused for those of another.
        takes: tries some rows.
        splits_max: tries within one request; what is not told apart by then is refused together.
    """
    return [] if await takes(requests) else await _among(requests, takes, splits_max)


async def _among(requests: Sequence[Rows], takes: Takes, splits_max: int) -> list[Rows]:
    """Of requests that are refused together."""
    if len(requests) == 1:
        return await _Within(takes, splits_max).refused(requests[0])
    middle = len(requests) // 2
    found: list[Rows] = []
    for half in (requests[:middle], requests[middle:]):
        if not await takes(half):
            found += await _among(half, takes, splits_max)
    return found


class _Within:
    """One request, whose tries are counted."""

    def __init__(self, takes: Takes, splits_max: int) -> None:
        self._takes = takes
        self._left = splits_max

    async def refused(self, rows: Rows) -> list[Rows]:
        """Of rows that are refused together."""
        start, end = rows
        if end - start == 1 or self._left < 2:  # noqa: PLR2004 - a try for each half
            return [rows]
        self._left -= 2
        middle = (start + end) // 2
        found: list[Rows] = []
        for half in ((start, middle), (middle, end)):
            if not await self._takes([half]):
                found += await self.refused(half)
        return found
