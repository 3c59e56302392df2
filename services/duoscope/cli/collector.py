"""`duoscope admin collector-config`: prints the configuration of the first start again."""

from typing import Final
from urllib.parse import urlsplit

import rich_click as click

from duoscope.cli import credentials, welcome
from duoscope.cli.options import settings_options
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings


@click.command("collector-config")
@click.option("--api-key", metavar="KEY", help="API key to send with. [default: from credentials.json]")
@settings_options("host", "data_dir")
def collector_config(settings: Settings, api_key: str | None) -> None:
    """Print a complete configuration for an OpenTelemetry collector that sends here.

    Addresses and key come from credentials.json, which the first start wrote to the data folder.
    """
    known = credentials.read(settings.data_dir)
    key = api_key or known.get("api_key")
    if not key:
        raise DuoscopeError(
            ErrorKind.NOT_FOUND,
            "collector-no-key",
            f"There is no API key in {settings.data_dir / 'credentials.json'}. Give one with --api-key; "
            "`duoscope admin create-api-key` makes one.",
        )
    host = welcome.reached_at(settings.host)
    # The scheme follows the current settings: certificates may have been added since the first start.
    grpc = urlsplit(known.get("otlp_grpc_endpoint", "")).netloc or f"{host}:{settings.otlp_grpc_port}"
    http = urlsplit(known.get("otlp_http_endpoint", "")).netloc or f"{host}:{settings.otlp_http_port}"
    scheme = "https" if settings.otlp_tls_cert else "http"
    click.echo(welcome.collector_configuration(settings, grpc=grpc, http=f"{scheme}://{http}", key=key), nl=False)


COMMANDS: Final = (collector_config,)
