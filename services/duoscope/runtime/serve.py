"""Assembles the parts into a running process, and takes them down in the reverse order.

`serve` runs any of receiver, API and worker over either kind of store: with embedded stores all in one process, with
servers each on its own. A stop answers everything that was accepted before the stores close.
"""

import asyncio
import dataclasses
import logging
import resource
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import prometheus_client
import uvloop

from duoscope.api.app import create_app
from duoscope.api.dependencies import Check, assemble
from duoscope.api.listener import bounds_of as api_bounds
from duoscope.api.listener import http_server as api_server
from duoscope.background.driver import FINISHED, Driver, Job, Next
from duoscope.delivery.mail import Mailer
from duoscope.identity.api_keys.offline import OfflineKeys
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.authentication.recovery import Recovery
from duoscope.identity.operators.bootstrap import FirstStart, bootstrap
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.files import keep_private
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.settings import Settings
from duoscope.net import ports
from duoscope.net.proxies import trusted_proxies
from duoscope.net.tls import TlsFiles
from duoscope.receiver.admission.receivers import Receivers
from duoscope.receiver.durability.journal import Journal
from duoscope.receiver.durability.leases import Claims
from duoscope.receiver.ingest import Ingest
from duoscope.receiver.transport.grpc_server import GrpcServer
from duoscope.receiver.transport.http_server import HttpApplication
from duoscope.receiver.transport.http_server import http_server as otlp_http_server
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.clickhouse import SchemaAccount, TelemetryStore
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres, forget_missing_parts
from duoscope.stores.migrations import Migrator, verify_schema
from duoscope.stores.postgres import MetadataStore
from duoscope.worker.audit_shipping import start_audit_shipping
from duoscope.worker.housekeeping import start_housekeeping
from duoscope.worker.mail import start_mail

_log = logging.getLogger(__name__)

T = TypeVar("T")

PARTS: Final = frozenset({"receiver", "api", "worker"})
_RECEIVER: Final = frozenset({"receiver"})
_WORKER: Final = frozenset({"worker"})
KEEP_POSTGRES: Final = Job("keep-postgres-running", period_s=limits.EMBEDDED_POSTGRES_CHECK_S, jitter=0.0)
VERIFY_SCHEMA: Final = Job("verify-postgres-schema", period_s=limits.EMBEDDED_POSTGRES_CHECK_S)


@dataclass(frozen=True, slots=True)
class Started:
    """What is reachable where, once everything is.

    Attributes:
        settings: with the ports that were really bound.
        first_start: what bootstrap made or found; None where it does not run.
        api_url, otlp_grpc_endpoint, otlp_http_endpoint: for people and collectors on this machine.
    """

    settings: Settings
    first_start: FirstStart | None
    api_url: str
    otlp_grpc_endpoint: str
    otlp_http_endpoint: str


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the event loop that services use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def serve(
    settings: Settings, parts: frozenset[str], *, on_started: Callable[[Started], None], stop: asyncio.Event
) -> None:
    """Run `parts` until `stop` is set, then stop cleanly.

    Raises:
        DuoscopeError: a part cannot start; what had started is stopped again.
    """
    tls = TlsFiles.of(settings) if "receiver" in parts else None
    is_trial = settings.embedded_postgres and settings.embedded_clickhouse
    driver = Driver()
    async with AsyncExitStack() as stack:
        _lock(settings, stack)
        ports.require_free(settings, parts)
        sockets = {
            name: stack.enter_context(_listen(settings.host, getattr(settings, name), name))
            for name in _http_ports(parts)
        }
        settings = dataclasses.replace(settings, **{name: s.getsockname()[1] for name, s in sockets.items()})
        settings = await _open_stores(settings, parts, driver, stack)
        metadata = await _open_metadata(settings, parts, stop, driver, stack)
        telemetry = TelemetryStore(settings)
        stack.push_async_callback(telemetry.close)
        await _verify_telemetry(telemetry, parts)
        if settings.metrics_port and "api" not in parts:
            _show_metrics(settings, stack)
        readiness: dict[str, Check] = {"background": driver.ready}

        keys = SecretKeys.load(settings)
        hasher = SlowHasher()
        stack.callback(hasher.close)

        # Not the logins' hasher: a flood of wrong passwords must not delay a collector's first request.
        key_hasher = SlowHasher()
        stack.callback(key_hasher.close)
        verifier = ApiKeyVerifier(
            metadata,
            key_hasher,
            keys,
            offline=OfflineKeys(settings.data_dir, keys) if "receiver" in parts else None,
            outage_s=settings.api_key_outage_s,
        )
        if parts != _WORKER:
            upkeep = ApiKeyUpkeep(metadata, verifier)
            upkeep.start(driver)
            stack.push_async_callback(upkeep.stop)
        if "receiver" in parts:
            ingest, receivers = await _open_ingest(settings, telemetry, metadata, verifier, stack, driver=driver)
            readiness["ingest"] = ingest.ready
            settings = await _start_receiver(settings, ingest, receivers, tls, sockets["otlp_http_port"], stack)
        started = _addresses(settings)
        if "api" in parts:
            first_start = await bootstrap(
                metadata,
                hasher,
                data_dir=settings.data_dir,
                api_url=started.api_url,
                otlp_grpc_endpoint=started.otlp_grpc_endpoint,
                otlp_http_endpoint=started.otlp_http_endpoint,
                is_trial=is_trial,
            )
            started = dataclasses.replace(started, first_start=first_start)
            services = await assemble(
                metadata,
                telemetry,
                settings=settings,
                keys=keys,
                hasher=hasher,
                public_url=started.api_url,
                stopping=stop,
                api_keys=verifier,
            )
            stack.push_async_callback(services.signing_keys.watch(driver).stop)
            stack.push_async_callback(services.close)
            application = create_app(dataclasses.replace(services, readiness=readiness))
            await _start_api(application, settings, sockets["api_port"], stack)
        if "worker" in parts:
            for job in start_housekeeping(driver, metadata):
                stack.push_async_callback(job.stop)
            mailer = Mailer(settings, keys)
            recovery = Recovery(metadata, hasher, mailer, keys, public_url=started.api_url)
            writers = {"password-forgotten": recovery.write_reset}
            stack.push_async_callback(start_mail(driver, metadata, mailer, writers).stop)
            stack.push_async_callback(start_audit_shipping(driver, metadata, telemetry.records()).stop)
        on_started(started)
        await stop.wait()
        _log.info("stopping")


async def _verify_telemetry(telemetry: TelemetryStore, parts: frozenset[str]) -> None:
    """A receiver starts while ClickHouse is away, and takes telemetry to its disk."""
    try:
        verify_schema("clickhouse", await telemetry.applied_migrations())
    except DuoscopeError as error:
        if parts != _RECEIVER or error.kind is not ErrorKind.UNAVAILABLE:
            raise
        _log.warning("ClickHouse is away; telemetry goes to disk until it is back")


@asynccontextmanager
async def migrator(settings: Settings) -> AsyncGenerator[Migrator]:
    """The migrator of both stores, embedded or servers.

    Raises:
        DuoscopeError: CONFLICT while a running duoscope owns the embedded stores.
    """
    async with AsyncExitStack() as stack:
        _lock(settings, stack)
        settings, admin_dsn = await _own_stores(settings, Driver(), stack)
        yield await stack.enter_async_context(_migrator(settings, admin_dsn))


async def _open_stores(settings: Settings, parts: frozenset[str], driver: Driver, stack: AsyncExitStack) -> Settings:
    """Start what is embedded and bring its schema up to date; servers are migrated by `duoscope migrate up`."""
    embedded = [
        name
        for name, is_embedded in (
            ("PostgreSQL", settings.embedded_postgres),
            ("ClickHouse", settings.embedded_clickhouse),
        )
        if is_embedded
    ]
    if not embedded:
        return settings
    if parts != PARTS:
        raise DuoscopeError(
            ErrorKind.INVALID,
            "embedded-store-needs-one-process",
            f"{' and '.join(embedded)} would be embedded, and an embedded store belongs to one process. "
            "Use `duoscope up`, or set DUOSCOPE_POSTGRES_DSN and DUOSCOPE_CLICKHOUSE_DSN to servers that the services "
            "share.",
        )
    settings, admin_dsn = await _own_stores(settings, driver, stack)
    async with _migrator(settings, admin_dsn) as migrations:
        await migrations.up()
    return settings


async def _open_metadata(
    settings: Settings, parts: frozenset[str], stop: asyncio.Event, driver: Driver, stack: AsyncExitStack
) -> MetadataStore:
    """The metadata store. A receiver on its own starts without: the API keys it knew last go on working."""
    may_be_away = parts == _RECEIVER
    store = await MetadataStore.connect(
        settings.postgres_dsn, component="-".join(sorted(parts)), may_be_away=may_be_away
    )
    stack.push_async_callback(store.close)
    try:
        verify_schema("postgres", await store.applied_migrations())
    except DuoscopeError as error:
        if not may_be_away or error.kind is not ErrorKind.UNAVAILABLE:
            raise
        _log.warning("PostgreSQL is away; API keys that this receiver knew last go on working")
        later = driver.start(VERIFY_SCHEMA, lambda: verify_later(store, stop))
        stack.push_async_callback(later.stop)
    return store


async def verify_later(store: MetadataStore, stop: asyncio.Event) -> Next:
    """Once PostgreSQL is back: end the process if its schema is another than this installation's."""
    try:
        verify_schema("postgres", await store.applied_migrations())
    except DuoscopeError as error:
        if error.kind is ErrorKind.UNAVAILABLE:
            raise
        _log.critical("stopping: %s", error.message)
        stop.set()
    return FINISHED


@asynccontextmanager
async def _migrator(settings: Settings, admin_dsn: str) -> AsyncGenerator[Migrator]:
    account = await asyncio.to_thread(SchemaAccount.open, settings)
    try:
        yield Migrator(
            postgres_admin_dsn=admin_dsn,
            postgres_service_dsn=settings.postgres_dsn,
            clickhouse=account,
            cluster=settings.clickhouse_cluster,
        )
    finally:
        await asyncio.to_thread(account.close)


def _lock(settings: Settings, stack: AsyncExitStack) -> None:
    """Own the data directory before anything else, so that a second start is told of the first and nothing less.

    Only the ports of a first start are looked at before (cli/serve.py): it leaves no folder if it cannot be.
    """
    keep_private()
    if settings.embedded_postgres or settings.embedded_clickhouse:
        stack.callback(DataDirectoryLock.acquire(settings.data_dir).release)


async def _own_stores(settings: Settings, driver: Driver, stack: AsyncExitStack) -> tuple[Settings, str]:
    """Start the embedded PostgreSQL, where asked for.

    Answers the settings to connect with and the DSN of the schema's owner.
    """
    if settings.embedded_postgres or settings.embedded_clickhouse:
        _use_own_temporary_directory(settings)
    if settings.embedded_clickhouse:
        forgotten = await asyncio.to_thread(forget_missing_parts, settings.data_dir / "clickhouse")
        if forgotten:
            _log.warning("ClickHouse was killed amid %d INSERTs; what they did not store can be inserted", forgotten)
    if not settings.embedded_postgres:
        return settings, settings.postgres_admin_dsn or settings.postgres_dsn
    server = await EmbeddedPostgres.start(settings.data_dir)
    kept = KeptPostgres(server, settings.data_dir)
    stack.push_async_callback(kept.stop)
    stack.push_async_callback(driver.start(KEEP_POSTGRES, kept.keep).stop)
    return dataclasses.replace(settings, postgres_dsn=server.address.service_dsn), server.address.admin_dsn


class KeptPostgres:
    """The embedded PostgreSQL, started again whenever it dies."""

    def __init__(self, server: EmbeddedPostgres, data_dir: Path) -> None:
        self._server = server
        self._data_dir = data_dir

    async def stop(self) -> None:
        """Stop it."""
        await self._server.stop()

    async def keep(self) -> None:
        """Start it again if it died. Raises UNAVAILABLE while it does not start."""
        if not self._server.running:
            _log.error("the embedded PostgreSQL died; starting it again")
            self._server = await EmbeddedPostgres.start(self._data_dir)


def _use_own_temporary_directory(settings: Settings) -> None:
    """Batches pass through temporary files on their way into the embedded engine; what a kill left is removed here."""
    folder = settings.data_dir / "tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    tempfile.tempdir = str(folder)


async def _open_ingest(
    settings: Settings,
    telemetry: TelemetryStore,
    metadata: MetadataStore,
    verifier: ApiKeyVerifier,
    stack: AsyncExitStack,
    *,
    driver: Driver,
) -> tuple[Ingest, Receivers]:
    """What takes requests, and what counts those that do. An embedded ClickHouse has one receiver: nobody counts."""
    journal = await asyncio.to_thread(Journal.open, settings.data_dir / "ingest")
    receivers = Receivers(metadata, journal.receiver_id)
    shared = not settings.embedded_clickhouse
    ingest = Ingest(
        telemetry,
        verifier,
        journal,
        IngestLimits.parse(settings.ingest_limits),
        Claims(metadata, journal.receiver_id) if shared else None,
        receivers=lambda: receivers.count,
        driver=driver,
    )
    await ingest.start()
    stack.push_async_callback(ingest.close)
    if shared:
        await receivers.start(driver)
        stack.push_async_callback(receivers.close)
    return ingest, receivers


async def _start_receiver(  # noqa: PLR0917 - what it is made of
    settings: Settings,
    ingest: Ingest,
    receivers: Receivers,
    tls: TlsFiles | None,
    http: socket.socket,
    stack: AsyncExitStack,
) -> Settings:
    connections_max = min(limits.INGEST_CONNECTIONS_MAX, _allow_open_files())
    trusted = trusted_proxies(settings.trusted_proxies)
    grpc_server = GrpcServer(ingest, tls, trusted, connections_max=connections_max)
    http_server = otlp_http_server(HttpApplication(ingest, trusted), tls, trusted, connections_max=connections_max)
    try:
        await grpc_server.start(settings.host, settings.otlp_grpc_port)
    except RuntimeError as error:
        raise ports.taken(settings.host, {"otlp_grpc_port": settings.otlp_grpc_port}) from error
    await http_server.start(http)

    async def drain() -> None:
        """All at once, so that none takes new requests while another finishes its last; the share goes to others."""
        grace_s = limits.INGEST_DRAIN_MAX_S
        await asyncio.gather(http_server.stop(grace_s), grpc_server.stop(grace_s), receivers.close())

    stack.push_async_callback(drain)
    return dataclasses.replace(settings, otlp_grpc_port=grpc_server.port)


def _allow_open_files() -> int:
    """As many as the system lets us have: every connection is one, and the usual 1,024 is fewer than we take.

    Answers how many connections each of three ports may then have, with what comes beyond a limit to be told so, while
    enough are kept back for the stores.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES_WANTED
    if soft == resource.RLIM_INFINITY:
        soft = wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return (soft - min(limits.OPEN_FILES_KEPT, soft // 2)) // 4


async def _start_api(application: Any, settings: Settings, listening: socket.socket, stack: AsyncExitStack) -> None:
    trusted = trusted_proxies(settings.trusted_proxies)
    bounds = api_bounds(min(limits.API_CONNECTIONS_MAX, _allow_open_files()), trusted=trusted)
    server = api_server(application, trusted, bounds=bounds)
    await server.start(listening)
    stack.push_async_callback(server.stop, limits.INGEST_DRAIN_MAX_S)


def _show_metrics(settings: Settings, stack: AsyncExitStack) -> None:
    try:
        server, thread = prometheus_client.start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        raise ports.taken(settings.host, {"metrics_port": settings.metrics_port}) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    stack.callback(stop)


def _http_ports(parts: frozenset[str]) -> list[str]:
    return [name for part, name in (("receiver", "otlp_http_port"), ("api", "api_port")) if part in parts]


def _listen(host: str, port: int, name: str) -> socket.socket:
    try:
        return ports.bound(host, port)
    except OSError as error:
        raise ports.taken(host, {name: port}) from error


def _addresses(settings: Settings) -> Started:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    scheme = "https" if settings.otlp_tls_cert else "http"
    return Started(
        settings=settings,
        first_start=None,
        api_url=settings.public_url or f"http://{host}:{settings.api_port}",
        otlp_grpc_endpoint=f"{scheme}://{host}:{settings.otlp_grpc_port}",
        otlp_http_endpoint=f"{scheme}://{host}:{settings.otlp_http_port}",
    )
