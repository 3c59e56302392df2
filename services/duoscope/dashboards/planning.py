"""What a look at a dashboard asks: the widgets that are shown, with their copies, and their questions with values, over
moments that do not depend on who looks when.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from duoscope.dashboards import annotations
from duoscope.dashboards.annotations import Annotation, AskedMarks
from duoscope.dashboards.filling import Chosen, Values, filled, plain
from duoscope.dashboards.flights import Failure, Key
from duoscope.dashboards.model import Dashboard, Section
from duoscope.dashboards.widgets import AlertList, Asked, LogRecords, Query, Widget
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.questions.answers import Steps
from duoscope.telemetry.times import SECOND_NS, TimeRange

STEPS_TARGET: Final = 240
"""About as many points as a widget has room for."""
COPIES_MAX: Final = 50
"""Of one widget or section that repeats; further values are left out."""
SHOWN_MAX: Final = 500
"""Widgets of one call, with their copies."""
KEPT_LEAST_S: Final = 5.0
KEPT_MOST_S: Final = 60.0
_STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 14_400, 21_600, 43_200, 86_400),
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A widget as it stands once: `repeated` are the values that are its own, by variable."""

    widget: Widget
    repeated: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asking:
    """A question as it is asked, and the range for records, which are not asked in steps."""

    question: Asked | AskedMarks
    steps: Steps
    times: TimeRange
    kept_s: float

    def key(self, tenant_id: UUID) -> Key:
        """The key that equal questions of a tenant have in common."""
        if isinstance(self.question, LogRecords | AskedMarks):
            when = (self.times.start_ns, self.times.end_ns, 0)
        elif isinstance(self.question, AlertList):
            when = (0, 0, 0)
        else:
            when = (self.steps.end_ns, self.steps.step_ns, self.steps.count)
        return Key(tenant_id, msgspec.json.encode((self.question, when)), self.kept_s)


@dataclass(frozen=True, slots=True)
class Planned:
    """A query that is shown: what is known of its answer beforehand, and what is asked; None if it cannot be."""

    name: str
    format: str
    legend: str
    steps: Steps
    asking: Asking | None
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class PlannedWidget:
    """A widget that is shown, with its queries that are not hidden."""

    copy: Copy
    queries: tuple[Planned, ...]


@dataclass(frozen=True, slots=True)
class PlannedAnnotation:
    """An annotation that is shown, with its one question."""

    annotation: Annotation
    queries: tuple[Planned]


def repeats(dashboard: Dashboard, widgets: Collection[str] | None) -> set[str]:
    """The variables by which something of what is shown is repeated."""
    shown = {widget.key for widget in _shown(dashboard, widgets)}
    found = {widget.repeat for widget in dashboard.widgets if widget.key in shown}
    found |= {each.repeat for each in dashboard.sections if any(place.widget in shown for place in each.places)}
    return {name for name in found if name}


def plan(
    dashboard: Dashboard,
    times: TimeRange,
    chosen: Mapping[str, Chosen],
    options: Mapping[str, tuple[str, ...]],
    widgets: Collection[str] | None,
) -> list[PlannedWidget]:
    """Plan a look.

    Args:
        dashboard: the dashboard.
        times: the range, whose end is aligned to the step of each question.
        chosen: what stands for each variable.
        options: the values of those variables of `repeats` of which all are chosen.
        widgets: keys; None for those of all sections that are not collapsed.

    Raises:
        DuoscopeError: INVALID for a widget that is not there, and for more than SHOWN_MAX of them.
    """
    copies = list(_copies(dashboard, _shown(dashboard, widgets), chosen, options))
    if len(copies) > SHOWN_MAX:
        raise invalid(f"More than {SHOWN_MAX} widgets would be shown: name fewer, or choose fewer values.")
    found: list[PlannedWidget] = []
    for copy in copies:
        own = {**chosen, **{name: Chosen((value,), is_literal=True) for name, value in copy.repeated.items()}}
        asked = (query for query in copy.widget.queries if not query.is_hidden)
        within = _own_range(copy.widget, times)
        found.append(PlannedWidget(copy, tuple(_planned(copy.widget, query, own, within) for query in asked)))
    return found


def plan_annotations(dashboard: Dashboard, times: TimeRange, chosen: Mapping[str, Chosen]) -> list[PlannedAnnotation]:
    """Plan those annotations of a look that are shown."""
    found: list[PlannedAnnotation] = []
    for each in dashboard.annotations:
        if each.is_shown:
            span = _Span(times, 1)
            try:
                question = annotations.filled(each, span.values(chosen))
            except DuoscopeError as error:
                failure = Failure(error.code, error.message)
                query = Planned(each.name, "series", "", span.steps, None, failure)
            else:
                asking = Asking(question, span.steps, span.touched, span.kept_s(question))
                query = Planned(each.name, "series", "", span.steps, asking)
            found.append(PlannedAnnotation(each, (query,)))
    return found


class _Span:
    """A range in steps that do not depend on who looks when."""

    def __init__(self, times: TimeRange, least_s: int, *, is_instant: bool = False) -> None:
        self.range_s = max(1, (times.end_ns - times.start_ns) // SECOND_NS)
        self.step_s = step_of(self.range_s, least_s)
        step_ns = self.step_s * SECOND_NS
        end_ns = times.end_ns // step_ns * step_ns
        if is_instant:
            self.steps = Steps(end_ns, self.range_s * SECOND_NS)
        else:
            self.steps = Steps(end_ns, step_ns, max(1, self.range_s // self.step_s))
        # Records are of the whole steps that the range touches: what came last is among them.
        self.touched = TimeRange(times.start_ns // step_ns * step_ns, -(-times.end_ns // step_ns) * step_ns)

    def values(self, chosen: Mapping[str, Chosen]) -> Values:
        return Values(chosen, self.step_s, self.range_s)

    def kept_s(self, question: Asked | AskedMarks) -> float:
        if isinstance(question, LogRecords | AlertList | AskedMarks):
            return KEPT_LEAST_S
        return min(max(KEPT_LEAST_S, float(self.step_s)), KEPT_MOST_S)


def _shown(dashboard: Dashboard, widgets: Collection[str] | None) -> list[Widget]:
    if widgets is None:
        opened = {place.widget for each in dashboard.sections if not each.is_collapsed for place in each.places}
        return [widget for widget in dashboard.widgets if widget.key in opened]
    if unknown := sorted(set(widgets) - {widget.key for widget in dashboard.widgets}):
        raise invalid(f"`widgets`: the dashboard has no widget {unknown[0][:64]!r}.")
    return [widget for widget in dashboard.widgets if widget.key in widgets]


def _copies(
    dashboard: Dashboard,
    shown: Collection[Widget],
    chosen: Mapping[str, Chosen],
    options: Mapping[str, tuple[str, ...]],
) -> Iterator[Copy]:
    section_of: dict[str, Section] = {place.widget: each for each in dashboard.sections for place in each.places}

    def values(name: str) -> tuple[str, ...]:
        of = chosen[name]
        found = options.get(name, ()) if of.is_all else tuple(value for value in of.values if value)
        return found[:COPIES_MAX]

    def alternatives(name: str | None) -> list[dict[str, str]]:
        return ([{name: value} for value in values(name)] if name else []) or [{}]

    for widget in shown:
        section = section_of[widget.key]
        for of_section in alternatives(section.repeat):
            for own in alternatives(widget.repeat):
                yield Copy(widget, {**of_section, **own})


def _own_range(widget: Widget, times: TimeRange) -> TimeRange:
    if widget.range_seconds is None:
        return times
    return TimeRange(times.end_ns - widget.range_seconds * SECOND_NS, times.end_ns)


def _planned(widget: Widget, query: Query, chosen: Mapping[str, Chosen], times: TimeRange) -> Planned:
    span = _Span(times, widget.step_seconds or 1, is_instant=query.is_instant)
    values = span.values(chosen)
    try:
        legend, question = plain(query.legend, values), filled(query.question, values)
    except DuoscopeError as error:
        failure = Failure(error.code, error.message)
        return Planned(query.name, query.format, query.legend, span.steps, None, failure)
    asking = Asking(question, span.steps, span.touched, span.kept_s(question))
    return Planned(query.name, query.format, legend, span.steps, asking)


def step_of(range_s: int, least_s: int) -> int:
    """The step: as many as there is room for, of a length that people know, and no shorter than the widget says."""
    wanted = max(least_s, -(-range_s // STEPS_TARGET))
    return next((step for step in _STEPS_S if step >= wanted), -(-wanted // _STEPS_S[-1]) * _STEPS_S[-1])
