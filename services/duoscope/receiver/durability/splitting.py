"""Finds the items for which a batch is refused: by request first, then by halves of a request.

Knows nothing of stores: the caller passes in how rows are tried, and ensures that trying stores nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

Rows: TypeAlias = tuple[int, int]
"""A range of rows: the first, and the one after the last."""

Takes: TypeAlias = Callable[[Sequence[Rows]], Awaitable[bool]]
"""Whether exactly these rows would be accepted."""


async def refused_rows(requests: Sequence[Rows], takes: Takes, *, splits_max: int) -> list[Rows]:
    """Find rows without which the rest is accepted, as far as single tries show; none if all are accepted.

    Args:
        requests: the rows of each request. They are tried separately however many tries that needs, so that the rows of
            one are never refused because of those of another.
        takes: tries some rows.
        splits_max: tries within one request; rows not isolated by then are refused together.
    """
    return [] if await takes(requests) else await _among(requests, takes, splits_max)


async def _among(requests: Sequence[Rows], takes: Takes, splits_max: int) -> list[Rows]:
    """Find them among requests that are refused together."""
    if len(requests) == 1:
        return await _Within(takes, splits_max).refused(requests[0])
    middle = len(requests) // 2
    found: list[Rows] = []
    for half in (requests[:middle], requests[middle:]):
        if not await takes(half):
            found += await _among(half, takes, splits_max)
    return found


class _Within:
    """One request, with a count of its tries."""

    def __init__(self, takes: Takes, splits_max: int) -> None:
        self._takes = takes
        self._left = splits_max

    async def refused(self, rows: Rows) -> list[Rows]:
        """Find them among rows that are refused together."""
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
