"""`duoscope demo`: some minutes of simulated telemetry, for a first look at some data."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import importlib.util
import logging
import random
import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from duoscope.cli import credentials
from duoscope.cli.options import settings_options
from duoscope.cli.welcome import command
from duoscope.demo.fleet import SCENARIOS, Incident, play
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.demo.counting import Counts
    from duoscope.demo.sender import FleetSender

DURATION_S: Final = 30
SCENARIO_S: Final = 180
HISTORY_MAX_H: Final = 72
PAST_SAID_EVERY: Final = 0.2
DURATION_MAX_S: Final = 3600
RATE_MAX: Final = 200
PLAIN_PROGRESS_EVERY_S: Final = 5
_NAMES: Final = {"spans": "spans", "logs": "log records", "points": "metric points"}
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
ENDED_AGO_NS: Final = 200_000_000
"""A request ends a little before it is sent, so that the message it queued is also handled in the past."""


@click.command()
@click.option("--endpoint", metavar="URL", help="OTLP over gRPC address. [default: from credentials.json]")
@click.option(
    "--api-key",
    metavar="KEY",
    envvar="DUOSCOPE_DEMO_API_KEY",
    show_envvar=True,
    help="API key to send with. Other users of this machine can see options, but not environment variables. "
    "[default: from credentials.json]",
)
@click.option(
    "--ca-file",
    type=_FILE,
    metavar="FILE",
    help="PEM certificate of the authority that signed the receiver's. [default: those the system trusts]",
)
@click.option(
    "--cert-file",
    type=_FILE,
    metavar="FILE",
    help="PEM certificate to present, with --key-file: for a receiver with DUOSCOPE_OTLP_TLS_CLIENT_CA.",
)
@click.option("--key-file", type=_FILE, metavar="FILE", help="PEM key of that certificate.")
@click.option(
    "--duration",
    type=click.IntRange(1, DURATION_MAX_S),
    metavar="SECONDS",
    help=f"How long to send. [default: {DURATION_S}, or {SCENARIO_S} with --scenario]",
)
@click.option(
    "--rate",
    type=click.IntRange(1, RATE_MAX),
    default=10,
    show_default=True,
    metavar="REQUESTS",
    help="Requests per second from simulated users; each makes about eight spans.",
)
@click.option(
    "--scenario",
    type=click.Choice(list(SCENARIOS)),
    help="What goes wrong in the middle third of the time: checkout-outage, a release makes checkouts slow and fail.",
)
@click.option(
    "--history",
    metavar="HOURS",
    help="Send a past first, such as 6h: the shape of a day, releases, the checkout-outage, a trace of 20,000 spans. "
    "Nothing else, unless --duration is there too.",
)
@settings_options("data_dir")
def demo(  # noqa: PLR0917 - each is an option
    settings: Settings,
    endpoint: str | None,
    api_key: str | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    duration: int | None,
    rate: int,
    scenario: str | None,
    history: str | None,
) -> None:
    """Send traces, logs and metrics of a simulated shop to a running duoscope.

    Eight services send through the OpenTelemetry SDK and OTLP over gRPC, with errors and slow calls among them. Address
    and key come from credentials.json, which the first start wrote to the data folder. The demo ends by itself; Ctrl-C
    ends it sooner. With --scenario checkout-outage a release makes checkouts slow and fail for a minute of three.
    """
    if (cert_file is None) != (key_file is None):
        raise invalid("--cert-file and --key-file are needed together.")
    hours = _hours(history)
    known = credentials.read(settings.data_dir)
    endpoint = _url(endpoint or known.get("otlp_grpc_endpoint", ""))
    api_key = api_key or known.get("api_key", "")
    if not endpoint or not api_key:
        raise DuoscopeError(
            ErrorKind.NOT_FOUND,
            "demo-no-credentials",
            f"There is no credentials.json in {settings.data_dir}. Start `duoscope up` first, name its data folder "
            "with --data-dir, or give --endpoint and --api-key.",
        )
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise DuoscopeError(
            ErrorKind.UNAVAILABLE,
            "demo-not-installed",
            "The demo needs the OpenTelemetry SDK: "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-grpc (the extra `demo`).",
        )
    from duoscope.demo.sender import FleetSender, Tls, check

    tls = Tls(*(path.read_bytes() if path else None for path in (ca_file, cert_file, key_file)))
    check(endpoint, api_key, tls)
    _quiet()
    rng = random.Random()  # noqa: S311 - pretend data
    sender = FleetSender(endpoint, api_key, tls, rng)
    trace_ids: list[str] = []
    if hours is not None:
        click.echo(f"Sending a past of {hours} h to {endpoint}; 6 h take less than a minute.")
        trace_ids = _tell(sender, rng, hours)
    if hours is None or duration is not None or scenario is not None:
        duration = duration or (SCENARIO_S if scenario else DURATION_S)
        click.echo(f"Sending to {endpoint}: 8 services, {rate} requests a second, {duration} s.")
        trace_ids = _send(sender, rng, duration, rate, SCENARIOS.get(scenario or ""))
    click.echo("Sending what is left …")
    sender.close()
    click.echo(f"Done: {_counted(sender.counts)}.")
    if sender.unsent or any(sender.counts.lost.values()):
        lost = ", ".join(f"{number} {_NAMES[signal]}" for signal, number in sender.counts.lost.items() if number)
        why = (
            f"the receiver stopped answering at {endpoint}"
            if sender.counts.failing or sender.unsent
            else (f"the receiver at {endpoint} refused them or did not answer for a while")
        )
        raise DuoscopeError(
            ErrorKind.UNAVAILABLE, "demo-not-accepted", f"Not accepted: {lost or 'what was left at the end'}; {why}."
        )
    _suggest(settings, known, trace_ids, None if duration else hours)


def _send(
    sender: "FleetSender", rng: random.Random, duration_s: int, rate: int, incident: Incident | None
) -> list[str]:
    """Play requests at an even pace until the time is over or Ctrl-C, the middle third of them with the incident.

    Returns:
        The ids of the last trace that failed, and of the last that did not.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    failed: list[str] = []
    others: list[str] = []
    start = time.monotonic()
    said = 0
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=Console(), transient=True
    )
    on_terminal = sys.stdout.isatty()
    task = progress.add_task("Starting", total=duration_s)
    if on_terminal:
        progress.start()
    try:
        for number in range(duration_s * rate):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            is_third = duration_s * rate <= 3 * number < 2 * duration_s * rate
            request = play(rng, time.time_ns() - ENDED_AGO_NS, incident if is_third else None)
            (failed if request.call.failed else others).append(sender.send(request))
            elapsed = time.monotonic() - start
            if on_terminal:
                progress.update(task, completed=elapsed, description=_counted(sender.counts))
            elif elapsed >= said + PLAIN_PROGRESS_EVERY_S:
                said = int(elapsed)
                click.echo(f"{said:>4} s  {_counted(sender.counts)}")
    except KeyboardInterrupt:
        click.echo("Ending early.")
    finally:
        if on_terminal:
            progress.stop()
    return failed[-1:] + others[-1:]


def _hours(text: str | None) -> int | None:
    """The hours of "6h" or "6"; None for None."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,3})h?", text.strip())
    if not found or not 1 <= int(found[1]) <= HISTORY_MAX_H:
        raise invalid(f"--history takes whole hours, from 1h to {HISTORY_MAX_H}h.")
    return int(found[1])


def _tell(sender: "FleetSender", rng: random.Random, hours: int) -> list[str]:
    """Send a past that ends now. Returns the ids of a trace that failed and of the large one."""
    from duoscope.demo.history import tell

    said = [0.0]

    def say(share: float) -> None:
        if share >= said[0] + PAST_SAID_EVERY:
            said[0] = share
            click.echo(f"{share:>4.0%}  {_counted(sender.counts)}")

    end_ns = time.time_ns() - ENDED_AGO_NS
    told = tell(sender, rng, end_ns - hours * 3600 * 10**9, end_ns, say)
    sender.past = None
    return [one for one in (told.failed, told.large) if one]


def _counted(counts: "Counts") -> str:
    accepted = counts.accepted
    said = f"{accepted['spans']} spans, {accepted['logs']} log records, {accepted['points']} metric points accepted"
    return f"{said}; the receiver takes nothing at the moment, trying again" if counts.failing else said


def _suggest(settings: Settings, known: dict[str, str], trace_ids: list[str], hours: int | None) -> None:
    """Print the commands that read back what was sent."""
    if is_over(known.get("admin_password_expires_at", "")):
        reset = command(settings, f"admin reset-password {known['admin_email']}")
        click.echo(f"\nThe admin's password has ended. To log in, set your own ({reset}) or restart duoscope.")
    click.echo("\nTo read it back: the services, a trace, the errors, and the requests a second by service:\n")
    back = f" --since {hours}h" if hours else ""  # an hour is read unless told
    reads = [f"services{back}", *(f"trace {trace_id}" for trace_id in trace_ids[:1])]
    reads.append(f"logs{back} --limit 5 'severity>=error'")
    since, window = (f"{hours}h", "10m") if hours else ("5m", "1m")
    reads.append(f"metrics --since {since} 'sum by (job) (rate(shop_requests_total[{window}]))'")
    if not known.get("read_api_key"):
        reads.insert(0, "login")
    for read in reads:
        click.echo(f"  {command(settings, read)}")


def is_over(expires_at: str) -> bool:
    """Whether that time, as written in credentials.json, has passed. An empty one never passes."""
    return bool(expires_at) and datetime.fromisoformat(expires_at) <= now()


def _url(endpoint: str) -> str:
    return endpoint if not endpoint or "://" in endpoint else f"http://{endpoint}"


def _quiet() -> None:
    """Silence the SDK, which logs each failed export; the count at the end reports them once."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
