"""The data of a dashboard: what is shown is asked once, whoever looks; each widget has its answer or its error."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, cast

import msgspec
import numpy as np
from msgspec import Meta, Struct

from duoscope.dashboards import alert_lists, annotations, planning, transforming
from duoscope.dashboards.annotations import AskedAlerts, AskedDeployments, ExpressionMarks, Mark
from duoscope.dashboards.flights import Answers, Cost, Errand, Failure, Flight, Found, Key, Series
from duoscope.dashboards.frames import Table
from duoscope.dashboards.model import Dashboard
from duoscope.dashboards.options import asked_options
from duoscope.dashboards.planning import Asking, Planned, PlannedAnnotation, PlannedWidget
from duoscope.dashboards.variables import by_name
from duoscope.dashboards.widgets import AlertList, LogRecords
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.scope import Scope
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.stores.clickhouse.questions import Described, Question, current
from duoscope.stores.postgres import MetadataStore
from duoscope.telemetry import logs
from duoscope.telemetry.logs import LogRecord
from duoscope.telemetry.promql.storage import Request
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.stored.together import Together
from duoscope.telemetry.questions.answers import Answered
from duoscope.telemetry.questions.promql import PromqlQuestion, evaluated, needs
from duoscope.telemetry.times import TimeRange

SERIES_MAX: Final = 500
"""Of one question; further ones are left out."""
NUMBERS_MAX: Final = 4_000_000
"""Of one call: what its questions may have for an answer together."""
FIRST: Final = 4
"""Questions of the first errand of a call: somebody waits for the first widget."""
TOGETHER: Final = 48
"""Questions of a later one."""
AT_ONCE: Final = 3
"""Errands of one call at the same time."""
HEAD_START_S: Final = 0.5
"""For so long at most the first errand has the machine for itself: until the first widget is answered."""
TIMEOUT_S: Final = 60.0
"""Of one errand, and of one question."""
CALL_S: Final = 120.0
"""Of one call: what is not answered by then has an error."""
QUESTIONS_MAX: Final = 2000
"""Different questions of one call."""


class QueryData(Struct, frozen=True, kw_only=True):
    """The answer to a query of a widget, or an error."""

    name: str
    legend: Annotated[str, Meta(description="With the values of variables; `{{label}}` is the reader's to fill in.")]
    start: Annotated[int, Meta(description="The first moment, in seconds since 1970.")]
    step_seconds: Annotated[int, Meta(description="Between the moments of `values`.")]
    series: list[Series] = []
    records: list[LogRecord] = []
    alerts: list[alert_lists.ShownAlert] = []
    is_complete: Annotated[bool, Meta(description="Whether there are no further series, records or alerts.")] = True
    error: Failure | None = None
    cost: Cost = Cost()


class WidgetData(Struct, frozen=True, kw_only=True):
    """The answers to the queries of a widget that are not hidden."""

    key: str
    repeated: Annotated[
        dict[str, str], Meta(description="Of a widget or section that repeats: this copy's values, by variable.")
    ] = {}
    queries: list[QueryData] = []
    tables: Annotated[
        list[Table] | None,
        Meta(description="What the transformations made of the answers, which have no series then; null without any."),
    ] = None
    error: Annotated[Failure | None, Meta(description="Why the transformations could not be carried out.")] = None
    cost: Annotated[Cost, Meta(description="Of all its queries; `is_cached` if nothing was asked for it.")] = Cost()


class AnnotationData(Struct, frozen=True, kw_only=True):
    """The marks of an annotation, oldest first, or an error."""

    annotation: Annotated[str, Meta(description="Its name.")]
    color: str
    marks: list[Mark] = []
    is_complete: Annotated[bool, Meta(description="Whether there are no older marks.")] = True
    error: Failure | None = None
    cost: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Viewer:
    """The one who looks.

    Attributes:
        scope: the tenant.
        reader: of its telemetry.
        metadata: the store of its alerts.
        permissions: to ask.
        described: what this look is called in the list of queries.
    """

    scope: Scope
    reader: TelemetryReader
    metadata: MetadataStore
    permissions: frozenset[str]
    described: Described


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a dashboard, whose questions are ready to be asked; `keys` has the key of each by its `id`."""

    viewer: Viewer
    widgets: list[PlannedWidget]
    annotations: list[PlannedAnnotation]
    keys: Mapping[int, Key]
    series_max: int


async def look(
    viewer: Viewer,
    dashboard: Dashboard,
    times: TimeRange,
    *,
    variables: Mapping[str, tuple[str, ...]],
    widgets: Collection[str] | None,
    with_annotations: bool = False,
) -> Look:
    """Plan a look.

    Args:
        viewer: who looks.
        dashboard: the dashboard.
        times: the range, whose end is aligned to the step of each question.
        variables: the values chosen, by name; others have those of the dashboard.
        widgets: keys; None for those of all sections that are not collapsed.
        with_annotations: whether the annotations that are shown are asked, too.

    Raises:
        DuoscopeError: INVALID for a widget that is not there, and `invalid-variable` for values that a variable does
            not take.
    """
    try:
        chosen = by_name(dashboard.variables, variables)
    except ValueError as error:
        raise invalid(f"A variable: {error}.", code="invalid-variable") from error
    wanted = {name for name in planning.repeats(dashboard, widgets) if chosen[name].is_all}
    options: dict[str, tuple[str, ...]] = {}
    if wanted:
        found = await asked_options(viewer.reader, viewer.permissions, dashboard, times, chosen=variables, only=wanted)
        options = {each.name: tuple(option.value for option in each.options) for each in found if each.name in wanted}
    planned = planning.plan(dashboard, times, chosen, options, widgets)
    marks = planning.plan_annotations(dashboard, times, chosen) if with_annotations else []
    keys = {
        id(query.asking): query.asking.key(viewer.scope.tenant_id)
        for each in (*planned, *marks)
        for query in each.queries
        if query.asking
    }
    asked = set(keys.values())
    if len(asked) > QUESTIONS_MAX:
        raise invalid(
            f"More than {QUESTIONS_MAX} questions would be asked: name fewer widgets, or choose fewer values."
        )
    series_max = max(1, min(SERIES_MAX, NUMBERS_MAX // (planning.STEPS_TARGET * max(1, len(asked)))))
    return Look(viewer, planned, marks, keys, series_max)


async def answers(shared: Answers, look: Look) -> AsyncGenerator[WidgetData | AnnotationData]:
    """Ask what nobody has asked yet, and answer each widget and annotation as soon as its queries have an answer."""
    waiting = _Waiting(shared, look)
    try:
        left: list[PlannedWidget | PlannedAnnotation] = [*look.widgets, *look.annotations]
        while left:
            ready = [each for each in left if waiting.has(each)]
            for each in ready:
                found = waiting.found_of(each)
                if isinstance(each, PlannedAnnotation):
                    yield await asyncio.to_thread(_marked, each, *found[0])
                else:
                    yield await asyncio.to_thread(_answered, each, found, look.series_max)
            left = [each for each in left if not any(each is other for other in ready)]
            if left:
                await waiting.next()
    finally:
        waiting.leave()


async def answer(shared: Answers, look: Look) -> tuple[list[WidgetData], list[AnnotationData]]:
    """The same in lists, in the order of the dashboard."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], WidgetData] = {}
    marked: dict[str, AnnotationData] = {}
    async with aclosing(answers(shared, look)) as answered:
        async for each in answered:
            if isinstance(each, AnnotationData):
                marked[each.annotation] = each
            else:
                found[each.key, tuple(each.repeated.items())] = each
    widgets = [found[each.copy.widget.key, tuple(each.copy.repeated.items())] for each in look.widgets]
    return widgets, [marked[each.annotation.name] for each in look.annotations]


class _Waiting:
    """The questions of one look: those that are answered, and the flights of others."""

    def __init__(self, shared: Answers, look: Look) -> None:
        self._shared = shared
        self._look = look
        self._found: dict[Key, tuple[Found, bool]] = {}
        self._flights: dict[Key, Flight] = {}
        self._to_begin: list[list[tuple[Key, Asking]]] = []
        self._own: set[Key] = set()
        self._errands: set[Errand] = set()
        self._alone_until: float | None = time.monotonic() + HEAD_START_S
        self._until = time.monotonic() + CALL_S
        self._storage = ClickHouseStorage(look.viewer.reader)
        self._sort()
        self._begin()

    def has(self, widget: PlannedWidget | PlannedAnnotation) -> bool:
        return all(query.asking is None or self._key(query.asking) in self._found for query in widget.queries)

    def found_of(self, widget: PlannedWidget | PlannedAnnotation) -> list[tuple[Planned, Found, bool]]:
        answered: list[tuple[Planned, Found, bool]] = []
        for query in widget.queries:
            found, is_cached = (Found(), True) if query.asking is None else self._found[self._key(query.asking)]
            answered.append((query, found, is_cached))
        return answered

    async def next(self) -> None:
        """Ask more, and wait until something more is answered. Raises what ended the request."""
        if time.monotonic() >= self._until:
            self._give_up()
            return
        if self._begin():
            return
        question, loop = current(), asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        pending = {flight.landed for flight in self._flights.values()}
        pause_s = max(0.0, min(self._until, self._alone_until or self._until) - time.monotonic())
        if question is None:
            await asyncio.wait(pending, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        else:
            question.require_wanted()
            with question.told(ended):
                await asyncio.wait({*pending, ended}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
        for key, flight in list(self._flights.items()):
            if flight.landed.done():
                self._found[key] = flight.landed.result(), key not in self._own
                self._shared.leave(self._flights.pop(key))
        # The first errand has the machine until its widgets are answered, and not for ever.
        is_over = self._alone_until is not None and time.monotonic() >= self._alone_until
        if is_over or not any(key in self._own for key in self._flights):
            self._alone_until = None

    def _give_up(self) -> None:
        """What is not answered has an error from now on."""
        why = Failure(
            "timeout", f"The dashboard takes longer than {CALL_S:g} s: name fewer widgets, or a shorter range."
        )
        left = {key for batch in self._to_begin for key, _ in batch} | set(self._flights)
        self._to_begin.clear()
        self._found |= {key: (Found(error=why), False) for key in left if key not in self._found}
        self._land_none()

    def _land_none(self) -> None:
        while self._flights:
            _, flight = self._flights.popitem()
            self._shared.leave(flight)

    def leave(self) -> None:
        if (question := current()) is not None:
            for errand in self._errands:
                if errand.question is not None:
                    question.owe(errand.question)
        self._errands.clear()
        self._land_none()

    def _describe(self) -> Described:
        return self._look.viewer.described

    def _key(self, asking: Asking) -> Key:
        return self._look.keys[id(asking)]

    def _sort(self) -> None:
        """Find what is known or asked already; sort the rest into errands, in the order of the widgets."""
        new: dict[Key, Asking] = {}
        for shown in (*self._look.widgets, *self._look.annotations):
            for query in shown.queries:
                if query.asking is None:
                    continue
                key = self._key(query.asking)
                if key in self._found or key in self._flights or key in new:
                    continue
                if lacking := sorted(query.asking.question.permissions - self._look.viewer.permissions):
                    why = Failure("forbidden", f"It needs the permission {', '.join(lacking)}.")
                    self._found[key] = Found(error=why), True
                elif (known := self._shared.known(key)) is not None:
                    self._found[key] = known, True
                elif (flight := self._shared.flying(key)) is not None:
                    self._flights[key] = flight
                else:
                    new[key] = query.asking
        promql = [(key, each) for key, each in new.items() if isinstance(each.question, PromqlQuestion)]
        others = [[(key, each)] for key, each in new.items() if not isinstance(each.question, PromqlQuestion)]
        # Beside somebody who looks at the same, whose first errand it is, the rest is asked in as few as can be.
        head = 0 if self._flights else FIRST
        batches = [promql[:head], *(promql[at : at + TOGETHER] for at in range(head, len(promql), TOGETHER))]
        self._to_begin = [batch for batch in batches[:1] if batch] + others + [batch for batch in batches[1:] if batch]

    def _begin(self) -> bool:
        """Begin errands. Returns whether an answer came by the way."""
        known_before = len(self._found)
        under_way = {id(flight.errand) for key, flight in self._flights.items() if key in self._own}
        count = len(under_way)
        while self._to_begin and count < (1 if self._alone_until else AT_ONCE):
            batch = self._to_begin.pop(0)
            # Another viewer may have asked some of it meanwhile.
            new: list[tuple[Key, Asking]] = []
            for key, asking in batch:
                if (known := self._shared.known(key)) is not None:
                    self._found[key] = known, True
                elif (flight := self._shared.flying(key)) is not None:
                    self._flights[key] = flight
                else:
                    new.append((key, asking))
            if not new:
                continue
            work = partial(_asked, self._look.viewer, self._storage, [asking for _, asking in new])
            for flight in self._shared.begin((key for key, _ in new), work, self._describe):
                self._errands.add(flight.errand)
                self._flights[flight.key] = flight
                self._own.add(flight.key)
            count += 1
        return len(self._found) > known_before


async def _asked(
    viewer: Viewer,
    storage: ClickHouseStorage,
    askings: Sequence[Asking],
    question: Question,
    flights: Sequence[Flight],
) -> None:
    """Ask the questions of an errand: expressions of PromQL together, any other by itself."""
    began = time.perf_counter()
    async with asyncio.timeout(TIMEOUT_S):
        is_promql = isinstance(askings[0].question, PromqlQuestion)
        together = Together(await storage.again() if is_promql else storage)
        if len(askings) > 1:
            await together.prepare(await asyncio.to_thread(_needs_of, askings))

    async def one(asking: Asking, flight: Flight) -> None:
        before = question.read_rows
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await _one(viewer, asking, together)
        except DuoscopeError as error:
            found = Found(error=Failure(error.code, error.message))
        except TimeoutError:
            why = Failure("timeout", f"It takes longer than {TIMEOUT_S:g} s: take a shorter range.")
            found = Found(error=why)
        found.duration_ms = round((time.perf_counter() - began) * 1000, 1)
        found.rows = found.rows or question.read_rows - before
        flight.land(found)

    await asyncio.gather(*(one(asking, flight) for asking, flight in zip(askings, flights, strict=True)))


def _needs_of(askings: Sequence[Asking]) -> list[Request]:
    return [request for asking in askings for request in _needs(asking)]


def _needs(asking: Asking) -> list[Request]:
    try:
        return needs(cast("PromqlQuestion", asking.question).expression, asking.steps)
    except DuoscopeError:
        return []  # the evaluation says what is wrong with it


async def _one(viewer: Viewer, asking: Asking, together: Together) -> Found:
    match asking.question:
        case LogRecords(query, limit):
            page = await logs.search(viewer.reader, asking.times, query, limit=limit)
            return Found(items=page.items, is_complete=page.next_cursor is None)
        case AlertList() as listed:
            items, is_complete = await alert_lists.read(viewer.metadata, viewer.scope, listed)
            return Found(items=items, is_complete=is_complete)
        case AskedAlerts() | AskedDeployments() as marks:
            items, is_complete = await annotations.read(viewer.reader, asking.times, marks)
            return Found(items=items, is_complete=is_complete)
        case PromqlQuestion(expression):
            found = await evaluated(together, expression, asking.steps, keeps_names=True)
        case question:
            found = await question.read(viewer.reader, asking.steps)
    return await asyncio.to_thread(_found, found)


def _found(answered: Answered) -> Found:
    values = np.where(answered.has, answered.values, np.nan)[:SERIES_MAX]
    is_complete = answered.is_complete and len(answered.labels) <= SERIES_MAX
    return Found(answered.labels[:SERIES_MAX], values, is_complete=is_complete, rows=answered.points_read)


def _answered(widget: PlannedWidget, found: list[tuple[Planned, Found, bool]], series_max: int) -> WidgetData:
    of = widget.copy.widget
    error: Failure | None = None
    tables: list[Table] | None = None
    if of.transformations:
        try:
            tables = transforming.transformed(of.transformations, [(query, each) for query, each, _ in found])
        except DuoscopeError as problem:
            error = Failure(problem.code, problem.message)
    queries = [
        _query_data(query, each, series_max, is_cached=is_cached, with_series=tables is None)
        for query, each, is_cached in found
    ]
    cost = Cost(
        sum(each.cost.rows for each in queries),
        max((each.cost.duration_ms for each in queries), default=0.0),
        all(is_cached for *_, is_cached in found),
    )
    return WidgetData(
        key=of.key, repeated=dict(widget.copy.repeated), queries=queries, tables=tables, error=error, cost=cost
    )


def _marked(planned: PlannedAnnotation, query: Planned, found: Found, is_cached: bool) -> AnnotationData:  # noqa: FBT001 - as of `found_of`
    of, marks, is_complete = planned.annotation, list(found.items), found.is_complete
    if isinstance(of, ExpressionMarks):
        marks, is_complete = annotations.of_series(
            found.labels,
            found.values,
            start_s=int(query.steps.moments_ms[0]) // 1000,
            step_s=query.steps.step_ns // 1_000_000_000,
            title=of.title or of.name,
        )
    return AnnotationData(
        annotation=of.name,
        color=of.color,
        marks=marks,
        is_complete=is_complete and found.is_complete,
        error=query.error or found.error,
        cost=Cost(found.rows, found.duration_ms, is_cached),
    )


def _query_data(query: Planned, found: Found, series_max: int, *, is_cached: bool, with_series: bool) -> QueryData:
    data = QueryData(
        name=query.name,
        legend=query.legend,
        start=int(query.steps.moments_ms[0]) // 1000,
        step_seconds=query.steps.step_ns // 1_000_000_000,
        error=query.error or found.error,
        cost=Cost(found.rows, found.duration_ms, is_cached),
    )
    match query.asking and query.asking.question:
        case LogRecords():
            return msgspec.structs.replace(data, records=list(found.items), is_complete=found.is_complete)
        case AlertList():
            return msgspec.structs.replace(data, alerts=list(found.items), is_complete=found.is_complete)
        case _:
            is_complete = found.is_complete and len(found.labels) <= series_max
            # JSON that was made once for all viewers.
            series: Any = msgspec.Raw(found.encoded(series_max)) if with_series else []
            return msgspec.structs.replace(data, series=series, is_complete=is_complete)
