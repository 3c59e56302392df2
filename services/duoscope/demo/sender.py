"""Turns the fleet's calls into telemetry, as each service would: with the OpenTelemetry SDK and OTLP over gRPC."""

import random
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from duoscope.demo.counting import CountingLogs, CountingMetrics, CountingSpans, Counts
from duoscope.demo.fleet import SERVICES, Call, Request
from duoscope.demo.past import Instrument, Past
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable

SCOPE: Final = "duoscope.demo"
METRIC_INTERVAL_MS: Final = 5000
BATCH_DELAY_MS: Final = 1000
CHECK_TIMEOUT_S: Final = 5
EXPORT_TIMEOUT_S: Final = 5
CLOSE_TIMEOUT_S: Final = 10
"""For all remaining data of all services together, when the receiver is gone."""
CLOSE_BUSY_TIMEOUT_S: Final = 60
"""The same while the receiver is reachable but busy."""
CLOSE_LOOK_EVERY_S: Final = 0.5
_BATCH_SPANS: Final = 100
_IMPORT_FAILURES: Final = 0.0005
DURATION_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Recommended by the semantic conventions for http.server.request.duration; the SDK's own are for milliseconds."""
NANOSECONDS_PER_S: Final = 1_000_000_000
NANOSECONDS_PER_MS: Final = 1_000_000

_KINDS: Final = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


@dataclass(frozen=True, slots=True)
class Tls:
    """Contents of PEM files: the authority of the receiver's certificate, if the system does not trust it, and our own
    certificate and key.
    """

    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)

    def credentials(self) -> grpc.ChannelCredentials:
        """The same in grpc's form."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def check(endpoint: str, api_key: str, tls: Tls) -> None:
    """Send an empty request, to report at once what would otherwise show as lost data half a minute later.

    Raises:
        DuoscopeError: UNAVAILABLE when nothing answers; UNAUTHENTICATED or FORBIDDEN for the key.
    """
    target = urlsplit(endpoint)
    channel = (
        grpc.secure_channel(target.netloc, tls.credentials())
        if target.scheme == "https"
        else grpc.insecure_channel(target.netloc)
    )
    with channel:
        export: Any = channel.unary_unary(  # pyright: ignore[reportUnknownVariableType]
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=ExportTraceServiceRequest.SerializeToString,
        )
        try:
            export(
                ExportTraceServiceRequest(),
                metadata=(("authorization", f"Bearer {api_key}"),),
                timeout=CHECK_TIMEOUT_S,
            )
        except grpc.RpcError as error:
            raise _refusal(endpoint, error, tls=tls) from error


def _refusal(endpoint: str, error: Any, *, tls: Tls) -> DuoscopeError:
    code, said = error.code(), error.details()
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return DuoscopeError(
            ErrorKind.UNAUTHENTICATED,
            "demo-key-refused",
            f"{endpoint} does not know this API key. Give one with --api-key; "
            "`duoscope admin create-api-key` makes one.",
            detail=said,
        )
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return DuoscopeError(
            ErrorKind.FORBIDDEN,
            "demo-key-refused",
            "This API key may not send traces; the demo needs traces:write, metrics:write and logs:write.",
            detail=said,
        )
    if "CERTIFICATE_VERIFY_FAILED" in (said or ""):
        return unavailable(
            f"The certificate of {endpoint} is not trusted here. Name the authority that signed it: "
            "--ca-file /path/to/authority.pem",
            code="demo-certificate-not-trusted",
            retry_after_s=CHECK_TIMEOUT_S,
            detail=f"{code.name}: {said}",
        )
    # A handshake that fails because we sent no certificate looks like any closed connection.
    asked = endpoint.startswith("https:") and tls.certificate is None
    show = " If it asks for clients' certificates, show one: --cert-file and --key-file." if asked else ""
    return unavailable(
        f"Nothing accepts OTLP over gRPC at {endpoint}. Start `duoscope up` in another terminal, "
        f"or say with --endpoint where it listens.{show}",
        code="demo-no-receiver",
        retry_after_s=CHECK_TIMEOUT_S,
        detail=f"{code.name}: {said}",
    )


@dataclass(slots=True)
class _Exporters:
    """One connection per signal, shared by all services."""

    spans: OTLPSpanExporter
    logs: OTLPLogExporter
    metrics: OTLPMetricExporter

    @classmethod
    def connect(cls, endpoint: str, api_key: str, tls: Tls) -> Self:
        is_tls = urlsplit(endpoint).scheme == "https"
        options: dict[str, Any] = {
            "endpoint": endpoint,
            "insecure": not is_tls,
            "credentials": tls.credentials() if is_tls else None,
            "headers": (("authorization", f"Bearer {api_key}"),),
            "timeout": EXPORT_TIMEOUT_S,
        }
        return cls(OTLPSpanExporter(**options), OTLPLogExporter(**options), OTLPMetricExporter(**options))


class _Service:
    """The SDK of one simulated service: its resource, tracer, logger and instruments."""

    def __init__(self, name: str, version: str, exporters: _Exporters, counts: Counts, rng: random.Random) -> None:
        resource = Resource.create(
            {
                "service.name": name,
                "service.version": version,
                "service.namespace": "shop",
                "service.instance.id": f"{name}-{rng.randrange(16**5):05x}",
                "deployment.environment.name": "demo",
                "host.name": f"node-{rng.randrange(1, 4)}",
            }
        )
        self.traces = TracerProvider(resource=resource)
        self.traces.add_span_processor(
            BatchSpanProcessor(CountingSpans(exporters.spans, counts), schedule_delay_millis=BATCH_DELAY_MS)
        )
        self.logs = LoggerProvider(resource=resource)
        self.logs.add_log_record_processor(
            BatchLogRecordProcessor(CountingLogs(exporters.logs, counts), schedule_delay_millis=BATCH_DELAY_MS)
        )
        reader = PeriodicExportingMetricReader(
            CountingMetrics(exporters.metrics, counts), export_interval_millis=METRIC_INTERVAL_MS
        )
        sizes = View(
            instrument_type=Histogram,
            instrument_name="db.client.operation.duration",
            aggregation=ExponentialBucketHistogramAggregation(),
        )
        self.metrics = MeterProvider(resource=resource, metric_readers=[reader], views=[sizes])
        self.tracer = self.traces.get_tracer(SCOPE, "1.0")
        self.logger = self.logs.get_logger(SCOPE, "1.0")
        meter = self.metrics.get_meter(SCOPE, "1.0")
        self.requests = meter.create_counter("shop.requests", "{request}", "Requests and messages handled")
        self.duration = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "Duration of requests",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S,
        )
        self.database = meter.create_histogram("db.client.operation.duration", "s", "Duration of database calls")
        self.revenue = meter.create_counter("shop.revenue", "{currency}", "Money charged")
        self._load = rng.uniform(0.1, 0.4)
        self._rng = rng
        meter.create_observable_gauge(
            "process.cpu.utilization", [self._observe_cpu], "1", "Share of the process's CPUs in use"
        )
        meter.create_observable_up_down_counter(
            "process.memory.usage", [self._observe_memory], "By", "Physical memory in use"
        )

    def _observe_cpu(self, _: CallbackOptions) -> list[Observation]:
        self._load = min(0.95, max(0.02, self._load + self._rng.uniform(-0.05, 0.05)))
        return [Observation(self._load)]

    def _observe_memory(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(round(150e6 + self._load * 200e6))]


class FleetSender:
    """Sends the telemetry of requests; `counts` has what the receiver accepted. Close it to send the rest."""

    def __init__(self, endpoint: str, api_key: str, tls: Tls, rng: random.Random) -> None:
        self.counts = Counts()
        self.past: Past | None = None
        """Has the measurements of a past, which no SDK could send with their times."""
        self.unsent = False
        """Whether closing gave up before everything was sent."""
        self._rng = rng
        self._endpoint = urlsplit(endpoint)
        self._exporters = _Exporters.connect(endpoint, api_key, tls)
        self._services: dict[tuple[str, str], _Service] = {}
        for name, version in SERVICES.items():
            self._service(name, version)

    def send(self, request: Request) -> str:
        """Pass one request's spans, logs and measurements to the SDK. Returns its trace id."""
        return trace.format_trace_id(self._emit(request, request.call, Context(), None))

    def _service(self, name: str, version: str) -> _Service:
        """The service in a version, which begins to run with its first call."""
        if (name, version) not in self._services:
            self._services[name, version] = _Service(name, version, self._exporters, self.counts, self._rng)
        return self._services[name, version]

    def flush(self) -> None:
        """Send the spans and records that wait, so that none is dropped when more come than the SDK holds."""
        for service in self._services.values():
            service.traces.force_flush()
            service.logs.force_flush()

    def export(self, metrics: MetricsData) -> None:
        """Send points that were made elsewhere."""
        CountingMetrics(self._exporters.metrics, self.counts).export(metrics)

    def send_import(self, start_ns: int, spans: int) -> str:
        """Send one trace of so many spans: a nightly import in batches, with statements below each. Returns its id."""
        service = self._service("catalogue", SERVICES["catalogue"])
        root = service.tracer.start_span("import products", Context(), SpanKind.INTERNAL, start_time=start_ns)
        within = trace.set_span_in_context(root, Context())
        clock_ns, batch, inner = start_ns + NANOSECONDS_PER_MS, root, within
        for number in range(1, spans):
            if number % _BATCH_SPANS == 1:
                if batch is not root:
                    batch.end(clock_ns)
                    service.traces.force_flush()
                batch = service.tracer.start_span("import batch", within, SpanKind.INTERNAL, start_time=clock_ns)
                inner = trace.set_span_in_context(batch, within)
                continue
            took_ns = round(3 * NANOSECONDS_PER_MS * self._rng.lognormvariate(0, 0.6))
            kind = {"db.system.name": "postgresql", "db.operation.name": "INSERT", "db.collection.name": "products"}
            span = service.tracer.start_span("INSERT products", inner, SpanKind.CLIENT, kind, start_time=clock_ns)
            if self._rng.random() < _IMPORT_FAILURES:
                span.set_status(Status(StatusCode.ERROR, "duplicate key value violates unique constraint"))
            clock_ns += took_ns
            span.end(clock_ns)
        if batch is not root:
            batch.end(clock_ns)
        root.end(clock_ns + NANOSECONDS_PER_MS)
        return trace.format_trace_id(root.get_span_context().trace_id)

    def close(self) -> None:
        """Send the remaining data and disconnect; what is not sent within CLOSE_BUSY_TIMEOUT_S counts as lost.

        If the receiver is gone, CLOSE_TIMEOUT_S are enough.

        Shutting down one service's SDK after the other would take each one's own timeouts, 24 in all when the receiver
        is gone.
        """
        closing = [
            threading.Thread(target=close, daemon=True)
            for service in self._services.values()
            for close in (service.traces.shutdown, service.logs.shutdown, service.metrics.shutdown)
        ]
        start = time.monotonic()
        for thread in closing:
            thread.start()
        while (left := [thread for thread in closing if thread.is_alive()]) and (
            time.monotonic() < start + CLOSE_TIMEOUT_S
            or (time.monotonic() < start + CLOSE_BUSY_TIMEOUT_S and self._is_listening())
        ):
            left[0].join(CLOSE_LOOK_EVERY_S)
        self.counts.ended.set()
        # Ends retries that still wait, so that their batches are counted before the counts are read.
        self._exporters.spans.shutdown()
        self._exporters.logs.shutdown()
        self._exporters.metrics.shutdown()
        for thread in closing:
            thread.join(CLOSE_LOOK_EVERY_S)
        self.unsent = any(thread.is_alive() for thread in closing)

    def _is_listening(self) -> bool:
        try:
            with socket.create_connection((self._endpoint.hostname or "", self._endpoint.port or 443), CHECK_TIMEOUT_S):
                return True
        except OSError:
            return False

    def _emit(self, request: Request, call: Call, context: Context, caller: Call | None) -> int:
        operation = call.operation
        service = self._service(operation.service, call.version)
        outgoing: Span | None = None
        if caller and caller.operation.service != operation.service and operation.kind == "server":
            # The caller's own view of the call; the callee's span is its child.
            outgoing = self._service(caller.operation.service, caller.version).tracer.start_span(
                operation.name,
                context,
                SpanKind.CLIENT,
                {**operation.attributes, "server.address": operation.service},
                start_time=call.start_ns - NANOSECONDS_PER_MS // 5,
            )
            context = trace.set_span_in_context(outgoing, context)
        # In many systems handling a message is a separate trace; here it is a child that also links its cause.
        links = [trace.Link(trace.get_current_span(context).get_span_context())] if operation.kind == "consumer" else []
        span = service.tracer.start_span(
            operation.name,
            context,
            _KINDS[operation.kind],
            {**operation.attributes, **_details(request, call)},
            links,
            start_time=call.start_ns,
        )
        inner = trace.set_span_in_context(span, context)
        for made in call.calls:
            self._emit(request, made, inner, call)
        self._log(service, request, call, inner)
        self._measure(service, request, call, inner)
        for ended in (span, outgoing):
            if ended is not None and call.failed is not None:
                ended.set_status(Status(StatusCode.ERROR, call.failed.message))
        if call.failed is not None and not call.caused_by_call:
            span.add_event(
                "exception",
                {"exception.type": call.failed.exception, "exception.message": call.failed.message},
                timestamp=call.end_ns,
            )
        span.end(call.end_ns)
        if outgoing is not None:
            outgoing.end(call.end_ns + NANOSECONDS_PER_MS // 5)
        return span.get_span_context().trace_id

    def _log(self, service: _Service, request: Request, call: Call, context: Context) -> None:
        attributes: dict[str, str | int | float | bool] = {"user.id": request.user_id}
        if call.failed is not None and not call.caused_by_call:
            severity, body = SeverityNumber.ERROR, f"{call.operation.name} failed: {call.failed.message}"
            attributes |= {"exception.type": call.failed.exception, "exception.message": call.failed.message}
        elif call.failed is not None and call.operation.kind == "server":
            severity, body = SeverityNumber.WARN, f"{call.operation.name} given up: {call.failed.message}"
        elif call.failed is None and call.operation.logs:
            severity = SeverityNumber.INFO
            body = call.operation.logs.format(
                user=request.user_id,
                order=request.order_id,
                amount=request.amount,
                currency=request.currency,
                count=self._rng.randrange(1, 12),
                category=self._rng.choice(("books", "garden", "kitchen", "toys")),
                ms=(call.end_ns - call.start_ns) // NANOSECONDS_PER_MS,
            )
        else:
            return
        service.logger.emit(
            LogRecord(
                timestamp=call.end_ns,
                observed_timestamp=call.end_ns,
                context=context,
                severity_number=severity,
                severity_text=severity.name,
                body=body,
                attributes=attributes,
            )
        )

    def _measure(self, service: _Service, request: Request, call: Call, context: Context) -> None:
        operation = call.operation
        seconds = (call.end_ns - call.start_ns) / NANOSECONDS_PER_S
        outcome = "error" if call.failed else "ok"
        if self.past is not None:
            self._remember(self.past, service, request, call, context)
            return
        if operation.kind in ("server", "consumer"):
            service.requests.add(1, {"operation": operation.name, "outcome": outcome}, context)
        if "http.route" in operation.attributes:
            labels = {key: operation.attributes[key] for key in ("http.request.method", "http.route")}
            labels["http.response.status_code"] = 500 if call.failed else 200
            service.duration.record(seconds, labels, context)
        if "db.system.name" in operation.attributes:
            labels = {key: operation.attributes[key] for key in ("db.system.name", "db.operation.name")}
            service.database.record(seconds, labels, context)
        if operation.name == "POST /charges" and call.failed is None:
            service.revenue.add(request.amount, {"currency": request.currency}, context)

    @staticmethod
    def _remember(past: Past, service: _Service, request: Request, call: Call, context: Context) -> None:
        """Measure what is long past, as `_measure` does what is not."""
        operation, resource, at_ns = call.operation, service.traces.resource, call.end_ns
        outcome = "error" if call.failed else "ok"
        if operation.kind in ("server", "consumer"):
            past.add(resource, _REQUESTS, 1, {"operation": operation.name, "outcome": outcome}, at_ns, context)
        if "http.route" in operation.attributes:
            labels = {key: operation.attributes[key] for key in ("http.request.method", "http.route")}
            labels["http.response.status_code"] = 500 if call.failed else 200
            seconds = (call.end_ns - call.start_ns) / NANOSECONDS_PER_S
            past.add(resource, _DURATION, seconds, labels, at_ns, context)
        if operation.name == "POST /charges" and call.failed is None:
            past.add(resource, _REVENUE, request.amount, {"currency": request.currency}, at_ns, context)


_REQUESTS: Final = Instrument("shop.requests", "{request}", "Requests and messages handled")
_DURATION: Final = Instrument("http.server.request.duration", "s", "Duration of requests", DURATION_BUCKETS_S)
_REVENUE: Final = Instrument("shop.revenue", "{currency}", "Money charged")


def _details(request: Request, call: Call) -> dict[str, str | int | float | bool]:
    details: dict[str, str | int | float | bool] = {}
    if "http.route" in call.operation.attributes:
        details["http.response.status_code"] = 500 if call.failed else 200
        details["user.id"] = request.user_id
    if call.operation.service in ("checkout", "payment", "shipping"):
        details["order.id"] = request.order_id
    if call.operation.service == "payment":
        details |= {"payment.amount": request.amount, "payment.currency": request.currency}
    return details
