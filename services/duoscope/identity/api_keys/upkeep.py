"""What goes on behind the verification of API keys: notices of changes heard, keys asked about again, uses written.

One a process that verifies keys. A revocation is heard within 2 s: PostgreSQL sends a notice with its commit; where the
connection that hears them breaks, it is made anew and every key asked about, and a connection that dies without a word
is found by its heartbeat. Where PostgreSQL itself is away nothing is heard, and no key can be revoked there either.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final
from uuid import UUID

from duoscope.identity.api_keys.verifier import RECHECK_S, ApiKeyVerifier, IngestPrincipal
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_key_usage_logs
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

CHANNEL: Final = "duoscope_api_keys"
FLUSH_S: Final = 5.0
"""How often uses are written: last_used_at is late by no more than that."""
FLUSH_USES_MAX: Final = 5000
"""Rows of one write."""
KEEP_OFFLINE_S: Final = 10.0
LAST_FLUSH_TIMEOUT_S: Final = 3.0
_FLUSH: Final = PlatformScope(reason="uses of API keys of all tenants are written together")

_PLACES: Final[dict[str, Callable[[IngestPrincipal], UUID]]] = {
    "tenant": lambda principal: principal.scope.tenant_id,
    "workspace": lambda principal: principal.scope.workspace_id,
    "organization": lambda principal: principal.scope.organization_id,
}


class ApiKeyUpkeep:
    """Runs from `start` to `stop`."""

    def __init__(self, store: MetadataStore, verifier: ApiKeyVerifier) -> None:
        self._store = store
        self._verifier = verifier
        self._tasks: list[asyncio.Task[None]] = []
        self.listening = asyncio.Event()
        """Set once changes are heard for the first time."""

    def start(self) -> None:
        """Begin."""
        for name, work in (
            ("hear of API keys", self._listen()),
            ("recheck API keys", self._every(RECHECK_S, self._verifier.recheck)),
            ("write uses of API keys", self._every(FLUSH_S, self.flush)),
            ("keep API keys for a restart", self._keep_offline()),
        ):
            self._tasks.append(asyncio.create_task(work, name=name))

    async def stop(self) -> None:
        """End, and write down what is known, as far as that is quick."""
        running = set(self._tasks)
        while running:
            # Again and again: code below may take a cancellation for an answer that came at the same moment.
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=1)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(DuoscopeError, TimeoutError):
            await asyncio.wait_for(self.flush(), LAST_FLUSH_TIMEOUT_S)
        await self._write_offline()

    async def flush(self) -> None:
        """Write the uses since the last time; UNAVAILABLE keeps them for the next."""
        uses = self._verifier.take_uses()
        while uses:
            part, rest = uses[:FLUSH_USES_MAX], uses[FLUSH_USES_MAX:]
            try:
                async with self._store.open_platform(_FLUSH, "api_keys.record_uses") as tx:
                    await api_key_usage_logs.record(tx, part)
            except BaseException:
                self._verifier.put_back_uses(uses)
                raise
            uses = rest

    async def _listen(self) -> None:
        await self._store.listen(CHANNEL, heard=self.heard, connected=self._connected)

    async def _connected(self) -> None:
        # Whatever changed while nobody listened. Listening began before this, so nothing falls in between.
        await self._verifier.recheck()
        self.listening.set()

    def heard(self, text: str) -> None:
        """A notice of migration 0008: what changed, and its id."""
        kind, _, identifier = text.partition(":")
        try:
            changed = UUID(identifier)
        except ValueError:
            _log.warning("an unknown notice of API keys", extra={"detail": text[:100]})
            return
        if kind == "revoked":
            self._verifier.drop(changed)
        elif kind in _PLACES:
            place = _PLACES[kind]
            self._verifier.doubt(lambda principal: place(principal) == changed)
        else:
            self._verifier.forget(changed)

    async def _every(self, period_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(period_s)
            try:
                await work()
            except DuoscopeError as error:
                _log.info("upkeep of API keys: %s", error.message, extra={"detail": error.detail or ""})

    async def _keep_offline(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._verifier.removed.wait(), KEEP_OFFLINE_S)
            await self._write_offline()

    async def _write_offline(self) -> None:
        self._verifier.removed.clear()
        if (offline := self._verifier.offline) is not None:
            await asyncio.to_thread(offline.write, self._verifier.offline_keys())
