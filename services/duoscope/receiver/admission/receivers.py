"""Counts the receivers: each admits its share of a tenant's limits, so that the limits hold over all.

Each receiver records in PostgreSQL every few seconds that it runs, and the same statement returns how many do. A
receiver that stops removes its row; one that died is counted until its row is too old. While PostgreSQL is down the
last number stays. When it is back, a smaller number is ignored for as long as the others may need to record themselves
again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime
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
"""How often a receiver records that it runs, and how long that is valid."""
BEAT_MAX_S: Final = 2.0
"""How long PostgreSQL may take for it."""

_SCOPE: Final = PlatformScope(reason="receivers share the limits of tenants")
_AWAY: Final = (DuoscopeError, TimeoutError)


class Receivers:
    """Counts the running receivers, from `start` to `close`. `count` is at least 1: this one."""

    def __init__(
        self,
        metadata: MetadataStore,
        receiver_id: UUID,
        waiting_since: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """Create it. `waiting_since` is when the oldest request was acknowledged that is not in ClickHouse: rules that
        watch its time wait (alerting/evaluation.py).
        """
        self._metadata = metadata
        self._waiting_since = waiting_since
        self._receiver_id = receiver_id
        self._unheard_at = float("-inf")
        self._job: Running | None = None
        self.count = 1

    async def start(self, driver: Driver) -> None:
        """Record this receiver before the first request is accepted, unless PostgreSQL is down."""
        with contextlib.suppress(*_AWAY):
            await self.beat()
        self._job = driver.start(COUNT_RECEIVERS, self.beat)

    async def close(self) -> None:
        """Remove this receiver from the count. May be called twice, and without `start`."""
        job, self._job = self._job, None
        if job is None:
            return
        await job.stop()
        with contextlib.suppress(*_AWAY):
            async with asyncio.timeout(BEAT_MAX_S), self._metadata.open_platform(_SCOPE, "receivers.leave") as tx:
                await receivers.leave(tx, self._receiver_id)

    async def beat(self) -> None:
        """Record that this receiver runs, and count. Raises while PostgreSQL is down: the number stays as it is."""
        try:
            async with asyncio.timeout(BEAT_MAX_S), self._metadata.open_platform(_SCOPE, "receivers.beat") as tx:
                count = await receivers.beat(tx, self._receiver_id, for_s=ALIVE_S, waiting_since=self._waiting_since())
        except BaseException:
            self._unheard_at = time.monotonic()
            raise
        finally:
            _living.set(self.count)
        if count > self.count or time.monotonic() - self._unheard_at > ALIVE_S:
            self.count = count
            _living.set(count)
