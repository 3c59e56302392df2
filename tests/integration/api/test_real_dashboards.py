"""Real dashboards of others, imported and looked at over telemetry that has the names and labels that they ask for."""

import json
import re
from collections import defaultdict

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.dashboards.filling import Chosen, Values, filled, promql
from duoscope.dashboards.grafana.dashboards import convert
from duoscope.dashboards.variables import LabelValues, ListVariable, QueryResult, QueryVariable, by_name
from duoscope.kernel.clock import now_unix_nano
from duoscope.telemetry.promql.syntax import tree
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.questions.promql import PromqlQuestion
from support.shared import shared

MINUTE_NS = 60 * 10**9
SCRAPE_NS = 15 * 10**9
END_NS = now_unix_nano() // MINUTE_NS * MINUTE_NS - 2 * MINUTE_NS
START_NS = END_NS - 60 * MINUTE_NS
RIGHTS = ("dashboard:read", "dashboard:write", "metric:read", "log:read", "trace:read", "alert:read")
NAMES = [path.name for path in sorted(shared("dashboards").glob("*.json"))]
SAMPLES = ("1", "a", "200", "500", "404", "5m", "GET", "eth0", "sda", "/", "ext4", "user", "idle", "x:1", "a.b", "a/b")
EVERYWHERE = {"job": "job", "instance": "instance", "namespace": "namespace", "pod": "pod", "cluster": "cluster"}
"""Labels that series of one target have in common, so that they can be joined."""


def values(dashboard):
    """What stands for each variable while telemetry is made: a text of its own for those that are asked for."""
    found = by_name(dashboard.variables, {})
    for variable in dashboard.variables:
        if isinstance(variable, QueryVariable):
            found[variable.name] = Chosen((f"a {variable.name}",), is_literal=True)
        elif isinstance(variable, ListVariable):
            found[variable.name] = Chosen((variable.options[0].value,), is_literal=True)
    return Values(found, 60, 3600)


def selectors(node):
    if isinstance(node, tree.Selector):
        yield node
    if isinstance(node, tree.Matrix):
        yield node.selector
    for child in tree.children(node):
        yield from selectors(child)


def value_for(matchers):
    """A value that all matchers of one label take."""
    parts = [
        part
        for matcher in matchers
        for part in (matcher.value, *re.split(r"[|()]", matcher.value))
        if matcher.type in ("=", "=~")
    ]
    plain = [re.sub(r"\\(.)", r"\1", re.sub(r"\.[*+]|^\^|\$$", "", part)) for part in parts]
    for candidate in (*plain, *parts, *(re.sub(r"\.", "0", part) for part in plain), *SAMPLES):
        if candidate and all(matcher.matches(candidate) for matcher in matchers):
            return candidate
    return ""


def series(dashboard):
    """Names and labels of series, one at least for each selector of the dashboard's questions and variables."""
    of = values(dashboard)
    texts = [
        filled(query.question, of).expression
        for widget in dashboard.widgets
        for query in widget.queries
        if isinstance(query.question, PromqlQuestion)
    ]
    for variable in dashboard.variables:
        match getattr(variable, "source", None):
            case LabelValues(_, selector) if selector:
                texts.append(promql(selector, of))
            case QueryResult(expression):
                texts.append(promql(expression, of))
    # A label that a variable is the value of has that value wherever a question says nothing else.
    shared_labels = dict(EVERYWHERE)
    for variable in dashboard.variables:
        if isinstance(source := getattr(variable, "source", None), LabelValues):
            shared_labels[source.label] = f"a {variable.name}"
    found, target = {}, {}
    for labels in (each for text in texts for each in wanted(text, shared_labels)):
        name = labels.pop("__name__", "") or "anything"
        if name == "target_info":  # a target has one
            target |= labels
            continue
        bounds = ("0.1", "1", "+Inf") if name.endswith("_bucket") and "le" not in labels else (None,)
        for bound in bounds:
            found[name, tuple(sorted((labels | ({"le": bound} if bound else {})).items()))] = None
    return [*found, *([("target_info", tuple(sorted(target.items())))] if target else [])]


def wanted(text, shared_labels):
    """Labels that satisfy each selector of an expression."""
    for selector in selectors(parse(text)):
        for group in selector.groups:
            by_label = defaultdict(list)
            for matcher in group:
                by_label[matcher.name].append(matcher)
            labels = shared_labels | {label: value_for(those) for label, those in by_label.items()}
            yield {label: value for label, value in labels.items() if value}


def telemetry(otlp, found):
    by_metric, without_service = defaultdict(list), otlp.metrics("")
    without_service.resource_metrics[0].resource.Clear()
    for number, (name, labels) in enumerate(found):
        for scrape in range(241):
            # Grows as a counter does, by more where a bucket is larger.
            more = 10 * {"1": 1, "+Inf": 2}.get(dict(labels).get("le", ""), 0)
            by_metric[name, "job" in dict(labels)].append(
                NumberDataPoint(
                    time_unix_nano=START_NS + scrape * SCRAPE_NS,
                    as_double=1.0 + scrape * (1 + number % 3 + more),
                    attributes=otlp.attributes(dict(labels)),
                )
            )
    made = otlp.metrics("somebody"), without_service
    for (name, has_job), points in by_metric.items():
        metrics = made[0 if has_job else 1].resource_metrics[0].scope_metrics[0].metrics
        metrics.append(Metric(name=name, gauge=Gauge(data_points=points)))
    return made


_WINDOW = "a subquery steps by a minute, which is more than its window over an hour"
_VALUE = "it asks for a value that nothing here has"
EMPTY = {
    "jsonnet-libs__opensearch-mixin__opensearch-cluster-overview.json": {
        "Roles timeline": _VALUE,
        "Breakers tripped": _WINDOW,
        "Top indices by request latency": _WINDOW,
        "Top nodes by ingest latency": _WINDOW,
        "Top nodes by ingest errors": _WINDOW,
        "Top indices by index latency": _WINDOW,
        "Top indices by index failures": _WINDOW,
    },
    "open-telemetry__linux-dashboard.json": {"CPU Metadata": "it shows labels that no question names"},
    "victoriametrics__vmalert.json": {
        "Config update": _VALUE,
        "No data errors": _VALUE,
        "Rules with 0 produced samples ($group)": _VALUE,
        "Rows per request ($instance)": "its histogram has VictoriaMetrics' own buckets",
    },
}
"""Widgets that are converted and find nothing in such telemetry, by dashboard, each with its reason."""


@pytest.mark.parametrize("name", NAMES)
async def test_every_panel_called_converted_has_data(api, new_scope, deliver, otlp, name):
    source = json.loads(shared("dashboards", name).read_text("utf-8"))
    imported = convert(source)
    scope = new_scope()
    found = series(imported.dashboard)
    if found:
        await deliver(scope, *telemetry(otlp, found))
    headers = await api.headers(scope, *RIGHTS)
    made = await api.client.post("/api/v1/dashboards/import", json={"document": source}, headers=headers)
    assert made.status_code == 201, made.text
    path = f"/api/v1/dashboards/{made.json()['stored']['dashboard_id']}"
    times = {"start": str(START_NS), "end": str(END_NS)}
    answer = await api.client.post(f"{path}/variables", json=times, headers=headers)
    assert answer.status_code == 200, answer.text
    variables = {each["name"]: each for each in answer.json()["variables"]}
    assert [each for each in variables.values() if each["error"]] == []
    chosen = {
        name: [f"a {name}"] if any(option["value"] == f"a {name}" for option in each["options"]) else each["value"]
        for name, each in variables.items()
        if each["value"]
    }
    widgets = made.json()["dashboard"]["widgets"]
    asked = times | {"variables": chosen, "widgets": [each["key"] for each in widgets]}
    answer = await api.client.post(f"{path}/data", json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    by_key = {each["key"]: each for each in answer.json()["widgets"]}
    promql_only = {
        each["key"]: each["title"]
        for each in widgets
        if each["queries"] and all(query["question"]["kind"] == "promql" for query in each["queries"])
    }
    errors = [
        (key, query["error"] or each["error"])
        for key, each in by_key.items()
        for query in each["queries"]
        if query["error"] or each["error"]
    ]
    assert errors == []
    empty = {title for key, title in promql_only.items() if not has_data(by_key[key])}
    assert empty == set(EMPTY.get(name, ()))


def has_data(widget):
    if widget["tables"] is not None:
        return any(
            value is not None for table in widget["tables"] for column in table["columns"] for value in column["values"]
        )
    return any(value is not None for query in widget["queries"] for one in query["series"] for value in one["values"])
