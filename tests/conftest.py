"""The real stores for every test that needs them.

PostgreSQL: one server a test run, one database cloned a test. ClickHouse: one engine a process (it has no more), in
which every test makes a tenant of its own with `new_scope` and fills it with `deliver`. `running` is a whole duoscope
as a process of its own, for what must be seen from outside.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

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
from duoscope.api.dependencies import assemble
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.files import shipped
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.kernel.settings import Settings
from duoscope.metadata import user_sessions
from duoscope.metadata.permissions import Grant
from duoscope.receiver.decoder import Decoder, Kind
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.clickhouse import SchemaAccount, TelemetryReader, TelemetryStore
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres, PostgresAddress
from duoscope.stores.migrations import ClickHouseMigrator, Migrator
from duoscope.stores.migrations.files import load
from duoscope.stores.postgres import MetadataStore

os.environ["DUOSCOPE_BREACHED_PASSWORDS_URL"] = "off"
"""No process that a test starts asks anybody on the internet."""
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
    kinds = {
        ExportLogsServiceRequest: Kind.LOGS,
        ExportTraceServiceRequest: Kind.TRACES,
        ExportMetricsServiceRequest: Kind.METRICS,
    }

    async def send(scope: Scope, *requests: Message) -> None:
        for request in requests:
            decoder = Decoder(kinds[type(request)])
            decoder.add(request.SerializeToString(), scope, 30, now_ns=now_unix_nano())
            for block in decoder.blocks():
                await telemetry_store.ingest().insert(block.table, block.native, form="Native", token=str(new_id()))

    return send


@pytest.fixture
def stored(
    telemetry_store: TelemetryStore, deliver: Callable[..., Awaitable[None]], new_scope: Callable[[], Scope]
) -> Callable[..., Awaitable[TelemetryReader]]:
    """Stores OTLP requests for a new tenant and answers a reader of it."""

    async def send(*requests: Message) -> TelemetryReader:
        scope = new_scope()
        await deliver(scope, *requests)
        return telemetry_store.bind(scope)

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

    async def headers(
        self, scope: Scope, *permissions: str, organization_wide: bool = False, platform_admin: bool = False
    ) -> dict[str, str]:
        """Authorization of a new user who holds just these permissions; may read all telemetry unless told.

        Makes the tenant and its ancestry where they are not there yet.
        """
        granted = frozenset(permissions or ("log:read", "trace:read", "metric:read"))
        user_id = await make_member(
            self.services.metadata,
            scope,
            granted,
            organization_wide=organization_wide,
            platform_admin=platform_admin,
        )
        grant = Grant(scope.organization_id, scope.workspace_id, scope.tenant_id, granted)
        session_id = await make_session(self.services.metadata, scope, user_id)
        token = self.services.tokens.issue(grant, user_id=user_id, session_id=session_id)
        return {"authorization": f"Bearer {token}"}


async def make_member(
    store: MetadataStore,
    scope: Scope,
    permissions: frozenset[str],
    *,
    organization_wide: bool = False,
    platform_admin: bool = False,
) -> UUID:
    """A user at home in the tenant with a role of these permissions there; answers the user's id."""
    o, w, t, user_id, role_id = scope.organization_id, scope.workspace_id, scope.tenant_id, new_id(), new_id()
    place = (None, None) if organization_wide else (w, t)
    async with store.open_platform(PlatformScope(reason="a test"), "test.member") as tx:
        await tx.execute(
            "INSERT INTO regions (region_id, name, code) VALUES ($1, 'Test', 'test') ON CONFLICT DO NOTHING", new_id()
        )
        await tx.execute(
            "INSERT INTO organizations (organization_id, region_id, name, code) "
            "SELECT $1, region_id, 'Test', $2 FROM regions WHERE code = 'test' ON CONFLICT DO NOTHING",
            *(o, str(o)),
        )
        await tx.execute(
            "INSERT INTO workspaces (organization_id, workspace_id, name, code) "
            "VALUES ($1, $2, 'Test', $3) ON CONFLICT DO NOTHING",
            *(o, w, str(w)),
        )
        await tx.execute(
            "INSERT INTO tenants (organization_id, workspace_id, tenant_id, name, code) "
            "VALUES ($1, $2, $3, 'Test', $4) ON CONFLICT DO NOTHING",
            *(o, w, t, str(t)),
        )
        await tx.execute(
            "INSERT INTO users (organization_id, workspace_id, tenant_id, user_id, email, password_hash, "
            "is_platform_admin) VALUES ($1, $2, $3, $4, $5, '', $6)",
            *(o, w, t, user_id, f"{user_id}@example.com", platform_admin),
        )
        await tx.execute(
            "INSERT INTO roles (organization_id, workspace_id, tenant_id, role_id, name) VALUES ($1, $2, $3, $4, $5)",
            *(o, *place, role_id, str(role_id)),
        )
        await tx.execute(
            "INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id) "
            "SELECT $1, $2, $3, permission_id FROM permissions WHERE name = ANY($4) AND NOT is_platform",
            *(o, place[1] or o, role_id, sorted(permissions)),
        )
        await tx.execute(
            "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, role_id, "
            "role_owner_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            *(o, *place, new_id(), user_id, role_id, place[1] or o),
        )
    return user_id


async def make_session(store: MetadataStore, scope: Scope, user_id: UUID) -> UUID:
    """A session of the user in the tenant, as if somebody had logged in; answers its id."""
    session_id = new_id()
    async with store.open_platform(PlatformScope(reason="a test"), "test.session") as tx:
        await user_sessions.create(
            tx,
            organization_id=scope.organization_id,
            session_id=session_id,
            user_id=user_id,
            workspace_id=scope.workspace_id,
            tenant_id=scope.tenant_id,
            token_hash=session_id.hex * 2,
            methods=("password",),
            device_id=None,
            ip_address=None,
            user_agent=None,
            lifetime_s=3600,
        )
    return session_id


@pytest_asyncio.fixture
async def api(metadata_store: MetadataStore, telemetry_store: TelemetryStore) -> AsyncGenerator[Api]:
    keys = SecretKeys((b"s" * 32,))
    # Mail is queued and not sent: no worker runs here.
    settings = Settings(
        smtp_url="smtp+plaintext://127.0.0.1:1", trusted_proxies="127.0.0.1", breached_passwords_url="off"
    )
    hasher = SlowHasher()
    services = await assemble(
        metadata_store,
        telemetry_store,
        settings=settings,
        keys=keys,
        hasher=hasher,
        public_url="http://test",
        stopping=asyncio.Event(),
    )
    made = Api(services)
    async with made.client:
        yield made
    hasher.close()


class Up:
    """A `duoscope up` as a process of its own, on ports that were free."""

    COMMAND = (sys.executable, "-c", "import sys; from duoscope.cli import run; sys.exit(run())")
    START_S = 60
    STOP_S = 10

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.api_port, self.grpc_port, self.http_port = free_ports(3)
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def otlp_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def known(self) -> dict[str, str]:
        """What the first start wrote."""
        return json.loads((self.data_dir / "credentials.json").read_text())

    @property
    def key(self) -> str:
        return self.known["api_key"]

    def start(self) -> float:
        """Start, and answer the seconds until it was ready."""
        ports = {"--api-port": self.api_port, "--otlp-grpc-port": self.grpc_port, "--otlp-http-port": self.http_port}
        options = [str(part) for option in ports.items() for part in option]
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.COMMAND, "up", *options, "--data-dir", str(self.data_dir)], stdout=log, stderr=log
            )
        while not self._ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - began < self.START_S, self.log.read_text()
            time.sleep(0.02)
        return time.monotonic() - began

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ask it to stop, and see that it does, cleanly and in time."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            assert self.process.wait(self.STOP_S) == 0, self.log.read_text()
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once (kill -9), if it still runs."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run another `duoscope` command on the same data folder, and answer what it printed."""
        done = subprocess.run(
            [*self.COMMAND, *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True,
            text=True,
            check=False,
            timeout=self.START_S,
            env=dict(os.environ),
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def admin(self, *arguments: str) -> Any:
        return json.loads(self.run("admin", *arguments, "--json"))

    @contextmanager
    def api(self, email: str | None = None, password: str | None = None) -> Generator[httpx.Client]:
        """The API as a user sees it; the admin of the first start unless told."""
        login = {
            "email": email or self.known["admin_email"],
            "password": password or self.known["admin_password"],
        }
        with httpx.Client(base_url=f"{self.api_url}/api/v1", timeout=30) as client:
            answer = client.post("/auth/login", json=login)
            assert answer.status_code == 200, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client


def free_ports(count: int) -> list[int]:
    """Ports that no one listens on; all are held until all are found, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="session")
def start_up(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AbstractContextManager[Up]]:
    """Starts a duoscope with a data folder of its own; at the end it is killed if it still runs."""

    @contextmanager
    def starting() -> Generator[Up]:
        up = Up(tmp_path_factory.mktemp("up") / "data")
        try:
            up.start()
            yield up
        finally:
            up.kill()

    return starting


@pytest.fixture(scope="session")
def running(start_up: Callable[[], AbstractContextManager[Up]]) -> Generator[Up]:
    """One duoscope for all tests that only talk to it, which must stop as asked at the end."""
    with start_up() as up:
        yield up
        up.stop()
