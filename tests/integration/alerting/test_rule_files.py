"""Rules of others: imported with a report, once, used by their recorded names, and exported again."""

import json
from datetime import timedelta

import pytest
import yaml

from duoscope.alerting.named import NamedExpressions
from duoscope.kernel.named_expressions import nothing_named
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.syntax.parse import parse
from support.shared import shared

RIGHTS = ("alert-rule:read", "alert-rule:write", "alert-rule:delete", "metric:read", "audit-log:read", "alert:read")
COUNTED = {
    "altinity-clickhouse.yaml": (37, 0),
    "jsonnet-libs-kafka.yaml": (16, 0),
    "kube-prometheus-control-plane.yaml": (63, 71),
    "kube-prometheus-node-exporter.yaml": (26, 15),
    "kube-prometheus-prometheus.yaml": (23, 0),
    "sloth-burn-rates.yaml": (2, 15),
    "strimzi-kafka.yaml": (9, 0),
    "thanos-alerts.yaml": (48, 0),
    "thanos-recordings.yaml": (0, 16),
    "victoriametrics-vmagent.yaml": (16, 0),
}
"""Alerts and recordings."""


@pytest.fixture
async def call(api, new_scope):
    scope = new_scope()
    headers = await api.headers(scope, *RIGHTS)
    yield _calling(api, headers)
    # An evaluator of another test looks at the rules of all tenants.
    async with api.services.metadata.open(scope, "test.disable") as tx:
        await tx.execute("UPDATE alert_rules SET is_enabled = false")


def _calling(api, headers):
    async def calling(method, path, **how):
        answer = await api.client.request(method, f"/api/v1/{path}", headers=headers, **how)
        is_json = answer.headers.get("content-type", "").startswith("application/")
        return answer.status_code, answer.json() if answer.content and is_json else answer.text

    return calling


async def _imported(call, content, source="rules.yaml", **more):
    status, report = await call("POST", "alert-rules/import", json={"content": content, "source": source, **more})
    assert status == 200, report
    return report


async def test_ten_files_of_others_whole_and_once(call):
    """240 alerts and 117 recordings; at least 97 % of them lose nothing."""
    whole, total = 0, [0, 0]
    for name, (alerts, recordings) in COUNTED.items():
        content = shared("rules", name).read_text()
        report = await _imported(call, content, name)
        kinds = [line["kind"] for line in report["items"]]
        assert (kinds.count("alert"), kinds.count("record")) == (alerts, recordings), name
        assert {line["change"] for line in report["items"] if line["outcome"] != "refused"} == {"created"}
        assert all(line["reasons"] for line in report["items"] if line["outcome"] != "converted")
        whole += report["converted"]
        total = [total[0] + alerts, total[1] + recordings]
        again = await _imported(call, content, name)
        assert {line["change"] for line in again["items"]} == {"unchanged"}, name
    assert total == [240, 117]
    assert whole >= 0.97 * 357
    _, text = await call("GET", "alert-rules/export")
    exported = yaml.safe_load(text)["groups"]
    rules = [rule for group in exported for rule in group["rules"]]
    assert (sum("alert" in rule for rule in rules), sum("record" in rule for rule in rules)) == (240, 117)
    (burning,) = (rule for rule in rules if rule.get("alert") == "KubeAPIErrorBudgetBurn" and rule["for"] == "2m")
    assert (burning["labels"]["severity"], burning["labels"]["long"]) == ("critical", "1h")
    assert len({group["name"] for group in exported}) == len(exported)


RULES = """
groups:
- name: queues
  interval: 30s
  rules:
  - {record: 'queue:depth:max', expr: max by (queue) (depth), labels: {of: shop}}
  - alert: Deep
    expr: queue:depth:max{queue="a"} > 10
    for: 90s
    labels: {severity: page, team: shop}
    annotations: {summary: 'Queue {{ $labels.queue }}: {{ $value }}', runbook_url: 'https://wiki/deep'}
  - {alert: Deep, expr: depth > 100, labels: {severity: critical}}
  - {alert: Wrong, expr: 'sum(depth'}
  - {alert: Odd, expr: depth > 1, labels: {severity: info}, priority: 1,
     annotations: {summary: '{{ $labels.queue | loudly }}'}}
"""


async def test_what_is_lost_is_said_and_changes_follow_the_file(call):
    trial = await _imported(call, RULES, is_trial=True)
    assert (await call("GET", "alert-rules"))[1]["items"] == []
    report = await _imported(call, RULES)
    assert (report["converted"], report["partly"], report["refused"]) == (3, 1, 1)
    assert [line["outcome"] for line in trial["items"]] == [line["outcome"] for line in report["items"]]
    lines = {line["name"]: line for line in report["items"]}
    assert "1:" in lines["Wrong"]["reasons"][0]
    assert lines["Odd"]["reasons"][0] == "priority is left out"
    assert "loudly" in lines["Odd"]["reasons"][1]
    rules = {rule["name"]: rule for rule in (await call("GET", "alert-rules"))[1]["items"]}
    assert set(rules) == {"Deep", "Deep (critical)", "Odd"}
    deep = rules["Deep"]
    assert (deep["severity"], deep["labels"]) == ("critical", {"severity": "page", "team": "shop"})
    assert (deep["interval_seconds"], deep["policy_config"]["for_seconds"]) == (30, 90)
    assert (deep["runbook_url"], deep["source"]) == ("https://wiki/deep", "rules.yaml > queues > Deep > page")
    assert rules["Deep (critical)"]["labels"] == {"alertname": "Deep"}
    # What people decide here stays; what the file says anew comes.
    await call("PATCH", f"alert-rules/{deep['alert_rule_id']}", json={"is_enabled": False, "name": "Very deep"})
    again = await _imported(call, RULES.replace("for: 90s", "for: 5m"))
    assert [line["change"] for line in again["items"]] == ["unchanged", "changed", "unchanged", "none", "unchanged"]
    _, deep = await call("GET", f"alert-rules/{deep['alert_rule_id']}")
    assert (deep["is_enabled"], deep["name"], deep["policy_config"]["for_seconds"]) == (False, "Very deep", 300)
    assert deep["labels"]["alertname"] == "Deep"
    # Another file with the same alert is another rule.
    other = await _imported(call, RULES, "other.yaml")
    assert [line["change"] for line in other["items"]] == ["created"] * 3 + ["none", "created"]
    names = {rule["name"] for rule in (await call("GET", "alert-rules"))[1]["items"]}
    assert {"Deep", "Deep (critical) [other.yaml > queues > Deep > critical]"} <= names
    expressions = (await call("GET", "named-expressions?name=queue"))[1]["items"]
    assert {each["source"] for each in expressions} == {
        f"{name} > queues > queue:depth:max" for name in ("other.yaml", "rules.yaml")
    }
    path = f"named-expressions/{expressions[0]['named_expression_id']}"
    assert [(await call("DELETE", path))[0] for _ in range(2)] == [204, 404]
    logs = (await call("GET", "audit-logs?limit=100"))[1]["items"]
    assert {"named-expression.created", "named-expression.deleted", "alert-rule.created", "alert-rule.changed"} <= {
        each["action"] for each in logs
    }


REFUSED = {
    "no YAML": "groups: [",
    "no groups": "rules: []",
    "another resource": "apiVersion: v1\nkind: ConfigMap\ndata: {}",
    "deep": "a: " + "[" * 100,
    "half a name": r'{"groups": [{"name": "a", "rules": [{"alert": "\ud800", "expr": "up"}]}]}',
    "half a key": r'{"groups": [{"name": "a", "rules": [{"alert": "b", "expr": "up", "labels": {"\udfff": "c"}}]}]}',
    "empty": "\n---\n",
    "many lists": "a: [" + "[]," * 320_000 + "]",
    "a bomb": "\n".join(["a0: &a0 x", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))]),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
async def test_what_is_no_file_of_rules(call, content):
    status, problem = await call("POST", "alert-rules/import", json={"content": content})
    assert (status, problem["code"]) == (400, "invalid-file")


async def test_nobody_imports_what_they_may_not_read(api, new_scope):
    call = _calling(api, await api.headers(new_scope(), "alert-rule:write"))
    report = await _imported(call, RULES)
    assert {line["outcome"] for line in report["items"]} == {"refused"}
    assert all("metric:read" in line["reasons"][0] for line in report["items"] if line["name"] != "Wrong")


async def test_named_expressions_are_series(watched, api, request):
    """Computed where they are selected: at the moments of their interval, within ranges, and ending as they do."""
    call = _calling(api, await api.headers(watched.scope, *RIGHTS))
    watched.telemetry.know(NamedExpressions(watched.metadata).of)
    request.addfinalizer(lambda: watched.telemetry.know(nothing_named))
    rules = RULES.replace("interval: 30s", "interval: 60s")
    nested = "  - {record: 'of:depth:twice', expr: 'queue:depth:max * 2'}\n  - {record: self, expr: self + 1}\n"
    await _imported(call, rules + nested)
    await watched.gauge("depth", *((minute, 10 + minute) for minute in range(4)), queue="a")
    await watched.gauge("depth", (0, 1), queue="b")

    async def asked(expression, minute):
        at_ms = int((watched.start + timedelta(minutes=minute)).timestamp() * 1000)
        storage = ClickHouseStorage(watched.telemetry.bind(watched.scope))
        found = (await engine.instant(storage, expression, parse(expression), at_ms)).value
        return {
            dict(labels).get("queue"): value for labels, value in zip(found.labels, found.values[:, 0], strict=True)
        }

    assert await asked("queue:depth:max", 3.5) == {"a": 13, "b": 1}
    assert await asked('queue:depth:max{queue="a", of="shop"}', 3.5) == {"a": 13}
    assert await asked('queue:depth:max{of!="shop"}', 3.5) == {}
    assert await asked("max_over_time(queue:depth:max[2m])", 2) == {"a": 12, "b": 1}
    assert await asked("queue:depth:max offset 1m", 2) == {"a": 11, "b": 1}
    assert await asked("of:depth:twice", 3) == {"a": 26, "b": 2}
    # Five minutes after its last point a series is over, and so is what is recorded of it.
    assert await asked("queue:depth:max", 5) == {"a": 13}
    assert await asked("self", 3) == {}
    await watched.rule({"kind": "promql", "expression": "queue:depth:max > 12"}, {"kind": "any"}, delay_seconds=0,
                       first=2, name="Of a name")  # fmt: skip
    async with watched.metadata.open(watched.scope, "test.disable") as tx:
        await tx.execute("UPDATE alert_rules SET is_enabled = false WHERE name <> 'Of a name'")
    assert [each for minute in (2, 3) for each in await watched.minute(minute) if "firing" in each] == [
        "firing breach shop a"
    ]


GRAFANA = {
    "apiVersion": 1,
    "groups": [
        {
            "orgId": 1, "name": "eval", "folder": "shop", "interval": "1m",
            "rules": [
                {
                    "uid": "a", "title": "Slow", "condition": "C", "for": "5m", "noDataState": "OK",
                    "execErrState": "Error", "labels": {"severity": "warning"},
                    "annotations": {"summary": "It takes {{ $values.B.Value }}"},
                    "data": [
                        {"refId": "A", "datasourceUid": "prom", "relativeTimeRange": {"from": 600, "to": 0},
                         "model": {"expr": "sum by (queue) (depth)", "refId": "A"}},
                        {"refId": "B", "datasourceUid": "__expr__",
                         "model": {"type": "reduce", "expression": "A", "reducer": "max"}},
                        {"refId": "C", "datasourceUid": "__expr__",
                         "model": {"type": "threshold", "expression": "B", "conditions": [
                             {"evaluator": {"type": "gt", "params": [5]},
                              "unloadEvaluator": {"type": "lt", "params": [3]}}]}},
                    ],
                },
                {
                    "uid": "b", "title": "Share", "condition": "M", "noDataState": "NoData", "isPaused": True,
                    "data": [
                        {"refId": "A", "datasourceUid": "prom", "model": {"expr": "a", "instant": True}},
                        {"refId": "B", "datasourceUid": "prom", "model": {"expr": "rate(b[$__rate_interval])"}},
                        {"refId": "M", "datasourceUid": "__expr__",
                         "model": {"type": "math", "expression": "$A / ${B} > 0.5"}},
                    ],
                },
                {"uid": "c", "title": "Logs", "condition": "A",
                 "data": [{"refId": "A", "datasourceUid": "loki", "model": {"query": "{}"}}]},
                {"uid": "d", "title": "Both", "condition": "M", "data": [
                    {"refId": "A", "datasourceUid": "prom", "model": {"expr": "a"}},
                    {"refId": "M", "datasourceUid": "__expr__",
                     "model": {"type": "math", "expression": "$A > 1 && $A < 5"}}]},
                {"uid": "e", "title": "Circle", "condition": "M", "data": [
                    {"refId": "M", "datasourceUid": "__expr__", "model": {"type": "math", "expression": "$M + 1"}}]},
            ],
        }
    ],
}  # fmt: skip


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
async def test_rules_of_grafana(call, write):
    report = await _imported(call, write(GRAFANA), "")
    outcomes = {line["name"]: (line["outcome"], line["reasons"]) for line in report["items"]}
    assert outcomes["Slow"] == ("converted", [])
    assert outcomes["Share"][0] == "partly"
    assert {name for name, (outcome, _) in outcomes.items() if outcome == "refused"} == {"Logs", "Both", "Circle"}
    assert "not one of Prometheus" in outcomes["Logs"][1][0]
    assert "circle" in outcomes["Circle"][1][0]
    rules = {rule["name"]: rule for rule in (await call("GET", "alert-rules"))[1]["items"]}
    slow, share = rules["Slow"], rules["Share"]
    assert slow["query_config"]["expression"] == "max_over_time((sum by (queue) (depth))[10m:15s])"
    assert slow["condition_config"] | {"comparison": ">", "value": 5, "recovery": 3} == slow["condition_config"]
    assert (slow["annotations"]["summary"], slow["policy_config"]["for_seconds"]) == ("It takes {{ $value }}", 300)
    assert (share["query_config"]["expression"], share["is_enabled"]) == ("(a) / (rate(b[1m])) > 0.5", False)
    assert share["policy_config"]["no_data"] == "own"
    again = await _imported(call, write(GRAFANA), "")
    assert {line["change"] for line in again["items"]} == {"unchanged", "none"}


async def test_what_prometheus_could_not_evaluate_is_left_out_of_an_export(call):
    rule = {"name": "Of logs", "query_config": {"kind": "log"}, "severity": "info",
            "condition_config": {"kind": "threshold", "comparison": ">", "value": 3}}  # fmt: skip
    assert (await call("POST", "alert-rules", json=rule))[0] == 403
    depth = {"kind": "promql", "expression": "depth"}
    between = {"kind": "threshold", "comparison": "in", "low": 1, "high": 2}
    windowed = {"kind": "threshold", "comparison": ">", "value": 1, "window": {"seconds": 300}}
    for name, condition in (("Between", between), ("Gone", {"kind": "absence"}), ("Windowed", windowed)):
        await call("POST", "alert-rules", json=rule | {"name": name, "query_config": depth,
                                                      "condition_config": condition})  # fmt: skip
    text = (await call("GET", "alert-rules/export"))[1]
    assert text.startswith("# not exported: Windowed: Prometheus has nothing like this")
    (group,) = yaml.safe_load(text)["groups"]
    assert {rule["alert"]: rule["expr"] for rule in group["rules"]} == {
        "Between": "(depth) >= 1 and (depth) <= 2", "Gone": "absent(depth)",
    }  # fmt: skip
