"""Grafana's newer form of dashboards, schema v2: a resource whose `spec` has `elements` and a `layout` apart from them.

It is rewritten as the classic model, which everything else here reads; `places` leads from there back to what was
imported. Tabs become rows.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from duoscope.dashboards.grafana.reading import Json, number, obj, objects, text
from duoscope.dashboards.grafana.report import Line
from duoscope.dashboards.model import COLUMNS

_KINDS: Final = {
    "QueryVariable": "query", "CustomVariable": "custom", "TextVariable": "textbox", "ConstantVariable": "constant",
    "DatasourceVariable": "datasource", "IntervalVariable": "interval", "AdhocVariable": "adhoc",
    "GroupByVariable": "groupby", "SwitchVariable": "switch",
}  # fmt: skip
_SORTS: Final = {
    "alphabeticalAsc": 1, "alphabeticalDesc": 2, "numericalAsc": 3, "numericalDesc": 4,
    "alphabeticalCaseInsensitiveAsc": 5, "alphabeticalCaseInsensitiveDesc": 6,
}  # fmt: skip
_COLUMNS_AUTO: Final = 3
_HEIGHT_AUTO: Final = 9
_LAYOUTS_MAX: Final = 8
"""How deep layouts are within each other."""
_HIDDEN: Final = 2


class Rewritten(NamedTuple):
    """A dashboard in the classic model.

    Attributes:
        source: the dashboard.
        places: JSON pointers into it, and to what each was made of.
        report: what is different before anything is converted.
    """

    source: Json
    places: dict[str, str]
    report: list[Line]


def is_newer(source: Json) -> bool:
    """Whether a document is of this form, alone or within its resource."""
    return "elements" in _spec(source)


def has_layout(source: Json) -> bool:
    """Whether it says where its elements stand."""
    return bool(text(obj(_spec(source).get("layout")).get("kind"), 100))


def rewritten(source: Json) -> Rewritten:
    """Rewrite a document of this form."""
    spec, at = _spec(source), "/spec" if "spec" in source else ""
    made = _Rewriting(obj(spec.get("elements")), at)
    made.layout(obj(spec.get("layout")), f"{at}/layout/spec", made.panels, "/panels")
    for name in obj(spec.get("elements")):
        if name not in made.used:
            made.report.append(_left_out(name, f"{at}/elements/{_step(name)}", "no layout has a place for it"))
    time = obj(spec.get("timeSettings"))
    classic: Json = {
        "schemaVersion": 42,
        "title": spec.get("title"),
        "description": spec.get("description"),
        "tags": spec.get("tags"),
        "panels": made.panels,
        "templating": {"list": [_variable(each) for _, each in objects(spec.get("variables"))]},
        "annotations": {"list": [_annotation(obj(each.get("spec"))) for _, each in objects(spec.get("annotations"))]},
        "time": {"from": time.get("from"), "to": time.get("to")},
        "refresh": time.get("autoRefresh"),
    }
    places = made.places | {"/templating/list": f"{at}/variables", "/annotations/list": f"{at}/annotations"}
    return Rewritten(classic, places, made.report)


def moved(line: Line, places: dict[str, str]) -> Line:
    """A line of the report, with the pointer to what was imported."""
    steps = line.pointer.split("/")
    for count in range(len(steps), 0, -1):
        if found := places.get("/".join(steps[:count])):
            return msgspec.structs.replace(line, pointer="/".join([found, *steps[count:]]))
    return line


def _spec(source: Json) -> Json:
    return source if "elements" in source else obj(source.get("spec"))


class _Rewriting:
    def __init__(self, elements: Json, at: str) -> None:
        self.panels: list[Json] = []
        self.places: dict[str, str] = {}
        self.report: list[Line] = []
        self.used: set[str] = set()
        self._elements = elements
        self._at = at

    def layout(self, layout: Json, at: str, into: list[Json], pointer: str, depth: int = 0) -> None:
        """Put what a layout has into a list of panels. `at` leads to its spec, `pointer` to the list."""
        spec, kind = obj(layout.get("spec")), text(layout.get("kind"), 100)
        if depth > _LAYOUTS_MAX:
            return
        if kind in ("RowsLayout", "TabsLayout"):
            name = "rows" if kind == "RowsLayout" else "tabs"
            if name == "tabs":
                why = ["tabs are sections below each other"]
                self.report.append(Line("dashboard", kind, "", at, "converted-with-loss", why))
            for each, row in objects(spec.get(name)):
                self._row(obj(row.get("spec")), f"{at}/{name}/{each}/spec", depth)
            return
        columns = number(spec.get("maxColumnCount")) or _COLUMNS_AUTO
        for order, item in objects(spec.get("items")):
            placed = obj(item.get("spec"))
            if kind == "AutoGridLayout":
                placed = placed | _in_order(order, max(1, min(COLUMNS, int(columns))))
            if item.get("kind") == "GridLayoutRow":  # of the first version of this form
                self._row(placed | {"layout": {"kind": "GridLayout", "spec": {"items": placed.get("elements")}}},
                          f"{at}/items/{order}/spec", depth)  # fmt: skip
            else:
                self._panel(placed, into, pointer)

    def _row(self, spec: Json, at: str, depth: int) -> None:
        row: Json = {
            "type": "row",
            "title": spec.get("title"),
            "collapsed": spec.get("collapse") is True or spec.get("collapsed") is True,
            "repeat": obj(spec.get("repeat")).get("value"),
            "panels": [],
        }
        self.panels.append(row)
        pointer = f"/panels/{len(self.panels) - 1}"
        self.places[pointer] = at
        self.layout(obj(spec.get("layout")), f"{at}/layout/spec", row["panels"], f"{pointer}/panels", depth + 1)

    def _panel(self, placed: Json, into: list[Json], pointer: str) -> None:
        name = text(obj(placed.get("element")).get("name"), 1000)
        element = obj(self._elements.get(name))
        if not element:
            return
        self.used.add(name)
        panel = _panel(element)
        panel["gridPos"] = {
            "x": placed.get("x"), "y": placed.get("y"), "w": placed.get("width"), "h": placed.get("height"),
        }  # fmt: skip
        panel["repeat"] = obj(placed.get("repeat")).get("value")
        into.append(panel)
        self.places[f"{pointer}/{len(into) - 1}"] = f"{self._at}/elements/{_step(name)}"


def _in_order(order: int, columns: int) -> Json:
    width = COLUMNS // columns
    return {"x": order % columns * width, "y": order // columns * _HEIGHT_AUTO, "width": width, "height": _HEIGHT_AUTO}


def _panel(element: Json) -> Json:
    spec = obj(element.get("spec"))
    if element.get("kind") == "LibraryPanel":
        return {
            "type": "library-panel",
            "title": spec.get("title"),
            "libraryPanel": obj(spec.get("libraryPanel")) or {"uid": ""},
        }
    viz = obj(spec.get("vizConfig"))
    drawn = obj(viz.get("spec"))
    data = obj(obj(spec.get("data")).get("spec"))
    options = obj(data.get("queryOptions"))
    kept = {name: spec[name] for name in ("id", "title", "description", "links") if name in spec}
    return kept | {
        "type": _group(viz, "VizConfig"),
        "options": drawn.get("options"),
        "fieldConfig": drawn.get("fieldConfig"),
        "targets": list(_targets(data.get("queries"))),
        "transformations": list(_transformations(data.get("transformations"))),
        "interval": options.get("interval"),
        "timeFrom": options.get("timeFrom"),
        "timeShift": options.get("timeShift"),
    }


def _group(holder: Json, kind: str) -> Any:
    """What something is of: its `group`, and in the first version of this form its `kind`."""
    return holder.get("group") if holder.get("kind") == kind or "group" in holder else holder.get("kind")


def _targets(queries: object) -> Iterator[Json]:
    for _, each in objects(queries):
        spec = obj(each.get("spec"))
        query = obj(spec.get("query"))
        source = {"type": _group(query, "DataQuery") or obj(spec.get("datasource")).get("type")}
        yield obj(query.get("spec")) | {"refId": spec.get("refId"), "hide": spec.get("hidden"), "datasource": source}


def _transformations(steps: object) -> Iterator[Json]:
    for _, each in objects(steps):
        spec = obj(each.get("spec"))
        name = spec.get("id") or _group(each, "Transformation")
        yield {"id": name, "options": spec.get("options"), "disabled": spec.get("disabled")}


def _variable(variable: Json) -> Json:
    spec = obj(variable.get("spec"))
    kind = text(variable.get("kind"), 100)
    asked = obj(spec.get("query"))
    made = spec | {
        "type": _KINDS.get(kind, kind),
        "hide": _HIDDEN if spec.get("hide") == "hideVariable" else 0,
        "sort": _SORTS.get(text(spec.get("sort"), 100), 0),
    }
    if asked:
        within = obj(asked.get("spec"))
        made["query"] = within.get("__legacyStringValue") or within
        made["datasource"] = {"type": _group(asked, "DataQuery")}
    if kind == "SwitchVariable":
        values = [spec.get("enabledValue"), spec.get("disabledValue")]
        made |= {
            "type": "custom",
            "query": ",".join(text(each, 1000) for each in values),
            "current": {"value": spec.get("current")},
        }
    return made


def _annotation(spec: Json) -> Json:
    query = obj(spec.get("query"))
    source = {"type": _group(query, "DataQuery") or obj(spec.get("datasource")).get("type")}
    kept = obj(spec.get("legacyOptions")) | obj(query.get("spec"))
    named = {name: spec.get(name) for name in ("name", "enable", "iconColor")}
    return kept | named | {"builtIn": 1 if spec.get("builtIn") is True else 0, "datasource": source}


def _left_out(name: str, pointer: str, why: str) -> Line:
    return Line("panel", "element", text(name, 1000), pointer, "left-out", [why])


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
