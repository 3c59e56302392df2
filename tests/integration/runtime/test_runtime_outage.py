"""A separate receiver starts while PostgreSQL is down, and checks the schema once it is back."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from duoscope.background.driver import Driver
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings
from duoscope.runtime import stores
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres
from duoscope.stores.migrations import Migrator


@pytest.fixture
async def away(tmp_path):
    """A server that is not running, and how to start it."""
    lock = DataDirectoryLock.acquire(tmp_path)
    server = await EmbeddedPostgres.start(tmp_path)
    await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
    await server.stop()
    running = []

    async def start():
        running.append(await EmbeddedPostgres.start(tmp_path))
        return running[0].address

    yield server.address, start
    for each in running:
        await each.stop()
    lock.release()


async def test_only_a_receiver_starts_without_postgres(away):
    address, start = away
    settings = Settings(postgres_dsn=address.service_dsn)
    stop = asyncio.Event()
    for parts in (stores.PARTS, frozenset({"api"}), frozenset({"worker"}), frozenset({"receiver", "api"})):
        async with AsyncExitStack() as stack:
            with pytest.raises(DuoscopeError) as refused:
                await stores.open_metadata(settings, parts, stop, Driver(), stack)
            assert refused.value.kind is ErrorKind.UNAVAILABLE
    async with AsyncExitStack() as stack:
        store = await stores.open_metadata(settings, frozenset({"receiver"}), stop, Driver(), stack)
        with pytest.raises(DuoscopeError):
            await store.ping()
        await start()
        await store.ping()
        assert not stop.is_set()


async def test_a_receiver_ends_when_postgres_comes_back_with_another_schema(away):
    address, start = away
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        await stores.open_metadata(
            Settings(postgres_dsn=address.service_dsn), frozenset({"receiver"}), stop, Driver(), stack
        )
        await Migrator(postgres_admin_dsn=(await start()).admin_dsn).down("postgres", 7)
        await asyncio.wait_for(stop.wait(), 20)
