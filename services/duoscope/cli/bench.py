"""`duoscope bench`: the benchmarks come with a checkout, not with the installed package."""

import os
import sys
from pathlib import Path

import rich_click as click

from duoscope.kernel.errors import DuoscopeError, ErrorKind

_CHECKOUT = Path(__file__).resolve().parents[3]


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure the ingest path: CPU, memory and disk per item.

    Runs benchmarks/ingest.py of the checkout over its own embedded stack and passes the arguments on.
    """
    if not (_CHECKOUT / "benchmarks" / "ingest.py").is_file():
        raise DuoscopeError(
            ErrorKind.NOT_FOUND,
            "no-benchmarks",
            "The benchmarks are in the source checkout only: clone the repository and run `make bench`.",
        )
    os.chdir(_CHECKOUT)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "benchmarks.ingest", *arguments])  # noqa: S606 - our own module
