"""What the decoder is held against: google.protobuf parses the same bytes, and Python makes the rows that are due.

The oracle parses with a twin of OTLP in which every `string` is `bytes`: protobuf refuses a whole request for one text
that is no UTF-8, the decoder rejects the item. All else that makes bytes malformed makes them so for both.
"""

import base64
import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from native import Native
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from stored_values import BOUNDS, attributes, columns, cut_text, is_text, json_value, number_text

from duoscope.kernel import limits
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Decoder, Kind

NOW_NS = 1_790_000_000 * 10**9
RETENTION_DAYS = 7
EARLIEST_NS = NOW_NS - RETENTION_DAYS * 86_400 * 10**9
LATEST_NS = NOW_NS + limits.INGEST_AHEAD_MAX_S * 10**9
SCOPE = Scope(new_id(), new_id(), new_id())
TEMPORALITY = (0, 1, 2)
NO_RECORDED_VALUE = 1
COUNT_MAX = 2**53
UNSET = -(2**63)
"""For a time that is kept as the distance from another."""
SERVICES = {Kind.TRACES: trace_service_pb2, Kind.LOGS: logs_service_pb2, Kind.METRICS: metrics_service_pb2}


def _twin_pool():
    pool, done = descriptor_pool.DescriptorPool(), set()

    def texts_as_bytes(message):
        for each in message.field:
            if each.type == each.TYPE_STRING:
                each.type = each.TYPE_BYTES
        for nested in message.nested_type:
            texts_as_bytes(nested)

    def add(file):
        if file.name in done:
            return
        done.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        copy = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copy)
        for message in copy.message_type:
            texts_as_bytes(message)
        pool.Add(copy)

    for service in SERVICES.values():
        add(service.DESCRIPTOR)
    return pool


def twins():
    """The twin of each signal's request."""
    pool = _twin_pool()
    names = {
        Kind.TRACES: "trace.v1.ExportTrace",
        Kind.LOGS: "logs.v1.ExportLogs",
        Kind.METRICS: "metrics.v1.ExportMetrics",
    }
    return {
        kind: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"opentelemetry.proto.collector.{name}ServiceRequest")
        )
        for kind, name in names.items()
    }


def all_dropped(told, more):
    """How many are dropped of a list, with those that the sender dropped."""
    return min(told + more, 2**32 - 1)


def texts(faults, *raw):
    if not all(is_text(each) for each in raw):
        faults.add("invalid-utf8")


@dataclass
class Expected:
    """The expected rows for a request: `faults` has the acceptable reasons for each rejected item."""

    items: int = 0
    rows: dict[str, list[dict]] = field(default_factory=dict)
    faults: list[set[str]] = field(default_factory=list)

    def add(self, table, row, faults):
        self.items += 1
        if faults:
            self.faults.append(faults)
        elif row is not None:
            self.rows.setdefault(table, []).append(row)

    def agrees_with(self, outcome):
        """Whether the counts are right, and every reason is one that holds."""
        allowed = Counter(reason for faults in self.faults for reason in faults)
        return (
            outcome.items == self.items
            and sum(outcome.rejected.values()) == len(self.faults)
            and all(count <= allowed[reason] for reason, count in outcome.rejected.items())
        )


def _heading(container, scope_container, ordered_faults):
    resource, scope = container.resource, scope_container.scope
    of_resource, dropped, left = attributes(resource.attributes, ordered_faults, ordered=True)
    of_scope, scope_dropped, _ = attributes(scope.attributes, ordered_faults, ordered=True)
    texts(ordered_faults, container.schema_url, scope_container.schema_url, scope.name, scope.version)
    service = b""
    named = next((pair for pair in resource.attributes if pair.key == b"service.name" and pair in left), None)
    if named is not None:
        service, _ = _body(named.value, set(), BOUNDS.attribute_bytes_max)
    return {
        "service_name": service,
        "resource": of_resource,
        "scope_name": scope.name,
        "scope_version": scope.version,
        "scope_attributes": of_scope,
        "resource_schema_url": container.schema_url,
        "scope_schema_url": scope_container.schema_url,
        "resource_dropped_attributes_count": all_dropped(resource.dropped_attributes_count, dropped),
        "scope_dropped_attributes_count": all_dropped(scope.dropped_attributes_count, scope_dropped),
    }


def _id(raw, size):
    return raw if len(raw) == size else b"\0" * size


def _time(nanos):
    return min(nanos, 2**63 - 1)


def _within(nanos, faults):
    if not EARLIEST_NS <= nanos <= LATEST_NS:
        faults.add("time-out-of-range")


def _span(span, heading, faults):
    kept, content, dropped = columns(span.attributes, faults)
    events, links = span.events[: BOUNDS.attributes_max], span.links[: BOUNDS.attributes_max]
    of_events = [attributes(e.attributes, faults) for e in events]
    of_links = [attributes(each.attributes, faults) for each in links]
    row = heading | {
        "timestamp": span.start_time_unix_nano,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": _id(span.parent_span_id, 8),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "span_name": span.name,
        "span_kind": span.kind if 0 <= span.kind <= 5 else 0,
        "span_attributes_json": content,
        "span_attributes_typed": kept,
        "duration_nano": max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        "status_code": span.status.code if 0 <= span.status.code <= 2 else 0,
        "status_message": span.status.message,
        "dropped_attributes_count": all_dropped(span.dropped_attributes_count, dropped),
        "dropped_events_count": all_dropped(span.dropped_events_count, len(span.events) - len(events)),
        "dropped_links_count": all_dropped(span.dropped_links_count, len(span.links) - len(links)),
        "events.timestamp": [_time(e.time_unix_nano) for e in events],
        "events.name": [e.name for e in events],
        "events.attributes": [each[0] for each in of_events],
        "events.dropped_attributes_count": [
            all_dropped(e.dropped_attributes_count, of[1]) for e, of in zip(events, of_events, strict=True)
        ],
        "links.trace_id": [_id(each.trace_id, 16) for each in links],
        "links.span_id": [_id(each.span_id, 8) for each in links],
        "links.trace_state": [each.trace_state for each in links],
        "links.attributes": [each[0] for each in of_links],
        "links.dropped_attributes_count": [
            all_dropped(each.dropped_attributes_count, of[1]) for each, of in zip(links, of_links, strict=True)
        ],
        "links.flags": [each.flags for each in links],
    }
    texts(faults, span.name, span.trace_state, span.status.message, *row["events.name"], *row["links.trace_state"])
    if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id) or not any(span.span_id):
        faults.add("invalid-id")
    _within(span.start_time_unix_nano, faults)
    if span.end_time_unix_nano > LATEST_NS:
        faults.add("time-out-of-range")
    return "traces_v3", row


BODY_KINDS = (
    None,
    "string_value",
    "bool_value",
    "int_value",
    "double_value",
    "array_value",
    "kvlist_value",
    "bytes_value",
)


def _body(value, faults, size_max=BOUNDS.body_bytes_max):
    """The stored form of a body, and its kind."""
    kind = value.WhichOneof("value")
    raw = text = None
    match kind:
        case "string_value":
            texts(faults, value.string_value)
            text = raw = value.string_value
        case "bytes_value":
            raw, text = value.bytes_value, base64.b64encode(value.bytes_value)
        case "double_value":
            text = number_text(value.double_value).encode()
        case None | "string_value_strindex":
            return b"", 0
        case _:
            text = json_value(value, faults)
    if len(text) <= size_max or not is_text(text):
        return text, BODY_KINDS.index(kind)
    return ANY_CUT if raw is None else cut_text(text, size_max, size=len(raw)), BODY_KINDS.index("string_value")


class AnyCut:
    """Equal to every cut body: where a structure is cut is for a test of its own."""

    def __eq__(self, other):
        return "…[cut from ".encode() in other and other.endswith(b" bytes]") and len(other) <= BOUNDS.body_bytes_max

    __hash__ = None


ANY_CUT = AnyCut()


def is_any_cut(wanted, found):
    """Whether any cut body is due and this is one."""
    return wanted is ANY_CUT and wanted == found


def _record(record, heading, faults):
    time = record.time_unix_nano or record.observed_time_unix_nano or NOW_NS
    body, kind = _body(record.body, faults)
    kept, content, dropped = columns(record.attributes, faults)
    _within(time, faults)
    texts(faults, record.severity_text, record.event_name)
    return "logs_v3", heading | {
        "timestamp": time,
        "observed_after": _time(record.observed_time_unix_nano) - time if record.observed_time_unix_nano else UNSET,
        "trace_id": _id(record.trace_id, 16),
        "span_id": _id(record.span_id, 8),
        "trace_flags": record.flags,
        "severity_text": record.severity_text,
        "severity_number": record.severity_number if 0 <= record.severity_number <= 24 else 0,
        "body": body,
        "body_kind": kind,
        "log_attributes_json": content,
        "log_attributes_typed": kept,
        "event_name": record.event_name,
        "dropped_attributes_count": all_dropped(record.dropped_attributes_count, dropped),
    }


def _exemplar(exemplar, faults):
    kind = exemplar.WhichOneof("value")
    value = getattr(exemplar, kind) if kind else math.nan
    content, _, _ = attributes(exemplar.filtered_attributes, faults)
    ids = _id(exemplar.trace_id, 16), _id(exemplar.span_id, 8)
    return exemplar.time_unix_nano, float(value), *ids, content, _rest(value)


def _rest(value):
    return value - int(float(value)) if isinstance(value, int) else 0


def _marker(point):
    """The stored form of a point that says that there is no value."""
    bare = type(point)(time_unix_nano=point.time_unix_nano, start_time_unix_nano=point.start_time_unix_nano)
    bare.attributes.extend(point.attributes)
    bare.flags = point.flags
    return bare


def _number(metric, point, row, exemplars, faults):
    kind = point.WhichOneof("value")
    first = exemplars[0] if exemplars else (0, 0.0, b"\0" * 16, b"\0" * 8, b"", 0)
    data = getattr(metric, metric.WhichOneof("data"))
    if kind is None and not point.flags & NO_RECORDED_VALUE:
        faults.add("no-value")
    sent = getattr(point, kind or "as_double")
    names = ("exemplar_timestamp", "exemplar_value", "exemplar_trace_id", "exemplar_span_id", "exemplar_attributes")
    counter = metric.WhichOneof("data") == "sum"
    return "number_points", row | dict(zip(names, (_time(first[0]), *first[1:]), strict=False)) | {
        "metric_type": 2 if counter else 1,
        "temporality": _temporality(data) if counter else 0,
        "is_monotonic": int(counter and data.is_monotonic),
        "value": float(sent),
        "value_rest": _rest(sent),
        "value_is_int": int(kind == "as_int"),
    }


def _temporality(data):
    return data.aggregation_temporality if data.aggregation_temporality in TEMPORALITY else 0


def _distribution(metric, point, row, exemplars):
    lists = list(zip(*exemplars, strict=True)) if exemplars else [()] * 6
    names = ("exemplar_timestamps", "exemplar_values", "exemplar_trace_ids", "exemplar_span_ids", "exemplar_attributes")
    times = [t if EARLIEST_NS <= t <= LATEST_NS else point.time_unix_nano for t in lists[0]]
    optional = {name: getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")}
    return (
        row
        | optional
        | dict(zip(names, (times, *map(list, lists[1:5])), strict=True))
        | {
            "temporality": _temporality(getattr(metric, metric.WhichOneof("data"))),
            "count": point.count,
        }
    )


def _beyond(counts):
    return any(count > COUNT_MAX for count in counts)


def _point(metric, point, heading, faults):
    kind = metric.WhichOneof("data")
    texts(faults, metric.name, metric.unit, metric.description)
    row = heading | {
        "timestamp": point.time_unix_nano,
        "since_start": point.time_unix_nano - _time(point.start_time_unix_nano)
        if point.start_time_unix_nano
        else UNSET,
        "metric_name": metric.name,
        "unit": metric.unit,
        "attributes_json": attributes(point.attributes, faults, ordered=True)[0],
        "flags": point.flags,
    }
    if not point.time_unix_nano:
        faults.add("time-missing")
    else:
        _within(point.time_unix_nano, faults)
    of_point = point.exemplars[: BOUNDS.attributes_max] if kind != "summary" else []
    exemplars = [_exemplar(each, faults) for each in of_point]
    if point.flags & NO_RECORDED_VALUE:
        point, exemplars = _marker(point), []
    if kind in ("gauge", "sum"):
        return *_number(metric, point, row, exemplars, faults), exemplars
    if point.count > COUNT_MAX:
        faults.add("invalid-histogram")
    if kind == "summary":
        return (
            "summary_points",
            row
            | {
                "count": point.count,
                "sum": point.sum,
                "quantiles": [each.quantile for each in point.quantile_values],
                "quantile_values": [each.value for each in point.quantile_values],
            },
            exemplars,
        )
    row = _distribution(metric, point, row, exemplars)
    if kind == "histogram":
        bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
        increasing = all(a < b for a, b in pairwise(bounds)) and not any(map(math.isnan, bounds))
        if ((bounds or counts) and (len(counts) != len(bounds) + 1 or not increasing)) or _beyond(counts):
            faults.add("invalid-histogram")
        return "histogram_points", row | {"bucket_bounds": bounds, "bucket_counts": counts}, exemplars
    counts = (point.zero_count, *point.positive.bucket_counts, *point.negative.bucket_counts)
    if not -10 <= point.scale <= 20 or _beyond(counts) or not 0 <= point.zero_threshold < math.inf:
        faults.add("invalid-histogram")
    return (
        "exponential_histogram_points",
        row
        | {
            "scale": point.scale,
            "zero_count": point.zero_count,
            "zero_threshold": point.zero_threshold,
            "positive_offset": point.positive.offset,
            "positive_bucket_counts": list(point.positive.bucket_counts),
            "negative_offset": point.negative.offset,
            "negative_bucket_counts": list(point.negative.bucket_counts),
        },
        exemplars,
    )


OF_METRICS = (
    "service_name", "resource", "scope_name", "scope_version", "scope_attributes", "resource_schema_url",
    "scope_schema_url",
)  # fmt: skip


def _expected_metrics(message, due):
    for container in message.resource_metrics:
        for scoped in container.scope_metrics:
            shared = set()
            heading = _heading(container, scoped, shared)
            heading = {name: heading[name] for name in OF_METRICS}
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points if kind else ():
                    faults = set(shared)
                    table, row, exemplars = _point(metric, point, heading, faults)
                    due.add(table, row, faults)
                    if faults or row is None:
                        continue
                    for time, value, trace_id, span_id, content, rest in exemplars:
                        due.rows.setdefault("exemplars_v3", []).append(
                            {
                                "timestamp": time if EARLIEST_NS <= time <= LATEST_NS else point.time_unix_nano,
                                "metric_name": metric.name,
                                "service_name": heading["service_name"],
                                "trace_id": trace_id,
                                "span_id": span_id,
                                "value": value,
                                "value_rest": rest,
                                "attributes": content,
                            }
                        )


def expected_of(kind, message):
    """The expected rows for a request."""
    due = Expected()
    if kind is Kind.METRICS:
        _expected_metrics(message, due)
        return due
    of, inner, items, read = (
        ("resource_spans", "scope_spans", "spans", _span)
        if kind is Kind.TRACES
        else ("resource_logs", "scope_logs", "log_records", _record)
    )
    for container in getattr(message, of):
        for scoped in getattr(container, inner):
            shared = set()
            heading = _heading(container, scoped, shared)
            for item in getattr(scoped, items):
                faults = set(shared)
                due.add(*read(item, heading, faults), faults)
    return due


def decode(kind, raw, *more, bounds=BOUNDS):
    """Outcomes of requests and the rows they make together."""
    decoder = Decoder(kind)
    decoder.count_values()
    outcomes = [decoder.add(each, SCOPE, RETENTION_DAYS, now_ns=NOW_NS, bounds=bounds) for each in (raw, *more)]
    decoder.flush_values()
    return outcomes, {block.table: Native(block.native).rows() for block in decoder.blocks()}
