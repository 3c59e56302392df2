"""OTLP/HTTP from web pages: preflights, what a page may read, and keys that are for browsers only."""

import asyncio

import pytest

from duoscope.identity.api_keys import origins
from duoscope.identity.operators import administration
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.errors import unavailable
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_keys
from duoscope.receiver.status import busy
from duoscope.receiver.transport.http_server import JSON, PROTOBUF

SHOP, OTHER, NOBODY = "https://shop.example.com", "https://other.example.com", "https://nobody.example.com"
ASKED = "authorization,content-encoding,content-type,idempotency-key,traceparent,tracestate,x-api-key"
SIGNALS = ("traces", "logs", "metrics")


@pytest.fixture
def make(metadata_store):
    """Makes a key of a tenant, which is made too if it is new. Returns its text."""
    tenants = {}

    async def make(*allowed, tenant="shop", **more):
        if tenant not in tenants:
            tenants[tenant] = await administration.create_tenant(
                metadata_store, organization=tenant, workspace="Main", tenant=tenant
            )
        hasher = SlowHasher()
        try:
            made = await administration.create_api_key(
                metadata_store,
                hasher,
                tenant_id=tenants[tenant].tenant_id,
                name="page",
                allowed_origins=allowed,
                **more,
            )
        finally:
            hasher.close()
        return made.api_key

    return make


async def _preflight(send, origin, path="/v1/traces", method="POST", **more):
    asking = {
        "origin": origin, "access-control-request-method": method, "access-control-request-headers": ASKED, **more,
    }  # fmt: skip
    async with send.client() as client:
        return await client.options(path, headers={k: v for k, v in asking.items() if v is not None})


async def _post(send, key, origin, path="/v1/logs", *, content=b"{}", content_type=JSON, **more):
    headers = {"content-type": content_type, **more}
    if key:
        headers["authorization"] = f"Bearer {key}"
    if origin is not None:
        headers["origin"] = origin
    async with send.client() as client:
        return await client.post(path, content=content, headers=headers)


def _told(answer):
    """What a browser looks at."""
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-") or k == "vary"}


def _readable(origin):
    return {"access-control-allow-origin": origin, "access-control-expose-headers": "retry-after", "vary": "origin"}


@pytest.mark.parametrize("signal", SIGNALS)
async def test_a_preflight_without_a_key_is_answered_for_origins_that_a_key_allows(serve, make, signal):
    await make(SHOP, "http://localhost:3000")
    async with serve() as send:
        for origin in (SHOP, "http://localhost:3000"):
            answer = await _preflight(send, origin, f"/v1/{signal}")
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["vary"] == "origin"
            assert answer.headers["access-control-allow-methods"] == "POST"
            assert answer.headers["access-control-max-age"] == "7200"
            allowed = answer.headers["access-control-allow-headers"].split(", ")
            assert set(ASKED.split(",")) <= set(allowed)
            assert "access-control-allow-credentials" not in answer.headers
        for origin in (NOBODY, "https://shop.example.com:8443", "http://shop.example.com", "null", "*", ""):
            answer = await _preflight(send, origin, f"/v1/{signal}")
            assert (answer.status_code, _told(answer)) == (403, {"vary": "origin"}), origin
            assert "allowed_origins" in answer.json()["message"]


async def test_what_is_no_preflight_is_answered_as_ever(serve, make):
    await make(SHOP)
    async with serve() as send:
        for incomplete in ({"origin": None}, {"method": None}):
            answer = await _preflight(send, **({"origin": SHOP} | incomplete))
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        answer = await _preflight(send, SHOP, "/v1/profiles")
        assert (answer.status_code, _told(answer)) == (404, _readable(SHOP))


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
async def test_a_page_sends_and_reads_the_answer(serve, make, content_type):
    content = b"{}" if content_type == JSON else b""
    key = await make(SHOP)
    async with serve() as send:
        for _ in range(2):  # the second time from memory
            answer = await _post(send, key, SHOP, content=content, content_type=content_type)
            assert (answer.status_code, _told(answer)) == (200, _readable(SHOP))
        # From elsewhere than a page, such as a server that uses the same key.
        answer = await _post(send, key, None, content=content, content_type=content_type)
        assert (answer.status_code, _told(answer)) == (200, {})


async def test_a_key_counts_for_its_own_origins_only(serve, make):
    key, others = await make(SHOP), await make(OTHER, tenant="other")
    async with serve() as send:
        for used, origin in ((key, OTHER), (others, SHOP), (key, "null"), (key, NOBODY)):
            answer = await _post(send, used, origin)
            assert answer.status_code == 403
            assert answer.json()["details"][0]["reason"] == "origin-not-allowed"
            # Who could ask at all can read why.
            assert _told(answer) == (_readable(origin) if origin in {SHOP, OTHER} else {"vary": "origin"})
        for used, origin in ((key, SHOP), (others, OTHER)):
            assert (await _post(send, used, origin)).status_code == 200


async def test_a_key_without_origins_is_not_for_pages(serve, make):
    """It is taken all the same: a proxy that adds the key passes on the Origin of its own pages."""
    await make(SHOP, tenant="other")
    async with serve() as send:
        for origin in (SHOP, NOBODY):
            answer = await _post(send, send.key, origin)
            assert (answer.status_code, _told(answer)) == (200, {"vary": "origin"})
    assert await make()  # allows none, and so lets nobody ask
    async with serve() as send:
        assert (await _preflight(send, NOBODY)).status_code == 403


async def test_errors_can_be_read_too(serve, make):
    key = await make(SHOP, rate_limit=1, permissions=["logs:write"])
    async with serve() as send:
        answers = [
            (401, await _post(send, None, SHOP)),
            (401, await _post(send, "tfk-none", SHOP)),
            (404, await _post(send, key, SHOP, "/v1/log")),
            (403, await _post(send, key, SHOP, "/v1/traces")),
            (415, await _post(send, key, SHOP, content_type="text/plain")),
            (200, await _post(send, key, SHOP)),
            (429, await _post(send, key, SHOP)),
        ]
        for status, answer in answers:
            assert (answer.status_code, _told(answer)) == (status, _readable(SHOP))
        assert int(answers[-1][1].headers["retry-after"]) > 0
        # To others, errors say nothing; to no page, there is nothing to say.
        assert _told(await _post(send, "tfk-none", NOBODY)) == {"vary": "origin"}
        assert _told(await _post(send, "tfk-none", None)) == {}


async def test_the_listeners_own_refusals_can_be_read(serve, make):
    await make(SHOP)
    async with serve(connections_max=1) as send:
        assert (await _preflight(send, SHOP)).status_code == 204
        application = send.servers[0]._state.refusals.application(busy())
        sent = []

        async def note(event):
            sent.append(event)

        await application({"headers": [(b"origin", SHOP.encode())]}, None, note)
        assert sent[0]["status"] == 503
        assert (b"access-control-allow-origin", SHOP.encode()) in sent[0]["headers"]


async def test_a_key_for_browsers_only_needs_an_origin(serve, make):
    key = await make(SHOP, is_browser_only=True)
    async with serve() as send:
        assert (await _post(send, key, SHOP)).status_code == 200
        for transport in ("grpc", "http/protobuf", "http/json"):
            answer = await send(transport, "logs", headers={"x-api-key": key})
            assert (answer.code, answer.http) == (7, None if transport == "grpc" else 403)
            assert answer.reason == "origin-missing"
            assert "another key" in answer.status.message


async def test_any_origin(serve, make):
    key = await make("*")
    async with serve() as send:
        for origin in (SHOP, NOBODY, "null", "capacitor://localhost"):
            assert (await _preflight(send, origin)).headers["access-control-allow-origin"] == origin
            answer = await _post(send, key, origin)
            assert (answer.status_code, _told(answer)) == (200, _readable(origin))
        for odd in ("https://a, https://b", "https://a b", "*"):
            assert (await _preflight(send, odd)).status_code == 403
            assert (await _post(send, key, odd)).status_code == 403


async def test_preflights_ask_postgresql_rarely(serve, make, monkeypatch):
    await make(SHOP)
    asked = []
    find = api_keys.find_allowed_origins

    async def counted(tx):
        asked.append(1)
        return await find(tx)

    monkeypatch.setattr(origins.api_keys, "find_allowed_origins", counted)
    async with serve() as send:
        for number in range(20):
            assert (await _preflight(send, SHOP)).status_code == 204
            assert (await _preflight(send, f"https://{number}.example.com")).status_code == 403
        assert len(asked) == 1


async def test_while_postgresql_is_away_the_last_answer_counts(serve, make, verifier, monkeypatch):
    await make(SHOP)
    async with serve() as send:
        assert (await _preflight(send, SHOP)).status_code == 204

        async def away(_tx):
            raise unavailable("away", code="metadata-store-unavailable", retry_after_s=1)

        monkeypatch.setattr(origins.api_keys, "find_allowed_origins", away)
        verifier.origins.doubt()
        assert (await _preflight(send, NOBODY)).status_code == 403
        assert (await _preflight(send, SHOP)).status_code == 204


async def test_many_that_ask_at_once_ask_postgresql_once(make, verifier, monkeypatch):
    await make(SHOP)
    assert await verifier.origins.allows(SHOP)
    asked, asking, answered = [], asyncio.Event(), asyncio.Event()
    find = api_keys.find_allowed_origins

    async def slow(tx):
        asked.append(1)
        asking.set()
        await answered.wait()
        return await find(tx)

    monkeypatch.setattr(origins.api_keys, "find_allowed_origins", slow)
    verifier.origins.doubt()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = [group.create_task(verifier.origins.allows(NOBODY)) for _ in range(50)]
        await asking.wait()
        assert await verifier.origins.allows(SHOP)  # known, and so not kept waiting
        answered.set()
    assert {task.result() for task in waiting} == {False}
    assert len(asked) == 1


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE api_keys SET status = 'revoked', revoked_at = now()",
        "UPDATE api_keys SET expires_at = now()",
        "UPDATE api_keys SET allowed_origins = '{}'",
        "UPDATE tenants SET is_active = false",
        "UPDATE organizations SET deleted_at = now()",
    ],
)
async def test_an_origin_ends_with_its_last_key(serve, make, verifier, metadata_store, end):
    await make(SHOP)
    async with serve() as send:
        assert (await _preflight(send, SHOP)).status_code == 204
        async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.end") as tx:
            await tx.execute(end)
        verifier.origins.doubt()  # heard by notice in a running process; here nobody listens
        assert (await _preflight(send, SHOP)).status_code == 403
