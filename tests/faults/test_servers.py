"""Receivers, store and disk fail while telemetry flows over servers: everything acknowledged is there, once."""

import random
import signal
import time

import harness
import httpx
import pytest

FLOW = 15
"""Requests that must get through before and after a fault."""

only_thorough = pytest.mark.skipif(not harness.THOROUGH, reason="takes long: a part of `make faults`")


def settle(deployment, timeout_s=60):
    """Until nothing waits on any disk."""
    deadline = time.monotonic() + timeout_s
    while any(receiver.batches(suffix) for receiver in deployment.receivers for suffix in (".spooled", ".batch")):
        assert time.monotonic() < deadline, [receiver.log.read_text()[-2000:] for receiver in deployment.receivers]
        time.sleep(0.05)


def test_without_a_fault(deployment, tenant, load, audit):
    with load(tenant, duplicates=0.3) as sending:
        sending.wait_for(3 * FLOW)
    row = audit("none, each third request sent again twice", tenant, sending.books)
    assert (row.rejected, row.unknown) == (0, 0), sending.books.unexpected


def test_receivers_are_killed(deployment, tenant, load, audit, rounds):
    with load(tenant, duplicates=0.1) as sending:
        for number in range(rounds):
            sending.wait_for(3)
            victim = deployment.receivers[number % 2]
            time.sleep(random.random() * 0.5)
            victim.kill()
            victim.start()
        sending.wait_for(FLOW)
    settle(deployment)
    audit(f"kill -9 of a receiver, {rounds} rounds", tenant, sending.books)


@only_thorough
def test_the_store_stops_answering(deployment, tenant, load, audit, thorough):
    with load(tenant) as sending:
        sending.wait_for(FLOW)
        deployment.front.signal(signal.SIGSTOP)
        time.sleep(45 if thorough else 6)
        deployment.front.signal(signal.SIGCONT)
        sending.wait_for(FLOW, timeout_s=120)
    settle(deployment, 120)
    audit("SIGSTOP of the store", tenant, sending.books)


def test_the_store_dies_and_receivers_with_it(deployment, tenant, load, audit):
    with load(tenant) as sending:
        sending.wait_for(FLOW)
        deployment.front.kill()
        sending.wait_for(FLOW)  # into the spool
        assert any(receiver.batches() for receiver in deployment.receivers)
        for receiver in deployment.receivers:
            receiver.kill()
            receiver.start()
        sending.wait_for(FLOW)
        deployment.start_front()
        sending.wait_for(FLOW)
    settle(deployment)
    audit("death of the store, then of the receivers", tenant, sending.books)


@only_thorough
def test_the_store_is_slow(deployment, tenant, load, audit):
    deployment.fault(slow_s=1.5)
    try:
        with load(tenant) as sending:
            sending.wait_for(FLOW // 2)
    finally:
        deployment.fault()
    settle(deployment)
    audit("a store that takes 1.5 s a query", tenant, sending.books)


def test_answers_of_the_store_get_lost(deployment, tenant, load, audit):
    with load(tenant) as sending:
        for _ in range(4):
            deployment.fault(drop=3)
            sending.wait_for(FLOW // 3)
        deployment.fault(drop=2, only="ingest_ledger")
        sending.wait_for(FLOW)
        deployment.fault()
    settle(deployment)
    audit("INSERTs that commit and whose answer is lost", tenant, sending.books)


@only_thorough
def test_answers_of_receivers_get_lost(deployment, tenant, load, audit, monkeypatch):
    """The client hangs up before it hears, and sends again to the other receiver."""
    monkeypatch.setattr(harness.Wire, "TIMEOUT_S", 0.15)
    with load(tenant, patience_s=20) as sending:
        time.sleep(4)
        monkeypatch.setattr(harness.Wire, "TIMEOUT_S", 30)
    settle(deployment)
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


@only_thorough
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
    settle(deployment)
    audit("two tenants, a receiver killed: the first", first, one.books)
    audit("two tenants, a receiver killed: the second", second, two.books)


@only_thorough
@pytest.mark.parametrize("flipped", ["rows", "head"])
def test_a_spool_file_is_damaged(deployment, tenant, load, audit, flipped):
    """It is set aside and nothing of it stored; mended by hand and replayed, everything is there."""
    receiver = deployment.receivers[0]
    with load(tenant, [receiver]) as sending:
        sending.wait_for(FLOW)
        deployment.front.kill()
        sending.wait_for(FLOW)
    receiver.kill()
    path = receiver.batches()[0]
    sound = path.read_bytes()
    at = 30 if flipped == "head" else len(sound) - 40
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    torn = receiver.batches()[-1]
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    deployment.start_front()
    receiver.start()
    settle(deployment)
    poisoned = receiver.batches(".poison")
    assert {each.stem for each in poisoned} == {path.stem, torn.stem}
    listed = deployment.run("admin", "spool", "list", "--data-dir", str(receiver.folder))
    assert listed.count("poison") == len(poisoned)
    path.with_suffix(".poison").write_bytes(sound)
    torn.with_suffix(".poison").write_bytes(whole)
    deployment.run("admin", "spool", "replay", "--all", "--data-dir", str(receiver.folder))
    settle(deployment)
    audit(f"a byte flipped in a spool file's {flipped}, another torn; mended", tenant, sending.books)


@only_thorough
def test_readiness_says_that_it_is_spooling(deployment, tenant, load, audit):
    receiver = deployment.receivers[0]
    with load(tenant, [receiver]) as sending:
        sending.wait_for(FLOW)
        deployment.front.kill()
        sending.wait_for(FLOW)
        answer = httpx.get(f"http://127.0.0.1:{receiver.http_port}/health/ready")
        assert answer.status_code == 503
        assert "wait on disk" in answer.text
        deployment.start_front()
    settle(deployment)
    answer = httpx.get(f"http://127.0.0.1:{receiver.http_port}/health/ready")
    assert answer.status_code == 200, answer.text
    audit("an outage that /health/ready tells of", tenant, sending.books)
