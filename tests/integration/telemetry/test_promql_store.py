"""A part of the Prometheus project's tests in the real store: their points sent over OTLP, their answers the same.

What names absolute times, and what has native histograms, stays with the evaluator's own tests.
"""

import re
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from support import promqltest
from support.shared import shared

_ALIGNED_MS = 7 * 3600 * 1000
"""Where the tests' zero is: a multiple of every step of a subquery in them."""
_ZERO_MS = (now_unix_nano() // 10**6 - 30 * 3600 * 1000) // _ALIGNED_MS * _ALIGNED_MS
_ABSOLUTE = re.compile(
    r"@|\b(time|timestamp|start|end|minute|hour|day_\w+|days_\w+|month|year|predict_linear|ts_of_\w+)\b|topk|bottomk|limit"
)
_MARKER = 1


def _request(otlp, loaded):
    metrics = {}
    for labels, points in loaded:
        attributes = otlp.attributes(dict(label_sets.without(labels, ("__name__",))))
        metric = metrics.setdefault(label_sets.get(labels, "__name__"), [])
        for time, value in points:
            if value is None:
                continue
            ended = value == "stale"
            metric.append(
                NumberDataPoint(
                    time_unix_nano=(_ZERO_MS + time) * 10**6, attributes=attributes,
                    as_double=0 if ended else value, flags=_MARKER if ended else 0,
                )
            )  # fmt: skip
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    scope.metrics.extend(Metric(name=name, gauge=Gauge(data_points=points)) for name, points in metrics.items())
    return request


def _segments(path):
    """The commands between the `clear`s, without native histograms and queries for them."""
    loads, evaluations, histograms = [], [], set()
    for command, what in [*promqltest.commands(path), ("clear", None)]:
        if command == "clear":
            if loads and evaluations:
                yield loads, evaluations
            loads, evaluations, histograms = [], [], set()
        elif command == "eval":
            of_any_name = re.search(r"(^|[^\w])\{", what.expression)
            if _ABSOLUTE.search(what.expression) or (histograms and of_any_name):
                continue
            if not any(name in what.expression for name in histograms):
                shifted = replace(what, start=what.start + _ZERO_MS, end=what.end + _ZERO_MS)
                evaluations.append((len(loads), shifted))
        else:
            native = {
                label_sets.get(labels, "__name__").removesuffix("_bucket")
                for labels, points in what
                if command == "load_with_nhcb" or any(isinstance(value, Histogram) for _, value in points)
            }
            histograms |= native
            loads.append([one for one in what if label_sets.get(one[0], "__name__") not in native])


@pytest.mark.parametrize(
    ("name", "least"),
    [("operators", 60), ("selectors", 16), ("staleness", 9), ("aggregators", 60), ("functions", 130)],
)
async def test_answers_are_prometheus_own(  # noqa: PLR0917 - fixtures
    telemetry_store, deliver, otlp, new_scope, name, least
):
    failures, count = [], 0
    for loads, evaluations in _segments(shared("promql", "testdata", f"{name}.test")):
        scope = new_scope()
        sent = 0
        for after, evaluation in evaluations:
            for loaded in loads[sent:after]:
                await deliver(scope, _request(otlp, loaded))
            sent = max(sent, after)
            count += 1
            wrong = await promqltest.failure(ClickHouseStorage(telemetry_store.bind(scope)), evaluation)
            if wrong:
                failures.append(f"{evaluation.line}: {evaluation.expression}: {wrong}")
    assert not failures, "\n".join(failures)
    assert count >= least, f"only {count} evaluations could be sent"
