"""A dashboard as strangers see it: built from a list of what they may see, never by leaving things out."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from duoscope.dashboards.alert_lists import ShownAlert
from duoscope.dashboards.data import QueryData, WidgetData
from duoscope.dashboards.filling import Values, plain
from duoscope.dashboards.flights import Series
from duoscope.dashboards.frames import Table
from duoscope.dashboards.model import Place
from duoscope.dashboards.sharing import Opened
from duoscope.dashboards.variables import by_name
from duoscope.dashboards.widgets import LogRecords, Options, Widget


class PublicVariable(Struct, frozen=True):
    """A variable of which a stranger may choose values: those listed."""

    name: str
    label: str
    values: list[str]
    chosen: list[str]
    multi: bool


class PublicWidget(Struct, frozen=True):
    """A widget, without what it asks."""

    key: str
    type: str
    title: str
    description: str
    text: str
    options: Options


class PublicSection(Struct, frozen=True):
    """A section and the places of its widgets."""

    title: str
    is_collapsed: bool
    places: tuple[Place, ...]


class PublicDashboard(Struct, frozen=True):
    """A dashboard as the holder of a link sees it."""

    name: str
    description: str
    range_seconds: int
    range_seconds_max: int
    refresh_seconds: int | None
    variables: list[PublicVariable]
    sections: list[PublicSection]
    widgets: list[PublicWidget]


class PublicRecord(Struct, frozen=True):
    """A log record, as far as strangers see it."""

    timestamp: str
    severity: str
    service: str
    body: Any


class PublicQuery(Struct, frozen=True):
    """The answer to a query. Why there is none is not for strangers."""

    legend: str
    start: int
    step_seconds: int
    series: list[Series]
    records: list[PublicRecord]
    alerts: list[ShownAlert]
    is_complete: bool
    has_failed: bool


class PublicWidgetData(Struct, frozen=True):
    """The answers to the queries of a widget."""

    key: str
    repeated: dict[str, str]
    queries: list[PublicQuery]
    tables: list[Table] | None


class PublicData(Struct, frozen=True):
    """The data of widgets."""

    widgets: list[PublicWidgetData]


def shown(opened: Opened, variables: dict[str, tuple[str, ...]], range_s: int) -> PublicDashboard:
    """The dashboard that a link opens."""
    dashboard, link = opened.dashboard, opened.link
    chosen = by_name(dashboard.variables, variables)
    values = Values(chosen, 60, range_s)
    return PublicDashboard(
        name=dashboard.name,
        description=dashboard.description,
        range_seconds=range_s,
        range_seconds_max=link.range_seconds_max,
        refresh_seconds=dashboard.refresh_seconds,
        variables=[
            PublicVariable(
                each.name,
                each.label or each.name,
                link.variables[each.name],
                [value for value in chosen[each.name].values if value in link.variables[each.name]],
                getattr(each, "multi", False),
            )
            for each in dashboard.variables
            if link.variables.get(each.name)
        ],
        sections=[
            PublicSection(plain(each.title, values), each.is_collapsed, each.places) for each in dashboard.sections
        ],
        widgets=[_widget(each, values) for each in dashboard.widgets],
    )


def _widget(widget: Widget, values: Values) -> PublicWidget:
    # What an import could not convert tells of its question.
    text = "" if widget.placeholder is not None else plain(widget.text, values)
    title = plain(widget.title, values)
    return PublicWidget(widget.key, widget.type, title, plain(widget.description, values), text, widget.options)


def data(opened: Opened, answered: Sequence[WidgetData]) -> PublicData:
    """The data that a link opens."""
    with_records = {
        widget.key
        for widget in opened.dashboard.widgets
        if any(isinstance(query.question, LogRecords) for query in widget.queries)
    }
    return PublicData(
        [
            PublicWidgetData(
                each.key,
                each.repeated,
                [_query(query) for query in each.queries],
                # Tables of records have whatever records have.
                None if each.key in with_records else each.tables,
            )
            for each in answered
        ]
    )


def _query(query: QueryData) -> PublicQuery:
    return PublicQuery(
        query.legend,
        query.start,
        query.step_seconds,
        query.series,
        [PublicRecord(str(each.timestamp), each.severity_text, each.service_name, each.body) for each in query.records],
        query.alerts,
        query.is_complete,
        query.error is not None,
    )
