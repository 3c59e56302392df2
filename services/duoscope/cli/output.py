"""The output of commands: readable on a terminal, plain and unwrapped when piped, JSON for scripts; errors on
stderr.
"""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import rich_click as click


def fail(message: str, *, hint: str = "", detail: str | None = None, error: Exception | None = None) -> None:
    """Print one red line, below it a hint, and with DUOSCOPE_LOG_LEVEL=DEBUG the traceback."""
    click.secho(f"Error: {message}", fg="red", err=True)
    if detail and detail not in message:
        click.secho(f"  Cause: {' '.join(detail.split())[:500]}", dim=True, err=True)
    if hint:
        click.echo(f"  {hint}", err=True)
    if error is not None and os.environ.get("DUOSCOPE_LOG_LEVEL", "").upper() == "DEBUG":
        traceback.print_exception(error)


def emit_json(value: Any) -> None:
    """Print a dataclass, a list of them, or plain values, as indented JSON; ids and times become text."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under headings. When piped, the columns are aligned with spaces and never cut or wrapped."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not texts:
        click.echo(empty)
        return
    if sys.stdout.isatty():
        _rich_table(columns, texts)
        return
    texts.insert(0, [column.upper() for column in columns])
    widths = [max(len(row[place]) for row in texts) for place in range(len(columns))]
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in texts:
        shown.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(shown)


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
