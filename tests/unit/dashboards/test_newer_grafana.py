"""Grafana's newer form of dashboards, of both its versions, with rows, tabs and grids."""

import copy

import msgspec
import pytest

from duoscope.dashboards import model
from duoscope.dashboards.grafana.dashboards import convert


def element(number, *, is_first, kind="timeseries", source="prometheus", **query):
    """A panel as the first version of the form writes it, or as those after it."""
    viz = {"kind": kind} if is_first else {"kind": "VizConfig", "group": kind, "version": "12.0.0"}
    asked = {"kind": source} if is_first else {"kind": "DataQuery", "group": source, "version": "v0"}
    step = {"kind": "merge", "spec": {"id": "merge", "options": {}}} if is_first else {
        "kind": "Transformation", "group": "merge", "spec": {"options": {}}
    }  # fmt: skip
    asked["spec"] = query or {"expr": f'up{{n="{number}"}}', "legendFormat": "{{job}}"}
    queries = [{"kind": "PanelQuery", "spec": {"refId": "A", "hidden": False, "query": asked}}]
    group = {"queries": queries, "transformations": [step], "queryOptions": {"interval": "1m", "timeFrom": "6h"}}
    return {
        "kind": "Panel",
        "spec": {
            "id": number,
            "title": f"P{number}",
            "description": "",
            "links": [],
            "data": {"kind": "QueryGroup", "spec": group},
            "vizConfig": viz | {"spec": {"options": {}, "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []}}},
        },
    }


def item(name, x, y, **more):
    place = {"x": x, "y": y, "width": 12, "height": 8, "element": {"kind": "ElementReference", "name": name}}
    return {"kind": "GridLayoutItem", "spec": place | more}


def grid(*items):
    return {"kind": "GridLayout", "spec": {"items": list(items)}}


def row(title, layout, **more):
    return {"kind": "RowsLayoutRow", "spec": {"title": title, "collapse": False, "layout": layout} | more}


def document(*, is_first, layout, **elements):
    asked = {"kind": "prometheus", "spec": {"query": "label_values(up, job)", "refId": "x"}}
    if not is_first:
        asked = {"kind": "DataQuery", "group": "prometheus", "version": "v0",
                 "spec": {"__legacyStringValue": "label_values(up, job)"}}  # fmt: skip
    variable = {"name": "job", "label": "Job", "hide": "hideVariable", "multi": True, "includeAll": True,
                "sort": "alphabeticalDesc", "current": {"value": ["$__all"]}, "query": asked}  # fmt: skip
    marks = {"kind": "prometheus" if is_first else "DataQuery", "group": "prometheus",
             "spec": {"expr": "changes(x[5m])", "titleFormat": "{{pod}}"}}  # fmt: skip
    spec = {
        "title": "New",
        "tags": ["a"],
        "elements": {name.replace("_", "-"): each for name, each in elements.items()},
        "layout": layout,
        "variables": [{"kind": "QueryVariable", "spec": variable}],
        "annotations": [{"kind": "AnnotationQuery", "spec": {"name": "Deploys", "enable": True, "iconColor": "red",
                                                             "query": marks}}],
        "timeSettings": {"from": "now-6h", "to": "now", "autoRefresh": "30s"},
    }  # fmt: skip
    return {"apiVersion": f"dashboard.grafana.app/v2{'alpha1' if is_first else ''}", "kind": "Dashboard",
            "metadata": {"name": "x"}, "spec": spec}  # fmt: skip


@pytest.mark.parametrize("is_first", [True, False])
def test_the_newer_form_is_converted(is_first):
    rows = {"kind": "RowsLayout", "spec": {"rows": [
        row("", grid(item("panel-1", 0, 0))),
        row("Repeats", grid(item("panel-2", 12, 4)), collapse=True, repeat={"mode": "variable", "value": "job"}),
    ]}}  # fmt: skip
    given = document(
        is_first=is_first,
        layout=rows,
        panel_1=element(1, is_first=is_first),
        panel_2=element(2, is_first=is_first, source="influxdb", query="SELECT 1"),
        panel_3=element(3, is_first=is_first),
    )
    made, report = convert(given)
    assert model.parsed(msgspec.to_builtins(made)) == made
    assert (made.name, made.tags, made.range_seconds, made.refresh_seconds) == ("New", ("a",), 21_600, 30)
    first, second = made.widgets
    assert (first.type, first.title, first.options.unit, first.range_seconds) == ("line_chart", "P1", "s", 21_600)
    assert first.queries[0].question.expression == 'up{n="1"}'
    assert (first.step_seconds, len(first.transformations)) == (60, 1)
    assert second.placeholder["title"] == "P2"
    shown = [(each.title, each.is_collapsed, each.repeat, [place.x for place in each.places]) for each in made.sections]
    assert shown == [("", False, None, [0]), ("Repeats", True, "job", [12])]
    (variable,) = made.variables
    assert (variable.source.label, variable.sort, variable.is_hidden, variable.value) == (
        "job", "descending", True, ("$__all",),
    )  # fmt: skip
    assert made.annotations[0].expression == "changes(x[5m])"
    told = {(line.subject, line.pointer): (line.outcome, line.reasons) for line in report}
    assert told["panel", "/spec/elements/panel-1"] == ("converted", [])
    assert told["panel", "/spec/elements/panel-2"][1] == ["it asks a source of type influxdb"]
    assert told["panel", "/spec/elements/panel-3"] == ("left-out", ["no layout has a place for it"])
    assert told["transformation", "/spec/elements/panel-1/transformations/0"][0] == "converted"
    assert told["variable", "/spec/variables/0"][0] == told["annotation", "/spec/annotations/0"][0] == "converted"


def test_tabs_are_sections_and_a_grid_without_places_has_some():
    reference = {"kind": "AutoGridLayoutItem", "spec": {"element": {"kind": "ElementReference", "name": "a"}}}
    other = copy.deepcopy(reference)
    other["spec"]["element"]["name"] = "b"
    auto = {"kind": "AutoGridLayout", "spec": {"maxColumnCount": 2, "items": [reference, other]}}
    tab = {"kind": "TabsLayoutTab", "spec": {"title": "One", "layout": auto}}
    given = document(is_first=False, layout={"kind": "TabsLayout", "spec": {"tabs": [tab]}},
                     a=element(1, is_first=False), b=element(2, is_first=False))  # fmt: skip
    made, report = convert(given["spec"])  # the `spec` alone is taken as well
    (section,) = made.sections
    assert (section.title, [(each.x, each.y, each.width) for each in section.places]) == (
        "One", [(0, 0, 12), (12, 0, 12)],
    )  # fmt: skip
    assert [(line.subject, line.pointer, line.reasons) for line in report if line.subject == "dashboard"] == [
        ("dashboard", "/layout/spec", ["tabs are sections below each other"])
    ]
    assert {line.pointer for line in report if line.subject == "panel"} == {"/elements/a", "/elements/b"}
