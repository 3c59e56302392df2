"""Every change of what something may do is checked like its making: a test over all PATCH routes.

A PATCH route that is not in ROUTES fails the first test. Each entry names somebody to whom the making is refused, and
what they ask for: the making and the change must be refused alike.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope

TO_COME = "2098-01-01T00:00:00Z"
LATER = "2099-01-01T00:00:00Z"
BEYOND = "beyond-own-permissions"
DENIED = "permission-denied"
_ADMIN_OF_PEOPLE = ("user:read", "user:write", "user:admin", "role:read", "role:write")


@dataclass(frozen=True)
class Refused:
    """Somebody who may not make something, and so may not change it to that.

    Attributes:
        code: of both refusals.
        permissions: what they hold without an end; None: everything, organization-wide, until TO_COME.
        making: method, path and body.
        changes: bodies of the PATCH.
        wide: whether the permissions are held organization-wide.
    """

    code: str
    permissions: tuple[str, ...] | None
    making: tuple[str, str, dict[str, Any]]
    changes: tuple[dict[str, Any], ...]
    wide: bool = field(default=False)


_KEY = {"name": "another", "permissions": ["logs:read"]}
_SENDING_KEY = {"name": "another", "permissions": ["logs:write"]}
_WIDER = ({"expires_at": None}, {"expires_at": LATER}, {"allowed_addresses": []}, {"rate_limit": None})
_PAGES = ({"allowed_origins": ["*"]}, {"allowed_origins": ["https://a.example", "https://b.example"]})
_NO_PAGES = {"allowed_origins": []}
_PROVIDER = {"name": "Another", "issuer": "https://login.example.com", "client_id": "duoscope",
             "client_secret": "hush", "allowed_email_domains": ["example.com"]}  # fmt: skip
_DASHBOARD = {"name": "D", "widgets": [{"key": "a", "type": "text"}], "variables": [{"kind": "text", "name": "a"}],
              "sections": [{"places": [{"widget": "a", "x": 0, "y": 0, "width": 1, "height": 1}]}]}  # fmt: skip
_TEMPLATE = {"name": "T", "template_config": _DASHBOARD}
_RULE = {"name": "Depth", "severity": "critical", "query_config": {"kind": "promql", "expression": "depth"},
         "condition_config": {"kind": "any"}}  # fmt: skip
_SLO = {"name": "Works", "objective": 0.99, "good_config": {"kind": "trace", "query": "status:ok"},
        "total_config": {"kind": "trace"}}  # fmt: skip
_GROUP = {"name": "On call"}
_CHANNEL = {"name": "hook", "channel_type": "webhook", "config": {"url": "https://hooks.example.com/x"}}
_SILENCE = {"matchers": [{"name": "a", "operator": "=", "value": "b"}], "comment": "c", "ends_at": LATER}
_WINDOW = {"name": "Nights", "starts_at": "2026-01-01T02:00", "ends_at": "2026-01-01T04:00", "time_zone": "UTC",
           "recurrence": "FREQ=DAILY"}  # fmt: skip
_INHIBITION = {"name": "Severe", "source_matchers": _SILENCE["matchers"], "target_matchers": _SILENCE["matchers"]}
_REGION = {"name": "Mine", "region_id": str(new_id())}

ROUTES: dict[str, tuple[Refused, ...]] = {
    "/api/v1/api-keys/{api_key_id}": (
        Refused(BEYOND, ("api-key:write",), ("POST", "/api-keys", _KEY),
                (*_WIDER, {"allowed_addresses": ["::1"]}, *_PAGES, _NO_PAGES)),
        Refused(BEYOND, None, ("POST", "/api-keys", _KEY | {"expires_at": LATER}), _WIDER[:2]),
        Refused(BEYOND, None, ("POST", "/api-keys", _KEY), _WIDER[:1]),
    ),
    "/api/v1/identity-providers/{identity_provider_id}": (
        Refused(BEYOND, ("identity-provider:write",), ("POST", "/identity-providers", _PROVIDER),
                ({"name": "X"}, {"allowed_email_domains": ["example.org"]}, {"client_secret": "x"}), wide=True),
        Refused(BEYOND, None, ("POST", "/identity-providers", _PROVIDER), ({"name": "X"}, {"is_active": True})),
    ),
    "/api/v1/roles/{role_id}": (
        Refused(BEYOND, _ADMIN_OF_PEOPLE, ("POST", "/roles", {"name": "x", "permissions": ["log:write"]}),
                ({"permissions": ["log:write"]}, {"name": "x"}), wide=True),
        Refused(BEYOND, None, ("POST", "/roles", {"name": "x", "permissions": ["log:write"]}),
                ({"permissions": ["log:read", "log:write"]},)),
    ),
    "/api/v1/users/{user_id}": (
        Refused(BEYOND, _ADMIN_OF_PEOPLE, ("POST", "/invitations", {"email": "x@example.com", "role_ids": ["{role}"]}),
                ({"is_active": True}, {"is_active": False}, {"first_name": "Eve"})),
        Refused(BEYOND, None, ("POST", "/invitations", {"email": "x@example.com", "role_ids": ["{role}"]}),
                ({"is_active": True},)),
        Refused(BEYOND, None,
                ("POST", "/invitations", {"email": "x@example.com", "role_ids": ["{role}"], "roles_expire_at": LATER}),
                ({"is_active": True},)),
    ),
    "/api/v1/users/{user_id}/roles/{user_role_id}": (
        Refused(BEYOND, _ADMIN_OF_PEOPLE, ("POST", "/users/{user}/roles", {"role_id": "{role}"}),
                ({"expires_at": None}, {"expires_at": LATER})),
        Refused(BEYOND, None, ("POST", "/users/{me}/roles", {"role_id": "{role}"}), ({"expires_at": None},)),
        Refused(BEYOND, None, ("POST", "/users/{me}/roles", {"role_id": "{role}", "expires_at": LATER}),
                ({"expires_at": LATER},)),
    ),
    "/api/v1/tenants/{tenant_id}": (
        Refused(DENIED, ("tenant:write", "workspace:write"),
                ("POST", "/tenants", {"name": "Mine", "workspace_id": "{workspace}"}),
                ({"code": "mine"}, {"is_active": True})),
    ),
    "/api/v1/tenants/{tenant_id}/limits": (
        Refused(DENIED, tuple(ROLE_PERMISSIONS), ("POST", "/organizations", _REGION), ({"items_per_second": 0},),
                wide=True),
    ),
    "/api/v1/organizations/{organization_id}/limits": (
        Refused(DENIED, tuple(ROLE_PERMISSIONS), ("POST", "/organizations", _REGION), ({"tenants": 1000},), wide=True),
    ),
    "/api/v1/workspaces/{workspace_id}": (
        Refused(DENIED, ("tenant:write", "workspace:write"), ("POST", "/workspaces", {"name": "Mine"}),
                ({"name": "x"}, {"is_active": True})),
    ),
    "/api/v1/organizations/{organization_id}": (
        Refused(DENIED, tuple(ROLE_PERMISSIONS), ("POST", "/organizations", _REGION),
                ({"code": "mine"}, {"is_active": True}, {"region_id": str(new_id())}), wide=True),
    ),
    "/api/v1/regions/{region_id}": (
        Refused(DENIED, tuple(ROLE_PERMISSIONS), ("POST", "/regions", {"name": "Mine"}), ({"name": "x"},), wide=True),
    ),
    # Nobody watches what they may not read, also by way of a rule that somebody else made.
    "/api/v1/alert-rules/{alert_rule_id}": (
        Refused(DENIED, ("alert-rule:write", "log:read"), ("POST", "/alert-rules", _RULE),
                ({"severity": "info"}, {"query_config": {"kind": "log"}}, {"is_enabled": False})),
    ),
    "/api/v1/slos/{slo_id}": (
        Refused(DENIED, ("alert-rule:write", "log:read"), ("POST", "/slos", _SLO),
                ({"objective": 0.999}, {"good_config": {"kind": "log"}}, {"name": "x"})),
    ),
    "/api/v1/alert-rules/{alert_rule_id}/notification-groups": (
        Refused(DENIED, ("notification:write",), ("POST", "/alert-rules", _RULE), ({"notification_group_ids": []},)),
    ),
    "/api/v1/notification-groups/{group_id}": (
        Refused(DENIED, ("notification:read", "alert-rule:write"), ("POST", "/notification-groups", _GROUP),
                ({"name": "x"}, {"is_active": False})),
    ),
    "/api/v1/notification-channels/{channel_id}": (
        Refused(DENIED, ("notification:read", "alert-rule:write"), ("POST", "/notification-groups", _GROUP),
                ({"name": "x"}, {"is_active": False})),
    ),
    **{
        f"/api/v1/dashboards/{{dashboard_id}}{part}": (
            Refused(DENIED, ("dashboard:read", "dashboard:delete"), ("POST", "/dashboards", _DASHBOARD), ({}, change)),
        )
        for part, change in (
            ("", {"name": "x"}), ("/widgets/{key}", {"title": "x"}), ("/variables/{key}", {"label": "x"}),
            ("/visibility", {"visibility": "workspace"}),
        )
    },
    "/api/v1/dashboard-templates/{template_id}": (
        Refused(DENIED, ("dashboard:read", "dashboard:delete"), ("POST", "/dashboard-templates", _TEMPLATE),
                ({"name": "x"}, {"visibility": "workspace"})),
    ),
    "/api/v1/maintenance-windows/{maintenance_window_id}": (
        Refused(DENIED, ("silence:read", "silence:delete"), ("POST", "/maintenance-windows", _WINDOW),
                ({"comment": "x"}, {"is_enabled": False})),
    ),
    "/api/v1/inhibition-rules/{inhibition_rule_id}": (
        Refused(DENIED, ("silence:read", "silence:delete"), ("POST", "/inhibition-rules", _INHIBITION),
                ({"name": "x"}, {"is_enabled": False})),
    ),
    "/api/v1/silences/{silence_id}": (
        Refused(DENIED, ("silence:read", "silence:delete"), ("POST", "/silences", _SILENCE),
                ({"comment": "x"}, {"ends_at": LATER})),
    ),
    # Nobody makes themselves: what a person may do is no part of their profile.
    "/api/v1/users/me": (
        Refused("invalid-request", tuple(ROLE_PERMISSIONS), ("PATCH", "/users/me", {"is_platform_admin": True}),
                ({"is_active": True}, {"email_verified": True}, {"roles": []}), wide=True),
    ),
}  # fmt: skip


@pytest.fixture
async def place(api, new_scope):
    """An organization with one of each thing that can be changed, all of them more than a lesser person may make."""
    scope = new_scope()
    boss = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)

    async def call(who, method, path, body=None):
        return await api.client.request(method, f"/api/v1{path}", json=body, headers=who)

    async def make(path, body):
        answer = await call(boss, "POST", path, body)
        assert answer.status_code == 201, (path, answer.text)
        return answer.json()

    async def temporary():
        who = await api.headers(scope, "region:read")
        me = (await call(who, "GET", "/auth/me")).json()["user_id"]
        body = {"role_id": admin, "organization_wide": True, "expires_at": TO_COME}
        own = await make(f"/users/{me}/roles", body)
        return SimpleNamespace(headers=who, user_id=me, user_role_id=own["user_role_id"])

    admin = (await call(boss, "GET", "/roles?name=admin")).json()["items"][0]["role_id"]
    user = (await call(await api.headers(scope, "log:read"), "GET", "/auth/me")).json()["user_id"]
    role = await make("/roles", {"name": "above", "permissions": ["log:read", "audit-log:read"]})
    held = await make(f"/users/{user}/roles", {"role_id": role["role_id"], "expires_at": TO_COME})
    await make(f"/users/{user}/roles", {"role_id": admin})
    key = await make("/api-keys", _SENDING_KEY | {"allowed_addresses": ["192.0.2.0/24"], "rate_limit": 10,
                                                  "allowed_origins": ["https://a.example"],
                                                  "expires_at": TO_COME})  # fmt: skip
    async with api.services.metadata.open_platform(PlatformScope(reason="test"), "test.expire") as tx:
        await tx.execute("UPDATE api_keys SET expires_at = now() - interval '1 s'")
        region = await tx.fetchval("SELECT region_id FROM regions LIMIT 1")
    provider = await make("/identity-providers", _PROVIDER)
    rule = await make("/alert-rules", _RULE)
    slo = await make("/slos", _SLO)
    drawn = await make("/dashboards", _DASHBOARD)
    template = await make("/dashboard-templates", _TEMPLATE)
    group = await make("/notification-groups", _GROUP)
    channel = await make("/notification-channels", _CHANNEL | {"notification_group_id": group["group_id"]})
    silence = await make("/silences", _SILENCE)
    window = await make("/maintenance-windows", _WINDOW)
    inhibits = await make("/inhibition-rules", _INHIBITION)
    return SimpleNamespace(
        scope=scope,
        boss=boss,
        call=call,
        make=make,
        admin=admin,
        temporary=temporary,
        ids={
            "api_key_id": key["api_key_id"],
            "identity_provider_id": provider["identity_provider_id"],
            "maintenance_window_id": window["maintenance_window_id"],
            "inhibition_rule_id": inhibits["inhibition_rule_id"],
            "role_id": role["role_id"],
            "user_id": user,
            "user_role_id": held["user_role_id"],
            "tenant_id": str(scope.tenant_id),
            "workspace_id": str(scope.workspace_id),
            "organization_id": str(scope.organization_id),
            "region_id": str(region),
            "alert_rule_id": rule["alert_rule_id"],
            "slo_id": slo["slo_id"],
            "dashboard_id": drawn["dashboard_id"],
            "template_id": template["template_id"],
            "key": "a",
            "silence_id": silence["silence_id"],
            "group_id": group["group_id"],
            "channel_id": channel["channel_id"],
        },
    )


async def test_every_route_that_changes_something_is_in_the_table(api):
    document = (await api.client.get("/schema/openapi.json")).json()
    assert {path for path, operations in document["paths"].items() if "patch" in operations} == set(ROUTES)


@pytest.mark.parametrize("path", ROUTES)
async def test_a_change_is_refused_where_the_making_is(api, place, path):
    for refused in ROUTES[path]:
        ids = dict(place.ids)
        if refused.permissions is None:
            temporary = await place.temporary()
            who, ids["me"] = temporary.headers, temporary.user_id
            if "user_role_id" in path:
                ids |= {"user_id": temporary.user_id, "user_role_id": temporary.user_role_id}
        else:
            who = await api.headers(place.scope, *refused.permissions, organization_wide=refused.wide)
        words = ids | {"role": place.admin, "user": ids["user_id"], "workspace": ids["workspace_id"]}
        method, made_at, body = refused.making
        made = await place.call(who, method, made_at.format(**words), _filled(body, words))
        assert (made.status_code in {400, 403}, made.json()["code"]) == (True, refused.code), (path, made.text)
        before = await _state(place, path, ids)
        for change in refused.changes:
            changed = await place.call(who, "PATCH", path.removeprefix("/api/v1").format(**ids), change)
            assert (changed.status_code, changed.json()["code"]) == (made.status_code, refused.code), (path, change)
        assert await _state(place, path, ids) == before


async def test_who_holds_it_until_a_date_gives_it_until_then(api, place):
    """And each of what they made ends no later than what they hold; other changes stay open to them."""
    temporary = await place.temporary()
    who, me = temporary.headers, temporary.user_id
    until = {"expires_at": TO_COME}

    async def fine(method, path, body, status):
        answer = await place.call(who, method, path, body)
        assert answer.status_code == status, (path, answer.text)
        return answer.json() if answer.content else None

    viewer = (await place.call(place.boss, "GET", "/roles?name=viewer")).json()["items"][0]["role_id"]
    given = await fine("POST", f"/users/{me}/roles", {"role_id": viewer, **until}, 201)
    path = f"/users/{me}/roles/{given['user_role_id']}"
    await fine("PATCH", path, {"expires_at": "2097-01-01T00:00:00Z"}, 200)
    await fine("PATCH", path, until, 200)
    key = await fine("POST", "/api-keys", _KEY | until, 201)
    await fine("PATCH", f"/api-keys/{key['api_key_id']}", {"rate_limit": 5, "expires_at": "2097-01-01T00:00:00Z"}, 200)
    await fine("PATCH", f"/api-keys/{key['api_key_id']}", until, 200)
    await fine("POST", f"/api-keys/{key['api_key_id']}/rotate", {}, 200)
    # A key without an end is not theirs to get the secret of, or to open wider; to name and to narrow, it is.
    pages = ["https://a.example", "https://b.example"]
    bounds = {"allowed_addresses": ["192.0.2.0/24"], "allowed_origins": pages}
    other = await place.make("/api-keys", _SENDING_KEY | bounds)
    for method, action, body in (
        ("POST", "/rotate", {}),
        ("PATCH", "", {"allowed_addresses": ["192.0.2.0/24", "198.51.100.0/24"]}),
        ("PATCH", "", {"allowed_addresses": ["192.0.0.0/16"]}),
        ("PATCH", "", {"allowed_origins": [*pages, "https://c.example"]}),
        ("PATCH", "", {"allowed_origins": ["*"]}),
        ("PATCH", "", {"allowed_origins": []}),
    ):
        answer = await place.call(who, method, f"/api-keys/{other['api_key_id']}{action}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, BEYOND)
    narrower = {"name": "x", "allowed_addresses": ["192.0.2.7"], "rate_limit": 7, "allowed_origins": pages[:1], **until}
    await fine("PATCH", f"/api-keys/{other['api_key_id']}", narrower, 200)
    answer = await place.call(who, "PATCH", f"/api-keys/{other['api_key_id']}", {"expires_at": None})
    assert answer.status_code == 403
    await fine("PATCH", f"/roles/{place.ids['role_id']}", {"name": "y", "permissions": ["log:read"]}, 200)
    # A deleted role or person who is taken back gives, or gets, it anew.
    await fine("DELETE", f"/users/{place.ids['user_id']}/roles/{place.ids['user_role_id']}", None, 204)
    person = (await place.call(await api.headers(place.scope, "log:read"), "GET", "/auth/me")).json()["user_id"]
    for path in (f"/users/{person}", f"/roles/{place.ids['role_id']}"):
        assert (await place.call(place.boss, "DELETE", path)).status_code == 204
        answer = await place.call(who, "POST", f"{path}/restore")
        assert (answer.status_code, answer.json()["code"]) == (403, BEYOND), path
        assert (await place.call(place.boss, "POST", f"{path}/restore")).status_code == 200


async def test_of_two_grants_the_later_end_counts(api, place):
    temporary = await place.temporary()
    viewer = (await place.call(place.boss, "GET", "/roles?name=viewer")).json()["items"][0]["role_id"]
    await place.make(f"/users/{temporary.user_id}/roles", {"role_id": viewer, "expires_at": LATER})
    key = _KEY | {"expires_at": LATER}
    assert (await place.call(temporary.headers, "POST", "/api-keys", key)).status_code == 201
    assert (await place.call(temporary.headers, "POST", "/api-keys", _KEY)).status_code == 403
    wide = {"role_id": viewer, "organization_wide": True}
    assert (await place.call(place.boss, "POST", f"/users/{temporary.user_id}/roles", wide)).status_code == 201
    assert (await place.call(temporary.headers, "POST", "/api-keys", _KEY)).status_code == 201


async def _state(place, path, ids):
    """The visible state of what the route changes."""
    read = path.removeprefix("/api/v1").rpartition("/")[0] if path.endswith("/{user_role_id}") else path[7:]
    read = read.partition("/{key}")[0].removesuffix("/widgets").removesuffix("/variables").removesuffix("/visibility")
    if read.endswith("/users/me"):
        return None
    answer = await place.call(place.boss, "GET", read.format(**ids))
    assert answer.status_code == 200, answer.text
    return answer.json()


def _filled(body, words):
    return {
        name: [each.format(**words) for each in value] if name == "role_ids" else value.format(**words)
        if name in {"role_id", "workspace_id"} else value
        for name, value in body.items()
    }  # fmt: skip
