"""The command `duoscope`: one file per command group.

Modules here import nothing heavy at their top: stores, gRPC and the telemetry SDK are imported inside the commands that
need them, so that `duoscope --help` and the first line of `duoscope up` appear at once.
"""

import os
import sys
from collections.abc import Sequence

import rich_click as click
from click.exceptions import Abort, UsageError

from duoscope import __version__
from duoscope.cli import (
    admin,
    audit,
    bench,
    collector,
    demo,
    health,
    ingest_limits,
    migrate,
    output,
    people,
    reading,
    rules,
    secrets,
    serve,
    signing_in,
    spool,
)
from duoscope.kernel.errors import DuoscopeError, ErrorKind

USAGE_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, by the convention of shells."""

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="duoscope")
@click.rich_config(
    help_config=click.RichHelpConfiguration(
        text_markup="rich",
        command_groups={
            "duoscope": [
                {"name": "Run", "commands": ["up", "receiver", "api", "worker", "health"]},
                {
                    "name": "Read",
                    "commands": ["login", "logout", "logs", "tail", "traces", "trace", "metrics", "services"],
                },
                {"name": "Look after", "commands": ["migrate", "admin"]},
                {"name": "Alerts", "commands": ["rules"]},
                {"name": "Try", "commands": ["demo", "bench"]},
            ]
        },
    )
)
def cli() -> None:
    """Store OTLP metrics, logs and traces in ClickHouse, and users and permissions in PostgreSQL.

    Start with [bold]duoscope up[/]: it needs nothing else. Options that are settings, such as --data-dir and the ports,
    can also be given as the environment variables that their help names. Addresses of store servers and secrets are
    environment variables only (see docs/operations.md).

    For completion with the tab key, put this into the shell's start file (bash; zsh and fish alike):
    [bold]eval "$(_DUOSCOPE_COMPLETE=bash_source duoscope)"[/]
    """


for _command in (
    *(serve.up, serve.receiver, serve.api, serve.worker, health.health),
    *(migrate.migrate, admin.admin, demo.demo, bench.bench, rules.rules, *reading.COMMANDS),
):
    cli.add_command(_command)
for _command in (
    *(audit.verify_audit, spool.spool),
    *(*collector.COMMANDS, *ingest_limits.COMMANDS, *people.COMMANDS, *secrets.COMMANDS, *signing_in.COMMANDS),
):
    admin.admin.add_command(_command)


def main() -> None:
    """The entry point of the installed command."""
    sys.exit(run())


def run(args: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - one answer a kind of end
    """Run one command line. Returns the exit code: 0, 2 for wrong usage or settings, 1 for any other failure."""
    try:
        result = cli.main(args=list(args) if args is not None else None, prog_name="duoscope", standalone_mode=False)
    except UsageError as error:
        path = error.ctx.command_path if error.ctx else "duoscope"
        output.fail(" ".join(error.format_message().split()), hint=f"`{path} --help` shows what it takes.")
        return USAGE_ERROR
    except click.ClickException as error:
        output.fail(error.format_message())
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        click.echo("\nStopped.", err=True)
        return INTERRUPTED
    except DuoscopeError as error:
        output.fail(error.message, detail=error.detail, error=error)
        return USAGE_ERROR if error.kind is ErrorKind.INVALID else 1
    except BrokenPipeError:
        # The reader of our output, such as `head`, has closed it. Python would report that again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback for people
        output.fail(
            f"Unexpected {type(error).__name__}: {error}",
            hint="This is a defect of duoscope. DUOSCOPE_LOG_LEVEL=DEBUG shows where it happened.",
            error=error,
        )
        return 1
    return result if isinstance(result, int) else 0
