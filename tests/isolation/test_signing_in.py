"""Sessions and devices against a neighbour: another user of the same tenant, and one of the tenant next door."""

import pytest

from duoscope.identity.operators import administration
from duoscope.kernel.ids import new_id

PASSWORD = "correct horse battery"


@pytest.fixture
async def sign_in(api):
    """Make a user of a tenant of the same workspace; answers a function that logs them in."""
    services = api.services
    tenants = {}

    async def make(name, tenant):
        if tenant not in tenants:
            made = await administration.create_tenant(
                services.metadata, organization="O", workspace="W", tenant=tenant, mfa_required=False
            )
            tenants[tenant] = made.tenant_id
        await administration.create_user(
            services.metadata, services.hasher, tenant_id=tenants[tenant],
            email=f"{name}@example.com", password=PASSWORD, role="admin",
        )  # fmt: skip

        async def login(**more):
            body = {"email": f"{name}@example.com", "password": PASSWORD, **more}
            response = await api.client.post("/api/v1/auth/login", json=body)
            assert response.status_code == 200, response.text
            return {"authorization": f"Bearer {response.json()['access_token']}"}

        return login

    return make


@pytest.fixture
async def three(sign_in):
    """Mine, a colleague's in the same tenant, and one next door; all admins with a trusted device."""
    return [
        await (await sign_in(name, tenant))(trust_device=True)
        for name, tenant in (("mine", "one"), ("colleague", "one"), ("next-door", "two"))
    ]


async def _ids(api, headers, resource, key):
    response = await api.client.get(f"/api/v1/{resource}", headers=headers)
    assert response.status_code == 200, response.text
    return [item[key] for item in response.json()["items"]]


@pytest.mark.parametrize(("resource", "key"), [("sessions", "session_id"), ("devices", "device_id")])
async def test_lists_and_ids_are_a_persons_own(api, three, resource, key):
    mine, *others = three
    [own] = await _ids(api, mine, resource, key)
    fixed = {"x-request-id": str(new_id())}
    never = await api.client.delete(f"/api/v1/{resource}/{new_id()}", headers=mine | fixed)
    assert never.status_code == 404
    for other in others:
        [foreign] = await _ids(api, other, resource, key)
        assert foreign != own
        refused = await api.client.delete(f"/api/v1/{resource}/{foreign}", headers=mine | fixed)
        assert (refused.status_code, refused.content) == (404, never.content)
        assert refused.headers == never.headers
        assert await _ids(api, other, resource, key) == [foreign]
    assert (await api.client.delete(f"/api/v1/{resource}/{own}", headers=mine)).status_code == 204
    # Both end the session that asked: a device takes its sessions with it.
    assert (await api.client.get(f"/api/v1/{resource}", headers=mine)).status_code == 401


async def test_logging_out_everywhere_ends_nobody_elses_session(api, three):
    mine, *others = three
    assert (await api.client.delete("/api/v1/sessions", headers=mine)).status_code == 204
    assert (await api.client.get("/api/v1/sessions", headers=mine)).status_code == 401
    for other in others:
        assert len(await _ids(api, other, "sessions", "session_id")) == 1


async def test_a_neighbours_cursor_shows_ones_own(api, sign_in):
    logins = [await sign_in(name, "one") for name in ("mine", "colleague")]
    headers = []
    for login in logins:
        headers.append(await login())
        await login()
        await login()
    page = (await api.client.get("/api/v1/sessions?limit=1", headers=headers[1])).json()
    response = await api.client.get(f"/api/v1/sessions?limit=2&cursor={page['next_cursor']}", headers=headers[0])
    own = await _ids(api, headers[0], "sessions", "session_id")
    assert response.status_code == 200
    assert {item["session_id"] for item in response.json()["items"]} <= set(own)


async def test_a_change_of_password_and_a_verification_touch_the_user_alone(api, three):
    mine, *others = three
    body = {"current_password": PASSWORD, "new_password": "another good password"}
    assert (await api.client.post("/api/v1/auth/password/change", json=body, headers=mine)).status_code == 204
    assert (await api.client.post("/api/v1/auth/email-verification", headers=mine)).status_code == 202
    for other in others:
        me = await api.client.get("/api/v1/auth/me", headers=other)
        body = {"email": me.json()["email"], "password": PASSWORD}
        assert (await api.client.post("/api/v1/auth/login", json=body)).status_code == 200
