"""The way of requests into the real ClickHouse: company in one INSERT does no one harm, and nothing is stored twice."""

import asyncio

import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.receiver.admission.memory import Budget
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Accepted, Ingest
from duoscope.receiver.signals import LOGS, METRICS, TRACES

DAY_NS = 86_400 * 10**9
"""More days than one INSERT may touch."""


@pytest.fixture
async def ingest(metadata_store, telemetry_store, hasher, secret_keys, tmp_path):
    verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
    made = Ingest(telemetry_store, verifier, RequestLog.open(tmp_path / "ingest"), driver=Driver())
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def principal(ingest, metadata_store, inhabited):
    return await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)


@pytest.fixture
def logs(otlp):
    def build(body, times):
        records = ({"time_unix_nano": time, "body": body, "trace_id": b"t" * 16} for time in times)
        return otlp.logs("s", *records).SerializeToString()

    return build


@pytest.fixture
def counted(telemetry_store, principal):
    """Rows by body."""

    async def count():
        reader = telemetry_store.bind(principal.scope)
        rows = await reader.query("SELECT body, count() AS n FROM @logs GROUP BY body", name="test")
        return {row["body"]: row["n"] for row in rows}

    return count


async def test_items_out_of_time_are_left_out_and_take_nobody_with_them(ingest, principal, logs, counted):
    """A record a day for years would otherwise open a partition for each, and fail the INSERT for all in it."""
    now = now_unix_nano()
    spread = logs("spread", [now - day * DAY_NS for day in (*range(-1100, -2), *range(402, 1100))])
    extreme = logs("extreme", [1, 2**63 - 1, 2**63, 2**64 - 1])
    good = [logs(f"good {n}", [now] * 10) for n in range(8)]
    await asyncio.gather(*(ingest.accept(principal, LOGS, raw) for raw in (*good[:4], spread, extreme, *good[4:])))
    assert await counted() == {f"good {n}": 10 for n in range(8)}


async def test_concurrent_requests_are_all_stored_once(ingest, principal, logs, counted):
    now = now_unix_nano()
    await asyncio.gather(*(ingest.accept(principal, LOGS, logs(f"body {n}", [now] * 3)) for n in range(200)))
    assert await counted() == {f"body {n}": 3 for n in range(200)}


async def test_a_client_that_goes_away_hurts_no_one(ingest, principal, logs, counted):
    now = now_unix_nano()
    tasks = [asyncio.create_task(ingest.accept(principal, LOGS, logs(f"body {n}", [now]))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks[1::2])
    stored = await counted()
    assert {f"body {n}" for n in range(1, 20, 2)} <= set(stored)
    assert set(stored.values()) == {1}
    assert ingest._budget._held == 0


async def test_a_close_answers_everything_that_was_accepted(ingest, principal, logs, counted):
    now = now_unix_nano()
    tasks = [asyncio.create_task(ingest.accept(principal, LOGS, logs(f"body {n}", [now]))) for n in range(20)]
    await asyncio.sleep(0)
    await ingest.close()
    assert await asyncio.gather(*tasks) == [Accepted()] * 20
    assert await counted() == {f"body {n}": 1 for n in range(20)}
    with pytest.raises(DuoscopeError) as caught:
        await ingest.accept(principal, LOGS, logs("late", [now]))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert caught.value.retry_after_s


async def test_a_request_of_all_kinds_of_metrics_is_stored_once(ingest, principal, otlp, telemetry_store):
    request = METRICS.request().resource_metrics.add().scope_metrics.add()
    now = now_unix_nano()
    request.metrics.add(name="g").gauge.data_points.add(time_unix_nano=now, as_int=1)
    request.metrics.add(name="h").histogram.data_points.add(time_unix_nano=now, count=1)
    request.metrics.add(name="e").exponential_histogram.data_points.add(time_unix_nano=now, count=1)
    request.metrics.add(name="s").summary.data_points.add(time_unix_nano=now, count=1)
    for metrics in ([0], [1], [2], [3], [0, 1, 2, 3]):
        message = otlp.metrics("s", *(request.metrics[n] for n in metrics))
        await ingest.accept(principal, METRICS, message.SerializeToString())
    reader = telemetry_store.bind(principal.scope)
    for view in ("metrics", "histograms", "exponential_histograms", "summaries"):
        assert await reader.query(f"SELECT count() AS n FROM @{view}", name="test") == [{"n": 2}]


async def test_retention_of_the_tenant_is_stamped_on_every_row(ingest, principal, logs, telemetry_store):
    await ingest.accept(principal, LOGS, logs("x", [now_unix_nano()]))
    rows = await telemetry_store.bind(principal.scope).query("SELECT retention_days FROM @logs", name="test")
    assert rows == [{"retention_days": principal.retention_days}]


async def test_malformed_bytes_give_their_memory_back(ingest, principal):
    for signal in (LOGS, METRICS, TRACES):
        with pytest.raises(DuoscopeError, match="not a valid Export"):
            await ingest.accept(principal, signal, b"\xff")
    assert ingest._budget._held == 0


def test_memory_is_bounded_but_a_large_request_enters_an_empty_house():
    budget = Budget(bytes_max=100)
    budget.take(500)
    with pytest.raises(DuoscopeError) as caught:
        budget.take(1)
    assert (caught.value.kind, caught.value.code) == (ErrorKind.UNAVAILABLE, "receiver-busy")
    assert caught.value.retry_after_s
    budget.give_back(500)
    budget.take(60)
    budget.take(40)
