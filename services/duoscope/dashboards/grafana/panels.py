"""Panels as widgets, each with its line of the report."""

import re
from typing import Final

import msgspec

from duoscope.dashboards import model
from duoscope.dashboards.grafana import drawing, queries, transformations
from duoscope.dashboards.grafana.hypertext import as_markdown
from duoscope.dashboards.grafana.reading import Json, arr, number, obj, objects, text
from duoscope.dashboards.grafana.report import Line, NotConvertedError, Notes
from duoscope.dashboards.transformations import Transformation
from duoscope.dashboards.variables import Variable
from duoscope.dashboards.widgets import Link, LogRecords, Widget, WidgetType

_TYPES: Final[dict[str, WidgetType]] = {
    "timeseries": "line_chart", "graph": "line_chart", "stat": "stat", "singlestat": "stat", "table": "table",
    "table-old": "table", "gauge": "gauge", "bargauge": "bar_chart", "barchart": "bar_chart", "heatmap": "heatmap",
    "heatmap-new": "heatmap", "logs": "logs", "text": "text", "alertlist": "table",
}  # fmt: skip
_NEAR: Final[dict[str, tuple[WidgetType, str]]] = {
    "piechart": ("bar_chart", "a pie is drawn as bars"),
    "grafana-piechart-panel": ("bar_chart", "a pie is drawn as bars"),
    "histogram": ("bar_chart", "values are drawn over time, not by how frequent they are"),
    "state-timeline": ("line_chart", "states are drawn as steps"),
    "status-history": ("line_chart", "states are drawn as steps"),
    "trend": ("line_chart", "values are drawn over time"),
    "xychart": ("line_chart", "values are drawn over time"),
}
_WHY_NOT: Final = {
    "dashlist": "lists of dashboards are not widgets",
    "nodeGraph": "graphs of nodes are asked of sources that are not here",
    "news": "it shows what is outside",
}
_PLACEHOLDER_BYTES_MAX: Final = 32 * 1024


def convert(
    panel: Json, pointer: str, key: str, variables: tuple[Variable, ...], questions: model.Questions
) -> tuple[Widget, list[Line]]:
    """The widget for a panel, which is a placeholder if it cannot be converted, and the lines about it."""
    kind, title = text(panel.get("type"), 100) or "none", text(panel.get("title"), 1000)
    notes = Notes()
    steps, lines = transformations.convert(panel, pointer, notes)
    try:
        widget = _valid(_widget(kind, panel, key, variables, steps, notes), questions)
        lines.insert(0, notes.line("panel", kind, title, pointer))
    except NotConvertedError as error:
        widget = _placeholder(kind, panel, key, str(error))
        lines.insert(0, Line("panel", kind, title, pointer, "placeholder", [str(error)]))
    return widget, lines


def _widget(  # noqa: PLR0917 - what a widget is made of
    kind: str,
    panel: Json,
    key: str,
    variables: tuple[Variable, ...],
    steps: tuple[Transformation, ...],
    notes: Notes,
) -> Widget:
    made = Widget(
        key,
        _type(kind, panel, notes),
        title=text(panel.get("title"), 1000),
        description=text(panel.get("description")),
        links=_links(panel, notes),
        repeat=_repeat(panel, variables, notes),
        step_seconds=_seconds(panel.get("interval")),
    )
    if made.type == "text":
        made = msgspec.structs.replace(made, text=_markdown(panel, notes))
    else:
        asked = (queries.alerts(panel, notes),) if kind == "alertlist" else queries.convert(panel, notes)
        if made.type != "logs" and any(isinstance(query.question, LogRecords) for query in asked):
            made = msgspec.structs.replace(made, type="table" if made.type == "table" else "logs")
        options = drawing.convert(panel, notes)
        if kind in ("state-timeline", "status-history"):
            options = msgspec.structs.replace(options, is_stepped=True)
        made = msgspec.structs.replace(made, queries=asked, options=options, transformations=steps)
    return msgspec.structs.replace(made, range_seconds=_range(panel, notes))


def _type(kind: str, panel: Json, notes: Notes) -> WidgetType:
    if obj(panel.get("libraryPanel")):
        raise NotConvertedError("it is a library panel, whose definition is elsewhere")
    if kind in _NEAR:
        near, loss = _NEAR[kind]
        notes.lose(loss)
        return near
    if kind not in _TYPES:
        raise NotConvertedError(_WHY_NOT.get(kind, f"there is no counterpart of panels of type {kind[:60]!r}"))
    if kind == "singlestat" and obj(panel.get("gauge")).get("show") is True:
        return "gauge"
    style = obj(obj(obj(panel.get("fieldConfig")).get("defaults")).get("custom")).get("drawStyle")
    if (kind == "timeseries" and style == "bars") or (
        kind == "graph" and panel.get("bars") is True and panel.get("lines") is False
    ):
        return "bar_chart"
    return _TYPES[kind]


def _links(panel: Json, notes: Notes) -> tuple[Link, ...]:
    made: list[Link] = []
    for _, each in objects(panel.get("links")):
        try:
            link = Link(text(each.get("title"), 1000), text(each.get("url")))
            made.append(msgspec.convert(msgspec.to_builtins(link), Link))
        except msgspec.ValidationError:
            notes.lose("a link that leads to no page")
    return tuple(made[:50])


def _repeat(panel: Json, variables: tuple[Variable, ...], notes: Notes) -> str | None:
    name = text(panel.get("repeat"), 64)
    if not name or any(variable.name == name for variable in variables):
        return name or None
    notes.lose(f"repeating it by {name}, which is no variable")
    return None


def _seconds(value: object) -> int | None:
    found = re.fullmatch(r">?\s*(\d{1,6})(s|m|h)", text(value, 40))
    return min(max(int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]], 1), 86_400) if found else None


def _range(panel: Json, notes: Notes) -> int | None:
    length, shift = text(panel.get("timeFrom"), 40).strip(), text(panel.get("timeShift"), 40).strip()
    if shift:
        notes.lose(f"a time range that is shifted (timeShift {shift})")
    found = re.fullmatch(r"(?:now-)?(\d{1,6})(s|m|h|d|w)", length)
    if found is None:
        if length:
            notes.lose(f"a time range of its own (timeFrom {length})")
        return None
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[found[2]]
    return min(max(seconds, 1), 400 * 86_400)


def _markdown(panel: Json, notes: Notes) -> str:
    options = obj(panel.get("options"))
    content = text(options.get("content") or panel.get("content"))
    mode = text(options.get("mode") or panel.get("mode"), 40)
    if mode == "code":
        return f"```\n{content[:40_000]}\n```"
    if mode == "html":
        return as_markdown(content, notes)
    return content


def _placeholder(kind: str, panel: Json, key: str, why: str) -> Widget:
    kept = _kept({name: value for name, value in panel.items() if name != "panels"})
    if kept is None:
        kept = {"type": kind, "title": text(panel.get("title"), 1000), "note": "the panel is too large to be kept"}
    return Widget(
        key,
        "text",
        title=text(panel.get("title"), 1000),
        text=f"This panel of type `{kind.replace('`', '')[:60]}` was not converted: {why[:1000]}.",
        placeholder=kept,
    )


def _kept(panel: Json) -> Json | None:
    """The panel as it will be read again; None if it is too large, or no JSON that can be stored."""
    try:
        encoded = msgspec.json.encode(panel)
    except (ValueError, OverflowError):
        return None
    return (
        msgspec.json.decode(encoded) if len(encoded) <= _PLACEHOLDER_BYTES_MAX and b"\\u0000" not in encoded else None
    )


def _valid(widget: Widget, questions: model.Questions) -> Widget:
    """The widget, if it may stand in a dashboard."""
    try:
        found = msgspec.convert(msgspec.to_builtins(widget), Widget)
    except msgspec.ValidationError as error:
        raise NotConvertedError(f"it cannot be here: {error}") from error
    for mistake in model.of_widget(found, questions):
        raise NotConvertedError(f"{mistake.message} ({mistake.pointer})")
    return found


def grid(panel: Json) -> tuple[int, int, int, int] | None:
    """The place of a panel: x, y, width, height; None if it does not say."""
    place = obj(panel.get("gridPos"))
    found = [number(place.get(name)) for name in ("x", "y", "w", "h")]
    if any(each is None for each in found) or arr(panel.get("gridPos")):
        return None
    x, y, width, height = (int(each or 0) for each in found)
    x = min(max(x, 0), model.COLUMNS - 1)
    return x, min(max(y, 0), model.ROWS_MAX), min(max(width, 1), model.COLUMNS - x), min(max(height, 1), 200)
