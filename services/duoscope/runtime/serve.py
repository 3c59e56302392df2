"""Puts the parts of a process together, and takes them down in the reverse order.

`serve` runs any of receiver, API and worker over either kind of store: with embedded stores all in one process, with
servers each on its own. A stop answers everything that was accepted before the stores close.
"""

import asyncio
import dataclasses
import logging
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

import prometheus_client
import uvloop

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.offline import OfflineKeys
from duoscope.identity.api_keys.upkeep import ApiKeyUpkeep
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.settings import Settings
from duoscope.net import ports
from duoscope.runtime import stores
from duoscope.runtime.parts.api import ApiPart
from duoscope.runtime.parts.receiver import ReceiverPart
from duoscope.runtime.parts.worker import WorkerPart
from duoscope.runtime.process import Part, Process, Started
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

T = TypeVar("T")

PARTS: Final[dict[str, type[Part]]] = {"receiver": ReceiverPart, "api": ApiPart, "worker": WorkerPart}
"""In the order of their start."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the event loop that services use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def serve(
    settings: Settings, parts: frozenset[str], *, on_started: Callable[[Started], None], stop: asyncio.Event
) -> None:
    """Run `parts` until `stop` is set, then stop cleanly.

    Raises:
        DuoscopeError: a part cannot start; what had started is stopped again.
    """
    made = [make(settings) for name, make in PARTS.items() if name in parts]
    async with AsyncExitStack() as stack:
        process = await _open(settings, parts, [part.http_port for part in made if part.http_port], stop, stack)
        for part in made:
            await part.start(process)
        on_started(process.started)
        await stop.wait()
        _log.info("stopping")


async def _open(
    settings: Settings, parts: frozenset[str], http_ports: list[str], stop: asyncio.Event, stack: AsyncExitStack
) -> Process:
    """Open what all parts share. The data folder is locked first, and ports are bound before the stores open."""
    driver = Driver()
    stores.lock(settings, stack)
    ports.require_free(settings, parts)
    listening = {
        name: stack.enter_context(_listen(settings.host, getattr(settings, name), name)) for name in http_ports
    }
    settings = dataclasses.replace(settings, **{name: s.getsockname()[1] for name, s in listening.items()})
    settings = await stores.open_embedded(settings, parts, driver, stack)
    metadata = await stores.open_metadata(settings, parts, stop, driver, stack)
    telemetry = await stores.open_telemetry(settings, parts, stack)
    if settings.metrics_port and "api" not in parts:
        _show_metrics(settings, stack)
    keys = SecretKeys.load(settings)
    hasher = SlowHasher()
    stack.callback(hasher.close)
    return Process(
        settings=settings,
        parts=parts,
        stop=stop,
        stack=stack,
        driver=driver,
        listening=listening,
        metadata=metadata,
        telemetry=telemetry,
        keys=keys,
        hasher=hasher,
        verifier=_verifier(settings, parts, metadata, keys, driver=driver, stack=stack),
        readiness={"background": driver.ready},
    )


def _verifier(
    settings: Settings,
    parts: frozenset[str],
    metadata: MetadataStore,
    keys: SecretKeys,
    *,
    driver: Driver,
    stack: AsyncExitStack,
) -> ApiKeyVerifier:
    # Not the hasher of logins: a flood of wrong passwords must not delay a collector's first request.
    hasher = SlowHasher()
    stack.callback(hasher.close)
    verifier = ApiKeyVerifier(
        metadata,
        hasher,
        keys,
        offline=OfflineKeys(settings.data_dir, keys) if "receiver" in parts else None,
        outage_s=settings.api_key_outage_s,
    )
    if parts != frozenset({"worker"}):
        upkeep = ApiKeyUpkeep(metadata, verifier)
        upkeep.start(driver)
        stack.push_async_callback(upkeep.stop)
    return verifier


def _show_metrics(settings: Settings, stack: AsyncExitStack) -> None:
    try:
        server, thread = prometheus_client.start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        raise ports.taken(settings.host, {"metrics_port": settings.metrics_port}) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    stack.callback(stop)


def _listen(host: str, port: int, name: str) -> socket.socket:
    try:
        return ports.bound(host, port)
    except OSError as error:
        raise ports.taken(host, {name: port}) from error
