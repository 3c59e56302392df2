"""A running receiver hears of a tenant's other limits, set from outside, without a restart."""

import asyncio
import time

import httpx

from duoscope.kernel.clock import now_unix_nano

HEARD_WITHIN_S = 10


async def _until(running, key, otlp, status):
    """Send requests of three records until they are answered so."""
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=running.otlp_url, headers={"x-api-key": key}) as client:
        while True:
            raw = otlp.logs("s", *({"time_unix_nano": now_unix_nano()} for _ in range(3))).SerializeToString()
            answer = await client.post("/v1/logs", content=raw, headers={"content-type": "application/x-protobuf"})
            if answer.status_code == status:
                return answer
            assert time.monotonic() - began < HEARD_WITHIN_S, answer.status_code
            await asyncio.sleep(0.05)


async def test_limits_are_set_heard_shown_and_taken_back(running, otlp):
    tenant = running.admin("create-tenant", "limited")["tenant_id"]
    key = running.admin("create-api-key", "--tenant", tenant)["api_key"]
    await _until(running, key, otlp, 200)
    shown = running.admin("set-limits", "--tenant", tenant, "items_per_second=2", "burst_seconds=1")
    assert shown["own"] == {"items_per_second": 2, "burst_seconds": 1}
    assert b"2 at once" in (await _until(running, key, otlp, 413)).content
    assert running.admin("show-limits", "--tenant", tenant) == shown
    assert "items_per_second" in running.run("admin", "show-limits", "--tenant", tenant)
    back = running.admin("set-limits", "--tenant", tenant, "items_per_second=default", "burst_seconds=default")
    assert back["own"] == {}
    await _until(running, key, otlp, 200)
    for wrong in ("items=5", "items_per_second", "items_per_second=-1", "burst_seconds=0"):
        assert running.run("admin", "set-limits", "--tenant", tenant, wrong, code=2)
    assert "No such tenant" in running.run(
        "admin", "show-limits", "--tenant", "01a1fc60-0000-7000-8000-000000000000", code=1
    )


async def test_limits_that_are_set_over_the_api_are_heard(running, otlp):
    tenant = running.admin("create-tenant", "limited over the API")["tenant_id"]
    key = running.admin("create-api-key", "--tenant", tenant)["api_key"]
    await _until(running, key, otlp, 200)
    path = f"/tenants/{tenant}/limits"
    with running.api() as api:
        changed = api.patch(path, json={"items_per_second": 2, "burst_seconds": 1})
        assert changed.status_code == 200, changed.text
        assert b"2 at once" in (await _until(running, key, otlp, 413)).content
        assert changed.json() == api.get(path).json() == running.admin("show-limits", "--tenant", tenant)
        assert api.patch(path, json={"items_per_second": None, "burst_seconds": None}).json()["own"] == {}
    await _until(running, key, otlp, 200)
