"""The real stores: one PostgreSQL server per test run, one cloned database per test; one ClickHouse engine per
process.
"""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.files import shipped
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.receiver.decoder import Decoder, Kind
from duoscope.stores.clickhouse import SchemaAccount, TelemetryReader, TelemetryStore
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres, PostgresAddress
from duoscope.stores.migrations import ClickHouseMigrator, Migrator
from duoscope.stores.migrations.files import load
from duoscope.stores.postgres import MetadataStore

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PostgresAddress]:
    """A running server whose database `duoscope` is empty. Do not connect to it: `blank_database` clones it."""
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
    """The name of a database with the current schema, to be cloned."""
    address = await _clone(postgres_server, "duoscope")
    await Migrator(postgres_admin_dsn=address.admin_dsn).up()
    return _name(address)


@pytest_asyncio.fixture
async def blank_database(postgres_server: PostgresAddress) -> AsyncGenerator[PostgresAddress]:
    """A database for this test only, without any schema."""
    address = await _clone(postgres_server, "duoscope")
    yield address
    await _drop(postgres_server, address)


@pytest_asyncio.fixture
async def database(postgres_server: PostgresAddress, migrated_template: str) -> AsyncGenerator[PostgresAddress]:
    """A database for this test only, with the current schema."""
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


@pytest_asyncio.fixture(scope="session")
async def telemetry_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[TelemetryStore]:
    """The embedded ClickHouse with the current schema."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("telemetry"))
    account = SchemaAccount.open(settings)
    ClickHouseMigrator(account, load(shipped("migrations") / "clickhouse", "clickhouse")).up()
    account.close()
    store = TelemetryStore(settings)
    yield store
    await store.close()


@pytest.fixture
def new_scope() -> Callable[[], Scope]:
    """Makes a tenant without telemetry."""
    return lambda: Scope(new_id(), new_id(), new_id())


@pytest.fixture
def deliver(telemetry_store: TelemetryStore) -> Callable[..., Awaitable[None]]:
    """Stores OTLP requests for a tenant, as the receiver does, and `with_values` what it counts of them."""
    kinds = {
        ExportLogsServiceRequest: Kind.LOGS,
        ExportTraceServiceRequest: Kind.TRACES,
        ExportMetricsServiceRequest: Kind.METRICS,
    }

    async def send(scope: Scope, *requests: Message, with_values: bool = False) -> None:
        for request in requests:
            decoder = Decoder(kinds[type(request)])
            if with_values:
                decoder.count_values()
            decoder.add(request.SerializeToString(), scope, 30, now_ns=now_unix_nano())
            decoder.flush_values()
            for block in decoder.blocks():
                await telemetry_store.ingest().insert(block.table, block.native, form="Native", token=str(new_id()))

    return send


@pytest.fixture
def stored(
    telemetry_store: TelemetryStore, deliver: Callable[..., Awaitable[None]], new_scope: Callable[[], Scope]
) -> Callable[..., Awaitable[TelemetryReader]]:
    """Stores OTLP requests for a new tenant and returns a reader of it."""

    async def send(*requests: Message) -> TelemetryReader:
        scope = new_scope()
        await deliver(scope, *requests)
        return telemetry_store.bind(scope)

    return send
