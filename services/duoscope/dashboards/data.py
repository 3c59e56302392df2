"""The data of a dashboard: what is shown is asked once, and each widget has its answer or an error of its own."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from duoscope.dashboards.filling import Chosen, Values, filled, plain
from duoscope.dashboards.model import Dashboard
from duoscope.dashboards.variables import by_name
from duoscope.dashboards.widgets import Asked, LogRecords, Query, Widget
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import logs
from duoscope.telemetry.logs import LogRecord
from duoscope.telemetry.questions.answers import Answered, Steps
from duoscope.telemetry.times import SECOND_NS, TimeRange

STEPS_TARGET: Final = 240
"""About as many points as a widget has room for."""
SERIES_MAX: Final = 500
"""Of one question; further ones are left out."""
NUMBERS_MAX: Final = 4_000_000
"""Of one call: what its questions may have for an answer together."""
AT_ONCE: Final = 6
"""Questions of one call that are asked at the same time."""
TIMEOUT_S: Final = 60.0
_STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 14_400, 21_600, 43_200, 86_400),
)


class Failure(Struct, frozen=True):
    """Why a query has no answer."""

    code: str
    message: str


class Series(Struct, frozen=True):
    """The values of one set of labels; null where there is none."""

    labels: dict[str, str]
    values: list[float | None]


class QueryData(Struct, frozen=True, kw_only=True):
    """The answer to a query of a widget, or an error."""

    name: str
    legend: Annotated[str, Meta(description="With the values of variables; `{{label}}` is the reader's to fill in.")]
    start: Annotated[int, Meta(description="The first moment, in seconds since 1970.")]
    step_seconds: Annotated[int, Meta(description="Between the moments of `values`.")]
    series: list[Series] = []
    records: list[LogRecord] = []
    is_complete: Annotated[bool, Meta(description="Whether there are no further series or records.")] = True
    error: Failure | None = None


class WidgetData(Struct, frozen=True):
    """The answers to the queries of a widget that are not hidden."""

    key: str
    queries: list[QueryData]


@dataclass(frozen=True, slots=True)
class Viewer:
    """The one who looks: a reader of the tenant's telemetry, and the permissions to ask."""

    reader: TelemetryReader
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Asking:
    """A question as it is asked, and the range for records, which are not asked in steps."""

    question: Asked
    steps: Steps
    times: TimeRange

    @property
    def key(self) -> bytes:
        """The key that equal questions have in common."""
        steps = (self.steps.end_ns, self.steps.step_ns, self.steps.count)
        return msgspec.json.encode((self.question, None if isinstance(self.question, LogRecords) else steps))


async def answer(
    viewer: Viewer,
    dashboard: Dashboard,
    times: TimeRange,
    *,
    variables: Mapping[str, tuple[str, ...]],
    widgets: Collection[str] | None,
) -> list[WidgetData]:
    """Ask the questions of widgets, equal ones once.

    Args:
        viewer: who looks.
        dashboard: the dashboard.
        times: the range, whose end is aligned to the step of each question.
        variables: the values chosen, by name; others have those of the dashboard.
        widgets: keys; None for those of all sections that are not collapsed.

    Raises:
        DuoscopeError: INVALID for a widget that is not there, and `invalid-variable` for values that a variable does
            not take.
    """
    try:
        chosen = by_name(dashboard.variables, variables)
    except ValueError as error:
        raise invalid(f"A variable: {error}.", code="invalid-variable") from error
    shown = _shown(dashboard, widgets)
    planned = {
        (widget.key, query.name): _planned(widget, query, chosen, times)
        for widget in shown
        for query in widget.queries
        if not query.is_hidden
    }
    asked = {asking.key: asking for _, asking in planned.values() if asking is not None}
    series_max = max(1, min(SERIES_MAX, NUMBERS_MAX // (STEPS_TARGET * max(1, len(asked)))))
    slots = asyncio.Semaphore(AT_ONCE)
    answers = await asyncio.gather(*(_asked(viewer, asking, slots, series_max) for asking in asked.values()))
    found = dict(zip(asked, answers, strict=True))
    made: dict[str, list[QueryData]] = {widget.key: [] for widget in shown}
    for (key, _), (data, asking) in planned.items():
        made[key].append(data if asking is None else msgspec.structs.replace(data, **found[asking.key]))
    return [WidgetData(key, queries) for key, queries in made.items()]


def _shown(dashboard: Dashboard, widgets: Collection[str] | None) -> list[Widget]:
    if widgets is None:
        opened = {place.widget for each in dashboard.sections if not each.is_collapsed for place in each.places}
        return [widget for widget in dashboard.widgets if widget.key in opened]
    if unknown := sorted(set(widgets) - {widget.key for widget in dashboard.widgets}):
        raise invalid(f"`widgets`: the dashboard has no widget {unknown[0][:64]!r}.")
    return [widget for widget in dashboard.widgets if widget.key in widgets]


def _planned(
    widget: Widget, query: Query, chosen: Mapping[str, Chosen], times: TimeRange
) -> tuple[QueryData, _Asking | None]:
    """A query's answer but for what is asked, and what that is; None if it cannot be asked, which the answer says."""
    range_s = max(1, (times.end_ns - times.start_ns) // SECOND_NS)
    step_s = _step_s(range_s, widget.step_seconds or 1)
    end_ns = times.end_ns // (step_s * SECOND_NS) * step_s * SECOND_NS
    if query.is_instant:
        steps = Steps(end_ns, range_s * SECOND_NS)
    else:
        steps = Steps(end_ns, step_s * SECOND_NS, max(1, range_s // step_s))
    data = QueryData(
        name=query.name,
        legend=query.legend,
        start=int(steps.moments_ms[0]) // 1000,
        step_seconds=steps.step_ns // SECOND_NS,
    )
    values = Values(chosen, step_s, range_s)
    try:
        data = msgspec.structs.replace(data, legend=plain(query.legend, values))
        return data, _Asking(filled(query.question, values), steps, times)
    except DuoscopeError as error:
        return msgspec.structs.replace(data, error=Failure(error.code, error.message)), None


def _step_s(range_s: int, least_s: int) -> int:
    """The step: as many as there is room for, of a length that people know, and no shorter than the widget says."""
    wanted = max(least_s, -(-range_s // STEPS_TARGET))
    return next((step for step in _STEPS_S if step >= wanted), -(-wanted // _STEPS_S[-1]) * _STEPS_S[-1])


async def _asked(viewer: Viewer, asking: _Asking, slots: asyncio.Semaphore, series_max: int) -> dict[str, Any]:
    """The fields of QueryData that a question has for an answer."""
    if lacking := sorted(asking.question.permissions - viewer.permissions):
        return {"error": Failure("forbidden", f"It needs the permission {', '.join(lacking)}.")}
    try:
        async with slots, asyncio.timeout(TIMEOUT_S):
            if isinstance(asking.question, LogRecords):
                query, limit = asking.question.query, asking.question.limit
                page = await logs.search(viewer.reader, asking.times, query, limit=limit)
                return {"records": page.items, "is_complete": page.next_cursor is None}
            found = await asking.question.read(viewer.reader, asking.steps)
            return await asyncio.to_thread(_series, found, series_max)
    except DuoscopeError as error:
        return {"error": Failure(error.code, error.message)}
    except TimeoutError:
        return {"error": Failure("timeout", f"It takes longer than {TIMEOUT_S:g} s: take a shorter range.")}


def _series(found: Answered, series_max: int) -> dict[str, Any]:
    values = np.where(found.has, found.values, np.nan)[:series_max].tolist()
    labels = found.labels[:series_max]
    return {
        # Numbers that JSON does not have are written as null.
        "series": [Series(dict(pairs), numbers) for pairs, numbers in zip(labels, values, strict=True)],
        "is_complete": found.is_complete and len(found.labels) <= series_max,
    }
