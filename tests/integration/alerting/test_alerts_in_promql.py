"""ALERTS and ALERTS_FOR_STATE in PromQL, made of what happened to alerts."""

from datetime import timedelta

import pytest

from duoscope.worker.alert_shipping import ship_alerts

MINUTE = timedelta(minutes=1)
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}


@pytest.fixture
async def asked(watched, api):
    """A rule that was pending in minute 1, firing from 2 to 39, and resolved in 40; and one over logs."""
    await watched.rule(
        {"kind": "promql", "expression": "max by (queue) (depth)"}, ABOVE, for_seconds=60, delay_seconds=0
    )
    await watched.rule({"kind": "log"}, {"kind": "threshold", "comparison": ">=", "value": 0}, name="of logs")
    await watched.gauge("depth", (0, 1), (1, 20), (2, 20), (39, 20), (40, 2), queue="a")
    for minute in (0, 1, 2, 39, 40):
        await watched.minute(minute)
    await ship_alerts(watched.metadata, watched.telemetry.records(), untold_s=0)
    headers = await api.headers(watched.scope, "metric:read")

    async def ask(query, path="query", **when):
        answer = await api.client.get(f"/api/v1/prom/api/v1/{path}", params={"query": query} | when, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    start_s = watched.start.timestamp()
    return ask, lambda minute: start_s + 60 * minute


LABELS = {"alertname": "rule", "severity": "critical", "queue": "a", "team": "shop"}


async def test_alerts_have_their_state_at_each_moment(asked):
    ask, at = asked
    states = {}
    for minute in (0.5, 1, 1.9, 2, 20, 39.9, 40, 41):
        found = await ask("ALERTS", time=at(minute))
        states[minute] = [each["metric"]["alertstate"] for each in found]
        for each in found:
            assert each["metric"] == LABELS | {"__name__": "ALERTS", "alertstate": each["metric"]["alertstate"]}
            assert each["value"][1] == "1"
    assert states == {
        0.5: [], 1: ["pending"], 1.9: ["pending"], 2: ["firing"], 20: ["firing"], 39.9: ["firing"], 40: [], 41: [],
    }  # fmt: skip


async def test_the_state_for_which_an_alert_waits_is_when_its_breach_began(asked):
    ask, at = asked
    (found,) = await ask("ALERTS_FOR_STATE", time=at(30))
    assert found["metric"] == LABELS | {"__name__": "ALERTS_FOR_STATE"}
    assert float(found["value"][1]) == at(1)
    assert await ask("ALERTS_FOR_STATE", time=at(40.5)) == []


async def test_ranges_matchers_and_functions(asked):
    ask, at = asked
    firing = 'ALERTS{alertstate="firing", team=~"sh.*"}'
    (found,) = await ask(firing, "query_range", start=at(0), end=at(45), step=60)
    assert [moment for moment, _ in found["values"]] == [at(minute) for minute in range(2, 40)]
    assert await ask('ALERTS{alertname="other"}', time=at(20)) == []
    (counted,) = await ask(f"sum(count_over_time({firing}[10m]))", time=at(20))
    assert float(counted["value"][1]) == 20
    assert (await ask("count(ALERTS) by (alertname)", time=at(20)))[0]["metric"] == {"alertname": "rule"}


async def test_another_tenant_sees_none(asked, api, new_scope, watched):
    _, at = asked
    headers = await api.headers(new_scope(), "metric:read")
    answer = await api.client.get(
        "/api/v1/prom/api/v1/query", params={"query": "ALERTS", "time": at(20)}, headers=headers
    )
    assert answer.json()["data"]["result"] == []
