"""Series by steps: what queries of metrics found, as arrays, and as series that PromQL can read by their names."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from duoscope.kernel.limits import PROMQL_POINTS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metrics import query as metrics
from duoscope.telemetry.metrics.frames import refuse_too_many
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql import storage
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Floats, Ints, Points

T = TypeVar("T")
Fill = Literal["null", "zero", "previous", "linear"]


@dataclass(slots=True)
class Table:
    """Series by steps; NaN where there is no value."""

    labels: list[Labels]
    values: Floats = field(repr=False)


def numbered(found: metrics.Found) -> dict[tuple[str, ...], int]:
    """The values of labels of each series, and its number.

    Raises:
        DuoscopeError: INVALID for more rows than a query may return.
    """
    refuse_too_many(found.rows)
    numbers: dict[tuple[str, ...], int] = {}
    for row in found.rows:
        numbers.setdefault(tuple(row["labels"]), len(numbers))
    return numbers


def table_of(found: metrics.Found, numbers: Mapping[tuple[str, ...], int], fill: Fill) -> Table:
    """Arrange what was found, with the numbers of its series, and fill its gaps."""
    frame = found.frame
    series = np.fromiter((numbers[tuple(row["labels"])] for row in found.rows), np.int64, len(found.rows))
    steps = np.fromiter((row["bucket"] for row in found.rows), np.int64, len(found.rows))
    given = [np.nan if row["value"] is None else row["value"] for row in found.rows]
    values = np.full((len(numbers), (frame.end_s - frame.start_s) // frame.step_s), np.nan)
    values[series, (steps - frame.start_s) // frame.step_s] = np.array(given, np.float64)
    labels = [label_sets.of(zip(frame.group_by, key, strict=True)) for key in numbers]
    return Table(labels, filled(values, fill))


def filled(values: Floats, fill: Fill) -> Floats:
    """Series by steps with something in their gaps."""
    missing = np.isnan(values)
    if fill == "null" or not missing.any():
        return values
    if fill == "zero":
        return np.where(missing, 0.0, values)
    steps: Ints = np.arange(values.shape[1], dtype=np.int64)
    if fill == "previous":
        latest: Ints = np.maximum.accumulate(np.where(missing, -1, steps), axis=1)
        return np.where(latest < 0, np.nan, np.take_along_axis(values, np.maximum(latest, 0), axis=1))
    made = values.copy()
    for row, holes in zip(made, missing, strict=True):
        if not holes.all():
            row[holes] = np.interp(steps[holes], steps[~holes], row[~holes], left=np.nan, right=np.nan)
    return made


class NamedSeries:
    """The results of queries as series of that name, with a point in each step that has a value."""

    def __init__(self, reader: TelemetryReader, tables: Mapping[str, Table], moments_ms: Ints) -> None:
        self._reader = reader
        self._moments = moments_ms
        rows = sorted(
            (label_sets.replaced(labels, label_sets.NAME, name), number, name)
            for name, table in tables.items()
            for number, labels in enumerate(table.labels)
        )
        self._found: dict[storage.Request, Points] = {}
        self._labels = [labels for labels, _, _ in rows]
        self._values = [tables[name].values[number] for _, number, name in rows]

    async def points(self, requests: Sequence[storage.Request]) -> list[Points]:
        """The points of each request."""
        return await asyncio.to_thread(lambda: [self._once(request) for request in requests])

    async def series(self, requests: Sequence[storage.Request]) -> list[list[Labels]]:
        """The labels of each request's series."""
        return [points.labels for points in await self.points(requests)]

    async def compute(self, work: Callable[[], T], unwanted: threading.Event) -> T:
        """Run an evaluation when it is the tenant's turn; see `TelemetryReader.compute`."""
        return await self._reader.compute(work, unwanted)

    def _once(self, request: storage.Request) -> Points:
        if request not in self._found:
            self._found[request] = self._points(request)
            if sum(len(points.times) for points in self._found.values()) > PROMQL_POINTS_MAX:
                raise execution(f"it reads more than {PROMQL_POINTS_MAX:,} points")
        return self._found[request]

    def _points(self, request: storage.Request) -> Points:
        moments = self._moments
        inside = (moments > request.start_ms) & (moments <= request.end_ms)
        labels: list[Labels] = []
        times, values = [np.zeros(0, np.int64)], [np.zeros(0)]
        for of_series, numbers in zip(self._labels, self._values, strict=True):
            has = inside & ~np.isnan(numbers)
            if has.any() and storage.meets(of_series, request.groups):
                labels.append(of_series)
                times.append(moments[has])
                values.append(numbers[has])
        bounds = np.cumsum([len(each) for each in times]).astype(np.int64)
        # The answer has the labels of groups alone, so that `a or b * 0` is one series.
        nameless = np.ones(len(labels), np.bool_)
        return Points(labels, bounds, np.concatenate(times), np.concatenate(values), drop=nameless)
