"""What `duoscope up` and the other services print for the person who started them."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import rich_click as click

from duoscope.kernel.settings import Settings

if TYPE_CHECKING:
    from duoscope.identity.operators.bootstrap import Credentials, FirstStart
    from duoscope.runtime.serve import Started

_COLLECTOR = """\
extensions:
  file_storage:                 # keeps unsent data on disk, through outages and restarts
    directory: /var/lib/otelcol # writable for the collector; each collector needs its own
    create_directory: true

receivers:
  otlp:                         # the collector's own ports: 4317 and 4318 may be duoscope's
    protocols:
      grpc:
        endpoint: 127.0.0.1:14317
      http:
        endpoint: 127.0.0.1:14318

processors:
  resourcedetection:            # adds host.name; without it, metrics of two hosts become one series
    detectors: [env, system]
    override: false             # keep what a sender says about itself
    system:
      hostname_sources: [os]
  batch:
    send_batch_max_size: 2000   # a request may have 64 MiB; 8,192 long log records can exceed it
    send_batch_size: 2000

exporters:
  otlp_grpc/duoscope:           # OTLP over gRPC
    endpoint: {grpc}
    tls:
      {grpc_tls}
    headers:
      authorization: Bearer {key}
    retry_on_failure:
      max_elapsed_time: 0       # by default, data that cannot be sent for five minutes is dropped
    sending_queue:
      storage: file_storage
      block_on_overflow: true   # by default, data that does not fit is dropped
  otlp_http/duoscope:           # or OTLP over HTTP
    endpoint: {http}{http_tls}
    headers:
      authorization: Bearer {key}
    retry_on_failure:
      max_elapsed_time: 0
    sending_queue:
      storage: file_storage
      block_on_overflow: true

service:
  extensions: [file_storage]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [resourcedetection, batch]
      exporters: [otlp_grpc/duoscope]
    metrics:
      receivers: [otlp]
      processors: [resourcedetection, batch]
      exporters: [otlp_grpc/duoscope]
    logs:
      receivers: [otlp]
      processors: [resourcedetection, batch]
      exporters: [otlp_grpc/duoscope]
"""


# The host is compared, not bound.
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def reached_at(host: str) -> str:
    """The address at which a client on this machine reaches what listens on `host`, in the form of a URL's host."""
    return _EVERYWHERE.get(host) or (f"[{host}]" if ":" in host else host)


def is_first_start(settings: Settings) -> bool:
    """Whether the embedded PostgreSQL does not exist yet."""
    return settings.embedded_postgres and not (settings.data_dir / "postgres").exists()


def starting(settings: Settings, version: str, parts: frozenset[str]) -> None:
    """Print the first line, before anything slow is imported."""
    what = "" if len(parts) > 1 else f" {next(iter(parts))}"
    click.echo(f"duoscope {version}{what}: starting, data folder {settings.data_dir}")
    if is_first_start(settings):
        click.echo("First start: setting up PostgreSQL and ClickHouse, which takes some seconds.")
    sys.stdout.flush()


def ready(started: "Started", parts: frozenset[str]) -> None:
    """Print all addresses, and the credentials if this start made them: the only time they are shown."""
    first = started.first_start
    if first is not None and first.created and first.credentials is not None:
        _introduce(started, first.credentials, first)
    else:
        click.echo(f"Ready. {'  '.join(f'{name} {address}' for name, address in _addresses(started, parts))}")
        if first is not None and first.credentials is not None:
            click.echo(f"Credentials of the first start: {first.path}")
            if first.renewed:
                click.echo("The admin's password had ended; that file has another one.")
            _say_end(started, first.credentials)
        elif first is not None:
            click.echo(
                f"No credentials in {first.path}. `duoscope admin reset-password` and `duoscope admin create-api-key` "
                "make new ones."
            )
    sys.stdout.flush()


def _addresses(started: "Started", parts: frozenset[str]) -> list[tuple[str, str]]:
    addresses = [("UI and API", started.api_url)] if "api" in parts else []
    if "receiver" in parts:
        addresses += [("OTLP/gRPC", started.otlp_grpc_endpoint), ("OTLP/HTTP", started.otlp_http_endpoint)]
    return addresses


def _introduce(started: "Started", credentials: "Credentials", first: "FirstStart") -> None:
    # What one needs next stands at the end, where a terminal still shows it.
    click.echo("OpenTelemetry collector configuration, a complete file for its contrib distribution:\n")
    click.echo(
        collector_configuration(
            started.settings,
            grpc=urlsplit(started.otlp_grpc_endpoint).netloc,
            http=started.otlp_http_endpoint,
            key=credentials.api_key,
        )
    )
    click.echo(f"To print it again: {command(started.settings, 'admin collector-config')}\n")
    facts = [
        ("OTLP over gRPC", started.otlp_grpc_endpoint),
        ("OTLP over HTTP", started.otlp_http_endpoint),
        ("API key", credentials.api_key),
        ("  that reads", credentials.read_api_key),
        ("Organization", credentials.organization_id),
        ("Workspace", credentials.workspace_id),
        ("Tenant", credentials.tenant_id),
        ("", ""),
        ("Open", started.api_url),
        ("E-mail", credentials.admin_email),
        ("Password", credentials.admin_password),
        ("  works until", credentials.admin_password_expires_at),
    ]
    lines = [f"{name:<15} {value}".rstrip() for name, value in facts]
    _frame("duoscope is ready", lines)
    click.echo(f"Password and keys are shown this once. They are kept in {first.path} (mode 0600).")
    if first.is_trial:
        click.echo(
            "With embedded stores this first organization asks for no second factor until its setting mfa_required is "
            "true; other organizations ask for one from the start."
        )
    if credentials.admin_password_expires_at:
        again = command(started.settings, f"admin reset-password {credentials.admin_email}")
        click.echo(f"For a password that stays: {again}, or set one when you log in.")
    click.echo(f"For data to look at, in another terminal: {command(started.settings, 'demo --history 6h')}")
    click.echo("Ctrl-C stops duoscope.")


def collector_configuration(settings: Settings, *, grpc: str, http: str, key: str) -> str:
    """A complete configuration for a collector that sends to `settings`' receiver; only certificates must be added."""
    tls = "insecure: true"
    if settings.otlp_tls_cert:
        tls = "ca_file: /path/to/authority.pem # authority of duoscope's certificate; not needed for a public one"
    if settings.otlp_tls_client_ca:
        tls += "\n      cert_file: /path/to/client.pem  # the collector's own certificate, and its key"
        tls += "\n      key_file: /path/to/client-key.pem"
    http_tls = f"\n    tls:\n      {tls}" if settings.otlp_tls_cert else ""
    own = urlsplit(f"//{grpc}").hostname or ""
    note = ""
    if own in _LOOPBACK:
        listen = "" if settings.host in _EVERYWHERE else ", and start duoscope with --host 0.0.0.0"
        note = f"# For a collector on another machine, put this machine's name in place of {own}{listen}.\n"
    return note + _COLLECTOR.format(grpc=grpc, http=http, key=key, grpc_tls=tls, http_tls=http_tls)


def _say_end(started: "Started", credentials: "Credentials") -> None:
    """Print how to set a permanent password, while there is none."""
    if credentials.admin_password_expires_at:
        click.echo(
            f"The password works until {credentials.admin_password_expires_at}. For one that stays: "
            f"{command(started.settings, f'admin reset-password {credentials.admin_email}')}"
        )


def command(settings: Settings, arguments: str) -> str:
    """A command that can be pasted: this program as it was called, since it may not be in the PATH, on this data
    folder.
    """
    program = sys.argv[0] if Path(sys.argv[0]).name == "duoscope" else "duoscope"
    return f"{program} {arguments} --data-dir {shlex.quote(str(settings.data_dir))}"


def _frame(title: str, lines: list[str]) -> None:
    """Print a panel if it fits the terminal; plain lines if it does not, or if the output goes to a file."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    console = Console(highlight=False)
    if console.is_terminal and console.width >= max(map(len, lines)) + 4:
        console.print(Panel(Text("\n".join(lines)), title=title, title_align="left", expand=False))
        return
    click.echo(f"\n{title}\n")
    for line in lines:
        click.echo(f"  {line}".rstrip())
    click.echo()
