"""`duoscope rules`: rules of alerts in the formats of others."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import rich_click as click

from duoscope.kernel.errors import DuoscopeError

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
