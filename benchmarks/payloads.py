"""Pre-built OTLP requests like a small fleet's telemetry: 20 services, about 10 attributes an item, unique ids.

Everything is drawn from a seeded generator, so that two runs send the same bytes apart from the time they start at.
"""

import random
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SERVICES = [
    f"{name}-service"
    for name in (
        "checkout cart catalogue payment shipping inventory user auth search recommendation pricing email invoice "
        "fraud review gateway frontend session currency loyalty"
    ).split()
]
SERVICES_PER_REQUEST = 4
SPANS_PER_TRACE = 8
HOUR_NS = 3600 * 10**9
WORDS = (
    "request completed failed timeout retrying connection upstream cache miss hit order user payment accepted declined "
    "inventory reserved released queue message published consumed database transaction committed rolled back slow "
    "query deadline exceeded token refreshed session expired rate limit reached"
).split()
METRIC_NAMES = [
    f"{area}.{what}"
    for area in ("http.server", "db.client", "process", "queue")
    for what in ("active_requests", "bytes_sent", "bytes_received", "errors", "saturation")
]


def attribute(key: str, value: str | int | bool | float) -> KeyValue:
    """An attribute of the value's own type."""
    match value:
        case bool():
            return KeyValue(key=key, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=key, value=AnyValue(int_value=value))
        case float():
            return KeyValue(key=key, value=AnyValue(double_value=value))
        case str():
            return KeyValue(key=key, value=AnyValue(string_value=value))


def _resource(rng: random.Random, service: str) -> Resource:
    return resource_of(service, rng.randrange(5))


def resource_of(service: str, pod: int) -> Resource:
    """The resource of one of a service's pods."""
    return Resource(
        attributes=[
            attribute("service.name", service),
            attribute("service.version", f"1.{len(service)}.{pod % 2}"),
            attribute("service.instance.id", f"{service}-{pod}"),
            attribute("host.name", f"node-{pod:02d}.example.internal"),
            attribute("k8s.namespace.name", "production"),
            attribute("k8s.pod.name", f"{service}-7d9f8b6c5-{pod:05x}"),
            attribute("k8s.deployment.name", service),
            attribute("cloud.region", "eu-central-1"),
            attribute("telemetry.sdk.language", "java"),
            attribute("telemetry.sdk.name", "opentelemetry"),
        ]
    )


def _request_attributes(rng: random.Random) -> list[KeyValue]:
    route = rng.randrange(30)
    return [
        attribute("http.request.method", rng.choice(("GET", "GET", "GET", "POST", "PUT"))),
        attribute("http.route", f"/api/v1/resource-{route}/{{id}}"),
        attribute("http.response.status_code", rng.choices((200, 201, 404, 500), (90, 5, 3, 2))[0]),
        attribute("url.path", f"/api/v1/resource-{route}/{rng.randrange(100_000)}"),
        attribute("server.address", f"10.0.{rng.randrange(4)}.{rng.randrange(250)}"),
        attribute("server.port", 8080),
        attribute("user.id", f"user-{rng.randrange(10_000)}"),
        attribute("network.protocol.version", "1.1"),
        attribute("thread.id", rng.randrange(64)),
        attribute("feature.enabled", rng.random() < 0.5),
    ]


def traces_request(items: int, *, seed: int, now_ns: int | None = None) -> ExportTraceServiceRequest:
    """`items` spans of four services in traces of eight, each the child of the one before.

    One in twenty has an exception event, one in fifty a link.
    """
    rng = random.Random(seed)
    now_ns = now_ns or time.time_ns()
    request = ExportTraceServiceRequest()
    per_service = items // SERVICES_PER_REQUEST
    traces = [rng.randbytes(16) for _ in range(max(1, items // SPANS_PER_TRACE))]
    parents: dict[bytes, bytes] = {}
    for service in rng.sample(SERVICES, SERVICES_PER_REQUEST):
        resource_spans = request.resource_spans.add(resource=_resource(rng, service))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name, scope_spans.scope.version = "io.opentelemetry.http", "2.1.0"
        for index in range(per_service):
            trace_id = traces[index % len(traces)]
            start_ns = now_ns + index * 1_000_000 + rng.randrange(900_000)
            span_id = rng.randbytes(8)
            attributes = _request_attributes(rng)
            failed = rng.random() < 0.02
            span = Span(
                trace_id=trace_id,
                span_id=span_id,
                parent_span_id=parents.get(trace_id, b""),
                name=f"{attributes[0].value.string_value} {attributes[1].value.string_value}",
                kind=rng.choice((Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)),
                start_time_unix_nano=start_ns,
                end_time_unix_nano=start_ns + int(rng.lognormvariate(15, 1)),
                attributes=attributes,
                status=Status(code=Status.STATUS_CODE_ERROR, message="upstream failed") if failed else Status(),
            )
            parents[trace_id] = span_id
            if index % 20 == 0:
                span.events.add(
                    name="exception",
                    time_unix_nano=start_ns + 1000,
                    attributes=[
                        attribute("exception.type", "java.net.SocketTimeoutException"),
                        attribute("exception.message", "Read timed out"),
                    ],
                )
            if index % 50 == 0:
                span.links.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
            scope_spans.spans.append(span)
    return request


def logs_request(items: int, *, seed: int, now_ns: int | None = None) -> ExportLogsServiceRequest:
    """`items` log records of four services with bodies of about 15 words; half of them belong to a trace."""
    rng = random.Random(seed)
    now_ns = now_ns or time.time_ns()
    request = ExportLogsServiceRequest()
    for service in rng.sample(SERVICES, SERVICES_PER_REQUEST):
        resource_logs = request.resource_logs.add(resource=_resource(rng, service))
        scope_logs = resource_logs.scope_logs.add()
        scope_logs.scope.name = "com.example.app.Logger"
        for index in range(items // SERVICES_PER_REQUEST):
            time_ns = now_ns + index * 1_000_000 + rng.randrange(900_000)
            number, text = rng.choices(((9, "INFO"), (5, "DEBUG"), (13, "WARN"), (17, "ERROR")), (80, 10, 7, 3))[0]
            body = f"{' '.join(rng.choices(WORDS, k=12))} id={rng.randrange(1_000_000)} took={rng.randrange(5000)}ms"
            record = LogRecord(
                time_unix_nano=time_ns,
                observed_time_unix_nano=time_ns + 5_000,
                severity_number=number,
                severity_text=text,
                body=AnyValue(string_value=body),
                attributes=_request_attributes(rng),
            )
            if index % 2:
                record.trace_id, record.span_id, record.flags = rng.randbytes(16), rng.randbytes(8), 1
            scope_logs.log_records.append(record)
    return request


def metrics_request(items: int, *, seed: int, now_ns: int | None = None) -> ExportMetricsServiceRequest:
    """`items` points of four services: gauges, and sums since the hour began, with 10 attributes, each series once."""
    rng = random.Random(seed)
    now_ns = now_ns or time.time_ns()
    request = ExportMetricsServiceRequest()
    per_metric = 10
    for service in rng.sample(SERVICES, SERVICES_PER_REQUEST):
        resource_metrics = request.resource_metrics.add(resource=_resource(rng, service))
        scope_metrics = resource_metrics.scope_metrics.add()
        scope_metrics.scope.name = "io.opentelemetry.runtime"
        for number in range(items // SERVICES_PER_REQUEST // per_metric):
            name = METRIC_NAMES[number % len(METRIC_NAMES)]
            metric = scope_metrics.metrics.add(name=name, unit="1")
            if number % 2:
                points = metric.gauge.data_points
            else:
                metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
                metric.sum.is_monotonic = True
                points = metric.sum.data_points
            for index in range(per_metric):
                points.add(
                    time_unix_nano=now_ns,
                    start_time_unix_nano=now_ns - now_ns % HOUR_NS,
                    as_double=round(rng.uniform(0, 1000), 2),
                    attributes=[
                        attribute("http.request.method", ("GET", "POST")[index % 2]),
                        attribute("http.route", f"/api/v1/resource-{number}/{{id}}"),
                        attribute("http.response.status_code", (200, 404, 500)[index % 3]),
                        attribute("server.address", f"10.0.0.{index}"),
                        attribute("server.port", 8080),
                        attribute("network.protocol.name", "http"),
                        attribute("network.protocol.version", "1.1"),
                        attribute("url.scheme", "https"),
                        attribute("deployment.environment", "production"),
                        attribute("availability.zone", f"zone-{index % 3}"),
                    ],
                )
    return request


BUILDERS = {"traces": traces_request, "logs": logs_request, "metrics": metrics_request}


def serialized(signal: str, *, requests: int, items: int, spacing_ns: int = 250_000_000) -> Iterator[bytes]:
    """`requests` serialized requests of `items` each, ending now and `spacing_ns` apart, all with ids of their own."""
    start_ns = time.time_ns() - requests * spacing_ns
    for number in range(requests):
        yield BUILDERS[signal](items, seed=number, now_ns=start_ns + number * spacing_ns).SerializeToString()
