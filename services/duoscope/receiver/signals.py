"""The three OTLP signals: their messages, paths, permissions and the inlets of ClickHouse that take them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.receiver.probe import has_distributions, refuse_hollow
from duoscope.stores.clickhouse import Inlet


@dataclass(frozen=True, slots=True)
class Signal:
    """What differs between traces, logs and metrics.

    Attributes:
        name: `traces`, `logs` or `metrics`.
        permission: what an API key must hold to send it.
        grpc_service: full name of the service whose `Export` takes it.
        http_path: where OTLP/HTTP posts it.
        request: the request's message type.
        response: the response's message type.
        inlets: where the bytes of a valid request go.
    """

    name: str
    permission: str
    grpc_service: str
    http_path: str
    request: type[Message]
    response: type[Message]
    inlets: Callable[[bytes], tuple[Inlet, ...]]

    def check(self, raw: bytes) -> bool:
        """Parse once in C: whether the request holds anything at all.

        Raises:
            DuoscopeError: INVALID when the bytes are not this message, or hold nothing but empty items (OTLP 1.11: the
                client must not send them again).
        """
        try:
            refuse_hollow(raw, metrics=self.name == "metrics")
            message = self.request.FromString(raw)
        except DecodeError as error:
            raise self.malformed() from error
        return bool(message.ListFields())

    def malformed(self) -> DuoscopeError:
        """The answer to bytes that are no request of this signal."""
        return invalid(
            f"The body is not a valid {self.request.DESCRIPTOR.name}: malformed protobuf, text that is not UTF-8, or "
            "nesting that is too deep.",
            code="malformed-request",
        )


def _metric_inlets(raw: bytes) -> tuple[Inlet, ...]:
    return (Inlet.METRICS, Inlet.DISTRIBUTIONS) if has_distributions(raw) else (Inlet.METRICS,)


_SERVICE: Final = "opentelemetry.proto.collector"

TRACES: Final = Signal(
    name="traces",
    permission="traces:write",
    grpc_service=f"{_SERVICE}.trace.v1.TraceService",
    http_path="/v1/traces",
    request=ExportTraceServiceRequest,
    response=ExportTraceServiceResponse,
    inlets=lambda _: (Inlet.TRACES,),
)
LOGS: Final = Signal(
    name="logs",
    permission="logs:write",
    grpc_service=f"{_SERVICE}.logs.v1.LogsService",
    http_path="/v1/logs",
    request=ExportLogsServiceRequest,
    response=ExportLogsServiceResponse,
    inlets=lambda _: (Inlet.LOGS,),
)
METRICS: Final = Signal(
    name="metrics",
    permission="metrics:write",
    grpc_service=f"{_SERVICE}.metrics.v1.MetricsService",
    http_path="/v1/metrics",
    request=ExportMetricsServiceRequest,
    response=ExportMetricsServiceResponse,
    inlets=_metric_inlets,
)

SIGNALS: Final = (TRACES, LOGS, METRICS)
