"""Dashboards over the API: what is written is read, versions, conflicts, imports and exports."""

import json

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from duoscope.dashboards import management
from duoscope.kernel.scope import PlatformScope
from support.dashboards import dashboards
from support.shared import shared

RIGHTS = ("dashboard:read", "dashboard:write", "dashboard:delete", "metric:read", "log:read", "audit-log:read")
WIDGET = {
    "key": "rate",
    "type": "line_chart",
    "title": "Requests",
    "queries": [{"name": "A", "question": {"kind": "promql", "expression": 'rate(x{job=~"$job"}[$__rate_interval])'}}],
    "options": {"unit": "reqps"},
}
DOCUMENT = {
    "name": "Checkout",
    "tags": ["shop"],
    "widgets": [WIDGET, {"key": "note", "type": "text", "text": "# Hello"}],
    "sections": [
        {"places": [{"widget": "note", "x": 0, "y": 0, "width": 24, "height": 2}]},
        {
            "title": "More",
            "is_collapsed": True,
            "places": [{"widget": "rate", "x": 0, "y": 0, "width": 8, "height": 8}],
        },
    ],
    "variables": [{"kind": "query", "name": "job", "source": {"kind": "label-values", "label": "job"}}],
}


@pytest.fixture
async def call(api, new_scope):
    """Calls the API as somebody who may do everything with dashboards; checks the status."""
    headers = await api.headers(new_scope(), *RIGHTS)

    async def request(method, path, body=None, *, status=200, if_match=None, **params):
        answer = await api.client.request(
            method,
            f"/api/v1/dashboards{path}",
            json=body,
            params=params,
            headers=headers | ({"if-match": if_match} if if_match else {}),
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    request.headers = headers
    return request


@pytest.fixture
async def made(call):
    return await call("POST", "", DOCUMENT, status=201)


async def test_what_is_written_is_read(call, made):
    path = f"/{made['dashboard_id']}"
    read = await call("GET", path)
    assert read == made
    assert (read["version"], read["dashboard"]["widgets"][0]["options"]["unit"]) == (1, "reqps")
    exported = await call("GET", f"{path}/export")
    assert exported == read["dashboard"]
    (listed,) = (await call("GET", "", tag="shop", name="check"))["items"]
    assert (listed["dashboard_id"], listed["tags"]) == (made["dashboard_id"], ["shop"])
    assert (await call("GET", "", tag="other"))["items"] == []


async def test_a_look_is_counted_and_writes_nothing_else(api, call, made):
    path = f"/{made['dashboard_id']}"
    for _ in range(3):
        await call("GET", path)
    await call("GET", "")
    await call("POST", f"{path}/data", {})
    await call("GET", f"{path}/versions")
    await api.services.views.flush()
    assert await call("GET", path) == made | {"view_count": 3}
    entries = await api.client.get("/api/v1/audit-logs", headers=call.headers)
    assert [each["action"] for each in entries.json()["items"]] == ["dashboard.created"]
    link = {"name": "wiki", "variables": {}}
    token = (await call("POST", f"{path}/links", link, status=201))["token"]
    for shown in ("api/v1/public", "public"):
        assert (await api.client.get(f"/{shown}/dashboards/{token}")).status_code == 200
    await api.services.views.flush()
    assert (await call("GET", path))["view_count"] == 6


async def test_one_widget_or_variable_is_changed_under_if_match(api, call, made):
    path = f"/{made['dashboard_id']}"
    whole = await api.client.get(f"/api/v1/dashboards{path}", headers=call.headers)
    changed = await call(
        "PATCH", f"{path}/widgets/rate", {"title": "Rate", "options": {"decimals": 1}}, if_match=whole.headers["etag"]
    )
    widget = changed["dashboard"]["widgets"][0]
    assert (widget["title"], widget["options"]["unit"], widget["options"]["decimals"]) == ("Rate", "reqps", 1)
    refused = await call("PATCH", f"{path}/variables/job", {"multi": True}, if_match='"1"', status=412)
    assert refused["code"] == "dashboard-changed"
    assert (await call("PATCH", path, {"name": "x"}, status=400))["code"] == "invalid-request"
    await call("PATCH", f"{path}/variables/job", {"multi": True}, if_match='"2"')
    back = await call("PATCH", f"{path}/widgets/rate", {"options": {"decimals": None}}, if_match="*")
    assert back["dashboard"]["widgets"][0]["options"]["decimals"] is None
    same = await call("PATCH", path, {"name": "Checkout"}, if_match="*")
    assert same["version"] == back["version"] == 4
    await call("PATCH", f"{path}/widgets/other", {}, if_match="*", status=404)
    wrong = await call("PATCH", f"{path}/widgets/rate", {"type": "pie"}, if_match="*", status=400)
    assert wrong["code"] == "invalid-dashboard"
    assert "/widgets/0/type" in wrong["detail"]


async def test_versions_tell_who_changed_what_and_come_back(call, made):
    path = f"/{made['dashboard_id']}"
    moved = {"widgets": [DOCUMENT["widgets"][1] | {"text": "bye"}, WIDGET]}
    await call("PATCH", path, moved, if_match="*")
    listed = (await call("GET", f"{path}/versions", sort="-created_at"))["items"]
    assert [(each["version"], each["created_by"]) for each in listed] == [
        (2, made["created_by"]),
        (1, made["created_by"]),
    ]
    second = await call("GET", f"{path}/versions/2", compared_with=1)
    assert [(each["pointer"], each["before"], each["after"]) for each in second["changes"]] == [
        ("/widgets", ["rate", "note"], ["note", "rate"]),
        ("/widgets/note/text", "# Hello", "bye"),
    ]
    restored = await call("POST", f"{path}/versions/1/restore", if_match='"2"')
    assert (restored["version"], restored["dashboard"]) == (3, made["dashboard"])
    await call("GET", f"{path}/versions/9", status=404)


async def test_copies_deletion_and_restoration(call, made):
    path = f"/{made['dashboard_id']}"
    copy = await call("POST", f"{path}/clone", {}, status=201)
    assert copy["dashboard"] == made["dashboard"] | {"name": "Checkout (copy)"}
    await call("DELETE", path, status=204)
    await call("GET", path, status=404)
    await call("PATCH", path, {"name": "x"}, if_match="*", status=404)
    assert [each["name"] for each in (await call("GET", "", deleted=True))["items"]] == ["Checkout"]
    assert (await call("POST", f"{path}/restore"))["dashboard"] == made["dashboard"]
    await call("POST", f"{path}/restore", status=404)


async def test_every_change_is_in_the_audit_log(api, call, made):
    path = f"/{made['dashboard_id']}"
    await call("PATCH", f"{path}/widgets/note", {"text": "x"}, if_match="*")
    await call("DELETE", path, status=204)
    found = await api.client.get("/api/v1/audit-logs", params={"sort": "created_at"}, headers=call.headers)
    told = [each for each in found.json()["items"] if each["action"].startswith("dashboard.")]
    actions = {each["action"] for each in told}
    assert actions == {"dashboard.created", "dashboard.changed", "dashboard.deleted"}
    assert "/widgets/note/text" in json.dumps([each for each in told if each["action"] == "dashboard.changed"])


async def test_a_tenant_has_so_many_dashboards_and_no_more(call, made, monkeypatch):
    monkeypatch.setattr(management, "DASHBOARDS_MAX", 1)
    assert (await call("POST", "", DOCUMENT, status=409))["code"] == "too-many-dashboards"


async def test_a_real_dashboard_is_imported_exported_and_imported_again(call):
    source = json.loads(shared("dashboards", "rfmoz__node-exporter-full.json").read_text("utf-8"))
    trial = await call("POST", "/import", {"document": source, "is_trial": True}, status=201)
    assert trial["stored"] is None
    first = await call("POST", "/import", {"document": source, "name": "Nodes"}, status=201)
    panels = [line for line in first["report"] if line["subject"] == "panel"]
    assert len(panels) == 125
    path = f"/{first['stored']['dashboard_id']}"
    assert (await call("GET", path))["dashboard"] == first["dashboard"]
    ours = await call("GET", f"{path}/export")
    again = await call("POST", "/import", {"document": ours}, status=201)
    assert (again["dashboard"], again["report"]) == (first["dashboard"], [])
    assert len((await call("GET", f"{path}/export", format="perses"))["spec"]["panels"]) == 125
    assert (await call("GET", f"{path}/export", format="grafana"))["schemaVersion"] == 39


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"spec": {"elements": {}}}, "invalid-import"),
        ({}, "invalid-import"),
        ({"sections": [], "name": ""}, "invalid-dashboard"),
        (json.loads('{"a":' * 200 + "1" + "}" * 200), "invalid-import"),
        (json.loads('{"sections":' + "[" * 200 + "]" * 200 + "}"), "invalid-dashboard"),
    ],
)
async def test_what_is_no_dashboard_is_refused(call, document, code):
    assert (await call("POST", "/import", {"document": document}, status=400))["code"] == code


async def test_who_may_only_read_does_not_write(api, call, made, new_scope):
    scope = new_scope()
    headers = await api.headers(scope, "dashboard:read")
    for method, path in (("POST", ""), ("POST", "/import")):
        answer = await api.client.request(method, f"/api/v1/dashboards{path}", json=DOCUMENT, headers=headers)
        assert answer.status_code == 403
    answer = await api.client.get(f"/api/v1/dashboards/{made['dashboard_id']}/versions/1", headers=headers)
    assert answer.status_code == 404


async def test_dashboards_deleted_long_ago_are_purged(api, call, made):
    await call("DELETE", f"/{made['dashboard_id']}", status=204)
    platform = PlatformScope(reason="a test")
    async with api.services.metadata.open_purge(platform, "test.purge") as tx:
        assert await tx.fetch("DELETE FROM dashboards RETURNING 1") == []


async def test_widgets_are_put_in_and_taken_out_by_themselves(api, call, made):
    path = f"/{made['dashboard_id']}/widgets"
    assert (await call("GET", path))["items"] == made["dashboard"]["widgets"]
    new = {"widget": {"key": "new", "type": "text", "text": "x"}, "section": 0}
    await call("POST", path, new, status=400)  # without If-Match
    added = await call("POST", path, new, status=201, if_match='"1"')
    assert [each["key"] for each in added["dashboard"]["widgets"]] == ["rate", "note", "new"]
    assert added["dashboard"]["sections"][0]["places"][-1] == {
        "widget": "new",
        "x": 0,
        "y": 2,
        "width": 12,
        "height": 8,
    }
    assert await call("GET", f"{path}/new") == added["dashboard"]["widgets"][-1]
    for wrong in (new, new | {"section": 9}, {"widget": {"key": "b", "type": "text"},
                                              "place": {"x": 20, "y": 0, "width": 9, "height": 1}}):  # fmt: skip
        await call("POST", path, wrong, status=400, if_match="*")
    renamed = await call("PATCH", f"{path}/new", {"key": "newer"}, if_match="*")
    assert renamed["dashboard"]["sections"][0]["places"][-1]["widget"] == "newer"
    await call("DELETE", f"{path}/newer", if_match='"1"', status=412)
    left = await call("DELETE", f"{path}/newer", if_match='"3"')
    assert (left["version"], left["dashboard"]) == (4, made["dashboard"])
    for method in ("GET", "DELETE"):
        await call(method, f"{path}/newer", status=404, if_match="*")
    empty = await call("POST", "", {"name": "Empty"}, status=201)
    last = {"widget": new["widget"], "place": {"x": 3, "y": 1, "width": 4, "height": 2}}
    first = await call("POST", f"/{empty['dashboard_id']}/widgets", last, status=201, if_match="*")
    assert first["dashboard"]["sections"][0]["places"] == [last["place"] | {"widget": "new"}]


async def test_documents_meet_the_published_schema(call, made):
    schema = jsonschema_rs.Draft202012Validator(await call("GET", "/schema"))
    real = json.loads(shared("dashboards", "rfmoz__node-exporter-full.json").read_text("utf-8"))
    imported = await call("POST", "/import", {"document": real, "is_trial": True}, status=201)
    for document in (DOCUMENT, made["dashboard"], imported["dashboard"]):
        schema.validate(document)
    for wrong in (
        DOCUMENT | {"name": ""},
        DOCUMENT | {"colour": 1},
        DOCUMENT | {"widgets": [WIDGET | {"type": "pie"}]},
    ):
        assert not schema.is_valid(wrong)


def _documents(count):
    """Random dashboards, the same ones every time."""
    found = []

    @settings(max_examples=count, database=None, derandomize=True, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(dashboards())
    def collect(document):
        found.append(json.loads(msgspec.json.encode(document)))

    collect()
    return found


async def test_whatever_way_a_dashboard_takes_it_is_the_same(call):
    """Made by hand, cloned, exported and imported, deleted and restored, changed and taken back."""
    seen = 0
    for document in _documents(40):
        made = await call("POST", "", document, status=201)
        path, seen = f"/{made['dashboard_id']}", seen + len(document["widgets"])
        copies = {
            "made": made,
            "read": await call("GET", path),
            "cloned": await call("POST", f"{path}/clone", {"name": document["name"]}, status=201),
        }
        exported = await call("GET", f"{path}/export")
        copies["imported"] = (await call("POST", "/import", {"document": exported}, status=201))["stored"]
        grafana = await call("GET", f"{path}/export", format="grafana")
        copies["by way of Grafana"] = (await call("POST", "/import", {"document": grafana}, status=201))["stored"]
        await call("DELETE", path, status=204)
        copies["restored"] = await call("POST", f"{path}/restore")
        await call("PATCH", path, {"description": "changed", "tags": ["x"]}, if_match="*")
        copies["taken back"] = await call("POST", f"{path}/versions/1/restore", if_match='"2"')
        for how, copy in copies.items():
            assert copy["dashboard"] == document, how
    assert seen > 40
