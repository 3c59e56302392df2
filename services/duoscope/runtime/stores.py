"""The two stores of a process: embedded ones are started and migrated; for servers, the connection and schema are
checked.
"""

import asyncio
import dataclasses
import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from duoscope.background.driver import FINISHED, Driver, Job, Next
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.files import keep_private
from duoscope.kernel.settings import Settings
from duoscope.receiver.durability import request_log
from duoscope.stores.clickhouse import SchemaAccount, TelemetryStore, schema
from duoscope.stores.embedded import (
    DataDirectoryLock,
    EmbeddedPostgres,
    forget_missing_parts,
    set_aside_untold_parts,
)
from duoscope.stores.migrations import Migrator, verify_schema
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

PARTS: Final = frozenset({"receiver", "api", "worker"})
RECEIVER_ALONE: Final = frozenset({"receiver"})
KEEP_POSTGRES: Final = Job("keep-postgres-running", period_s=limits.EMBEDDED_POSTGRES_CHECK_S, jitter=0.0)
VERIFY_SCHEMA: Final = Job("verify-postgres-schema", period_s=limits.EMBEDDED_POSTGRES_CHECK_S)


async def open_telemetry(settings: Settings, parts: frozenset[str], stack: AsyncExitStack) -> TelemetryStore:
    """Open the telemetry store. A separate receiver starts even while ClickHouse is down, and writes telemetry to its
    disk.

    Raises:
        DuoscopeError: UNAVAILABLE if the store is down and must not be; CONFLICT for a schema of another version.
    """
    telemetry = TelemetryStore(settings)
    stack.push_async_callback(telemetry.close)
    try:
        verify_schema("clickhouse", await telemetry.applied_migrations())
    except DuoscopeError as error:
        if parts != RECEIVER_ALONE or error.kind is not ErrorKind.UNAVAILABLE:
            raise
        _log.warning("ClickHouse is away; telemetry goes to disk until it is back")
    return telemetry


@asynccontextmanager
async def migrator(settings: Settings) -> AsyncGenerator[Migrator]:
    """The migrator of both stores, embedded or servers.

    Raises:
        DuoscopeError: CONFLICT while a running duoscope owns the embedded stores.
    """
    async with AsyncExitStack() as stack:
        lock(settings, stack)
        settings, admin_dsn = await _own_stores(settings, Driver(), stack)
        yield await stack.enter_async_context(_migrator(settings, admin_dsn))


async def open_embedded(settings: Settings, parts: frozenset[str], driver: Driver, stack: AsyncExitStack) -> Settings:
    """Start the embedded stores and migrate them; servers are migrated by `duoscope migrate up`.

    Args:
        settings: say which stores are embedded.
        parts: those of the process; an embedded store needs all of them in it.
        driver: keeps the embedded PostgreSQL running.
        stack: stops it.

    Returns:
        The settings with the address of the embedded PostgreSQL.

    Raises:
        DuoscopeError: INVALID `embedded-store-needs-one-process`.
    """
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


async def open_metadata(
    settings: Settings, parts: frozenset[str], stop: asyncio.Event, driver: Driver, stack: AsyncExitStack
) -> MetadataStore:
    """Open the metadata store. A separate receiver starts even while PostgreSQL is down, with the API keys it last
    verified.

    Args:
        settings: with the address.
        parts: those of the process.
        stop: set when PostgreSQL comes back with a schema of another version.
        driver: runs that later check of the schema.
        stack: closes the store.

    Raises:
        DuoscopeError: UNAVAILABLE if the store is down and must not be; CONFLICT for a schema of another version.
    """
    may_be_away = parts == RECEIVER_ALONE
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
    """Once PostgreSQL is back, end the process if the schema is not this installation's version."""
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


def lock(settings: Settings, stack: AsyncExitStack) -> None:
    """Lock the data directory before anything else, so that a second start learns of the first and changes nothing.

    Only the ports of a first start are checked earlier (cli/serve.py): a start that cannot succeed leaves no folder.
    """
    keep_private()
    if settings.embedded_postgres or settings.embedded_clickhouse:
        stack.callback(DataDirectoryLock.acquire(settings.data_dir).release)


async def _own_stores(settings: Settings, driver: Driver, stack: AsyncExitStack) -> tuple[Settings, str]:
    """Start the embedded PostgreSQL, if it is used.

    Returns:
        The settings to connect with, and the DSN of the schema's owner.
    """
    if settings.embedded_postgres or settings.embedded_clickhouse:
        _use_own_temporary_directory(settings)
    if settings.embedded_clickhouse:
        await asyncio.to_thread(_mend_tokens, settings.data_dir)
    if not settings.embedded_postgres:
        return settings, settings.postgres_admin_dsn or settings.postgres_dsn
    server = await EmbeddedPostgres.start(settings.data_dir)
    kept = KeptPostgres(server, settings.data_dir)
    stack.push_async_callback(kept.stop)
    stack.push_async_callback(driver.start(KEEP_POSTGRES, kept.keep).stop)
    return dataclasses.replace(settings, postgres_dsn=server.address.service_dsn), server.address.admin_dsn


def _mend_tokens(data_dir: Path) -> None:
    """Make the embedded ClickHouse's tokens tell what it has, so that what waits is inserted once."""
    clickhouse, waiting_since_ns = data_dir / "clickhouse", request_log.waiting_since_ns(data_dir / "ingest")
    forgotten = forget_missing_parts(clickhouse)
    if forgotten:
        _log.warning("ClickHouse was killed amid %d INSERTs; what they did not store can be inserted", forgotten)
    if waiting_since_ns is not None and (
        untold := set_aside_untold_parts(clickhouse, waiting_since_ns, besides=schema.SHIPPED)
    ):
        _log.warning("%d parts, whose tokens a power cut took, are detached; what they have is inserted again", untold)


class KeptPostgres:
    """The embedded PostgreSQL, which is started again whenever it dies."""

    def __init__(self, server: EmbeddedPostgres, data_dir: Path) -> None:
        self._server = server
        self._data_dir = data_dir

    async def stop(self) -> None:
        """Stop the server."""
        await self._server.stop()

    async def keep(self) -> None:
        """Start the server again if it died. Raises UNAVAILABLE if it does not start."""
        if not self._server.running:
            _log.error("the embedded PostgreSQL died; starting it again")
            self._server = await EmbeddedPostgres.start(self._data_dir)


def _use_own_temporary_directory(settings: Settings) -> None:
    """Use the data folder for the temporary files of batches on their way into the embedded engine, and remove those
    that a kill left.
    """
    folder = settings.data_dir / "tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    tempfile.tempdir = str(folder)
