"""Verification of API keys at ingest: cached, revoked, guessed at, and while PostgreSQL is away."""

import asyncio
import os
import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from duoscope.identity.api_keys import verifier as api_keys
from duoscope.identity.api_keys.form import checksum
from duoscope.identity.api_keys.verifier import (
    LOOKUP_TIMEOUT_S,
    OUTAGE_RETRY_S,
    OUTAGE_S,
    RECHECK_S,
    WRONG_SECRETS_MAX,
    ApiKeyVerifier,
)
from duoscope.identity.operators import administration
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import PlatformScope
from duoscope.stores import postgres
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres
from duoscope.stores.migrations import Migrator
from duoscope.stores.postgres import MetadataStore


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class CountingHasher:
    """The real hasher, counted."""

    def __init__(self, hasher) -> None:
        self.hasher = hasher
        self.verifications = 0

    async def verify(self, stored, presented):
        self.verifications += 1
        return await self.hasher.verify(stored, presented)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counting(hasher):
    return CountingHasher(hasher)


@pytest.fixture
def verifier(metadata_store, counting, secret_keys, clock):
    return ApiKeyVerifier(metadata_store, counting, secret_keys, clock=clock)


async def _refused(verifier, presented: str, kind: ErrorKind = ErrorKind.UNAUTHENTICATED) -> DuoscopeError:
    with pytest.raises(DuoscopeError) as refused:
        await verifier.verify(presented)
    assert refused.value.kind is kind
    return refused.value


async def _rechecked(verifier) -> None:
    await asyncio.gather(*verifier._running.values(), return_exceptions=True)


@contextmanager
def _hung(data_dir: Path):
    """PostgreSQL that neither answers nor goes away."""
    postmaster = (data_dir / "postgres" / "postmaster.pid").read_text().split()[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    pids = [int(pid) for pid in (postmaster, *children)]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        # The server first, and it may then reap a child that was ending as it was stopped.
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _with_secret_of_another(presented: str) -> str:
    key_id = presented.split(".", maxsplit=1)[0]
    secret = api_keys.generate().secret
    return f"{key_id}.{secret}{checksum(key_id, secret)}"


async def test_a_key_is_hashed_once_and_then_looked_up(verifier, inhabited, counting, clock, metadata_store):
    presented = inhabited.key.api_key
    assert verifier.verify_cached(presented) is None
    principals = await asyncio.gather(*(verifier.verify(presented) for _ in range(20)))
    assert counting.verifications == 1
    assert set(principals) == {verifier.verify_cached(presented)}
    assert principals[0].scope.tenant_id == inhabited.tenant_id
    assert principals[0].signals == {"traces:write", "metrics:write", "logs:write", "monitors:report"}
    assert principals[0].retention_days == 30
    await administration.set_retention(metadata_store, tenant_id=inhabited.tenant_id, retention_days=7)
    clock.now += RECHECK_S
    assert verifier.verify_cached(presented) is None
    assert (await verifier.verify(presented)).retention_days == 30
    await _rechecked(verifier)
    assert (await verifier.verify(presented)).retention_days == 7
    assert counting.verifications == 1


async def test_revocation_is_noticed_at_the_next_check_or_at_once_when_told(verifier, inhabited, clock, metadata_store):
    presented = inhabited.key.api_key
    principal = await verifier.verify(presented)
    await administration.revoke_api_key(metadata_store, inhabited.key.key_id)
    assert await verifier.verify(presented) == principal
    verifier.forget(principal.api_key_id)
    await _refused(verifier, presented)
    clock.now += RECHECK_S
    await _refused(verifier, presented)
    with pytest.raises(DuoscopeError, match="No such API key"):
        await administration.revoke_api_key(metadata_store, inhabited.key.key_id)


async def test_a_revoked_key_is_dropped_by_the_recheck_behind_its_next_use(verifier, inhabited, clock, metadata_store):
    presented = inhabited.key.api_key
    principal = await verifier.verify(presented)
    await administration.revoke_api_key(metadata_store, inhabited.key.key_id)
    clock.now += RECHECK_S
    assert await asyncio.gather(*(verifier.verify(presented) for _ in range(5))) == [principal] * 5
    assert len(verifier._running) == 1
    await _rechecked(verifier)
    await _refused(verifier, presented)


async def test_wrong_keys_are_refused_cheaply(verifier, inhabited, counting):
    presented = inhabited.key.api_key
    await _refused(verifier, "tfk-nonsense")
    await _refused(verifier, presented[:-1] + ("a" if presented[-1] != "a" else "b"))
    await _refused(verifier, api_keys.generate().presented)
    assert counting.verifications == 0
    wrong = _with_secret_of_another(presented)
    for _ in range(5):
        await _refused(verifier, wrong)
    assert counting.verifications == 1


async def test_guessing_is_slowed_down_but_not_for_keys_already_verified(verifier, inhabited, counting):
    await verifier.verify(inhabited.key.api_key)
    for _ in range(WRONG_SECRETS_MAX):
        await _refused(verifier, _with_secret_of_another(inhabited.key.api_key))
    late = await _refused(verifier, _with_secret_of_another(inhabited.key.api_key), ErrorKind.UNAVAILABLE)
    assert late.retry_after_s
    assert counting.verifications == 1 + WRONG_SECRETS_MAX
    await verifier.verify(inhabited.key.api_key)


async def test_an_outage_of_postgres_loses_no_verified_key(tmp_path, hasher, secret_keys, clock, inhabit):
    lock = DataDirectoryLock.acquire(tmp_path)
    server = await EmbeddedPostgres.start(tmp_path)
    await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
    store = await MetadataStore.connect(server.address.service_dsn)
    verifier = ApiKeyVerifier(store, hasher, secret_keys, clock=clock)
    first, second = await inhabit(store), await inhabit(store, "two")
    principal = await verifier.verify(first.key.api_key)
    await server.stop()

    clock.now += RECHECK_S
    assert await verifier.verify(first.key.api_key) == principal
    await _rechecked(verifier)
    assert verifier.verify_cached(first.key.api_key) == principal
    unknown = await _refused(verifier, second.key.api_key, ErrorKind.UNAVAILABLE)
    assert unknown.code == "metadata-store-unavailable"
    clock.now += OUTAGE_S
    await _refused(verifier, first.key.api_key, ErrorKind.UNAVAILABLE)

    server = await EmbeddedPostgres.start(tmp_path)
    clock.now += OUTAGE_RETRY_S
    assert await verifier.verify(first.key.api_key) == principal
    assert await verifier.verify(second.key.api_key)
    await store.close()
    await server.stop()
    lock.release()


async def test_postgres_that_hangs_delays_no_verified_key(tmp_path, hasher, secret_keys, clock, inhabit):
    lock = DataDirectoryLock.acquire(tmp_path)
    server = await EmbeddedPostgres.start(tmp_path)
    await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
    store = await MetadataStore.connect(server.address.service_dsn)
    verifier = ApiKeyVerifier(store, hasher, secret_keys, clock=clock)
    first, second = await inhabit(store), await inhabit(store, "two")
    principal = await verifier.verify(first.key.api_key)
    clock.now += RECHECK_S
    with _hung(tmp_path):
        started = time.monotonic()
        assert await verifier.verify(first.key.api_key) == principal
        assert time.monotonic() - started < 1
        unknown = await _refused(verifier, second.key.api_key, ErrorKind.UNAVAILABLE)
        assert time.monotonic() - started < LOOKUP_TIMEOUT_S + 1
        assert unknown.code == "metadata-store-unavailable"
        await _rechecked(verifier)
        assert verifier.verify_cached(first.key.api_key) == principal
    assert await verifier.verify(second.key.api_key)
    await store.close()
    await server.stop()
    lock.release()


async def test_a_statement_on_postgres_that_hangs_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "COMMAND_TIMEOUT_S", 1.0)
    monkeypatch.setattr(postgres, "CLEANUP_TIMEOUT_S", 1.0)
    lock = DataDirectoryLock.acquire(tmp_path)
    server = await EmbeddedPostgres.start(tmp_path)
    await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
    store = await MetadataStore.connect(server.address.service_dsn)
    scope = PlatformScope(reason="a test of time limits")

    async def hang(stack):
        async with store.open_platform(scope, "tests.hang") as tx:
            stack.enter_context(_hung(tmp_path))
            await tx.fetchval("SELECT 1")

    async def hang_before(stack):
        stack.enter_context(_hung(tmp_path))
        await store.ping()

    for work in (hang, hang_before):
        with ExitStack() as stack, pytest.raises(DuoscopeError) as away:
            await work(stack)
        assert (away.value.kind, away.value.code) == (ErrorKind.UNAVAILABLE, "metadata-store-unavailable")
    await store.ping()
    await store.close()
    await server.stop()
    lock.release()


async def test_a_store_that_is_away_at_the_start_is_unavailable(tmp_path):
    with pytest.raises(DuoscopeError) as away:
        await MetadataStore.connect(f"postgresql://duoscope_service@/duoscope?host={tmp_path}")
    assert away.value.kind is ErrorKind.UNAVAILABLE


async def test_an_expiring_key_works_until_then(metadata_store, inhabited, hasher, verifier, clock):
    import datetime as dt

    key = await administration.create_api_key(
        metadata_store,
        hasher,
        tenant_id=inhabited.tenant_id,
        name="short",
        permissions=["logs:write"],
        expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5),
    )
    assert (await verifier.verify(key.api_key)).signals == {"logs:write"}
    clock.now += 5
    assert verifier.verify_cached(key.api_key) is None
