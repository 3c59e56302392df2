"""Ends statements that nobody waits for any more.

The embedded engine takes no query id, and by HTTP a closed connection ends nothing, so a statement carries a marker in
its `log_comment`, by which `system.processes` finds it. A statement that is to end may not have begun yet: it is looked
for until the thread that runs it is through. All that are to end at one time are looked for at once.
"""

import asyncio
import logging
from typing import Any

from clickhouse_connect.driver.client import Client

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
        self._is_asking = False
        self._later: asyncio.TimerHandle | None = None

    def kill(self, marker: str, statement: "asyncio.Future[Any]") -> None:
        """End a statement, which then fails, soon."""
        self._wanted[marker] = statement
        if not self._is_asking:
            self._look()

    async def ended(self, marker: str, statement: "asyncio.Future[Any]") -> None:
        """End a statement, and wait until its thread is through. Its result or failure is nobody's."""
        self.kill(marker, statement)
        await asyncio.wait({statement})
        statement.exception()

    def _look(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._wanted = {marker: statement for marker, statement in self._wanted.items() if not statement.done()}
        if self._wanted:
            markers = sorted(self._wanted)
            self._is_asking = True
            self._pool.begin(lambda client: guarded(lambda: _ask(client, markers))).add_done_callback(self._asked)

    def _asked(self, asked: "asyncio.Future[None]") -> None:
        self._is_asking = False
        error = None if asked.cancelled() else asked.exception()
        if error is not None:
            _log.warning("queries could not be ended", exc_info=error)
        self._later = asyncio.get_running_loop().call_later(READ_KILL_AGAIN_S, self._look)


def _ask(client: Client, markers: list[str]) -> None:
    # Markers are hexadecimal digits of our own, and KILL binds no parameters.
    listed = ", ".join(f"'{marker}'" for marker in markers)
    client.query(f"KILL QUERY WHERE splitByChar(' ', Settings['log_comment'])[-1] IN ({listed}) ASYNC")
