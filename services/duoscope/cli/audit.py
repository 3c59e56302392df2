"""`duoscope admin verify-audit`: checks whether the audit log was edited."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import rich_click as click

from duoscope.cli import output
from duoscope.cli.admin import open_store
from duoscope.cli.options import json_option, settings_options
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.identity.audit.verify import Anchor, ChainReport

FOUND = 1
_SHOWN_MAX = 50


@click.command("verify-audit")
@click.option(
    "--anchors",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare with the heads that an earlier run wrote to this file, then write the current ones if nothing "
    "is found. "
    "Keep it where nobody who can reach the stores can change it.",
)
@settings_options("data_dir")
@json_option
def verify_audit(settings: Settings, anchors: Path | None, *, as_json: bool) -> int:
    """Check every chain of the audit log, in PostgreSQL and in ClickHouse's copy. Exit code 1 if something is found.

    Finds entries that were edited, removed, inserted or cut off at the end. The owner of both stores can forge a chain
    in both: only heads recorded elsewhere (--anchors) prove that this did not happen. An embedded ClickHouse belongs to
    the running duoscope: stop it first to have the copy compared.
    """
    from duoscope.runtime import serve

    noted = _read(anchors) if anchors is not None else {}
    reports, is_compared, names = serve.run(_verify(settings, noted))
    findings = [finding for report in reports for finding in report.findings]
    if anchors is not None and not findings:
        _write(anchors, reports, noted)
    if as_json:
        told = {str(organization_id): name for organization_id, name in names.items()}
        output.emit_json(
            {"clickhouse_compared": is_compared, "chains": reports, "findings": findings, "organizations": told}
        )
        return FOUND if findings else 0
    rows = [
        (
            names[r.organization_id],
            r.entries,
            "not compared" if r.compared is None else r.compared,
            r.head.sequence,
            r.head.hash,
        )
        for r in reports
    ]
    output.table(("Organization", "Entries", "In ClickHouse", "Head", "Hash of the head"), rows, empty="No entries.")
    if not is_compared:
        click.echo("ClickHouse is embedded in the running duoscope, so its copy was not compared; stop it to do that.")
    if not findings:
        click.echo("Nothing was found: every entry is where it was and as it was, as far as the stores can tell.")
        return 0
    output.fail(f"{len(findings)} entries or more of the audit log are not what they were.")
    places = [(names[f.organization_id], f.sequence, f.store, f.what) for f in findings[:_SHOWN_MAX]]
    output.table(("Organization", "Entry", "Where", "What"), places, empty="")
    return FOUND


async def _verify(settings: Settings, noted: "dict[UUID, Anchor]") -> "tuple[list[ChainReport], bool, dict[UUID, str]]":
    """The reports, whether ClickHouse's copy was compared, and the names of the chains."""
    from duoscope.identity.audit import verify
    from duoscope.stores.clickhouse import TelemetryStore
    from duoscope.stores.migrations import verify_schema

    is_compared = not (settings.embedded_clickhouse and _is_running(settings))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        records = None
        if is_compared:
            telemetry = TelemetryStore(settings)
            stack.push_async_callback(telemetry.close)
            verify_schema("clickhouse", await telemetry.applied_migrations())
            records = telemetry.records()
        reports = await verify.verify_audit(store, records, noted)
        return reports, is_compared, await verify.names(store, reports)


def _is_running(settings: Settings) -> bool:
    from duoscope.stores.embedded import DataDirectoryLock

    if not settings.data_dir.is_dir():
        return False
    try:
        DataDirectoryLock.acquire(settings.data_dir).release()
    except DuoscopeError as error:
        if error.code != "data-directory-in-use":
            raise
        return True
    return False


def _read(path: Path) -> "dict[UUID, Anchor]":
    from duoscope.identity.audit.verify import Anchor

    try:
        return {
            UUID(organization_id): Anchor(int(head["sequence"]), str(head["hash"]))
            for organization_id, head in json.loads(path.read_text("utf-8")).items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise invalid(f"{path} is no file of heads that verify-audit wrote.") from error


def _write(path: Path, reports: "list[ChainReport]", noted: "dict[UUID, Anchor]") -> None:
    heads = noted | {report.organization_id: report.head for report in reports}
    shown = {str(organization_id): {"sequence": h.sequence, "hash": h.hash} for organization_id, h in heads.items()}
    path.write_text(json.dumps(shown, indent=2) + "\n", "utf-8")
