"""Counts requests that were refused whole, for the sending tenant: by minute, key, signal and reason.

They are counted in memory and written together every few seconds, not for each request: refusing must stay cheap. The
number of counts is limited; a kill loses the counts since the last write.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from duoscope.background.driver import Driver, Job, Running
from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.signals import Signal
from duoscope.stores.clickhouse import REJECTIONS, IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)
_uncounted = Counter("duoscope_ingest_uncounted_refusals", "Refused requests that found no place among the counts")

WRITE_REFUSALS: Final = Job("write-refusals", period_s=5.0)
COUNTS_MAX: Final = 10_000
"""Counts that may wait to be written."""
LAST_WRITE_MAX_S: Final = 3.0


class RejectionCounter:
    """Counts with `count`, and writes in the background from `start` to `close`. Safe within one event loop."""

    def __init__(self, writer: IngestWriter, is_away: Callable[[], bool]) -> None:
        """Create the counter. `is_away` says whether ClickHouse is known to be down: counts then wait."""
        self._writer = writer
        self._is_away = is_away
        self._counts: dict[tuple[UUID, str, str, int], tuple[Scope, int]] = {}
        self._unwritten: tuple[str, bytes] | None = None
        self._job: Running | None = None

    def count(self, principal: IngestPrincipal, signal: Signal, reason: str) -> None:
        """Count a refused request, with the reason that its sender got."""
        kind = (principal.api_key_id, signal.name, reason, int(time.time()) // 60)
        scope, known = self._counts.get(kind, (principal.scope, 0))
        if not known and len(self._counts) >= COUNTS_MAX:
            _uncounted.inc()
        else:
            self._counts[kind] = scope, known + 1

    def start(self, driver: Driver) -> None:
        """Start the job that writes."""
        self._job = driver.start(WRITE_REFUSALS, self.write)

    async def close(self) -> None:
        """Stop the job, and write what is left as far as that is quick."""
        if self._job is not None:
            await self._job.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITE_MAX_S):
                await self.write()

    async def write(self) -> None:
        """Write the counts. A failed write is tried again under the same token, so that it counts once."""
        if self._is_away():
            return
        if self._unwritten is None:
            if not self._counts:
                return
            self._unwritten = str(new_id()), b"\n".join(self._rows())
            self._counts = {}
        token, rows = self._unwritten
        try:
            await self._writer.insert(REJECTIONS, rows, form="JSONEachRow", token=token)
        except DuoscopeError as error:
            _log.info("refused requests are counted later: %s", error.detail or error.message)
            return
        except RejectedByStoreError:
            _log.exception("counts of refused requests are given up")
        self._unwritten = None

    def _rows(self) -> list[bytes]:
        return [
            json.dumps(
                {
                    "organization_id": str(scope.organization_id),
                    "workspace_id": str(scope.workspace_id),
                    "tenant_id": str(scope.tenant_id),
                    "minute": minute * 60,
                    "signal": signal,
                    "api_key_id": str(api_key_id),
                    "reason": reason,
                    "requests": requests,
                    "items": 0,
                }
            ).encode()
            for (api_key_id, signal, reason, minute), (scope, requests) in self._counts.items()
        ]
