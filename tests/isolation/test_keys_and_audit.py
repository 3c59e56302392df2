"""API keys and the audit log against a neighbour: another tenant of the same workspace, the same names."""

import asyncio
import dataclasses

import httpx
import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.actor import Actor, operator
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import audit_logs
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.transport.http_server import HttpApplication
from duoscope.secrets.keys import SecretKeys

_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}


@pytest.fixture
def mine(new_scope) -> Scope:
    return new_scope()


@pytest.fixture
def theirs(mine) -> Scope:
    return dataclasses.replace(mine, tenant_id=new_id())


async def _write(api, scope: Scope, count: int = 3, *, tenant: bool = True) -> None:
    place = {"workspace_id": scope.workspace_id, "tenant_id": scope.tenant_id} if tenant else {}
    for number in range(count):
        async with api.services.metadata.open(scope, "test.write") as tx:
            await audit_logs.record(
                tx, Actor(None, "ada@example.com", "user"), action="thing.created", resource_type="thing",
                resource_id=str(number), organization_id=scope.organization_id, **place,
            )  # fmt: skip


async def _get(api, headers, path: str):
    return await api.client.get(path, headers=headers | _SAME_ID)


async def test_the_audit_log_of_a_tenant_is_the_same_bytes_whatever_a_neighbour_does(api, mine, theirs):
    headers = await api.headers(mine, "audit-log:read")
    await _write(api, mine)
    probes = [
        "/api/v1/audit-logs?resource_type=thing",
        "/api/v1/audit-logs?limit=2&actor=ada@example.com",
        "/api/v1/audit-logs?action=thing.*&resource_id=1&result=success",
    ]
    alone = [(await _get(api, headers, probe)).content for probe in probes]
    await _write(api, theirs)
    await _write(api, mine, tenant=False)
    for probe, expected in zip(probes, alone, strict=True):
        response = await _get(api, headers, probe)
        assert response.status_code == 200
        assert response.json()["items"], "finds nothing and so proves nothing"
        assert response.content == expected


async def test_the_organizations_audit_log_is_for_those_who_hold_it_organization_wide(api, mine, theirs, new_scope):
    stranger = new_scope()
    await api.headers(stranger)
    await api.headers(theirs)
    for scope in (mine, theirs, stranger):
        await _write(api, scope)
    await _write(api, mine, tenant=False)
    local = await api.headers(mine, "audit-log:read")
    wide = await api.headers(mine, "audit-log:read", organization_wide=True)
    everything = "/api/v1/audit-logs?resource_type=thing&reach=organization"
    assert (await _get(api, local, everything)).status_code == 403
    found = (await _get(api, wide, everything)).json()["items"]
    assert {item["organization_id"] for item in found} == {str(mine.organization_id)}
    assert {item["tenant_id"] for item in found} == {str(mine.tenant_id), str(theirs.tenant_id), None}
    assert len(found) == 9
    async with api.services.metadata.open_platform(PlatformScope(reason="test"), "test.platform") as tx:
        await audit_logs.record(
            tx, operator(), action="thing.created", resource_type="thing", resource_id="9", organization_id=None
        )
    above = await api.headers(mine, "audit-log:read", platform_admin=True)
    platform = (await _get(api, above, "/api/v1/audit-logs?reach=platform&resource_type=thing")).json()["items"]
    assert [item["resource_id"] for item in platform] == ["9"]
    for headers in (local, wide):
        assert (await _get(api, headers, "/api/v1/audit-logs?reach=platform")).status_code == 403
    assert (await _get(api, await api.headers(mine, "log:read"), "/api/v1/audit-logs")).status_code == 403


async def test_a_neighbours_cursor_shows_nothing_of_theirs(api, mine, theirs):
    await _write(api, mine)
    await _write(api, theirs)
    headers = await api.headers(theirs, "audit-log:read")
    cursor = (await _get(api, headers, "/api/v1/audit-logs?limit=1")).json()["next_cursor"]
    own = await api.headers(mine, "audit-log:read")
    page = await _get(api, own, f"/api/v1/audit-logs?cursor={cursor}")
    assert {item["tenant_id"] for item in page.json()["items"]} == {str(mine.tenant_id)}


_MANAGER = ("api-key:read", "api-key:write", "api-key:delete", "log:write")


async def _key(api, headers, name: str) -> dict:
    body = {"name": name, "permissions": ["logs:write"]}
    made = await api.client.post("/api/v1/api-keys", json=body, headers=headers)
    assert made.status_code == 201
    return made.json()


async def test_a_tenants_keys_are_the_same_bytes_whatever_a_neighbour_does(api, mine, theirs):
    own = await api.headers(mine, *_MANAGER)
    key = await _key(api, own, "collector")
    probes = [
        "/api/v1/api-keys",
        "/api/v1/api-keys?name=collector&status=active&permission=logs:write&sort=-name&limit=1",
        f"/api/v1/api-keys/{key['api_key_id']}",
        f"/api/v1/api-keys/{key['api_key_id']}/usage",
    ]
    alone = [(await _get(api, own, probe)).content for probe in probes]
    other = await api.headers(theirs, *_MANAGER)
    await _key(api, other, "collector")
    await _key(api, other, "collector")
    for probe, expected in zip(probes, alone, strict=True):
        response = await _get(api, own, probe)
        assert response.status_code == 200
        assert response.content == expected, probe


async def test_a_neighbours_key_answers_as_one_that_never_was(api, mine, theirs):
    own = await api.headers(mine, *_MANAGER)
    key = await _key(api, await api.headers(theirs, *_MANAGER), "collector")
    for method, ending, body in (
        ("GET", "", None),
        ("GET", "/usage", None),
        ("PATCH", "", {"name": "taken over"}),
        ("POST", "/rotate", {}),
        ("POST", "/revoke", {"reason": "taken over"}),
    ):
        answers = [
            await api.client.request(
                method, f"/api/v1/api-keys/{identifier}{ending}", json=body, headers=own | _SAME_ID
            )
            for identifier in (key["api_key_id"], new_id())
        ]
        assert answers[0].status_code == 404, (method, ending)
        assert answers[0].content == answers[1].content
        assert answers[0].headers == answers[1].headers
    async with api.services.metadata.open(theirs, "test.untouched") as tx:
        [row] = await tx.fetch("SELECT name, status, rotated_at FROM api_keys")
        assert tuple(row) == ("collector", "active", None)


@pytest.fixture
async def receiver(api, telemetry_store, tmp_path):
    """OTLP/HTTP over the API's stores, and the verifier of its keys."""
    verifier = ApiKeyVerifier(api.services.metadata, api.services.hasher, SecretKeys((b"s" * 32,)))
    log = await asyncio.to_thread(RequestLog.open, tmp_path / "ingest")
    ingest = Ingest(telemetry_store, verifier, log, driver=Driver())
    await ingest.start()
    transport = httpx.ASGITransport(HttpApplication(ingest))
    async with httpx.AsyncClient(transport=transport, base_url="http://otlp") as client:
        yield client, verifier
    await ingest.close()


async def test_a_preflight_tells_that_somebody_allows_the_origin_and_nothing_else(api, mine, theirs, receiver):
    """Not who, nor how many; and a neighbour's pages neither open nor close a tenant's own keys."""
    client, verifier = receiver
    own = await api.headers(mine, *_MANAGER)
    other = await api.headers(theirs, *_MANAGER)
    origin, path = "https://shop.example.com", "/v1/logs"
    key = (await _key(api, own, "collector"))["api_key"]

    async def page_key(headers, allowed):
        body = {"name": "page", "permissions": ["logs:write"], "allowed_origins": [allowed], "is_browser_only": True}
        made = await api.client.post("/api/v1/api-keys", json=body, headers=headers)
        verifier.origins.doubt()  # heard by notice in a running process; here nobody listens
        return made.json()["api_key"]

    async def asked():
        answer = await client.options(path, headers={"origin": origin, "access-control-request-method": "POST"})
        return answer.status_code, answer.content, answer.headers

    async def sent(with_key):
        headers = {"origin": origin, "x-api-key": with_key, "content-type": "application/json"}
        answer = await client.post(path, content=b"{}", headers=headers)
        return answer.status_code, answer.content, answer.headers

    assert (await asked())[0] == 403
    alone = await sent(key)
    await page_key(other, origin)
    allowed = await asked()
    assert allowed[0] == 204
    assert await sent(key) == alone
    elsewhere = await page_key(own, "https://elsewhere.example.com")
    assert (await sent(elsewhere))[0] == 403
    pages = await page_key(own, origin)
    assert await asked() == allowed
    assert (await sent(pages))[0] == 200
    await page_key(other, "*")
    assert await asked() == allowed
    assert await sent(key) == alone
