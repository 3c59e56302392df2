"""Dashboards of Grafana: what becomes of each part, of real ones and of any."""

import copy
import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duoscope.dashboards import model, variables
from duoscope.dashboards.annotations import ExpressionMarks
from duoscope.dashboards.grafana import logql
from duoscope.dashboards.grafana.dashboards import convert
from duoscope.dashboards.grafana.report import NotConvertedError, Notes
from duoscope.dashboards.widgets import LogRecords, SpecialMapping, Threshold, ValueMapping
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.questions.items import LogQuestion
from support.shared import shared

PROMETHEUS = {"type": "prometheus", "uid": "x"}


def panel(**changed):
    return {
        "id": 1,
        "type": "timeseries",
        "title": "Requests",
        "datasource": PROMETHEUS,
        "gridPos": {"x": 0, "y": 3, "w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": 'rate(x{a="$a"}[$__rate_interval])', "legendFormat": "{{a}}"}],
        **changed,
    }


def document(*panels, **changed):
    listed = [{"type": "query", "name": "a", "query": "label_values(x, a)", "multi": True, "includeAll": True}]
    return {"title": "D", "schemaVersion": 39, "panels": list(panels), "templating": {"list": listed}, **changed}


def converted(*panels, **changed):
    return convert(json.loads(json.dumps(document(*panels, **changed))))


def only(imported):
    (widget,) = imported.dashboard.widgets
    (line,) = (line for line in imported.report if line.subject == "panel")
    return widget, line


def test_at_least_95_percent_of_real_panels_are_converted():
    lines = []
    for file in sorted(shared("dashboards").glob("*.json")):
        found = convert(json.loads(file.read_text("utf-8")))
        lines += found.report
        assert model.parsed(msgspec.to_builtins(found.dashboard)) == found.dashboard, file.name
    panels = [line for line in lines if line.subject == "panel"]
    assert len(panels) == 433
    outcomes = Counter(line.outcome for line in panels)
    assert outcomes["converted"] + outcomes["converted-with-loss"] >= 0.95 * 433, outcomes
    assert all(line.reasons for line in lines if line.outcome != "converted")


@pytest.mark.parametrize(
    ("given", "kind", "loss"),
    [
        (panel(), "line_chart", []),
        (panel(type="graph", bars=True, lines=False), "bar_chart", []),
        (panel(fieldConfig={"defaults": {"custom": {"drawStyle": "bars"}}}), "bar_chart", []),
        (panel(type="singlestat", gauge={"show": True}), "gauge", []),
        (panel(type="bargauge"), "bar_chart", []),
        (panel(type="piechart"), "bar_chart", ["a pie is drawn as bars"]),
        (panel(transformations=[{"id": "merge"}]), "line_chart", []),
        (panel(transformations=[{"id": "spatial"}]), "line_chart", ["the transformation spatial"]),
        (panel(type="alertlist", targets=[]), "table", []),
        (panel(timeShift="1d"), "line_chart", ["a time range that is shifted (timeShift 1d)"]),
        (panel(timeFrom="now/d"), "line_chart", ["a time range of its own (timeFrom now/d)"]),
        (panel(targets=[{"expr": "up"}, {"expr": " "}]), "line_chart", []),
        (
            panel(
                fieldConfig={
                    "overrides": [
                        {
                            "matcher": {"id": "byValue", "options": {"reducer": "allIsNull"}},
                            "properties": [{"id": "custom.hideFrom", "value": {}}],
                        }
                    ]
                }
            ),
            "line_chart",
            [],
        ),
        (
            panel(
                fieldConfig={
                    "overrides": [
                        {
                            "matcher": {"id": "byValue", "options": {"reducer": "allIsZero"}},
                            "properties": [{"id": "custom.hideFrom", "value": {}}],
                        }
                    ]
                }
            ),
            "line_chart",
            ["an override of fields byValue"],
        ),
        (panel(repeat="nobody"), "line_chart", ["repeating it by nobody, which is no variable"]),
    ],
)
def test_panels_that_are_converted(given, kind, loss):
    widget, line = only(converted(given))
    assert (widget.type, line.reasons) == (kind, loss)
    assert line.outcome == ("converted-with-loss" if loss else "converted")
    assert widget.placeholder is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (panel(type="dashlist"), "lists of dashboards"),
        (panel(type="my-plugin"), "no counterpart of panels of type 'my-plugin'"),
        (panel(datasource={"type": "influxdb"}), "a source of type influxdb"),
        (panel(datasource={"type": "datasource", "uid": "-- Dashboard --"}), "the answer of another panel"),
        (panel(targets=[]), "it asks nothing"),
        (panel(targets=[{"expr": "sum(x"}]), "parse error"),
        (panel(libraryPanel={"uid": "x"}), "library panel"),
    ],
)
def test_panels_that_are_not_are_kept(given, reason):
    widget, line = only(converted(given))
    assert line.outcome == "placeholder"
    assert reason in line.reasons[0]
    assert reason in widget.text
    assert widget.placeholder == given


@pytest.mark.parametrize(
    ("given", "text", "loss"),
    [
        ("<div class=x><span>SERVICE: ${my_service}</span></div>", "SERVICE: ${my_service}", []),
        ("a<br/>b <b>c</b>", "a\\\nb **c**", []),
        ("<h2>Hi</h2><ul><li>x</li><li><a href='https://a.example/x'>y</a></li></ul>",
         "## Hi\n\n- x\n- [y](https://a.example/x)", []),
        ("<a href='javascript:x'>y</a> 2 &lt; 3 *", "y 2 \\< 3 \\*", []),
        ("<h1><img src=x> Hi</h1>", "# Hi", ["HTML: its words are kept"]),
        ("<script>x</script>y", "y", ["HTML: its words are kept"]),
    ],
)  # fmt: skip
def test_html_is_markdown(given, text, loss):
    widget, line = only(converted(panel(type="text", targets=[], options={"mode": "html", "content": given})))
    assert (widget.text, line.reasons) == (text, loss)


@pytest.mark.parametrize(("given", "seconds"), [("1m", 60), ("now-24h", 86_400), ("500d", 400 * 86_400), ("", None)])
def test_a_panel_may_have_a_range_of_its_own(given, seconds):
    widget, line = only(converted(panel(timeFrom=given)))
    assert (widget.range_seconds, line.reasons) == (seconds, [])


def test_how_a_panel_is_drawn():
    defaults = {
        "unit": "bytes",
        "decimals": 1,
        "max": "100",
        "thresholds": {
            "mode": "percentage",
            "steps": [{"color": "green", "value": None}, {"color": "red", "value": 80}],
        },
        "mappings": [
            {"type": "value", "options": {"1": {"text": "up", "color": "green"}}},
            {"type": "special", "options": {"match": "null", "result": {"text": "gone"}}},
        ],
        "custom": {"stacking": {"mode": "normal"}, "fillOpacity": 30},
    }
    overrides = [
        {
            "matcher": {"id": "byRegexp", "options": "/.*Out.*/"},
            "properties": [{"id": "custom.transform", "value": "negative-Y"}],
        },
        {"matcher": {"id": "byValue", "options": {}}, "properties": []},
    ]
    options = {"reduceOptions": {"calcs": ["mean"]}, "legend": {"showLegend": False, "calcs": ["max", "lastNotNull"]}}
    widget, line = only(converted(panel(fieldConfig={"defaults": defaults, "overrides": overrides}, options=options)))
    drawn = widget.options
    assert (drawn.unit, drawn.decimals, drawn.max, drawn.stacking, drawn.fill_opacity) == (
        "bytes",
        1,
        100,
        "normal",
        30,
    )
    assert drawn.calculation == "mean"
    assert drawn.thresholds == msgspec.convert(
        {"mode": "percentage", "steps": [{"color": "green"}, {"color": "red", "value": 80}]}, type(drawn.thresholds)
    )
    assert drawn.mappings == (
        ValueMapping(value="1", text="up", color="green"),
        SpecialMapping(match="null", text="gone"),
    )
    assert (drawn.legend.is_shown, drawn.legend.calculations) == (False, ("max", "last"))
    assert [(each.of, each.is_negative) for each in drawn.overrides] == [((".*Out.*",), True)]
    assert line.reasons == ["an override of fields byValue"]


def test_an_old_singlestat():
    old = panel(type="singlestat", thresholds="80,90", colors=["green", "orange", "red"], format="s", valueName="avg")
    drawn = only(converted(old, schemaVersion=12))[0].options
    assert (drawn.unit, drawn.calculation) == ("s", "mean")
    assert drawn.thresholds.steps == (Threshold("green"), Threshold("orange", 80.0), Threshold("red", 90.0))


def test_rows_are_sections():
    row = {"type": "row", "title": "More", "collapsed": True, "repeat": "a", "panels": [panel(id=2)]}
    open_row = {"type": "row", "title": "Open", "panels": []}
    found = converted(panel(), open_row, panel(id=3), row).dashboard
    assert [(s.title, s.is_collapsed, s.repeat, [p.widget for p in s.places]) for s in found.sections] == [
        ("", False, None, ["panel-1"]),
        ("Open", False, None, ["panel-3"]),
        ("More", True, "a", ["panel-2"]),
    ]
    assert found.sections[0].places[0].y == 0


def test_old_rows_are_sections_with_panels_side_by_side():
    rows = [
        {
            "title": "R",
            "height": "240px",
            "collapse": True,
            "panels": [panel(id=n, span=4, gridPos=None) for n in range(1, 5)],
        }
    ]
    (section,) = converted(rows=rows, schemaVersion=14).dashboard.sections
    assert (section.title, section.is_collapsed) == ("R", True)
    assert [(p.x, p.y, p.width, p.height) for p in section.places] == [
        (0, 0, 8, 8),
        (8, 0, 8, 8),
        (16, 0, 8, 8),
        (0, 8, 8, 8),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"type": "query", "query": 'label_values(up{job="$j"}, pod)'},
            {"kind": "label-values", "label": "pod", "selector": 'up{job="$j"}'},
        ),
        ({"type": "query", "query": {"query": "label_values(pod)"}}, {"kind": "label-values", "label": "pod"}),
        (
            {"type": "query", "query": "query_result(sum(x) by (y))"},
            {"kind": "query-result", "expression": "sum(x) by (y)"},
        ),
        ({"type": "query", "query": "metrics(node_.*)"}, {"kind": "metric-names", "pattern": "node_.*"}),
        ({"type": "query", "query": "label_names()"}, {"kind": "label-names"}),
        ({"type": "query", "query": "up"}, {"kind": "query-result", "expression": "up"}),
        ({"type": "custom", "query": r"a : 1, b\,c"}, [{"value": "1", "text": "a"}, {"value": "b,c"}]),
        ({"type": "interval", "query": "1m,10m", "auto": True}, ["auto", "1m", "10m"]),
        ({"type": "datasource"}, "one source of data"),
        ({"type": "adhoc"}, "not supported"),
        ({"type": "query", "query": "x", "datasource": {"type": "mysql"}}, "source of type mysql"),
        ({"type": "textbox", "name": "1 2"}, "cannot be here"),
    ],
)
def test_variables(given, expected):
    found = convert(document(templating={"list": [{"name": "v", **given}]}))
    (line,) = found.report
    if isinstance(expected, str):
        assert not found.dashboard.variables
        assert line.outcome == "left-out"
        assert expected in line.reasons[0]
        return
    (variable,) = found.dashboard.variables
    made = variable.source if given["type"] == "query" else list(variable.options)
    told = msgspec.to_builtins(made)
    if isinstance(expected, dict):
        assert {name: value for name, value in told.items() if name in expected} == expected
    else:
        assert [each if isinstance(each, str) else {n: v for n, v in each.items() if v} for each in told] == expected


def test_annotations_that_ask_prometheus():
    listed = [
        {"builtIn": 1, "name": "Annotations & Alerts", "datasource": "-- Grafana --", "enable": True},
        {"name": "fires", "expr": 'ALERTS{job="$j"}', "titleFormat": "{{alertname}}", "textFormat": "of {{job}}"},
        {"name": "fires", "expr": "up", "enable": False, "iconColor": "<red>", "datasource": {"type": "prometheus"}},
        {"name": "commits", "datasource": {"type": "loki"}, "expr": "{}"},
        {"name": "wrong", "expr": "sum("},
        {"name": "none"},
    ]
    found = convert(document(annotations={"list": listed}))
    assert found.dashboard.annotations == (
        ExpressionMarks(name="fires", expression='ALERTS{job="$j"}', title="{{alertname}}"),
        ExpressionMarks(name="fires 2", expression="up", is_shown=False),
    )
    told = [(each.name, each.outcome, *each.reasons[:1]) for each in found.report if each.subject == "annotation"]
    assert told[:3] == [
        ("fires", "converted-with-loss", "the text beside its title"),
        ("fires", "converted"),
        ("commits", "left-out", "it asks a source of type loki"),
    ]
    assert [each[:2] for each in told[3:]] == [("wrong", "left-out"), ("none", "left-out")]


def test_variables_that_depend_on_each_other_in_a_circle_are_left_out():
    listed = [{"type": "query", "name": n, "query": f'label_values(x{{l="${o}"}}, l)'} for n, o in ("ab", "ba", "ca")]
    found = convert(document(templating={"list": listed}))
    assert [variable.name for variable in found.dashboard.variables] == ["c"]
    assert [line.outcome for line in found.report] == ["left-out", "left-out", "converted"]
    assert found.report[0].reasons == found.report[1].reasons
    assert found.report[0].reasons[0].startswith("it depends on itself: ")


def test_thousands_of_variables_are_cut_before_they_are_looked_at(monkeypatch):
    looked = []
    monkeypatch.setattr(variables, "names_in", lambda text, made=variables.names_in: looked.append(text) or made(text))
    listed = [{"name": f"v{n}", "query": f'label_values(a{{x="$v{n}"}}, y)'} for n in range(6000)]
    found = convert(document(templating={"list": listed}))
    assert found.dashboard.variables == ()
    assert len(looked) == model.VARIABLES_MAX
    told = [line.reasons[0] for line in found.report]
    assert told[:100] == [f"it depends on itself: v{n} → v{n}" for n in range(100)]
    assert told[100:] == ["a dashboard has up to 100 variables"] * 5900


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{app="cart", level=~"$l"} |= "it is" != `no "x"`', r'app:"cart" level:/^(?:$l)$/ "it is" -"no \"x\""'),
        (r'{service_name="a"} |~ "a/\\d+" !~ "b"', r'service:"a" body:/(?:a\/\d+)/ body!=/(?:b)/'),
        ("{}", ""),
    ],
)
def test_simple_logql_is_a_search(given, expected):
    assert logql.question(given, Notes()) == LogRecords(expected)


def test_counts_of_logql():
    notes = Notes()
    asked = logql.question('sum by (level) (count_over_time({app="a"} |= "x" [$__auto]))', notes)
    assert asked == LogQuestion('app:"a" "x"', group_by=("level",))
    assert not any("count" in lost for lost in notes.lost)
    logql.question('sum(rate({app="a"}[5m]))', notes)
    assert any("rate" in lost for lost in notes.lost)


@pytest.mark.parametrize("given", ['{a="b"} | json', "topk(5, x)", "{a=b}", 'sum(count_over_time({a="b"}[5m])', ""])
def test_other_logql_is_not(given):
    with pytest.raises(NotConvertedError):
        logql.question(given, Notes())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spec": {"elements": {}}}, "newer form"),
        ({"apiVersion": "dashboard.grafana.app/v2", "spec": {"elements": {"a": 1}}}, "newer form"),
        ({"panels": [], "schemaVersion": 11}, "12 to 42, not 11"),
        ({"panels": []}, "not missing"),
        ([], "neither `panels` nor `rows`"),
        ({"panels": [], "schemaVersion": 39, "x": json.loads("[" * 200 + "]" * 200)}, "deeper"),
    ],
)
def test_what_is_no_dashboard_is_refused(given, message):
    with pytest.raises(DuoscopeError, match=message) as raised:
        convert(given)
    assert raised.value.code == "invalid-import"


SEEDS = (
    document(
        panel(),
        panel(id=2, type="stat", fieldConfig={"defaults": {"mappings": [{"type": "value", "options": {"1": {}}}]}}),
    ),
    document(
        {
            "type": "row",
            "panels": [panel(type="logs", datasource={"type": "loki"}, targets=[{"expr": '{a="b"} |= "c"'}])],
        },
        rows=[{"height": "250px", "panels": [panel(span=3, type="singlestat", thresholds="1,2", colors=["red"] * 3)]}],
        templating={
            "list": [{"type": t, "name": t, "query": "1m,2m"} for t in ("query", "custom", "interval", "textbox")]
        },
        time={"from": "now-6h"},
        annotations={"list": [{"name": "x", "expr": "up > $a", "titleFormat": "{{a}}", "iconColor": "red"}]},
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\0", "\ud800", "$a", "$__all", "/", "{", "now-", "1" * 400, 10**400, -1, [], {}, [[]], [{}]]),
)


@st.composite
def bent(draw):
    """A dashboard of which some parts, at any depth, are cut or are something else."""
    whole = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    whole = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 6))):
        holder, step = {"": whole}, ""
        for _ in range(draw(st.integers(1, 9))):
            within = holder[step]
            steps = (
                list(within)
                if isinstance(within, dict)
                else list(range(len(within)))
                if isinstance(within, list)
                else []
            )
            if not steps:
                break
            holder, step = within, draw(st.sampled_from(steps))
        if holder == {"": whole}:
            continue
        if draw(st.booleans()):
            del holder[step]
        else:
            # A copy: what is drawn may be bent in its turn, and shall be drawn whole again.
            holder[step] = copy.deepcopy(
                draw(
                    st.one_of(
                        SCALARS,
                        st.lists(SCALARS, max_size=3),
                        st.dictionaries(st.text(max_size=5), SCALARS, max_size=3),
                    )
                )
            )
    return whole


@settings(max_examples=1000, deadline=None)
@given(bent())
def test_no_document_does_more_than_be_refused(given):
    try:
        found = convert(given)
    except DuoscopeError:
        return
    assert model.parsed(msgspec.json.decode(msgspec.json.encode(found.dashboard))) == found.dashboard
    msgspec.json.encode(found.report)
