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
    from duoscope.receiver.decoder import Outcome
    from duoscope.receiver.durability.batch import Part
    from duoscope.receiver.durability.records import Record
    from duoscope.receiver.durability.request_log import RequestLog


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
    log = _request_log(settings)
    found = [
        log.describe(path)[0] for path in sorted([*log.files(), *log.files(poison=True)], key=lambda path: path.stem)
    ]
    if as_json:
        output.emit_json(found)
        return
    rows = [
        (
            each.name,
            each.state,
            _when(each.received_ns),
            "?" if each.requests is None else f"{each.requests:,}",
            "?" if each.items is None else f"{each.items:,}",
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
    log = _request_log(settings)
    path = log.find(name)
    if path is None:
        raise not_found(f"batch: {name}")
    found, requests = log.describe(path)
    tenants = _by_tenant((_tenant_of(each), each.outcome) for each in requests)
    if as_json:
        output.emit_json({**asdict(found), "tenants": tenants})
        return
    click.echo(f"{found.name}: {found.state}, received {_when(found.received_ns)} UTC, {found.size_bytes:,} bytes")
    if found.why:
        click.echo(found.why)
    rows = [(each["tenant_id"], f"{each['requests']:,}", f"{each['stored']:,}") for each in tenants]
    output.table(("Tenant", "Requests", "Items"), rows, empty="What is in it cannot be read.")


def _tenant_of(request: "Record | Part") -> str:
    return request.key.partition("/")[0]


def _by_tenant(requests: "Iterable[tuple[str, Outcome]]") -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for tenant_id, outcome in requests:
        each = found.setdefault(tenant_id, {"tenant_id": tenant_id, "requests": 0, "items": 0, "stored": 0})
        each["requests"] += 1
        each["items"] += outcome.items
        each["stored"] += outcome.stored
    return list(found.values())


@spool.command("replay")
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@click.option("--all", "everything", is_flag=True, help="All batches that were set aside.")
@settings_options("data_dir")
def replay(settings: Settings, names: tuple[str, ...], *, everything: bool) -> None:
    """Insert poison batches again. Those that are still torn or refused are set aside once more."""
    log = _request_log(settings)
    chosen = [path.stem for path in log.files(poison=True)] if everything else list(names)
    if not chosen:
        raise invalid("Name the batches, or give --all.")
    for path in _poison(log, chosen):
        log.release(path)
    click.echo(
        f"{len(chosen)} put back. The receiver inserts them within a few seconds; see `duoscope admin spool list`."
    )


@spool.command("drop")
@click.argument("names", nargs=-1, required=True, metavar="BATCH...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@settings_options("data_dir")
def drop(settings: Settings, names: tuple[str, ...], *, yes: bool) -> None:
    """Delete poison batches for good. Their telemetry was acknowledged and is lost."""
    log = _request_log(settings)
    paths = _poison(log, names)
    if not yes:
        click.confirm(f"Delete {len(paths)} batches and the telemetry in them for good?", abort=True)
    for path in paths:
        log.remove(path)
    click.echo(f"{len(paths)} dropped.")


def _poison(log: "RequestLog", names: "Sequence[str]") -> "list[Path]":
    """The files of the named poison batches. If one of them does not exist, nothing is done."""
    paths: list[Path] = []
    for name in names:
        path = log.find(name, poison=True)
        if path is None:
            raise not_found(f"poison batch: {name}")
        paths.append(path)
    return paths


def _request_log(settings: Settings) -> "RequestLog":
    from duoscope.receiver.durability.request_log import RequestLog

    folder = settings.data_dir / "ingest"
    if not folder.is_dir():
        raise invalid(
            f"There is no receiver's data in {settings.data_dir}. Name its data folder with --data-dir.",
            code="no-data",
        )
    return RequestLog.look(folder)


def _when(nanos: int) -> str:
    return f"{datetime.fromtimestamp(nanos / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
