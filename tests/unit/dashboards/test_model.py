"""What may be written as a dashboard, and how a mistake is told."""

from collections import Counter

import msgspec
import pytest

from duoscope.dashboards import model, variables
from duoscope.dashboards.filling import ALL
from duoscope.dashboards.variables import ListVariable, Option
from duoscope.kernel.errors import DuoscopeError


def dashboard(**changed):
    widget = {"key": "a", "type": "line_chart", "queries": [{"name": "A", "question": promql('up{job=~"$job"}')}]}
    return {
        "name": "One",
        "widgets": [widget],
        "sections": [{"places": [{"widget": "a", "x": 0, "y": 0, "width": 12, "height": 8}]}],
        "variables": [{"kind": "query", "name": "job", "source": {"kind": "label-values", "label": "job"}}],
        **changed,
    }


def promql(expression):
    return {"kind": "promql", "expression": expression}


def widget(**changed):
    return dashboard(widgets=[dashboard()["widgets"][0] | changed])


def asks(question, **changed):
    return widget(queries=[{"name": "A", "question": question}], **changed)


def place(**changed):
    first = dashboard()["sections"][0]["places"][0]
    return dashboard(sections=[{"places": [first | changed]}])


def of_label(name, selector):
    return {"kind": "query", "name": name, "source": {"kind": "label-values", "label": "l", "selector": selector}}


@pytest.mark.parametrize(
    "document",
    [
        dashboard(),
        asks(promql("topk($job, rate(x[$__rate_interval]))")),
        asks(promql("sum by ($job) (rate(x[5m]))")),
        asks({"kind": "log-records", "query": "service:$job"}, type="logs"),
        asks({"kind": "log", "query": "service:$job", "group_by": ["$job"]}),
        asks({"kind": "formula", "of": {"a": promql("up")}, "formula": "a / $job"}),
        asks({"kind": "metric", "metric": "m", "query": "service:$job"}),
        dashboard(variables=[of_label("job", 'up{a="$z"}'), of_label("z", "up")]),
    ],
)
def test_dashboards_that_may_be(document):
    read = model.parsed(document)
    assert model.parsed(msgspec.json.decode(msgspec.json.encode(read))) == read


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ([], "/", "Expected `object`"),
        (dashboard(name=""), "/name", "length >= 1"),
        (dashboard(colour=1), "/", "unknown field `colour`"),
        (widget(type="pie"), "/widgets/0/type", "Invalid enum value 'pie'"),
        (widget(options={"unit": 1}), "/widgets/0/options/unit", "Expected `str`"),
        (widget(key="b"), "/sections/0/places/0/widget", "no widget 'a'"),
        (widget(repeat="other"), "/widgets/0/repeat", "no variable 'other'"),
        (widget(text="hello"), "/widgets/0/text", "only widgets of type text"),
        (asks(promql("sum(")), "/widgets/0/queries/0/question", "parse error"),
        (asks(promql("up[5m]")), "/widgets/0/queries/0/question", "is a matrix"),
        (asks(promql("$other + 1")), "/widgets/0/queries/0/question", "unexpected character"),
        (asks({"kind": "log-records"}), "/widgets/0/queries/0/question/kind", "logs and table"),
        (asks({"kind": "log-records", "query": "("}, type="logs"), "/widgets/0/queries/0/question", "a term should"),
        (widget(type="logs"), "/widgets/0/queries/0/question/kind", "shows log-records"),
        (widget(links=[{"title": "x", "url": "javascript:alert(1)"}]), "/widgets/0/links/0/url", "regex"),
        (place(x=20), "/sections/0/places/0/width", "at most 24"),
        (dashboard(sections=[]), "/widgets/0/key", "no section has a place"),
        (dashboard(widgets=dashboard()["widgets"] * 2), "/widgets/0/key", "several widgets are called 'a'"),
        (dashboard(widgets=dashboard()["widgets"] * 201), "/widgets", "length <= 200"),
        (dashboard(variables=dashboard()["variables"] * 2), "/variables/0/name", "several variables"),
        (
            dashboard(variables=[of_label("job", 'up{a="$z"}'), of_label("z", 'up{b="${job:regex}"}')]),
            "/variables",
            "depend on themselves: job → z → job",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(document, pointer, message):
    with pytest.raises(DuoscopeError) as raised:
        model.parsed(document)
    assert raised.value.code == "invalid-dashboard"
    assert raised.value.message.startswith(f"{pointer}: ")
    assert message in raised.value.message


def test_each_question_is_read_once_and_each_variable_sampled_once_a_dashboard(monkeypatch):
    counts = Counter()
    for name in ("filled", "chosen"):
        made = getattr(model, name)
        monkeypatch.setattr(model, name, lambda *args, name=name, made=made: counts.update([name]) or made(*args))
    first = dashboard()["widgets"][0]
    queries = [{"name": str(n), "question": promql(f"rate(a[$v{n % 2}])")} for n in range(50)]
    model.parsed(
        dashboard(
            widgets=[first | {"key": f"w{n}", "queries": queries} for n in range(20)],
            sections=[{"places": [place()["sections"][0]["places"][0] | {"widget": f"w{n}"} for n in range(20)]}],
            variables=[{"kind": "text", "name": f"v{n}"} for n in range(100)],
        )
    )
    assert counts == {"filled": 2 * 3, "chosen": 100 * 5}  # the third sample may be a length of time


def test_variables_stand_after_those_they_depend_on():
    found = model.parsed(
        dashboard(
            variables=[of_label("job", 'x{a="$z"}'), of_label("z", 'x{a="$y"}'), of_label("y", ""), of_label("w", "")]
        )
    )
    assert variables.in_order(found.variables) == [["w", "y"], ["z"], ["job"]]


@pytest.mark.parametrize(
    ("variable", "values", "expected"),
    [
        (ListVariable(name="v", options=(Option("a"), Option("b"))), None, ("a",)),
        (ListVariable(name="v", options=(Option("a"), Option("b")), multi=True), ("b", "a"), ("b", "a")),
        (ListVariable(name="v", options=(Option("a"), Option("b")), include_all=True), (ALL,), ("a", "b")),
        (ListVariable(name="v", options=(Option("a"),)), ("c",), "'c' is not among its values"),
        (ListVariable(name="v", options=(Option("a"), Option("b"))), ("a", "b"), "it takes one value"),
        (ListVariable(name="v", options=(Option("a"),)), (ALL,), "does not take all"),
        (variables.ConstantVariable(name="v", value="c"), ("d",), "it is a constant"),
        (variables.IntervalVariable(name="v", options=("5m", "1h")), ("2m",), "it is one of 5m, 1h"),
        (variables.TextVariable(name="v"), ("a", "b"), "it takes one value"),
    ],
)
def test_values_that_a_variable_takes(variable, values, expected):
    if isinstance(expected, tuple):
        assert variables.chosen(variable, values).values == expected
        return
    with pytest.raises(ValueError, match=expected):
        variables.chosen(variable, values)
