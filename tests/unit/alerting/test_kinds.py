"""Anomalies, burn rates and composite rules: arithmetic over made-up answers, and what is refused."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import msgspec
import numpy as np
import pytest

from duoscope.alerting import composites
from duoscope.alerting.anomalies import Anomaly
from duoscope.alerting.burn_rates import BurnRate, BurnWindow, check_events
from duoscope.alerting.composites import Composite, RuleState
from duoscope.alerting.conditions import Change, Ratio, Threshold, asks, judge
from duoscope.alerting.preview import Firing, OfStates
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.questions.answers import Answered, of_numbers
from duoscope.telemetry.questions.kinds import Question

S = 10**9
DAY_NS = 86_400 * S
NONE = float("nan")
METRIC = {"kind": "metric", "metric": "depth"}
LOGS = {"kind": "log"}


def question(given):
    return msgspec.convert(given, Question)


def answered(*rows) -> Answered:
    labels = [label_sets.of({"series": str(number)}) for number in range(len(rows))]
    return of_numbers(labels, np.array(rows, np.float64).reshape(len(rows), -1 if rows else 12))


def of_days(now, *days):
    """The answers for one series with a value now, and one number at all hours of each past day, the latest first."""
    return [answered([now]), *(answered(np.full(60, day)) for day in days)]


ANOMALIES = {
    # value, past days, condition, (score, breach) or None where it is learning
    "as ever": (10, (9, 10, 11, 10, 9, 11, 10), {}, (0, False)),
    "far above": (30, (9, 10, 11, 10, 9, 11, 10), {}, (20 / 1.4826, True)),
    "far below, asked above": (-30, (9, 10, 11, 10, 9, 11, 10), {"direction": "above"}, (-40 / 1.4826, False)),
    "far below": (-30, (9, 10, 11, 10, 9, 11, 10), {"direction": "below"}, (-40 / 1.4826, True)),
    "an odd day moves nothing": (10, (9, 10, 500, 10, 9, 11, 10), {}, (0, False)),
    "two days are too few": (30, (9, 10, NONE, NONE, NONE, NONE, NONE), {}, None),
    "three are enough": (100, (9, 10, NONE, NONE, 11, NONE, NONE), {}, (90 / 1.4826, True)),
    "a constant past": (11, (10,) * 7, {}, (100, True)),
    "a constant past, with a least deviation": (11, (10,) * 7, {"min_deviation": 1}, (1, False)),
    "nothing but zeros": (1, (0,) * 7, {}, (1000, True)),
}


@pytest.mark.parametrize("case", ANOMALIES.values(), ids=ANOMALIES)
def test_anomalies(case):
    value, days, condition, expected = case
    anomaly = msgspec.convert({"kind": "anomaly"} | condition, Anomaly)
    anomaly.check()
    judged = judge(anomaly, question(METRIC), of_days(value, *days))
    assert judged.learning == (expected is None)
    assert judged.is_conclusive.tolist() == [expected is not None]
    if expected:
        assert judged.values[0] == pytest.approx(expected[0])
        assert judged.is_breach.tolist() == [expected[1]]


def test_days_before_the_first_count_are_no_days():
    """The count of none is 0: before a service was born, that says nothing."""
    born_two_days_ago = of_days(5, 5, 5, 0, 0, 0, 0, 0)
    assert judge(Anomaly(), question(LOGS), born_two_days_ago).learning == 1
    quiet_since = of_days(50, 0, 0, 0, 5, 0, 0, 0)
    assert judge(Anomaly(), question(LOGS), quiet_since).is_breach.tolist() == [True]


def test_an_anomaly_looks_around_the_same_time_of_past_days():
    asked = [steps for _, steps in asks(Anomaly(days=2, days_min=2), question(METRIC), 100 * DAY_NS, 60)]
    assert [(each.end_ns, each.count) for each in asked] == [
        (100 * DAY_NS, 1),
        (99 * DAY_NS + 29 * 60 * S, 60),
        (98 * DAY_NS + 29 * 60 * S, 60),
    ]


@pytest.mark.parametrize(
    "condition",
    [
        Anomaly(),
        BurnRate(good=question({"kind": "trace"}), objective=0.999),
        Threshold(comparison=">", value=1),
        Ratio(comparison=">", value=1, to=question(METRIC)),
        Change(comparison=">", value=1, earlier_seconds=60),
    ],
)
def test_nothing_is_judged_of_no_series(condition):
    asked = asks(condition, question({"kind": "trace"}), 0, 60)
    judged = judge(condition, question({"kind": "trace"}), [answered() for _ in asked])
    assert (judged.labels, judged.learning) == ([], 0)


def burned(total, good, *, min_events=100, objective=0.999, windows=((3600, 300, 14.4),)):
    """The verdict on spans: events in each of twelve short windows, the latest last."""
    condition = BurnRate(
        good=question({"kind": "trace", "query": "-status:error"}),
        objective=objective,
        min_events=min_events,
        windows=tuple(BurnWindow(*each) for each in windows),
    )
    condition.check()
    spans = question({"kind": "trace"})
    answers = [answered(numbers) for _ in windows for numbers in (total, good)]
    assert len(asks(condition, spans, 0, 60)) == len(answers)
    return judge(condition, spans, answers)


BURNING = {
    # total, good: of each short window; conclusive, breach, rate
    "nothing fails": ([100] * 12, [100] * 12, (True, False, 0)),
    "fast in both": ([100] * 12, [97] * 12, (True, True, 30)),
    "over by now": ([100] * 12, [90] * 11 + [100], (True, False, 0)),
    "only just begun": ([1000] * 12, [1000] * 11 + [900], (True, False, 100 / 12)),
    "three requests, all failed": ([0] * 11 + [3], [0] * 12, (False, False, 0)),
    "no requests": ([0] * 12, [0] * 12, (False, False, 0)),
}


@pytest.mark.parametrize("case", BURNING.values(), ids=BURNING)
def test_burn_rates(case):
    total, good, (conclusive, breach, rate) = case
    judged = burned(total, good)
    assert (judged.is_conclusive.tolist(), judged.is_breach.tolist()) == ([conclusive], [breach])
    assert judged.values[0] == pytest.approx(rate)


def test_a_slow_pair_is_judged_where_the_fast_one_has_too_few_events():
    windows = ((3600, 300, 14.4), (7200, 600, 2))
    condition = BurnRate(
        good=question({"kind": "trace"}), objective=0.99, windows=tuple(BurnWindow(*w) for w in windows)
    )
    answers = [answered([5] * 24), answered([4.5] * 24)]  # what both pairs need, in steps of 300 s
    judged = judge(condition, question({"kind": "trace"}), answers)
    assert (judged.is_conclusive.tolist(), judged.is_breach.tolist()) == ([True], [True])
    assert judged.values[0] == pytest.approx(10)


def test_windows_follow_the_period():
    condition = BurnRate(good=question(METRIC), objective=0.999, period_days=7)
    assert [(each.long_seconds, each.short_seconds, each.factor) for each in condition.pairs] == [
        (840, 70, 14.4), (5040, 420, 6), (20160, 1680, 3), (60480, 5040, 1),
    ]  # fmt: skip
    counted = question(METRIC | {"aggregation": "increase"})
    steps = [each.step_ns // S for _, each in asks(BurnRate(good=counted, objective=0.999), counted, 0, 60)]
    assert steps == [25, 150, 600, 1800] * 2
    # Spans are read once for pairs of windows that one reading in steps answers.
    spans = question({"kind": "trace"})
    asked = [each for _, each in asks(BurnRate(good=spans, objective=0.999), spans, 0, 60)]
    assert [(each.step_ns // S, each.count) for each in asked] == [(300, 288), (21600, 12)] * 2


def test_promql_is_asked_for_each_window():
    total = question({"kind": "promql", "expression": "sum(increase(requests_total[$window]))"})
    check_events("query_config", total)
    asked = asks(BurnRate(good=total, objective=0.999, windows=(BurnWindow(3600, 300, 14.4),)), total, 0, 60)
    assert [each.expression for each, _ in asked] == [
        f"sum(increase(requests_total[{length}s]))" for length in (3600, 300, 3600, 300)
    ]


@pytest.mark.parametrize("expression", ["$window", "sum(rate(a[5m])) * $window", "vector($window)", "sum(a)"])
def test_events_are_counted_in_a_range_of_the_window(expression):
    with pytest.raises(DuoscopeError, match="as a range"):
        check_events("total_config", question({"kind": "promql", "expression": expression}))


REFUSED_BURNS = {
    "unreachable": ({"objective": 0.9}, "never be reached"),
    "uneven": ({"objective": 0.99, "windows": [{"long_seconds": 1000, "short_seconds": 300, "factor": 2}]}, "times"),
    "beyond the period": (
        {
            "objective": 0.99,
            "period_days": 7,
            "windows": [{"long_seconds": 864000, "short_seconds": 86400, "factor": 2}],
        },
        "at most the period",
    ),
}


@pytest.mark.parametrize("case", REFUSED_BURNS.values(), ids=REFUSED_BURNS)
def test_burn_rates_that_are_refused(case):
    given, words = case
    with pytest.raises(DuoscopeError, match=words):
        msgspec.convert({"kind": "burn_rate", "good": METRIC} | given, BurnRate).check()


A, B = (label_sets.of({"service": name, "route": "/"}) for name in "ab")
FIRING, QUIET, UNKNOWN = RuleState([A]), RuleState([]), RuleState([], is_known=False)
COMPOSITES = {
    "and": ("x and y", {"x": FIRING, "y": RuleState([B])}, (), {"": True}),
    "and, where they agree": ("x and y", {"x": RuleState([A, B]), "y": RuleState([B])}, ("service",),
                              {"a": False, "b": True}),
    "not": ("x and not y", {"x": FIRING, "y": QUIET}, (), {"": True}),
    "brackets": ("x and (y or not y)", {"x": FIRING, "y": QUIET}, (), {"": True}),
    "unknown decides": ("x and y", {"x": FIRING, "y": UNKNOWN}, (), {"": None}),
    "unknown does not matter": ("x or y", {"x": FIRING, "y": UNKNOWN}, (), {"": True}),
    "not of unknown": ("not y", {"y": UNKNOWN}, (), {"": None}),
    "nothing fires anywhere": ("x and not y", {"x": QUIET, "y": QUIET}, ("service",), {}),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPOSITES.values(), ids=COMPOSITES)
def test_composites(case):
    expression, states, by, expected = case
    judged = composites.judged(Composite(expression=expression, by=by), states)
    verdicts = zip(judged.labels, judged.is_breach.tolist(), judged.is_conclusive.tolist(), strict=True)
    found = {label_sets.get(labels, "service"): breach if known else None for labels, breach, known in verdicts}
    assert found == expected


def test_a_watched_rule_that_is_gone_is_an_error():
    with pytest.raises(DuoscopeError, match=r"y of .* is deleted or disabled"):
        composites.judged(Composite(expression="x or y"), {"x": FIRING, "y": None})


@pytest.mark.parametrize(
    "expression",
    ["", "x and", "x + 1", "f(x)", "x.y", "1", "x if y else z", "[x]", "x < y", "(" * 300, "x\0", "lambda: x"],
)
def test_expressions_that_are_none(expression):
    with pytest.raises(DuoscopeError, match="names with and, or, not"):
        Composite(expression=expression).check()


def test_circles_and_depth():
    a, b, c, d = (new_id() for _ in range(4))
    composites.require_acyclic(a, [b, c], {b: frozenset([d])})
    with pytest.raises(DuoscopeError, match="in a circle"):
        composites.require_acyclic(a, [a], {})
    with pytest.raises(DuoscopeError, match="in a circle"):
        composites.require_acyclic(a, [b], {b: frozenset([c]), c: frozenset([a])})
    with pytest.raises(DuoscopeError, match="at most 2 deep"):
        composites.require_acyclic(a, [b], {b: frozenset([c]), c: frozenset([d])})
    with pytest.raises(DuoscopeError, match="at most 2 deep"):  # the one above becomes too deep
        composites.require_acyclic(b, [c], {a: frozenset([b]), c: frozenset([d])})


MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def _firing(start, end, subject="series", **labels):
    at = [None if each is None else MOMENT + timedelta(minutes=each) for each in (start, end)]
    return Firing(subject, "firing", labels, None, at[0], at[1], "", 0.0, None, False, None)


@pytest.mark.parametrize(
    ("expression", "fires"),
    [("a", {1, 2, 3, 6, 7, 8, 9}), ("b", {2, 3, 4}), ("a and b", {2, 3}), ("a and not b", {1, 6, 7, 8, 9})],
)
def test_firings_of_others_are_walked_in_order(expression, fires):
    firings = {
        "a": [_firing(6, None, queue="q"), _firing(1, 4, queue="q"), _firing(2, 3, queue="r"), _firing(5, 5)],
        "b": [_firing(2, 5), _firing(0, 9, "health")],
    }
    verdict = OfStates(Composite(expression=expression), firings)
    found = [verdict(minute, MOMENT + timedelta(minutes=minute)).is_breach.any() for minute in range(10)]
    assert {minute for minute, is_breach in enumerate(found) if is_breach} == fires


def test_a_walk_judges_only_what_changed(monkeypatch):
    """As many verdicts as changes, not as many as evaluations."""
    judged = Mock(wraps=composites.judged)
    monkeypatch.setattr("duoscope.alerting.preview.judged_states", judged)
    verdict = OfStates(Composite(expression="a"), {"a": [_firing(n, n + 1) for n in range(0, 5000, 1000)]})
    for minute in range(5000):
        verdict(minute, MOMENT + timedelta(minutes=minute))
    assert judged.call_count == 10
