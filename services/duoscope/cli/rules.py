"""`duoscope rules`: rules of alerts in the formats of others."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from duoscope.cli import output
from duoscope.cli.reading import text
from duoscope.cli.reading.commands import asked, reading
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.settings import Settings

FAILED = 1
_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE..."
)


@click.group()
def rules() -> None:
    """Test, import and export rules of alerts."""


@rules.command()
@_FILES
@click.option("--run", "patterns", multiple=True, metavar="REGEX", help="Only groups of tests with such a name.")
@click.option("--ignore-unknown-fields", is_flag=True, help="Pass over fields that are not known.")
def test(files: Sequence[Path], patterns: Sequence[str], *, ignore_unknown_fields: bool) -> int:
    """Run unit tests of rules, in the format of promtool: exit code 1 if anything is not as expected.

    The alerts go through the same conditions and states as those that are evaluated here. Nothing has to run.
    """
    try:
        only = re.compile("|".join(f"(?:{each})" for each in patterns)) if patterns else None
    except re.error as error:
        raise click.BadParameter(f"no regular expression: {error}", param_hint="--run") from error
    click.echo("Unit Testing:", nl=False)
    results = [_tested(path, only, ignore_unknown=ignore_unknown_fields) for path in files]
    return 0 if all(results) else FAILED


@rules.command(name="import")
@_FILES
@click.option("--trial", is_flag=True, help="Only report, and store nothing.")
@reading
def import_(settings: Settings, files: Sequence[Path], *, trial: bool, **given: Any) -> int:
    """Import rules from files of Prometheus, PrometheusRule or Grafana's provisioning export.

    The same files again change nothing. Exit code 1 if a rule could not be taken over.
    """
    api = asked(settings, given)
    reports = [
        api.post("alert-rules/import", {"content": _text(path), "source": path.name, "is_trial": trial})
        for path in files
    ]
    if given["as_json"]:
        output.emit_json(reports)
    else:
        for report in reports:
            changes = Counter(line["change"] for line in report["items"])
            did = ", ".join(f"{changes[each]} {each}" for each in ("created", "changed", "unchanged"))
            lost = f"{report['partly']} of them in part, {report['refused']} refused"
            click.echo(f"{'Trial: ' if trial else ''}{text.plain(report['source'])}: {did}; {lost}")
            click.echo("".join(f"  {text.plain(note)}\n" for note in report["notes"]), nl=False)
            for line in report["items"]:
                if line["reasons"]:
                    why = text.plain("; ".join(line["reasons"]))
                    click.echo(f"  {line['outcome']}: {text.plain(line['group'])}: {text.plain(line['name'])}: {why}")
    return FAILED if any(report["refused"] for report in reports) else 0


@rules.command()
@reading
def export(settings: Settings, **given: Any) -> None:
    """Print all rules and named expressions as a rule file of Prometheus."""
    for line in asked(settings, given).lines("alert-rules/export", {}):
        click.echo(line)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise invalid(f"{path} cannot be read: {error}") from error


def _tested(path: Path, only: "re.Pattern[str] | None", *, ignore_unknown: bool) -> bool:
    from duoscope.alerting.rule_files import testing

    click.echo(f"  {path}")
    try:
        checked = asyncio.run(testing.run(path, only=only, ignore_unknown=ignore_unknown))
    except DuoscopeError as error:
        click.secho("  FAILED:", fg="red")
        click.echo(f"    {error.message}\n")
        return False
    if checked.failures:
        click.secho("  FAILED:", fg="red")
        click.echo("\n".join(checked.failures) + "\n")
        return False
    click.echo(f"  SUCCESS ({checked.points} points in {checked.groups} groups)\n")
    return True
