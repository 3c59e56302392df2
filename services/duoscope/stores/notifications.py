"""Receives PostgreSQL's notifications (NOTIFY) on a connection of its own, as long as the connection lives.

A notification sent while nobody listens is lost. So a listener runs in a background job, one connection per turn, and
reads everything again after it has connected. A heartbeat detects a connection that died silently. A pooler that shares
connections by transaction (pgbouncer) does not pass on notifications: name the server itself in DUOSCOPE_POSTGRES_DSN.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, LiteralString
from urllib.parse import parse_qs, urlsplit

import asyncpg

from duoscope.kernel.errors import unavailable

CONNECT_TIMEOUT_S: Final = 5.0
HEARTBEAT_S: Final = 0.5
SOCKET_HEARTBEAT_S: Final = 10.0
HEARTBEAT_TIMEOUT_S: Final = 1.0
"""Together with the heartbeat and the first pause below the 2 s in which a revocation must be known. The kernel tells
at once when the other end of a Unix socket is gone: the embedded PostgreSQL need not be asked twice a second."""
RETRY_AFTER_S: Final = 2.0

LOCK_HEARTBEAT_S: Final = 5.0
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def listen(
    dsn: str, channel: LiteralString, *, heard: Callable[[str], None], connected: Callable[[], Awaitable[None]]
) -> None:
    """Listen until the connection is lost.

    Args:
        dsn: of the server.
        channel: the channel's name.
        heard: gets the text of each notification, in the event loop; must not block.
        connected: awaited after the connection began to listen; what it raises ends the connection.

    Raises:
        DuoscopeError: UNAVAILABLE `metadata-store-unavailable` once the connection is lost, or could not be made.
    """
    try:
        await _listen_once(dsn, channel, heard, connected)
    except _LOST as error:
        raise _lost(f"{type(error).__name__}: {error}") from error
    raise _lost("the server ended the connection")


async def hold(dsn: str, kind: int, number: int, *, held: Callable[[], None]) -> None:
    """Hold an advisory lock until its connection is lost: PostgreSQL knows by it when the process is dead.

    Args:
        dsn: of the server.
        kind: the lock's first number.
        number: its second number.
        held: called once it is held.

    Raises:
        DuoscopeError: UNAVAILABLE `metadata-store-unavailable` once the connection is lost, or could not be made.
    """
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "duoscope lives"}
        )
        try:
            if await connection.fetchval("SELECT pg_try_advisory_lock($1::int4, $2::int4)", kind, number):
                held()
                while not connection.is_closed():
                    await asyncio.sleep(LOCK_HEARTBEAT_S)
                    await connection.execute("SELECT 1", timeout=HEARTBEAT_TIMEOUT_S)
        finally:
            connection.terminate()
    except _LOST as error:
        raise _lost(f"{type(error).__name__}: {error}") from error
    raise _lost("the lock is held by another")


def _lost(detail: str) -> Exception:
    return unavailable(
        "The connection for PostgreSQL's notifications was lost.",
        code="metadata-store-unavailable",
        retry_after_s=RETRY_AFTER_S,
        detail=detail,
    )


async def _listen_once(
    dsn: str, channel: LiteralString, heard: Callable[[str], None], connected: Callable[[], Awaitable[None]]
) -> None:
    connection: asyncpg.Connection = await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "duoscope listens"}
    )
    lost = asyncio.Event()
    heartbeat_s = SOCKET_HEARTBEAT_S if _is_local(dsn) else HEARTBEAT_S
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(channel, lambda _connection, _pid, _channel, text: heard(text))
        await connected()
        while not lost.is_set():
            try:
                # Not wait_for(): in Python 3.11 it forgets that it was cancelled if the connection is lost just then.
                async with asyncio.timeout(heartbeat_s):
                    await lost.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=HEARTBEAT_TIMEOUT_S)
    finally:
        connection.terminate()


def _is_local(dsn: str) -> bool:
    """Whether the server is reached over a Unix socket and nothing else."""
    address = urlsplit(dsn)
    hosts = parse_qs(address.query).get("host", [])
    return not address.hostname and bool(hosts) and all(host.startswith("/") for host in ",".join(hosts).split(","))
