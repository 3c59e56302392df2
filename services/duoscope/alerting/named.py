"""The named expressions of tenants, as readers of telemetry ask for them: kept for a few seconds."""

import time
from collections import OrderedDict
from typing import Final
from uuid import UUID

from duoscope.kernel.named_expressions import ByName, NamedExpression
from duoscope.kernel.scope import Scope
from duoscope.metadata import named_expressions
from duoscope.stores.postgres import MetadataStore

KEPT_S: Final = 5.0
TENANTS_MAX: Final = 1000


class NamedExpressions:
    """Looks them up for one process."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._kept: OrderedDict[UUID, tuple[float, ByName]] = OrderedDict()

    async def of(self, scope: Scope) -> ByName:
        """Return those of a tenant, by name; at most KEPT_S old.

        Raises:
            DuoscopeError: UNAVAILABLE while PostgreSQL is away.
        """
        kept = self._kept.get(scope.tenant_id)
        if kept is not None and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        async with self._store.open(scope, "named_expressions.all") as tx:
            rows = await named_expressions.every(tx)
        found: dict[str, tuple[NamedExpression, ...]] = {}
        for row in rows:
            made = NamedExpression(row.name, row.expression, row.interval_seconds, row.labels)
            found[row.name] = (*found.get(row.name, ()), made)
        self._kept[scope.tenant_id] = (time.monotonic(), found)
        self._kept.move_to_end(scope.tenant_id)
        if len(self._kept) > TENANTS_MAX:
            self._kept.popitem(last=False)
        return found

    def forget(self, scope: Scope) -> None:
        """Look a tenant's up again: they have changed here."""
        self._kept.pop(scope.tenant_id, None)
