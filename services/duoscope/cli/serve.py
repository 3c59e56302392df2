"""`up`, `receiver`, `api`, `worker`: run until a signal stops them."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import rich_click as click

from duoscope import __version__
from duoscope.cli import logs, welcome
from duoscope.cli.options import settings_options
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings
from duoscope.net import ports
from duoscope.runtime import memory

if TYPE_CHECKING:
    from duoscope.runtime.serve import Started

STOPPED_BEFORE_READY: Final = 130
FORCED: Final = 130

_COMMON: Final = ("data_dir", "log_level")
_OTLP_PORTS: Final = ("otlp_grpc_port", "otlp_http_port")


@click.command()
@settings_options("host", "api_port", *_OTLP_PORTS, "public_url", *_COMMON)
def up(settings: Settings) -> int:
    """Run everything in this process: receiver, API and worker.

    Stores without an address are embedded: PostgreSQL as a child process, ClickHouse inside this one, their data in the
    data folder. Ctrl-C stops everything cleanly.
    """
    return _run(settings, frozenset({"receiver", "api", "worker"}))


@click.command()
@settings_options("host", *_OTLP_PORTS, "metrics_port", *_COMMON)
def receiver(settings: Settings) -> int:
    """Run the OTLP receiver alone, over store servers."""
    return _run_apart(settings, "receiver")


@click.command()
@settings_options("host", "api_port", "public_url", *_COMMON)
def api(settings: Settings) -> int:
    """Run the API alone, over store servers."""
    return _run_apart(settings, "api")


@click.command()
@settings_options("host", "metrics_port", *_COMMON)
def worker(settings: Settings) -> int:
    """Run the background worker alone, over store servers."""
    return _run_apart(settings, "worker")


def _run_apart(settings: Settings, part: str) -> int:
    """Run one part, which needs store servers: `up` is for embedded stores."""
    missing = [
        f"DUOSCOPE_{store}_DSN"
        for store, embedded in (("POSTGRES", settings.embedded_postgres), ("CLICKHOUSE", settings.embedded_clickhouse))
        if embedded
    ]
    if missing:
        raise DuoscopeError(
            ErrorKind.INVALID,
            "embedded-store-needs-one-process",
            f"{' and '.join(missing)} not set, and an embedded engine belongs to one process: "
            f"use `duoscope up`, or set {' and '.join(missing)} to servers that the services share.",
        )
    return _run(settings, frozenset({part}))


def _run(settings: Settings, parts: frozenset[str]) -> int:
    if welcome.is_first_start(settings):
        ports.require_free(settings, parts)  # before anything is said to be set up, or made
    welcome.starting(settings, __version__, parts)
    logs.configure(settings.log_level)
    memory.return_what_is_freed()
    from duoscope.runtime import serve

    return serve.run(_serve(settings, parts))


async def _serve(settings: Settings, parts: frozenset[str]) -> int:
    from duoscope.runtime import serve

    stop = asyncio.Event()
    ready = asyncio.Event()

    def on_started(started: "Started") -> None:
        ready.set()
        # Objects loaded until now are permanent: scanning them again and again was 4% of the CPU of ingest.
        gc.collect()
        gc.freeze()
        memory.forget_what_started()
        welcome.ready(started, parts)

    serving = asyncio.create_task(serve.serve(settings, parts, on_started=on_started, stop=stop), name="serve")
    _on_signals(lambda: stop.set() if ready.is_set() else serving.cancel())
    try:
        await serving
    except asyncio.CancelledError:
        click.echo("Stopped before it was ready.")
        return STOPPED_BEFORE_READY
    click.echo("Stopped.")
    return 0


def _on_signals(stop: Callable[[], object]) -> None:
    """The first SIGINT or SIGTERM stops cleanly; the second stops at once (acknowledged telemetry is stored)."""
    asked = False

    def handle() -> None:
        nonlocal asked
        if asked:
            click.echo("Stopped by force.", err=True)
            os._exit(FORCED)
        asked = True
        click.echo("\nStopping: requests that were accepted are finished first. Once more to force it.")
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle)
