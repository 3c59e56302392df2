"""Templates of annotations: what Prometheus and Go print, limits, and where a mistake is."""

import math
from types import SimpleNamespace

import pytest
import yaml

from duoscope.kernel.errors import DuoscopeError
from duoscope.notification import labelling, owing, templates
from duoscope.notification.templates import AlertData, Mistake, Sample, TemplateError
from support.shared import shared

_DATA = AlertData(
    {"instance": "host:9100", "job": "node", "count": "5"},
    1234567.0,
    {"cluster": "eu"},
    "http://testhost:9090/path/prefix",
)


def _answer(expression):
    if "missing" in expression:
        return []
    return [Sample({"instance": "b", "__value__": "v"}, 21.0), Sample({"instance": "a"}, 11.0)]


def _rendered(text, value=_DATA.value):
    data = AlertData(_DATA.labels, value, _DATA.external_labels, _DATA.external_url)
    return templates.render(text, data, _answer)


_OF_PROMETHEUS = {  # from its template_test.go, with the values written out where it ranges over them
    "humanize": [(0.0, "0"), (1.0, "1"), (1234567.0, "1.235M"), (0.12, "120m"), (-1.0, "-1"), (2.0**64, "18.45E"),
                 (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
    "humanize1024": [(0.0, "0"), (1.0, "1"), (1048576.0, "1Mi"), (0.12, "0.12"), (1234567.0, "1.177Mi"),
                     (2.0**64, "16Ei"), (math.inf, "+Inf"), (math.nan, "NaN")],
    "humanizeDuration": [(0, "0s"), (1, "1s"), (60, "1m 0s"), (3600, "1h 0m 0s"), (86400, "1d 0h 0m 0s"),
                         (86400 + 3600, "1d 1h 0m 0s"), (-(86400 * 2 + 3600 * 3 + 60 * 4 + 5), "-2d 3h 4m 5s"),
                         (899.99, "14m 59s"), (0.1, "100ms"), (0.0001, "100us"), (0.12345, "123.5ms"),
                         (60.1, "1m 0s"), (60.5, "1m 0s"), (1.2345, "1.234s"), (12.345, "12.35s"),
                         (1234567, "14d 6h 56m 7s"), (math.inf, "+Inf"), (math.nan, "NaN")],
    "humanizePercentage": [(-0.22222, "-22.22%"), (0.0, "0%"), (0.1234567, "12.35%"), (1.23456, "123.5%"),
                           (1234567, "1.235e+08%"), (2.0**64, "1.845e+21%")],
    "humanizeTimestamp": [(1435065584.128, "2015-06-23 13:19:44.128 +0000 UTC"), (0, "1970-01-01 00:00:00 +0000 UTC"),
                          (-1, "1969-12-31 23:59:59 +0000 UTC"), (9223372036, "2262-04-11 23:47:16 +0000 UTC"),
                          (math.inf, "+Inf"), (math.nan, "NaN")],
}  # fmt: skip


@pytest.mark.parametrize("function", _OF_PROMETHEUS)
def test_numbers_are_as_prometheus_has_them(function):
    for value, expected in _OF_PROMETHEUS[function]:
        assert _rendered(f"{{{{ $value | {function} }}}}", float(value)) == expected
        assert _rendered(f'{{{{ {function} "{value}" }}}}'.replace("inf", "+Inf").replace("-+", "-")) == expected


_SAME = {  # of Prometheus' tests, of Go's documentation, or printed by Go 1.26
    "plain text": "plain text",
    "{{ 1 }}": "1",
    '{{ "<b>" | safeHtml }}': "<b>",
    '{{ query "metric" | first | value }}': "21",
    '{{ query "metric" | first | label "instance" }}': "b",
    '{{ query "metric" | first | strvalue }}': "v",
    '{{ query "metric" | first | label "foo" }}': "",
    '{{ $x := query "metric" | first }}{{ $x.Labels.foo }}': "",
    '{{ range query "metric" | sortByLabel "instance" }}{{.Labels.instance}}:{{.Value}}: {{end}}': "a:11: b:21: ",
    '{{ "foo.example.com:12345" | stripPort }}': "foo.example.com",
    '{{ "[2001:0DB8::1]:12345" | stripPort }}': "2001:0DB8::1",
    '{{ "[2001:0DB8::1]::12345" | stripPort }}': "[2001:0DB8::1]::12345",
    '{{ "2001:0DB8::1" | stripPort }}': "2001:0DB8::1",
    '{{ "foo.example.com:12345" | stripDomain }}': "foo:12345",
    '{{ "192.0.2.1:12345" | stripDomain }}': "192.0.2.1:12345",
    '{{ reReplaceAll "(a)b" "x$1" "ab" }}': "xa",
    '{{ reReplaceAll "(?P<n>a)b" "${n}y$$" "abab" }}': "ay$ay$",
    '{{ "aa bb CC" | title }} {{ "aA" | toUpper }} {{ "aA" | toLower }}': "Aa Bb CC AA aa",
    '{{ match "a+" "aa" }} {{ match "a+" "b" }}': "true false",
    '{{ graphLink "up" }} {{ tableLink "a b" }}': "/graph?g0.expr=up&g0.tab=0 /graph?g0.expr=a+b&g0.tab=1",
    "{{ pathPrefix }} {{ externalURL }} {{ $externalURL }}": "/path/prefix" + " http://testhost:9090/path/prefix" * 2,
    '{{ printf "%0.2f" (parseDuration "1h2m10ms") }}': "3720.01",
    "{{ $labels.job }} {{ .Labels.job }} {{ $.Labels.job }} {{ $externalLabels.cluster }}": "node node node eu",
    "{{ $labels.absent }}|{{ .Value }}|{{ $value }}": "|1.234567e+06|1.234567e+06",
    "{{ $labels }}": "map[count:5 instance:host:9100 job:node]",
    '{{ printf "%5.1f|%-6s|%06.2f|%+d|%x|%q|%t" 3.14159 "ab" 2.5 5 "hi" "a\\"\\x01é" true }}':
        '  3.1|ab    |002.50|+5|6869|"a\\"\\x01é"|true',
    '{{ printf "%d %s %z" 2.5 1 }}': "%!d(float64=2.5) %!s(int=1) %!z(MISSING)",
    '{{ printf "%v %v %d" nil nil }}': "<nil> <nil> %!d(MISSING)",
    '{{ printf "%v" 1 "x" nil }}': "1%!(EXTRA string=x, <nil>)",
    '{{ printf "%.2v|%8v|%08.3f|% d|%05d|%e|%G|%x|%%" 1234.5 "a" -1.5 7 -42 1234.5 1e-10 255 }}':
        "1.2e+03|       a|-001.500| 7|-0042|1.234500e+03|1E-10|ff|%",
    "{{ 100000.0 }} {{ 1e6 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e20 }}": "100000 1e+06 0.0001 1e-05 1e+20",
    '{{ print 1 2 "a" 3 4.0 }}|{{ println 1 "a" }}|{{ len "é" }}': "1 2a3 4|1 a\n|2",
    "{{ if 0.0 }}a{{ else if eq 1 1 }}b{{ end }}": "b",
    "{{ if gt $value 5.0 }}high{{ else }}low{{ end }}": "high",
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }}": "count=5,instance=host:9100,job=node,",
    '{{ range query "missing" }}x{{ else }}none{{ end }}': "none",
    '{{ range $i, $s := query "m" }}{{ if eq $i 1 }}{{ break }}{{ end }}{{ $i }}{{ $s.Value }}{{ end }}': "021",
    '{{ range query "m" }}{{ if eq .Value 21.0 }}{{ continue }}{{ end }}{{ .Value }}{{ end }}': "11",
    '{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ $x := "c" }}{{ end }}{{ $x }}': "b",
    "a \n{{- /* a comment */ -}}\n b": "ab",
    "a {{- 3 -}} b {{ -3 }}": "a3b -3",
    "{{ with $labels.absent }}x{{ else with $labels.job }}{{ . }}{{ end }}": "node",
    "{{ and 1 0 }}{{ or 0 2 }}{{ not 1 }} {{ or true (first 1) }}": "02false true",
    '{{ `raw\\n` }}{{ "\\u00e9\\t\\101" }}': "raw\\né\tA",
    '{{ index $labels "job" }} {{ (index (query "m") 1).Value }}': "node 11",
    '{{ eq "a" "b" "a" }} {{ ne 1.0 2.0 }} {{ lt "a" "b" }} {{ urlquery "a b&c" }}': "true true true a+b%26c",
    "{{ $labels.job}}%{{`}}`}}": "node%}}",
}  # fmt: skip


@pytest.mark.parametrize("text", _SAME)
def test_templates_print_what_go_prints(text):
    assert _rendered(text) == _SAME[text]


_WRONG = {
    "{{": (1, 1, "the action is not closed"),
    "a\n b {{ $labels.job ": (2, 4, "the action is not closed"),
    '{{ "a }}': (1, 4, "the string is not closed"),
    "{{ \u00a0}}": (1, 4, "unexpected"),
    "{{ }}": (1, 4, "a value or a function is missing"),
    "x\n{{ $nothing }}": (2, 4, "there is no variable $nothing"),
    "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}": (1, 39, "there is no variable $x"),
    "{{ $labels.job | humanise }}": (1, 18, "there is no function humanise"),
    "{{ 1 | 2 }}": (1, 8, "only a function can follow |"),
    "{{ $value 2 }}": (1, 11, "only a function takes arguments"),
    "{{ if true }}": (1, 4, "{{if}} has no {{end}}"),
    "{{ end }}": (1, 4, "unexpected {{end}}"),
    "{{ if true }}{{ else }}{{ else }}{{ end }}": (1, 27, "a second {{else}}"),
    "{{ break }}": (1, 4, "break outside of range"),
    '{{ template "x" }}': (1, 4, "template is not supported"),
    "{{ (print 1 }}": (1, 13, "unexpected }}"),
    "{{/* a }}": (1, 1, "the comment is not closed"),
    '{{ "\\z" }}': (1, 5, "unknown escape"),
    "{{ 12345678901234567890 }}": (1, 4, "too many digits"),
    "{{ .Foo }}": (1, 4, "a struct has no field Foo"),
    '{{ (query "m").banana }}': (1, 4, "a list has no field banana"),
    '{{ query "missing" | first }}': (1, 22, "first: the query has no result"),
    '{{ humanize "one" }}': (1, 4, 'humanize: "one" is no number'),
    "{{ humanizeTimestamp 1e18 }}": (1, 4, "humanizeTimestamp"),
    "{{ if gt $value 5 }}x{{ end }}": (1, 7, "write 5.0, not 5"),
    '{{ match "(" "a" }}': (1, 4, "no regular expression"),
    "{{ title }}": (1, 4, "title: takes 1 argument, not 0"),
    "{{ title 1 }}": (1, 4, "title: expected a string, not a int"),
    "{{ range $value }}{{ end }}": (1, 10, "cannot range over a float64"),
    '{{ printf "%999d" 1 }}': (1, 4, "width or precision"),
    "{{ range 9000000 }}{{ . }}{{ end }}": (1, 23, "more than 10000 steps"),
    '{{ $x := "0123456789" }}{{ range 20 }}{{ $x = print $x $x }}{{ end }}': (1, 47, "beyond 65536 characters"),
    '{{ $x := printf "%200s" "" }}{{ reReplaceAll "" (reReplaceAll "" $x $x) $x }}': (1, 33, "beyond 65536 characters"),
    '{{ $x := printf "%200s" "" }}{{ reReplaceAll "" "a" (print $x $x $x $x $x $x) }}': (1, 33, "at most 1000 matches"),
    '{{ $x := printf "%200s" "" }}{{ range 2000 }}{{ $y := toUpper $x }}{{ end }}': (1, 55, "than 500000 characters"),
    '{{ range 20 }}{{ query "m" }}{{ end }}': (1, 18, "at most 10 queries"),
    "{{ if 1 }}" * 40: (1, 324, "nested more than 32 deep"),
    "{{ " + "(" * 40 + "1" + ")" * 40 + " }}": (1, 36, "nested more than 32 deep"),
    "x" * 40_000: (1, 32_769, "at most 32768 characters"),
}


@pytest.mark.parametrize("text", _WRONG, ids=lambda text: text[:60])
def test_mistakes_name_their_place(text):
    with pytest.raises(TemplateError) as failed:
        _rendered(text)
    line, column, what = _WRONG[text]
    assert what in str(failed.value)
    assert (failed.value.line, failed.value.column) == (line, column)


def test_every_template_of_public_rules_renders():
    texts = []
    for file in sorted(shared("rules").glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            for group in document.get("groups") or document["spec"]["groups"]:
                for rule in group["rules"]:
                    texts += (rule.get("annotations") or {}).values()
                    texts += (rule.get("labels") or {}).values()
    assert sum("{{" in str(text) for text in texts) > 200
    labels = dict.fromkeys(("instance", "job", "namespace", "hostname", "exported_namespace"), "x")
    for text in texts:
        templates.check(str(text), labels)


async def test_queries_are_awaited_once_and_failures_leave_a_text():
    asked = []

    async def ask(expression):
        asked.append(expression)
        if expression == "down":
            raise Mistake("the store is down")
        return [Sample({"instance": "a"}, float(len(asked)))]

    texts = {
        "summary": '{{ query "one" | first | value }}{{ query "two" | first | value }}',
        "description": '{{ query "one" | first | value }}',
        "broken": "now {{ $labels.job | humanize }}",
        "failing": '{{ query "down" | first }}',
    }
    made, failures = await templates.render_asking(texts, _DATA, ask)
    assert (made["summary"], made["description"], asked) == ("12", "1", ["one", "two", "down"])
    assert set(failures) == {"broken", "failing"}
    assert made["broken"] == (
        '(this text could not be made: line 1, column 22: humanize: "node" is no number) '
        "now {{ $labels.job | humanize }}"
    )
    assert "the store is down" in made["failing"]


@pytest.mark.parametrize("name", ["\u00b2", "\u0663", "9" * 5000, "99"])
def test_a_reference_to_no_group_is_nothing(name):
    assert _rendered(f'{{{{ reReplaceAll "a" "x${{{name}}}" "a" }}}}') == "x"


async def test_whatever_a_template_raises_is_a_failure_of_that_text(monkeypatch, caplog):
    def broken(*_):
        raise ValueError("boom")

    async def ask(_):
        return []

    monkeypatch.setattr(templates.evaluate, "render", broken)
    made, failures = await templates.render_asking({"summary": "{{ $value }}"}, _DATA, ask)
    assert made["summary"].startswith(
        "(this text could not be made: line 1, column 1: it cannot be rendered (ValueError)"
    )
    assert set(failures) == {"summary"}
    assert "boom" in caplog.text
    with pytest.raises(TemplateError, match="ValueError"):
        templates.check("{{ $value }}", {})
    with pytest.raises(DuoscopeError, match="ValueError"):
        labelling.check({"team": "{{ $labels.a }}"}, {})
    assert "ValueError" in labelling.labels_of({"team": "{{ $labels.a }}"}, {})["team"]


async def test_a_transition_whose_query_breaks_is_told_all_the_same(caplog):
    async def ask(*_):
        raise RuntimeError("boom")

    told = SimpleNamespace(
        details={"runbook_url": "http://runbook"},
        subject="series",
        reason="breach",
        alert_rule_name="rule",
        labels={},
        value=1.0,
        transition_id="t",
        annotations={"summary": '{{ query "up" | first | value }}'},
    )
    made = await owing._annotations(SimpleNamespace(transition=told), "", ask)
    assert made == {
        "runbook_url": "http://runbook",
        "summary": "(this text could not be made: RuntimeError)",
    }
    assert "boom" in caplog.text
