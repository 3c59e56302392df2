"""Migrates PostgreSQL: roles first, then every file in its own transaction together with its record.

A kill at any moment leaves only whole migrations; the next run continues from there. The advisory lock lasts as long as
the session, so it also guards other work done while the session is open: `Migrator` runs ClickHouse's migrations under
it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

import asyncpg

from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.stores.migrations.files import Migration, MigrationStatus, refuse_edited, refuse_unknown

CONNECT_TIMEOUT_S = 10.0
MIGRATION_LOCK_KEY = 0x64756F73636F7065
"""The advisory lock's key: the ASCII text "duoscope"."""
MIGRATION_LOCK_WAIT_S = 300
TABLE_LOCK_WAIT_S = 10
"""While a migration waits for a table, all later readers queue up behind it: better to fail and be retried."""
STATEMENT_TIMEOUT_S = 600

_ROLES = """
DO $$
DECLARE
    wanted record;
BEGIN
    -- Roles belong to the whole cluster: another database's migrator may be making them at this moment.
    FOR wanted IN
        SELECT * FROM (VALUES ('duoscope_service', 'LOGIN'), ('duoscope_platform', 'NOLOGIN'),
            ('duoscope_organization', 'NOLOGIN'), ('duoscope_purge', 'NOLOGIN')) AS v (name, login)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS',
                    wanted.name, wanted.login);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF wanted.login = 'NOLOGIN' AND NOT pg_has_role('duoscope_service', wanted.name, 'SET') THEN
            -- The services take such a role on purpose and for one transaction; they never merely have it.
            EXECUTE format('GRANT %I TO duoscope_service WITH INHERIT FALSE, SET TRUE', wanted.name);
        END IF;
    END LOOP;
END $$
"""
_RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    slug text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON schema_migrations TO duoscope_service
"""


class PostgresMigrator:
    """A session of the schema's owner that holds the migration lock; made by `open_migrator`."""

    def __init__(self, connection: asyncpg.Connection, migrations: Sequence[Migration]) -> None:
        self._connection = connection
        self._migrations = migrations

    async def prepare(self, service_dsn: str) -> None:
        """Create the roles and the table of records if they do not exist.

        A role created here gets the password in `service_dsn`; an existing one keeps its own.
        """
        name, password = _credentials(service_dsn)
        existed = await self._connection.fetchval("SELECT true FROM pg_roles WHERE rolname = 'duoscope_service'")
        async with self._connection.transaction():
            await self._connection.execute(_ROLES)
            if password and name == "duoscope_service" and not existed:
                statement = await self._connection.fetchval(
                    "SELECT format('ALTER ROLE duoscope_service PASSWORD %L', $1::text)", password
                )
                await self._connection.execute(statement)
        await self._connection.execute(_RECORDS)

    async def applied(self) -> dict[int, str]:
        """Checksums of the applied migrations by version."""
        if await self._connection.fetchval("SELECT to_regclass('schema_migrations') IS NULL"):
            return {}
        rows = await self._connection.fetch("SELECT version, checksum FROM schema_migrations")
        return {row["version"]: row["checksum"] for row in rows}

    async def status(self) -> list[MigrationStatus]:
        """The state of every known migration."""
        applied = await self.applied()
        return [
            MigrationStatus("postgres", m.version, m.slug, "applied" if m.version in applied else "pending")
            for m in self._migrations
        ]

    async def up(self) -> list[Migration]:
        """Apply pending migrations in order. Returns them."""
        applied = await self.applied()
        refuse_unknown("postgres", self._migrations, applied)
        refuse_edited(self._migrations, applied)
        pending = [migration for migration in self._migrations if migration.version not in applied]
        for migration in pending:
            await self._run(migration, migration.up_sql)
        return pending

    async def down(self, to: int) -> list[Migration]:
        """Undo everything above version `to`, newest first. Returns the undone migrations."""
        applied = await self.applied()
        refuse_unknown("postgres", self._migrations, applied)
        undone = [m for m in reversed(self._migrations) if m.version > to and m.version in applied]
        for migration in undone:
            await self._run(migration, migration.down_sql, undo=True)
        return undone

    async def _run(self, migration: Migration, sql: str, *, undo: bool = False) -> None:
        connection = self._connection
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{TABLE_LOCK_WAIT_S}s'")
                await connection.execute(sql)
                if undo:
                    await connection.execute("DELETE FROM schema_migrations WHERE version = $1", migration.version)
                else:
                    await connection.execute(
                        "INSERT INTO schema_migrations (version, slug, checksum) VALUES ($1, $2, $3)",
                        *(migration.version, migration.slug, migration.checksum),
                    )
        except asyncpg.PostgresError as error:
            raise DuoscopeError(
                ErrorKind.INTERNAL,
                "migration-failed",
                f"{migration.name} could not be {'undone' if undo else 'applied'}: {error}. Nothing of it was kept.",
            ) from error


@asynccontextmanager
async def open_migrator(admin_dsn: str, migrations: Sequence[Migration]) -> AsyncGenerator[PostgresMigrator]:
    """Connect as the owner and wait for the migration lock.

    Raises:
        DuoscopeError: UNAVAILABLE when the server is away, or another migrator does not finish in time.
    """
    try:
        connection = await asyncpg.connect(
            admin_dsn,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={
                "application_name": "duoscope-migrate",
                "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
                "lock_timeout": f"{MIGRATION_LOCK_WAIT_S}s",
                "client_min_messages": "warning",
            },
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise unavailable(
            f"Cannot reach PostgreSQL to migrate it: {error}. Check DUOSCOPE_POSTGRES_ADMIN_DSN.",
            code="metadata-store-unavailable",
            retry_after_s=2,
        ) from error
    try:
        try:
            await connection.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK_KEY})")
        except asyncpg.LockNotAvailableError as error:
            raise unavailable(
                "Another migration has been running for a long time.", code="migration-running", retry_after_s=60
            ) from error
        yield PostgresMigrator(connection, migrations)
    finally:
        await connection.close()


def _credentials(service_dsn: str) -> tuple[str, str]:
    parts = urlsplit(service_dsn)
    return unquote(parts.username or ""), unquote(parts.password or "")
