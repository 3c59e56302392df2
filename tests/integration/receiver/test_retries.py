"""What is a retry: the same bytes where the items say when they were, else what follows an answer that nobody heard."""

import asyncio

import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.receiver.decoder import is_dated
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest, Sender
from duoscope.receiver.signals import LOGS, METRICS, TRACES

SECOND_NS = 10**9


@pytest.fixture
async def ingest(metadata_store, telemetry_store, hasher, secret_keys, tmp_path):
    verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
    made = Ingest(telemetry_store, verifier, RequestLog.open(tmp_path / "ingest"), driver=Driver())
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def principal(ingest, inhabited):
    return await ingest.authenticate({"x-api-key": inhabited.key.api_key}, LOGS)


@pytest.fixture
def stored(telemetry_store, principal):
    async def count():
        reader = telemetry_store.bind(principal.scope)
        return (await reader.query("SELECT count() AS n FROM @logs", name="test"))[0]["n"]

    return count


@pytest.fixture
def undated(otlp):
    """A record without a time."""
    return otlp.logs("cron", {"body": "backup finished"}).SerializeToString()


def of_seconds(otlp):
    return otlp.logs("cron", {"time_unix_nano": now_unix_nano() // SECOND_NS * SECOND_NS}).SerializeToString()


def test_a_request_is_dated_by_any_of_its_items(otlp, undated):
    now = now_unix_nano() // SECOND_NS * SECOND_NS
    assert not is_dated(LOGS.kind, undated)
    assert not is_dated(LOGS.kind, of_seconds(otlp))
    assert is_dated(LOGS.kind, otlp.logs("s", {}, {"observed_time_unix_nano": now + 1}).SerializeToString())
    assert is_dated(TRACES.kind, b"")
    for kind in ("gauge", "histogram", "exponential_histogram", "summary"):
        for time, dated in ((now, False), (now + 1, True)):
            request = METRICS.request()
            metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
            getattr(metric, kind).data_points.add(time_unix_nano=time)
            assert is_dated(METRICS.kind, request.SerializeToString()) is dated


async def test_bytes_that_say_when_are_stored_once(ingest, principal, otlp, stored):
    raw = otlp.logs("s", {"time_unix_nano": now_unix_nano() // 2 * 2 + 1}).SerializeToString()
    for _ in range(3):
        await ingest.accept(principal, LOGS, raw)
    assert await stored() == 1


async def test_what_looks_alike_and_was_answered_is_stored_again(ingest, principal, otlp, stored, undated):
    for raw in (undated, of_seconds(otlp)):
        for _ in range(3):
            await ingest.accept(principal, LOGS, raw)
        await asyncio.gather(*(ingest.accept(principal, LOGS, raw) for _ in range(2)))
    assert await stored() == 10


async def test_what_follows_an_answer_that_nobody_heard_is_a_retry(ingest, principal, undated, stored):
    async def gone():
        return True

    await ingest.accept(principal, LOGS, undated, Sender(is_gone=gone))
    await ingest.accept(principal, LOGS, undated)
    assert await stored() == 1
    await ingest.accept(principal, LOGS, undated)
    assert await stored() == 2


async def test_what_follows_a_client_that_gave_up_is_a_retry(ingest, principal, undated, stored, monkeypatch):
    reached, go_on = asyncio.Event(), asyncio.Event()
    insert = ingest._inserter.insert

    async def held_up(batch):
        reached.set()
        await go_on.wait()
        await insert(batch)

    monkeypatch.setattr(ingest._inserter, "insert", held_up)
    impatient = asyncio.create_task(ingest.accept(principal, LOGS, undated))
    await reached.wait()
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    again = asyncio.create_task(ingest.accept(principal, LOGS, undated))
    go_on.set()
    await again
    assert await stored() == 1


async def test_what_follows_a_failure_is_a_retry(ingest, principal, undated, stored, monkeypatch):
    """Also where it was stored all the same."""
    answer = ingest._answer

    async def stored_and_failed(*of):
        await answer(*of)
        raise unavailable("away", code="telemetry-store-unavailable", retry_after_s=1)

    monkeypatch.setattr(ingest, "_answer", stored_and_failed)
    with pytest.raises(DuoscopeError):
        await ingest.accept(principal, LOGS, undated)
    monkeypatch.undo()
    await ingest.accept(principal, LOGS, undated)
    assert await stored() == 1


async def test_a_sender_may_name_its_requests(ingest, principal, undated, stored):
    for key in ("run 1", "run 1", "run 2", "run 2", "run 1"):
        await ingest.accept(principal, LOGS, undated, Sender(key))
    assert await stored() == 2
