"""Shared dashboards: what a stranger with a link sees, and that nothing else can be had with it."""

import json
import logging
import re

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.dashboards import sharing
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope

RIGHTS = ("dashboard:read", "dashboard:write", "dashboard:delete", "metric:read", "log:read", "audit-log:read")
SECRET = "depth_of_the_secret"
MINUTE_NS = 60 * 10**9


def document(metric=SECRET, name="Shared"):
    widgets = [
        {"key": "line", "type": "line_chart", "title": "Depth of $pod",
         "queries": [{"name": "A", "legend": "{{pod}}",
                      "question": {"kind": "promql", "expression": f'{metric}{{pod=~"$pod",other!="$other"}}'}}]},
        {"key": "logs", "type": "logs", "queries": [{"name": "A", "question": {"kind": "log-records", "query": "x"}}]},
        {"key": "wrong", "type": "stat", "queries": [{"name": "A", "question": {"kind": "promql",
                                                      "expression": f"{metric} + on(none) {metric}"}}]},
        {"key": "note", "type": "text", "text": "# Hello\n\n<script>alert(1)</script>"},
    ]  # fmt: skip
    places = [{"widget": each["key"], "x": 0, "y": 4 * n, "width": 12, "height": 4} for n, each in enumerate(widgets)]
    variables = [
        {"kind": "query", "name": "pod", "multi": True, "include_all": True, "value": ["a"],
         "source": {"kind": "label-values", "label": "pod"}},
        {"kind": "text", "name": "other", "value": "hidden"},
    ]  # fmt: skip
    sections = [{"places": places[:3]}, {"title": "More", "is_collapsed": True, "places": places[3:]}]
    return {"name": name, "widgets": widgets, "variables": variables, "sections": sections}


@pytest.fixture
def owner(api, new_scope, deliver, otlp):
    """Makes a tenant with telemetry and a dashboard."""

    async def make(value):
        scope = new_scope()
        now = now_unix_nano() // MINUTE_NS * MINUTE_NS
        for pod in ("a", "b", "c"):
            points = [
                NumberDataPoint(
                    time_unix_nano=now - n * MINUTE_NS, as_double=value, attributes=otlp.attributes({"pod": pod})
                )
                for n in range(60)
            ]
            await deliver(scope, otlp.metrics("cart", Metric(name=SECRET, gauge=Gauge(data_points=points))))
        attributes = {"password": "hunter2"}
        record = {"time_unix_nano": now - 1, "body": "x marks", "attributes": attributes, "trace_id": b"t" * 16}
        await deliver(scope, otlp.logs("cart", record))
        headers = await api.headers(scope, *RIGHTS)

        async def call(method, path, body=None, *, status):
            answer = await api.client.request(method, f"/api/v1/dashboards{path}", json=body, headers=headers)
            assert answer.status_code == status, answer.text
            return answer.json() if answer.content else None

        made = await call("POST", "", document(), status=201)
        call.scope, call.path, call.id = scope, f"/{made['dashboard_id']}", made["dashboard_id"]
        return call

    return make


async def shared(call, **terms):
    return await call("POST", f"{call.path}/links", {"name": "For all", **terms}, status=201)


async def test_a_stranger_sees_the_dashboard_and_its_data(api, owner):
    call = await owner(1.0)
    made = await shared(call, variables={"pod": ["a", "b"]}, range_seconds_max=7200)
    token = made["token"]
    assert sharing.TOKEN.fullmatch(token)
    assert made["url"] == f"http://test/public/dashboards/{token}"
    seen = await api.client.get(f"/api/v1/public/dashboards/{token}")
    assert seen.status_code == 200
    assert (seen.headers["cache-control"], seen.headers["x-robots-tag"]) == ("no-store", "noindex, nofollow")
    assert set(seen.json()) == {"name", "description", "range_seconds", "range_seconds_max", "refresh_seconds",
                                "variables", "sections", "widgets"}  # fmt: skip
    assert seen.json()["variables"] == [
        {"name": "pod", "label": "pod", "values": ["a", "b"], "chosen": ["a"], "multi": True}
    ]
    answer = await api.client.post(f"/api/v1/public/dashboards/{token}/data", json={"variables": {"pod": ["b"]}})
    line, logs, wrong = answer.json()["widgets"]
    (series,) = line["queries"][0]["series"]
    assert series["labels"]["pod"] == "b"
    assert 1.0 in series["values"]
    assert [(each["body"], set(each)) for each in logs["queries"][0]["records"]] == [
        ("x marks", {"timestamp", "severity", "service", "body"})
    ]
    assert wrong["queries"][0]["has_failed"]
    for text in (seen.text, answer.text):
        for hidden in ("on(none)", 'pod=~"', "hunter2", "7474747474", "hidden", str(call.scope.tenant_id), call.id):
            assert hidden not in text
    assert (await call("GET", call.path, status=200))["is_public"]


@pytest.mark.parametrize(("at_first", "pods"), [(["$__all"], {"a", "b"}), (["c"], {"a", "b"}), (["b"], {"b"})])
async def test_what_is_not_chosen_is_no_more_than_what_is_listed(api, owner, at_first, pods):
    """Whatever the dashboard begins with, be it all."""
    call = await owner(1.0)
    body = document()
    body["variables"][0]["value"] = at_first
    call.path = f"/{(await call('POST', '', body, status=201))['dashboard_id']}"
    made = await shared(call, variables={"pod": ["a", "b"]})
    root = f"/api/v1/public/dashboards/{made['token']}"
    answer = await api.client.post(f"{root}/data", json={"widgets": ["line"]})
    (line,) = answer.json()["widgets"]
    assert {series["labels"]["pod"] for series in line["queries"][0]["series"]} == pods
    page = await api.client.get(f"/public/dashboards/{made['token']}", headers={"accept": "text/html"})
    assert "Depth of c" not in page.text


async def test_the_page_draws_it_and_loads_nothing(api, owner):
    call = await owner(1.0)
    made = await shared(call, variables={"pod": ["a", "b"]}, embed_origins=["https://wiki.example"])
    path = f"/public/dashboards/{made['token']}"
    page = await api.client.get(path, headers={"accept": "text/html"})
    assert page.status_code == 200, page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors https://wiki.example" in policy
    assert "script-src" not in policy
    assert "<svg" in page.text
    assert "x marks" in page.text
    assert "<script" not in page.text
    assert not re.search(r"(src|href)=\"(?!\?)", page.text)
    opened = await api.client.get(path, params={"open": "1", "var-pod": "b", "range": "900"})
    assert "&lt;script&gt;alert(1)" in opened.text
    assert "Depth of b" in opened.text
    unshown = await shared(call)
    plain = await api.client.get(f"/public/dashboards/{unshown['token']}")
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]


async def test_whatever_a_stranger_sends_nothing_else_comes(api, owner, caplog, monkeypatch):
    monkeypatch.setattr(sharing, "_BURST", 10_000.0)
    monkeypatch.setattr(sharing, "_WRONG_BURST", 10_000.0)
    mine, theirs = await owner(1.0), await owner(2.0)
    other = await theirs("POST", "", document(name="Private"), status=201)
    made = await shared(mine, variables={"pod": ["a"]}, range_seconds_max=3600)
    foreign = await shared(theirs)
    token, link_id = made["token"], made["link"]["dashboard_link_id"]
    root = f"/api/v1/public/dashboards/{token}"
    caplog.set_level(logging.INFO)
    unknown = await api.client.get(f"/api/v1/public/dashboards/dsl_{'a' * 26}")
    assert unknown.status_code == 404
    wrong_tokens = (
        ":token", "{token}", "%3Atoken", mine.id, link_id, theirs.id, other["dashboard_id"], str(new_id()),
        sharing._hash(token), token.upper(), token[:-1], token + "a", token.removeprefix("dsl_"), "*", "null", "..",
        "%00", "%ff", "'%20OR%20true", "a" * 2000, "data",
    )  # fmt: skip
    for wrong in wrong_tokens:
        for method, path in (
            ("GET", wrong),
            ("POST", f"{wrong}/data"),
            ("GET", f"../../../../public/dashboards/{wrong}"),
        ):
            answer = await api.client.request(method, f"/api/v1/public/dashboards/{path}", json={})
            assert answer.status_code in (400, 404, 405), (wrong, answer.status_code)
            assert SECRET not in answer.text
    bodies = (
        {"variables": {"pod": ["b"]}}, {"variables": {"pod": ["a", "b"]}}, {"variables": {"pod": ["$__all"]}},
        {"variables": {"pod": []}}, {"variables": {"other": ["x"]}}, {"variables": {"other": ["hidden"]}},
        {"variables": {"nobody": ["a"]}}, {"variables": {"pod": ['a"} or depth{pod="b']}}, {"variables": []},
        {"widgets": ["nobody"]}, {"widgets": [other["dashboard_id"]]}, {"widgets": ["line"] * 201},
        {"range_seconds": 3601}, {"range_seconds": 59}, {"range_seconds": -1}, {"range_seconds": 10**20},
        {"range_seconds": "1h"}, {"start": "2020-01-01T00:00:00Z"}, {"end": "0"},
        {"dashboard_id": other["dashboard_id"]},
        {"tenant_id": str(theirs.scope.tenant_id)}, {"queries": [{"expression": "up"}]}, {"expression": "up"},
        [], "x", 1,
    )  # fmt: skip
    for body in bodies:
        answer = await api.client.post(f"{root}/data", json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert SECRET not in answer.text
    for query in ("var-pod=b", "var-other=hidden", "range=99999", "range=x", "x=1", "open=x", "var-=a", "tenant_id=1"):
        answer = await api.client.get(f"/public/dashboards/{token}?{query}")
        assert answer.status_code == 400, query
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        for path in (root, f"/public/dashboards/{token}"):
            assert (await api.client.request(method, path, json={})).status_code == 405
    for path in ("/variables", "/links", "/export", "/versions", f"/links/{link_id}", "/data/../export"):
        answer = await api.client.get(root + path)
        assert answer.status_code in (404, 405), path
    bearer = {"authorization": f"Bearer {token}", "x-api-key": token}
    for path in ("/api/v1/dashboards", f"/api/v1/dashboards/{mine.id}", f"/api/v1/dashboards/{mine.id}/links"):
        assert (await api.client.get(path, headers=bearer)).status_code == 401
    whole = await api.client.post(f"{root}/data", json={"widgets": ["line"], "range_seconds": 3600})
    (series,) = whole.json()["widgets"][0]["queries"][0]["series"]
    assert {value for value in series["values"] if value is not None} == {1.0}  # and not the neighbour's
    logged = [str(vars(each)) for each in caplog.records if each.name.startswith("duoscope")]
    assert any("/public/dashboards/***" in each for each in logged)
    assert not any(token in each or foreign["token"] in each for each in logged)


async def test_a_revoked_link_shows_nothing(api, owner, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(api.services.links, "_clock", lambda: now[0])
    call = await owner(1.0)
    first, second = await shared(call), await shared(call)
    paths = [f"/api/v1/public/dashboards/{each['token']}" for each in (first, second)]
    assert [(await api.client.get(path)).status_code for path in paths] == [200, 200]
    await call("DELETE", f"{call.path}/links/{first['link']['dashboard_link_id']}", status=204)
    now[0] += 1.99
    gone = await api.client.get(paths[0])
    never = await api.client.get(f"/api/v1/public/dashboards/dsl_{'a' * 26}")
    assert gone.status_code == 404
    assert {**gone.json(), "request_id": ""} == {**never.json(), "request_id": ""}
    assert (await api.client.get(paths[1])).status_code == 200
    await call("DELETE", f"{call.path}/links/{first['link']['dashboard_link_id']}", status=404)
    async with api.services.metadata.open_platform(PlatformScope(reason="a test"), "test.links") as tx:
        kept = await tx.fetch("SELECT * FROM dashboard_links")
    assert first["token"] not in str([dict(row) for row in kept])
    await call("DELETE", call.path, status=204)
    now[0] += 1.99
    assert (await api.client.get(paths[1])).status_code == 404


async def test_a_link_ends_when_it_says_and_is_made_by_who_may_read(api, owner):
    call = await owner(1.0)
    past = await call("POST", f"{call.path}/links", {"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, status=400)
    assert past["code"] == "invalid-request"
    for far in ("9999-12-31T23:59:59-12:00", "9999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        await call("POST", f"{call.path}/links", {"name": "x", "expires_at": far}, status=400)
    for wrong in ({"embed_origins": ["*"]}, {"embed_origins": ["wiki"]}, {"variables": {"nobody": ["a"]}}):
        await call("POST", f"{call.path}/links", {"name": "x", **wrong}, status=400)
    for rights in (("dashboard:read", "metric:read", "log:read"), ("dashboard:write", "metric:read")):
        headers = await api.headers(call.scope, *rights)
        answer = await api.client.post(f"/api/v1/dashboards{call.path}/links", json={"name": "x"}, headers=headers)
        assert answer.status_code == 403
    made = await shared(call, expires_at="2100-01-01T00:00:00Z")
    async with api.services.metadata.open(call.scope, "test.expire") as tx:
        await tx.execute("UPDATE dashboard_links SET expires_at = now()")
    assert (await api.client.get(f"/api/v1/public/dashboards/{made['token']}")).status_code == 404
    listed = await call("GET", f"{call.path}/links", status=200)
    assert [(each["name"], "token" in json.dumps(each)) for each in listed["items"]] == [("For all", False)]


async def test_guesses_are_slowed_down(api):
    statuses = [
        (await api.client.get(f"/api/v1/public/dashboards/dsl_{'a' * 24}{number:02}")).status_code
        for number in range(22, 50)
    ]
    assert statuses[:15] == [404] * 15
    assert statuses[-1] == 429
