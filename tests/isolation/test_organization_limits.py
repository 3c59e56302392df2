"""Limits of an organization apply to all of its tenants, and are visible to nobody else."""

import asyncio
import dataclasses

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.identity.directory import organization_limits
from duoscope.kernel.actor import operator
from duoscope.kernel.ids import new_id
from duoscope.kernel.organization_limits import COUNTS, OrganizationLimits

REACHED = "organization-limit-reached"
_PROVIDER = {"name": "Login", "issuer": "https://login.example.com", "client_id": "duoscope",
             "client_secret": "hush", "allowed_email_domains": ["example.com"]}  # fmt: skip


@pytest.fixture
def scope(new_scope):
    return new_scope()


@pytest.fixture
def call(api):
    async def go(headers, method, path, body=None):
        return await api.client.request(method, f"/api/v1{path}", json=body, headers=headers)

    return go


@pytest.fixture
async def boss(api, scope):
    return await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)


async def _limit(api, scope, **limits):
    return await organization_limits.change(api.services.metadata, operator(), scope.organization_id, limits)


async def test_so_many_of_each_thing_and_no_more(api, call, scope, boss):
    """From whichever tenant of it one asks, and at once or one after the other."""
    sister = dataclasses.replace(scope, tenant_id=new_id())
    tenants_own = await api.headers(sister, *ROLE_PERMISSIONS)
    role = (await call(boss, "POST", "/roles", {"name": "r", "permissions": ["log:read"]})).json()["role_id"]
    number = iter(range(1000))
    makings = {
        "workspaces": ("/workspaces", lambda: {"name": f"W{next(number)}"}),
        "tenants": ("/tenants", lambda: {"name": f"T{next(number)}", "workspace_id": str(scope.workspace_id)}),
        "roles": ("/roles", lambda: {"name": f"R{next(number)}", "permissions": ["log:read"]}),
        "invitations": ("/invitations", lambda: {"email": f"u{next(number)}@example.com", "role_ids": [role]}),
        "api_keys": ("/api-keys", lambda: {"name": "k", "permissions": ["logs:read"]}),
        "identity_providers": ("/identity-providers", lambda: _PROVIDER),
    }
    assert set(makings) | {"users"} == set(COUNTS)
    used = (await _limit(api, scope)).used
    await _limit(api, scope, **{name: used[name] + 2 for name in makings})
    for name, (path, body) in makings.items():
        callers = [boss, boss, boss, boss, *([tenants_own] * 4 if name in {"roles", "invitations", "api_keys"} else [])]
        answers = await asyncio.gather(*(call(who, "POST", path, body()) for who in callers))
        refused = [answer for answer in answers if answer.status_code != 201]
        assert len(refused) == len(answers) - 2, name
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (409, REACHED), (name, answer.text)
    shown = (await call(boss, "GET", f"/organizations/{scope.organization_id}/limits")).json()
    assert {name: shown["used"][name] for name in makings} == {name: used[name] + 2 for name in makings}


async def test_users_are_limited_when_they_are_invited_and_when_they_come_back(api, call, scope, boss):
    guest = await api.headers(scope, "log:read")
    user = (await call(guest, "GET", "/auth/me")).json()["user_id"]
    role = (await call(boss, "POST", "/roles", {"name": "r", "permissions": ["log:read"]})).json()["role_id"]
    await _limit(api, scope, users=2)
    invitation = {"email": "more@example.com", "role_ids": [role]}
    assert (await call(boss, "POST", "/invitations", invitation)).json()["code"] == REACHED
    assert (await call(boss, "DELETE", f"/users/{user}")).status_code == 204
    assert (await call(boss, "POST", "/invitations", invitation)).status_code == 201
    await _limit(api, scope, users=1)
    assert (await call(boss, "POST", f"/users/{user}/restore")).json()["code"] == REACHED


async def test_making_and_deleting_has_an_end(api, call, scope, boss):
    await _limit(api, scope, roles=1)
    codes = []
    for number in range(6):
        made = await call(boss, "POST", "/roles", {"name": f"r{number}", "permissions": ["log:read"]})
        codes.append(made.status_code)
        if made.status_code == 201:
            await call(boss, "DELETE", f"/roles/{made.json()['role_id']}")
    assert codes[-1] == 409
    assert codes.count(201) <= 4


async def test_who_sees_and_who_sets_the_limits(api, call, scope, boss, new_scope):
    path = f"/organizations/{scope.organization_id}/limits"
    shown = (await call(boss, "GET", path)).json()
    assert shown["limits"]["tenants"] == OrganizationLimits().tenants
    assert shown["own"] == {}
    stranger = await api.headers(new_scope(), *ROLE_PERMISSIONS, organization_wide=True)
    within = await api.headers(scope, *ROLE_PERMISSIONS)
    same = {"x-request-id": "00000000-0000-7000-8000-000000000001"}
    theirs = await call(stranger | same, "GET", path)
    never = await call(stranger | same, "GET", f"/organizations/{new_id()}/limits")
    assert (theirs.status_code, theirs.content, theirs.headers) == (404, never.content, never.headers)
    assert (await call(within, "GET", path)).status_code == 403
    for who in (boss, stranger, within):
        assert (await call(who, "PATCH", path, {"tenants": 1000})).status_code == 403
    root = await api.headers(new_scope(), "organization:read", platform_admin=True)
    changed = (await call(root, "PATCH", path, {"tenants": 7, "items_per_second": 5})).json()
    assert (changed["own"], changed["limits"]["tenants"]) == ({"tenants": 7, "items_per_second": 5}, 7)
    assert (await call(root, "PATCH", path, {"tenants": None})).json()["own"] == {"items_per_second": 5}
    for wrong in ({"tenants": -1}, {"tenants": "5"}, {"lizards": 5}, {}):
        assert (await call(root, "PATCH", path, wrong)).status_code == 400, wrong
    assert (await call(root, "GET", f"/organizations/{new_id()}/limits")).status_code == 404
