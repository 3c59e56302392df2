"""The page of a shared dashboard: numbers as people read them, axes that hold what is drawn, no text that is markup."""

import itertools
import math
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.dashboards.alert_lists import ShownAlert
from duoscope.dashboards.drawing import lines, looks, units, widgets
from duoscope.dashboards.drawing.lines import Times
from duoscope.dashboards.drawing.looks import Line
from duoscope.dashboards.drawing.page import page
from duoscope.dashboards.flights import Series
from duoscope.dashboards.frames import Column, Table, Trend
from duoscope.dashboards.model import Place
from duoscope.dashboards.public import (
    PublicDashboard,
    PublicData,
    PublicQuery,
    PublicRecord,
    PublicSection,
    PublicVariable,
    PublicWidget,
    PublicWidgetData,
)
from duoscope.dashboards.widgets import (
    Options,
    Override,
    RangeMapping,
    SpecialMapping,
    Threshold,
    Thresholds,
    ValueMapping,
)

NOW_S = 1_764_534_000


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.00123, "s", "1.23 ms"),
        (90.0, "s", "1.5 min"),
        (0.0, "s", "0 s"),
        (1_234_567.0, "bytes", "1.18 MiB"),
        (1_234_567.0, "decbytes", "1.23 MB"),
        (2048.0, "binBps", "2 KiB/s"),
        (99_999.0, "", "99999"),
        (1_234_567.0, "", "1.23M"),
        (1500.0, "reqps", "1.5k req/s"),
        (0.123, "percentunit", "12.3 %"),
        (-0.5, "celsius", "-0.5 °C"),
        (1.0, "bool_yes_no", "Yes"),
        (1_700_000_000_000.0, "dateTimeAsIso", "2023-11-14 22:13:20"),
        (1e300, "dateTimeAsIso", "-"),
        (math.nan, "s", "-"),
        (math.inf, "bytes", "∞"),
        (None, "bytes", "-"),
        (5.0, "suffix:crates", "5 crates"),
    ],
)
def test_numbers_with_their_units(value, unit, expected):
    assert units.shown(value, unit) == expected


@given(st.floats(-1e15, 1e15), st.floats(1e-9, 1e15), st.sampled_from(["", "s", "bytes", "percentunit", "reqps", "ns"]))
def test_an_axis_holds_what_is_drawn_in_even_steps(low, span, unit):
    high = low + max(span, abs(low) * 1e-6)
    marks = units.axis(low, high, unit, 4)
    values = [value for value, _ in marks]
    slack = (high - low) * 1e-6
    assert values[0] <= low + slack
    assert values[-1] >= high - slack
    assert 2 <= len(marks) <= 8
    steps = [b - a for a, b in itertools.pairwise(values)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-3) for step in steps)


_ENDS = st.sampled_from(
    [0.0, -0.0, 5e-324, 2e-323, 1e-300, 1.0, 1e15, 1e300, 1e307, 1.7e308, math.inf, math.nan, None]
).flatmap(lambda value: st.just(value) if value is None else st.sampled_from([value, -value]))


@given(
    st.sampled_from(["line_chart", "bar_chart", "stat", "gauge", "heatmap", "table"]),
    st.lists(st.lists(_ENDS, min_size=1, max_size=3), min_size=1, max_size=3),
    st.fixed_dictionaries(
        {
            "unit": st.sampled_from(["", "celsius", "percentunit", "s", "bytes", "reqps", "dateTimeAsIso", "percent"]),
            "stacking": st.sampled_from(["none", "normal", "percent"]),
            "calculation": st.sampled_from(["last", "sum", "mean", "delta", "range"]),
            "min": st.sampled_from([None, 0.0, 1e300, -1e308, 5e-324]),
        }
    ),
)
def test_numbers_where_floats_end_are_drawn(kind, values, options):
    series = [Series(labels={}, values=each) for each in values]
    query = PublicQuery("", NOW_S, 60, series, [], [], is_complete=True, has_failed=False)
    widgets._body(widget(kind, **options), PublicWidgetData("w", {}, [query], None))
    for high in (1e308, 5e-324, 1.0):
        assert len(units.axis(-high, high, options["unit"], 4)) <= 10


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ("none", "")), (1.0, ("up", "k-green")), (7.0, ("some", "")), (50.0, ("50 %", "k-orange")),
     (90.0, ("90 %", "k-red")), (10.5, ("10.5 %", "k-green"))],
)  # fmt: skip
def test_what_options_make_of_a_value(value, expected):
    options = Options(
        unit="percent",
        thresholds=Thresholds((Threshold("green"), Threshold("#ff9830", 50), Threshold("rgb(224, 47, 68)", 80))),
        mappings=(
            ValueMapping(value="1", text="up", color="dark-green"),
            RangeMapping(least=5, most=9, text="some", color=""),
            SpecialMapping(match="null", text="none"),
        ),
    )
    said, color = looks.written(value, options)
    assert (said, color) == expected or (said == expected[0] == "some" and color)


def test_overrides_are_of_their_series():
    options = Options(
        unit="s",
        overrides=(
            Override("name", ("a",), unit="bytes", name="A"),
            Override("regex", ("^b",), is_hidden=True, is_negative=True, color="red"),
            Override("regex", ("(",), is_hidden=True),
        ),
    )
    assert looks.of_series(options, "a")[0] == "A"
    assert looks.of_series(options, "a")[1].unit == "bytes"
    assert looks.of_series(options, "bc")[2:] == ("red", True, True)
    assert looks.of_series(options, "c")[1:] == (options, "", False, False)


def line(values, name="x", **labels):
    return Line(name, labels, values, Options(), "k0")


def widget(kind="line_chart", **options):
    return PublicWidget("w", kind, "W", "", "", Options(**options))


def test_a_stack_stands_on_itself_and_gaps_stay_gaps():
    drawn = list(lines._stacked([line([1.0, None, 3.0]), line([1.0, 1.0, 1.0])], Options(stacking="normal")))
    assert [(list(tops), list(lows)) for tops, lows, _ in drawn] == [
        ([1.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        ([2.0, 1.0, 4.0], [1.0, 0.0, 3.0]),
    ]
    made = lines.chart(widget(), [line([1.0, None, 3.0, 4.0])], Times(NOW_S, 60, 4), is_bars=False)
    assert made.count("M0 ") >= 1
    assert 'd="M666.7 250L1000 0"' in made
    assert '<path class="line dot k0" stroke-width="5.5" d="M8 750h.01">' in made  # what stands alone is a dot, inside
    newest = lines.chart(widget(), [line([None, None, 3.0])], Times(NOW_S, 60, 3), is_bars=False)
    assert 'd="M992 250h.01"' in newest
    assert 'class="line k0"' not in newest
    assert lines.chart(widget(), [line([None, math.nan])], Times(NOW_S, 60, 2), is_bars=False) == ""


def test_buckets_of_a_histogram_are_told_apart():
    found = [line([3.0, 5.0], le="+Inf"), line([1.0, 2.0], le="0.1"), line([2.0, 2.0], le="0.5")]
    assert lines._buckets(found) == [("0.1", [1.0, 2.0]), ("0.5", [1.0, 0.0]), ("∞", [1.0, 3.0])]
    assert lines._buckets([line([1.0], pod="a"), line([1.0], pod="b")]) == []


class Reader(HTMLParser):
    """Collects what a page consists of, and fails for what no page may have."""

    TAGS = frozenset({
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "form", "label", "select",
        "option", "input", "button", "section", "div", "span", "p", "small", "b", "a", "h1", "h2", "h3", "h4", "h5",
        "h6", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "svg", "g", "path", "rect", "text", "em",
        "strong", "code", "pre", "blockquote", "hr", "br",
    })  # fmt: skip
    ATTRIBUTES = frozenset({
        "lang", "charset", "name", "content", "http-equiv", "value", "selected", "multiple", "size", "type", "class",
        "id", "title", "href", "rel", "target", "viewbox", "preserveaspectratio", "role", "aria-label", "aria-hidden",
        "x", "y", "dy", "d", "width", "height", "fill-opacity", "stroke-width", "text-anchor", "scope", "start",
    })  # fmt: skip

    def handle_starttag(self, tag, attrs):
        if self.cdata_elem is None or tag == "style":
            assert tag in self.TAGS | {"title"}, tag
        for name, value in attrs:
            assert name in self.ATTRIBUTES, (tag, name)
            if name == "href":
                assert value.startswith(("?", "http://", "https://", "mailto:", "/", "#")) or ":" not in value, value


EVIL = st.one_of(
    st.text(max_size=20),
    st.sampled_from([
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "[x](javascript:alert(1))",
        "</style><script>", "<svg/onload=x>", "![x](https://evil.example/x)", "[x](data:text/html,x)", "</title><b>",
        "<javascript:alert(1)>", "[a]: javascript:x\n\n[a]", "`</td>`", "| <i> | b |\n|---|---|\n| <u> | c |",
    ]),
)  # fmt: skip


@given(
    EVIL,
    EVIL,
    st.sampled_from(["line_chart", "bar_chart", "gauge", "stat", "table", "logs", "heatmap", "graph", "text"]),
)
def test_no_text_is_markup(one, other, kind):
    options = Options(
        unit=one[:50], axis_label=other, mappings=(ValueMapping(value="1", text=one),),
        overrides=(Override("name", (one or "x",), name=other, color=one),),
    )  # fmt: skip
    query = PublicQuery(
        one, NOW_S, 60, [Series({one or "l": other, "le": one}, [1.0, None, 2.0]), Series({"pod": other}, [1.0] * 3)],
        [PublicRecord(one, other, one, {one: other})] if kind == "logs" else [],
        [ShownAlert(one, other, one, {one: other}, None, datetime.now(UTC))] if kind == "gauge" else [],
        True, True,
    )  # fmt: skip
    table = Table(one, [Column(one, "text", [other]), Column(other, "trend", [Trend(1.0, [1.0, 2.0])]),
                        Column("t", "time", [1e20]), Column("n", "number", [None])])  # fmt: skip
    data = PublicWidgetData("w", {"a": other}, [query], [table] if kind == "graph" else None)
    shown = PublicDashboard(
        one, other, 3600, 7200, 30, [PublicVariable("v", one, [other], [other], True)],
        [PublicSection(one, False, (Place("w", 0, 0, 12, 8),)), PublicSection(other, True, ())],
        [PublicWidget("w", kind, one, other, one, options)],
    )  # fmt: skip
    made = page(shown, PublicData([data]), {"v": (other,)}, set())
    Reader().feed(made.html)
    assert made.html.count("<style>") == made.html.count("</style>") == 1
    assert f"<style>{made.style}</style>" in made.html


def test_widgets_stand_in_their_places_unless_they_would_stand_over_each_other():
    def made(places, copies=1):
        keys = dict.fromkeys(place.widget for place in places)
        shown = PublicDashboard(
            "D", "", 3600, 3600, None, [], [PublicSection("", False, places)],
            [PublicWidget(key, "text", key, "", "x", Options()) for key in keys],
        )  # fmt: skip
        return page(shown, PublicData([PublicWidgetData(key, {}, [], None) for key in keys] * copies), {}, set())

    apart = made((Place("a", 0, 0, 12, 8), Place("b", 12, 0, 12, 8)))
    assert "#w0-1{grid-area:1/13/span 8/span 12}" in apart.style
    for other in (
        made((Place("a", 0, 0, 12, 8), Place("b", 11, 0, 12, 8))),
        made((Place("a", 0, 0, 12, 8),), copies=2),
    ):
        assert "#w0-0" not in other.style
        assert ".c12{grid-column:span 12}" in other.style
