"""Counts about a tenant's ingest reveal nothing about its neighbour, and do not change with it."""

import asyncio
import dataclasses
import json

import pytest

from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.durability.judged import of_requests

_NOW_NS = now_unix_nano()
_SAME_ID = {"x-request-id": "00000000-0000-7000-8000-000000000001"}
_READS = ("tenant:read", "metric:read")
PROBES = (
    "/api/v1/usage",
    "/api/v1/usage?per=hour&group_by=tenant&group_by=signal&group_by=api_key",
    "/api/v1/usage?reach=workspace&group_by=tenant",
    "/api/v1/usage?reach=organization&group_by=workspace&signal=logs",
    "/api/v1/ingest/rejections",
    "/api/v1/ingest/rejections?per=day&reason=time-missing&signal=metrics",
    "/api/v1/ingest/status",
    "/api/v1/ingest/cardinality",
    "/api/v1/ingest/cardinality?metric=depth&limit=1",
)


@pytest.fixture
def mine(new_scope):
    return new_scope()


@pytest.fixture
def theirs(mine):
    return dataclasses.replace(mine, tenant_id=new_id())


@pytest.fixture
def sent(telemetry_store, deliver, otlp):
    """A gauge of some series, and ledger rows as the receiver writes them; the same names for everybody."""

    async def send(scope, number):
        metric = otlp.metrics("checkout").resource_metrics[0].scope_metrics[0].metrics.add(name="depth")
        for host in range(number):
            metric.gauge.data_points.add(
                time_unix_nano=_NOW_NS, as_int=1, attributes=otlp.attributes({"host": f"{scope.tenant_id}-{host}"})
            )
        await deliver(scope, otlp.metrics("checkout", metric))
        lines = [
            {
                "organization_id": str(scope.organization_id),
                "workspace_id": str(scope.workspace_id),
                "tenant_id": str(scope.tenant_id),
                "digest": new_id().hex,
                "received_at": f"{_NOW_NS / 1e9:.3f}",
                "signal": signal,
                "api_key_id": str(scope.tenant_id),
                "bytes": 100 * number,
                "items": 2 * number,
                "stored": number,
                "rejected": {reason: number},
            }
            for signal, reason in (
                ("metrics", "time-missing"),
                ("logs", "time-out-of-range"),
                ("metrics", "too-many-series"),
            )
        ]
        block = "\n".join(map(json.dumps, lines)).encode()
        for insert in of_requests(block):
            await telemetry_store.ingest().insert(insert.table, insert.block, form=insert.form, token=str(new_id()))

    return send


async def _get(api, headers, path):
    return await api.client.get(path, headers=headers | _SAME_ID)


async def test_answers_are_the_same_bytes_whatever_a_neighbour_sends(api, sent, mine, theirs):
    own, other = await api.headers(mine, *_READS), await api.headers(theirs, *_READS)
    await sent(mine, 3)
    alone = [(await _get(api, own, probe)).content for probe in PROBES]
    nothing = [(await _get(api, other, probe)).content for probe in PROBES]
    await sent(theirs, 5)
    for probe, expected, empty in zip(PROBES, alone, nothing, strict=True):
        response = await _get(api, own, probe)
        assert response.status_code == 200
        assert response.content == expected, probe
        assert response.content != empty, f"{probe} finds nothing and so proves nothing"
        assert (await _get(api, other, probe)).content not in (expected, empty)


async def test_the_status_names_services_to_those_who_may_read_the_signal(api, sent, mine):
    await sent(mine, 3)
    found = {}
    for permissions in (("tenant:read",), _READS):
        answer = await _get(api, await api.headers(mine, *permissions), "/api/v1/ingest/status")
        found[permissions] = {one["signal"]: one for one in answer.json()["signals"]}
    for signals in found.values():
        assert [signals[signal]["items"] for signal in ("traces", "logs", "metrics")] == [0, 3, 6]
        assert [one["reason"] for one in signals["metrics"]["rejected"]] == ["time-missing", "too-many-series"]
        assert "time_unix_nano" in signals["metrics"]["rejected"][0]["explanation"]
        assert signals["traces"]["last_received_at"] is None
        assert signals["logs"]["last_received_at"].endswith("Z")
    assert [signals["metrics"]["services"] for signals in found.values()] == [[], ["checkout"]]


async def test_a_neighbours_limits_are_theirs(api, mine, theirs):
    own, other = await api.headers(mine, *_READS), await api.headers(theirs, *_READS)
    path = "/api/v1/ingest/limits"
    expected = (await _get(api, own, path)).content
    async with api.services.metadata.open(theirs, "test.limits") as tx:
        await tx.execute(
            'UPDATE tenants SET settings = settings || \'{"limits": {"attributes": 7}}\' WHERE tenant_id = $1',
            theirs.tenant_id,
        )
    assert (await _get(api, own, path)).content == expected
    assert (await _get(api, other, path)).json()["attributes"] == 7


async def test_a_neighbours_limits_are_as_unknown_as_those_of_no_tenant(api, mine, theirs, new_scope):
    stranger = new_scope()
    await api.headers(theirs, *_READS)
    await api.headers(stranger, *_READS)
    root = await api.headers(mine, *ROLE_PERMISSIONS, platform_admin=True)
    own = await api.headers(mine, *ROLE_PERMISSIONS)
    everywhere = await api.headers(mine, *ROLE_PERMISSIONS, organization_wide=True)
    for headers, hidden in ((own, theirs), (own, stranger), (everywhere, stranger)):
        paths = [f"/api/v1/tenants/{tenant_id}/limits" for tenant_id in (hidden.tenant_id, new_id())]
        answers = [await _get(api, headers, path) for path in paths]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content
        for path in paths:
            answer = await api.client.patch(path, headers=headers, json={"items_per_second": 0})
            assert (answer.status_code, answer.json()["code"]) == (403, "permission-denied")
    assert (await _get(api, everywhere, f"/api/v1/tenants/{theirs.tenant_id}/limits")).json()["own"] == {}
    assert (await _get(api, root, f"/api/v1/tenants/{stranger.tenant_id}/limits")).json()["own"] == {}
    answer = await api.client.patch(f"/api/v1/tenants/{new_id()}/limits", headers=root, json={"attributes": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_sum_holds_only_tenants_with_a_role_and_a_cursor_leads_nowhere_else(api, sent, mine, theirs):
    own, other = await api.headers(mine, *_READS), await api.headers(theirs, *_READS)
    await asyncio.gather(sent(mine, 3), sent(theirs, 5))
    path = "/api/v1/usage?reach=organization&group_by=signal&limit=1"
    page = (await _get(api, other, path)).json()
    assert page["next_cursor"]
    answer = await _get(api, own, f"{path}&cursor={page['next_cursor']}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")
    path = "/api/v1/ingest/rejections?limit=1"
    page = (await _get(api, other, path)).json()
    answer = await _get(api, own, f"{path}&cursor={page['next_cursor']}")
    assert {item["api_key_id"] for item in answer.json()["items"]} <= {str(mine.tenant_id)}


async def test_another_organization_and_workspace_are_as_if_they_were_not(api, sent, mine, new_scope):
    stranger = new_scope()
    await api.headers(stranger, *_READS, organization_wide=True)
    await sent(stranger, 2)
    own = await api.headers(mine, *_READS, organization_wide=True)
    for name, existing in (("organization", stranger.organization_id), ("workspace", stranger.workspace_id)):
        answers = [
            await _get(api, own, f"/api/v1/usage?reach={name}&{name}_id={identifier}")
            for identifier in (existing, new_id())
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize("path", ["/api/v1/usage", "/api/v1/ingest/rejections", "/api/v1/ingest/limits"])
async def test_who_may_not_read_the_tenant_reads_no_counts_of_it(api, mine, path):
    answer = await _get(api, await api.headers(mine, "log:read", "trace:read", "metric:read"), path)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission-denied")
