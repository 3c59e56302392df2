"""Alerts and deployments on dashboards: as annotations, and in panels that ask for ALERTS."""

import pytest

from duoscope.worker.alert_shipping import ship_alerts

S = 10**9
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
RIGHTS = ("dashboard:read", "dashboard:write", "metric:read", "alert:read", "trace:read")
PANEL = {
    "key": "alerts",
    "type": "table",
    "queries": [
        {"name": "A", "question": {"kind": "promql", "expression": 'ALERTS{alertstate="firing",queue="$queue"}'}},
        {"name": "B", "is_instant": True, "question": {"kind": "promql", "expression": "count(ALERTS)"}},
    ],
}
DOCUMENT = {
    "name": "D",
    "widgets": [PANEL],
    "sections": [{"places": [{"widget": "alerts", "x": 0, "y": 0, "width": 12, "height": 8}]}],
    "variables": [
        {"kind": "list", "name": "queue", "options": [{"value": "a"}, {"value": "b"}], "multi": True,
         "include_all": True, "value": ["a"]},
        {"kind": "text", "name": "shop", "value": "cart"},
    ],
    "annotations": [
        {"kind": "alerts", "name": "alerts", "color": "red", "labels": {"queue": "$queue"}},
        {"kind": "alerts", "name": "others", "rule": "OTHER"},
        {"kind": "deployments", "name": "releases", "services": ["$shop"]},
        {"kind": "promql", "name": "deep", "expression": "depth > 10", "title": "{{queue}} is deep"},
        {"kind": "promql", "name": "wrong", "expression": "depth + on(none) depth"},
        {"kind": "alerts", "name": "hidden", "is_shown": False},
    ],
}  # fmt: skip


@pytest.fixture
async def ask(watched, api, otlp, deliver):
    """Two alerts, a from minute 2 to 40 and b from 3 on, and a release in minute 20; asks over minutes 10 to 60."""
    await watched.rule(
        {"kind": "promql", "expression": "max by (queue) (depth)"}, ABOVE, for_seconds=60, delay_seconds=0
    )
    await watched.gauge("depth", (0, 1), (1, 20), (2, 20), (39, 20), (40, 2), queue="a")
    await watched.gauge("depth", (0, 1), (2, 20), (3, 20), (39, 20), (40, 20), queue="b")
    for minute in (0, 1, 2, 3, 39, 40):
        await watched.minute(minute)
    await ship_alerts(watched.metadata, watched.telemetry.records(), untold_s=0)
    start_s = int(watched.start.timestamp())
    for service, version, minute in (("cart", "1", 5), ("cart", "2", 20), ("other", "9", 30)):
        start_ns = (start_s + 60 * minute) * S
        span = {"trace_id": bytes([minute]) * 16, "span_id": bytes([minute]) * 8, "name": "x",
                "start_time_unix_nano": start_ns, "end_time_unix_nano": start_ns + S}  # fmt: skip
        await deliver(watched.scope, otlp.spans(service, span, **{"service.version": version}))
    headers = await api.headers(watched.scope, *RIGHTS)
    made = await api.client.post("/api/v1/dashboards", json=DOCUMENT, headers=headers)
    assert made.status_code == 201, made.text

    async def data(*rights, status=200, scope=watched.scope, **body):
        asked = {"start": str((start_s + 600) * S), "end": str((start_s + 3600) * S)} | body
        who = await api.headers(scope, *(rights or RIGHTS))
        path = f"/api/v1/dashboards/{made.json()['dashboard_id']}/data"
        answer = await api.client.post(path, json=asked, headers=who)
        assert answer.status_code == status, answer.text
        return answer.json()

    return data, lambda moment: (moment - start_s) / 60


async def test_alerts_and_deployments_are_annotations(ask):
    data, minute = ask
    found = {each["annotation"]: each for each in (await data())["annotations"]}
    assert list(found) == ["alerts", "others", "releases", "deep", "wrong"]
    shown = {
        name: [(minute(mark["time"]), mark["end"] and minute(mark["end"]), mark["title"]) for mark in each["marks"]]
        for name, each in found.items()
    }
    assert shown["alerts"] == [(2, 40, "rule")]
    assert found["alerts"]["marks"][0]["labels"] == {"severity": "critical", "queue": "a", "team": "shop"}
    assert shown["others"] == []
    assert shown["releases"] == [(20, None, "cart 2")]
    assert found["releases"]["marks"][0]["labels"] == {"service": "cart", "version": "2", "before": "1"}
    assert {title for *_, title in shown["deep"]} == {"a is deep", "b is deep"}
    assert found["wrong"]["error"]["code"] == "invalid-question"
    everything = await data(variables={"queue": ["$__all"]})
    assert [(minute(mark["time"]), mark["end"]) for mark in everything["annotations"][0]["marks"]][1:] == [(3, None)]
    again = await data()
    assert all(each["cost"]["is_cached"] for each in again["annotations"] if each["error"] is None)
    assert (await data(with_annotations=False))["annotations"] == []


async def test_annotations_need_the_permission_of_what_they_tell(ask, new_scope):
    data, _ = ask
    found = await data("dashboard:read", "metric:read")
    assert [each["error"] and each["error"]["code"] for each in found["annotations"]] == [
        "forbidden", "forbidden", "forbidden", None, "invalid-question",
    ]  # fmt: skip
    await data(scope=new_scope(), status=404)


async def test_a_panel_of_alerts_shows_ours(ask):
    data, minute = ask
    firing, counted = (await data())["widgets"][0]["queries"]
    (series,) = firing["series"]
    assert series["labels"] == {
        "__name__": "ALERTS", "alertname": "rule", "alertstate": "firing", "queue": "a", "severity": "critical",
        "team": "shop",
    }  # fmt: skip
    step = firing["step_seconds"]
    times = [minute(firing["start"] + n * step) for n, value in enumerate(series["values"]) if value == 1]
    assert 10 <= times[0] < 11
    assert 39 <= times[-1] < 40
    assert [each["values"] for each in counted["series"]] == [[1]]
