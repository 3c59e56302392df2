"""What is exported is what was there: as ours, as Grafana's, as Perses'."""

import json

import msgspec
import pytest
from hypothesis import given, settings

from duoscope.dashboards import model, perses
from duoscope.dashboards.grafana.dashboards import convert
from duoscope.dashboards.grafana.export import export
from support.dashboards import dashboards
from support.shared import shared


@given(dashboards())
def test_ours_is_read_as_it_was_written(dashboard):
    assert model.parsed(msgspec.json.decode(msgspec.json.encode(dashboard))) == dashboard


@settings(deadline=None)
@given(dashboards())
def test_grafanas_is_read_as_it_was_written(dashboard):
    assert convert(json.loads(json.dumps(export(dashboard)))).dashboard == dashboard


def test_real_dashboards_come_back_from_grafana_as_they_were_understood():
    for file in sorted(shared("dashboards").glob("*.json")):
        found = convert(json.loads(file.read_text("utf-8"))).dashboard
        again = convert(json.loads(json.dumps(export(found)))).dashboard
        promql = {
            widget.key
            for widget in found.widgets
            if widget.placeholder is None and all(q.question.__struct_config__.tag == "promql" for q in widget.queries)
        }
        kept = [widget for widget in again.widgets if widget.key in promql]
        assert kept == [widget for widget in found.widgets if widget.key in promql], file.name
        assert (again.sections, again.name) == (found.sections, found.name), file.name


@settings(deadline=None)
@given(dashboards())
def test_perses_has_every_panel_layout_and_variable(dashboard):
    spec = perses.export(dashboard)["spec"]
    assert set(spec["panels"]) == {widget.key for widget in dashboard.widgets}
    placed = [item["content"]["$ref"] for layout in spec["layouts"] for item in layout["spec"]["items"]]
    assert placed == [f"#/spec/panels/{p.widget}" for section in dashboard.sections for p in section.places]
    assert [each["spec"]["name"] for each in spec["variables"]] == [v.name for v in dashboard.variables]
    asked = [
        query["spec"]["plugin"]["spec"]["query"]
        for widget in dashboard.widgets
        for query in spec["panels"][widget.key]["spec"].get("queries", ())
    ]
    shown = [w for w in dashboard.widgets if w.type != "heatmap"]
    assert asked == [q.question.expression for w in shown for q in w.queries if not q.is_hidden]


@pytest.mark.parametrize("kind", ["log-records", "log"])
def test_what_grafana_cannot_ask_becomes_a_text(kind):
    widget = {"key": "a", "type": "logs" if kind == "log-records" else "stat"}
    widget["queries"] = [{"name": "A", "question": {"kind": kind, "query": "x"}}]
    place = {"widget": "a", "x": 0, "y": 0, "width": 1, "height": 1}
    found = model.parsed({"name": "a", "widgets": [widget], "sections": [{"places": [place]}]})
    (panel,) = export(found)["panels"]
    assert panel["type"] == "text"
    assert kind in panel["options"]["content"]
