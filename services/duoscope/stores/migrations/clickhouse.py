"""Migrates ClickHouse, which has no transactions: every statement is recorded separately after it has run.

After a kill between a statement and its record, the next run executes that statement again, so each must be idempotent
(IF NOT EXISTS, IF EXISTS, OR REPLACE). Records are only ever added; the newest of a statement counts. The caller keeps
other migrators away: by PostgreSQL's advisory lock, or by the lock on the data directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.migrations.clickhouse_sql import render, split
from duoscope.stores.migrations.files import (
    Migration,
    MigrationStatus,
    State,
    checksum,
    refuse_edited,
    refuse_unknown,
)

# `statement` 0 stands for the whole file. `sequence` orders the records, since clocks may not.
_RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    sequence UInt64,
    version UInt32,
    slug String,
    statement UInt32,
    checksum String,
    event LowCardinality(String),
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = MergeTree ORDER BY sequence SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_INSERT_SETTINGS = "SETTINGS async_insert = 0, insert_deduplicate = 0"


class ClickHouseAccount(Protocol):
    """The client that the migrator uses; both interfaces of clickhouse-connect provide it."""

    def execute(self, sql: str) -> None:
        """Run a statement that returns no rows."""
        ...

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows."""
        ...


@dataclass(slots=True)
class _Progress:
    """The records of one version: checksums of its statements that ran, and of the file once all did."""

    statements: dict[int, str] = field(default_factory=dict[int, str])
    whole: str = ""
    undoing: bool = False


class ClickHouseMigrator:
    """Applies and undoes ClickHouse's migrations. Use it in a thread: the embedded engine blocks its caller."""

    def __init__(self, account: ClickHouseAccount, migrations: Sequence[Migration], *, cluster: str = "") -> None:
        self._account = account
        self._migrations = migrations
        self._cluster = cluster
        self._sequence = 0

    def applied(self) -> dict[int, str]:
        """Checksums of the completed migrations, by version."""
        return {version: done.whole for version, done in self._progress().items() if done.whole}

    def status(self) -> list[MigrationStatus]:
        """The state of every known migration."""
        progress = self._progress()
        return [
            MigrationStatus("clickhouse", m.version, m.slug, _state(progress.get(m.version, _Progress())))
            for m in self._migrations
        ]

    def up(self) -> list[Migration]:
        """Apply pending migrations in order, resuming one that was interrupted. Returns them."""
        # Unlike data, the records are the same on every shard, so that services on any node can check the schema.
        records = render(_RECORDS.strip(), self._cluster).replace(
            "/{shard}', '{replica}'", "/all', '{shard}-{replica}'"
        )
        self._account.execute(records)
        progress = self._progress()
        applied = {version: done.whole for version, done in progress.items() if done.whole}
        refuse_unknown("clickhouse", self._migrations, applied)
        refuse_edited(self._migrations, applied)
        pending = [migration for migration in self._migrations if migration.version not in applied]
        for migration in pending:
            done = progress.get(migration.version, _Progress())
            for number, statement in enumerate(split(migration.up_sql), start=1):
                # A statement whose text was corrected after it failed, or even after it ran, runs again.
                if done.statements.get(number) == checksum(statement):
                    continue
                self._execute(migration, number, statement)
                self._record(migration, number, checksum(statement), "applied")
            self._record(migration, 0, migration.checksum, "applied")
        return pending

    def down(self, to: int) -> list[Migration]:
        """Undo everything above version `to`, newest first. Returns the undone migrations."""
        progress = self._progress()
        refuse_unknown("clickhouse", self._migrations, {v: d.whole for v, d in progress.items() if d.whole})
        undone = [m for m in reversed(self._migrations) if m.version > to and m.version in progress]
        for migration in undone:
            # Recorded first: after a kill in the middle, the rest is not taken for a complete schema.
            self._record(migration, 0, migration.checksum, "being undone")
            for number, statement in enumerate(split(migration.down_sql), start=1):
                self._execute(migration, number, statement)
            self._record(migration, 0, migration.checksum, "undone")
        return undone

    def _execute(self, migration: Migration, number: int, statement: str) -> None:
        try:
            self._account.execute(render(statement, self._cluster))
        except Exception as error:
            raise DuoscopeError(
                ErrorKind.INTERNAL,
                "migration-failed",
                f"Statement {number} of {migration.name} (or of its down file) failed: {str(error)[:2000]}\n"
                "The statements before it are kept; the next run goes on from here.",
            ) from error

    def _record(self, migration: Migration, statement: int, digest: str, event: str) -> None:
        self._sequence += 1
        # Every value is a number, a digest, or a slug whose alphabet `files.load` has checked.
        self._account.execute(
            "INSERT INTO schema_migrations (sequence, version, slug, statement, checksum, event) "
            f"{_INSERT_SETTINGS} VALUES "
            f"({self._sequence}, {migration.version}, '{migration.slug}', {statement}, '{digest}', '{event}')"
        )

    def _progress(self) -> dict[int, _Progress]:
        if not self._account.query("EXISTS TABLE schema_migrations")[0][0]:
            return {}
        progress: dict[int, _Progress] = {}
        rows = self._account.query(
            "SELECT sequence, version, statement, checksum, event FROM schema_migrations ORDER BY sequence"
        )
        for sequence, version, statement, digest, event in rows:
            self._sequence = max(self._sequence, int(sequence))
            if event == "undone":
                progress.pop(version, None)
            elif event == "being undone":
                progress[version] = _Progress(undoing=True)
            elif statement:
                progress.setdefault(version, _Progress()).statements[statement] = digest
            else:
                progress[version] = _Progress(whole=digest)
        return progress


def _state(done: _Progress) -> State:
    if done.whole:
        return "applied"
    if done.undoing:
        return "being undone"
    return "partly applied" if done.statements else "pending"
