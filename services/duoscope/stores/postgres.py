"""The metadata store: PostgreSQL behind row level security, handed out one scoped transaction at a time.

The pool is private. `open` is one transaction that acts for one tenant; `open_platform` one that may cross tenants,
with the role `duoscope_platform`, for which a few tables have their own policies. Between them is the transaction of
one whole organization, with the role `duoscope_organization`. No code gets a connection without a scope. The store
refuses to work with a role that bypasses row level security.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, LiteralString, Self
from uuid import UUID

import asyncpg

from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.kernel.scope import OrganizationScope, PlatformScope, Scope
from duoscope.stores import notifications

UniqueViolationError = asyncpg.UniqueViolationError
"""Raised by a statement that would write a key twice; callers turn it into a conflict."""

Record = asyncpg.Record

_log = logging.getLogger(__name__)

PLATFORM_ROLE = "duoscope_platform"
ORGANIZATION_ROLE = "duoscope_organization"
PURGE_ROLE = "duoscope_purge"

POOL_CONNECTIONS_MAX = 10
ACQUIRE_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 15
COMMAND_TIMEOUT_S = 20.0
"""On the client's side, above the server's own: for a server that no longer answers at all."""
CLEANUP_TIMEOUT_S = 5.0
"""For each step of returning a connection to the pool; one that takes longer is closed."""
LOCK_TIMEOUT_S = 5
RETRY_AFTER_S = 2.0

_NAME = re.compile(r"[a-z][a-z0-9_.-]{1,50}")
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
_BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
_UNSAFE_ROLE = """
SELECT CASE
    WHEN r.rolsuper THEN 'is a superuser'
    WHEN r.rolbypassrls THEN 'has BYPASSRLS'
    WHEN EXISTS (
        SELECT FROM pg_roles other
        WHERE (other.rolsuper OR other.rolbypassrls) AND pg_has_role(r.oid, other.oid, 'MEMBER')
    ) THEN 'is a member of a role that row level security does not bind'
    WHEN EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public' AND pg_has_role(r.oid, c.relowner, 'MEMBER')
    ) THEN 'owns tables'
END
FROM pg_roles r WHERE r.rolname = current_user
"""


class Transaction:
    """A transaction whose scope is set. Statements are constants of the caller; values are bound as $1, $2, ..."""

    __slots__ = ("_connection",)

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: LiteralString, *values: object) -> list[asyncpg.Record]:
        """Run a query and return all rows."""
        return await self._connection.fetch(sql, *values)

    async def fetchrow(self, sql: LiteralString, *values: object) -> asyncpg.Record | None:
        """Run a query and return the first row, if any."""
        return await self._connection.fetchrow(sql, *values)

    async def fetchrow_of_organization(self, sql: LiteralString, organization_id: UUID) -> asyncpg.Record | None:
        """Run a query over the whole organization, the transaction's own ($1), and return the first row: numbers to
        compare with a limit.

        A tenant's transaction takes the organization's role for this statement; a platform transaction needs no change.
        """
        role = await self._connection.fetchval("SELECT current_user")
        if role == PLATFORM_ROLE:
            return await self.fetchrow(sql, organization_id)
        await self._connection.execute(f"SET LOCAL ROLE {ORGANIZATION_ROLE}")
        row = await self.fetchrow(sql, organization_id)
        if role != ORGANIZATION_ROLE:
            await self._connection.execute("SET LOCAL ROLE NONE")
        return row

    async def fetchval(self, sql: LiteralString, *values: object) -> Any:
        """Run a query and return the first column of the first row, or None."""
        return await self._connection.fetchval(sql, *values)

    async def execute(self, sql: LiteralString, *values: object) -> int:
        """Run a statement. Returns how many rows it changed."""
        _, _, touched = (await self._connection.execute(sql, *values)).rpartition(" ")
        return int(touched) if touched.isdigit() else 0


class MetadataStore:
    """Hands out transactions. Safe for concurrent use within one event loop."""

    def __init__(self, pool: asyncpg.Pool, probes: asyncpg.Pool, dsn: str) -> None:
        self._pool = pool
        self._probes = probes
        self._dsn = dsn
        self._is_role_safe = False

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        connections_max: int = POOL_CONNECTIONS_MAX,
        component: str = "api",
        may_be_away: bool = False,
    ) -> Self:
        """Connect with the services' role.

        Args:
            dsn: of the server.
            connections_max: the maximum number of connections.
            component: shows in PostgreSQL's views.
            may_be_away: return even while the server is down: every use then raises UNAVAILABLE, and the role is
                checked before the first use.

        Raises:
            DuoscopeError: UNAVAILABLE while the server does not answer; INVALID `metadata-store-role` for a role that
                bypasses row level security, `metadata-store-refused` for one that may not connect.
        """

        def made(connections_max: int) -> asyncpg.Pool:
            return asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=connections_max,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                init=_set_up,
                reset=_reset,
                server_settings={
                    "application_name": f"duoscope-{component}",
                    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
                    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
                    "idle_in_transaction_session_timeout": "60s",
                },
            )

        # A health check waits for no transaction: a pool that is busy is no server that is away.
        pool, probes = made(connections_max), made(1)
        store = cls(pool, probes, dsn)
        try:
            await pool
            await probes
            await _answered(store._connection(pool))
        except DuoscopeError as error:
            if not may_be_away or error.kind is not ErrorKind.UNAVAILABLE:
                await store.close()
                raise
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close the connections. Running transactions get a few seconds to end."""
        for pool in (self._probes, self._pool):
            try:
                await asyncio.wait_for(pool.close(), timeout=STATEMENT_TIMEOUT_S)
            except TimeoutError:
                pool.terminate()

    @asynccontextmanager
    async def open(self, scope: Scope | OrganizationScope, name: LiteralString) -> AsyncGenerator[Transaction]:
        """Open one transaction that acts for `scope` only. It commits unless the block raises.

        Args:
            scope: the tenant, or the organization as a whole.
            name: the name of the work in PostgreSQL's views and logs, such as `api_keys.list`.

        Raises:
            DuoscopeError: UNAVAILABLE `metadata-store-unavailable` or `metadata-store-busy`; INTERNAL
                `metadata-store-error` for any other error of the driver that leaves the block.
        """
        # One round trip: the values are UUIDs printed by us, the name is a constant.
        if isinstance(scope, OrganizationScope):
            begin = (
                f"{_begin(name)}; SET LOCAL ROLE {ORGANIZATION_ROLE}; "
                f"SELECT set_config('app.organization_id', '{scope.organization_id}', true)"
            )
        else:
            begin = (
                f"{_begin(name)}; SELECT set_config('app.organization_id', '{scope.organization_id}', true), "
                f"set_config('app.workspace_id', '{scope.workspace_id}', true), "
                f"set_config('app.tenant_id', '{scope.tenant_id}', true)"
            )
        async with self._transaction(begin) as transaction:
            yield transaction

    @asynccontextmanager
    async def open_platform(self, scope: PlatformScope, name: LiteralString) -> AsyncGenerator[Transaction]:
        """Open one transaction across tenants, for the few functions that have a `PlatformScope`. Otherwise like
        `open`.
        """
        assert scope.reason
        async with self._transaction(f"{_begin(name)}; SET LOCAL ROLE {PLATFORM_ROLE}") as transaction:
            yield transaction

    @asynccontextmanager
    async def open_purge(self, scope: PlatformScope, name: LiteralString) -> AsyncGenerator[Transaction]:
        """Open one transaction that sees, across tenants, only what was deleted so long ago that it may be removed."""
        assert scope.reason
        async with self._transaction(f"{_begin(name)}; SET LOCAL ROLE {PURGE_ROLE}") as transaction:
            yield transaction

    async def listen(
        self, channel: LiteralString, *, heard: Callable[[str], None], connected: Callable[[], Awaitable[None]]
    ) -> None:
        """Listen to notifications on a connection of its own until it is lost, which raises UNAVAILABLE. See
        `stores/notifications.py`.
        """
        await notifications.listen(self._dsn, channel, heard=heard, connected=connected)

    async def hold_lock(self, kind: int, number: int, *, held: Callable[[], None]) -> None:
        """Hold an advisory lock on a connection of its own until that is lost, which raises UNAVAILABLE. See
        `stores/notifications.py`.
        """
        await notifications.hold(self._dsn, kind, number, held=held)

    async def ping(self) -> None:
        """Return if the server answers, however busy this store is; raise UNAVAILABLE otherwise."""
        await _answered(self._connection(self._probes))

    async def applied_migrations(self) -> dict[int, str]:
        """Checksums of the migrations that this database has, by version; empty for a database without any."""
        async with self._connection(self._pool) as connection:
            try:
                rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
            except asyncpg.UndefinedTableError:
                return {}
        return {row["version"]: row["checksum"] for row in rows}

    async def _refuse_unsafe_role(self, connection: asyncpg.Connection) -> None:
        reason = await connection.fetchval(_UNSAFE_ROLE)
        if reason:
            raise DuoscopeError(
                ErrorKind.INVALID,
                "metadata-store-role",
                f"The role in DUOSCOPE_POSTGRES_DSN {reason}, so row level security would not apply to it. "
                "Connect as duoscope_service, which `duoscope migrate up` creates.",
            )
        self._is_role_safe = True

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncGenerator[Transaction]:
        async with self._connection(self._pool) as connection:
            try:
                await connection.execute(begin)
                yield Transaction(connection)
                await connection.execute("COMMIT")
            except BaseException:
                # Only a connection that is still in step can be rolled back; the pool throws the others away.
                if not _is_gone(connection) and connection.is_in_transaction():
                    await asyncio.shield(connection.execute("ROLLBACK", timeout=CLEANUP_TIMEOUT_S))
                raise

    @asynccontextmanager
    async def _connection(self, pool: asyncpg.Pool) -> AsyncGenerator[asyncpg.Connection]:
        connection: asyncpg.Connection | None = None
        try:
            connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
            if not self._is_role_safe:
                await self._refuse_unsafe_role(connection)
            yield connection
        except _AWAY as error:
            raise _away(error) from error
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise DuoscopeError(
                ErrorKind.INVALID,
                "metadata-store-refused",
                f"PostgreSQL refused the services' account: {error}. "
                "Check DUOSCOPE_POSTGRES_DSN, and run `duoscope migrate up` if the role does not exist yet.",
            ) from error
        except _BUSY as error:
            raise unavailable(
                "The metadata store is too busy; try again.",
                code="metadata-store-busy",
                retry_after_s=RETRY_AFTER_S,
                detail=str(error),
            ) from error
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # asyncpg's word for a connection that went away between two statements.
            if connection is None or _is_gone(connection):
                raise _away(error) from error
            raise _refused(error) from error
        except asyncpg.PostgresError as error:
            raise _refused(error) from error
        finally:
            if connection is not None:
                await _release(pool, connection)


async def _answered(opened: AbstractAsyncContextManager[asyncpg.Connection]) -> None:
    async with opened as connection:
        await connection.fetchval("SELECT 1")


async def _release(pool: asyncpg.Pool, connection: asyncpg.Connection) -> None:
    try:
        await asyncio.shield(pool.release(connection, timeout=CLEANUP_TIMEOUT_S))
    except (*_AWAY, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # The pool has thrown it away. What the work came to stands, be it committed or its own error.
        _log.warning("connection to PostgreSQL lost", extra={"detail": f"{type(error).__name__}: {error}"})


def _begin(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"transaction name {name!r}")
    return f"BEGIN; SET LOCAL application_name = 'duoscope {name}'"


def _is_gone(connection: asyncpg.Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has taken back what broke under us
        return True


def _away(error: Exception) -> DuoscopeError:
    return unavailable(
        "The metadata store is not available; try again shortly.",
        code="metadata-store-unavailable",
        retry_after_s=RETRY_AFTER_S,
        detail=f"{type(error).__name__}: {error}",
    )


def _refused(error: Exception) -> DuoscopeError:
    """The error for what no retry mends: a wrong statement, or one that a policy or a key forbids unexpectedly."""
    return DuoscopeError(
        ErrorKind.INTERNAL,
        "metadata-store-error",
        "The metadata store refused a statement of duoscope's own; tell your operator.",
        detail=f"{type(error).__name__}: {error}",
    )


async def _set_up(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _reset(connection: asyncpg.Connection) -> None:
    """Replaces asyncpg's RESET ALL and its round trip: everything we set is local to a transaction that has ended."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
