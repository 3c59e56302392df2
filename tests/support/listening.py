"""The API's port, on a socket of its own, and connections to it."""

import asyncio
import contextlib
import socket

from duoscope.api.listener import bounds_of, http_server


@contextlib.asynccontextmanager
async def listening(application, *bounds):
    server = http_server(application, bounds=bounds_of(*bounds))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    await server.start(listener)
    server.url = f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def connected(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(happened):
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0)
