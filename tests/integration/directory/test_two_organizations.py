"""Two organizations, set up through the API alone by people who were invited by e-mail, send and read telemetry apart.

Neither was told to do without second factors, so that everybody enrols one before they can do anything. The only thing
that is not done over HTTP is the first platform admin, whom the first start makes.
"""

import re

import pytest

from duoscope.delivery.mail import Mailer, deliver_due
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.operators.bootstrap import bootstrap
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.settings import Settings

PASSWORD = "a password that is long enough"
_LINK = re.compile(r"http://test/invitation#(tfi-[A-Za-z0-9_-]{43})")


class Person:
    """Somebody with a browser and a mailbox."""

    def __init__(self, world: "World", email: str, password: str = PASSWORD) -> None:
        self.world, self.email, self.password, self.headers = world, email, password, {}

    async def call(self, method: str, path: str, body: dict | None = None, *, status: int | None = None):
        response = await self.world.api.client.request(method, f"/api/v1{path}", json=body, headers=self.headers)
        wanted = status or {"POST": 201, "DELETE": 204}.get(method, 200)
        assert response.status_code == wanted, (method, path, response.text)
        return response.json() if response.content else None

    async def log_in(self) -> "Person":
        """For the first time: with a password alone, which is not enough."""
        body = {"email": self.email, "password": self.password}
        tokens = await self.call("POST", "/auth/login", body, status=200)
        self.headers = {"authorization": f"Bearer {tokens['access_token']}"}
        refused = await self.call("GET", "/services", status=403)
        assert refused["code"] == "mfa-enrolment-required"
        enrolment = await self.call("POST", "/auth/mfa/enrolment", {"password": self.password})
        code = self.world.totp_code(enrolment["secret"])
        await self.call("POST", "/auth/mfa/confirmation", {"mfa_code": code}, status=200)
        return self

    async def go_to(self, tenant_id: str) -> "Person":
        switched = await self.call("POST", "/auth/switch", {"tenant_id": tenant_id}, status=200)
        self.headers = {"authorization": f"Bearer {switched['access_token']}"}
        return self

    async def invite(self, email: str, roles: list[str], query: str = "", **where) -> "Person":
        """Invite somebody, who finds the mail, accepts and logs in."""
        invitation = await self.call("POST", f"/invitations{query}", {"email": email, "role_ids": roles, **where})
        assert "tfi-" not in str(invitation)
        token = await self.world.token_mailed_to(email)
        body = {"token": token, "first_name": "Ada", "last_name": "L.", "password": PASSWORD}
        await Person(self.world, email).call("POST", "/invitations/accept", body, status=200)
        return await Person(self.world, email).log_in()

    async def role(self, name: str, query: str = "") -> str:
        roles = await self.call("GET", f"/roles?name={name}&{query}")
        return roles["items"][0]["role_id"]


class World:
    """The API, the mail server, and what collectors do."""

    def __init__(self, api, smtp_server, secret_keys, deliver, verifier, *, totp_code) -> None:
        self.api, self.smtp, self.deliver, self.verifier = api, smtp_server, deliver, verifier
        self.totp_code = totp_code
        self.mailer = Mailer(Settings(smtp_url=smtp_server.url), secret_keys)

    async def token_mailed_to(self, email: str) -> str:
        while await deliver_due(self.api.services.metadata, self.mailer, {}):
            pass
        mail = next(m for m in reversed(self.smtp.mails) if m["To"] == email)
        return _LINK.search(mail.get_content())[1]

    async def send(self, api_key: str, *requests) -> None:
        await self.deliver((await self.verifier.verify(api_key)).scope, *requests)


@pytest.fixture
async def world(api, smtp_server, secret_keys, deliver, *, hasher, totp_code):
    verifier = ApiKeyVerifier(api.services.metadata, hasher, secret_keys)
    return World(api, smtp_server, secret_keys, deliver, verifier, totp_code=totp_code)


@pytest.fixture
async def root(world, metadata_store, hasher, tmp_path):
    first = await bootstrap(
        metadata_store, hasher, data_dir=tmp_path, api_url="", otlp_grpc_endpoint="", otlp_http_endpoint=""
    )
    return await Person(world, first.credentials.admin_email, first.credentials.admin_password).log_in()


async def _organization(root: Person, name: str, region_id: str) -> dict:
    """Made and staffed over the API: two workspaces, two tenants, a custom role, a developer and a key in each."""
    made = await root.call("POST", "/organizations", {"name": name, "region_id": region_id})
    organization_id = made["organization"]["organization_id"]
    query = f"?organization_id={organization_id}"
    admin_role = await root.role("admin", query[1:])
    mailbox = f"@{name.lower()}.example"
    boss = await root.invite(f"boss{mailbox}", [admin_role], query, organization_wide=True)
    on_call = await boss.call("POST", "/roles", {"name": "on-call", "permissions": ["log:read", "trace:read"]})
    places = []
    workspaces = [made["workspace_id"], (await boss.call("POST", "/workspaces", {"name": "Shop"}))["workspace_id"]]
    for number, workspace_id in enumerate(workspaces):
        body = {"name": f"Production {number}", "workspace_id": workspace_id, "retention_days": 7}
        tenant_id = (await boss.call("POST", "/tenants", body))["tenant_id"]
        await boss.go_to(tenant_id)
        local = await boss.call(
            "POST", "/roles", {"name": "local", "permissions": ["log:read"], "tenant_id": tenant_id}
        )
        reader = await boss.invite(f"reader{number}{mailbox}", [on_call["role_id"]])
        guest = await boss.invite(f"guest{number}{mailbox}", [local["role_id"]], tenant_id=tenant_id)
        key = await boss.call("POST", "/api-keys", {"name": "collector", "permissions": ["logs:write"]})
        places.append({"tenant_id": tenant_id, "reader": reader, "guest": guest, "key": key["api_key"]})
    return {"organization_id": organization_id, "boss": boss, "places": places}


async def test_two_organizations_live_apart(world, root, otlp):
    region = await root.call("POST", "/regions", {"name": "Frankfurt"})
    one = await _organization(root, "Acme", region["region_id"])
    two = await _organization(root, "Umbrella", region["region_id"])

    places = one["places"] + two["places"]
    for place in places:
        record = {"time_unix_nano": now_unix_nano(), "body": f"hello from {place['tenant_id']}"}
        await world.send(place["key"], otlp.logs("checkout", record))
    for place in places:
        for person in (place["reader"], place["guest"]):
            found = await person.call("POST", "/logs/search", {"query": "hello"}, status=200)
            assert [item["body"] for item in found["items"]] == [f"hello from {place['tenant_id']}"]
        await place["reader"].call("POST", "/traces/search", {}, status=200)
        await place["guest"].call("POST", "/traces/search", {}, status=403)

    for mine, theirs in ((one, two), (two, one)):
        boss, foreign = mine["boss"], theirs["places"][0]
        await boss.call("POST", "/auth/switch", {"tenant_id": foreign["tenant_id"]}, status=404)
        await boss.call("GET", f"/users?organization_id={theirs['organization_id']}", status=404)
        await boss.call("GET", f"/tenants/{foreign['tenant_id']}", status=404)
        seen = (await boss.call("GET", "/users?limit=200"))["items"]
        assert {user["organization_id"] for user in seen} == {mine["organization_id"]}
        assert len(seen) == 5
        tenants = (await boss.call("GET", "/tenants"))["items"]
        assert len(tenants) == 3
        assert len((await boss.call("GET", "/auth/tenants"))["items"]) == 3
        assert len((await boss.call("GET", "/workspaces"))["items"]) == 2

    # The platform's admin manages organizations and reads nobody's telemetry.
    assert len((await root.call("GET", "/organizations"))["items"]) == 3
    await root.call("POST", "/auth/switch", {"tenant_id": one["places"][0]["tenant_id"]}, status=404)


async def test_a_role_that_changes_counts_at_once(world, root):
    region = await root.call("POST", "/regions", {"name": "Frankfurt"})
    acme = await _organization(root, "Acme", region["region_id"])
    boss, reader = acme["boss"], acme["places"][0]["reader"]
    role_id = await boss.role("on-call")
    await boss.call("PATCH", f"/roles/{role_id}", {"permissions": ["trace:read"]})
    await reader.call("POST", "/logs/search", {}, status=403)
    await boss.call("DELETE", f"/roles/{role_id}")
    await reader.call("POST", "/traces/search", {}, status=403)
    await boss.call("POST", f"/roles/{role_id}/restore", status=200)
    await reader.call("POST", "/traces/search", {}, status=200)
    me = await reader.call("GET", "/auth/me")
    await boss.call("PATCH", f"/users/{me['user_id']}", {"is_active": False})
    await reader.call("POST", "/traces/search", {}, status=401)
