"""Exporters that count what the receiver has accepted, around the SDK's own.

The services of the fleet share one connection a signal, so a provider that shuts down must not close it for the others.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


@dataclass(slots=True)
class Counts:
    """Items by signal (`spans`, `logs`, `points`): accepted, and given up by the exporter."""

    accepted: dict[str, int] = field(default_factory=lambda: {"spans": 0, "logs": 0, "points": 0})
    lost: dict[str, int] = field(default_factory=lambda: {"spans": 0, "logs": 0, "points": 0})
    failing: bool = False
    """Whether the last export failed."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, signal: str, number: int, *, success: bool) -> None:
        """Exporters call this from their threads."""
        with self._lock:
            (self.accepted if success else self.lost)[signal] += number
            self.failing = not success


class CountingSpans(SpanExporter):
    """Counts spans."""

    def __init__(self, exporter: SpanExporter, counts: Counts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on and count."""
        result = self._exporter.export(spans)
        self._counts.add("spans", len(spans), success=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Leave the shared connection open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the name is the interface
        """Nothing is held back here."""
        return True


class CountingLogs(LogRecordExporter):
    """Counts log records."""

    def __init__(self, exporter: LogRecordExporter, counts: Counts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Hand on and count."""
        result = self._exporter.export(batch)
        self._counts.add("logs", len(batch), success=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Leave the shared connection open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the name is the interface
        """Nothing is held back here."""
        return True


class CountingMetrics(MetricExporter):
    """Counts metric points."""

    def __init__(self, exporter: MetricExporter, counts: Counts) -> None:
        super().__init__()
        self._exporter = exporter
        self._counts = counts

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Hand on and count."""
        result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        points = sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        self._counts.add("points", points, success=result is MetricExportResult.SUCCESS)
        return result

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Leave the shared connection open."""

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the name is the interface
        """Nothing is held back here."""
        return True
