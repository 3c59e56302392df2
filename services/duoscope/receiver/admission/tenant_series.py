"""The active metric series of each tenant, so that new ones beyond its limit can be rejected.

Counted by this receiver, in memory: a restart begins at zero, and each of several receivers counts what it sees. One
thread at a time.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from uuid import UUID

from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.receiver.decoder import ActiveSeries, Bounds

PERIOD_S: Final = 1800.0
"""A series is active if it was seen in this period or the previous one: for 30 to 60 minutes."""

TENANTS_MAX: Final = 2000
"""Tenants that are counted at once; the one that has not sent for the longest time is forgotten and begins at zero."""


class TenantSeries:
    """The active series by tenant. `clock` counts seconds and never goes back."""

    def __init__(self, *, tenants_max: int = TENANTS_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._tenants_max = tenants_max
        self._clock = clock
        self._found: OrderedDict[UUID, tuple[ActiveSeries, float]] = OrderedDict()

    def of(self, tenant_id: UUID) -> ActiveSeries:
        """The tenant's series, without those that are no longer active."""
        now = self._clock()
        series, began = self._found.pop(tenant_id, (None, now))
        if series is None:
            series = ActiveSeries()
        elif now - began >= PERIOD_S:
            series.rotate()
            if now - began >= 2 * PERIOD_S:
                series.rotate()
            began = now
        self._found[tenant_id] = series, began
        if len(self._found) > self._tenants_max:
            self._found.popitem(last=False)
        return series


@lru_cache(maxsize=1024)
def bounds_of(applied: IngestLimits) -> Bounds:
    """A tenant's limits in the decoder's form."""
    return Bounds(applied.attributes, applied.attribute_bytes, applied.body_bytes, applied.active_series)
