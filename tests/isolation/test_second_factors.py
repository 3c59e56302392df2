"""Second factors over HTTP: from login to reset, and nothing of it across tenants."""

import pytest

from duoscope.identity.operators import administration
from duoscope.identity.operators import organizations as operators
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import OrganizationScope, PlatformScope, Scope
from duoscope.metadata import organizations

PASSWORD = "correct horse battery"
_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}


class Person:
    """A user of the API, who logs in again and again."""

    def __init__(self, api, email: str, user, totp_code) -> None:
        self.api, self.email, self.user, self.secret, self.totp_code = api, email, user, "", totp_code
        self.codes: list[str] = []
        self.used = ""
        self.headers: dict[str, str] = {}

    async def login(self, code: str | None = None):
        body = {"email": self.email, "password": PASSWORD} | ({"mfa_code": code} if code else {})
        response = await self.api.client.post("/api/v1/auth/login", json=body)
        if response.status_code == 200:
            self.headers = {"authorization": f"Bearer {response.json()['access_token']}"}
        return response

    async def call(self, method: str, path: str, body=None):
        return await self.api.client.request(method, f"/api/v1/{path}", json=body, headers=self.headers | _SAME_ID)

    async def enrol(self) -> None:
        made = await self.call("POST", "auth/mfa/enrolment", {"password": PASSWORD})
        assert made.status_code == 201, made.text
        self.secret = made.json()["secret"]
        self.used = self.totp_code(self.secret)
        confirmed = await self.call("POST", "auth/mfa/confirmation", {"mfa_code": self.used})
        assert confirmed.status_code == 200, confirmed.text
        self.codes = confirmed.json()["backup_codes"]


@pytest.fixture
def tenant(api):
    async def make(name: str):
        return await administration.create_tenant(
            api.services.metadata, organization=name, workspace="W", tenant="T", mfa_required=False
        )

    return make


@pytest.fixture
def join(api, totp_code):
    """A person at home in a tenant, signed in."""

    async def make(tenant, name: str, role: str = "viewer") -> Person:
        user = await administration.create_user(
            api.services.metadata,
            api.services.hasher,
            tenant_id=tenant.tenant_id,
            email=f"{name}@example.com",
            password=PASSWORD,
            role=role,
        )
        person = Person(api, f"{name}@example.com", user, totp_code)
        assert (await person.login()).status_code == 200
        return person

    return make


def _code(response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def test_from_enrolment_to_login_to_disabling(api, tenant, join):
    ada = await join(await tenant("One"), "ada")
    other_session = dict(ada.headers)
    assert (await ada.login()).status_code == 200
    assert (await ada.call("GET", "auth/mfa")).json()["is_enabled"] is False
    refused = await ada.call("POST", "auth/mfa/enrolment", {"password": "wrong"})
    assert _code(refused) == (403, "password-wrong")
    await ada.enrol()
    assert (await api.client.get("/api/v1/auth/me", headers=other_session)).status_code == 401, "it has ended"
    assert (await ada.call("GET", "auth/me")).status_code == 200
    assert _code(await ada.login()) == (401, "mfa-required")
    assert _code(await ada.login(ada.used)) == (401, "mfa-code-invalid")
    assert (await ada.login(ada.codes[0])).status_code == 200
    assert (await ada.call("GET", "auth/mfa")).json()["backup_codes_left"] == 9
    fresh = await ada.call("POST", "auth/mfa/backup-codes", {"mfa_code": ada.codes[1]})
    assert len(fresh.json()["backup_codes"]) == 10
    body = {"password": PASSWORD, "mfa_code": fresh.json()["backup_codes"][0]}
    assert (await ada.call("POST", "auth/mfa/disable", body)).status_code == 204
    assert (await ada.login()).status_code == 200
    assert _code(await ada.login("123456")) == (400, "mfa-not-enabled")
    sent = await api.client.get("/schema/openapi.json")
    assert "mfa-required" in sent.json()["paths"]["/api/v1/auth/login"]["post"]["description"]


async def test_a_policy_leaves_nothing_but_enrolling_open(api, tenant, join):
    place = await tenant("One")
    ada = await join(place, "ada", "admin")
    async with api.services.metadata.open(OrganizationScope(place.organization_id), "test.policy") as tx:
        await tx.execute("UPDATE organizations SET settings = '{\"mfa_required\": true}'")
    for method, path in (("GET", "users"), ("GET", "metrics"), ("GET", "auth/tenants"), ("PATCH", "users/me")):
        assert _code(await ada.call(method, path, {})) == (403, "mfa-enrolment-required"), path
    assert (await ada.call("GET", "auth/mfa")).json()["is_required"] is True
    assert (await ada.call("GET", "auth/me")).status_code == 200
    await ada.enrol()
    assert (await ada.call("GET", "users")).status_code == 200
    body = {"password": PASSWORD, "mfa_code": ada.codes[0]}
    assert _code(await ada.call("POST", "auth/mfa/disable", body)) == (409, "mfa-required-by-organization")
    # A session that the organization's own provider began is another matter only if the provider says so.
    bob = await join(place, "bob")
    for methods, expected in (("{oidc}", 403), ("{oidc,mfa}", 200)):
        async with api.services.metadata.open_platform(PlatformScope(reason="test"), "test.oidc") as tx:
            await tx.execute(
                "UPDATE user_sessions SET methods = $2::text::text[] WHERE user_id = $1", bob.user.user_id, methods
            )
        assert (await bob.call("GET", "metrics")).status_code == expected


async def test_an_admin_resets_who_is_no_more_than_they(api, tenant, join):
    place = await tenant("One")
    ada, bob = await join(place, "ada", "admin"), await join(place, "bob")
    await bob.enrol()
    path = f"users/{bob.user.user_id}/mfa/reset"
    eve = await join(place, "eve")
    assert (await eve.call("POST", path)).status_code == 403
    assert (await ada.call("POST", path)).status_code == 204
    assert (await bob.call("GET", "auth/me")).status_code == 401, "the session has ended"
    assert (await bob.login()).status_code == 200
    assert _code(await ada.call("POST", path)) == (409, "mfa-not-enabled")
    await ada.enrol()
    helper = await api.headers(_scope(place), "user:admin", "user:read")
    beyond = await api.client.post(f"/api/v1/users/{ada.user.user_id}/mfa/reset", headers=helper)
    assert _code(beyond) == (403, "beyond-own-permissions")
    assert _code(await ada.login()) == (401, "mfa-required")


async def test_a_neighbours_user_answers_as_one_that_never_was(tenant, join):
    ada, bob = await join(await tenant("One"), "ada", "admin"), await join(await tenant("Two"), "bob")
    await bob.enrol()
    theirs = await ada.call("POST", f"users/{bob.user.user_id}/mfa/reset")
    never = await ada.call("POST", f"users/{new_id()}/mfa/reset")
    assert theirs.status_code == 404
    assert theirs.content == never.content
    assert theirs.headers == never.headers
    assert _code(await bob.login()) == (401, "mfa-required")


def _scope(tenant):
    return Scope(tenant.organization_id, tenant.workspace_id, tenant.tenant_id)


async def test_an_organization_wants_a_second_factor_unless_it_is_told_not_to(api, new_scope):
    root = await api.headers(new_scope(), "organization:write", organization_wide=True, platform_admin=True)

    async def call(method: str, path: str, body: dict):
        return await api.client.request(method, f"/api/v1/{path}", json=body, headers=root)

    region = (await call("POST", "regions", {"name": "Here"})).json()["region_id"]
    settings = []
    for name, more in (("Strict", {}), ("Lax", {"mfa_required": False})):
        made = await call("POST", "organizations", {"name": name, "region_id": region, **more})
        assert made.status_code == 201, made.text
        settings.append(made.json()["organization"]["settings"])
    assert settings == [{"mfa_required": True}, {"mfa_required": False}]
    for name, told in (("Also strict", {}), ("Also lax", {"mfa_required": False})):
        made = await operators.create_organization(api.services.metadata, name=name, **told)
        assert made.organization.settings == {"mfa_required": not told}
        place = await administration.create_tenant(
            api.services.metadata, organization=f"{name} too", workspace="W", tenant="T", **told
        )
        async with api.services.metadata.open(OrganizationScope(place.organization_id), "test.settings") as tx:
            assert (await organizations.get(tx, place.organization_id)).settings == {"mfa_required": not told}

    path = f"organizations/{made.organization.organization_id}"
    await call("PATCH", path, {"settings": {"mfa_required": True}})
    kept = await call("PATCH", path, {"settings": {"colour": "blue"}})
    assert kept.json()["settings"] == {"mfa_required": True, "colour": "blue"}, "left out is not switched off"
    assert _code(await call("PATCH", path, {"settings": {"mfa_required": "no"}}))[0] == 400
    off = await call("PATCH", path, {"settings": {"mfa_required": False}})
    assert off.json()["settings"] == {"mfa_required": False}
