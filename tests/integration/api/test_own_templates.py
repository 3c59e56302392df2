"""Templates that a tenant makes, and what tenants of one workspace show each other: all read it, its own change it."""

import dataclasses
from threading import get_ident

import pytest

from duoscope.dashboards import model, templates
from duoscope.kernel.ids import new_id

RIGHTS = ("dashboard:read", "dashboard:write", "dashboard:delete", "metric:read", "audit-log:read")
WIDGET = {"key": "note", "type": "text", "text": "# Hello"}
DOCUMENT = {
    "name": "Checkout",
    "widgets": [WIDGET],
    "sections": [{"places": [{"widget": "note", "x": 0, "y": 0, "width": 24, "height": 2}]}],
}
SEEDED = "019e8a00-0000-7000-8000-000000000001"


@pytest.fixture
async def people(api, new_scope):
    """Calls of a tenant, of another in its workspace, and of a third elsewhere."""
    mine = new_scope()

    def of(scope, headers):
        async def call(method, path, body=None, *, status=200, **params):
            answer = await api.client.request(method, f"/api/v1/{path}", json=body, params=params, headers=headers)
            assert answer.status_code == status, (method, path, answer.text)
            return answer.json() if answer.content else None

        call.scope, call.headers = scope, headers
        return call

    scopes = mine, dataclasses.replace(mine, tenant_id=new_id()), new_scope()
    return [of(scope, await api.headers(scope, *RIGHTS) | {"if-match": "*"}) for scope in scopes]


async def names(call, path, **params):
    return [each["name"] for each in (await call("GET", path, **params))["items"]]


async def test_a_template_is_made_changed_used_and_deleted(people):
    mine, other, _ = people
    dashboard = await mine("POST", "dashboards", DOCUMENT, status=201)
    made = await mine("POST", "dashboard-templates", {"name": "Ours", "dashboard_id": dashboard["dashboard_id"]},
                      status=201)  # fmt: skip
    assert (made["category"], made["is_default"], made["visibility"]) == ("custom", False, "tenant")
    assert made["template_config"] == dashboard["dashboard"]
    path = f"dashboard-templates/{made['template_id']}"
    assert await mine("GET", path) == made
    assert await names(mine, "dashboard-templates", is_default=False) == ["Ours"]
    assert await names(other, "dashboard-templates", is_default=False) == []
    used = await mine("POST", f"{path}/dashboards", {}, status=201)
    assert used["dashboard"] == dashboard["dashboard"]
    changed = await mine("PATCH", path, {"category": "network", "template_config": DOCUMENT | {"name": "New"}})
    assert (changed["category"], changed["template_config"]["name"]) == ("network", "New")
    assert await names(mine, "dashboard-templates", category="network", is_default=False) == ["Ours"]
    taken = await mine("POST", "dashboard-templates", {"name": "Ours", "template_config": DOCUMENT}, status=409)
    assert taken["code"] == "dashboard-template-exists"
    for wrong in ({"name": "x"}, {"name": "x", "template_config": DOCUMENT | {"sections": []}},
                  {"name": "x", "template_config": DOCUMENT, "dashboard_id": dashboard["dashboard_id"]}):  # fmt: skip
        await mine("POST", "dashboard-templates", wrong, status=400)
    await mine("DELETE", path, status=204)
    await mine("GET", path, status=404)
    told = [each["action"] for each in (await mine("GET", "audit-logs"))["items"]]
    assert [each for each in reversed(told) if each.startswith("dashboard-template.")] == [
        "dashboard-template.created", "dashboard-template.changed", "dashboard-template.deleted",
    ]  # fmt: skip


async def test_documents_are_checked_beside_the_event_loop(people, monkeypatch):
    threads, mistakes = [], model.mistakes

    def seen(dashboard):
        threads.append(get_ident())
        return mistakes(dashboard)

    monkeypatch.setattr(model, "mistakes", seen)
    mine, *_ = people
    made = await mine("POST", "dashboards", DOCUMENT, status=201)
    path = f"dashboards/{made['dashboard_id']}"
    await mine("PATCH", f"{path}/widgets/note", {"title": "x"})
    await mine("GET", f"{path}/versions/2", compared_with=1)
    template = await mine("POST", "dashboard-templates", {"name": "T", "template_config": DOCUMENT}, status=201)
    of_template = f"dashboard-templates/{template['template_id']}"
    await mine("PATCH", of_template, {"template_config": DOCUMENT})
    await mine("POST", f"{of_template}/dashboards", {}, status=201)
    assert len(threads) == 6
    assert get_ident() not in threads


async def test_templates_that_came_with_duoscope_stay(people):
    mine, *_ = people
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        refused = await mine(method, f"dashboard-templates/{SEEDED}", body, status=403)
        assert refused["code"] == "of-another-tenant"
    assert (await mine("GET", f"dashboard-templates/{SEEDED}"))["name"] == "Services"


async def test_a_tenant_has_so_many_templates_and_no_more(people, monkeypatch):
    mine, other, _ = people
    monkeypatch.setattr(templates, "TEMPLATES_MAX", 1)
    shown = {"template_config": DOCUMENT, "visibility": "workspace"}
    await mine("POST", "dashboard-templates", {"name": "a"} | shown, status=201)
    refused = await mine("POST", "dashboard-templates", {"name": "b"} | shown, status=409)
    assert refused["code"] == "too-many-templates"
    await other("POST", "dashboard-templates", {"name": "a"} | shown, status=201)  # what others show does not count
    assert await names(other, "dashboard-templates", is_default=False) == ["a", "a"]


async def test_what_a_tenant_shows_its_workspace_is_read_there_and_changed_by_its_own(people):
    mine, other, elsewhere = people
    made = await mine("POST", "dashboards", DOCUMENT, status=201)
    path = f"dashboards/{made['dashboard_id']}"
    template = await mine("POST", "dashboard-templates", {"name": "T", "template_config": DOCUMENT}, status=201)
    of_template = f"dashboard-templates/{template['template_id']}"
    for call in (other, elsewhere):
        await call("GET", path, status=404)
        await call("GET", of_template, status=404)
    shown = await mine("PATCH", f"{path}/visibility", {"visibility": "workspace"})
    assert shown == made | {"visibility": "workspace", "updated_at": shown["updated_at"]}
    await mine("PATCH", of_template, {"visibility": "workspace"})
    read = await other("GET", path)
    assert (read["dashboard"], read["tenant_id"]) == (made["dashboard"], str(mine.scope.tenant_id))
    assert read["created_by"] is None  # people of the other tenant are its own affair
    assert await names(other, "dashboards") == await names(other, "dashboards", visibility="workspace") == ["Checkout"]
    assert (await other("GET", of_template))["template_config"] == template["template_config"]
    assert (await other("GET", f"{path}/widgets"))["items"] == made["dashboard"]["widgets"]
    assert (await other("GET", f"{path}/versions"))["items"] == (await other("GET", f"{path}/links"))["items"] == []
    await other("POST", f"{path}/data", {})
    copy = await other("POST", f"{path}/clone", {}, status=201)
    assert copy["tenant_id"] == str(other.scope.tenant_id)
    for method, what, body in (
        ("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("PATCH", "/widgets/note", {"text": "x"}),
        ("DELETE", "/widgets/note", None), ("POST", "/widgets", {"widget": {"key": "b", "type": "text"}}),
        ("PATCH", "/visibility", {"visibility": "tenant"}), ("POST", "/links", {"name": "x"}),
        ("DELETE", f"/links/{new_id()}", None),
    ):  # fmt: skip
        refused = await other(method, path + what, body, status=403)
        assert refused["code"] == "of-another-tenant", (method, what)
        await elsewhere(method, path + what, body, status=404)
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        await other(method, of_template, body, status=403)
        await elsewhere(method, of_template, body, status=404)
    await other("POST", f"{path}/versions/1/restore", status=404)
    await other("POST", f"{path}/restore", status=404)
    assert await mine("GET", path) == shown
    await elsewhere("GET", path, status=404)
    await mine("PATCH", f"{path}/visibility", {"visibility": "tenant"})
    await other("GET", path, status=404)
    await mine("PATCH", f"{path}/visibility", {"visibility": "workspace"})
    await mine("DELETE", path, status=204)
    await other("GET", path, status=404)
    told = (await mine("GET", "audit-logs"))["items"]
    assert [each["after"] for each in reversed(told) if each["action"] == "dashboard.shown"] == [
        {"visibility": "workspace"}, {"visibility": "tenant"}, {"visibility": "workspace"},
    ]  # fmt: skip
