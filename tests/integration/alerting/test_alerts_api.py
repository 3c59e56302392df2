"""Alerts as people work with them: taking note, what holds messages back, evidence, history, and noise."""

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Gauge, Metric, NumberDataPoint

from duoscope.alerting import rules
from duoscope.worker.alert_shipping import ship_alerts

DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
RIGHTS = ("alert:read", "alert:write", "metric:read", "silence:write", "notification:write", "audit-log:read")
MINUTE = timedelta(minutes=1)
S = 10**9


@pytest.fixture
async def call(watched, api):
    headers = await api.headers(watched.scope, *RIGHTS)

    async def calling(method, path, status=200, **how):
        answer = await api.client.request(method, f"/api/v1/{path}", headers=headers, **how)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    return calling


async def test_an_acknowledgement_ends_with_the_firing(watched, call):
    rule = await watched.rule(DEPTH, ABOVE, for_seconds=60, cooldown_minutes=0, delay_seconds=0, vanished="keep")
    await watched.gauge("depth", *enumerate([20, 20, 20, 1, 20, 20, 20]), queue="a")
    await watched.minute(0)
    (alert,) = (await call("GET", "alerts"))["items"]
    path = f"alerts/{alert['instance_id']}/acknowledge"
    assert (await call("POST", path, 409, json={"comment": "early"}))["code"] == "alert-not-firing"
    await watched.minute(1)
    await call("POST", path, 400, json={"comment": ""})
    await call("POST", path, 204, json={"comment": "I am at it"})
    (alert,) = (await call("GET", "alerts?acknowledged=true"))["items"]
    assert alert["acknowledgement"]["comment"] == "I am at it"
    assert alert["acknowledgement"]["acknowledged_by_email"]
    assert alert["evidence"]["query_config"] == DEPTH
    assert datetime.fromisoformat(alert["evidence"]["start"]) == watched.start - timedelta(minutes=15)
    # Another evaluation of the same firing keeps it; the next firing begins without.
    await watched.minute(2)
    assert len((await call("GET", "alerts?acknowledged=true"))["items"]) == 1
    for minute in (3, 4, 5):
        await watched.minute(minute)
    (alert,) = (await call("GET", "alerts"))["items"]
    assert (alert["status"], alert["acknowledgement"]) == ("firing", None)
    assert (await call("GET", "alerts?acknowledged=true"))["items"] == []
    logs = (await call("GET", "audit-logs?action=alert.acknowledged"))["items"]
    assert [each["after"]["comment"] for each in logs] == ["I am at it"]
    assert str(rule.alert_rule_id) == alert["alert_rule_id"]


async def test_evidence_is_a_page_and_traces(watched, call, api):
    """The question with its range as a page of the UI, the traces of exemplars and spans, and texts filled in."""
    start_ns = int(watched.start.timestamp() * S)
    exemplar = Exemplar(time_unix_nano=start_ns - S, as_double=20, trace_id=b"T" * 16, span_id=b"S" * 8)
    point = NumberDataPoint(
        time_unix_nano=start_ns - S, as_double=20, attributes=watched.otlp.attributes({"queue": "a"}),
        exemplars=[exemplar],
    )  # fmt: skip
    metric = Metric(name="depth", gauge=Gauge(data_points=[point]))
    await watched.deliver(watched.scope, watched.otlp.metrics("shop", metric))
    spans = [
        {"trace_id": bytes([each]) * 16, "span_id": bytes([each]) * 8, "name": "GET /", "status": 2,
         "start_time_unix_nano": start_ns - each * S, "end_time_unix_nano": start_ns - each * S + 5,
         "attributes": {"route": "/cart" if each < 8 else "/"}}
        for each in range(1, 10)
    ]  # fmt: skip
    await watched.deliver(watched.scope, watched.otlp.spans("shop", *spans))
    asking = {"summary": "{{ $labels.queue }}", "most": '{{ with query "max(depth)" }}{{ . | first | value }}{{ end }}'}
    rule = await watched.rule(DEPTH, ABOVE, name="deep", delay_seconds=0)
    await rules.change(watched.metadata, watched.principal, rule.alert_rule_id, {"annotations": asking}, version=None)
    errors = {"kind": "trace", "query": "status:error", "group_by": ["route"]}
    await watched.rule(errors, ABOVE | {"value": 5}, name="errors", delay_seconds=0)
    await watched.minute(0)
    listed = {each["alert_rule_name"]: each for each in (await call("GET", "alerts"))["items"]}
    assert listed["deep"]["annotations"] == {"summary": "a", "most": asking["most"]}
    assert listed["deep"]["evidence"]["traces"] is None
    assert listed["errors"]["annotations"] == {"summary": "7"}
    url = urlsplit(listed["errors"]["evidence"]["url"])
    assert url.path == f"/t/{watched.scope.tenant_id}/traces"
    assert parse_qs(url.query)["q"] == ['(status:error) route:"/cart"']
    assert parse_qs(urlsplit(listed["deep"]["evidence"]["url"]).query)["promql"] == [DEPTH["expression"]]
    deep = await call("GET", f"alerts/{listed['deep']['instance_id']}")
    assert deep["annotations"] == {"summary": "a", "most": "20"}
    assert [(each["trace_id"], each["value"]) for each in deep["evidence"]["traces"]] == [((b"T" * 16).hex(), 20)]
    headers = await api.headers(watched.scope, "alert:read", "trace:read")
    path = f"/api/v1/alerts/{listed['errors']['instance_id']}"
    traces = (await api.client.get(path, headers=headers)).json()["evidence"]["traces"]
    assert [each["trace_id"] for each in traces] == [(bytes([each]) * 16).hex() for each in range(1, 6)]
    # Who may not read spans sees the alert, and none of its traces.
    headers = await api.headers(watched.scope, "alert:read")
    assert (await api.client.get(path, headers=headers)).json()["evidence"]["traces"] is None
    await call("GET", f"alerts/{rule.alert_rule_id}", 404)
    # Alertmanager's and Prometheus' APIs have them filled in too.
    (of_am,) = [each for each in await call("GET", "alertmanager/api/v2/alerts") if "queue" in each["labels"]]
    assert of_am["annotations"]["summary"] == "a"
    assert "promql=" in of_am["generatorURL"]


async def test_what_holds_an_alert_back_is_said(watched, call):
    for name in ("cause", "effect"):
        await watched.rule(DEPTH, ABOVE, name=name, delay_seconds=0)
    await watched.gauge("depth", (0, 20), queue="a")
    await watched.minute(0)
    silence = await call("POST", "silences", 201, json={
        "matchers": [{"name": "queue", "operator": "=", "value": "a"},
                     {"name": "alertname", "operator": "=", "value": "cause"}],
        "comment": "x", "ends_at": "2100-01-01T00:00:00Z"})  # fmt: skip
    await call("POST", "inhibition-rules", 201, json={
        "name": "x", "equal": ["queue"],
        "source_matchers": [{"name": "alertname", "operator": "=", "value": "cause"}],
        "target_matchers": [{"name": "alertname", "operator": "=", "value": "effect"}]})  # fmt: skip
    alerts = {each["alert_rule_name"]: each for each in (await call("GET", "alerts"))["items"]}
    assert alerts["cause"]["silenced_by"] == [silence["silence_id"]]
    assert alerts["cause"]["inhibited_by"] == []
    assert alerts["effect"]["silenced_by"] == []
    assert alerts["effect"]["inhibited_by"] == [alerts["cause"]["instance_id"]]


async def test_history_and_noise(watched, call):
    loud = await watched.rule(DEPTH, ABOVE, name="loud", delay_seconds=0)
    await watched.rule(DEPTH, ABOVE | {"value": 50}, name="quiet", delay_seconds=0)
    await watched.gauge("depth", *enumerate([20, 1, 20, 1, 60, 1]), queue="a")
    await watched.gauge("depth", *enumerate([1, 1, 20, 1, 1, 1]), queue="b")
    for minute in range(6):
        await watched.minute(minute)
    await ship_alerts(watched.metadata, watched.telemetry.records(), untold_s=0)
    times = f"start={watched.start:%Y-%m-%dT%H:%M:%SZ}&end={watched.start + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    found, cursor = [], ""
    while cursor is not None:
        page = await call("GET", f"alerts/history?{times}&limit=3{cursor and f'&cursor={cursor}'}")
        found += page["items"]
        cursor = page["next_cursor"]
    assert len(found) == len({each["transition_id"] for each in found}) == 10
    assert [each["timestamp"] for each in found] == sorted((each["timestamp"] for each in found), reverse=True)
    of_rule = (await call("GET", f"alert-rules/{loud.alert_rule_id}/history?{times}"))["items"]
    assert {each["alert_rule_name"] for each in of_rule} == {"loud"}
    assert len(of_rule) == 8
    fired = (await call("GET", f"alerts/history?{times}&status=triggered&alert_rule_id={loud.alert_rule_id}"))["items"]
    assert [each["value"] for each in fired[:1]] == [60]
    first, second = (await call("GET", f"alerts/noisiest?{times}"))["items"]
    assert (first["alert_rule_name"], first["firings"], first["instances"], first["flaps"]) == ("loud", 4, 2, 2)
    assert (second["alert_rule_name"], second["firings"], second["share"]) == ("quiet", 1, 0.2)
