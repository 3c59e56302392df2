"""The three OTLP signals: their messages, paths and permissions."""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.receiver.decoder import Kind


@dataclass(frozen=True, slots=True)
class Signal:
    """The differences between traces, logs and metrics.

    Attributes:
        name: `traces`, `logs` or `metrics`.
        kind: the same for the decoder.
        permission: the permission that an API key needs to send it.
        grpc_service: full name of the service whose `Export` accepts it.
        http_path: the path of OTLP/HTTP.
        request: the request's message type.
        response: the response's message type.
    """

    name: str
    kind: Kind
    permission: str
    grpc_service: str
    http_path: str
    request: type[Message]
    response: type[Message]

    def malformed(self) -> DuoscopeError:
        """The error for bytes that are not a request of this signal."""
        return invalid(
            f"The body is not a valid {self.request.DESCRIPTOR.name}: the protobuf is malformed.",
            code="malformed-request",
        )

    def too_many_items(self) -> DuoscopeError:
        """The error for a request with too many items, which is permanent."""
        return DuoscopeError(
            ErrorKind.TOO_LARGE,
            "too-many-items",
            f"The request holds more than {limits.INGEST_ITEMS_MAX:,} items; send smaller ones.",
        )


_SERVICE: Final = "opentelemetry.proto.collector"

TRACES: Final = Signal(
    name="traces",
    kind=Kind.TRACES,
    permission="traces:write",
    grpc_service=f"{_SERVICE}.trace.v1.TraceService",
    http_path="/v1/traces",
    request=ExportTraceServiceRequest,
    response=ExportTraceServiceResponse,
)
LOGS: Final = Signal(
    name="logs",
    kind=Kind.LOGS,
    permission="logs:write",
    grpc_service=f"{_SERVICE}.logs.v1.LogsService",
    http_path="/v1/logs",
    request=ExportLogsServiceRequest,
    response=ExportLogsServiceResponse,
)
METRICS: Final = Signal(
    name="metrics",
    kind=Kind.METRICS,
    permission="metrics:write",
    grpc_service=f"{_SERVICE}.metrics.v1.MetricsService",
    http_path="/v1/metrics",
    request=ExportMetricsServiceRequest,
    response=ExportMetricsServiceResponse,
)

SIGNALS: Final = (TRACES, LOGS, METRICS)
