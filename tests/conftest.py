"""The real stores for every test that needs them.

PostgreSQL: one server a test run, one database cloned a test. ClickHouse: one engine a process (it has no more), in
which every test makes a tenant of its own with `new_scope` and fills it with `deliver`.
"""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from duoscope.api.app import ApiServices, create_app
from duoscope.identity.api_keys import ApiKeyVerifier
from duoscope.identity.passwords import SlowHasher
from duoscope.identity.secret_keys import SecretKeys
from duoscope.identity.sessions import Sessions
from duoscope.identity.tokens import AccessTokens
from duoscope.kernel.files import shipped
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata.permissions import Grant
from duoscope.receiver.envelope import wrap
from duoscope.stores.clickhouse import Inlet, SchemaAccount, TelemetryStore
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres, PostgresAddress
from duoscope.stores.migrations import ClickHouseMigrator, Migrator
from duoscope.stores.migrations.files import load
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
    """Makes a tenant that has no telemetry yet."""
    return lambda: Scope(new_id(), new_id(), new_id())


@pytest.fixture
def deliver(telemetry_store: TelemetryStore) -> Callable[..., Awaitable[None]]:
    """Stores OTLP requests for a tenant, as the receiver does."""
    inlets = {
        ExportLogsServiceRequest: [Inlet.LOGS],
        ExportTraceServiceRequest: [Inlet.TRACES],
        ExportMetricsServiceRequest: [Inlet.METRICS, Inlet.DISTRIBUTIONS],
    }

    async def send(scope: Scope, *requests: Message) -> None:
        for request in requests:
            envelope = wrap(scope, 30, request.SerializeToString())
            for inlet in inlets[type(request)]:
                await telemetry_store.ingest().insert(inlet, envelope, token=str(new_id()))

    return send


class Otlp:
    """OTLP requests of one resource and one scope, from Python values."""

    def value(self, value: Any) -> AnyValue:  # noqa: PLR0911 - one a kind
        match value:
            case None:
                return AnyValue()
            case bool():
                return AnyValue(bool_value=value)
            case int():
                return AnyValue(int_value=value)
            case float():
                return AnyValue(double_value=value)
            case str():
                return AnyValue(string_value=value)
            case bytes():
                return AnyValue(bytes_value=value)
            case list():
                return AnyValue(array_value=ArrayValue(values=[self.value(item) for item in value]))
            case _:
                return AnyValue(kvlist_value=KeyValueList(values=self.attributes(value)))

    def attributes(self, values: dict[str, Any]) -> list[KeyValue]:
        return [KeyValue(key=key, value=self.value(value)) for key, value in values.items()]

    def resource(self, service: str, **attributes: Any) -> Resource:
        return Resource(attributes=self.attributes({"service.name": service, **attributes}))

    def logs(self, service: str, *records: dict[str, Any], **resource: Any) -> ExportLogsServiceRequest:
        """Records of LogRecord fields, with `body` and `attributes` as Python values."""
        request = ExportLogsServiceRequest()
        scope_logs = request.resource_logs.add(resource=self.resource(service, **resource)).scope_logs.add()
        scope_logs.scope.name = "test.logger"
        for fields in records:
            body, attributes = self.value(fields.get("body")), self.attributes(fields.get("attributes", {}))
            scope_logs.log_records.add(**{**fields, "body": body, "attributes": attributes})
        return request

    def spans(self, service: str, *spans: dict[str, Any], **resource: Any) -> ExportTraceServiceRequest:
        """Spans of Span fields, with `attributes` as Python values and `status` as its number."""
        request = ExportTraceServiceRequest()
        scope_spans = request.resource_spans.add(resource=self.resource(service, **resource)).scope_spans.add()
        scope_spans.scope.name = "test.tracer"
        for fields in spans:
            attributes = self.attributes(fields.get("attributes", {}))
            span = scope_spans.spans.add(**{**fields, "attributes": attributes, "status": None})
            span.status.code = fields.get("status", 0)
        return request

    def metrics(self, service: str, *metrics: Message, **resource: Any) -> ExportMetricsServiceRequest:
        request = ExportMetricsServiceRequest()
        scope_metrics = request.resource_metrics.add(resource=self.resource(service, **resource)).scope_metrics.add()
        scope_metrics.scope.name = "test.meter"
        scope_metrics.metrics.extend(metrics)
        return request


@pytest.fixture(scope="session")
def otlp() -> Otlp:
    return Otlp()


class Api:
    """The API app over real stores, called without a network."""

    def __init__(self, services: ApiServices) -> None:
        self.services = services
        self.app = create_app(services)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    def headers(self, scope: Scope, *permissions: str) -> dict[str, str]:
        """Authorization of a user of the tenant; may read all telemetry unless told."""
        granted = frozenset(permissions or ("log:read", "trace:read", "metric:read"))
        grant = Grant(scope.organization_id, scope.workspace_id, scope.tenant_id, granted)
        token = self.services.tokens.issue(grant, user_id=new_id(), session_id=new_id())
        return {"authorization": f"Bearer {token}"}


@pytest_asyncio.fixture
async def api(metadata_store: MetadataStore, telemetry_store: TelemetryStore) -> AsyncGenerator[Api]:
    keys = SecretKeys((b"s" * 32,))
    hasher = SlowHasher()
    tokens = AccessTokens(keys)
    services = ApiServices(
        metadata=metadata_store,
        telemetry=telemetry_store,
        sessions=Sessions(metadata_store, hasher, tokens, keys),
        tokens=tokens,
        api_keys=ApiKeyVerifier(metadata_store, hasher, keys),
        settings=Settings(),
    )
    made = Api(services)
    async with made.client:
        yield made
    hasher.close()
