"""Answers the queries in annotations of alerts, in the tenant's own telemetry as of the transition."""

import asyncio
import math
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.kernel.clock import unix_ns
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import Scope
from duoscope.metadata.alert_transitions import PlacedTransition
from duoscope.notification.templates import Mistake, Sample
from duoscope.stores.clickhouse import TelemetryReader, TelemetryStore
from duoscope.stores.clickhouse.questions import Described, asking
from duoscope.telemetry.questions.answers import Steps
from duoscope.telemetry.questions.promql import PromqlQuestion
from duoscope.telemetry.times import SECOND_NS

QUERY_MAX_S: Final = 3.0
MINUTE_S: Final = 60.0
MINUTE_MAX_S: Final = 20.0
"""For all queries of a minute: what is owed waits for them, and must not wait long."""
TENANT_MINUTE_MAX_S: Final = 10.0
"""For those of one tenant."""
TENANT_SHARE_S: Final = 1.0
"""For those of one tenant in a minute of which others have taken MINUTE_MAX_S: nobody leaves the others without."""
TENANTS_MAX: Final = 10_000
"""Whose times are kept, of one minute; beyond, the first of them is forgotten."""
SAMPLES_MAX: Final = 1000


async def answered(
    reader: TelemetryReader, expression: str, at: datetime, seconds: float = QUERY_MAX_S
) -> Sequence[Sample]:
    """Ask an expression as of a moment. Raises Mistake if it cannot be answered, or not in that time."""
    moment = Steps(unix_ns(at), SECOND_NS)
    try:
        async with asyncio.timeout(seconds):
            found = await PromqlQuestion(expression).read(reader, moment)
    except DuoscopeError as error:
        raise Mistake(error.message) from error
    except TimeoutError:
        raise Mistake(f"the query takes longer than {seconds:.1f} s") from None
    rows = zip(found.labels, found.values[:, -1].tolist(), found.has[:, -1].tolist(), strict=True)
    samples = [Sample(dict(labels), value) for labels, value, has in rows if has and not math.isnan(value)]
    return samples[:SAMPLES_MAX]


class Asking:
    """Answers queries of annotations, for one process."""

    def __init__(self, telemetry: TelemetryStore) -> None:
        self._telemetry = telemetry
        self._minute = -1
        self._taken_s = 0.0
        self._taken_by: dict[UUID, float] = {}

    async def __call__(self, placed: PlacedTransition, expression: str) -> Sequence[Sample]:
        """Ask an expression as of a transition.

        Raises:
            Mistake: it cannot be answered, or not in time.
        """
        left_s = self._left_s(placed.tenant_id)
        if left_s <= 0:
            raise Mistake("queries of annotations have taken too long in this minute")
        told, began = placed.transition, time.monotonic()
        scope = Scope(placed.organization_id, placed.workspace_id, placed.tenant_id)
        described = Described("annotation", str(told.alert_rule_id), told.alert_rule_name)
        try:
            with asking(lambda: described):
                return await answered(self._telemetry.bind(scope), expression, told.at, min(QUERY_MAX_S, left_s))
        finally:
            self._charge(placed.tenant_id, time.monotonic() - began)

    def _left_s(self, tenant_id: UUID) -> float:
        minute = int(time.monotonic() // MINUTE_S)
        if minute != self._minute:
            self._minute, self._taken_s, self._taken_by = minute, 0.0, {}
        most = TENANT_MINUTE_MAX_S if self._taken_s < MINUTE_MAX_S else TENANT_SHARE_S
        return most - self._taken_by.get(tenant_id, 0.0)

    def _charge(self, tenant_id: UUID, seconds: float) -> None:
        self._taken_s += seconds
        if tenant_id not in self._taken_by and len(self._taken_by) >= TENANTS_MAX:
            del self._taken_by[next(iter(self._taken_by))]
        self._taken_by[tenant_id] = self._taken_by.get(tenant_id, 0.0) + seconds
