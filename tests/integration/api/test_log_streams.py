"""Streams of log records end with the permission to read them, and one tenant's streams leave room for others'."""

import asyncio
import contextlib

import pytest

from duoscope.api.log_streams import LogStreams
from duoscope.background.driver import Driver
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope

SQL = {
    "user": "UPDATE users SET is_active = false WHERE organization_id = $1",
    "role": "DELETE FROM user_roles WHERE organization_id = $1",
    "a role until a date": "UPDATE user_roles SET expires_at = now() WHERE organization_id = $1",
    "tenant": "UPDATE tenants SET is_active = false WHERE organization_id = $1",
}


@contextlib.asynccontextmanager
async def following(api, headers):
    """A stream over ASGI: yields what resolves to its text when it ends."""
    requests, begun, text = asyncio.Queue(), asyncio.Event(), []
    await requests.put({"type": "http.request", "body": b"", "more_body": False})

    async def send(message):
        text.append(message.get("body", b"").decode())
        if text[-1]:
            begun.set()
        if message["type"] == "http.response.body" and not message.get("more_body"):
            requests.put_nowait({"type": "http.disconnect"})  # as a server says it

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/api/v1/logs/tail", "raw_path": b"",
        "query_string": b"", "scheme": "http", "server": ("test", 80), "client": ("127.0.0.1", 1), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    stream = asyncio.create_task(api.app(scope, requests.get, send))

    async def ended():
        await asyncio.wait_for(stream, 30)
        return "".join(text)

    try:
        await asyncio.wait_for(begun.wait(), 30)
        yield ended
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)


@pytest.mark.parametrize("what", SQL)
async def test_a_stream_ends_with_the_leave_to_read(api, new_scope, what):
    scope = new_scope()
    async with following(api, await api.headers(scope)) as ended:
        async with api.services.metadata.open_platform(PlatformScope(reason="a test"), "test.end") as tx:
            await tx.execute(SQL[what], scope.organization_id)
        text = await ended()
    assert "event: error" in text
    assert '"code":"token-invalid"' in text or '"code":"permission-denied"' in text


async def test_a_stream_ends_with_the_key(api, new_scope):
    upkeep = ApiKeyUpkeep(api.services.metadata, api.services.api_keys)
    upkeep.start(Driver())
    try:
        await upkeep.listening.wait()
        manager = await api.headers(new_scope(), "api-key:read", "api-key:write", "api-key:delete", "log:read")
        body = {"name": "tail", "permissions": ["logs:read"]}
        key = (await api.client.post("/api/v1/api-keys", json=body, headers=manager)).json()
        async with following(api, {"x-api-key": key["api_key"]}) as ended:
            path = f"/api/v1/api-keys/{key['api_key_id']}/revoke"
            answer = await api.client.post(path, json={"reason": "leaked"}, headers=manager)
            assert answer.status_code < 300, answer.text
            text = await ended()
        assert '"code":"api-key-invalid"' in text
    finally:
        await upkeep.stop()


def test_the_leave_is_asked_for_often_enough():
    assert limits.LOG_STREAM_CHECK_S <= 0.5  # with the notice of a revoked key within the 2 s that are promised


async def test_streams_of_one_tenant_leave_room_for_others():
    tails, mine = LogStreams(asyncio.Event()), new_id()

    async def nothing():
        await asyncio.sleep(3600)
        yield

    async def allowed():
        return

    def opened(tenant):
        return tails.stream(tenant, nothing(), allowed)

    streams = [opened(mine) for _ in range(limits.LOG_STREAMS_TENANT_MAX)]
    with pytest.raises(DuoscopeError) as caught:
        opened(mine)
    assert (caught.value.kind, caught.value.code) == (ErrorKind.RATE_LIMITED, "too-many-tails")
    tenants = [new_id() for _ in range(limits.LOG_STREAMS_MAX)]
    refused = []
    for tenant in tenants:
        for _ in range(limits.LOG_STREAMS_TENANT_MAX):
            try:
                streams.append(opened(tenant))
            except DuoscopeError as error:
                refused.append(error)
    assert len(streams) == limits.LOG_STREAMS_MAX
    assert {error.code for error in refused} == {"tails-full"}
    # The last places went to tenants that had none.
    assert sum(tails._open[tenant] == 1 for tenant in tenants) >= limits.LOG_STREAMS_KEPT
    for stream in streams:
        await stream.aclose()
    del stream
    streams.clear()
    assert not tails._open
