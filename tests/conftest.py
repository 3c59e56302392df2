"""The real PostgreSQL for every test that needs one: one server a test run, one database cloned a test."""

import itertools
from collections.abc import AsyncGenerator

import asyncpg
import pytest
import pytest_asyncio

from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres, PostgresAddress
from duoscope.stores.migrations import Migrator
from duoscope.stores.postgres import MetadataStore

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PostgresAddress]:
    """A running server whose database `duoscope` is empty. Don't connect to that one: `blank_database` clones it."""
    data_dir = tmp_path_factory.mktemp("postgres")
    lock = DataDirectoryLock.acquire(data_dir)
    server = await EmbeddedPostgres.start(data_dir)
    try:
        yield server.address
    finally:
        await server.stop()
        lock.release()


@pytest_asyncio.fixture(scope="session")
async def migrated_template(postgres_server: PostgresAddress) -> str:
    """Name of a database with the current schema, to be cloned."""
    address = await _clone(postgres_server, "duoscope")
    await Migrator(postgres_admin_dsn=address.admin_dsn).up()
    return _name(address)


@pytest_asyncio.fixture
async def blank_database(postgres_server: PostgresAddress) -> AsyncGenerator[PostgresAddress]:
    """A database of this test's own, without any schema."""
    address = await _clone(postgres_server, "duoscope")
    yield address
    await _drop(postgres_server, address)


@pytest_asyncio.fixture
async def database(postgres_server: PostgresAddress, migrated_template: str) -> AsyncGenerator[PostgresAddress]:
    """A database of this test's own, with the current schema."""
    address = await _clone(postgres_server, migrated_template)
    yield address
    await _drop(postgres_server, address)


@pytest_asyncio.fixture
async def metadata_store(database: PostgresAddress) -> AsyncGenerator[MetadataStore]:
    """The store over `database`."""
    store = await MetadataStore.connect(database.service_dsn)
    yield store
    await store.close()


def _name(address: PostgresAddress) -> str:
    return address.admin_dsn.split("@/", 1)[1].split("?", 1)[0]


async def _clone(server: PostgresAddress, template: str) -> PostgresAddress:
    name = f"test_{next(_numbers)}"
    await _command(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return PostgresAddress(
        server.admin_dsn.replace("@/duoscope?", f"@/{name}?"), server.service_dsn.replace("@/duoscope?", f"@/{name}?")
    )


async def _drop(server: PostgresAddress, address: PostgresAddress) -> None:
    await _command(server, f"DROP DATABASE {_name(address)} WITH (FORCE)")


async def _command(server: PostgresAddress, sql: str) -> None:
    connection = await asyncpg.connect(server.admin_dsn.replace("@/duoscope?", "@/postgres?"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
