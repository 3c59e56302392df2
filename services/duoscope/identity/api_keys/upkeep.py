"""Background work for the verification of API keys: receives notifications of changes, rechecks keys, writes uses.

There is one per process that verifies keys. A revocation takes effect within 2 s: PostgreSQL sends a notification with
its commit. If the connection breaks, a new one is opened and every key is checked again; a heartbeat detects a
connection that died silently. While PostgreSQL itself is down nothing is received, and no key can be revoked there
either.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import Final
from uuid import UUID

from duoscope.background.driver import Driver, Job, Running
from duoscope.identity.api_keys.verifier import RECHECK_S, ApiKeyVerifier, IngestPrincipal
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_key_usage_logs
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

CHANNEL: Final = "duoscope_api_keys"
FLUSH_USES_MAX: Final = 5000
"""Rows of one write."""
LAST_FLUSH_TIMEOUT_S: Final = 3.0
HEAR_CHANGES: Final = Job(
    "hear-api-key-changes", period_s=2.0, at_once=True, jitter=0.0, retry_s=0.1, turn_max_s=math.inf
)
"""One turn is one connection. With the heartbeat of stores/notifications.py, the first pause stays below the 2 s in
which a revocation must be known."""
RECHECK: Final = Job("recheck-api-keys", period_s=RECHECK_S)
WRITE_USES: Final = Job("write-api-key-uses", period_s=5.0)
"""The period limits the delay of `last_used_at`."""
KEEP_OFFLINE: Final = Job("keep-api-keys-for-a-restart", period_s=10.0, stop_s=5.0)
_FLUSH: Final = PlatformScope(reason="uses of API keys of all tenants are written together")

_PLACES: Final[dict[str, Callable[[IngestPrincipal], UUID]]] = {
    "tenant": lambda principal: principal.scope.tenant_id,
    "workspace": lambda principal: principal.scope.workspace_id,
    "organization": lambda principal: principal.scope.organization_id,
}


class ApiKeyUpkeep:
    """Keeps a verifier up to date, from `start` to `stop`."""

    def __init__(self, store: MetadataStore, verifier: ApiKeyVerifier) -> None:
        self._store = store
        self._verifier = verifier
        self._jobs: list[Running] = []
        self.listening = asyncio.Event()
        """Set once changes are heard for the first time."""

    def start(self, driver: Driver) -> None:
        """Start the jobs."""
        listening = driver.start(HEAR_CHANGES, lambda: self._listen(listening))
        keeping = driver.start(KEEP_OFFLINE, self._write_offline)
        # A removed key must not be accepted after a restart either.
        self._verifier.on_removal = keeping.activate
        self._jobs = [
            listening,
            driver.start(RECHECK, self._verifier.recheck),
            driver.start(WRITE_USES, self.flush),
            keeping,
        ]

    async def stop(self) -> None:
        """Stop the jobs, and write down what is known, as far as that is quick."""
        for job in self._jobs:
            await job.stop()
        with contextlib.suppress(DuoscopeError, TimeoutError):
            await asyncio.wait_for(self.flush(), LAST_FLUSH_TIMEOUT_S)
        await self._write_offline()

    async def flush(self) -> None:
        """Write the uses since the last time. With UNAVAILABLE they are kept for the next time."""
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

    async def _listen(self, job: Running) -> None:
        async def connected() -> None:
            # Checks everything that changed while nobody listened. Listening began before this, so no change is missed.
            self._verifier.origins.doubt()
            await self._verifier.recheck()
            self.listening.set()
            job.note_progress()

        await self._store.listen(CHANNEL, heard=self.heard, connected=connected)

    def heard(self, text: str) -> None:
        """Handle a notification of migrations 0008 and 0019: what changed, and its id."""
        kind, _, identifier = text.partition(":")
        try:
            changed = UUID(identifier)
        except ValueError:
            _log.warning("an unknown notice of API keys", extra={"detail": text[:100]})
            return
        self._verifier.origins.doubt()
        if kind == "revoked":
            self._verifier.drop(changed)
        elif kind in _PLACES:
            place = _PLACES[kind]
            self._verifier.doubt(lambda principal: place(principal) == changed)
        else:
            self._verifier.forget(changed)

    async def _write_offline(self) -> None:
        if (offline := self._verifier.offline) is not None:
            await asyncio.to_thread(offline.write, self._verifier.offline_keys())
