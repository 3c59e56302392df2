"""Series in memory, for tests of rules: what the engine reads instead of a store."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.notation import Sample
from duoscope.telemetry.promql.storage import Request, meets
from duoscope.telemetry.promql.values import STALE, Points, filled

T = TypeVar("T")


class Memory:
    """Series with their samples by time, in milliseconds. A later sample of the same moment replaces the earlier."""

    def __init__(self) -> None:
        self._series: dict[Labels, dict[int, Sample]] = {}

    def add(self, labels: Labels, time_ms: int, value: Sample) -> None:
        """Add a sample; None is no sample."""
        if value is not None:
            self._series.setdefault(labels, {})[time_ms] = value

    @property
    def names(self) -> frozenset[Labels]:
        """The labels of all series."""
        return frozenset(self._series)

    async def points(self, requests: Sequence[Request]) -> list[Points]:
        """The points of each request."""
        return [self._points(request) for request in requests]

    async def series(self, requests: Sequence[Request]) -> list[list[Labels]]:
        """The labels of each request's series."""
        return [points.labels for points in await self.points(requests)]

    async def compute(self, work: Callable[[], T], unwanted: threading.Event) -> T:
        """Run an evaluation at once."""
        del unwanted
        return work()

    def _points(self, request: Request) -> Points:
        labels = sorted(each for each in self._series if meets(each, request.groups))
        bounds, times, samples = [0], list[int](), list[Sample]()
        for each in labels:
            of_series = self._series[each]
            for time in sorted(of_series):
                if request.start_ms < time <= request.end_ms:
                    times.append(time)
                    samples.append(of_series[time])
            bounds.append(len(times))
        hist: Any = np.empty(len(samples), object)
        hist[:] = [each if isinstance(each, Histogram) else None for each in samples]
        numbers = [_number(each) for each in samples]
        return Points(
            labels,
            np.array(bounds, np.int64),
            np.array(times, np.int64),
            np.array(numbers, np.float64),
            hist if filled(hist).any() else None,
        )


def _number(sample: Sample) -> float:
    if isinstance(sample, Histogram):
        return 0.0
    return STALE if sample == "stale" or sample is None else sample
