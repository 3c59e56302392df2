"""Answers that viewers share: each question of a tenant is under way once, however many look, and its answer is kept a
while.

An errand asks several questions for whoever waits for one of them. It is nobody's request: when nobody waits any more,
it ends, and its statements are killed.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse.questions import Described, GoneClientError, Question, asking
from duoscope.stores.clickhouse.read_memory import reading
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Floats

_log = logging.getLogger(__name__)

BYTES_MAX: Final = 96 * 2**20
"""Of all answers that are kept."""
TENANT_BYTES_MAX: Final = 32 * 2**20
_LABEL_BYTES: Final = 100


class Failure(Struct, frozen=True):
    """Why a query has no answer."""

    code: str
    message: str


class Series(Struct, frozen=True):
    """The values of one set of labels; null where there is none."""

    labels: dict[str, str]
    values: list[float | None]


class Cost(Struct, frozen=True):
    """The cost of an answer to the store, when it was asked."""

    rows: Annotated[int, Meta(description="Points or rows that were read for it.")] = 0
    duration_ms: Annotated[float, Meta(description="From the question to the answer.")] = 0.0
    is_cached: Annotated[bool, Meta(description="Whether it was asked before, for this viewer or another.")] = False


@dataclass(slots=True)
class Found:
    """The answer to a question.

    Attributes:
        labels: of each series.
        values: series by steps; NaN where there is none.
        items: records, or alerts, in place of series.
        is_complete: whether there are no further series or items.
        rows: points or rows that were read for it.
        duration_ms: how long it took.
        error: in place of an answer.
    """

    labels: Sequence[Labels] = ()
    values: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    items: Sequence[Any] = ()
    is_complete: bool = True
    rows: int = 0
    duration_ms: float = 0.0
    error: Failure | None = None
    _encoded: tuple[int, bytes] | None = None

    def encoded(self, most: int) -> bytes:
        """The first series as JSON of `Series`, made once."""
        if self._encoded is None or self._encoded[0] != most:
            lines = self.values[:most].tolist()  # JSON has no NaN: it is written as null
            shown = [Series(dict(pairs), line) for pairs, line in zip(self.labels[:most], lines, strict=True)]
            self._encoded = most, msgspec.json.encode(shown)
        return self._encoded[1]

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes, with its JSON."""
        labels = _LABEL_BYTES * sum(len(each) for each in self.labels)
        return 1000 + labels + 3 * self.values.nbytes + sum(len(msgspec.json.encode(each)) for each in self.items) * 3


@dataclass(frozen=True, slots=True)
class Key:
    """A question that is the same for all who may ask it.

    Attributes:
        tenant_id: whose telemetry.
        asked: the question and its moments.
        kept_s: how long its answer is good.
    """

    tenant_id: UUID
    asked: bytes
    kept_s: float = field(compare=False)


Work = Callable[[Question, "Sequence[Flight]"], Awaitable[None]]
"""Asks the questions of some flights, and lands each."""


@dataclass(slots=True, eq=False)
class Flight:
    """A question that is being asked.

    Attributes:
        key: of the question.
        landed: the answer.
        waiting: how many wait for it.
    """

    key: Key
    landed: "asyncio.Future[Found]"
    errand: "Errand"
    waiting: int = 0

    def land(self, found: Found) -> None:
        """Tell everybody who waits."""
        if not self.landed.done():
            self.landed.set_result(found)


@dataclass(slots=True, eq=False)
class Errand:
    """Questions that are asked together: its task, and the question of which their statements are a part."""

    flights: list[Flight] = field(default_factory=list["Flight"])
    task: "asyncio.Task[None] | None" = None
    question: Question | None = None

    def is_wanted(self) -> bool:
        """Whether anybody waits for one of its answers."""
        return any(flight.waiting for flight in self.flights)


class Answers:
    """The answers that a process has for dashboards. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        bytes_max: int = BYTES_MAX,
        tenant_bytes_max: int = TENANT_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bytes_max = bytes_max
        self._tenant_bytes_max = tenant_bytes_max
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, int, Found]] = OrderedDict()
        self._bytes = 0
        self._bytes_of: dict[UUID, int] = {}
        self._flying: dict[Key, Flight] = {}

    def known(self, key: Key) -> Found | None:
        """The answer, if it is kept and still good."""
        entry = self._kept.get(key)
        if entry is None:
            return None
        good_until, _, found = entry
        if self._clock() >= good_until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found

    def flying(self, key: Key) -> Flight | None:
        """The flight that asks it already; whoever joins it calls `leave` in the end."""
        flight = self._flying.get(key)
        if flight is not None:
            flight.waiting += 1
        return flight

    def begin(self, keys: Iterable[Key], work: Work, describe: Callable[[], Described]) -> list[Flight]:
        """Ask questions that nobody asks yet, in one errand; `leave` each flight in the end."""
        errand = Errand()
        loop = asyncio.get_running_loop()
        for key in keys:
            flight = Flight(key, loop.create_future(), errand, waiting=1)
            errand.flights.append(flight)
            self._flying[key] = flight
        errand.task = asyncio.create_task(self._run(errand, work, describe))
        return errand.flights

    def leave(self, flight: Flight) -> None:
        """Wait no more. An errand that nobody waits for is ended."""
        flight.waiting -= 1
        errand = flight.errand
        if errand.task is None or errand.task.done() or errand.is_wanted():
            return
        for each in errand.flights:
            self._forget(each)
        if errand.question is not None:
            errand.question.end(GoneClientError())
        errand.task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        tasks = {flight.errand.task for flight in self._flying.values() if flight.errand.task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, errand: Errand, work: Work, describe: Callable[[], Described]) -> None:
        failure = Failure("internal-error", "Something went wrong on our side.")
        try:
            with reading(), asking(describe) as question:
                errand.question = question
                await work(question, errand.flights)
        except DuoscopeError as error:
            failure = Failure(error.code, error.message)
        except Exception:  # noqa: BLE001 - whatever it is, nobody shall wait for ever
            _log.exception("questions of a dashboard could not be asked")
        finally:
            for flight in errand.flights:
                # Whoever still waits, as after a defect, learns that there is no answer.
                flight.land(Found(error=failure))
                self._forget(flight)
                found = flight.landed.result()
                if found.error is None:
                    self._keep(flight.key, found)

    def _forget(self, flight: Flight) -> None:
        if self._flying.get(flight.key) is flight:
            del self._flying[flight.key]

    def _keep(self, key: Key, found: Found) -> None:
        size = found.size
        if size > self._tenant_bytes_max // 4:
            return
        self._drop(key)
        self._kept[key] = self._clock() + key.kept_s, size, found
        self._bytes += size
        own = self._bytes_of[key.tenant_id] = self._bytes_of.get(key.tenant_id, 0) + size
        for other in list(self._kept):
            if own <= self._tenant_bytes_max:
                break
            if other.tenant_id == key.tenant_id:
                self._drop(other)
                own = self._bytes_of.get(key.tenant_id, 0)
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        entry = self._kept.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry[1]
        left = self._bytes_of[key.tenant_id] - entry[1]
        if left:
            self._bytes_of[key.tenant_id] = left
        else:
            del self._bytes_of[key.tenant_id]
