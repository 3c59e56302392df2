"""A dashboard of Grafana as one of ours: `convert`, and nothing else, is what other rooms call."""

import re
from typing import Any, Final, NamedTuple

import msgspec

from duoscope.dashboards import model
from duoscope.dashboards.grafana import annotations, newer, panels, variables
from duoscope.dashboards.grafana.reading import Json, arr, obj, objects, text
from duoscope.dashboards.grafana.report import Line
from duoscope.dashboards.model import COLUMNS, SECTIONS_MAX, WIDGETS_MAX, Dashboard, Place, Section
from duoscope.dashboards.variables import Variable, circles
from duoscope.dashboards.widgets import Widget
from duoscope.kernel.errors import DuoscopeError, invalid

SCHEMA_OLDEST: Final = 12
SCHEMA_NEWEST: Final = 42
DEPTH_MAX: Final = model.DEPTH_MAX - 10
_SPANS: Final = 12
_OLD_ROW_PIXELS: Final = 30
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}


class Imported(NamedTuple):
    """A dashboard and what became of each part of what it was made of."""

    dashboard: Dashboard
    report: list[Line]


class _Panel(NamedTuple):
    panel: Json
    pointer: str
    place: tuple[int, int, int, int]


class _Row(NamedTuple):
    title: str
    is_collapsed: bool
    repeat: str
    panels: list[_Panel]


def convert(document: object) -> Imported:
    """Convert a dashboard of Grafana, as its pages export it or as its API answers it.

    Raises:
        DuoscopeError: INVALID `invalid-import` for what is no such dashboard, or one of another schema.
    """
    source = obj(document)
    source = obj(source.get("dashboard")) or source
    _refuse_deep(source)
    if newer.is_newer(source):
        if not newer.has_layout(source):
            raise _refused("this is Grafana's newer form (schema v2, `spec.elements`), but without its `layout`")
        as_classic = newer.rewritten(source)
        found = _converted(as_classic.source)
        lines = [newer.moved(line, as_classic.places) for line in found.report]
        return Imported(found.dashboard, [*as_classic.report, *lines])
    _refuse_others(source)
    return _converted(source)


def _converted(source: Json) -> Imported:
    made, report = variables.convert(source.get("templating"))
    known = _without_circles(made, report)
    questions = model.Questions(known)
    widgets: list[Widget] = []
    sections: list[Section] = []
    taken: set[str] = set()
    rows = _rows(source)
    for row in rows[:SECTIONS_MAX]:
        places: list[Place] = []
        for each in row.panels:
            if len(widgets) == WIDGETS_MAX:
                report.append(_too_many(each))
                continue
            key = _key(each.panel, taken)
            widget, lines = panels.convert(each.panel, each.pointer, key, known, questions)
            widgets.append(widget)
            report += lines
            places.append(Place(key, *each.place))
        repeat = row.repeat if any(variable.name == row.repeat for variable in known) else None
        if places or row.title:
            sections.append(Section(row.title, row.is_collapsed, tuple(places), repeat))
    report += [_too_many(each) for row in rows[SECTIONS_MAX:] for each in row.panels]
    marks, lines = annotations.convert(source, questions)
    report += lines
    dashboard = Dashboard(
        name=text(source.get("title"), 200).strip() or "Imported dashboard",
        description=text(source.get("description")),
        tags=tuple(tag for tag in (text(tag, 1000) for tag in arr(source.get("tags"))) if tag)[:50],
        widgets=tuple(widgets),
        sections=tuple(sections),
        variables=known,
        annotations=marks,
        range_seconds=_range(obj(source.get("time"))),
        refresh_seconds=_length(text(source.get("refresh"), 20), 5, 86_400),
    )
    return Imported(model.parsed(msgspec.to_builtins(dashboard)), report)


def _refuse_others(source: Json) -> None:
    if not isinstance(source.get("panels"), list) and not isinstance(source.get("rows"), list):
        raise _refused("this is no dashboard of Grafana: it has neither `panels` nor `rows`")
    version = source.get("schemaVersion")
    if isinstance(version, bool) or not isinstance(version, int) or not SCHEMA_OLDEST <= version <= SCHEMA_NEWEST:
        raise _refused(f"`schemaVersion` is {SCHEMA_OLDEST} to {SCHEMA_NEWEST}, not {text(version, 20) or 'missing'}")


def _refuse_deep(source: Json) -> None:
    if _depth(source) > DEPTH_MAX:
        raise _refused(f"it nests deeper than {DEPTH_MAX}")


def _depth(document: object) -> int:
    depth, level = 0, list[Any]([document])
    while level and depth <= DEPTH_MAX:
        inner: list[Any] = []
        for each in level:
            inner += [*obj(each).values(), *arr(each)]
        depth, level = depth + 1, inner
    return depth


def _rows(source: Json) -> list[_Row]:
    rows = [_Row("", is_collapsed=False, repeat="", panels=[])]
    for number, panel in objects(source.get("panels")):
        pointer = f"/panels/{number}"
        if panel.get("type") != "row":
            rows[-1].panels.append(_Panel(panel, pointer, panels.grid(panel) or (0, number * 8, COLUMNS, 8)))
            continue
        within = [
            _Panel(each, f"{pointer}/panels/{inner}", panels.grid(each) or (0, inner * 8, COLUMNS, 8))
            for inner, each in objects(panel.get("panels"))
        ]
        is_collapsed = panel.get("collapsed") is True
        rows.append(_Row(text(panel.get("title"), 1000), is_collapsed, text(panel.get("repeat"), 64), within))
    for number, row in objects(source.get("rows")):
        if found := _old_row(row, f"/rows/{number}"):
            rows.append(found)
    return [_from_the_top(row) for row in rows]


def _old_row(row: Json, pointer: str) -> _Row:
    """A row of before grids: panels side by side, in twelfths of the width, in lines."""
    height = re.match(r"\d{1,5}", text(row.get("height"), 20))
    units = max(1, min(200, round(int(height[0]) / _OLD_ROW_PIXELS))) if height else 8
    x = y = 0
    found: list[_Panel] = []
    for number, panel in objects(row.get("panels")):
        span = panel.get("span")
        width = round(span * COLUMNS / _SPANS) if isinstance(span, int | float) and 0 < span <= _SPANS else COLUMNS
        width = max(1, width)
        if x + width > COLUMNS:
            x, y = 0, y + units
        found.append(_Panel(panel, f"{pointer}/panels/{number}", (x, min(y, model.ROWS_MAX), width, units)))
        x += width
    title = text(row.get("title"), 1000) if row.get("showTitle") is not False else ""
    return _Row(title, row.get("collapse") is True, text(row.get("repeat"), 64), found)


def _from_the_top(row: _Row) -> _Row:
    """Places in a section begin at its top."""
    top = min((each.place[1] for each in row.panels), default=0)
    moved = [each._replace(place=(each.place[0], each.place[1] - top, *each.place[2:])) for each in row.panels]
    return row._replace(panels=moved)


def _key(panel: Json, taken: set[str]) -> str:
    identifier = panel.get("id")
    is_number = isinstance(identifier, int) and not isinstance(identifier, bool) and 0 < identifier < 10**9
    stem = f"panel-{identifier}" if is_number else "panel"
    key, number = stem if is_number else f"{stem}-0", 1
    while key in taken:
        key, number = f"{stem}-x{number}", number + 1
    taken.add(key)
    return key


def _without_circles(made: list[Variable], report: list[Line]) -> tuple[Variable, ...]:
    why = {name: " → ".join(circle) for circle in circles(made) for name in circle}
    for number, line in enumerate(report):
        if line.name in why and line.outcome != "left-out":
            reasons = [f"it depends on itself: {why[line.name]}"]
            report[number] = Line("variable", line.type, line.name, line.pointer, "left-out", reasons)
    return tuple(variable for variable in made if variable.name not in why)


def _too_many(panel: _Panel) -> Line:
    kind, title = text(panel.panel.get("type"), 100), text(panel.panel.get("title"), 1000)
    why = f"a dashboard has up to {WIDGETS_MAX} widgets in {SECTIONS_MAX} sections"
    return Line("panel", kind, title, panel.pointer, "left-out", [why])


def _range(time: Json) -> int:
    start = re.fullmatch(r"now-(\d{1,6}[smhdwMy])(?:/[smhdwMy])?", text(time.get("from"), 40))
    return (_length(start[1], 60, 400 * 86_400) if start else None) or 3600


def _length(length: str, least: int, most: int) -> int | None:
    found = re.fullmatch(r"(\d{1,6})([smhdwMy])", length)
    return min(max(int(found[1]) * _SECONDS[found[2]], least), most) if found else None


def _refused(message: str) -> DuoscopeError:
    return invalid(f"The dashboard cannot be imported: {message}.", code="invalid-import")
