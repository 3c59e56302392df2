"""Anomalies, objectives and rules over rules, evaluated over stored telemetry; and telemetry that comes late."""

from datetime import timedelta

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, Sum

from duoscope.alerting import rules, slos
from duoscope.alerting.evaluator import Evaluator
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import alert_rules, receivers
from duoscope.metadata.slos import Slo

MINUTE = timedelta(minutes=1)
S = 10**9
DAY = 1440
PLATFORM = PlatformScope(reason="a test")
DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
NOW = {"delay_seconds": 0}


async def test_an_anomaly_learns_and_then_fires(watched):
    rule = await watched.rule({"kind": "metric", "metric": "depth", "aggregation": "last"}, {"kind": "anomaly"}, **NOW)
    for day in (1, 2):
        await watched.gauge("depth", *((minute - day * DAY, 10 + minute % 3) for minute in range(-30, 30)))
    await watched.gauge("depth", *((minute - 0.5, 90) for minute in range(3)))
    assert await watched.minute(0) == []
    learning = await watched.read(rule)
    assert (learning.last_outcome, learning.last_note[:15]) == ("learning", "Learning: 1 of ")
    await watched.gauge("depth", *((minute - 3 * DAY, 10 + minute % 3) for minute in range(-30, 30)))
    assert await watched.minute(1) == ["firing breach"]
    fired = (await watched.transitions())[0]
    assert (fired["value"], fired["threshold"]) == (pytest.approx(79 / 1.4826), 5)
    assert (await watched.read(rule)).last_outcome == "judged"


async def test_a_rule_over_rules_reads_their_states(watched):
    deep = await watched.rule(DEPTH, ABOVE, name="deep", **NOW)
    wide = await watched.rule(DEPTH | {"expression": "max by (queue) (width)"}, ABOVE, name="wide", **NOW)
    both = {"kind": "rules", "of": {"deep": str(deep.alert_rule_id), "wide": str(wide.alert_rule_id)}}
    condition = {"kind": "composite", "expression": "deep and not wide", "by": ["queue"]}
    top = await watched.rule(both, condition, name="top", **NOW)
    await watched.gauge("depth", *((minute, 20) for minute in range(9)), queue="a")
    await watched.gauge("width", (0, 1), (1, 1), (2, 20), (3, 20), (4, 1), queue="a")
    # Of one minute, the two are evaluated in any order with the third: each state is seen a minute later at the latest.
    for minute in range(6):
        await watched.minute(minute)
    of_top = [
        (each["kind"], each["reason"])
        for each in await watched.transitions()
        if each["alert_rule_id"] == top.alert_rule_id
    ]
    assert of_top == [("firing", "breach"), ("resolved", "recovered"), ("firing", "breach")]
    await rules.delete(watched.metadata, watched.principal, wide.alert_rule_id)
    await watched.minute(6)
    assert "wide of `query_config.of` is deleted" in (await watched.read(top)).last_problem
    assert [state.status for state in await watched.states(top) if state.subject == "series"] == ["firing"]
    with pytest.raises(DuoscopeError, match="in a circle"):
        await rules.change(
            watched.metadata, watched.principal, deep.alert_rule_id,
            {"query_type": "rules", "query_config": {"kind": "rules", "of": {"top": str(top.alert_rule_id)}},
             "condition_config": {"kind": "composite", "expression": "top"}},
            version=None,
        )  # fmt: skip


def objective(watched, **given):
    scope = watched.scope
    return Slo(
        organization_id=scope.organization_id,
        workspace_id=scope.workspace_id,
        tenant_id=scope.tenant_id,
        slo_id=new_id(),
        name="Checkout works",
        description="",
        good_config={"kind": "trace", "query": "-status:error"},
        total_config={"kind": "trace"},
        **{"objective": 0.99, "min_events": 100, "windows": slos.windows_of(30)[:1]} | given,
        period_days=30,
        labels={"team": "shop"},
        version=1,
        created_by=None,
        created_at=watched.start,
        updated_at=watched.start,
    )


async def spans(watched, minute, *, good, bad):
    start_ns = int((watched.start + minute * MINUTE).timestamp()) * S
    made = [
        {"trace_id": new_id().bytes, "span_id": new_id().bytes[-8:], "name": "GET /", "status": 2 if each < bad else 1,
         "start_time_unix_nano": start_ns + each, "end_time_unix_nano": start_ns + each + 1000}
        for each in range(good + bad)
    ]  # fmt: skip
    await watched.deliver(watched.scope, watched.otlp.spans("checkout", *made))


async def test_an_objective_over_three_requests_never_fires(watched):
    slo = await slos.create(watched.metadata, watched.principal, objective(watched))
    async with watched.metadata.open(watched.scope, "test.rules") as tx:
        (rule,) = await alert_rules.of_slo(tx, slo.slo_id)
    assert (rule.name, rule.severity) == ("Checkout works: error budget burns (critical)", "critical")
    await watched.due(rule, watched.start + MINUTE)
    await spans(watched, 0.5, good=0, bad=3)
    assert [await watched.minute(minute) for minute in (1, 2)] == [[], []]
    assert await watched.states(rule) == []
    await spans(watched, 2.2, good=150, bad=50)
    assert await watched.minute(3) == ["firing breach Checkout works"]
    assert (await watched.transitions())[0]["value"] == pytest.approx(53 / 203 / 0.01)
    # Another objective is another question: what fired is resolved.
    await slos.change(watched.metadata, watched.principal, slo.slo_id, {"objective": 0.98}, version=1)
    assert [each["reason"] for each in await watched.transitions()] == ["breach", "rule-changed"]
    assert (await watched.read(rule)).condition_config["objective"] == 0.98
    with pytest.raises(DuoscopeError, match="a rule of the objective"):
        await rules.change(
            watched.metadata, watched.principal, rule.alert_rule_id, {"condition_config": ABOVE}, version=None
        )
    await slos.delete(watched.metadata, watched.principal, slo.slo_id)
    deleted = await watched.read(rule)
    assert (deleted.deleted_at is not None, deleted.slo_id) == (True, None)


async def counted(watched, *points):
    """Store points of a counter that grows by ten a minute."""
    start_ns = int(watched.start.timestamp()) * S
    data = [
        NumberDataPoint(
            start_time_unix_nano=start_ns - 3600 * S, time_unix_nano=start_ns + int(minute * 60 * S),
            as_int=int(10 * (minute + 60)), attributes=watched.otlp.attributes({"queue": "a"}),
        )
        for minute, _ in points
    ]  # fmt: skip
    total = Sum(data_points=data, aggregation_temporality="AGGREGATION_TEMPORALITY_CUMULATIVE", is_monotonic=True)
    await watched.deliver(watched.scope, watched.otlp.metrics("shop", Metric(name="depth", sum=total)))


@pytest.mark.parametrize(("is_counter", "each"), [(True, 10), (False, 1)], ids=["a counter", "points of a gauge"])
async def test_a_counter_whose_newest_bucket_is_not_in_yet(watched, is_counter, each):
    """The newest minute has no points: that is no 0, and no verdict where `min_coverage` asks for all."""
    question = {"kind": "metric", "metric": "depth", "aggregation": "increase" if is_counter else "count"}

    async def store(*points):
        await (counted(watched, *points) if is_counter else watched.gauge("depth", *points))

    low = {"kind": "threshold", "comparison": "<", "value": 1, "window": {"seconds": 300, "judged": "at_least_once"}}
    await watched.rule(question, low, name="low", **NOW)
    whole = low | {"window": {"seconds": 300, "judged": "sum", "min_coverage": 1}, "value": 5 * each}
    await watched.rule(question, whole, name="whole", **NOW)
    await store(*((minute + 0.5, 1) for minute in range(-7, 0)))
    assert await watched.minute(0) == []
    assert await watched.minute(1) == []  # the bucket of minute 0 is not in yet
    await store((0.5, 1), (1.5, 1))
    assert await watched.minute(2) == []


async def test_twenty_seconds_of_data_are_not_all_the_time(watched):
    question = {"kind": "metric", "metric": "depth", "aggregation": "last"}
    window = {"seconds": 300, "step_seconds": 20, "judged": "all_the_time"}
    await watched.rule(question, ABOVE | {"window": window}, **NOW)
    await watched.gauge("depth", (-0.2, 90))
    assert await watched.minute(0) == []
    await watched.gauge("depth", *((-5 + (third + 0.5) / 3, 90) for third in range(15)))
    await watched.gauge("depth", *((third / 3 + 0.1, 90) for third in range(3)))
    assert await watched.minute(1) == ["firing breach"]


async def backlog(watched, receiver_id, since):
    async with watched.metadata.open_platform(PLATFORM, "test.backlog") as tx:
        await receivers.beat(tx, receiver_id, for_s=60, waiting_since=since)


async def test_a_receiver_with_a_backlog_of_three_minutes(watched):
    """The points that would have been low are on another receiver's disk: nothing is judged, and nothing resolved."""
    rule = await watched.rule(DEPTH, ABOVE, for_seconds=60, late_max_seconds=300, **NOW)
    one, other = new_id(), new_id()
    await watched.gauge("depth", (0, 20), (1, 20), queue="a")
    assert [await watched.minute(0), await watched.minute(1)] == [["pending breach a"], ["firing breach a"]]
    before = await watched.states(rule)
    await backlog(watched, one, None)
    await backlog(watched, other, watched.start + MINUTE)
    for minute in (2, 3, 4):  # PromQL would still see the last value, or none after five minutes
        assert await watched.minute(minute) == []
        late = await watched.read(rule)
        assert (late.last_outcome, late.last_evaluated_at) == ("late", watched.start + minute * MINUTE)
        assert await watched.states(rule) == before
    await watched.gauge("depth", (2, 3), (3, 3), (4, 3), (5, 3), queue="a")
    await backlog(watched, other, None)
    assert await watched.minute(5) == ["resolved recovered a"]
    # A backlog that does not end is not waited for beyond the stated limit.
    await backlog(watched, other, watched.start + 5.5 * MINUTE)
    await watched.gauge("depth", *((minute, 20) for minute in range(6, 13)), queue="a")
    assert [await watched.minute(minute) for minute in (6, 10, 11)] == [
        [], ["missed evaluator-behind"], ["pending breach a"]
    ]  # fmt: skip


async def test_late_rows_show_an_alert_that_was_missed(watched):
    """What came late makes the alert fire, marked, and the next evaluation resolves it; an edit forgets what was."""
    rule = await watched.rule(DEPTH, ABOVE, rejudge_slots=4, **NOW)
    await watched.rule(DEPTH, ABOVE, name="plain", **NOW)
    await watched.gauge("depth", *((minute - 0.5, 3) for minute in range(14)), queue="a")
    assert [await watched.minute(minute) for minute in range(4)] == [[]] * 4
    await watched.gauge("depth", (1.9, 30), queue="a")
    assert await watched.minute(4) == ["firing late-data a"]
    (told,) = await watched.transitions()
    assert (told["value"], told["active_at"], told["fired_at"]) == (
        30, watched.start + 2 * MINUTE, watched.start + 4 * MINUTE,
    )  # fmt: skip
    assert await watched.minute(5) == ["resolved recovered a"]
    assert [await watched.minute(minute) for minute in (6, 7)] == [[], []]
    assert {each["alert_rule_id"] for each in await watched.transitions()} == {rule.alert_rule_id}
    assert (await watched.read(rule)).last_problem == ""
    await rules.change(
        watched.metadata,
        watched.principal,
        rule.alert_rule_id,
        {"condition_config": ABOVE | {"value": 5}},
        version=None,
    )
    await watched.gauge("depth", (6.9, 30), queue="a")
    assert [await watched.minute(minute) for minute in (8, 9)] == [[], []]
    # Slots that nobody evaluated are not judged again either.
    await watched.gauge("depth", (10.9, 30), queue="a")
    assert await watched.minute(12) == ["missed evaluator-behind"] * 2
    assert await watched.minute(13) == []


async def test_the_receiver_in_the_same_process_says_what_it_has(watched):
    rule = await watched.rule(DEPTH, ABOVE, delay_seconds=30)
    await watched.gauge("depth", (-1, 20), queue="a")
    since = [watched.start - 40 * timedelta(seconds=1)]
    watched.now = watched.start + timedelta(seconds=1)
    evaluator = Evaluator(watched.metadata, watched.telemetry, lambda _: watched.now, waiting_since=lambda: since[0])
    assert await evaluator.evaluate_next()
    assert (await watched.read(rule)).last_outcome == "late"
    # What came after the window's end holds nothing up: the delay is there for it.
    since[0] = watched.start + MINUTE - timedelta(seconds=20)
    assert await watched.minute(1, evaluator) == ["firing breach a"]
