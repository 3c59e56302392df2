"""What is asked of the store now, and what took longest within a day: by tenant, in memory, for one process.

The slowest are kept by stretches of a few hours, a few of each, so that those of yesterday do not hide those of today,
and so that a tenant takes a bounded place. Beyond a number over all tenants, those whose tenant was slow the longest
time ago are forgotten.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from operator import attrgetter
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, not_found
from duoscope.stores.clickhouse.questions import Asker, Described, Question, cancelled, stopping

_log = logging.getLogger(__name__)
_SECOND_NS: Final = 10**9
_STRETCH_NS: Final = 3 * 3600 * _SECOND_NS
_OF_A_STRETCH_MAX: Final = 20
_SHORT_S: Final = 0.05
"""What takes less is not kept: nobody looks for it."""

_rows = Counter("duoscope_query_read_rows", "Rows that queries of telemetry read")
_bytes = Counter("duoscope_query_read_bytes", "Bytes that queries of telemetry read")
_refused = Counter("duoscope_queries_refused", "Requests of which a query was refused", ["code"])


@dataclass(frozen=True, slots=True)
class Asked:
    """A question at one moment: while it is at work, or when it was over.

    Attributes:
        question_id: of the question.
        asker: who asked.
        described: what was asked.
        asked_ns: when.
        busy_s: for how long it had a statement that waited or ran.
        waited_s: how long its statements waited, together.
        read_rows, read_bytes: in the store.
        statements, windows: how many; windows of time only in searches that read the newest first.
        is_running: whether a statement runs; else it waits, or there is none at this moment.
        was_ended: whether it was ended from outside.
    """

    question_id: UUID
    asker: Asker
    described: Described
    asked_ns: int
    busy_s: float
    waited_s: float
    read_rows: int
    read_bytes: int
    statements: int
    windows: int
    is_running: bool
    was_ended: bool

    @classmethod
    def of(cls, question: Question) -> "Asked":
        """A question as it is now."""
        return cls(
            question.question_id,
            question.asker,
            question.described,
            question.asked_ns,
            question.busy_s,
            question.waited_s,
            question.read_rows,
            question.read_bytes,
            question.statements,
            question.windows,
            question.is_running,
            question.ended is not None,
        )


class Questions:
    """The questions of one process."""

    def __init__(self, slow_s: float, kept_max: int = limits.QUERIES_KEPT_MAX) -> None:
        """Create the list. What takes `slow_s` is logged; 0: nothing. `kept_max` slow ones are kept at most."""
        self._slow_s = slow_s
        self._kept_max = kept_max
        self._open: dict[UUID, dict[UUID, Question]] = {}
        self._slowest: OrderedDict[UUID, list[Asked]] = OrderedDict()
        self._kept = 0

    def open(self, question: Question) -> None:
        """Note a question that has begun."""
        self._open.setdefault(question.asker.tenant_id, {})[question.question_id] = question

    def close(self, question: Question) -> None:
        """Note that a question is over."""
        tenant_id = question.asker.tenant_id
        of_tenant = self._open.get(tenant_id, {})
        of_tenant.pop(question.question_id, None)
        if not of_tenant:
            self._open.pop(tenant_id, None)
        _rows.inc(question.read_rows)
        _bytes.inc(question.read_bytes)
        if question.refused_with:
            _refused.labels(question.refused_with).inc()
        if question.busy_s >= _SHORT_S:
            self._keep(Asked.of(question))
        if self._slow_s and question.busy_s >= self._slow_s:
            # Not what was asked: that is the tenant's.
            extra = {
                "route": question.described.route,
                "request_id": question.described.request_id,
                "tenant_id": tenant_id,
                "caller_id": question.asker.caller_id,
                "duration_ms": round(question.busy_s * 1000, 1),
                "waited_ms": round(question.waited_s * 1000, 1),
                "read_rows": question.read_rows,
                "read_bytes": question.read_bytes,
                "statements": question.statements,
            }
            _log.warning("slow query", extra=extra)

    def at_work(self, tenant_id: UUID) -> list[Asked]:
        """The questions of a tenant that are at work now, the oldest first."""
        return [Asked.of(question) for question in self._open.get(tenant_id, {}).values() if question.is_at_work]

    def slowest(self, tenant_id: UUID, limit: int) -> list[Asked]:
        """The questions of a tenant that took longest within a day, the slowest first."""
        since = now_unix_nano() - limits.QUERIES_KEPT_S * _SECOND_NS
        recent = [asked for asked in self._slowest.get(tenant_id, ()) if asked.asked_ns >= since]
        return sorted(recent, key=attrgetter("busy_s"), reverse=True)[:limit]

    def cancel(self, *, tenant_id: UUID, question_id: UUID) -> None:
        """End a question of a tenant. Raises NOT_FOUND if it has none of this id."""
        question = self._open.get(tenant_id, {}).get(question_id)
        if question is None:
            raise not_found("query at work in this process")
        question.end(cancelled())

    def end_all(self, why: DuoscopeError | None = None) -> None:
        """End all questions; by default because the process stops."""
        for of_tenant in list(self._open.values()):
            for question in list(of_tenant.values()):
                question.end(why or stopping())

    def _keep(self, asked: Asked) -> None:
        tenant_id, stretch = asked.asker.tenant_id, asked.asked_ns // _STRETCH_NS
        since = asked.asked_ns - limits.QUERIES_KEPT_S * _SECOND_NS
        before = self._slowest.get(tenant_id, [])
        kept = [each for each in before if each.asked_ns >= since] + [asked]
        beside = [each for each in kept if each.asked_ns // _STRETCH_NS == stretch]
        if len(beside) > _OF_A_STRETCH_MAX:
            kept.remove(min(beside, key=attrgetter("busy_s")))
        self._slowest[tenant_id] = kept
        self._slowest.move_to_end(tenant_id)
        self._kept += len(kept) - len(before)
        while self._kept > self._kept_max and len(self._slowest) > 1:
            _, forgotten = self._slowest.popitem(last=False)
            self._kept -= len(forgotten)
