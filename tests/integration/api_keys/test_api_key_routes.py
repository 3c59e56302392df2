"""API keys over the API: made, listed, changed, rotated, revoked, each with its entry in the audit log."""

import asyncio
import datetime as dt

import pytest

from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.secrets.keys import SecretKeys

MANAGER = (
    *("api-key:read", "api-key:write", "api-key:delete", "audit-log:read"),
    *("trace:write", "metric:write", "log:write", "uptime-monitor:write", "log:read"),
)


class Caller:
    """Calls the API as somebody."""

    def __init__(self, api, headers) -> None:
        self._api = api
        self.headers = headers

    async def __call__(self, method: str, path: str, body=None, *, status: int = 200):
        answer = await self._api.client.request(method, f"/api/v1/{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def audit(self, **filters: str) -> list[dict]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return (await self("GET", f"audit-logs?resource_type=api-key&{query}"))["items"]


@pytest.fixture
def scope(new_scope):
    return new_scope()


@pytest.fixture
async def call(api, scope) -> Caller:
    return Caller(api, await api.headers(scope, *MANAGER))


@pytest.fixture
def verifier(api):
    return ApiKeyVerifier(api.services.metadata, api.services.hasher, SecretKeys((b"s" * 32,)))


async def _refused(verifier, presented: str) -> str:
    with pytest.raises(DuoscopeError) as refused:
        await verifier.verify(presented)
    return refused.value.code


async def test_a_key_is_made_shown_once_and_works(call, verifier, scope):
    made = await call(
        "POST", "api-keys", {
            "name": "eu-1", "permissions": ["logs:write", "logs:write", "traces:write"], "rate_limit": 600,
            "allowed_addresses": ["192.0.2.1", "192.0.2.1/32", "2001:db8::/32"], "description": "for é",
            "expires_at": "2099-01-01T00:00:00Z",
        }, status=201,
    )  # fmt: skip
    principal = await verifier.verify(made["api_key"], "192.0.2.1")
    assert principal.scope == scope
    assert (str(principal.api_key_id), principal.name, principal.rate_limit) == (made["api_key_id"], "eu-1", 600)
    assert principal.signals == {"logs:write", "traces:write"}
    assert made["allowed_addresses"] == ["192.0.2.1/32", "2001:db8::/32"]
    assert made["expires_at"] == "2099-01-01T00:00:00Z"
    shown = await call("GET", f"api-keys/{made['api_key_id']}")
    assert "api_key" not in shown
    assert shown == {name: value for name, value in made.items() if name != "api_key"}
    [entry] = await call.audit(action="api-key.created")
    assert entry["after"]["permissions"] == ["logs:write", "traces:write"]
    assert entry["resource_id"] == made["api_key_id"]
    assert made["api_key"].partition(".")[2] not in str(entry)


async def test_lists_filter_sort_and_page(call):
    for name, permission in (("b", "logs:write"), ("a", "logs:read"), ("c", "logs:write")):
        await call("POST", "api-keys", {"name": name, "permissions": [permission]}, status=201)

    async def names(query: str) -> list[str]:
        return [item["name"] for item in (await call("GET", f"api-keys?{query}"))["items"]]

    assert await names("") == ["b", "a", "c"]
    assert await names("sort=name") == ["a", "b", "c"]
    assert await names("sort=-created_at&permission=logs:write") == ["c", "b"]
    assert await names("name=A") == ["a"]
    assert await names("status=revoked") == []
    page = await call("GET", "api-keys?sort=-name&limit=2")
    assert [item["name"] for item in page["items"]] == ["c", "b"]
    assert await names(f"sort=-name&limit=2&cursor={page['next_cursor']}") == ["a"]
    for bad in ("sort=secret_hash", "status=x", "cursor=x", "permission=all"):
        await call("GET", f"api-keys?{bad}", status=400)


async def test_a_change_is_told_with_before_and_after_and_works_at_once(call, verifier):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["logs:write"]}, status=201)
    path = f"api-keys/{made['api_key_id']}"
    changed = await call("PATCH", path, {"name": "b", "rate_limit": 5, "allowed_addresses": ["192.0.2.0/24"]})
    assert (changed["name"], changed["rate_limit"], changed["allowed_addresses"]) == ("b", 5, ["192.0.2.0/24"])
    assert await _refused(verifier, made["api_key"]) == "address-not-allowed"
    [entry] = await call.audit(action="api-key.changed")
    assert entry["before"] == {"name": "a", "rate_limit": None, "allowed_addresses": []}
    assert entry["after"] == {"name": "b", "rate_limit": 5, "allowed_addresses": ["192.0.2.0/24"]}
    assert entry["email"].endswith("@example.com")
    back = await call("PATCH", path, {"rate_limit": None, "allowed_addresses": [], "expires_at": None})
    assert (back["rate_limit"], back["allowed_addresses"], back["name"]) == (None, [], "b")
    await call("PATCH", path, {"name": "b"})
    assert len(await call.audit(action="api-key.changed")) == 2  # a change of nothing is none


async def test_rotation_shows_another_secret_and_both_work(call, verifier):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["logs:write"]}, status=201)
    path = f"api-keys/{made['api_key_id']}/rotate"
    rotated = await call("POST", path, {})
    assert rotated["key_id"] == made["key_id"]
    assert rotated["api_key"] != made["api_key"]
    until = dt.datetime.fromisoformat(rotated["grace_period_expires_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=23) < until <= dt.timedelta(hours=24)
    for presented in (made["api_key"], rotated["api_key"]):
        assert str((await verifier.verify(presented)).api_key_id) == made["api_key_id"]
    again = await call("POST", path, {"grace_period_s": 0})
    fresh = ApiKeyVerifier(verifier._store, verifier._hasher, SecretKeys((b"s" * 32,)))
    await fresh.verify(again["api_key"])
    for presented in (made["api_key"], rotated["api_key"]):
        assert await _refused(fresh, presented) == "api-key-invalid"
    entries = await call.audit(action="api-key.rotated")
    assert len(entries) == 2
    for secret in (rotated["api_key"], again["api_key"]):
        assert secret.partition(".")[2] not in str(entries)


async def test_a_key_rotated_twice_in_one_moment_keeps_the_secret_that_is_in_use(api, call, verifier, monkeypatch):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["traces:write"]}, status=201)
    path = f"/api/v1/api-keys/{made['api_key_id']}/rotate"
    hashing, all_have_read = SlowHasher.hash, asyncio.Barrier(3)

    async def together(self, secret):
        await all_have_read.wait()
        return await hashing(self, secret)

    monkeypatch.setattr(SlowHasher, "hash", together)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(api.client.post(path, json={}, headers=call.headers) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    for answer in answers:
        if answer.status_code == 200:
            await verifier.verify(answer.json()["api_key"])
        else:
            assert answer.json()["code"] == "api-key-rotated"
    await verifier.verify(made["api_key"])


async def test_a_revoked_key_stays_revoked(call, verifier):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["logs:write"]}, status=201)
    path = f"api-keys/{made['api_key_id']}"
    revoked = await call("POST", f"{path}/revoke", {"reason": "found in a log"})
    assert (revoked["status"], revoked["revoked_reason"]) == ("revoked", "found in a log")
    assert revoked["revoked_by"] is not None
    assert await _refused(verifier, made["api_key"]) == "api-key-invalid"
    assert await call("POST", f"{path}/revoke", {"reason": "again"}) == revoked
    for method, action, body in (("PATCH", "", {"name": "b"}), ("POST", "/rotate", {})):
        problem = await call(method, path + action, body, status=409)
        assert problem["code"] == "api-key-revoked"
    await call("POST", f"{path}/restore", {}, status=404)
    assert (await call("GET", path)) == revoked
    [entry] = await call.audit(action="api-key.revoked")
    assert (entry["before"]["status"], entry["after"]["status"]) == ("active", "revoked")
    assert entry["after"]["revoked_reason"] == "found in a log"


async def test_an_expired_key_shows_as_such(call, api):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["logs:write"]}, status=201)
    async with api.services.metadata.open_platform(PlatformScope(reason="test"), "test.expire") as tx:
        await tx.execute("UPDATE api_keys SET expires_at = now() - interval '1 s'")
    assert (await call("GET", f"api-keys/{made['api_key_id']}"))["status"] == "expired"
    assert [item["name"] for item in (await call("GET", "api-keys?status=expired"))["items"]] == ["a"]
    back = await call("PATCH", f"api-keys/{made['api_key_id']}", {"expires_at": "2099-01-01T00:00:00+02:00"})
    assert back["status"] == "active"


async def test_nobody_gets_a_key_that_may_do_more_than_they(call, api, scope):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["logs:write", "traces:write"]}, status=201)
    lesser = Caller(api, await api.headers(scope, "api-key:read", "api-key:write", "log:write"))
    for body in ({"name": "x", "permissions": ["traces:write"]}, {"name": "x", "permissions": ["logs:read"]}):
        assert (await lesser("POST", "api-keys", body, status=403))["code"] == "beyond-own-permissions"
    problem = await lesser("POST", f"api-keys/{made['api_key_id']}/rotate", {}, status=403)
    assert problem["code"] == "beyond-own-permissions"
    await lesser("POST", "api-keys", {"name": "x", "permissions": ["logs:write"]}, status=201)
    await lesser("POST", f"api-keys/{made['api_key_id']}/revoke", {"reason": "x"}, status=403)
    reader = Caller(api, await api.headers(scope, "api-key:read"))
    await reader("GET", "api-keys")
    await reader("PATCH", f"api-keys/{made['api_key_id']}", {"name": "x"}, status=403)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "permissions": ["logs:write"]},
        {"name": "a\0", "permissions": ["logs:write"]},
        {"name": "a", "permissions": []},
        {"name": "a", "permissions": ["all:write"]},
        {"name": "a", "permissions": ["logs:write"], "rate_limit": 0},
        {"name": "a", "permissions": ["logs:write"], "rate_limit": 2**31},
        {"name": "a", "permissions": ["logs:write"], "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "a", "permissions": ["logs:write"], "expires_at": "2099-01-01T00:00:00"},
        {"name": "a", "permissions": ["logs:write"], "allowed_addresses": ["10.0.0.1/8"]},
        {"name": "a", "permissions": ["logs:write"], "allowed_addresses": ["example.com"]},
        {"name": "a", "permissions": ["logs:write"], "allowed_addresses": ["::1"] * 101},
        {"name": "a", "permissions": ["logs:write"], "status": "active"},
        {"permissions": ["logs:write"]},
    ],
)
async def test_what_is_no_key_is_refused(call, body):
    await call("POST", "api-keys", body, status=400)


async def test_usage_is_told(call, api, verifier):
    made = await call("POST", "api-keys", {"name": "a", "permissions": ["logs:write"]}, status=201)
    principal = await verifier.verify(made["api_key"])
    for _ in range(3):
        verifier.count(principal, "POST /v1/logs", "192.0.2.1", 200)
    await ApiKeyUpkeep(api.services.metadata, verifier).flush()
    path = f"api-keys/{made['api_key_id']}"
    shown = await call("GET", path)
    assert (shown["usage_count"], shown["last_used_ip"]) == (3, "192.0.2.1")
    [use] = (await call("GET", f"{path}/usage"))["items"]
    assert (use["method"], use["endpoint"], use["request_count"], use["status_code"]) == ("POST", "/v1/logs", 3, 200)
    await call("GET", f"api-keys/{new_id()}/usage", status=404)
