"""Dashboards of ours as a dashboard of Perses: panels by key, layouts apart, variables of its two kinds.

The fields are those of Perses' specification (`kind: Dashboard`) and of its Prometheus plugins. Widgets that ask
anything but PromQL, and those without a counterpart, become Markdown panels that say so.
"""

from typing import Any, Final

from duoscope.dashboards.model import COLUMNS, Dashboard, Section
from duoscope.dashboards.variables import (
    ConstantVariable,
    IntervalVariable,
    LabelNames,
    LabelValues,
    ListVariable,
    QueryResult,
    QueryVariable,
    TextVariable,
    Variable,
)
from duoscope.dashboards.widgets import Widget
from duoscope.telemetry.questions.promql import PromqlQuestion

Json = dict[str, Any]
_PLUGINS: Final = {
    "line_chart": "TimeSeriesChart", "bar_chart": "BarChart", "gauge": "GaugeChart", "stat": "StatChart",
    "table": "TimeSeriesTable",
}  # fmt: skip
_UNITS: Final = {
    "bytes": "bytes", "decbytes": "decbytes", "percent": "percent", "percentunit": "percent-decimal", "s": "seconds",
    "ms": "milliseconds", "reqps": "requests/sec", "ops": "ops/sec", "Bps": "bytes/sec", "short": "decimal",
}  # fmt: skip
_CALCULATED: Final = {"gauge", "stat", "bar_chart"}
_CALCULATIONS: Final = {
    "last": "last-number", "first": "first-number", "min": "min", "max": "max", "mean": "mean", "sum": "sum",
}  # fmt: skip


def export(dashboard: Dashboard, *, project: str = "default") -> Json:
    """Write a dashboard as the JSON of Perses."""
    return {
        "kind": "Dashboard",
        "metadata": {"name": _slug(dashboard.name), "project": project},
        "spec": {
            "display": {"name": dashboard.name, "description": dashboard.description},
            "duration": f"{dashboard.range_seconds}s",
            "refreshInterval": f"{dashboard.refresh_seconds or 0}s",
            "variables": [made for each in dashboard.variables if (made := _variable(each))],
            "panels": {widget.key: _panel(widget) for widget in dashboard.widgets},
            "layouts": [_layout(section) for section in dashboard.sections],
        },
    }


def _slug(name: str) -> str:
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in name.lower()).strip("-")
    return slug[:75] or "dashboard"


def _layout(section: Section) -> Json:
    items = [
        {
            "x": place.x,
            "y": place.y,
            "width": min(place.width, COLUMNS - place.x),
            "height": place.height,
            "content": {"$ref": f"#/spec/panels/{place.widget}"},
        }
        for place in section.places
    ]
    spec: Json = {"items": items}
    if section.title or section.is_collapsed:
        spec["display"] = {"title": section.title, "collapse": {"open": not section.is_collapsed}}
    if section.repeat:
        spec["repeatVariable"] = section.repeat
    return {"kind": "Grid", "spec": spec}


def _panel(widget: Widget) -> Json:
    asked = [(query, query.question) for query in widget.queries if not query.is_hidden]
    is_shown = widget.type in _PLUGINS and all(isinstance(question, PromqlQuestion) for _, question in asked)
    if not is_shown:
        said = widget.text if widget.type == "text" else f"A widget of type {widget.type}, which Perses does not have."
        plugin: Json = {"kind": "Markdown", "spec": {"text": said}}
        return {"kind": "Panel", "spec": {"display": _display(widget), "plugin": plugin}}
    plugin = {"kind": _PLUGINS[widget.type], "spec": _drawing(widget)}
    queries = [
        {
            "kind": "TimeSeriesQuery",
            "spec": {
                "plugin": {
                    "kind": "PrometheusTimeSeriesQuery",
                    "spec": {"query": question.expression}
                    | ({"seriesNameFormat": query.legend} if query.legend else {})
                    | ({"minStep": f"{widget.step_seconds}s"} if widget.step_seconds else {}),
                }
            },
        }
        for query, question in asked
        if isinstance(question, PromqlQuestion)
    ]
    return {"kind": "Panel", "spec": {"display": _display(widget), "plugin": plugin, "queries": queries}}


def _display(widget: Widget) -> Json:
    return {"name": widget.title, "description": widget.description}


def _drawing(widget: Widget) -> Json:
    options = widget.options
    spec: Json = {}
    if widget.type in _CALCULATED:
        spec["calculation"] = _CALCULATIONS.get(options.calculation, "last-number")
    if unit := _UNITS.get(options.unit):
        form: Json = {"unit": unit}
        if options.decimals is not None:
            form["decimalPlaces"] = options.decimals
        spec |= {"yAxis": {"format": form}} if widget.type == "line_chart" else {"format": form}
    if widget.type == "line_chart" and options.legend.is_shown:
        mode = "table" if options.legend.is_table else "list"
        spec["legend"] = {"position": options.legend.placement, "mode": mode}
    return spec


def _variable(variable: Variable) -> Json | None:
    display: Json = {"name": variable.label or variable.name, "description": variable.description}
    display["hidden"] = variable.is_hidden
    named: Json = {"name": variable.name, "display": display}
    match variable:
        case TextVariable() | ConstantVariable():
            fixed = isinstance(variable, ConstantVariable)
            return {"kind": "TextVariable", "spec": named | {"value": variable.value, "constant": fixed}}
        case IntervalVariable():
            values = [each for each in variable.options if each != "auto"] or ["1m"]
            plugin: Json | None = {"kind": "StaticListVariable", "spec": {"values": values}}
            chosen = variable.value if variable.value in values else values[0]
            return {"kind": "ListVariable", "spec": named | {"plugin": plugin, "defaultValue": chosen}}
        case ListVariable():
            listed = [{"value": each.value, "label": each.text or each.value} for each in variable.options]
            plugin = {"kind": "StaticListVariable", "spec": {"values": listed}}
        case QueryVariable():
            plugin = _source(variable)
    if plugin is None:
        return None
    spec: Json = named | {"allowAllValue": variable.include_all, "allowMultiple": variable.multi, "plugin": plugin}
    if variable.all_value is not None:
        spec["customAllValue"] = variable.all_value
    if variable.value:
        spec["defaultValue"] = list(variable.value) if variable.multi else variable.value[0]
    if isinstance(variable, QueryVariable) and variable.regex:
        spec["capturingRegexp"] = variable.regex
    return {"kind": "ListVariable", "spec": spec}


def _source(variable: QueryVariable) -> Json | None:
    match variable.source:
        case LabelValues(label, selector):
            matchers = [selector] if selector else []
            return {"kind": "PrometheusLabelValuesVariable", "spec": {"labelName": label, "matchers": matchers}}
        case LabelNames():
            return {"kind": "PrometheusLabelNamesVariable", "spec": {"matchers": []}}
        case QueryResult(expression):
            return {"kind": "PrometheusPromQLVariable", "spec": {"expr": expression, "labelName": "__name__"}}
        case _:
            return None
