"""Revocation heard by every receiver, secrets in rotation, allowed addresses, uses, and restarts while PostgreSQL is
away: the life of API keys around their verification.
"""

import asyncio
import datetime as dt
import stat
import time

import asyncpg
import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys import verifier as api_keys
from duoscope.identity.api_keys.offline import FILE, OfflineKeys
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import OUTAGE_S, ApiKeyVerifier
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_key_usage_logs
from duoscope.metadata import api_keys as rows
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres
from duoscope.stores.migrations import Migrator
from duoscope.stores.postgres import MetadataStore

_PLATFORM = PlatformScope(reason="test")
HEARD_S = 2.0
"""What is promised of a revocation."""


@pytest.fixture
async def receivers(metadata_store, database, hasher, secret_keys):
    """Two receivers, each with a store of its own, as two processes have."""
    made, stores = [], []
    for _ in range(2):
        store = await MetadataStore.connect(database.service_dsn, connections_max=2)
        verifier = ApiKeyVerifier(store, hasher, secret_keys)
        upkeep = ApiKeyUpkeep(store, verifier)
        upkeep.start(Driver())
        await asyncio.wait_for(upkeep.listening.wait(), 10)
        made.append((verifier, upkeep))
        stores.append(store)
    yield [verifier for verifier, _ in made]
    for _, upkeep in made:
        await upkeep.stop()
    for store in stores:
        await store.close()


async def _error(verifier, presented, *place) -> DuoscopeError:
    with pytest.raises(DuoscopeError) as refused:
        await verifier.verify(presented, *place)
    return refused.value


async def _until_refused(verifier, presented) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 10:
        try:
            await verifier.verify(presented)
        except DuoscopeError as error:
            refusal = error
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("still accepted")
    assert refusal.code == "api-key-invalid"
    return time.monotonic() - began


async def _change(store, sql, *values):
    async with store.open_platform(_PLATFORM, "test.change") as tx:
        return await tx.execute(sql, *values)


async def _revoke(store, inhabited):
    async with store.open_platform(_PLATFORM, "test.revoke") as tx:
        assert await rows.revoke(tx, inhabited.key.key_id, reason="test")


async def test_every_receiver_hears_of_a_revocation(receivers, metadata_store, inhabited):
    presented = inhabited.key.api_key
    for verifier in receivers:
        await verifier.verify(presented)
    await _revoke(metadata_store, inhabited)
    for verifier in receivers:
        assert await _until_refused(verifier, presented) < HEARD_S


async def test_a_revocation_is_heard_after_the_listening_connection_was_lost(
    receivers, metadata_store, database, inhabited
):
    presented = inhabited.key.api_key
    for verifier in receivers:
        await verifier.verify(presented)
    owner = await asyncpg.connect(database.admin_dsn)
    # Of this database: other tests' receivers listen on the same server.
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'duoscope listens' AND datname = current_database()"
    )
    assert await owner.fetchval(kill) == 2
    await owner.close()
    await _revoke(metadata_store, inhabited)
    for verifier in receivers:
        assert await _until_refused(verifier, presented) < HEARD_S


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tenants SET deleted_at = now() WHERE tenant_id = $1",
        "UPDATE workspaces w SET is_active = false FROM tenants t WHERE t.workspace_id = w.workspace_id",
        "UPDATE organizations o SET deleted_at = now() FROM tenants t WHERE o.organization_id = t.organization_id",
        "UPDATE api_keys SET expires_at = now() WHERE tenant_id = $1",
    ],
)
async def test_a_place_or_key_that_ends_ends_its_keys_at_once(receivers, metadata_store, inhabited, sql):
    presented = inhabited.key.api_key
    for verifier in receivers:
        await verifier.verify(presented)
    assert await _change(metadata_store, sql.replace("$1", f"'{inhabited.tenant_id}'")) == 1
    for verifier in receivers:
        assert await _until_refused(verifier, presented) < HEARD_S


async def test_a_revocation_during_the_lookup_is_not_overtaken_by_it(metadata_store, inhabited, hasher, secret_keys):
    """PostgreSQL said yes, Argon2id runs, and meanwhile the notice comes."""
    running = asyncio.Event()

    class Slow:
        async def verify(self, stored, presented):
            right = await hasher.verify(stored, presented)
            running.set()
            await _revoke(metadata_store, inhabited)
            verifier.drop(inhabited.key.api_key_id)
            return right

    verifier = ApiKeyVerifier(metadata_store, Slow(), secret_keys)
    assert (await _error(verifier, inhabited.key.api_key)).code == "api-key-invalid"
    assert running.is_set()
    assert verifier.verify_cached(inhabited.key.api_key) is None


async def test_both_secrets_work_until_the_grace_is_over(receivers, metadata_store, inhabited, hasher):
    verifier, other = receivers
    old = inhabited.key.api_key
    principal = await verifier.verify(old)
    new = api_keys.generate(inhabited.key.key_id)
    new_hash = await hasher.hash(new.secret)

    async def rotate(hash_, grace_s):
        async with metadata_store.open_platform(_PLATFORM, "test.rotate") as tx:
            key = await rows.find(tx, inhabited.key.key_id)
            await rows.rotate(tx, key, secret_hash=hash_, grace_s=grace_s)

    await rotate(new_hash, 2.0)
    began = time.monotonic()
    for each in receivers:
        assert await each.verify(old) == principal
        assert await each.verify(new.presented) == principal
    assert await _until_refused(verifier, old) >= 2.0 - (time.monotonic() - began)
    await _until_refused(other, old)
    assert await verifier.verify(new.presented) == principal
    # A rotation without grace, such as after a leak: the one before it ends at once.
    newest = api_keys.generate(inhabited.key.key_id)
    await rotate(await hasher.hash(newest.secret), 0.0)
    assert await _until_refused(verifier, new.presented) < HEARD_S
    assert await verifier.verify(newest.presented) == principal


async def test_addresses_that_are_not_allowed_are_refused(receivers, metadata_store, inhabited):
    verifier, _ = receivers
    presented = inhabited.key.api_key
    await verifier.verify(presented)
    await _change(
        metadata_store,
        "UPDATE api_keys SET allowed_addresses = '{192.0.2.0/24,2001:db8::/32}', rate_limit = 100 WHERE tenant_id = $1",
        inhabited.tenant_id,
    )
    async with asyncio.timeout(HEARD_S):
        while verifier.verify_cached(presented) is not None:  # noqa: ASYNC110 - nobody tells of a notice but its effect
            await asyncio.sleep(0.01)
    for address in (None, "198.51.100.1", "nonsense", "2001:db9::1", "::ffff:198.51.100.1"):
        error = await _error(verifier, presented, address)
        assert (error.kind, error.code) == (ErrorKind.FORBIDDEN, "address-not-allowed"), address
        assert verifier.verify_cached(presented, address) is None
    for address in ("192.0.2.7", "2001:db8::1", "[2001:db8::2%eth0]", "::ffff:192.0.2.9"):
        principal = await verifier.verify(presented, address)
        assert verifier.verify_cached(presented, address) is principal
    assert principal.rate_limit == 100
    assert [str(network) for network in principal.allowed_addresses] == ["192.0.2.0/24", "2001:db8::/32"]


async def test_uses_are_written_together_and_once(metadata_store, database, inhabited, hasher, secret_keys):
    verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
    upkeep = ApiKeyUpkeep(metadata_store, verifier)
    principal = await verifier.verify(inhabited.key.api_key)
    for status in (200, 200, 429, 200, 200, 200):
        verifier.count(principal, "POST /v1/logs", "192.0.2.1", status)
    verifier.count(principal, "POST /v1/traces", "192.0.2.2", 200)
    await upkeep.flush()
    await upkeep.flush()
    async with metadata_store.open_platform(_PLATFORM, "test.read") as tx:
        [key] = await rows.list_all(tx)
        logs = [api_key_usage_logs.from_row(row) for row in await tx.fetch(api_key_usage_logs.LISTING.select)]
    assert (key.usage_count, key.last_used_ip) == (6, "192.0.2.2")
    assert {(log.method, log.endpoint, log.ip_address, log.status_code, log.request_count) for log in logs} == {
        ("POST", "/v1/logs", "192.0.2.1", 200, 5), ("POST", "/v1/logs", "192.0.2.1", 429, 1),
        ("POST", "/v1/traces", "192.0.2.2", 200, 1),
    }  # fmt: skip
    # Addresses by the million, such as of an IPv6 network, take no more memory than some.
    for number in range(1500):
        verifier.count(principal, "POST /v1/logs", f"2001:db8::{number:x}", 200)
    uses = verifier.take_uses()
    assert sum(use.request_count for use in uses) == 1500
    assert len(uses) <= 1001
    verifier.put_back_uses(uses)
    verifier.put_back_uses(uses)
    assert sum(use.request_count for use in verifier.take_uses()) == 3000
    # Old rows go, and a use of a key that is gone meanwhile stops nobody.
    async with metadata_store.open_platform(_PLATFORM, "test.young") as tx:
        assert await api_key_usage_logs.forget_old(tx, 10) == 0
    owner = await asyncpg.connect(database.admin_dsn)
    await owner.execute("SET row_security = off")
    await owner.execute("ALTER TABLE api_key_usage_logs NO FORCE ROW LEVEL SECURITY")
    assert await owner.execute("UPDATE api_key_usage_logs SET created_at = now() - interval '31 days'") == "UPDATE 3"
    await owner.close()
    async with metadata_store.open_platform(_PLATFORM, "test.old") as tx:
        assert await api_key_usage_logs.forget_old(tx, 1) == 1
        assert await api_key_usage_logs.forget_old(tx, 10) == 2
        await api_key_usage_logs.record(tx, [api_key_usage_logs.Use(new_id(), new_id(), "e", "m", None, 200, 1)])
        assert await tx.fetchval("SELECT count(*) FROM api_key_usage_logs") == 0


async def test_a_restart_while_postgres_is_away_loses_no_known_key(tmp_path, hasher, secret_keys, inhabit):
    lock = DataDirectoryLock.acquire(tmp_path)
    server = await EmbeddedPostgres.start(tmp_path)
    await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
    store = await MetadataStore.connect(server.address.service_dsn)
    offline = OfflineKeys(tmp_path, secret_keys)
    verifier = ApiKeyVerifier(store, hasher, secret_keys, offline=offline)
    upkeep = ApiKeyUpkeep(store, verifier)
    upkeep.start(Driver())
    first, second = await inhabit(store), await inhabit(store, "two")
    third = await inhabit(store, "three")
    principal = await verifier.verify(first.key.api_key)
    await verifier.verify(third.key.api_key)
    await _revoke(store, third)
    await _until_refused(verifier, third.key.api_key)
    await upkeep.stop()
    await store.close()
    await server.stop()

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    content = (tmp_path / FILE).read_bytes()
    for secret in (first.key.api_key, first.key.key_id, str(principal.scope.tenant_id)):
        assert secret.encode() not in content

    store = await MetadataStore.connect(server.address.service_dsn, may_be_away=True)
    verifier = ApiKeyVerifier(store, hasher, secret_keys, offline=offline)
    assert await verifier.verify(first.key.api_key) == principal
    for unknown in (second, third):
        error = await _error(verifier, unknown.key.api_key)
        assert (error.kind, error.code) == (ErrorKind.UNAVAILABLE, "metadata-store-unavailable")
    too_late = ApiKeyVerifier(store, hasher, secret_keys, offline=offline, outage_s=0.001)
    assert (await _error(too_late, first.key.api_key)).kind is ErrorKind.UNAVAILABLE

    server = await EmbeddedPostgres.start(tmp_path)
    verifier = ApiKeyVerifier(store, hasher, secret_keys, offline=offline)
    await _revoke(store, first)
    assert (await _error(verifier, first.key.api_key)).code == "api-key-invalid"
    assert await verifier.verify(second.key.api_key)
    await store.close()
    await server.stop()
    lock.release()


async def test_a_file_of_keys_that_was_tampered_with_is_not_used(
    tmp_path, metadata_store, inhabited, hasher, secret_keys
):
    offline = OfflineKeys(tmp_path, secret_keys)
    verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys, offline=offline)
    await verifier.verify(inhabited.key.api_key)
    offline.write(verifier.offline_keys())
    [kept] = offline.read()
    assert kept.key_id == inhabited.key.key_id
    # The secret before last still opens it, another instance's does not.
    assert OfflineKeys(tmp_path, SecretKeys((b"n" * 32, b"s" * 32))).read() == [kept]
    assert OfflineKeys(tmp_path, SecretKeys((b"n" * 32,))).read() == []
    sealed = bytearray((tmp_path / FILE).read_bytes())
    for damage in (b"", b"short", bytes(sealed[:-1]), bytes([sealed[0] ^ 1]) + bytes(sealed[1:])):
        (tmp_path / FILE).write_bytes(damage)
        assert offline.read() == []
    (tmp_path / FILE).unlink()
    assert offline.read() == []


@pytest.fixture
def restarted(tmp_path, metadata_store, hasher, secret_keys):
    """Makes a receiver over the file of the one before."""
    offline = OfflineKeys(tmp_path, secret_keys)
    return lambda: ApiKeyVerifier(metadata_store, hasher, secret_keys, offline=offline)


async def test_a_key_file_from_the_future_or_the_far_past_is_not_believed(restarted, inhabited, monkeypatch):
    verifier = restarted()
    await verifier.verify(inhabited.key.api_key)
    verifier.offline.write(verifier.offline_keys())
    present = time.time()
    for shift, known in ((0, 1), (OUTAGE_S - 60, 1), (OUTAGE_S + 60, 0), (-60, 0)):
        monkeypatch.setattr(api_keys.time, "time", lambda shift=shift: present + shift)
        assert len(restarted().offline_keys()) == known, shift


async def test_expiry_is_kept_in_the_file(restarted, metadata_store, inhabited, monkeypatch):
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=100)
    await _change(metadata_store, "UPDATE api_keys SET expires_at = $1", soon)
    verifier = restarted()
    await verifier.verify(inhabited.key.api_key)
    verifier.offline.write(verifier.offline_keys())
    present = time.time()
    monkeypatch.setattr(api_keys.time, "time", lambda: present + 101)
    assert restarted().offline_keys() == []
