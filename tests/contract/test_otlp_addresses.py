"""A key that is bound to addresses sends from there and from nowhere else, over every transport."""

import asyncio
import time

import pytest

from duoscope.kernel.scope import PlatformScope
from duoscope.net.proxies import trusted_proxies

TRANSPORTS = ("grpc", "http/protobuf", "http/json")


@pytest.fixture
def key(running):
    """Makes a key at a running duoscope: the answer to its creation."""

    def make(addresses):
        body = {"name": "bound", "permissions": ["logs:write"], "allowed_addresses": addresses}
        with running.api() as api:
            made = api.post("/api-keys", json=body)
            assert made.status_code == 201, made.text
            return made.json()

    return make


@pytest.fixture
async def bind(metadata_store):
    async def to(network):
        async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.bind") as tx:
            await tx.execute("UPDATE api_keys SET allowed_addresses = ARRAY[$1::text]::cidr[]", network)

    return to


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_running_duoscope_knows_its_clients(running, send, key, encoded, transport):
    here, elsewhere = key(["127.0.0.0/8", "192.0.2.0/24"]), key(["192.0.2.0/24"])
    raw = encoded(transport, "logs")
    for _ in range(2):  # the second time from the cache
        sent = await send(transport, "logs", raw, headers={"x-api-key": here["api_key"]})
        assert sent.code == 0, sent.status
    for forged in ({}, {"x-forwarded-for": "192.0.2.1"}):
        refused = await send(transport, "logs", raw, headers={"x-api-key": elsewhere["api_key"], **forged})
        assert (refused.code, refused.http, refused.reason) == (
            7, None if transport == "grpc" else 403, "address-not-allowed",
        )  # fmt: skip


async def test_the_usage_log_says_from_where_and_how(running, send, key, encoded):
    made = key([])
    for transport in TRANSPORTS:
        assert (
            await send(transport, "logs", encoded(transport, "logs"), headers={"x-api-key": made["api_key"]})
        ).code == 0
    deadline = time.monotonic() + 20
    with running.api() as api:
        while True:
            items = api.get(f"/api-keys/{made['api_key_id']}/usage").json()["items"]
            if sum(item["request_count"] for item in items) == len(TRANSPORTS):
                break
            assert time.monotonic() < deadline, items
            await asyncio.sleep(0.2)
        assert {(item["method"], item["endpoint"], item["ip_address"]) for item in items} == {
            ("POST", "/v1/logs", "127.0.0.1"), ("gRPC", "logs", "127.0.0.1"),
        }  # fmt: skip
        assert api.get(f"/api-keys/{made['api_key_id']}").json()["last_used_ip"] == "127.0.0.1"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_trusted_proxy_speaks_for_its_clients(serve, bind, transport):
    await bind("192.0.2.0/24")
    async with serve(trusted=trusted_proxies("127.0.0.1")) as send:
        for forwarded, code in (
            ("192.0.2.7", 0), ("192.0.2.8, 192.0.2.7", 0), ("198.51.100.1", 7), ("192.0.2.7, 198.51.100.1", 7),
            ("nonsense", 7), (None, 7), ("192.0.2.7", 0),
        ):  # fmt: skip
            said = {"x-forwarded-for": forwarded} if forwarded else {}
            answer = await send(transport, "logs", headers={"x-api-key": send.key, **said})
            assert answer.code == code, forwarded
    async with serve() as send:
        answer = await send(transport, "logs", headers={"x-api-key": send.key, "x-forwarded-for": "192.0.2.7"})
        assert answer.reason == "address-not-allowed"
