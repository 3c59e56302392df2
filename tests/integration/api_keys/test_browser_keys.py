"""API keys for web pages: which may be made, how they change, and that they reach nothing but what pages need."""

import asyncio

import asyncpg
import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.offline import OfflineKeys
from duoscope.identity.api_keys.origins import WrongOriginError, require_origin
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.secrets.keys import SecretKeys

SHOP = "https://shop.example.com"
MANAGER = (
    *("api-key:read", "api-key:write", "api-key:delete", "audit-log:read"),
    *("trace:write", "metric:write", "log:write", "uptime-monitor:write", "log:read", "trace:read", "metric:read"),
)
BROWSER = {"name": "page", "permissions": ["traces:write"], "allowed_origins": [SHOP], "is_browser_only": True}


@pytest.fixture
async def call(api, new_scope):
    headers = await api.headers(new_scope(), *MANAGER)

    async def call(method, path, body=None, *, status=200):
        answer = await api.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    return call


@pytest.fixture
def verifier(api):
    return ApiKeyVerifier(api.services.metadata, api.services.hasher, SecretKeys((b"s" * 32,)))


async def test_a_key_for_browsers_is_made_with_a_limit(call, verifier):
    made = await call(
        "POST", "api-keys", BROWSER | {"allowed_origins": ["HTTPS://Shop.Example.com:443", SHOP]}, status=201
    )
    assert (made["allowed_origins"], made["is_browser_only"], made["rate_limit"]) == ([SHOP], True, 6000)
    assert (await call("POST", "api-keys", BROWSER | {"rate_limit": 60}, status=201))["rate_limit"] == 60
    shown = await call("GET", f"api-keys/{made['api_key_id']}")
    assert shown == {name: value for name, value in made.items() if name != "api_key"}
    principal = await verifier.verify(made["api_key"])
    assert (principal.allowed_origins, principal.is_browser_only, principal.rate_limit) == ((SHOP,), True, 6000)
    [entry, _] = (await call("GET", "audit-logs?action=api-key.created&sort=created_at"))["items"]
    assert (entry["after"]["allowed_origins"], entry["after"]["is_browser_only"]) == ([SHOP], True)


async def test_by_default_a_key_is_not_for_pages(call, verifier):
    made = await call("POST", "api-keys", {"name": "collector", "permissions": ["logs:write"]}, status=201)
    assert (made["allowed_origins"], made["is_browser_only"], made["rate_limit"]) == ([], False, None)
    assert not await verifier.origins.allows(SHOP)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (BROWSER | {"allowed_origins": []}, "needs allowed_origins"),
        (BROWSER | {"permissions": ["traces:write", "monitors:report"]}, "logs:write, metrics:write, traces:write"),
        (BROWSER | {"permissions": ["traces:write", "logs:read"]}, "read permission"),
        (BROWSER | {"is_browser_only": False, "permissions": ["logs:read"]}, "read permission"),
        (BROWSER | {"allowed_origins": [f"{SHOP}/"]}, f"ends after host and port, without a path: {SHOP}"),
        (BROWSER | {"allowed_origins": ["shop.example.com"]}, "Write scheme://host or scheme://host:port"),
        (BROWSER | {"allowed_origins": ["https://*.example.com"]}, "no wildcard"),
        (BROWSER | {"allowed_origins": ["*", SHOP]}, "alone"),
        (BROWSER | {"allowed_origins": ["null"]}, "null"),
        (BROWSER | {"allowed_origins": [f"https://{n}.example.com" for n in range(51)]}, "50"),
        (BROWSER | {"allowed_origins": ["https://" + "a" * 300]}, "300"),
        (BROWSER | {"rate_limit": 0}, "rate_limit"),
    ],
)
async def test_the_error_says_what_such_a_key_may_be(call, body, why):
    problem = await call("POST", "api-keys", body, status=400)
    assert why in str(problem)


async def test_changes(call, verifier):
    made = await call("POST", "api-keys", BROWSER, status=201)
    path = f"api-keys/{made['api_key_id']}"
    other = "https://other.example.com"
    changed = await call("PATCH", path, {"allowed_origins": [SHOP, f"{other}:443"], "rate_limit": 10})
    assert (changed["allowed_origins"], changed["rate_limit"]) == ([other, SHOP], 10)
    [entry] = (await call("GET", "audit-logs?action=api-key.changed"))["items"]
    assert entry["before"] == {"allowed_origins": [SHOP], "rate_limit": 6000}
    assert entry["after"] == {"allowed_origins": [other, SHOP], "rate_limit": 10}
    for bad in (
        {"allowed_origins": []}, {"rate_limit": None}, {"is_browser_only": False}, {"allowed_origins": ["x"]},
        {"allowed_origins": None},
    ):  # fmt: skip
        await call("PATCH", path, bad, status=400)
    assert (await call("GET", path))["allowed_origins"] == [other, SHOP]
    rotated = await call("POST", f"{path}/rotate", {})
    for presented in (made["api_key"], rotated["api_key"]):
        principal = await verifier.verify(presented)
        assert (principal.allowed_origins, principal.is_browser_only) == ((other, SHOP), True)
    # A key of servers may be opened to pages, and closed again, unless it reads.
    for permission, status in (("logs:write", 200), ("logs:read", 400)):
        key = await call("POST", "api-keys", {"name": "x", "permissions": [permission]}, status=201)
        await call("PATCH", f"api-keys/{key['api_key_id']}", {"allowed_origins": ["*"]}, status=status)
        await call("PATCH", f"api-keys/{key['api_key_id']}", {"allowed_origins": []})


async def test_it_reads_nothing(call, api):
    made = await call("POST", "api-keys", BROWSER, status=201)
    for headers in ({"x-api-key": made["api_key"]}, {"x-api-key": made["api_key"], "origin": SHOP}):
        for method, path in (("POST", "logs/search"), ("GET", "services"), ("GET", "api-keys"), ("GET", "auth/me")):
            answer = await api.client.request(method, f"/api/v1/{path}", json={}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "api-key-not-accepted")
            assert "access-control-allow-origin" not in answer.headers
    preflight = {"origin": SHOP, "access-control-request-method": "POST"}
    answer = await api.client.options("/api/v1/logs/search", headers=preflight)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("is_browser_only = false", "stays for browsers only"),
        ("rate_limit = NULL", "api_keys_browser_only"),
        ("allowed_origins = '{}'", "api_keys_browser_only"),
    ],
)
async def test_the_database_keeps_it_so(call, api, change, constraint):
    await call("POST", "api-keys", BROWSER, status=201)
    with pytest.raises(DuoscopeError) as refused:
        async with api.services.metadata.open_platform(PlatformScope(reason="test"), "test.change") as tx:
            await tx.execute(f"UPDATE api_keys SET {change}")
    assert isinstance(refused.value.__cause__, asyncpg.CheckViolationError)
    assert constraint in str(refused.value.__cause__)


async def test_a_receiver_hears_of_new_and_changed_origins(call, verifier, api):
    """And of those of a key that nobody used yet."""
    upkeep = ApiKeyUpkeep(api.services.metadata, verifier)
    upkeep.start(Driver())
    heard = asyncio.Semaphore(0)
    doubt = verifier.origins.doubt

    def noted():
        doubt()
        heard.release()

    try:
        async with asyncio.timeout(20):
            await upkeep.listening.wait()
            verifier.origins.doubt = noted
            assert not await verifier.origins.allows(SHOP)
            made = await call("POST", "api-keys", BROWSER, status=201)
            await heard.acquire()
            assert await verifier.origins.allows(SHOP)
            await call("PATCH", f"api-keys/{made['api_key_id']}", {"allowed_origins": ["https://a.example"]})
            await heard.acquire()
            assert await verifier.origins.allows("https://a.example")
            assert not await verifier.origins.allows(SHOP)
            await call("POST", f"api-keys/{made['api_key_id']}/revoke", {"reason": "x"})
            await heard.acquire()
            assert not await verifier.origins.allows(SHOP)
            assert not await verifier.origins.allows("https://a.example")
    finally:
        await upkeep.stop()


async def test_a_restart_while_postgresql_is_away_keeps_them(call, verifier, api, tmp_path):
    offline = OfflineKeys(tmp_path, SecretKeys((b"s" * 32,)))
    made = await call("POST", "api-keys", BROWSER, status=201)
    principal = await verifier.verify(made["api_key"])
    offline.write(verifier.offline_keys())
    restarted = ApiKeyVerifier(api.services.metadata, api.services.hasher, SecretKeys((b"s" * 32,)), offline=offline)
    assert restarted.origins.knows(SHOP)
    [entry] = restarted.offline_keys()
    assert (entry.allowed_origins, entry.is_browser_only) == ((SHOP,), True)
    for origin in (None, "https://a.example"):
        with pytest.raises(WrongOriginError):
            require_origin(principal, origin)
    require_origin(principal, SHOP)
