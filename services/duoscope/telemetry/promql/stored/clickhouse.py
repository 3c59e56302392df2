"""A tenant's series in ClickHouse: the one place that knows how metrics are stored.

The catalogue lists the metrics; names are translated and matched here. The points' own columns show which series match
the other matchers, in the time range of the query. Points come as rows of fixed width, which numpy reads directly.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np

from duoscope.kernel.limits import PROMQL_POINTS_MAX, PROMQL_SERIES_MAX, READS_TENANT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError, execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.storage import Request, meets
from duoscope.telemetry.promql.stored import alerts as stored_alerts
from duoscope.telemetry.promql.stored import named
from duoscope.telemetry.promql.stored import points as stored_points
from duoscope.telemetry.promql.stored import series as stored_series
from duoscope.telemetry.promql.stored.naming import TARGET_INFO, Family, Kind, Shape, families
from duoscope.telemetry.promql.syntax.tree import Matcher
from duoscope.telemetry.promql.values import Points

T = TypeVar("T")

_SHAPES: Final = """
SELECT metric_name, toString(metric_type) AS kind, toString(temporality) AS temporality, is_monotonic,
    toString(unit) AS unit, anyLast(description) AS description
FROM @metric_names GROUP BY metric_name, metric_type, temporality, is_monotonic, unit ORDER BY ALL"""


@dataclass(slots=True)
class Described:
    """A metric with its description from the sender."""

    shape: Shape
    description: str


@dataclass(slots=True)
class ClickHouseStorage:
    """The series of a reader's tenant.

    Attributes:
        reader: of the tenant.
        points_left: how many more the query may read.
        within: the named expressions in which this one reads: each name once, and beyond that it is a metric's.
    """

    reader: TelemetryReader
    points_left: int = PROMQL_POINTS_MAX
    within: frozenset[str] = frozenset()
    _shapes: list[Described] | None = None
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS_TENANT_MAX))

    async def described(self) -> list[Described]:
        """All metrics of the tenant.

        Raises:
            DuoscopeError: UNAVAILABLE.
        """
        if self._shapes is None:
            rows = await self.reader.query(_SHAPES, name="promql.metrics")
            self._shapes = [_described(row) for row in rows]
        return self._shapes

    async def again(self) -> "ClickHouseStorage":
        """The same storage for another query, which knows the metrics already.

        Raises:
            DuoscopeError: UNAVAILABLE.
        """
        return ClickHouseStorage(self.reader, _shapes=await self.described())

    async def points(self, requests: Sequence[Request]) -> list[Points]:
        """The points of each request; equal requests are read once.

        Raises:
            ExpressionError: there are more than one query may read.
            DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
        """
        unique = list(dict.fromkeys(requests))
        found = await asyncio.gather(*(self._points_or_named(request) for request in unique))
        by_request = dict(zip(unique, found, strict=True))
        return [by_request[request] for request in requests]

    async def series(self, requests: Sequence[Request]) -> list[list[Labels]]:
        """The labels of the series of each request.

        Raises:
            ExpressionError: there are more than one query may read.
            DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
        """
        return list(await asyncio.gather(*(self._series(request) for request in requests)))

    async def compute(self, work: Callable[[], T], unwanted: threading.Event) -> T:
        """Run an evaluation when it is the tenant's turn; see `TelemetryReader.compute`."""
        return await self.reader.compute(work, unwanted)

    async def matching(self, groups: tuple[tuple[Matcher, ...], ...]) -> list[Family]:
        """The families whose names match one of the groups."""
        shapes = [one.shape for one in await self.described()] + [TARGET_INFO]
        return [family for shape in shapes for family in families(shape) if _is_named(family, groups)]

    async def _found(self, request: Request) -> list[tuple[stored_series.Read, stored_series.Chosen]]:
        reads = stored_series.reads(await self.matching(request.groups))
        found = await asyncio.gather(*(self._series_of(read, request) for read in reads))
        if sum(len(chosen.series) for chosen in found) > PROMQL_SERIES_MAX:
            raise execution(f"more than {PROMQL_SERIES_MAX} series match: select fewer")
        return [(read, chosen) for read, chosen in zip(reads, found, strict=True) if chosen.series]

    async def _series_of(self, read: stored_series.Read, request: Request) -> stored_series.Chosen:
        async with self._reading:
            found = await stored_series.series(self.reader, read, request.start_ms, request.end_ms)
        return await asyncio.to_thread(_chosen, found, read, request)

    async def _series(self, request: Request) -> list[Labels]:
        found = await self._found(request)
        labels = await asyncio.to_thread(_labels, found, request)
        if stored_alerts.names(request.groups):
            of_alerts = (await stored_alerts.read(self.reader, request)).labels
            labels = sorted({*labels, *(each for each in of_alerts if meets(each, request.groups))})
        return labels

    async def _points_or_named(self, request: Request) -> Points:
        name = named.name_of(request)
        if name is None or name in self.within or not (expressions := (await self.reader.named()).get(name)):
            return await self._points(request)
        if len(self.within) >= named.NESTING_MAX:
            raise execution(f"more than {named.NESTING_MAX} named expressions are within one another")
        inner = ClickHouseStorage(self.reader, self.points_left, self.within | {name}, self._shapes)
        found = await named.points(inner, expressions, request)
        self.points_left -= len(found.times)
        if self.points_left < 0:
            raise too_many_points()
        return found

    async def _points(self, request: Request) -> Points:
        wanted = await self._found(request)

        async def read_all(read: stored_series.Read, chosen: stored_series.Chosen) -> stored_points.Read:
            async with self._reading:
                found = await stored_points.read(
                    self.reader, read, chosen, request.start_ms, request.end_ms, self.points_left + 1
                )
            self.points_left -= found.count
            if self.points_left < 0:
                raise too_many_points()
            return found

        parts = await asyncio.gather(*(read_all(read, chosen) for read, chosen in wanted))
        if stored_alerts.names(request.groups):
            found = await stored_alerts.read(self.reader, request)
            self.points_left -= found.count
            if self.points_left < 0:
                raise too_many_points()
            parts.append(found)
        return stored_points.joined(parts, request.groups)


def _chosen(found: list[stored_series.Series], read: stored_series.Read, request: Request) -> stored_series.Chosen:
    # The points contain the label of a bucket or a quantile.
    groups = tuple(tuple(matcher for matcher in group if matcher.name != read.own_label) for group in request.groups)
    return stored_series.Chosen([one for one in found if meets(one.labels, groups)], len(found))


def _labels(found: list[tuple[stored_series.Read, stored_series.Chosen]], request: Request) -> list[Labels]:
    """The labels of series with those that their points make, sorted."""
    return sorted(
        {
            labels
            for read, chosen in found
            for one in chosen.series
            for labels in one.with_own(read)
            if meets(labels, request.groups)
        }
    )


def _is_named(family: Family, groups: Iterable[tuple[Matcher, ...]]) -> bool:
    for group in groups:
        named = [matcher for matcher in group if matcher.name == label_sets.NAME]
        if not all(matcher.matches(family.name) for matcher in named):
            continue
        # A pattern matches each metric once; the OTLP name matches only when it is written out.
        if not family.is_plain or any(matcher.type == "=" for matcher in named):
            return True
    return False


def _described(row: dict[str, Any]) -> Described:
    kind: Kind = row["kind"]
    shape = Shape(row["metric_name"], kind, row["temporality"], bool(row["is_monotonic"]), row["unit"])
    return Described(shape, row["description"])


def too_many_points() -> ExpressionError:
    """The error for a query that reads more than it may."""
    return execution(f"the query reads more than {PROMQL_POINTS_MAX:,} points: take a shorter range, or fewer series")


def nothing() -> Points:
    """Points of no series."""
    return Points([], np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
