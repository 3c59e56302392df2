"""Rules and alerts as Prometheus' clients read them, with the states of the evaluator."""

DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}


async def test_rules_and_alerts_have_their_real_state(watched, api):
    await watched.rule(DEPTH, ABOVE, for_seconds=60, delay_seconds=0)
    await watched.rule({"kind": "log"}, ABOVE, name="of logs")
    await watched.gauge("depth", *enumerate([20, 20]), queue="a")
    readers = {
        "of metrics": await api.headers(watched.scope, "metric:read"),
        "of all": await api.headers(watched.scope, "metric:read", "alert-rule:read", "alert:read"),
    }

    async def asked(what, who="of metrics"):
        answer = await api.client.get(f"/api/v1/prom/api/v1/{what}", headers=readers[who])
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    states = []
    for minute in range(2):
        await watched.minute(minute)
        (group,) = (await asked("rules"))["groups"]
        (alert,) = (await asked("alerts"))["alerts"]
        assert group["rules"][0]["alerts"] == [alert]
        states.append((group["rules"][0]["state"], group["rules"][0]["health"], alert["state"]))
    assert states == [("pending", "ok", "pending"), ("firing", "ok", "firing")]
    assert group["rules"][0]["query"] == "max by (queue) (depth) > 10"
    assert (group["interval"], group["rules"][0]["duration"]) == (60, 60)
    assert alert["labels"] == {"alertname": "rule", "severity": "critical", "queue": "a", "team": "shop"}
    assert alert["value"] == "20"
    assert [each["name"] for each in (await asked("rules", "of all"))["groups"]] == ["of logs", "rule"]
