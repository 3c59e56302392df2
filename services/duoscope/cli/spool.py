"""`duoscope admin spool`: batches on a receiver's disk. Works while the receiver runs, which checks for changes."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from duoscope.cli import output
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.errors import invalid, not_found
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.receiver.durability.batch import Part
    from duoscope.receiver.durability.journal import Journal


@click.group()
def spool() -> None:
    """Manage batches on a receiver's disk: those that wait for ClickHouse, and those that were set aside.

    Telemetry that was acknowledged while ClickHouse was down is inserted automatically when it is back. A batch that is
    torn, modified, or refused by ClickHouse is set aside as poison: find out why, then replay or drop it. Use the data
    folder of the receiver that holds it.
    """


@spool.command("list")
@settings_options("data_dir")
@json_option
def list_batches(settings: Settings, *, as_json: bool) -> None:
    """List batches, oldest first."""
    from duoscope.receiver.durability.journal import POISON, SPOOLED, WRITTEN

    journal = _journal(settings)
    found = [journal.describe(path) for path in journal.files(WRITTEN, SPOOLED, POISON)]
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (
            each.name,
            each.state,
            _when(each.received_ns),
            "?" if each.requests is None else f"{each.requests:,}",
            "?" if each.rows is None else f"{each.rows:,}",
            f"{each.size_bytes:,}",
            " ".join(each.why.split())[:200],
        )
        for each in found
    ]
    columns = ("Batch", "State", "Received", "Requests", "Items", "Bytes", "Why")
    output.table(columns, rows, empty="Nothing waits, and nothing was set aside.")


@spool.command("show")
@click.argument("name", metavar="BATCH")
@settings_options("data_dir")
@json_option
def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Show a batch's content, its tenants, and the full reason why it was set aside."""
    from duoscope.receiver.durability.journal import POISON, SPOOLED, WRITTEN, CorruptBatchError

    journal = _journal(settings)
    path = journal.find(name, WRITTEN, SPOOLED, POISON)
    if path is None:
        raise not_found(f"batch: {name}")
    found = journal.describe(path)
    try:
        batch = journal.read(path)
    except CorruptBatchError:
        tenants, tables = list[dict[str, Any]](), list[dict[str, Any]]()
    else:
        tables = [{"table": insert.table, "bytes": len(insert.block)} for insert in batch.inserts]
        tenants = _by_tenant(batch.parts)
    if as_json:
        output.emit_json({**asdict(found), "tenants": tenants, "tables": tables})
        return
    click.echo(f"{found.name}: {found.state}, received {_when(found.received_ns)} UTC, {found.size_bytes:,} bytes")
    if found.why:
        click.echo(found.why)
    rows = [(each["tenant_id"], f"{each['requests']:,}", f"{each['stored']:,}") for each in tenants]
    output.table(("Tenant", "Requests", "Items"), rows, empty="What is in it cannot be read.")
    output.table(("Table", "Bytes"), [(each["table"], f"{each['bytes']:,}") for each in tables], empty="")


def _by_tenant(parts: "Iterable[Part]") -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        each = found.setdefault(part.tenant_id, {"tenant_id": part.tenant_id, "requests": 0, "items": 0, "stored": 0})
        each["requests"] += 1
        each["items"] += part.outcome.items
        each["stored"] += part.outcome.stored
    return list(found.values())


@spool.command("replay")
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@click.option("--all", "everything", is_flag=True, help="All batches that were set aside.")
@settings_options("data_dir")
def replay(settings: Settings, names: tuple[str, ...], *, everything: bool) -> None:
    """Insert poison batches again. Those that are still torn or refused are set aside once more."""
    from duoscope.receiver.durability.journal import POISON

    journal = _journal(settings)
    chosen = [path.stem for path in journal.files(POISON)] if everything else list(names)
    if not chosen:
        raise invalid("Name the batches, or give --all.")
    for path in _poison(journal, chosen):
        journal.release(path)
    click.echo(
        f"{len(chosen)} put back. The receiver inserts them within a few seconds; see `duoscope admin spool list`."
    )


@spool.command("drop")
@click.argument("names", nargs=-1, required=True, metavar="BATCH...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@settings_options("data_dir")
def drop(settings: Settings, names: tuple[str, ...], *, yes: bool) -> None:
    """Delete poison batches for good. Their telemetry was acknowledged and is lost."""
    journal = _journal(settings)
    paths = _poison(journal, names)
    if not yes:
        click.confirm(f"Delete {len(paths)} batches and the telemetry in them for good?", abort=True)
    for path in paths:
        journal.remove(path)
    click.echo(f"{len(paths)} dropped.")


def _poison(journal: "Journal", names: "Sequence[str]") -> "list[Path]":
    """The files of the named poison batches. If one of them does not exist, nothing is done."""
    from duoscope.receiver.durability.journal import POISON

    paths: list[Path] = []
    for name in names:
        path = journal.find(name, POISON)
        if path is None:
            raise not_found(f"poison batch: {name}")
        paths.append(path)
    return paths


def _journal(settings: Settings) -> "Journal":
    from duoscope.receiver.durability.journal import Journal

    folder = settings.data_dir / "ingest"
    if not folder.is_dir():
        raise invalid(
            f"There is no receiver's data in {settings.data_dir}. Name its data folder with --data-dir.",
            code="no-data",
        )
    return Journal.look(folder)


def _when(nanos: int | None) -> str:
    return "?" if nanos is None else f"{datetime.fromtimestamp(nanos / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
