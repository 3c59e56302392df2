"""How many receivers there are: of what a tenant may send, each lets in its share, so that the limit holds over all.

Each receiver says in PostgreSQL every few seconds that it lives, and learns by the same statement how many do. One that
stops takes its row away, one that died is counted until its row is too old. While PostgreSQL is away the last number
holds; and when it is back, for as long as the others may need to be heard of again, a smaller one is not believed.
"""

import asyncio
import contextlib
import time
from typing import Final
from uuid import UUID

from prometheus_client import Gauge

from duoscope.background.driver import Driver, Job, Running
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import receivers
from duoscope.stores.postgres import MetadataStore

_living = Gauge("duoscope_ingest_receivers", "Receivers that share the limits of tenants, as this one knows")

COUNT_RECEIVERS: Final = Job("count-receivers", period_s=3.0)
ALIVE_S: Final = 15.0
"""How often a receiver says that it lives, and how long that is believed."""
BEAT_MAX_S: Final = 2.0
"""How long PostgreSQL may take for it."""

_SCOPE: Final = PlatformScope(reason="receivers share the limits of tenants")
_AWAY: Final = (DuoscopeError, TimeoutError)


class Receivers:
    """Counts the living from `start` to `close`. `count` is at least 1: this one."""

    def __init__(self, metadata: MetadataStore, receiver_id: UUID) -> None:
        self._metadata = metadata
        self._receiver_id = receiver_id
        self._unheard_at = float("-inf")
        self._job: Running | None = None
        self.count = 1

    async def start(self, driver: Driver) -> None:
        """Be counted before the first request is taken, unless PostgreSQL is away."""
        with contextlib.suppress(*_AWAY):
            await self.beat()
        self._job = driver.start(COUNT_RECEIVERS, self.beat)

    async def close(self) -> None:
        """Be counted no more. May be called twice, and where `start` was not."""
        job, self._job = self._job, None
        if job is None:
            return
        await job.stop()
        with contextlib.suppress(*_AWAY):
            async with asyncio.timeout(BEAT_MAX_S), self._metadata.open_platform(_SCOPE, "receivers.leave") as tx:
                await receivers.leave(tx, self._receiver_id)

    async def beat(self) -> None:
        """Say that this receiver lives, and count. Raises while PostgreSQL is away: the number stays as it is."""
        try:
            async with asyncio.timeout(BEAT_MAX_S), self._metadata.open_platform(_SCOPE, "receivers.beat") as tx:
                count = await receivers.beat(tx, self._receiver_id, for_s=ALIVE_S)
        except BaseException:
            self._unheard_at = time.monotonic()
            raise
        finally:
            _living.set(self.count)
        if count > self.count or time.monotonic() - self._unheard_at > ALIVE_S:
            self.count = count
            _living.set(count)
