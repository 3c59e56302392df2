"""The points of many expressions, read together: one statement for the series and one for the points of what is stored
alike, however many ask.

A dashboard asks hundreds of expressions over the same range, most of them for one series or a few: what a statement
costs by itself would be most of what they cost.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.storage import Request, meets
from duoscope.telemetry.promql.stored import named
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.values import Points

T = TypeVar("T")
_LONGER_MAX = 2
"""A range is read together with others that are up to so many times as long."""


class Together:
    """A `Storage` that has read some requests already; others it reads as they come.

    Use `prepare` with what several expressions will ask for, then evaluate them.
    """

    def __init__(self, storage: ClickHouseStorage) -> None:
        self._storage = storage
        self._found: dict[Request, Points] = {}

    async def prepare(self, requests: Iterable[Request]) -> None:
        """Read requests together. What cannot be read so, as when it is too much at once, is left for later.

        Raises:
            DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
        """
        expressions = await self._storage.reader.named()
        # What an expression is the name of is not stored: the storage evaluates it.
        stored = [each for each in dict.fromkeys(requests) if named.name_of(each) not in expressions]
        for whole, parts in _joined(stored):
            try:
                (points,) = await self._storage.points([whole])
            except ExpressionError:
                continue
            if len(parts) == 1:
                self._found[parts[0]] = points
                continue
            by_name = _by_name(points.labels)
            self._found.update((request, _part(points, by_name, request)) for request in parts)

    async def points(self, requests: Sequence[Request]) -> list[Points]:
        """The points of each request; raises as `ClickHouseStorage.points` does."""
        missing = [request for request in dict.fromkeys(requests) if request not in self._found]
        if missing:
            self._found.update(zip(missing, await self._storage.points(missing), strict=True))
        return [self._found[request] for request in requests]

    async def series(self, requests: Sequence[Request]) -> list[list[Labels]]:
        """The labels of the series of each request; raises as `ClickHouseStorage.series` does."""
        return await self._storage.series(requests)

    async def compute(self, work: Callable[[], T], unwanted: threading.Event) -> T:
        """Run an evaluation when it is the tenant's turn."""
        return await self._storage.compute(work, unwanted)


def _joined(requests: Iterable[Request]) -> list[tuple[Request, list[Request]]]:
    """Requests that may be read together, with one for all of them."""
    found: list[tuple[Request, list[Request]]] = []
    for request in sorted(requests, key=lambda each: (each.end_ms, each.start_ms)):
        if found and _is_alike(found[-1][0], request):
            whole, parts = found[-1]
            groups = tuple(dict.fromkeys((*whole.groups, *request.groups)))
            joined = Request(groups, min(whole.start_ms, request.start_ms), max(whole.end_ms, request.end_ms))
            found[-1] = joined, [*parts, request]
        else:
            found.append((request, [request]))
    return found


def _is_alike(whole: Request, request: Request) -> bool:
    # Without a name to tell series apart by, a request could take those of others for its own.
    if not (_is_named(whole) and _is_named(request)):
        return False
    shorter = min(whole.end_ms - whole.start_ms, request.end_ms - request.start_ms)
    together = max(whole.end_ms, request.end_ms) - min(whole.start_ms, request.start_ms)
    return together <= _LONGER_MAX * max(shorter, 1)


def _is_named(request: Request) -> bool:
    return all(
        any(matcher.name == label_sets.NAME and matcher.type == "=" for matcher in group) for group in request.groups
    )


def _by_name(labels: Sequence[Labels]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, each in enumerate(labels):
        found.setdefault(label_sets.get(each, label_sets.NAME), []).append(number)
    return found


def _part(points: Points, by_name: dict[str, list[int]], request: Request) -> Points:
    """The points of one of the requests."""
    names = {
        matcher.value for group in request.groups for matcher in group
        if matcher.name == label_sets.NAME and matcher.type == "="
    }  # fmt: skip
    numbers = sorted(
        number for name in names for number in by_name.get(name, ()) if meets(points.labels[number], request.groups)
    )
    slices: list[slice] = []
    kept: list[int] = []
    for number in numbers:
        first, end = int(points.bounds[number]), int(points.bounds[number + 1])
        low, high = np.searchsorted(points.times[first:end], [request.start_ms, request.end_ms], "right")
        if high > low:
            slices.append(slice(first + int(low), first + int(high)))
            kept.append(number)
    counts = [each.stop - each.start for each in slices]
    return Points(
        [points.labels[number] for number in kept],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([np.zeros(0, np.int64), *(points.times[each] for each in slices)]),
        np.concatenate([np.zeros(0), *(points.values[each] for each in slices)]),
        None if points.hist is None else np.concatenate([points.hist[:0], *(points.hist[each] for each in slices)]),
        points.is_delta[kept] if kept else np.zeros(0, np.bool_),
    )
