"""`duoscope health`: checks one running part, for health checks of containers."""
# ruff: noqa: PLC0415 - see the package's docstring: what is heavy is imported where it is needed

import asyncio
import http.client
import socket
from typing import Final

import rich_click as click

from duoscope.cli.options import settings_options
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.kernel.settings import Settings

TIMEOUT_S: Final = 4
METHOD_NOT_ALLOWED: Final = 405
OK: Final = 200


@click.command()
@click.argument("part", type=click.Choice(["api", "receiver", "worker"]))
@settings_options("host", "api_port", "otlp_grpc_port", "otlp_http_port")
def health(settings: Settings, part: str) -> None:
    """Exit with 0 if a part that runs on this machine is healthy, else with 1.

    The API answers on /health/ready. The receiver accepts connections on both ports and, without TLS, answers over
    HTTP. The worker has no port, so the check is whether it can reach its metadata store.
    """
    if part == "api":
        _expect(settings, settings.api_port, "/health/ready", OK)
    elif part == "receiver":
        if settings.otlp_tls_cert:
            # A handshake would need a name and perhaps a certificate, which a check on the same machine does not have.
            _connect(settings, settings.otlp_http_port)
        else:
            _expect(settings, settings.otlp_http_port, "/v1/traces", METHOD_NOT_ALLOWED)
        _connect(settings, settings.otlp_grpc_port)
    else:
        asyncio.run(_ping_metadata(settings))
    click.echo(f"{part}: ok")


def _local(settings: Settings) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound


def _expect(settings: Settings, port: int, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(_local(settings), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(1000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise _unwell(f"no answer on port {port}: {error}") from error
    finally:
        connection.close()
    if response.status != status:
        raise _unwell(f"port {port} answered {response.status} for {path}: {body}")


def _connect(settings: Settings, port: int) -> None:
    try:
        socket.create_connection((_local(settings), port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise _unwell(f"no answer on port {port}: {error}") from error


async def _ping_metadata(settings: Settings) -> None:
    from duoscope.stores.postgres import MetadataStore

    if settings.embedded_postgres:
        raise _unwell("DUOSCOPE_POSTGRES_DSN is not set; the worker of `duoscope up` is looked after by that process")
    store = await MetadataStore.connect(settings.postgres_dsn, connections_max=1, component="health")
    try:
        await store.ping()
    finally:
        await store.close()


def _unwell(what: str) -> DuoscopeError:
    return unavailable(f"Not healthy: {what}.", code="unhealthy", retry_after_s=TIMEOUT_S)
