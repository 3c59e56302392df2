"""How often dashboards are looked at: counted in memory, and written a little later, for all who looked together.

Looking writes nothing else, and waits for nothing. A process that is killed loses the counts of its last seconds.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Final
from uuid import UUID

from duoscope.background.driver import Driver, Job, Running
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import Scope
from duoscope.metadata import dashboards
from duoscope.stores.postgres import MetadataStore

COUNT_VIEWS: Final = Job("count-views-of-dashboards", period_s=5.0)
LAST_FLUSH_TIMEOUT_S: Final = 3.0
_KNOWN_MAX: Final = 10_000
"""Dashboards that are counted until the next turn; further ones are not."""


class Views:
    """The looks at dashboards that are not written down yet."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._counted: Counter[tuple[Scope, UUID]] = Counter()
        self._job: Running | None = None

    def add(self, scope: Scope, dashboard_id: UUID) -> None:
        """Count one look."""
        key = scope, dashboard_id
        if key in self._counted or len(self._counted) < _KNOWN_MAX:
            self._counted[key] += 1

    def start(self, driver: Driver) -> Running:
        """Start the job that writes them."""
        self._job = driver.start(COUNT_VIEWS, self.flush)
        return self._job

    async def close(self) -> None:
        """Stop the job, and write what is counted, as far as that is quick."""
        if self._job is not None:
            await self._job.stop()
        with contextlib.suppress(DuoscopeError, TimeoutError):
            await asyncio.wait_for(self.flush(), LAST_FLUSH_TIMEOUT_S)

    async def flush(self) -> None:
        """Write what is counted. With UNAVAILABLE it is kept for the next time."""
        counted, self._counted = self._counted, Counter()
        by_tenant: dict[Scope, dict[UUID, int]] = {}
        for (scope, dashboard_id), views in counted.items():
            by_tenant.setdefault(scope, {})[dashboard_id] = views
        try:
            while by_tenant:
                scope, views = next(iter(by_tenant.items()))
                async with self._store.open(scope, "dashboards.add_views") as tx:
                    await dashboards.add_views(tx, views)
                del by_tenant[scope]
        except BaseException:
            left = {(scope, each): number for scope, views in by_tenant.items() for each, number in views.items()}
            self._counted.update(left)
            raise
