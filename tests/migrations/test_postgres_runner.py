"""The PostgreSQL migrator: whole migrations or nothing, one runner at a time, edits refused."""

import asyncio

import asyncpg
import pytest

from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.migrations import Migrator, required_version, verify_schema
from duoscope.stores.migrations.files import load
from duoscope.stores.postgres import MetadataStore

_FIRST = ("CREATE TABLE a (x int); INSERT INTO a VALUES (1);", "DROP TABLE a;")
_SECOND = ("CREATE TABLE b (x int);", "DROP TABLE b;")


def _migrator(address, folder):
    (folder / "clickhouse").mkdir(exist_ok=True)
    return Migrator(postgres_admin_dsn=address.admin_dsn, folder=folder)


async def test_a_failing_migration_leaves_nothing_and_the_next_run_goes_on(blank_database, write_migrations):
    folder = write_migrations(
        "postgres", m0001_first=_FIRST, m0002_second=("CREATE TABLE b (x int); SELECT 1 / 0;", "")
    )
    migrator = _migrator(blank_database, folder)
    assert [entry.state for entry in await migrator.plan()] == ["pending", "pending"]
    with pytest.raises(DuoscopeError, match=r"0002_second\.up\.sql could not be applied: division by zero"):
        await migrator.up()
    assert [entry.state for entry in await migrator.status()] == ["applied", "pending"]
    write_migrations("postgres", m0002_second=_SECOND)
    assert [m.name for m in await _migrator(blank_database, folder).up()] == ["0002_second.up.sql"]
    assert [m.version for m in await _migrator(blank_database, folder).down("postgres", 0)] == [2, 1]


async def test_two_starters_do_not_race(blank_database, write_migrations):
    folder = write_migrations("postgres", m0001_first=_FIRST, m0002_second=_SECOND)
    done = await asyncio.gather(*(_migrator(blank_database, folder).up() for _ in range(4)))
    assert sorted(len(applied) for applied in done) == [0, 0, 0, 2]


async def test_edited_older_and_newer_schemas_are_refused(blank_database, write_migrations):
    folder = write_migrations("postgres", m0001_first=_FIRST, m0002_second=_SECOND)
    await _migrator(blank_database, folder).up()
    store = await MetadataStore.connect(blank_database.service_dsn)
    applied = await store.applied_migrations()
    await store.close()
    verify_schema("postgres", applied, folder)
    with pytest.raises(DuoscopeError, match="run `duoscope migrate up`"):
        verify_schema("postgres", {1: applied[1]}, folder)
    with pytest.raises(DuoscopeError, match="schema version 3, this duoscope knows only 2"):
        verify_schema("postgres", applied | {3: "x"}, folder)
    write_migrations("postgres", m0001_first=(_FIRST[0] + " ", _FIRST[1]))
    with pytest.raises(DuoscopeError, match=r"another 0001_first\.up\.sql"):
        verify_schema("postgres", applied, folder)
    with pytest.raises(DuoscopeError, match=r"another 0001_first\.up\.sql"):
        await _migrator(blank_database, folder).up()


async def test_services_refuse_a_role_that_row_level_security_does_not_bind(blank_database, write_migrations):
    await _migrator(blank_database, write_migrations("postgres", m0001_first=_FIRST)).up()
    with pytest.raises(DuoscopeError, match="is a superuser"):
        await MetadataStore.connect(blank_database.admin_dsn)
    connection = await asyncpg.connect(blank_database.admin_dsn)
    await connection.execute("ALTER TABLE a OWNER TO duoscope_service")
    with pytest.raises(DuoscopeError, match="owns tables"):
        await MetadataStore.connect(blank_database.service_dsn)
    await connection.close()


@pytest.mark.parametrize("name", ["2_short.up.sql", "0002_Bad.up.sql", "0003_gap.up.sql", "0002_no_down.up.sql"])
def test_badly_named_files_are_refused(write_migrations, name):
    folder = write_migrations("postgres", m0001_first=_FIRST) / "postgres"
    (folder / name).write_text("SELECT 1")
    with pytest.raises(DuoscopeError, match="migrations are broken"):
        load(folder, "postgres")


def test_shipped_migrations_load():
    assert required_version("postgres") >= 4
