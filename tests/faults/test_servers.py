"""Receivers, store and disk fail while telemetry flows over servers: everything acknowledged is there, once."""

import asyncio
import random
import signal
import time
from contextlib import suppress

import harness
import httpx
import pytest
import sending as senders

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.signals import LOGS, METRICS, TRACES

FLOW = 15
"""Requests that must get through before and after a fault."""


def test_without_a_fault(deployment, tenant, load, audit):
    with load(tenant, duplicates=0.3) as sending:
        sending.wait_for(3 * FLOW)
    for receiver in deployment.receivers:
        sending.send_all_again(receiver)
    row = audit("none; a third sent again to both receivers at once, and all later", tenant, sending.books)
    assert (row.rejected, row.unknown) == (0, 0), sending.books.unexpected


def test_receivers_are_killed(deployment, tenant, load, audit, rounds, say):  # noqa: PLR0917
    with load(tenant, duplicates=0.1) as sending:
        for number in range(rounds):
            if number % 10 == 0:
                say(f"kill -9 of a receiver: round {number} of {rounds}")
            sending.wait_for(3)
            victim = deployment.receivers[number % 2]
            time.sleep(random.random() * 0.5)
            victim.kill()
            victim.start()
        sending.wait_for(FLOW)
    audit("`kill -9` of one of two receivers", tenant, sending.books, rounds)


def test_inserts_outlive_their_receiver(deployment, tenant, load, audit, thorough):
    """An INSERT that a dead receiver began may finish after its next start has done it."""
    rounds = 10 if thorough else 2
    with load(tenant) as sending:
        for number in range(rounds):
            sending.wait_for(FLOW // 3)
            victim = deployment.receivers[number % 2]
            deployment.fault(slow_s=2, only="INSERT INTO")
            time.sleep(0.5 + random.random())
            victim.kill()
            deployment.fault()
            victim.start()
        sending.wait_for(FLOW)
    audit("INSERTs that outlive the receiver that sent them", tenant, sending.books, rounds)


@harness.only_thorough
def test_a_receiver_stops_answering(deployment, tenant, load, audit):
    stopped = deployment.receivers[0]
    with load(tenant) as sending:
        sending.wait_for(FLOW)
        stopped.signal(signal.SIGSTOP)
        sending.wait_for(FLOW)
        time.sleep(20)
        stopped.signal(signal.SIGCONT)
        sending.wait_for(FLOW)
    audit("SIGSTOP of one of two receivers, 20 s", tenant, sending.books)


@harness.only_thorough
def test_the_store_stops_answering(deployment, tenant, load, audit):
    with load(tenant) as sending:
        sending.wait_for(FLOW)
        deployment.front.signal(signal.SIGSTOP)
        time.sleep(45)
        deployment.front.signal(signal.SIGCONT)
        sending.wait_for(FLOW, timeout_s=120)
    audit("SIGSTOP of the store, 45 s", tenant, sending.books)


def test_the_store_dies_and_receivers_with_it(deployment, tenant, load, audit):
    with load(tenant) as sending:
        sending.wait_for(FLOW)
        deployment.front.kill()
        while not any(receiver.batches() for receiver in deployment.receivers):
            sending.wait_for(1)
        for receiver in deployment.receivers:
            receiver.kill()
            receiver.start()
        sending.wait_for(FLOW)
        deployment.start_front()
        sending.wait_for(FLOW)
    audit("death of the store, then of the receivers", tenant, sending.books)


@harness.only_thorough
def test_the_store_is_slow(deployment, tenant, load, audit):
    deployment.fault(slow_s=1.5)
    try:
        with load(tenant) as sending:
            sending.wait_for(FLOW // 2)
    finally:
        deployment.fault()
    audit("a store that takes 1.5 s a query", tenant, sending.books)


@harness.only_thorough
def test_the_ledger_answers_late(deployment, tenant, load, audit):
    """Later than the receiver waits for it; and what was sent is sent again after the receiver has forgotten it."""
    receiver = deployment.receivers[0]
    with load(tenant, [receiver]) as sending:
        sending.wait_for(FLOW)
    receiver.kill()
    receiver.start()
    deployment.fault(slow_s=6, only="FROM ingest_ledger")
    try:
        sending.send_all_again(receiver)
    finally:
        deployment.fault()
    audit("a ledger that takes 6 s to answer, all sent again", tenant, sending.books)


@harness.only_thorough
async def test_postgresql_is_away(deployment, postgres, tenant, load, audit):
    """Known keys go on working, also at a receiver that starts meanwhile: it writes them down twice a minute."""
    receiver = deployment.receivers[0]
    with load(tenant, [receiver], duplicates=0.1, pause_s=0.1) as sending:
        sending.wait_for(FLOW)
        known, deadline = receiver.known_keys_at, time.monotonic() + 60
        while receiver.known_keys_at == known:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        await postgres.stop()
        sending.wait_for(FLOW)
        receiver.kill()
        receiver.start()
        sending.wait_for(FLOW)
        await postgres.start()
        sending.wait_for(FLOW)
    deployment.settle()
    deployment.api_process.wait_for(lambda: harness.answers(f"http://127.0.0.1:{deployment.api_port}/health/ready"))
    audit("PostgreSQL away, the receiver killed meanwhile, PostgreSQL back", tenant, sending.books)


@harness.only_thorough
def test_the_disk_of_the_store_is_full(postgres, load, audit, small_disk, tmp_path):
    deployment = harness.Deployment(tmp_path, postgres, 1)
    disk = small_disk(480)
    (tmp_path / "clickhouse").symlink_to(disk)
    try:
        deployment.start()
        tenant = deployment.tenant("full")
        with load(tenant, deployment.receivers, patience_s=60) as sending:
            sending.wait_for(FLOW)
            with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
                while True:
                    ballast.write(bytes(1 << 16))
            sending.wait_for(2 * FLOW)
            while not deployment.receivers[0].batches():
                sending.wait_for(1)
            (disk / "ballast").unlink()
            sending.wait_for(FLOW)
        deployment.settle()
        assert deployment.receivers[0].batches(".poison") == []
        audit("a full disk of the store", tenant, sending.books)
    finally:
        deployment.stop()


POISONED = {
    "traces_v3": "span_name != 'poison'",
    "trace_summaries_v3": "NOT has(service_names, 'poison in a view')",
    "span_figures": "span_name != 'poison in a view'",
    "logs_v3": "body != 'poison'",
    "metrics_v3_hourly": "metric_name != 'poison'",
}
"""What tables refuse that the decoder takes."""


def poison(otlp):
    """Requests of a sound item and one that nobody foresaw."""
    now = now_unix_nano()
    for name in ("poison", "poison in a view"):
        ids = {"span_id": b"\1" * 8, "start_time_unix_nano": now}
        yield TRACES, otlp.spans(name, {"trace_id": new_id().bytes, "name": name, **ids})
    yield LOGS, otlp.logs("p", *({"time_unix_nano": now, "body": body} for body in ("beside", "poison")))
    metrics = [METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="poison")]
    metrics[0].gauge.data_points.add(time_unix_nano=now, as_int=1)
    yield METRICS, otlp.metrics("p", *metrics)


def test_a_poisoned_item_among_strangers(deployment, tenant, load, audit, otlp, thorough):  # noqa: PLR0917
    """Views and tables refuse items that the decoder did not foresee: they cost nobody else anything."""
    poisoner, rejected = deployment.tenant("poisoner"), 0
    for table, check in POISONED.items():
        deployment.query(f"ALTER TABLE duoscope.{table} ADD CONSTRAINT sober CHECK {check}")
    try:
        with load(tenant) as sending, httpx.Client(timeout=60) as client:
            for _ in range(10 if thorough else 1):
                for signal, request in poison(otlp):
                    sending.wait_for(1)
                    receiver = random.choice(deployment.receivers)
                    answer = client.post(
                        f"http://127.0.0.1:{receiver.http_port}{signal.http_path}",
                        content=request.SerializeToString(),
                        headers={"content-type": "application/x-protobuf", "x-api-key": poisoner.key},
                    )
                    assert answer.status_code == 200, answer.text
                    rejected += 1
            sending.wait_for(FLOW)
        deployment.settle()
    finally:
        for table in POISONED:
            deployment.query(f"ALTER TABLE duoscope.{table} DROP CONSTRAINT sober")
    audit("a poisoned item among strangers", tenant, sending.books, rejected)
    assert sending.books.rejected == set(), sending.books.unexpected
    assert [batch for receiver in deployment.receivers for batch in receiver.batches(".poison")] == []
    with poisoner.api() as api:
        answer = api.get("/ingest/rejections", params={"per": "hour", "reason": "refused-by-store"})
        assert sum(each["items"] for each in answer.json()["items"]) == rejected, answer.text


def test_answers_of_the_store_get_lost(deployment, tenant, load, audit):
    with load(tenant) as sending:
        for _ in range(4):
            deployment.fault(drop=3)
            sending.wait_for(FLOW // 3)
        deployment.fault(drop=2, only="ingest_ledger")
        sending.wait_for(FLOW)
        deployment.fault()
    audit("INSERTs that commit and whose answer is lost", tenant, sending.books)


@harness.only_thorough
def test_answers_of_receivers_get_lost(deployment, tenant, load, audit, monkeypatch):
    """The client hangs up before it hears, and sends again to the other receiver."""
    monkeypatch.setattr(senders.Wire, "TIMEOUT_S", 0.15)
    with load(tenant, patience_s=20) as sending:
        time.sleep(4)
        monkeypatch.setattr(senders.Wire, "TIMEOUT_S", 30)
    audit("answers that the client does not wait for", tenant, sending.books)


def test_a_key_is_revoked(deployment, tenant, load, audit):
    with load(tenant, patience_s=5) as sending:
        sending.wait_for(FLOW)
        with tenant.api() as api:
            (key,) = api.get("/api-keys").json()["items"]
            assert api.post(f"/api-keys/{key['api_key_id']}/revoke", json={"reason": "test"}).status_code < 300
        deadline = time.monotonic() + 20
        while not sending.books.rejected:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert all("UNAUTHENTICATED" in said or said.startswith("401") for said in sending.books.unexpected)
    audit("a key revoked in mid-stream", tenant, sending.books)


@harness.only_thorough
def test_two_tenants_with_the_same_names(deployment, load, audit):
    first, second = deployment.tenant("same-a"), deployment.tenant("same-b")
    with load(first, senders=2) as one, load(second, senders=2) as two:
        one.wait_for(FLOW)
        two.wait_for(FLOW)
        victim = deployment.receivers[0]
        victim.kill()
        victim.start()
        one.wait_for(FLOW)
        two.wait_for(FLOW)
    audit("two tenants, a receiver killed: the first", first, one.books)
    audit("two tenants, a receiver killed: the second", second, two.books)


@harness.only_thorough
@pytest.mark.parametrize("flipped", ["request", "head"])
def test_a_segment_is_damaged(deployment, tenant, load, audit, flipped):
    """What cannot be read is set aside and the rest stored; mended by hand and replayed, everything is there."""
    receiver = deployment.receivers[0]
    with load(tenant, [receiver]) as sending:
        sending.wait_for(FLOW)
        deployment.front.kill()
        while len(receiver.batches()) < 2:
            sending.wait_for(1)
    receiver.kill()
    path = receiver.batches()[0]
    sound = path.read_bytes()
    at = 30 if flipped == "head" else sound.index(b"REQ\n", 20) - 10
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    torn = receiver.batches()[-1]
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    deployment.start_front()
    receiver.start()
    deployment.settle()
    poisoned = receiver.batches(".poison")
    assert len(poisoned) == 2
    listed = deployment.run("admin", "spool", "list", "--data-dir", str(receiver.folder))
    assert listed.count("poison") == len(poisoned)
    magic, end = sound[:8], sound[-4:]
    for each in poisoned:
        bad = each.read_bytes()[len(magic) : -len(end)]
        begun = whole.find(bad)
        mended = sound[8 : 8 + len(bad)] if begun < 0 else whole[begun : -len(end)]
        each.write_bytes(magic + mended + end)
    deployment.run("admin", "spool", "replay", "--all", "--data-dir", str(receiver.folder))
    audit(f"a byte flipped in the {flipped} of a segment, another torn; mended", tenant, sending.books)


@harness.only_thorough
def test_readiness_says_that_it_is_spooling(deployment, tenant, load, audit):
    receiver = deployment.receivers[0]
    with load(tenant, [receiver]) as sending:
        sending.wait_for(FLOW)
        deployment.front.kill()
        sending.wait_for(FLOW)
        answer = httpx.get(f"http://127.0.0.1:{receiver.http_port}/health/ready")
        assert answer.status_code == 503
        assert "down since" in answer.text
        shown = httpx.get(f"http://127.0.0.1:{receiver.metrics_port}/metrics").text
        assert "duoscope_ingest_store_away 1.0" in shown
        deployment.start_front()
    deployment.settle()
    answer = httpx.get(f"http://127.0.0.1:{receiver.http_port}/health/ready")
    assert answer.status_code == 200, answer.text
    audit("an outage that /health/ready tells of", tenant, sending.books)
