"""Usage, rejections and cardinality over the API, after real ingest into the real ClickHouse."""
# ruff: noqa: PLR0917 - fixtures

import asyncio
import dataclasses
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS
from duoscope.identity.directory import ingest_limits
from duoscope.identity.operators import administration
from duoscope.kernel.actor import operator
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.query_limits import QueryLimits
from duoscope.kernel.scope import OrganizationScope
from duoscope.metadata import removal
from duoscope.receiver.decoder import CUTS as CUT_REASONS
from duoscope.receiver.decoder import REASONS
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.durability.sifting import REFUSED
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import LOGS, METRICS, SIGNALS, TRACES
from duoscope.telemetry.usage.reasons import CUTS, EXPLANATIONS

VIEWS = {
    "traces": ("traces",),
    "logs": ("logs",),
    "metrics": ("metrics", "histograms", "exponential_histograms", "summaries"),
}


@pytest.fixture
async def verifier(metadata_store, hasher, secret_keys):
    return ApiKeyVerifier(metadata_store, hasher, secret_keys)


@pytest.fixture
async def ingest(verifier, telemetry_store, tmp_path):
    made = Ingest(telemetry_store, verifier, RequestLog.open(tmp_path / "ingest"), driver=Driver())
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def principal(ingest, inhabited):
    return await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)


@pytest.fixture
async def second_key(ingest, inhabited, metadata_store, hasher):
    key = await administration.create_api_key(metadata_store, hasher, tenant_id=inhabited.tenant_id, name="second")
    return await ingest.authenticate({"x-api-key": key.api_key}, LOGS)


@pytest.fixture
def get(api, principal):
    """The API's answer to a user of the tenant."""

    async def answer(path, *permissions, scope=None, status=200, **options):
        headers = await api.headers(
            scope or principal.scope, *(permissions or ("tenant:read", "metric:read")), **options
        )
        response = await api.client.get(path, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    return answer


def _times(count, now):
    """Times, every fifth of which is out of range."""
    return [1 if n % 5 == 4 else now for n in range(count)]


def _requests(otlp, now, number):
    records = [{"time_unix_nano": time, "body": f"{number}"} for time in _times(10 + number, now)]
    spans = [
        {
            "trace_id": bytes([number + 1]) * 16,
            "span_id": bytes(8) if n % 4 == 3 else bytes([n + 1]) * 8,
            "name": "s",
            "start_time_unix_nano": now,
        }
        for n in range(7 + number)
    ]
    metrics = METRICS.request().resource_metrics.add().scope_metrics.add()
    points = metrics.metrics.add(name="g").gauge.data_points
    for n, time in enumerate(_times(20 + number, now)):
        points.add(time_unix_nano=time, as_int=n)
    points.add(time_unix_nano=now, flags=1)
    bad = metrics.metrics.add(name="h").histogram
    bad.data_points.add(time_unix_nano=now, count=3, bucket_counts=[1, 2], explicit_bounds=[1, 2, 3])
    bad.data_points.add(time_unix_nano=now, count=3, bucket_counts=[1, 2], explicit_bounds=[1])
    metrics.metrics.add(name="x").exponential_histogram.data_points.add(time_unix_nano=now, count=1)
    metrics.metrics.add(name="s").summary.data_points.add(time_unix_nano=now, count=1)
    return {
        LOGS: otlp.logs("s", *records).SerializeToString(),
        TRACES: otlp.spans("s", *spans).SerializeToString(),
        METRICS: otlp.metrics("s", *metrics.metrics).SerializeToString(),
    }


async def _rows(telemetry_store, scope, signal):
    reader = telemetry_store.bind(scope)
    return sum(
        [(await reader.query(f"SELECT count() AS n FROM @{view}", name="test"))[0]["n"] for view in VIEWS[signal]]
    )


async def test_usage_is_exact_after_duplicates_and_rejections(
    ingest, principal, second_key, otlp, telemetry_store, get
):
    now = now_unix_nano()
    requests = [_requests(otlp, now, number) for number in range(6)]
    sent = [(principal, requests[:4]), (second_key, requests[4:])]
    answers = await asyncio.gather(
        *(
            ingest.accept(key, signal, raw)
            for key, some in sent
            for request in some
            for signal, raw in request.items()
            for _ in range(2)  # at once
        )
    )
    # And again, by either key: the tenant has stored these bytes already.
    for request in requests:
        for signal, raw in request.items():
            await ingest.accept(second_key, signal, raw)
    found = (await get("/api/v1/usage?per=hour&group_by=signal&group_by=api_key"))["items"]
    for signal in SIGNALS:
        of_signal = [item for item in found if item["signal"] == signal.name]
        assert sum(item["stored"] for item in of_signal) == await _rows(telemetry_store, principal.scope, signal.name)
        for key, some in sent:
            of_key = [item for item in of_signal if item["api_key_id"] == str(key.api_key_id)]
            assert sum(item["requests"] for item in of_key) == len(some)
            assert sum(item["bytes"] for item in of_key) == sum(len(request[signal]) for request in some)
    days = (await get("/api/v1/usage"))["items"]
    for figure in ("requests", "bytes", "items", "stored"):
        assert sum(item[figure] for item in days) == sum(item[figure] for item in found)
    # What the answers said, the page says. Every request was answered twice.
    rejected = (await get("/api/v1/ingest/rejections?per=day"))["items"]
    assert 2 * sum(item["items"] for item in rejected) == sum(answer.rejected for answer in answers)
    items, stored = (sum(item[figure] for item in found) for figure in ("items", "stored"))
    assert items == stored + sum(item["items"] for item in rejected)


async def test_rejections_say_why_newest_first_with_filters_and_pages(ingest, principal, second_key, otlp, get):
    now = now_unix_nano()
    for signal, raw in _requests(otlp, now, 1).items():
        await ingest.accept(principal, signal, raw)
    await ingest.accept(second_key, LOGS, _requests(otlp, now, 2)[LOGS])
    path = "/api/v1/ingest/rejections"
    whole = await get(path)
    shown = {
        (item["signal"], item["reason"]): item
        for item in whole["items"]
        if item["api_key_id"] == str(principal.api_key_id)
    }
    assert {key: item["items"] for key, item in shown.items()} == {
        ("logs", "time-out-of-range"): 2,
        ("traces", "invalid-id"): 2,
        ("metrics", "time-out-of-range"): 4,
        ("metrics", "invalid-histogram"): 1,
    }
    assert shown["traces", "invalid-id"]["explanation"] == EXPLANATIONS["invalid-id"]
    assert whole["items"] == sorted(whole["items"], key=lambda item: item["start"], reverse=True)
    for condition, name, value in (
        ("signal=logs", "signal", "logs"),
        ("reason=invalid-histogram", "reason", "invalid-histogram"),
        (f"api_key_id={second_key.api_key_id}", "api_key_id", str(second_key.api_key_id)),
    ):
        some = (await get(f"{path}?{condition}"))["items"]
        assert some == [item for item in whole["items"] if item[name] == value]
    pages, cursor = [], ""
    while cursor is not None:
        page = await get(f"{path}?limit=1{cursor and f'&cursor={cursor}'}")
        assert len(page["items"]) <= 1
        pages += page["items"]
        cursor = page["next_cursor"]
    assert pages == whole["items"]
    await get(f"{path}?cursor=x", status=400)
    await get(f"{path}?reason=x'y", status=400)
    await get(f"{path}?start=2026-01-01T00:00:00Z", status=400)
    await get(path, "metric:read", status=403)


async def test_what_was_cut_is_nothing_that_was_left_out(ingest, principal, otlp, get):
    now, long = now_unix_nano(), "x" * 2_000_000
    whole, cut = {"time_unix_nano": now, "body": "x"}, {"time_unix_nano": now, "body": long, "attributes": {"a": long}}
    raw = otlp.logs("s", whole, cut, cut, {"time_unix_nano": 1, "body": long}).SerializeToString()
    answer = await ingest.accept(principal, LOGS, raw)
    assert answer.rejected == 1
    shown = (await get("/api/v1/ingest/rejections?per=day"))["items"]
    assert {each["reason"]: (each["requests"], each["items"], each["items_cut"]) for each in shown} == {
        "time-out-of-range": (1, 1, 0),
        "body-cut": (1, 0, 2),
        "attribute-cut": (1, 0, 2),
    }
    (used,) = (await get("/api/v1/usage"))["items"]
    assert (used["items"], used["stored"]) == (4, 3)


def test_every_reason_has_an_explanation():
    assert set(EXPLANATIONS) | set(CUTS) == {*REASONS, REFUSED}
    assert set(CUTS) == CUT_REASONS
    for template in (*EXPLANATIONS.values(), *CUTS.values()):
        assert template.format(**dataclasses.asdict(IngestLimits()))


async def test_usage_is_summed_over_tenants_that_the_caller_may_see(
    ingest, principal, api, otlp, get, metadata_store, hasher
):
    now = now_unix_nano()
    keys = [principal]
    for name, workspace in (("two", "Main"), ("three", "Other"), ("four", "Main")):
        tenant = await administration.create_tenant(
            metadata_store, organization="Acme", workspace=workspace, tenant=name
        )
        key = await administration.create_api_key(metadata_store, hasher, tenant_id=tenant.tenant_id, name=name)
        keys.append(await ingest.authenticate({"x-api-key": key.api_key}, LOGS))
    stranger = await administration.create_tenant(metadata_store, organization="Foe", workspace="Main", tenant="one")
    key = await administration.create_api_key(metadata_store, hasher, tenant_id=stranger.tenant_id, name="k")
    for number, one in enumerate([*keys, await ingest.authenticate({"x-api-key": key.api_key}, LOGS)]):
        raw = otlp.logs("s", *({"time_unix_nano": now, "body": "x"} for _ in range(10**number))).SerializeToString()
        await ingest.accept(one, LOGS, raw)

    async def stored(query, *permissions, **options):
        page = await get(f"/api/v1/usage?{query}", *permissions, **options)
        return sum(item["stored"] for item in page["items"])

    assert await stored("") == 1
    # Held in one tenant only, nothing else is in reach.
    assert await stored("reach=organization") == await stored("reach=workspace") == 1
    assert await stored("reach=organization", organization_wide=True) == 1111
    assert await stored("reach=workspace", organization_wide=True) == 1011
    other = keys[2].scope.workspace_id
    assert await stored(f"reach=workspace&workspace_id={other}", organization_wide=True) == 100
    await get(f"/api/v1/usage?reach=workspace&workspace_id={other}", status=404)
    foe = stranger.organization_id
    await get(f"/api/v1/usage?reach=organization&organization_id={foe}", status=404, organization_wide=True)
    assert await stored(f"reach=organization&organization_id={foe}", platform_admin=True) == 10_000
    path = "/api/v1/usage?reach=organization&group_by=workspace&group_by=tenant&group_by=signal&group_by=api_key"
    whole = (await get(path, organization_wide=True))["items"]
    assert {(i["workspace_id"], i["tenant_id"], i["api_key_id"], i["stored"]) for i in whole} == {
        (str(k.scope.workspace_id), str(k.scope.tenant_id), str(k.api_key_id), 10**n) for n, k in enumerate(keys)
    }
    headers = await api.headers(principal.scope, "tenant:read", organization_wide=True)
    pages, cursor = [], ""
    while cursor is not None:
        answer = await api.client.get(f"{path}&limit=1{cursor and f'&cursor={cursor}'}", headers=headers)
        pages += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
    assert pages == whole
    # A tenant that was deleted has sent what it has sent.
    async with metadata_store.open(OrganizationScope(principal.scope.organization_id), "test.delete") as tx:
        assert await removal.delete(tx, "tenants", keys[1].scope.tenant_id)
    assert await stored("reach=organization", organization_wide=True) == 1111


async def test_hours_and_days_count_whole(ingest, principal, otlp, get):
    await ingest.accept(principal, LOGS, otlp.logs("s", {"time_unix_nano": now_unix_nano()}).SerializeToString())
    now = datetime.now(UTC)
    a_moment = (now - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    for per in ("hour", "day"):
        (item,) = (await get(f"/api/v1/usage?per={per}&start={a_moment}"))["items"]
        assert item["stored"] == 1
        assert datetime.fromisoformat(item["start"]) <= now
    day_before = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:00:00Z")
    assert (await get(f"/api/v1/usage?end={day_before}"))["items"] == []
    await get("/api/v1/usage?per=hour&start=2026-01-01T00:00:00Z", status=400)


async def test_a_tenants_own_limits_are_heard_of_and_shown(ingest, verifier, principal, otlp, get, metadata_store):
    shown = await get("/api/v1/ingest/limits")
    assert shown["attributes"] == IngestLimits().attributes
    assert shown["key_items_per_second"] == 0
    wanted = {"attributes": 3, "body_bytes": 10, "active_series": 4}
    await ingest_limits.change(metadata_store, operator(), principal.scope.tenant_id, wanted)
    assert (await get("/api/v1/ingest/limits")).items() > wanted.items()
    await verifier.recheck()  # as its upkeep does at once after the notice, and every 30 s
    changed = verifier.verify_cached(await _presented(verifier, principal))
    assert dict(changed.own_limits) == wanted
    now = now_unix_nano()
    records = (
        {"time_unix_nano": now, "body": "short"},
        {"time_unix_nano": now, "body": "much too long"},
        {"time_unix_nano": now, "body": "", "attributes": dict.fromkeys("abcd", 1)},
    )
    answer = await ingest.accept(changed, LOGS, otlp.logs("s", *records).SerializeToString())
    assert answer.rejected == 0
    assert "1 kept, but cut: more than 3 attributes" in answer.message
    assert "more than 10 bytes" in answer.message

    def gauges(*hosts):
        metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="load")
        for host in hosts:
            metric.gauge.data_points.add(
                time_unix_nano=now_unix_nano(), as_int=1, attributes=otlp.attributes({"host": host, "os": "linux"})
            )
        return otlp.metrics("s", metric, zone="eu").SerializeToString()

    assert (await ingest.accept(changed, METRICS, gauges("a", "b", "c"))).rejected == 0
    answer = await ingest.accept(changed, METRICS, gauges("c", "d", "e", "f"))
    assert answer.rejected == 2
    assert "4 active metric series" in answer.message
    # Those that are active go on.
    assert (await ingest.accept(changed, METRICS, gauges("a", "b", "c", "d"))).rejected == 0
    page = await get("/api/v1/ingest/cardinality")
    assert (page["active_series"], page["series_limit"], page["rejected_points"]) == (4, 4, 2)
    assert page["metrics"] == [{"metric": "load", "series": 4}]
    labels = {label["label"]: (label["values"], label["series"]) for label in page["labels"]}
    assert labels["host"] == (4, 4)
    assert labels["os"] == labels["resource.zone"] == (1, 4)
    assert page["labels"][0]["label"] == "host"
    assert (await get("/api/v1/ingest/cardinality?metric=load"))["active_series"] == 4
    assert (await get("/api/v1/ingest/cardinality?metric=other"))["labels"] == []
    await get("/api/v1/ingest/cardinality", "tenant:read", status=403)
    # A limit that is taken back leaves the instance's.
    await ingest_limits.change(metadata_store, operator(), principal.scope.tenant_id, {"attributes": None})
    assert (await get("/api/v1/ingest/limits"))["attributes"] == IngestLimits().attributes


async def test_platform_admins_change_limits_over_the_api(api, principal, verifier, metadata_store):
    scope = principal.scope
    path = f"/api/v1/tenants/{scope.tenant_id}/limits"
    root = await api.headers(scope, *ROLE_PERMISSIONS, platform_admin=True)

    async def call(method, headers, body=None, *, status=200):
        answer = await api.client.request(method, path, headers=headers, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    defaults = asdict(IngestLimits()) | asdict(QueryLimits())
    unchanged = {"tenant_id": str(scope.tenant_id), "limits": defaults, "own": {}}
    assert await call("GET", root) == unchanged
    own = {"items_per_second": 0, "burst_seconds": 30}
    changed = await call("PATCH", root, own)
    assert changed == unchanged | {"limits": defaults | own, "own": own}
    await verifier.recheck()  # as its upkeep does at once after the notice
    assert dict(verifier.verify_cached(await _presented(verifier, principal)).own_limits) == own
    assert (await call("PATCH", root, {"burst_seconds": None}))["own"] == {"items_per_second": 0}
    for wrong in ({"burst_seconds": 0}, {"items_per_second": -1}, {"items_per_second": 1.5}, {"items": 1}, {}):
        await call("PATCH", root, wrong, status=400)
    for no_number in ("5", 1.0, True):
        await call("PATCH", root, {"burst_seconds": no_number}, status=400)
    # It is in the tenant's audit log, with what it was before.
    entries = await api.client.get("/api/v1/audit-logs?action=tenant.changed", headers=root)
    (_, first) = entries.json()["items"]
    assert (first["before"], first["after"]) == ({"limits": {}}, {"limits": own})
    # Whoever is limited sees it, and does not lift it.
    admin = await api.headers(scope, *ROLE_PERMISSIONS, organization_wide=True)
    assert (await call("GET", admin))["own"] == {"items_per_second": 0}
    assert (await call("PATCH", admin, {"items_per_second": 0}, status=403))["code"] == "permission-denied"


async def _presented(verifier, principal):
    """The verifier knows secrets by their digest only: let it find the entry of this principal."""
    digest = next(d for d, e in verifier._verified.items() if e.principal.api_key_id == principal.api_key_id)
    verifier._digest = lambda _: digest
    return ""


async def test_another_retention_holds_for_what_arrives_from_then_on(
    ingest, verifier, inhabited, principal, otlp, telemetry_store, metadata_store
):
    async def send(key, body):
        for signal, raw in _requests(otlp, now_unix_nano(), 3).items():
            await ingest.accept(key, signal, raw)
        await ingest.accept(key, LOGS, otlp.logs("s", {"body": body}).SerializeToString())

    await send(principal, "before")
    await administration.set_retention(metadata_store, tenant_id=inhabited.tenant_id, retention_days=90)
    await verifier.recheck()
    changed = await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)
    await ingest.accept(changed, LOGS, otlp.logs("s", {"body": "after"}).SerializeToString())
    rows = await telemetry_store.bind(principal.scope).query(
        "SELECT DISTINCT body, retention_days FROM @logs WHERE body IN ('before', 'after') ORDER BY body DESC",
        name="test",
    )
    assert rows == [{"body": "before", "retention_days": 30}, {"body": "after", "retention_days": 90}]
