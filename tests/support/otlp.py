"""OTLP requests from Python values."""

from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource


class Otlp:
    """OTLP requests of one resource and one scope, from Python values."""

    def value(self, value: Any) -> AnyValue:  # noqa: PLR0911 - one a kind
        match value:
            case None:
                return AnyValue()
            case bool():
                return AnyValue(bool_value=value)
            case int():
                return AnyValue(int_value=value)
            case float():
                return AnyValue(double_value=value)
            case str():
                return AnyValue(string_value=value)
            case bytes():
                return AnyValue(bytes_value=value)
            case list():
                return AnyValue(array_value=ArrayValue(values=[self.value(item) for item in value]))
            case _:
                return AnyValue(kvlist_value=KeyValueList(values=self.attributes(value)))

    def attributes(self, values: dict[str, Any]) -> list[KeyValue]:
        return [KeyValue(key=key, value=self.value(value)) for key, value in values.items()]

    def resource(self, service: str, **attributes: Any) -> Resource:
        return Resource(attributes=self.attributes({"service.name": service, **attributes}))

    def logs(self, service: str, *records: dict[str, Any], **resource: Any) -> ExportLogsServiceRequest:
        """Records of LogRecord fields, with `body` and `attributes` as Python values."""
        request = ExportLogsServiceRequest()
        scope_logs = request.resource_logs.add(resource=self.resource(service, **resource)).scope_logs.add()
        scope_logs.scope.name = "test.logger"
        for fields in records:
            body, attributes = self.value(fields.get("body")), self.attributes(fields.get("attributes", {}))
            scope_logs.log_records.add(**{**fields, "body": body, "attributes": attributes})
        return request

    def spans(self, service: str, *spans: dict[str, Any], **resource: Any) -> ExportTraceServiceRequest:
        """Spans of Span fields, with `attributes` as Python values and `status` as its number."""
        request = ExportTraceServiceRequest()
        scope_spans = request.resource_spans.add(resource=self.resource(service, **resource)).scope_spans.add()
        scope_spans.scope.name = "test.tracer"
        for fields in spans:
            attributes = self.attributes(fields.get("attributes", {}))
            span = scope_spans.spans.add(**{**fields, "attributes": attributes, "status": None})
            span.status.code = fields.get("status", 0)
        return request

    def metrics(self, service: str, *metrics: Message, **resource: Any) -> ExportMetricsServiceRequest:
        request = ExportMetricsServiceRequest()
        scope_metrics = request.resource_metrics.add(resource=self.resource(service, **resource)).scope_metrics.add()
        scope_metrics.scope.name = "test.meter"
        scope_metrics.metrics.extend(metrics)
        return request


@pytest.fixture(scope="session")
def otlp() -> Otlp:
    return Otlp()
