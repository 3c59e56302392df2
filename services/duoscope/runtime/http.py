"""The HTTP server of the API."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import uvicorn

from duoscope.kernel import limits


class _Uvicorn(uvicorn.Server):
    """A server whose signals are the process's business, not its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def start_http(application: Any, listening: socket.socket, stack: AsyncExitStack) -> None:
    """Serve an ASGI application on a socket that listens; `stack` stops it once its requests are answered."""
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # It would believe X-Forwarded-For from this machine; net/proxies.py believes those that the settings name.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=round(limits.INGEST_DRAIN_MAX_S),
    )
    server = _Uvicorn(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http server")

    async def stop() -> None:
        server.should_exit = True
        await task

    stack.push_async_callback(stop)
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers a flag and no event
        await asyncio.sleep(0.005)
