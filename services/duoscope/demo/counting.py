"""Exporters around the SDK's own that retry until the receiver accepts, and count what it accepted.

The SDK gives up a batch after a few seconds, and a receiver on a busy machine may take longer than that.

The services of the fleet share one connection per signal, so a provider that shuts down must not close it for the
others.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

RETRY_MAX_S: Final = 60.0
"""How long a batch is retried."""
RETRY_PAUSE_S: Final = 1.0


@dataclass(slots=True)
class Counts:
    """Items by signal (`spans`, `logs`, `points`): accepted, and given up by the exporter."""

    accepted: dict[str, int] = field(default_factory=lambda: {"spans": 0, "logs": 0, "points": 0})
    lost: dict[str, int] = field(default_factory=lambda: {"spans": 0, "logs": 0, "points": 0})
    failing: bool = False
    """Whether the last export failed."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits any longer: what fails then is given up."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, signal: str, number: int, export: Callable[[], bool]) -> bool:
        """Run `export` until it succeeds or RETRY_MAX_S are over, and count. Exporters call it from their threads."""
        give_up_at = time.monotonic() + RETRY_MAX_S
        while not (success := export()):
            self.failing = True
            if time.monotonic() > give_up_at or self.ended.wait(RETRY_PAUSE_S):
                break
        with self._lock:
            (self.accepted if success else self.lost)[signal] += number
            self.failing = not success
        return success


class CountingSpans(SpanExporter):
    """Exports and counts spans."""

    def __init__(self, exporter: SpanExporter, counts: Counts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch and count it."""
        sent = self._counts.add("spans", len(spans), lambda: self._exporter.export(spans) is SpanExportResult.SUCCESS)
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Leave the shared connection open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the name is the interface
        """Do nothing: nothing is buffered here."""
        return True


class CountingLogs(LogRecordExporter):
    """Exports and counts log records."""

    def __init__(self, exporter: LogRecordExporter, counts: Counts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export a batch and count it."""
        sent = self._counts.add(
            "logs", len(batch), lambda: self._exporter.export(batch) is LogRecordExportResult.SUCCESS
        )
        return LogRecordExportResult.SUCCESS if sent else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Leave the shared connection open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the name is the interface
        """Do nothing: nothing is buffered here."""
        return True


class CountingMetrics(MetricExporter):
    """Exports and counts metric points."""

    def __init__(self, exporter: MetricExporter, counts: Counts) -> None:
        super().__init__()
        self._exporter = exporter
        self._counts = counts

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export a batch and count it."""
        points = sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )

        def export() -> bool:
            return self._exporter.export(metrics_data, timeout_millis, **kwargs) is MetricExportResult.SUCCESS

        sent = self._counts.add("points", points, export)
        return MetricExportResult.SUCCESS if sent else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Leave the shared connection open."""

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the name is the interface
        """Do nothing: nothing is buffered here."""
        return True
