"""Real dashboards of others, imported and looked at over telemetry that has the names and labels that they ask for."""

import json
from collections import defaultdict

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.dashboards.grafana.dashboards import convert
from duoscope.kernel.clock import now_unix_nano
from support.asked_series import series
from support.shared import shared

MINUTE_NS = 60 * 10**9
SCRAPE_NS = 15 * 10**9
END_NS = now_unix_nano() // MINUTE_NS * MINUTE_NS - 2 * MINUTE_NS
START_NS = END_NS - 60 * MINUTE_NS
RIGHTS = ("dashboard:read", "dashboard:write", "metric:read", "log:read", "trace:read", "alert:read")
try:
    NAMES = [path.name for path in sorted(shared("dashboards").glob("*.json"))]
except pytest.skip.Exception:
    NAMES = []


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
