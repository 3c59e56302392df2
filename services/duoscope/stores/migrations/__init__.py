"""Migrates both stores to the schema this installation was written for, and tells services when they do not have it.

One migrator runs at a time: the lock is PostgreSQL's, held around everything, so ClickHouse's migrations need
PostgreSQL's owner connection too. See `postgres.py` and `clickhouse.py` for what a kill in the middle leaves.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from duoscope.kernel.errors import invalid
from duoscope.kernel.files import shipped
from duoscope.stores.migrations.clickhouse import ClickHouseAccount, ClickHouseMigrator
from duoscope.stores.migrations.files import Migration, MigrationStatus, StoreName, load, verify
from duoscope.stores.migrations.postgres import open_migrator

__all__ = [
    "ClickHouseAccount",
    "ClickHouseMigrator",
    "Migration",
    "MigrationStatus",
    "Migrator",
    "required_version",
    "verify_schema",
]


class Migrator:
    """Everything `duoscope migrate` does.

    Args:
        postgres_admin_dsn: the schema's owner.
        postgres_service_dsn: the services' DSN; its password is given to the role when the role is made.
        clickhouse: an account that may change the schema; None leaves ClickHouse alone.
        cluster: ClickHouse cluster name; empty for a single node.
        folder: where the folders `postgres` and `clickhouse` lie.
    """

    def __init__(
        self,
        *,
        postgres_admin_dsn: str,
        postgres_service_dsn: str = "",
        clickhouse: ClickHouseAccount | None = None,
        cluster: str = "",
        folder: Path | None = None,
    ) -> None:
        folder = folder or shipped("migrations")
        self._admin_dsn = postgres_admin_dsn
        self._service_dsn = postgres_service_dsn
        self._postgres_files = load(folder / "postgres", "postgres")
        self._clickhouse = (
            ClickHouseMigrator(clickhouse, load(folder / "clickhouse", "clickhouse"), cluster=cluster)
            if clickhouse is not None
            else None
        )

    async def status(self) -> list[MigrationStatus]:
        """The state of every known migration of both stores."""
        async with open_migrator(self._admin_dsn, self._postgres_files) as postgres:
            found = await postgres.status()
            if self._clickhouse is not None:
                found += await asyncio.to_thread(self._clickhouse.status)
            return found

    async def plan(self) -> list[MigrationStatus]:
        """The migrations that `up` would apply."""
        return [entry for entry in await self.status() if entry.state != "applied"]

    async def up(self) -> list[Migration]:
        """Apply all pending migrations, PostgreSQL first. Returns them."""
        async with open_migrator(self._admin_dsn, self._postgres_files) as postgres:
            await postgres.prepare(self._service_dsn)
            done = await postgres.up()
            if self._clickhouse is not None:
                done += await asyncio.to_thread(self._clickhouse.up)
            return done

    async def down(self, store: StoreName, to: int) -> list[Migration]:
        """Undo one store's migrations above version `to`, newest first, WITH THE DATA in what they made. Returns
        them.
        """
        if to < 0:
            raise invalid("The target version must be 0 or more.")
        async with open_migrator(self._admin_dsn, self._postgres_files) as postgres:
            if store == "postgres":
                return await postgres.down(to)
            if self._clickhouse is None:
                raise invalid("No ClickHouse to migrate: give its DSN.")
            return await asyncio.to_thread(self._clickhouse.down, to)


def required_version(store: StoreName, folder: Path | None = None) -> int:
    """The schema version this installation was written for."""
    return len(load((folder or shipped("migrations")) / store, store))


def verify_schema(store: StoreName, applied: Mapping[int, str], folder: Path | None = None) -> None:
    """Refuse a schema that is older, newer or different from this installation's.

    Args:
        store: which of the two.
        applied: from `MetadataStore.applied_migrations` or `ClickHouseMigrator.applied`.
        folder: as for `Migrator`.

    Raises:
        DuoscopeError: the message names the command to run.
    """
    verify(store, load((folder or shipped("migrations")) / store, store), applied)
