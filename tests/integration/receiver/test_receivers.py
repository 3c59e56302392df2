"""Receivers over the same stores: they count each other, and a tenant's limits hold over all of them."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.directory import ingest_limits
from duoscope.kernel.actor import operator
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.receiver.admission import receivers as module
from duoscope.receiver.admission.receivers import Receivers
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.signals import LOGS
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres
from duoscope.stores.migrations import Migrator
from duoscope.stores.postgres import MetadataStore

_PLATFORM = PlatformScope(reason="a test")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def receiver(metadata_store, telemetry_store, hasher, secret_keys, tmp_path):
    """Starts a receiver, which counts the others; answers it, what it counts with, and the key as it knows it."""
    async with AsyncExitStack() as stack:

        async def start(name, key, clock):
            verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
            log = RequestLog.open(tmp_path / name)
            living = Receivers(metadata_store, log.receiver_id)
            ingest = Ingest(telemetry_store, verifier, log, receivers=lambda: living.count, driver=Driver())
            ingest._admission._clock = clock
            await ingest.start()
            stack.push_async_callback(ingest.close)
            await living.start(Driver())
            stack.push_async_callback(living.close)
            return ingest, living, await ingest.authenticate({"x-api-key": key}, LOGS)

        yield start


async def test_a_limit_holds_over_two_receivers(receiver, inhabited, metadata_store, otlp):
    clock = Clock()
    own = {"items_per_second": 10, "burst_seconds": 1}
    await ingest_limits.change(metadata_store, operator(), inhabited.tenant_id, own)
    one, counted, principal = await receiver("one", inhabited.key.api_key, clock)
    assert counted.count == 1

    async def taken(*ingests):
        """Send single records to each until both refuse; how many were taken."""
        count = 0
        for ingest in ingests:
            while True:
                raw = otlp.logs("s", {"time_unix_nano": now_unix_nano(), "body": str(new_id())}).SerializeToString()
                try:
                    await ingest.accept(principal, LOGS, raw)
                except DuoscopeError as error:
                    if error.kind is ErrorKind.RATE_LIMITED:
                        break
                    raise
                count += 1
        return count

    assert await taken(one) == 10
    clock.now += 0.81
    assert await taken(one) == 8
    two, also_counted, _ = await receiver("two", inhabited.key.api_key, clock)
    assert also_counted.count == 2
    await counted.beat()  # as it does every three seconds
    assert counted.count == 2
    assert await taken(one, two) == 10  # what may come at once is each one's own
    for _ in range(3):
        clock.now += 0.81
        assert await taken(one, two) == 8
    # What one stop leaves, the other takes.
    await also_counted.close()
    await counted.beat()
    assert counted.count == 1
    assert await taken(one) == 0
    clock.now += 0.81
    assert await taken(one) == 8


async def test_the_dead_are_counted_until_their_time_is_over(metadata_store):
    one, two = (Receivers(metadata_store, new_id()) for _ in range(2))
    await one.beat()
    await two.beat()
    assert (one.count, two.count) == (1, 2)
    await one.beat()
    assert one.count == 2
    async with metadata_store.open_platform(_PLATFORM, "test.died") as tx:
        await tx.execute(
            "UPDATE receivers SET alive_until = now() - interval '2 hours' WHERE receiver_id = $1", two._receiver_id
        )
    await one.beat()
    assert one.count == 1
    # Whoever leaves takes the rows with it that nobody took away.
    await one.start(Driver())
    await one.close()
    async with metadata_store.open_platform(_PLATFORM, "test.left") as tx:
        assert await tx.fetchval("SELECT count(*) FROM receivers") == 0


async def test_the_last_number_holds_while_postgres_is_away_and_until_the_others_were_heard(tmp_path, monkeypatch):
    lock = DataDirectoryLock.acquire(tmp_path)
    server = await EmbeddedPostgres.start(tmp_path)
    await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
    store = await MetadataStore.connect(server.address.service_dsn, component="receiver", may_be_away=True)
    one, two = (Receivers(store, new_id()) for _ in range(2))
    await two.beat()
    await one.beat()
    await server.stop()
    with pytest.raises(DuoscopeError, match="metadata store"):
        await one.beat()
    assert one.count == 2
    # In an outage a row may become too old whose receiver lives.
    server = await EmbeddedPostgres.start(tmp_path)
    async with asyncio.timeout(20):
        while True:
            try:
                async with store.open_platform(_PLATFORM, "test.old") as tx:
                    await tx.execute("UPDATE receivers SET alive_until = now()")
                break
            except DuoscopeError:
                await asyncio.sleep(0.05)
    await one.beat()
    assert one.count == 2
    monkeypatch.setattr(module, "ALIVE_S", 0.0)
    await one.beat()
    assert one.count == 1
    await store.close()
    await server.stop()
    lock.release()
