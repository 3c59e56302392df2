"""The OpenTelemetry SDK for Python with its own exporters sends all three signals; the API shows every field."""

import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opentelemetry import trace as trace_api
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from duoscope.telemetry.values import rfc3339

RESOURCE = {"service.version": "1.2.3", "process.pid": 42, "host.up": True, "load": 0.5, "tags": ["a", "b"]}
ATTRIBUTES = {
    "text": 'quoted "\\\n\u2028é',
    "empty": "",
    "yes": True,
    "no": False,
    "int": -(2**63),
    "double": 2.25,
    "texts": ["a", "b"],
    "ints": [1, 2],
    "doubles": [0.5],
    "bools": [True, False],
    "none": [],
}
SCOPE = {
    "name": "interop",
    "version": "9.8",
    "attributes": {"scope.attribute": 7},
    "dropped_attributes_count": 0,
    "schema_url": "https://opentelemetry.io/schemas/1.30.0",
}
LOCAL_PARENT, REMOTE_PARENT = 0x100, 0x300
"""All that this SDK puts into the flags of a span; nor does it send the trace state of a link."""
REMOTE = SpanContext(
    0x0123456789ABCDEF0123456789ABCDEF, 0x1122334455667788, True, TraceFlags(1), TraceState([("vendor", "x")])
)
DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}


@dataclass
class Sdk:
    """The three providers of one service."""

    service: str
    spans: Any
    logs: Any
    metrics: Any

    def __post_init__(self) -> None:
        self.resource = Resource({"service.name": self.service, **RESOURCE}, "https://opentelemetry.io/schemas/1.31.0")
        limits = SpanLimits(max_events=2, max_links=1, max_span_attributes=len(ATTRIBUTES))
        self.tracers = TracerProvider(resource=self.resource, span_limits=limits, shutdown_on_exit=False)
        self.tracers.add_span_processor(BatchSpanProcessor(self.spans))
        self.loggers = LoggerProvider(resource=self.resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(BatchLogRecordProcessor(self.logs))
        exponential = View(instrument_name="*.exponential", aggregation=ExponentialBucketHistogramAggregation())
        self.meters = MeterProvider(
            [PeriodicExportingMetricReader(self.metrics, export_interval_millis=3_600_000)],
            resource=self.resource,
            views=[exponential],
            shutdown_on_exit=False,
        )

    def scoped(self, make):
        return make(SCOPE["name"], SCOPE["version"], schema_url=SCOPE["schema_url"], attributes=SCOPE["attributes"])

    @property
    def shown_resource(self) -> dict[str, Any]:
        attributes = {key: shown(value) for key, value in self.resource.attributes.items()}
        return {"attributes": attributes, "dropped_attributes_count": 0, "schema_url": self.resource.schema_url}

    def shutdown(self) -> None:
        for provider in (self.tracers, self.loggers, self.meters):
            provider.shutdown()


def shown(value):
    return list(value) if isinstance(value, tuple) else value


def shown_all(attributes):
    return {key: shown(value) for key, value in attributes.items()}


@pytest.fixture(params=["grpc", "http"])
def sdk(request, running):
    """An SDK that sends over one transport, with gzip, all that a user of it would set."""
    service = f"python-{request.param}"
    if request.param == "grpc":
        options = {
            "endpoint": f"http://{running.grpc_target}",
            "insecure": True,
            "headers": {"authorization": f"Bearer {running.key}"},
        }
        made = Sdk(
            service, GrpcSpans(**options), GrpcLogs(**options), GrpcMetrics(**options, preferred_temporality=DELTA)
        )
    else:
        options = {"headers": {"x-api-key": running.key}, "compression": Compression.Gzip}
        made = Sdk(
            service,
            HttpSpans(f"{running.otlp_url}/v1/traces", **options),
            HttpLogs(f"{running.otlp_url}/v1/logs", **options),
            HttpMetrics(f"{running.otlp_url}/v1/metrics", **options, preferred_temporality=DELTA),
        )
    yield made
    made.shutdown()


def test_traces(sdk, tenant, stranger, eventually, assert_sees_nothing):
    now = time.time_ns()
    tracer = sdk.scoped(sdk.tracers.get_tracer)
    root = tracer.start_span(
        "root",
        kind=SpanKind.SERVER,
        attributes={"dropped": 1, **ATTRIBUTES},
        links=[Link(REMOTE), Link(REMOTE, {"why": "retry", "n": [1, 2]})],
        start_time=now,
    )
    for n in range(3):
        root.add_event(f"event {n}", {"n": n, "list": ["x"]}, timestamp=now + n)
    root.set_status(Status(StatusCode.ERROR, "it broke"))
    context = trace_api.set_span_in_context(root)
    kinds = (SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER)
    for n, kind in enumerate(kinds, start=1):
        child = tracer.start_span(kind.name, context, kind, start_time=now + n)
        child.set_status(Status(StatusCode.OK))
        child.end(now + 1000 * n)
    root.end(now + 10**9)
    remote_context = trace_api.set_span_in_context(trace_api.NonRecordingSpan(REMOTE))
    tracer.start_span("of a remote parent", remote_context, start_time=now).end(now + 1)
    assert sdk.tracers.force_flush()

    trace_id = f"{root.get_span_context().trace_id:032x}"
    root_id = f"{root.get_span_context().span_id:016x}"
    found = eventually(lambda: (answer := tenant.trace(trace_id)).status_code == 200 and answer.json())
    assert {key: value for key, value in found.items() if key not in ("spans", "next_cursor")} == {
        "trace_id": trace_id,
        "start": rfc3339(now),
        "end": rfc3339(now + 10**9),
        "duration_ns": 10**9,
        "span_count": 5,
        "error_count": 1,
        "services": [sdk.service],
        "truncated": False,
    }
    common = {
        "trace_id": trace_id,
        "trace_state": "",
        "service_name": sdk.service,
        "resource": sdk.shown_resource,
        "scope": SCOPE,
    }
    assert found["spans"][0] == {
        **common,
        "span_id": root_id,
        "parent_span_id": None,
        "flags": LOCAL_PARENT,
        "name": "root",
        "kind": "server",
        "start": rfc3339(now),
        "end": rfc3339(now + 10**9),
        "duration_ns": 10**9,
        "status": "error",
        "status_message": "it broke",
        "attributes": shown_all(ATTRIBUTES),
        "dropped_attributes_count": 1,
        "events": [
            {
                "timestamp": rfc3339(now + n),
                "name": f"event {n}",
                "attributes": {"n": n, "list": ["x"]},
                "dropped_attributes_count": 0,
            }
            for n in (1, 2)
        ],
        "dropped_events_count": 1,
        "links": [
            {
                "trace_id": f"{REMOTE.trace_id:032x}",
                "span_id": f"{REMOTE.span_id:016x}",
                "trace_state": "",
                "attributes": {"why": "retry", "n": [1, 2]},
                "dropped_attributes_count": 0,
                "flags": REMOTE_PARENT,
            }
        ],
        "dropped_links_count": 1,
        "truncated": [],
    }
    for n, (kind, span) in enumerate(zip(kinds, found["spans"][1:], strict=True), start=1):
        assert {key: span[key] for key in (*common, "parent_span_id", "name", "kind", "start", "end", "status")} == {
            **common,
            "parent_span_id": root_id,
            "name": kind.name,
            "kind": kind.name.lower(),
            "start": rfc3339(now + n),
            "end": rfc3339(now + 1000 * n),
            "status": "ok",
        }
    (orphan,) = [
        span for span in tenant.trace(f"{REMOTE.trace_id:032X}").json()["spans"] if span["service_name"] == sdk.service
    ]
    assert orphan["parent_span_id"] == f"{REMOTE.span_id:016x}"
    assert orphan["trace_state"] == "vendor=x"
    assert orphan["flags"] == REMOTE_PARENT
    assert_sees_nothing(stranger, trace_id, sdk.service, sdk.service)


def test_logs(sdk, tenant, stranger, eventually, assert_sees_nothing):
    now = time.time_ns()
    span = REMOTE
    context = trace_api.set_span_in_context(trace_api.NonRecordingSpan(span))
    nested = {**ATTRIBUTES, "bytes": b"\xff\x00", "nothing": None, "deep": {"a": [1, {"b": [2, {"c": [b"x"]}]}]}}
    shown_nested = {
        **ATTRIBUTES,
        "bytes": {"bytes_value": "/wA="},
        "nothing": None,
        "deep": {"a": [1, {"b": [2, {"c": [{"bytes_value": "eA=="}]}]}]},
    }
    bodies = ["plain text", "", True, 42, 1.5, b"\xfe", ["a", {"b": 1}], nested, None]
    shown_bodies = [*bodies[:5], {"bytes_value": "/g=="}, bodies[6], shown_nested, None]
    logger = sdk.scoped(sdk.loggers.get_logger)
    for n, body in enumerate(bodies):
        logger.emit(
            LogRecord(
                timestamp=now + n,
                observed_timestamp=now + 100 + n,
                context=context,
                severity_text="WARNING",
                severity_number=SeverityNumber.WARN2,
                body=body,
                attributes=nested,
                event_name=f"event.{n}",
            )
        )
    assert sdk.loggers.force_flush()
    found = eventually(lambda: len(all_found := tenant.logs(f"service:{sdk.service}")) == len(bodies) and all_found)
    for record in found:
        assert record.pop("id")
        assert not record.pop("truncated", None)
    assert found == [
        {
            "timestamp": rfc3339(now + n),
            "observed_timestamp": rfc3339(now + 100 + n),
            "severity_number": 14,
            "severity_text": "WARNING",
            "service_name": sdk.service,
            "body": body,
            "event_name": f"event.{n}",
            "trace_id": f"{span.trace_id:032x}",
            "span_id": f"{span.span_id:016x}",
            "trace_flags": 1,
            "attributes": shown_nested,
            "dropped_attributes_count": 0,
            "resource": sdk.shown_resource,
            "scope": SCOPE,
        }
        for n, body in enumerate(shown_bodies)
    ]
    assert_sees_nothing(stranger, f"{span.trace_id:032x}", sdk.service, sdk.service)


def test_metrics(sdk, tenant, stranger, eventually, assert_sees_nothing):
    meter = sdk.scoped(sdk.meters.get_meter)
    name = sdk.service
    of_a, of_b = {"route": "/a", "status": 200}, {"route": '/b"', "status": 500}
    meter.create_counter(f"{name}.counter", "1", "delta, of integers").add(3, of_a)
    meter.create_counter(f"{name}.counter", "1", "delta, of integers").add(4, of_b)
    meter.create_up_down_counter(f"{name}.open", "{connection}", "cumulative").add(-2.5, of_a)
    meter.create_gauge(f"{name}.gauge", "Cel", "a gauge").set(-7.25, of_a)
    meter.create_observable_gauge(f"{name}.seen", [lambda _: [Observation(9, of_b)]], "By", "observed")
    meter.create_observable_counter(f"{name}.total", [lambda _: [Observation(5, of_a)]], "s", "cumulative")
    for histogram in ("explicit", "exponential"):
        made = meter.create_histogram(f"{name}.{histogram}", "ms", histogram)
        for value in (1, 2, 30):
            made.record(value, of_a)
    assert sdk.meters.force_flush()

    shapes = eventually(lambda: len(all_found := tenant.shapes(name)) == 7 and all_found)
    facts = ("type", "temporality", "is_monotonic", "unit", "description", "services")
    assert {metric.removeprefix(name + "."): tuple(shape[f] for f in facts) for metric, shape in shapes.items()} == {
        "counter": ("counter", "delta", True, "1", "delta, of integers", [name]),
        "open": ("counter", "cumulative", False, "{connection}", "cumulative", [name]),
        "gauge": ("gauge", "unspecified", False, "Cel", "a gauge", [name]),
        "seen": ("gauge", "unspecified", False, "By", "observed", [name]),
        "total": ("counter", "cumulative", True, "s", "cumulative", [name]),
        "explicit": ("histogram", "delta", False, "ms", "explicit", [name]),
        "exponential": ("exponential_histogram", "delta", False, "ms", "exponential", [name]),
    }
    a, b = ("/a", "200"), ('/b"', "500")
    by = ("route", "status")
    assert tenant.metric(f"{name}.counter", "increase", *by) == {a: [3], b: [4]}
    assert tenant.metric(f"{name}.counter", "sum", "service", "scope", "load", "host.up") == {
        (name, SCOPE["name"], "0.5", "true"): [7]
    }
    assert tenant.metric(f"{name}.open", "last", *by) == {a: [-2.5]}
    assert tenant.metric(f"{name}.gauge", "avg", *by) == {a: [-7.25]}
    assert tenant.metric(f"{name}.seen", "max", *by) == {b: [9]}
    assert tenant.metric(f"{name}.total", "last", *by) == {a: [5]}
    for histogram in ("explicit", "exponential"):
        asked = {each: tenant.metric(f"{name}.{histogram}", each, *by) for each in ("count", "sum", "min", "max")}
        assert asked == {"count": {a: [3]}, "sum": {a: [33]}, "min": {a: [1]}, "max": {a: [30]}}
    assert_sees_nothing(stranger, "0" * 31 + "1", name, f"{name}.counter")


def test_a_stranger_that_sends_the_same_sees_only_its_own(tenant, stranger, otlp, running, eventually):
    span = {"trace_id": b"\x77" * 16, "span_id": b"s" * 8, "start_time_unix_nano": time.time_ns()}
    for each, name in ((tenant, "mine"), (stranger, "theirs")):
        request = otlp.spans("shared", {**span, "name": name}).SerializeToString()
        headers = {"x-api-key": each.key, "content-type": "application/x-protobuf"}
        assert httpx.post(f"{running.otlp_url}/v1/traces", content=request, headers=headers).status_code == 200
    for each, name in ((tenant, "mine"), (stranger, "theirs")):
        found = eventually(lambda each=each: each.trace("77" * 16).json().get("spans"))
        assert {span["name"] for span in found} == {name}
