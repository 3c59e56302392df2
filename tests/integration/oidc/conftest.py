"""An OpenID provider on loopback, and organizations that log in through it."""

import asyncio
from collections.abc import Generator

import httpx
import pytest

from duoscope.api.app import create_app
from duoscope.api.dependencies import assemble
from duoscope.identity.oidc.email_domains import verify_by_operator
from duoscope.identity.operators import administration
from duoscope.kernel.actor import operator
from duoscope.kernel.scope import OrganizationScope, PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.secrets.keys import SecretKeys
from support.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, providing

PASSWORD = "correct horse battery"
_PLATFORM = PlatformScope(reason="test")


@pytest.fixture
def provider(monkeypatch) -> Generator[Provider]:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    with providing() as made:
        yield made


@pytest.fixture
async def services(metadata_store, telemetry_store, hasher, zone):
    made = await assemble(
        metadata_store,
        telemetry_store,
        settings=Settings(
            outbound_networks="127.0.0.0/8", breached_passwords_url="off", dns_servers=f"127.0.0.1:{zone.port}"
        ),
        keys=SecretKeys((b"s" * 32,)),
        hasher=hasher,
        public_url="http://duoscope.test",
        stopping=asyncio.Event(),
    )
    yield made
    await made.outbound.close()


@pytest.fixture
async def browser(services):
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://duoscope.test") as client:
        yield client


class Acme:
    """An organization with a tenant, an admin, and an identity provider."""

    def __init__(self, services, browser, provider, tenant, code) -> None:
        self.services, self.browser, self.provider, self.tenant = services, browser, provider, tenant
        self.code = code
        self.headers: dict[str, str] = {}
        self.registered: dict = {}

    @property
    def scope(self) -> Scope:
        return Scope(self.tenant.organization_id, self.tenant.workspace_id, self.tenant.tenant_id)

    async def role_id(self, name: str) -> str:
        async with self.services.metadata.open(self.scope, "test.role") as tx:
            return str(await tx.fetchval("SELECT role_id FROM roles WHERE name = $1", name))

    async def prove(self, domain: str) -> None:
        await verify_by_operator(self.services.metadata, operator(), organization=self.code, domain=domain)

    async def register(self, *mapping: tuple[str, str], proves: bool = True, **fields) -> dict:
        """Register the provider, for domains that are proven to belong to the organization."""
        roles = [
            {"group": group, "role_id": await self.role_id(role), "tenant_id": str(self.tenant.tenant_id)}
            for group, role in mapping
        ]
        body = {
            "name": "Acme login",
            "issuer": self.provider.url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "allowed_email_domains": ["Example.com"],
            "group_roles": roles,
        }
        for domain in (body | fields)["allowed_email_domains"] if proves else ():
            await self.prove(domain)
        response = await self.browser.post("/api/v1/identity-providers", json=body | fields, headers=self.headers)
        assert response.status_code == 201, response.text
        self.registered = response.json()
        self.provider.client.redirect_uris = (self.registered["redirect_uri"],)
        return self.registered

    def path(self, end: str) -> str:
        return f"/api/v1/auth/oidc/{self.registered['slug']}/{end}"

    async def begin(self, **query) -> dict[str, str]:
        response = await self.browser.get(self.path("start"), params=query)
        assert response.status_code == 302, response.text
        return await asyncio.to_thread(self.provider.approve, response.headers["location"])

    async def login(self, **query):
        return await self.browser.get(self.path("callback"), params=await self.begin(**query))

    async def settings(self, **settings) -> None:
        """The organization's settings."""
        async with self.services.metadata.open(OrganizationScope(self.tenant.organization_id), "test.settings") as tx:
            await tx.execute("UPDATE organizations SET settings = $1", settings)

    async def me(self, response) -> dict:
        assert response.status_code == 200, response.text
        headers = {"authorization": f"Bearer {response.json()['access_token']}"}
        answer = await self.browser.get("/api/v1/auth/me", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refusals(self) -> list[str]:
        async with self.services.metadata.open(OrganizationScope(self.tenant.organization_id), "test.audit") as tx:
            rows = await tx.fetch(
                "SELECT content::json -> 'after' ->> 'reason' AS reason FROM audit_logs WHERE result = 'failure' "
                "AND resource_type = 'identity-provider' ORDER BY sequence"
            )
        return [row["reason"] for row in rows]

    async def refused(self, response, reason: str) -> None:
        assert (response.status_code, response.json()["code"]) == (401, "oidc-login-refused"), response.text
        assert reason not in response.text
        assert (await self.refusals())[-1] == reason


@pytest.fixture
def found(services, browser, provider):
    async def make(name: str) -> Acme:
        tenant = await administration.create_tenant(
            services.metadata, organization=name, workspace="W", tenant="T", mfa_required=False
        )
        acme = Acme(services, browser, provider, tenant, name.lower())
        await administration.create_user(
            services.metadata,
            services.hasher,
            tenant_id=tenant.tenant_id,
            email=f"root@{name.lower()}.example",
            password=PASSWORD,
            role="admin",
        )
        async with services.metadata.open_platform(_PLATFORM, "test.admin") as tx:
            await tx.execute("UPDATE user_roles SET workspace_id = NULL, tenant_id = NULL WHERE organization_id = $1",
                            tenant.organization_id)  # fmt: skip
        body = {"email": f"root@{name.lower()}.example", "password": PASSWORD}
        answer = await browser.post("/api/v1/auth/login", json=body)
        acme.headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        return acme

    return make


@pytest.fixture
async def acme(found) -> Acme:
    return await found("Acme")
