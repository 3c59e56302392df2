"""Dashboards of ours as Grafana's JSON, of schema 39: what was imported is written as it was understood."""

from typing import Any, Final

import msgspec

from duoscope.dashboards.grafana import annotations, transformations
from duoscope.dashboards.grafana.reading import Json
from duoscope.dashboards.model import Dashboard, Place, Section
from duoscope.dashboards.variables import (
    ConstantVariable,
    IntervalVariable,
    LabelNames,
    LabelValues,
    ListVariable,
    MetricNames,
    QueryResult,
    QueryVariable,
    TextVariable,
    Variable,
)
from duoscope.dashboards.widgets import Mapping, Options, Override, RangeMapping, RegexMapping, ValueMapping, Widget
from duoscope.telemetry.questions.promql import PromqlQuestion

SCHEMA: Final = 39
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_TYPES: Final = {
    "line_chart": "timeseries", "stat": "stat", "table": "table", "gauge": "gauge", "heatmap": "heatmap",
    "text": "text",
}  # fmt: skip
_CALCULATIONS: Final = {"last": "lastNotNull", "first": "firstNotNull"}
_SORTS: Final = {"none": 0, "ascending": 1, "descending": 2, "numeric": 3, "numeric_descending": 4}


def export(dashboard: Dashboard) -> Json:
    """Write a dashboard as Grafana's JSON. Questions but PromQL have no counterpart: their widgets become texts."""
    by_key = {widget.key: widget for widget in dashboard.widgets}
    numbers = {widget.key: number for number, widget in enumerate(dashboard.widgets, 1)}
    taken = {int(key.removeprefix("panel-")) for key in by_key if _is_numbered(key)}
    numbers |= {
        key: int(key.removeprefix("panel-")) if _is_numbered(key) else max(taken, default=0) + number
        for key, number in numbers.items()
    }
    panels: list[Json] = []
    top, last = 0, max(taken, default=0) + len(numbers)
    for index, section in enumerate(dashboard.sections):
        within = [
            {**_panel(by_key[place.widget]), "id": numbers[place.widget]} | _grid(place, top)
            for place in section.places
        ]
        if section.title or section.is_collapsed or index:
            within = [each | _grid(place, top + 1) for each, place in zip(within, section.places, strict=True)]
            panels.append(_row(section, last + index + 1, top, within if section.is_collapsed else []))
            top += 1
        panels += [] if section.is_collapsed else within
        top += 0 if section.is_collapsed else max((place.y + place.height for place in section.places), default=0)
    listed = [{"type": "datasource", "name": "datasource", "query": "prometheus"}, *map(_variable, dashboard.variables)]
    return {
        "title": dashboard.name,
        "description": dashboard.description,
        "tags": list(dashboard.tags),
        "schemaVersion": SCHEMA,
        "editable": True,
        "panels": panels,
        "annotations": {"list": annotations.export(dashboard.annotations)},
        "templating": {"list": [each for each in listed if each]},
        "time": {"from": f"now-{_length(dashboard.range_seconds)}", "to": "now"},
        "refresh": f"{dashboard.refresh_seconds}s" if dashboard.refresh_seconds else "",
    }


def _is_numbered(key: str) -> bool:
    number = key.removeprefix("panel-")
    return key.startswith("panel-") and number.isascii() and number.isdigit() and not number.startswith("0")


def _length(seconds: int) -> str:
    return f"{seconds}s" if seconds < 10**6 else f"{round(seconds / 86_400)}d"


def _grid(place: Place, top: int) -> Json:
    return {"gridPos": {"x": place.x, "y": place.y + top, "w": place.width, "h": place.height}}


def _row(section: Section, identifier: int, top: int, panels: list[Json]) -> Json:
    return {
        "type": "row",
        "id": identifier,
        "title": section.title,
        "collapsed": section.is_collapsed,
        "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
        "panels": panels,
    } | ({"repeat": section.repeat} if section.repeat else {})


def _panel(widget: Widget) -> Json:
    if widget.placeholder is not None:
        return dict(widget.placeholder)
    targets = [
        {
            "refId": query.name,
            "expr": query.question.expression,
            "legendFormat": query.legend or "__auto",
            "hide": query.is_hidden,
            "instant": query.is_instant,
            "range": not query.is_instant,
            "datasource": _SOURCE,
            "format": "table" if query.format == "table" else "time_series",
        }
        for query in widget.queries
        if isinstance(query.question, PromqlQuestion)
    ]
    if len(targets) < len(widget.queries) or widget.type not in (*_TYPES, "bar_chart"):
        content = f"This widget of duoscope has no counterpart:\n\n```json\n{msgspec.json.encode(widget).decode()}\n```"
        return {"type": "text", "title": widget.title, "options": {"mode": "markdown", "content": content}}
    kind = _TYPES.get(widget.type, "bargauge" if widget.options.is_horizontal else "timeseries")
    made: Json = {"type": kind, "title": widget.title, "description": widget.description}
    if kind == "text":
        return made | {"options": {"mode": "markdown", "content": widget.text}}
    made |= {"datasource": _SOURCE, "targets": targets, **_drawing(widget)}
    if widget.transformations:
        made["transformations"] = [transformations.export(step) for step in widget.transformations]
    if widget.links:
        made["links"] = [{"title": link.title, "url": link.url} for link in widget.links]
    if widget.repeat:
        made["repeat"] = widget.repeat
    if widget.range_seconds:
        made["timeFrom"] = f"{widget.range_seconds}s"
    if widget.step_seconds:
        made["interval"] = f"{widget.step_seconds}s"
    return made


def _drawing(widget: Widget) -> Json:
    options = widget.options
    custom: Json = {
        "drawStyle": "bars" if widget.type == "bar_chart" else "line",
        "fillOpacity": options.fill_opacity,
        "lineWidth": options.line_width,
        "lineInterpolation": "stepAfter" if options.is_stepped else "linear",
        "stacking": {"mode": options.stacking},
        "axisLabel": options.axis_label,
    }
    steps = [{"color": step.color, "value": step.value} for step in options.thresholds.steps]
    defaults: Json = {
        "unit": options.unit or "none",
        "thresholds": {"mode": options.thresholds.mode, "steps": steps},
        "mappings": [_mapping(each) for each in options.mappings],
        "custom": custom,
    }
    defaults |= {name: value for name in ("decimals", "min", "max") if (value := getattr(options, name)) is not None}
    return {
        "fieldConfig": {"defaults": defaults, "overrides": [_override(each) for each in options.overrides]},
        "options": {
            "reduceOptions": {"calcs": [_calculation(options.calculation)], "values": False},
            "orientation": "horizontal" if options.is_horizontal else "auto",
            "legend": _legend(options),
        },
    }


def _calculation(name: str) -> str:
    return _CALCULATIONS.get(name, name)


def _legend(options: Options) -> Json:
    legend = options.legend
    return {
        "showLegend": legend.is_shown,
        "displayMode": "table" if legend.is_table else "list",
        "placement": legend.placement,
        "calcs": [_calculation(each) for each in legend.calculations],
    }


def _mapping(mapping: Mapping) -> Json:
    result = {"text": mapping.text, "color": mapping.color}
    result = {name: value for name, value in result.items() if value}
    match mapping:
        case ValueMapping():
            return {"type": "value", "options": {mapping.value: result}}
        case RangeMapping():
            return {"type": "range", "options": {"from": mapping.least, "to": mapping.most, "result": result}}
        case RegexMapping():
            return {"type": "regex", "options": {"pattern": mapping.pattern, "result": result}}
        case _:
            return {"type": "special", "options": {"match": mapping.match, "result": result}}


def _override(override: Override) -> Json:
    first = override.of[0]
    match override.match:
        case "name" if len(override.of) > 1:
            matcher: Json = {"id": "byNames", "options": {"names": list(override.of)}}
        case "name":
            matcher = {"id": "byName", "options": first}
        case "regex":
            matcher = {"id": "byRegexp", "options": f"/{first if len(override.of) == 1 else '|'.join(override.of)}/"}
        case "query":
            matcher = {"id": "byFrameRefID", "options": first}
    given: dict[str, Any] = {
        "displayName": override.name,
        "unit": override.unit,
        "color": {"mode": "fixed", "fixedColor": override.color} if override.color is not None else None,
        "decimals": override.decimals,
        "min": override.min,
        "max": override.max,
        "custom.hidden": override.is_hidden,
        "custom.transform": "negative-Y" if override.is_negative else None,
    }
    properties = [{"id": name, "value": value} for name, value in given.items() if value is not None]
    return {"matcher": matcher, "properties": properties}


def _variable(variable: Variable) -> Json | None:
    about: Json = {
        "name": variable.name,
        "label": variable.label,
        "description": variable.description,
        "hide": 2 if variable.is_hidden else 0,
    }
    match variable:
        case TextVariable():
            return about | {"type": "textbox", "query": variable.value, "current": {"value": variable.value}}
        case ConstantVariable():
            return about | {"type": "constant", "query": variable.value}
        case IntervalVariable():
            lengths = [each for each in variable.options if each != "auto"]
            chosen = "$__auto_interval_" + variable.name if variable.value == "auto" else variable.value
            how = {"type": "interval", "query": ",".join(lengths), "auto": "auto" in variable.options}
            return about | how | {"current": {"value": chosen}}
        case ListVariable():
            words = [f"{each.text} : {each.value}" if each.text else each.value for each in variable.options]
            about |= {"type": "custom", "query": ",".join(word.replace(",", "\\,") for word in words)}
        case QueryVariable():
            if (query := _query(variable)) is None:
                return None
            about |= {"type": "query", "query": {"query": query, "refId": "A"}, "datasource": _SOURCE, "refresh": 2}
            about |= {"regex": f"/{variable.regex}/" if variable.regex else "", "sort": _SORTS[variable.sort]}
    value = list(variable.value) if variable.multi else next(iter(variable.value), "")
    choice = {"multi": variable.multi, "includeAll": variable.include_all, "allValue": variable.all_value}
    return about | choice | {"current": {"value": value}}


def _query(variable: QueryVariable) -> str | None:
    match variable.source:
        case LabelValues(label, selector):
            return f"label_values({selector}, {label})" if selector else f"label_values({label})"
        case QueryResult(expression):
            return f"query_result({expression})"
        case MetricNames(pattern):
            return f"metrics({pattern})"
        case LabelNames():
            return "label_names()"
        case _:
            return None
