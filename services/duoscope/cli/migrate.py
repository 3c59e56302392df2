"""`duoscope migrate`: the schema of both stores: upgrade, downgrade, state."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import rich_click as click

from duoscope.cli import output
from duoscope.cli.options import json_option, require_data, settings_options
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.stores.migrations import Migration, MigrationStatus, Migrator

T = TypeVar("T")

_STORES: Final = {"postgres": "PostgreSQL", "clickhouse": "ClickHouse"}
_DROPPED = re.compile(r"\bDROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?([\w,\s]+?)(?:\s+CASCADE)?\s*(?:;|$)", re.IGNORECASE)


@click.group()
def migrate() -> None:
    """Bring the schema of both stores up to date, or show its state.

    `duoscope up` migrates embedded stores by itself; these commands open such stores too, so stop it first. Migrate
    servers with `duoscope migrate up`, once before the services start; it needs DUOSCOPE_POSTGRES_ADMIN_DSN, the
    schema's owner, and DUOSCOPE_CLICKHOUSE_ADMIN_DSN. One migration runs at a time; an interrupted one resumes where it
    stopped.
    """


@migrate.command("up")
@settings_options("data_dir")
@json_option
def migrate_up(settings: Settings, *, as_json: bool) -> None:
    """Apply every pending migration, PostgreSQL first."""
    done = _with_migrator(settings, lambda migrator: migrator.up())
    if as_json:
        output.emit_json([{"store": m.store, "version": m.version, "name": m.name} for m in done])
        return
    _report(done, "Applied", "Both stores are up to date.")


@migrate.command("status")
@settings_options("data_dir")
@json_option
def migrate_status(settings: Settings, *, as_json: bool) -> None:
    """List all migrations of both stores with their state."""
    require_data(settings)
    _show(_with_migrator(settings, lambda migrator: migrator.status()), as_json=as_json, empty="No migrations.")


@migrate.command("plan")
@settings_options("data_dir")
@json_option
def migrate_plan(settings: Settings, *, as_json: bool) -> None:
    """List the migrations that `migrate up` would apply."""
    require_data(settings)
    _show(_with_migrator(settings, lambda migrator: migrator.plan()), as_json=as_json, empty="Nothing to apply.")


@migrate.command("down")
@click.option("--store", type=click.Choice(list(_STORES)), required=True, help="Which of the two stores.")
@click.option("--to", type=click.IntRange(min=0), metavar="VERSION", required=True, help="Version to go back to.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@settings_options("data_dir")
def migrate_down(settings: Settings, store: str, to: int, *, yes: bool) -> None:
    """Undo a store's migrations above a version. THE DATA IN THEIR TABLES IS LOST."""
    require_data(settings)
    from duoscope.kernel.files import shipped
    from duoscope.stores.migrations.files import StoreName, load

    name: StoreName = "postgres" if store == "postgres" else "clickhouse"

    async def affected(migrator: "Migrator") -> set[int]:
        return {e.version for e in await migrator.status() if e.store == name and e.state != "pending"}

    applied = _with_migrator(settings, affected)
    undo = [m for m in load(shipped("migrations") / name, name) if m.version > to and m.version in applied]
    if not undo:
        click.echo(f"Nothing to undo: {_STORES[name]} has no migration above version {to}.")
        return
    click.secho(f"This undoes {len(undo)} migration(s) of {_STORES[name]}, newest first:", bold=True)
    for migration in reversed(undo):
        tables = dropped_tables(migration.down_sql)
        click.echo(f"  {migration.version:04d} {migration.slug}")
        if tables:
            click.secho(f"       all rows are lost in: {', '.join(tables)}", fg="red")
    if not yes:
        click.confirm("There is no way back but a backup. Go on?", abort=True)
    done = _with_migrator(settings, lambda migrator: migrator.down(name, to))
    _report(done, "Undone", "Nothing was undone.")


def dropped_tables(sql: str) -> list[str]:
    """The tables that a down file drops, without Null tables, which hold no rows."""
    names = [name.strip() for found in _DROPPED.findall(sql) for name in found.split(",")]
    return [name for name in names if name and not name.startswith("otlp_")]


def _with_migrator(settings: Settings, work: Callable[["Migrator"], Awaitable[T]]) -> T:
    from duoscope.runtime import serve, stores

    async def run() -> T:
        async with stores.migrator(settings) as migrator:
            return await work(migrator)

    return serve.run(run())


def _report(done: "list[Migration]", verb: str, nothing: str) -> None:
    for migration in done:
        click.echo(f"{verb} {_STORES[migration.store]} {migration.version:04d} {migration.slug}")
    if not done:
        click.echo(nothing)


def _show(entries: "list[MigrationStatus]", *, as_json: bool, empty: str) -> None:
    if as_json:
        output.emit_json(entries)
        return
    rows = [(_STORES[entry.store], f"{entry.version:04d}", entry.slug, entry.state) for entry in entries]
    output.table(("Store", "Version", "Name", "State"), rows, empty=empty)
