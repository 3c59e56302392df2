"""Identity providers: managed by who may do everything in the organization, and invisible to all others."""

import dataclasses

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope

_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}
_BODY = {
    "name": "Company login",
    "issuer": "https://login.example.com/realms/shop",
    "client_id": "duoscope",
    "client_secret": "hush-hush",
    "allowed_email_domains": ["example.com"],
}
_PATH = "/api/v1/identity-providers"


@pytest.fixture
def mine(new_scope) -> Scope:
    return new_scope()


@pytest.fixture
def theirs(new_scope) -> Scope:
    return new_scope()


@pytest.fixture
def admin(api):
    async def headers(scope: Scope) -> dict[str, str]:
        made = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
        return made | _SAME_ID

    return headers


async def _create(api, headers, **changed) -> dict:
    response = await api.client.post(_PATH, json=_BODY | changed, headers=headers)
    assert response.status_code == 201, response.text
    assert "hush" not in response.text
    return response.json()


async def test_made_listed_changed_deleted_and_restored(api, admin, mine):
    headers = await admin(mine)
    made = await _create(api, headers)
    one = f"{_PATH}/{made['identity_provider_id']}"
    assert made["slug"].startswith("company-login-")
    assert made["redirect_uri"] == f"http://test/api/v1/auth/oidc/{made['slug']}/callback"
    listed = (await api.client.get(f"{_PATH}?name=company&is_active=true", headers=headers)).json()["items"]
    assert [item["identity_provider_id"] for item in listed] == [made["identity_provider_id"]]
    changed = await api.client.patch(one, json={"name": "Other", "client_secret": "new-hush"}, headers=headers)
    assert (changed.json()["name"], changed.json()["issuer"]) == ("Other", _BODY["issuer"])
    assert (await api.client.get(one, headers=headers)).json() == changed.json()
    assert (await api.client.delete(one, headers=headers)).status_code == 204
    assert (await api.client.delete(one, headers=headers)).status_code == 404
    assert (await api.client.get(_PATH, headers=headers)).json()["items"] == []
    assert len((await api.client.get(f"{_PATH}?deleted=true", headers=headers)).json()["items"]) == 1
    assert (await api.client.post(f"{one}/restore", headers=headers)).status_code == 200
    assert (await api.client.post(f"{one}/restore", headers=headers)).status_code == 404
    entries = (await api.client.get("/api/v1/audit-logs?reach=organization", headers=headers)).json()["items"]
    assert {f"identity-provider.{what}" for what in ("created", "changed", "deleted", "restored")} <= {
        entry["action"] for entry in entries
    }
    assert "hush" not in str(entries)


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.example.com"},
        {"issuer": "https://user:secret@login.example.com"},
        {"issuer": "https://login.example.com?x=1"},
        {"issuer": "https://"},
        {"issuer": "ftp://login.example.com"},
        {"issuer": "https://[::1"},
        {"allowed_email_domains": []},
        {"allowed_email_domains": ["*"]},
        {"allowed_email_domains": ["nodot"]},
        {"scopes": ["email"]},
        {"scopes": ["openid", "a b"]},
        {"client_secret": ""},
        {"group_roles": [{"group": "x", "role_id": str(new_id())}]},
        {"group_roles": [{"group": "", "role_id": str(new_id()), "organization_wide": True}]},
        {"name": "???"},
    ],
)
async def test_what_cannot_be_is_refused(api, admin, mine, wrong):
    response = await api.client.post(_PATH, json=_BODY | wrong, headers=await admin(mine))
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json"), response.text


async def test_it_takes_everything_organization_wide(api, admin, mine):
    made = await _create(api, await admin(mine))
    one = f"{_PATH}/{made['identity_provider_id']}"
    here = await api.headers(mine, *ROLE_PERMISSIONS)
    few = await api.headers(
        mine, *(f"identity-provider:{action}" for action in ("read", "write", "delete")), organization_wide=True
    )
    for headers, code in ((here, "permission-denied"), (few, "beyond-own-permissions")):
        for response in (
            await api.client.post(_PATH, json=_BODY, headers=headers),
            await api.client.patch(one, json={"name": "x"}, headers=headers),
        ):
            assert (response.status_code, response.json()["code"]) == (403, code)
    for request in (api.client.get(_PATH, headers=here), api.client.get(one, headers=here)):
        assert (await request).status_code == 403
    assert (await api.client.get(one, headers=few)).status_code == 200


async def test_a_neighbours_claim_of_a_domain_answers_as_one_that_never_was(api, admin, mine, theirs):
    own, path = await admin(mine), "/api/v1/email-domains"

    async def claim(headers):
        answer = await api.client.post(path, json={"domain": "example.com"}, headers=headers)
        assert answer.status_code == 201, answer.text
        return f"{path}/{answer.json()['email_domain_id']}"

    one = await claim(own)
    reads = (path, one, f"{path}?domain=example&verified=false&sort=-created_at&limit=1")
    alone = [(await api.client.get(read, headers=own)).content for read in reads]
    foreign = await claim(await admin(theirs))
    assert alone == [(await api.client.get(read, headers=own)).content for read in reads]
    for method, ending in (("GET", ""), ("DELETE", ""), ("POST", "/verify")):
        answers = [
            await api.client.request(method, f"{claimed}{ending}", headers=own)
            for claimed in (foreign, f"{path}/{new_id()}")
        ]
        assert answers[0].status_code == 404, method
        assert answers[0].content == answers[1].content
        assert answers[0].headers == answers[1].headers
    async with api.services.metadata.open(mine, "test.tenant") as tx:
        assert await tx.fetchval("SELECT count(*) FROM email_domains") == 0, "no tenant's transaction sees them"


async def test_claims_and_proofs_of_domains_take_everything_organization_wide(api, admin, mine):
    path, body = "/api/v1/email-domains", {"domain": "example.com"}
    made = await api.client.post(path, json=body, headers=await admin(mine))
    one = f"{path}/{made.json()['email_domain_id']}"
    here = await api.headers(mine, *ROLE_PERMISSIONS)
    few = await api.headers(
        mine, *(f"identity-provider:{action}" for action in ("read", "write", "delete")), organization_wide=True
    )
    for headers, code in ((here, "permission-denied"), (few, "beyond-own-permissions")):
        for response in (
            await api.client.post(path, json=body, headers=headers),
            await api.client.post(f"{one}/verify", headers=headers),
        ):
            assert (response.status_code, response.json()["code"]) == (403, code)
    for request in (api.client.get(path, headers=here), api.client.get(one, headers=here)):
        assert (await request).status_code == 403
    assert (await api.client.get(one, headers=few)).status_code == 200
    assert (await api.client.delete(one, headers=few)).status_code == 204


async def test_a_neighbours_provider_answers_as_one_that_never_was(api, admin, mine, theirs):
    own = await admin(mine)
    made = await _create(api, own)
    alone = [
        (await api.client.get(path, headers=own)).content
        for path in (_PATH, f"{_PATH}/{made['identity_provider_id']}", f"{_PATH}?sort=-name&limit=1")
    ]
    foreign = (await _create(api, await admin(theirs)))["identity_provider_id"]
    again = [
        (await api.client.get(path, headers=own)).content
        for path in (_PATH, f"{_PATH}/{made['identity_provider_id']}", f"{_PATH}?sort=-name&limit=1")
    ]
    assert alone == again
    for method, ending, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "taken over"}),
        ("DELETE", "", None),
        ("POST", "/restore", None),
    ):
        answers = [
            await api.client.request(method, f"{_PATH}/{identifier}{ending}", json=body, headers=own)
            for identifier in (foreign, new_id())
        ]
        assert answers[0].status_code == 404, method
        assert answers[0].content == answers[1].content
        assert answers[0].headers == answers[1].headers
    async with api.services.metadata.open(theirs, "test.tenant") as tx:
        assert await tx.fetchval("SELECT count(*) FROM identity_providers") == 0, "no tenant's transaction sees them"


async def test_roles_and_tenants_of_neighbours_cannot_be_given(api, admin, mine, theirs):
    own = await admin(mine)
    await admin(theirs)
    async with api.services.metadata.open(theirs, "test.roles") as tx:
        foreign_role = str(await tx.fetchval("SELECT role_id FROM roles WHERE role_type = 'viewer'"))
    async with api.services.metadata.open(mine, "test.roles") as tx:
        own_role = str(await tx.fetchval("SELECT role_id FROM roles WHERE role_type = 'viewer'"))
    for mapping in (
        {"group": "x", "role_id": foreign_role, "organization_wide": True},
        {"group": "x", "role_id": foreign_role, "tenant_id": str(mine.tenant_id)},
        {"group": "x", "role_id": own_role, "tenant_id": str(theirs.tenant_id)},
        {"group": "x", "role_id": str(new_id()), "organization_wide": True},
    ):
        response = await api.client.post(_PATH, json=_BODY | {"group_roles": [mapping]}, headers=own)
        assert response.status_code == 404, mapping
    assert (await api.client.get(_PATH, headers=own)).json()["items"] == []
    sister = dataclasses.replace(mine, tenant_id=new_id())
    await api.headers(sister)
    mapping = {"group": "x", "role_id": own_role, "tenant_id": str(sister.tenant_id)}
    made = await _create(api, own, group_roles=[mapping])
    assert made["group_roles"] == [mapping | {"organization_wide": False}]


async def test_logins_of_unknown_providers_answer_alike(api, admin, mine):
    made = await _create(api, await admin(mine))
    await api.client.patch(
        f"{_PATH}/{made['identity_provider_id']}", json={"is_active": False}, headers=await admin(mine)
    )
    for end in ("start", "callback?state=x&code=y"):
        answers = [
            await api.client.get(f"/api/v1/auth/oidc/{slug}/{end}", headers=_SAME_ID)
            for slug in (made["slug"], "never-was", "%00", "A" * 300)
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers[:2]}) == 1
