"""`duoscope admin spool`: batches on a receiver's disk. Works beside the running receiver, which looks for changes."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click

from duoscope.cli import output
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.errors import invalid, not_found
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.receiver.journal import Journal


@click.group()
def spool() -> None:
    """Batches on a receiver's disk: what waits for ClickHouse, and what was set aside.

    Telemetry that was acknowledged while ClickHouse was away is inserted by itself when it is back. A batch that is
    torn, changed, or refused by ClickHouse is set aside as poison: look into why, then replay or drop it. Use the
    data folder of the receiver that holds it.
    """


@spool.command("list")
@settings_options("data_dir")
@json_option
def list_batches(settings: Settings, *, as_json: bool) -> None:
    """List batches, oldest first."""
    from duoscope.receiver.journal import POISON, SPOOLED, WRITTEN

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
            f"{each.size_bytes / 2**20:.1f} MiB",
            " ".join(each.why.split())[:200],
        )
        for each in found
    ]
    columns = ("Batch", "State", "Received", "Requests", "Items", "Size", "Why")
    output.table(columns, rows, empty="Nothing waits, and nothing was set aside.")


@spool.command("replay")
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@click.option("--all", "everything", is_flag=True, help="Everything that was set aside.")
@settings_options("data_dir")
def replay(settings: Settings, names: tuple[str, ...], *, everything: bool) -> None:
    """Have poison batches inserted again. What is still torn or refused is set aside once more."""
    from duoscope.receiver.journal import POISON

    journal = _journal(settings)
    chosen = [path.stem for path in journal.files(POISON)] if everything else list(names)
    if not chosen:
        raise invalid("Name the batches, or give --all.")
    for name in chosen:
        path = journal.find(name, POISON)
        if path is None:
            raise not_found(f"poison batch: {name}")
        journal.release(path)
    click.echo(
        f"{len(chosen)} put back. The receiver inserts them within a few seconds; see `duoscope admin spool list`."
    )


@spool.command("drop")
@click.argument("names", nargs=-1, required=True, metavar="BATCH...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options("data_dir")
def drop(settings: Settings, names: tuple[str, ...], *, yes: bool) -> None:
    """Delete poison batches for good. Their telemetry was acknowledged and is lost."""
    from duoscope.receiver.journal import POISON

    journal = _journal(settings)
    paths = [(name, journal.find(name, POISON)) for name in names]
    for name, path in paths:
        if path is None:
            raise not_found(f"poison batch: {name}")
    if not yes:
        click.confirm(f"Delete {len(paths)} batches and the telemetry in them for good?", abort=True)
    for _, path in paths:
        if path is not None:
            journal.remove(path)
    click.echo(f"{len(paths)} dropped.")


def _journal(settings: Settings) -> "Journal":
    from duoscope.receiver.journal import Journal

    folder = settings.data_dir / "ingest"
    if not folder.is_dir():
        raise invalid(
            f"There is no receiver's data in {settings.data_dir}. Name its data folder with --data-dir.",
            code="no-data",
        )
    return Journal.look(folder)


def _when(nanos: int | None) -> str:
    return "?" if nanos is None else f"{datetime.fromtimestamp(nanos / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
