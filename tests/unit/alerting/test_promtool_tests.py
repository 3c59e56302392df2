"""promtool's unit tests of rules: those of other projects, whose answers are known, and what is said of failures."""

import pytest

from duoscope.alerting.rule_files import testing
from duoscope.cli import run
from support.shared import shared

POINTS = {
    "thanos-test.yaml": 11,
    "kubernetes-apiserver-availability-test.yaml": 2,
    "kubernetes-apps-alerts-test.yaml": 9,
    "kubernetes-kubelet-test.yaml": 3,
    "promtool-test.yaml": 26,
}


@pytest.mark.parametrize("name", POINTS)
async def test_rules_of_others_answer_as_with_promtool(name):
    checked = await testing.run(shared("rules", "tests", name))
    assert checked.failures == []
    assert checked.points == POINTS[name]


RULES = """
groups:
- name: a
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {tier: 2}
  - alert: Few
    expr: job:up:sum < 2
    for: 2m
    keep_firing_for: 2m
    labels: {severity: page, queue: '{{ $labels.job }}-{{ $externalLabels.zone }}'}
    annotations: {summary: '{{ $value }} of {{ with query "count(up)" }}{{ . | first | value }}{{ end }}'}
"""
TESTS = """
rule_files: [rules.yaml]
tests:
- name: of jobs
  external_labels: {zone: north}
  input_series:
  - {series: 'up{job="a", instance="1"}', values: '1 0 0 0 0 1x10'}
  - {series: 'up{job="a", instance="2"}', values: '1x15'}
  alert_rule_test:
  - {eval_time: 2m, alertname: Few}
  - &fires
    eval_time: 3m30s
    alertname: Few
    exp_alerts:
    - exp_labels: {severity: page, job: a, tier: 2, queue: a-north}
      exp_annotations: {summary: 1 of 2}
  # It keeps firing, with what it said last.
  - {<<: 1, eval_time: 6m, alertname: Few, exp_alerts: [{exp_labels: {severity: page, job: a, tier: 2, queue: a-north},
     exp_annotations: {summary: 1 of 2}}]}
  - {eval_time: 7m, alertname: Few}
  promql_expr_test:
  - {expr: job:up:sum, eval_time: 5m, exp_samples: [{labels: 'job:up:sum{job="a", tier="2"}', value: 2}]}
"""


@pytest.fixture
def files(tmp_path):
    def write(rules=RULES, tests=TESTS):
        (tmp_path / "rules.yaml").write_text(rules)
        (tmp_path / "tests.yaml").write_text(tests)
        return str(tmp_path / "tests.yaml")

    return write


def test_all_is_as_expected(files, capsys):
    assert run(["rules", "test", files(tests=TESTS.replace("<<: 1, ", ""))]) == 0
    assert "SUCCESS (5 points in 1 groups)" in capsys.readouterr().out


WRONG = {
    "an alert": (("eval_time: 2m,", "eval_time: 4m,"), "alertname: Few, time: 4m,\n        exp:[]\n        got:["),
    "a label": (("tier: 2, queue", "tier: 3, queue"), 'tier="3"'),
    "an annotation": (("summary: 1 of 2", "summary: 2 of 2"), 'summary="2 of 2"'),
    "a sample": (("value: 2", "value: 3"), 'got: {__name__="job:up:sum", job="a", tier="2"} 2'),
    "an unknown field": (("name: of jobs", "naem: of jobs"), "unknown field `naem` - at `$.tests[0]`"),
    "a file that is not there": (("[rules.yaml]", "[other.yaml]"), "No file of rules is there: other.yaml"),
    "values": (("1x15", "1x15 two"), "no value of a series: 'two'"),
    "too many values": (("1x15", "1x999999999"), "at most 1,000,000 values"),
    "a duration": (("eval_time: 7m", "eval_time: soon"), "not a valid duration string: 'soon'"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(files, capsys, case):
    (old, new), words = case
    tests = TESTS.replace("<<: 1, ", "")
    assert old in tests
    assert run(["rules", "test", files(tests=tests.replace(old, new))]) == 1
    shown = capsys.readouterr().out
    assert "FAILED:" in shown
    assert words in shown


@pytest.mark.parametrize(("old", "new", "words"), [
    ("sum by (job) (up)", "sum by (job) (up", "record 'job:up:sum': 1:"),
    ("for: 2m", "four: 2m", "four is left out"),
    ("alert: Few", "alert: Few\n    record: few", "one of `alert` and `record`"),
])  # fmt: skip
def test_rules_that_cannot_be(files, capsys, old, new, words):
    status = run(["rules", "test", files(RULES.replace(old, new), TESTS.replace("<<: 1, ", ""))])
    assert (status, words in capsys.readouterr().out) == (1 if words else 0, True)


def test_groups_by_name_and_unknown_fields(files, capsys):
    path = files(tests=TESTS.replace("eval_time: 2m,", "eval_time: 4m,"))
    assert run(["rules", "test", "--run", "other", "--ignore-unknown-fields", path]) == 0
    assert "0 points" in capsys.readouterr().out
    assert run(["rules", "test", "--run", "of j", "--ignore-unknown-fields", path]) == 1
    assert run(["rules", "test", "--run", "(", path]) == 2
    assert run(["rules", "test", path]) == 1
    assert "unknown field `<<`" in capsys.readouterr().out
