"""Hears PostgreSQL's notices (NOTIFY) on a connection of its own, for as long as it takes.

A notice sent while nobody listens is lost. So whoever listens is told of every new connection and looks at everything
again then; and a connection that died without a word is found by a heartbeat. A pooler between that shares connections
by transaction (pgbouncer) passes no notices: name the server itself in DUOSCOPE_POSTGRES_DSN, or notices never come.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, LiteralString

import asyncpg

from duoscope.kernel.errors import DuoscopeError

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5.0
HEARTBEAT_S: Final = 0.5
HEARTBEAT_TIMEOUT_S: Final = 1.0
"""Together with the heartbeat and the first pause under the 2 s in which a revocation is to be heard."""
PAUSES_S: Final = (0.1, 0.5, 1.0, 2.0)
"""Before each new connection in a row; the last one goes on."""

_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def listen(
    dsn: str, channel: LiteralString, *, heard: Callable[[str], None], connected: Callable[[], Awaitable[None]]
) -> None:
    """Listen until cancelled.

    Args:
        dsn: of the server.
        channel: what to listen to.
        heard: gets the text of each notice, in the event loop; must not block.
        connected: awaited after each connection began to listen. If it fails with a DuoscopeError, the connection is
            made anew.
    """
    failures = 0

    def began() -> None:
        nonlocal failures
        failures = 0

    while True:
        try:
            await _listen_once(dsn, channel, heard, connected, began)
        except (*_LOST, DuoscopeError) as error:
            level = logging.WARNING if failures == 0 else logging.DEBUG
            detail = getattr(error, "detail", None) or f"{type(error).__name__}: {error}"
            _log.log(level, "lost the connection that hears notices of PostgreSQL", extra={"detail": detail})
        await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
        failures += 1


async def _listen_once(
    dsn: str,
    channel: LiteralString,
    heard: Callable[[str], None],
    connected: Callable[[], Awaitable[None]],
    began: Callable[[], None],
) -> None:
    connection: asyncpg.Connection = await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "duoscope listens"}
    )
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(channel, lambda _connection, _pid, _channel, text: heard(text))
        await connected()
        began()
        while not lost.is_set():
            try:
                # Not wait_for(): in Python 3.11 it forgets that it was cancelled if the connection is lost just then.
                async with asyncio.timeout(HEARTBEAT_S):
                    await lost.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=HEARTBEAT_TIMEOUT_S)
    finally:
        connection.terminate()
