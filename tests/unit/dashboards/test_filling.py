"""Values of variables are values in the languages of questions, whatever they are."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.dashboards import filling
from duoscope.dashboards.filling import Chosen, Values
from duoscope.dashboards.frames import legend
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.language.parse import parse as parse_search
from duoscope.telemetry.language.tree import And
from duoscope.telemetry.promql.syntax import parse, tree

VALUES = Values(
    {
        "one": Chosen(('x"y.z',), is_literal=True),
        "two": Chosen(("a|b", "c"), is_literal=True),
        "all": Chosen((".*",), is_literal=False, is_all=True),
        "typed": Chosen(("a.*/b",), is_literal=False),
        "empty": Chosen(("",), is_literal=False),
        "k": Chosen(("5",), is_literal=True),
        "auto": Chosen(("auto",), is_literal=True, is_interval=True),
    },
    step_s=60,
    range_s=3600,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('m{a="$one"}', r'm{a="x\"y.z"}'),
        ('m{a=~"$one"}', r'm{a=~"x\"y\\.z"}'),
        ("m{a=~'${two:regex}'}", r'm{a=~"(a\\|b|c)"}'),
        ("m{a=~`p-[[two]]`}", r'm{a=~"p-(a\\|b|c)"}'),
        ('m{a=~"$typed"}', r'm{a=~"a.*/b"}'),
        ('m{a = "p.$two"}', r'm{a =~ "p\\.(a\\|b|c)"}'),
        ('m{a!="$all"}', r'm{a!~".*"}'),
        ("topk($k, rate(m[$__rate_interval]))", "topk(5, rate(m[75s]))"),
        ("m[$auto:$__interval] / $__range_s + $__interval_ms", "m[120s:60s] / 3600 + 60000"),
        ('label_replace(m, "a", "$1-$one", "b", "(.*)$")', r'label_replace(m, "a", "$1-x\"y.z", "b", "(.*)$")'),
        ("m # $one", "m # $one"),
        ('m{a="$unknown"}', 'm{a="$unknown"}'),
    ],
)
def test_variables_in_promql(text, expected):
    assert filling.promql(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service:$one -name!=$one", r'service:"x\"y.z" -name!="x\"y.z"'),
        ("service:$two", 'service:("a|b" OR "c")'),
        ("service:$all x", "(service:* OR NOT service:*) x"),
        ("a:/^(?:$two)$/ b:/$typed/", r"a:/(?:^(?:(a\|b|c))$)/ b:/(?:a.*\/b)/"),
        ("a:/^(?:$all)$/", "(a:* OR NOT a:*)"),
        ("body:/$empty/ $one", r'body:/(?:)/ ("x\"y.z")'),
        ('"at $one" host-name:$k $empty', r'"at x\"y.z" host-name:"5" *'),
        ("a:$unknown $unknown", "a:$unknown $unknown"),
    ],
)
def test_variables_in_the_search_language(text, expected):
    assert filling.search(text, VALUES) == expected
    parse_search(expected)


@pytest.mark.parametrize(
    ("fill", "text"),
    [
        (filling.promql, "sum($one)"),
        (filling.promql, 'm{a="${one:date}"}'),
        (filling.search, "duration>$two"),
        (filling.search, '"at $two"'),
        (filling.search, "pre$one"),
    ],
)
def test_what_cannot_stand_there_is_refused(fill, text):
    with pytest.raises(DuoscopeError) as raised:
        fill(text, VALUES)
    assert raised.value.code == "invalid-variable"


@pytest.mark.parametrize(
    ("fill", "text"),
    [
        (filling.plain, "$a " * 600),
        (filling.plain, "$b " * 20_000),
        (filling.promql, 'm{a=~"' + "$a" * 600 + '"}'),
        (filling.promql, 'm{a="$b"} + ' * 1_000 + "1"),
        (filling.search, "x:$b " * 2_000),
        (filling.search, "$a " * 600),
    ],
)
def test_a_long_text_is_refused_while_it_is_built(fill, text):
    values = {"a": Chosen(("v" * 900,) * 1_000, is_literal=True), "b": Chosen(("w" * 900,), is_literal=True)}
    tracemalloc.start()
    try:
        with pytest.raises(DuoscopeError) as raised:
            fill(text, Values(values, 60, 3600))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raised.value.code == "invalid-variable"
    assert "65536" in raised.value.message
    assert peak < 8_000_000


def test_a_legend_is_cut_while_it_is_built():
    assert legend("{{a}}-{{ b }}{{c}}!", {"a": "x", "b": "y"}) == "x-y!"
    assert legend("{{a}}" * 10_000, {"a": "x" * 5_000}) == "x" * 999 + "…"
    assert legend("y" * 1_000, {}) == "y" * 1_000
    assert legend("y" * 1_001, {}) == "y" * 999 + "…"


TEXTS = st.text(st.one_of(st.sampled_from("\"'`\\/(){}[]:*|$ORAND \n,=~"), st.characters(exclude_categories=["Cs"])))


@given(TEXTS, TEXTS)
def test_no_value_ends_a_string_of_promql(one, other):
    values = Values({"v": Chosen((one,), is_literal=True), "w": Chosen((one, other), is_literal=True)}, 60, 3600)
    node = parse.parse(filling.promql('m{a="<$v>", b=\'$v\', c=~"$v", d=~"$w"}', values))
    assert isinstance(node, tree.Selector)
    a, b, c, d = node.groups[0][1:]
    assert (a.value, b.value) == (f"<{one}>", one)
    assert c.pattern.fullmatch(one)
    assert d.pattern.fullmatch(one)
    assert d.pattern.fullmatch(other)
    assert not c.pattern.fullmatch(one + "x")


@given(TEXTS.filter(lambda text: "\0" not in text))
def test_no_value_ends_a_term_of_the_search_language(text):
    for is_literal in (True, False):
        values = Values({"v": Chosen((text,), is_literal=is_literal)}, 60, 3600)
        try:
            found = parse_search(filling.search('a:$v b:/^(?:$v)$/ "$v" z:1', values))
        except DuoscopeError:
            assert not is_literal  # what someone typed may be no regular expression
            continue
        assert isinstance(found, And)
        a, b, phrase, z = found.parts
        assert (a.field, a.value, phrase.value, z.field) == ("a", text, text, "z")
        assert (b.field, b.is_regex) == ("b", True)
