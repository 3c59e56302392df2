"""A widget of a shared dashboard as HTML: by its type, or by what was answered for it."""

import logging
from typing import Any, Final

import msgspec

from duoscope.dashboards.drawing import lines, looks, numbers, tables
from duoscope.dashboards.drawing.lines import Times
from duoscope.dashboards.drawing.looks import Line
from duoscope.dashboards.flights import Series
from duoscope.dashboards.frames import legend
from duoscope.dashboards.public import PublicWidget, PublicWidgetData

_log = logging.getLogger(__name__)

_NOTHING: Final = '<p class="note empty">No data</p>'


def drawn(widget: PublicWidget, data: PublicWidgetData | None) -> str:
    """The inside of a widget; every text in it is escaped."""
    if widget.type == "text":
        return tables.markdown(widget.text) or '<p class="note empty">This part is not shown here</p>'
    if data is None:
        return '<p class="note empty">Nothing was asked for it</p>'
    try:
        body = _body(widget, data) or _NOTHING
    except (ArithmeticError, ValueError):  # numbers where floats end; the other widgets are to be seen all the same
        _log.exception("cannot draw a widget of type %s", widget.type)
        return '<p class="note">It could not be drawn.</p>'
    if any(query.has_failed for query in data.queries):
        body += '<p class="note">A part of it could not be answered.</p>'
    return body


def _body(widget: PublicWidget, data: PublicWidgetData) -> str:
    if data.tables is not None:
        return "".join(tables.of_table(table, widget.options) for table in data.tables[: lines.LINES_MAX])
    if any(query.alerts for query in data.queries):
        return tables.of_alerts(data.queries)
    if widget.type == "logs" or any(query.records for query in data.queries):
        return tables.of_records(data.queries)
    return _of_series(widget, data)


def _of_series(widget: PublicWidget, data: PublicWidgetData) -> str:
    found, times = _lines(widget, data)
    if widget.type == "table":
        return tables.of_series(found, is_named=any(query.legend for query in data.queries))
    if widget.type in ("stat", "gauge"):
        return numbers.stats(found) if widget.type == "stat" else numbers.gauges(found)
    # Of one moment there is nothing to draw over time.
    if times.steps <= 1 or (widget.type == "bar_chart" and widget.options.is_horizontal):
        return numbers.bars(found)
    if widget.type == "heatmap":
        return lines.heat_map(widget, found, times)
    return lines.chart(widget, found, times, is_bars=widget.type == "bar_chart")


def _lines(widget: PublicWidget, data: PublicWidgetData) -> tuple[list[Line], Times]:
    """The series as they are drawn, and the moments of the longest."""
    found: list[Line] = []
    times = Times(0, 60, 0)
    for query in data.queries:
        raw: Any = query.series
        series = msgspec.json.decode(raw, type=list[Series]) if isinstance(raw, msgspec.Raw) else query.series
        for each in series:
            name, options, color, is_hidden, is_negative = looks.of_series(
                widget.options, legend(query.legend, each.labels)
            )
            if is_hidden:
                continue
            own = looks.color_class(color, f"k{len(found) % looks.COLORS}")
            found.append(Line(name, each.labels, each.values, options, own, is_negative))
            if len(each.values) > times.steps:
                times = Times(query.start, query.step_seconds, len(each.values))
    return found, times
