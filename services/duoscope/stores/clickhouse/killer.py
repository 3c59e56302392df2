"""Ends statements that nobody waits for any more.

The embedded engine takes no query id, and by HTTP a closed connection ends nothing, so a statement carries a marker in
its `log_comment`, by which `system.processes` finds it. A statement that is to end may not have begun yet: it is looked
for until the thread that runs it is through. All that are to end at one time are looked for at once.
"""

import asyncio
import logging
from typing import Any

from clickhouse_connect.driver.client import Client

from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.limits import READ_KILL_AGAIN_S
from duoscope.stores.clickhouse.errors import guarded
from duoscope.stores.clickhouse.pool import Pool

_log = logging.getLogger(__name__)


def marked(name: str) -> tuple[str, str]:
    """A marker, and the `log_comment` of the statement of that name which carries it."""
    marker = new_id().hex
    return marker, f"{name} {marker}"


class Killer:
    """Ends statements of one store, with a client that waits for no other."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._wanted: dict[str, asyncio.Future[Any]] = {}
        self._task: asyncio.Task[None] | None = None

    def kill(self, marker: str, statement: "asyncio.Future[Any]") -> None:
        """End a statement, which then fails, soon."""
        self._wanted[marker] = statement
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._kill())

    async def ended(self, marker: str, statement: "asyncio.Future[Any]") -> None:
        """End a statement, and wait until its thread is through. Its result or failure is nobody's."""
        self.kill(marker, statement)
        await asyncio.wait({statement})
        statement.exception()

    async def _kill(self) -> None:
        while self._wanted:
            markers = sorted(self._wanted)
            try:
                await self._pool.run(lambda client, markers=markers: guarded(lambda: _ask(client, markers)))
            except DuoscopeError as error:
                _log.warning("queries could not be ended", extra={"code": error.code, "detail": error.detail or ""})
            await asyncio.wait(self._wanted.values(), timeout=READ_KILL_AGAIN_S)
            self._wanted = {marker: statement for marker, statement in self._wanted.items() if not statement.done()}


def _ask(client: Client, markers: list[str]) -> None:
    # Markers are hexadecimal digits of our own, and KILL binds no parameters.
    listed = ", ".join(f"'{marker}'" for marker in markers)
    client.query(f"KILL QUERY WHERE splitByChar(' ', Settings['log_comment'])[-1] IN ({listed}) ASYNC")
