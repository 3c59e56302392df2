"""Alerts as people work with them: taking note, what holds messages back, evidence, history, and noise."""

from datetime import datetime, timedelta

import pytest

from duoscope.worker.alert_shipping import ship_alerts

DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
RIGHTS = ("alert:read", "alert:write", "metric:read", "silence:write", "notification:write", "audit-log:read")
MINUTE = timedelta(minutes=1)


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
    await ship_alerts(watched.metadata, watched.telemetry.records())
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
