"""Requests whose numbers, times, ids and texts are as odd as their types allow, one field at a time or many at random.

What may be odd is read off the descriptors of opentelemetry-proto, so a field that a later version adds is among them.
"""

import base64
import json
import math
import random
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import LOGS, METRICS, SIGNALS, TRACES, Signal

IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
DAY_NS = 86_400 * 10**9
TIMES = (0, 1, 2**31, 2**32 * 10**9 - 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1)
UNSIGNED = (0, 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
SIGNED = (0, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63))
DOUBLES = (0.0, -0.0, -1.0, 1e300, -1e300, 1.7976931348623157e308, 5e-324, math.inf, -math.inf, math.nan)
VALUES = {
    FieldDescriptor.TYPE_FIXED64: UNSIGNED,
    FieldDescriptor.TYPE_UINT64: UNSIGNED,
    FieldDescriptor.TYPE_SFIXED64: SIGNED,
    FieldDescriptor.TYPE_INT64: SIGNED,
    FieldDescriptor.TYPE_FIXED32: (0, 1, 2**31, 2**32 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 1, 2**31, 2**32 - 1),
    FieldDescriptor.TYPE_INT32: (0, -1, 2**31 - 1, -(2**31)),
    FieldDescriptor.TYPE_SINT32: (0, -1, -10, 20, 21, 2**31 - 1, 2**31 - 3, -(2**31)),
    FieldDescriptor.TYPE_ENUM: (0, 1, 2, 6, 24, 25, 127, 255, 256, 2**31 - 1, -1, -(2**31)),
    FieldDescriptor.TYPE_BOOL: (False, True),
    FieldDescriptor.TYPE_DOUBLE: DOUBLES,
    FieldDescriptor.TYPE_STRING: ("", "\0", "é\u2028\U0001f600", "x" * 3000),
    FieldDescriptor.TYPE_BYTES: (b"", b"\0", bytes(8), bytes(16), b"\xff" * 8, b"\xff" * 16, b"\xff" * 17),
}
MARK = "bystander"
"""What the name or body of a sound item begins with."""


@dataclass(frozen=True)
class Place:
    """A field of a message below an item: the way to the message, and the field."""

    way: tuple[tuple[str, int | None], ...]
    field: FieldDescriptor

    def __str__(self):
        names = [name if at is None else f"{name}[{at}]" for name, at in self.way]
        return ".".join([*names, self.field.name])

    def values(self, now_ns):
        """What to put there."""
        if "time_unix_nano" not in self.field.name:
            return VALUES[self.field.type]
        around = (
            now_ns,
            now_ns + DAY_NS - 10**9,
            now_ns + DAY_NS + 10**12,
            now_ns - 29 * DAY_NS,
            now_ns - 500 * DAY_NS,
        )
        return *TIMES, *around

    def put(self, item, value):
        """Set it; of a list all entries."""
        for name, at in self.way:
            item = getattr(item, name) if at is None else getattr(item, name)[at]
        if self.field.is_repeated:
            entries = getattr(item, self.field.name)
            entries[:] = [value] * len(entries)
        else:
            setattr(item, self.field.name, value)


def places(message, way=()):
    """All fields below a message that hold no message; of messages those that are there."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            if field.containing_oneof is None or message.WhichOneof(field.containing_oneof.name) == field.name:
                yield Place(way, field)
        elif field.is_repeated:
            for at in range(len(getattr(message, field.name))):
                yield from places(getattr(message, field.name)[at], (*way, (field.name, at)))
        elif message.HasField(field.name):
            yield from places(getattr(message, field.name), (*way, (field.name, None)))


def item_names(signal: Signal) -> tuple[str, ...]:
    """The kinds of item of a signal."""
    return {TRACES: ("span",), LOGS: ("record",)}.get(
        signal, ("int_gauge", "gauge", "counter", "updown", "histogram", "delta_histogram", "exponential_histogram",
                 "delta_exponential_histogram", "summary")
    )  # fmt: skip


class Requests:
    """Requests of a sound item and an odd one, from a service of the given name."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.now_ns = now_unix_nano()
        self._number = 0

    def each(self, signal: Signal, kind: str):
        """Of every extreme of every field: what it is, and the request."""
        for place in places(self._item(kind)):
            for value in place.values(self.now_ns):
                item = self._item(kind)
                place.put(item, value)
                yield f"{kind}: {place} = {value!r:.40}", self.request(signal, self._item(kind, MARK), item)

    def at_random(self, chance: random.Random, signal: Signal) -> Message:
        """A request of a few items, of which all but the first have extremes in many fields at once."""
        kinds = item_names(signal)
        items = [self._item(chance.choice(kinds), MARK)]
        for _ in range(chance.randint(1, 3)):
            item = self._item(chance.choice(kinds))
            fields = list(places(item))
            for place in chance.sample(fields, min(len(fields), chance.choice((1, 1, 2, 3, 8, 30)))):
                value = chance.choice(place.values(self.now_ns))
                if chance.random() < 0.2 and place.field.type in (
                    FieldDescriptor.TYPE_FIXED64,
                    FieldDescriptor.TYPE_UINT64,
                ):
                    value = chance.getrandbits(64)
                place.put(item, value)
            items.append(item)
        request = self.request(signal, *items)
        if chance.random() < 0.2:
            container = next(iter(request.ListFields()))[1][0]
            container.resource.dropped_attributes_count = chance.choice(UNSIGNED[:3])
        return request

    def request(self, signal: Signal, *items: Message) -> Message:
        """A request of these items."""
        request = signal.request()
        scopes = {TRACES: "scope_spans", LOGS: "scope_logs", METRICS: "scope_metrics"}[signal]
        container = getattr(request, f"resource_{scopes.removeprefix('scope_')}").add()
        attribute = container.resource.attributes.add(key="service.name")
        attribute.value.string_value = self._service
        scope = getattr(container, scopes).add()
        scope.scope.name = "extremes"
        field = {TRACES: "spans", LOGS: "log_records", METRICS: "metrics"}[signal]
        getattr(scope, field).extend(items)
        return request

    def _item(self, kind: str, name: str = "odd") -> Message:
        self._number += 1
        make = {"span": self._span, "record": self._record}.get(kind)
        return make(name) if make else self._metric(kind, name)

    def _span(self, name):
        request = TRACES.request()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        span.trace_id = self._number.to_bytes(16, "big")
        span.span_id = b"\1" * 8
        span.parent_span_id = b"\2" * 8
        span.trace_state, span.name, span.kind, span.flags = "a=b", f"{name} {self._number}", 2, 1
        span.start_time_unix_nano, span.end_time_unix_nano = self.now_ns - 10**9, self.now_ns
        span.dropped_attributes_count = span.dropped_events_count = span.dropped_links_count = 1
        span.status.code, span.status.message = 2, "broken"
        self._attribute(span.attributes)
        event = span.events.add(time_unix_nano=self.now_ns, name="event", dropped_attributes_count=1)
        self._attribute(event.attributes)
        link = span.links.add(trace_id=b"\3" * 16, span_id=b"\4" * 8, trace_state="c=d", flags=1)
        link.dropped_attributes_count = 1
        self._attribute(link.attributes)
        return span

    def _record(self, name):
        record = LOGS.request().resource_logs.add().scope_logs.add().log_records.add()
        record.time_unix_nano, record.observed_time_unix_nano = self.now_ns, self.now_ns + 1
        record.severity_number, record.severity_text, record.flags = 9, "INFO", 1
        record.body.string_value = f"{name} {self._number}"
        record.event_name, record.dropped_attributes_count = "happened", 1
        record.trace_id, record.span_id = b"\5" * 16, b"\6" * 8
        self._attribute(record.attributes)
        return record

    def _metric(self, kind, name):
        metric = Metric(name=f"{name}.{kind}", unit="1", description="d")
        delta = 1 if kind.startswith("delta") else 2
        match kind.removeprefix("delta_"):
            case "int_gauge":
                point = metric.gauge.data_points.add(as_int=self._number)
            case "gauge":
                point = metric.gauge.data_points.add(as_double=1.5)
            case "counter" | "updown":
                metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, kind == "counter"
                point = metric.sum.data_points.add(as_double=2.5)
            case "histogram":
                metric.histogram.aggregation_temporality = delta
                point = metric.histogram.data_points.add(count=3, sum=4.0, min=0.5, max=2.0)
                point.bucket_counts.extend((1, 1, 1))
                point.explicit_bounds.extend((1.0, 2.0))
            case "exponential_histogram":
                metric.exponential_histogram.aggregation_temporality = delta
                point = metric.exponential_histogram.data_points.add(count=5, sum=4.0, min=-2.0, max=2.0, zero_count=1)
                point.scale, point.zero_threshold = 1, 0.1
                point.positive.offset, point.negative.offset = 1, 2
                point.positive.bucket_counts.extend((1, 1))
                point.negative.bucket_counts.extend((1, 1))
            case _:
                point = metric.summary.data_points.add(count=2, sum=3.0)
                point.quantile_values.add(quantile=0.5, value=1.0)
        point.start_time_unix_nano, point.time_unix_nano = self.now_ns - 60 * 10**9, self.now_ns
        self._attribute(point.attributes)
        if kind != "summary":
            exemplar = point.exemplars.add(time_unix_nano=self.now_ns, as_double=1.0, trace_id=b"\7" * 16)
            exemplar.span_id = b"\x08" * 8
            self._attribute(exemplar.filtered_attributes)
        return metric

    def _attribute(self, attributes):
        attribute = attributes.add(key="n")
        values = attribute.value.array_value.values
        values.add(int_value=self._number)
        values.add(double_value=1.5)
        values.add(string_value="x")


def items_of(request: Message) -> int:
    """How many items a request has: spans, records or points."""
    count = 0
    for container in next(iter(request.ListFields()))[1]:
        for scope in container.ListFields()[-1][1]:
            for item in scope.ListFields()[-1][1]:
                kind = item.WhichOneof("data") if isinstance(item, Metric) else None
                count += len(getattr(item, kind).data_points) if kind else 1
    return count


def as_json(message: Message) -> bytes:
    """The message in OTLP/JSON."""
    return json.dumps(_plain(message)).encode()


def _plain(message):
    return {
        field.json_name: [_value(field, each) for each in value] if field.is_repeated else _value(field, value)
        for field, value in message.ListFields()
    }


def _value(field, value):
    if field.message_type:
        return _plain(value)
    if field.type == field.TYPE_BYTES:
        return value.hex() if field.name in IDS else base64.b64encode(value).decode()
    if field.type == field.TYPE_DOUBLE and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return str(value)
    return value


__all__ = ["IDS", "MARK", "SIGNALS", "Requests", "as_json", "item_names", "items_of", "places"]
