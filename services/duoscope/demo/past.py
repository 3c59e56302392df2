"""Metrics of what is long past: an SDK measures at the present time only, so their points are made here, by minute."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import get_current_span

Labels = Mapping[str, str | int | float | bool]
_Key = tuple[tuple[str, str | int | float | bool], ...]

_SCOPE: Final = InstrumentationScope("duoscope.demo", "1.0")
MINUTE_NS: Final = 60_000_000_000
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_EXEMPLARS_MAX: Final = 3
"""Of one series in one minute."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument: with `bounds` a histogram, without them a counter."""

    name: str
    unit: str
    description: str
    bounds: tuple[float, ...] = ()


@dataclass(slots=True)
class _Series:
    counts: list[int]
    total: float = 0.0
    number: int = 0
    least: float = float("inf")
    most: float = 0.0
    exemplars: list[Exemplar] = field(default_factory=list[Exemplar])


class Past:
    """Counters and histograms of services over a past that begins at `start_ns`."""

    def __init__(self, start_ns: int, rng: random.Random) -> None:
        self._start_ns = start_ns
        self._rng = rng
        self._load: dict[str, float] = {}
        self._resources: dict[str, Resource] = {}
        self._series: dict[str, dict[Instrument, dict[_Key, _Series]]] = {}

    def add(  # noqa: PLR0917 - a measurement and what it is of
        self, resource: Resource, of: Instrument, value: float, labels: Labels, at_ns: int, context: Context
    ) -> None:
        """Take a measurement: for a counter what it grows by."""
        service = str(resource.attributes["service.instance.id"])
        self._resources[service] = resource
        by_labels = self._series.setdefault(service, {}).setdefault(of, {})
        series = by_labels.setdefault(tuple(sorted(labels.items())), _Series([0] * (len(of.bounds) + 1)))
        series.total += value
        series.number += 1
        if of.bounds:
            series.counts[sum(value > bound for bound in of.bounds)] += 1
            series.least, series.most = min(series.least, value), max(series.most, value)
            if len(series.exemplars) < _EXEMPLARS_MAX:
                span = get_current_span(context).get_span_context()
                series.exemplars.append(Exemplar({}, value, at_ns, span.span_id, span.trace_id))

    def points(self, at_ns: int) -> MetricsData:
        """Return the points of all series at this time; exemplars go with the first points after them."""
        return MetricsData(
            [
                ResourceMetrics(
                    self._resources[service],
                    [ScopeMetrics(_SCOPE, list(self._metrics(service, at_ns)), "")],
                    "",
                )
                for service in self._series
            ]
        )

    def _metrics(self, service: str, at_ns: int) -> Iterator[Metric]:
        for of, by_labels in self._series[service].items():
            made = [self._point(of, labels, series, at_ns) for labels, series in by_labels.items()]
            histograms = [point for point in made if isinstance(point, HistogramDataPoint)]
            numbers = [point for point in made if isinstance(point, NumberDataPoint)]
            data = Histogram(histograms, _CUMULATIVE) if of.bounds else Sum(numbers, _CUMULATIVE, is_monotonic=True)
            yield Metric(of.name, of.description, of.unit, data)
        load = self._load.get(service, 0.25) + self._rng.uniform(-0.04, 0.04)
        self._load[service] = min(0.95, max(0.02, load))
        gauge = Gauge([NumberDataPoint({}, 0, at_ns, self._load[service])])
        yield Metric("process.cpu.utilization", "Share of the process's CPUs in use", "1", gauge)

    def _point(self, of: Instrument, labels: _Key, series: _Series, at_ns: int) -> HistogramDataPoint | NumberDataPoint:
        if not of.bounds:
            value = series.total if series.total % 1 else int(series.total)
            return NumberDataPoint(dict(labels), self._start_ns, at_ns, value)
        exemplars, series.exemplars = series.exemplars, []
        return HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=self._start_ns,
            time_unix_nano=at_ns,
            count=series.number,
            sum=series.total,
            bucket_counts=list(series.counts),
            explicit_bounds=of.bounds,
            min=series.least,
            max=series.most,
            exemplars=exemplars,
        )
