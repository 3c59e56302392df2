"""Questions: what one request asks of the store, in one or more statements.

A question knows who asks, what was read for it and how long that took, and whether its answer is still wanted: it can
be ended from outside, when its client goes away, when somebody cancels it and when the process stops. Then what it has
at work is killed, what waits for a place is let go, and what it would ask next is refused.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from prometheus_client import Counter

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, unavailable
from duoscope.kernel.ids import new_id
from duoscope.kernel.limits import READ_RETRY_AFTER_S
from duoscope.kernel.query_limits import QueryLimits

_cancelled = Counter("duoscope_queries_cancelled", "Requests whose queries were ended from outside", ["code"])


_ROWS_STEP: Final = 8192
_BYTES_STEP: Final = 64 * 1024


def shown_rows(rows: int) -> int:
    """Rows that were read as a tenant may see them: in whole granules, in which the store reads.

    The granule at the edge of its own has rows of a neighbour, and the exact number would say which of them there are.
    """
    return -(-rows // _ROWS_STEP) * _ROWS_STEP


def shown_bytes(size: int) -> int:
    """Bytes that were read as a tenant may see them, likewise."""
    return -(-size // _BYTES_STEP) * _BYTES_STEP


class GoneClientError(DuoscopeError):
    """The client disconnected before its answer was complete: nobody reads it, and nothing is wrong."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.UNAVAILABLE, "client-gone", "The client is gone.", retry_after_s=READ_RETRY_AFTER_S)


CANCELLED: Final = "query-cancelled"


def cancelled() -> DuoscopeError:
    """The error for a question that somebody of its tenant ended."""
    return invalid("The query was cancelled, by somebody who may cancel your tenant's queries.", code=CANCELLED)


def stopping() -> DuoscopeError:
    """The error for a question whose process stops."""
    return unavailable("duoscope is shutting down; ask again.", code="shutting-down", retry_after_s=READ_RETRY_AFTER_S)


def _over() -> DuoscopeError:
    return unavailable("The request is over.", code="request-over", retry_after_s=READ_RETRY_AFTER_S)


class Caller(NamedTuple):
    """A user or an API key that asks.

    Attributes:
        caller_id: of the user or the key.
        kind: `user` or `api-key`.
        name: e-mail address, or the key's name.
        own_limits: of its tenant, by name.
    """

    caller_id: UUID
    kind: str
    name: str
    own_limits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Asker:
    """A caller in its tenant, with the limits that apply.

    Attributes:
        tenant_id: whose telemetry.
        caller_id: the user or the API key; the tenant itself for work of the process.
        kind: `user`, `api-key` or `system`.
        name: e-mail address, or the key's name.
        limits: of the tenant.
    """

    tenant_id: UUID
    caller_id: UUID
    kind: str = "system"
    name: str = ""
    limits: QueryLimits = field(default_factory=QueryLimits)


class Described(NamedTuple):
    """A question as people know it.

    Attributes:
        route: method and path template.
        request_id: of the request.
        text: what was asked: the parameters or the body. It is the tenant's: for no log.
    """

    route: str = ""
    request_id: str = ""
    text: str = ""


class Question:
    """A question that one request asks. All its methods are for the event loop's thread."""

    __slots__ = (
        "_at_work",
        "_at_work_since",
        "_began",
        "_busy_s",
        "_describe",
        "_killing",
        "_over",
        "_waiting",
        "asked_ns",
        "asker",
        "described",
        "ended",
        "has_had_slot",
        "question_id",
        "read_bytes",
        "read_rows",
        "refused_with",
        "statements",
        "waited_s",
        "windows",
    )

    def __init__(self, describe: Callable[[], Described] = Described) -> None:
        self._describe = describe
        self._began = False
        self._over: Callable[[Question], None] | None = None
        self._killing: dict[str, Callable[[], None]] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._at_work = 0
        self._at_work_since = 0.0
        self._busy_s = 0.0
        self.ended: DuoscopeError | None = None
        self.refused_with = ""
        self.statements = self.windows = self.read_rows = self.read_bytes = 0
        self.waited_s = 0.0
        self.has_had_slot = False
        self.question_id: UUID
        self.asker: Asker
        self.asked_ns: int
        self.described: Described

    def begin(self, asker: Asker, over: "Callable[[Question], None] | None") -> bool:
        """Note the first statement, and what is called when the question is over. Returns whether it is the first."""
        if self._began:
            return False
        self._began = True
        self.asker, self._over = asker, over
        self.question_id, self.asked_ns = new_id(), now_unix_nano()
        self.described = self._describe()
        return True

    def require_wanted(self) -> None:
        """Raise why the question was ended, if it was."""
        if self.ended is not None:
            raise self.ended

    def end(self, why: DuoscopeError) -> None:
        """End the question: kill what is at work, let go what waits, refuse what comes."""
        if self.ended is not None:
            return
        self.ended = why
        if self._at_work:
            _cancelled.labels(why.code).inc()
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(why)
        for kill in list(self._killing.values()):
            kill()

    def close(self) -> None:
        """Note that the request is over. What is still at work for it, beside a statement that failed, is ended."""
        if self._at_work:
            self.end(_over())
        if self._over is not None:
            self._over(self)

    def owe(self, other: "Question") -> None:
        """Add what another question cost, which was asked for this one, to what this one's answer says of itself."""
        self.statements += other.statements
        self.windows += other.windows
        self.read_rows += other.read_rows
        self.read_bytes += other.read_bytes
        self.waited_s += other.waited_s
        self._busy_s += other.busy_s

    @property
    def is_at_work(self) -> bool:
        """Whether it has a statement that runs or waits."""
        return bool(self._at_work)

    @property
    def is_running(self) -> bool:
        """Whether it has a statement that runs."""
        return bool(self._killing)

    @property
    def busy_s(self) -> float:
        """The time during which it had a statement that ran or waited."""
        return self._busy_s + (time.perf_counter() - self._at_work_since if self._at_work else 0)

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Count a statement, which waits and then runs within the context."""
        if not self._at_work:
            self._at_work_since = time.perf_counter()
        self._at_work += 1
        self.statements += 1
        try:
            yield
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._busy_s += time.perf_counter() - self._at_work_since

    @contextmanager
    def waiting(self, turn: "asyncio.Future[None]") -> Generator[None]:
        """End the wait for `turn` with the question; count how long it is."""
        began = time.perf_counter()
        try:
            with self.told(turn):
                yield
        finally:
            self.waited_s += time.perf_counter() - began

    @contextmanager
    def told(self, turn: "asyncio.Future[None]") -> Generator[None]:
        """Set on `turn` why the question was ended, if that is while the context lasts."""
        self._waiting.add(turn)
        try:
            yield
        finally:
            self._waiting.discard(turn)

    @contextmanager
    def running(self, marker: str, kill: Callable[[], None]) -> Generator[None]:
        """Kill a statement with the question."""
        self._killing[marker] = kill
        try:
            yield
        finally:
            del self._killing[marker]


_question: ContextVar[Question | None] = ContextVar("question", default=None)


@contextmanager
def asking(describe: Callable[[], Described] = Described) -> Generator[Question]:
    """Open a question, of which everything that is read within the context is a part."""
    question = Question(describe)
    token = _question.set(question)
    try:
        yield question
    finally:
        _question.reset(token)
        question.close()


def current() -> Question | None:
    """The open question."""
    return _question.get()


def count_window() -> None:
    """Note that the open question reads one more window of time."""
    question = _question.get()
    if question is not None:
        question.windows += 1
