"""Users, workspaces and tenants of a neighbour, with the same names, in the same workspace or another organization: all
out of reach.
"""

import dataclasses

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope

_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}
_MAKE = {"name": "on-call", "permissions": ["log:read"]}


async def _admin(api, scope, **reach):
    return (await api.headers(scope, *ROLE_PERMISSIONS, **reach)) | _SAME_ID


async def _filled(api, scope) -> dict[str, str]:
    """A tenant with a custom role, an invitation and a user who holds the role; answers their ids."""
    headers = await _admin(api, scope)
    role = (await api.client.post("/api/v1/roles", json=_MAKE, headers=headers)).json()
    body = {"email": "same@example.com", "role_ids": [role["role_id"]]}
    response = await api.client.post("/api/v1/invitations", json=body, headers=headers)
    assert response.status_code == 201, response.text
    user = (await api.client.get("/api/v1/users", headers=headers)).json()["items"][0]
    body = {"role_id": role["role_id"]}
    given = await api.client.post(f"/api/v1/users/{user['user_id']}/roles", json=body, headers=headers)
    assert given.status_code == 201, given.text
    return {
        "role_id": role["role_id"],
        "invitation_id": response.json()["invitation_id"],
        "user_id": user["user_id"],
        "user_role_id": given.json()["user_role_id"],
        "tenant_id": str(scope.tenant_id),
        "workspace_id": str(scope.workspace_id),
        "organization_id": str(scope.organization_id),
    }


@pytest.fixture
def mine(new_scope) -> Scope:
    return new_scope()


@pytest.fixture(params=["in the same workspace", "in another organization"])
def theirs(request, mine, new_scope) -> Scope:
    return dataclasses.replace(mine, tenant_id=new_id()) if "workspace" in request.param else new_scope()


_PROBES = [
    ("GET", "/users/{user_id}", None),
    ("PATCH", "/users/{user_id}", {"first_name": "Eve"}),
    ("DELETE", "/users/{user_id}", None),
    ("POST", "/users/{user_id}/restore", None),
    ("GET", "/users/{user_id}/roles", None),
    ("POST", "/users/{user_id}/roles", {"role_id": "{my_role_id}"}),
    ("PATCH", "/users/{user_id}/roles/{user_role_id}", {"expires_at": None}),
    ("DELETE", "/users/{user_id}/roles/{user_role_id}", None),
    ("GET", "/roles/{role_id}", None),
    ("PATCH", "/roles/{role_id}", {"name": "taken over"}),
    ("DELETE", "/roles/{role_id}", None),
    ("POST", "/roles/{role_id}/restore", None),
    ("POST", "/roles", {"name": "x", "permissions": [], "tenant_id": "{tenant_id}"}),
    ("GET", "/invitations/{invitation_id}", None),
    ("POST", "/invitations/{invitation_id}/resend", None),
    ("DELETE", "/invitations/{invitation_id}", None),
    ("POST", "/invitations", {"email": "eve@example.com", "role_ids": ["{role_id}"]}),
    ("POST", "/invitations", {"email": "eve@example.com", "role_ids": ["{my_role_id}"], "tenant_id": "{tenant_id}"}),
    ("GET", "/tenants/{tenant_id}", None),
    ("PATCH", "/tenants/{tenant_id}", {"name": "taken over"}),
    ("POST", "/auth/switch", {"tenant_id": "{tenant_id}"}),
]
_OTHER_ORGANIZATION = [
    ("GET", "/workspaces/{workspace_id}", None),
    ("PATCH", "/workspaces/{workspace_id}", {"name": "taken over"}),
    ("DELETE", "/workspaces/{workspace_id}", None),
    ("POST", "/workspaces/{workspace_id}/restore", None),
    ("DELETE", "/tenants/{tenant_id}", None),
    ("POST", "/tenants/{tenant_id}/restore", None),
    ("POST", "/tenants", {"name": "x", "workspace_id": "{workspace_id}"}),
    ("GET", "/organizations/{organization_id}", None),
    ("PATCH", "/organizations/{organization_id}", {"name": "taken over"}),
    ("GET", "/users?organization_id={organization_id}", None),
    ("GET", "/roles?organization_id={organization_id}", None),
    ("GET", "/invitations?organization_id={organization_id}", None),
    ("GET", "/tenants?organization_id={organization_id}", None),
    ("GET", "/workspaces?organization_id={organization_id}", None),
]


def _with(text, ids):
    if isinstance(text, list):
        return [_with(part, ids) for part in text]
    return text.format(**ids) if isinstance(text, str) else text


async def _call(api, headers, probe, ids):
    method, path, body = probe
    sent = None if body is None else {key: _with(value, ids) for key, value in body.items()}
    return await api.client.request(method, f"/api/v1{path.format(**ids)}", json=sent, headers=headers)


async def _assert_foreign_is_as_unknown(api, headers, probes, theirs, my_role_id):
    never = {key: str(new_id()) for key in theirs}
    for probe in probes:
        foreign = await _call(api, headers, probe, theirs | {"my_role_id": my_role_id})
        unknown = await _call(api, headers, probe, never | {"my_role_id": my_role_id})
        assert foreign.status_code == 404, (probe, foreign.text)
        assert foreign.content == unknown.content, probe
        assert foreign.headers == unknown.headers, probe


async def test_a_tenants_admin_finds_the_neighbours_ids_unknown(api, mine, theirs):
    own, foreign = await _filled(api, mine), await _filled(api, theirs)
    before = await _seen(api, theirs)
    await _assert_foreign_is_as_unknown(api, await _admin(api, mine), _PROBES, foreign, own["role_id"])
    assert await _seen(api, theirs) == before, "a refused call changed something"


async def test_an_organizations_admin_finds_the_other_organizations_ids_unknown(api, mine, new_scope):
    own, theirs = await _filled(api, mine), new_scope()
    foreign = await _filled(api, theirs)
    before = await _seen(api, theirs)
    headers = await _admin(api, mine, organization_wide=True)
    await _assert_foreign_is_as_unknown(api, headers, _PROBES + _OTHER_ORGANIZATION, foreign, own["role_id"])
    assert await _seen(api, theirs) == before, "a refused call changed something"


_LISTS = ("users", "roles", "invitations", "tenants", "workspaces", "organizations", "auth/tenants", "regions")


async def _lists(api, headers):
    found = {}
    for path in _LISTS:
        for query in ("?limit=200", "?limit=200&sort=-created_at", "?limit=200&name=on") if "/" not in path else ("",):
            if "name" in query and path == "invitations":
                continue
            response = await api.client.get(f"/api/v1/{path}{query}", headers=headers)
            assert response.status_code == 200, response.text
            found[path, query] = response.json()
    return found


async def _seen(api, scope):
    """Everything that another admin of the tenant sees, without that admin."""
    headers = await _admin(api, scope)
    roles = (await api.client.get("/api/v1/roles?is_built_in=false&name=on-call", headers=headers)).json()
    invitations = (await api.client.get("/api/v1/invitations", headers=headers)).json()
    tenants = (await api.client.get("/api/v1/tenants", headers=headers)).json()
    users = (await api.client.get("/api/v1/users?limit=1", headers=headers)).json()["items"]
    return roles, invitations, tenants, users


async def test_lists_are_the_same_bytes_with_and_without_a_neighbour(api, mine, theirs):
    await _filled(api, mine)
    headers = await _admin(api, mine)
    alone = await _lists(api, headers)
    assert alone["roles", "?limit=200&name=on"]["items"]
    await _filled(api, theirs)
    assert await _lists(api, headers) == alone


async def test_a_neighbours_cursor_shows_nothing_of_theirs(api, mine, theirs):
    own, _ = await _filled(api, mine), await _filled(api, theirs)
    cursor = (await api.client.get("/api/v1/users?limit=1", headers=await _admin(api, theirs))).json()["next_cursor"]
    page = await api.client.get(f"/api/v1/users?limit=1&cursor={cursor}", headers=await _admin(api, mine))
    assert page.status_code == 200
    assert all(item["tenant_id"] == own["tenant_id"] for item in page.json()["items"])
