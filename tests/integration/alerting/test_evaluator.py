"""Rules evaluated over stored telemetry: states over restarts, leases, edits, errors, missed slots."""

import asyncio
from datetime import timedelta

import pytest

from duoscope.alerting import rules
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import alert_rules

MINUTE = timedelta(minutes=1)
PLATFORM = PlatformScope(reason="a test")
DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
NOW = {"delay_seconds": 0}


async def test_a_rule_goes_pending_firing_resolved_over_restarts(watched):
    """Each minute is evaluated by a new evaluator: all that is remembered is stored."""
    rule = await watched.rule(DEPTH, ABOVE, for_seconds=180, **NOW)
    values = [1, 20, 20, 20, 20, 20, 3, 3]
    await watched.gauge("depth", *enumerate(values), queue="a")
    await watched.gauge("depth", *((minute, 1) for minute in range(8)), queue="b")
    told = [await watched.minute(minute) for minute in range(8)]
    assert told == [[], ["pending breach a"], [], [], ["firing breach a"], [], ["resolved recovered a"], []]
    pending, firing, resolved = await watched.transitions()
    assert [each["number"] for each in (pending, firing, resolved)] == [1, 2, 3]
    assert len(watched.happened) == 3
    assert firing["active_at"] == pending["at"] == watched.start + MINUTE
    assert resolved["fired_at"] == firing["at"] == watched.start + 4 * MINUTE
    assert (firing["value"], firing["threshold"], resolved["value"]) == (20, 10, 3)
    assert firing["labels"] == {"queue": "a", "team": "shop"}
    assert await watched.states(rule) == []
    assert (await watched.read(rule)).last_evaluated_at == watched.start + 7 * MINUTE


async def test_downtime_while_pending_keeps_the_start_and_does_not_count(watched):
    rule = await watched.rule(DEPTH, ABOVE, for_seconds=180, **NOW)
    await watched.gauge("depth", *((minute, 20) for minute in range(70)), queue="a")
    assert await watched.minute(0) == ["pending breach a"]
    assert await watched.minute(60) == ["missed evaluator-behind"]
    (state,) = await watched.states(rule)
    assert (state.held, state.active_at) == (MINUTE, watched.start)
    assert [await watched.minute(61), await watched.minute(62)] == [[], ["firing breach a"]]
    missed = (await watched.transitions())[1]
    assert missed["details"]["slots"] == 59
    assert missed["details"]["from"] == (watched.start + MINUTE).isoformat()
    assert missed["details"]["to"] == (watched.start + 59 * MINUTE).isoformat()


async def test_many_evaluators_evaluate_a_slot_once(watched):
    for number in range(6):
        await watched.rule(DEPTH, ABOVE, name=f"rule {number}", **NOW)
    await watched.gauge("depth", *((minute, 20) for minute in range(3)), queue="a")
    watched.now = watched.start + timedelta(seconds=1)

    async def work():
        evaluator = watched.evaluator()
        return sum([await evaluator.evaluate_next() for _ in range(2)])

    # At most two of a tenant are at work at once: some find nothing to do.
    done = 0
    while done < 6:
        done += sum(await asyncio.gather(*(work() for _ in range(6 - done))))
    assert [each["kind"] for each in await watched.transitions()] == ["firing"] * 6


async def test_whoever_lost_the_lease_writes_nothing(watched, monkeypatch):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    await watched.gauge("depth", (0, 20), queue="a")
    watched.now = watched.start + timedelta(seconds=1)
    finish, taken = alert_rules.finish, []

    async def late(tx, *arguments, **named):
        if not taken:  # a change of the rule between the question and its outcome
            taken.append(await rules.change(watched.metadata, watched.principal, rule.alert_rule_id,
                                            {"severity": "info"}, version=1))  # fmt: skip
        return await finish(tx, *arguments, **named)

    monkeypatch.setattr(alert_rules, "finish", late)
    assert await watched.evaluator().evaluate_next()
    assert await watched.transitions() == []
    assert (await watched.read(rule)).last_evaluated_at is None
    assert await watched.minute(0) == ["firing breach a"]
    assert (await watched.transitions())[0]["severity"] == "info"


async def test_a_lease_that_is_over_is_taken_up_by_another(watched):
    await watched.rule(DEPTH, ABOVE, **NOW)
    async with watched.metadata.open_platform(PLATFORM, "test.lease") as tx:
        first = await alert_rules.lease(tx, lease_s=60, of_tenant_max=2)
        assert await alert_rules.lease(tx, lease_s=60, of_tenant_max=2) is None
    async with watched.metadata.open(watched.scope, "test.over") as tx:
        await tx.execute("UPDATE alert_rules SET leased_until = now() - interval '1 second'")
    async with watched.metadata.open_platform(PLATFORM, "test.lease") as tx:
        second = await alert_rules.lease(tx, lease_s=60, of_tenant_max=2)
    assert second.fence == first.fence + 1


async def test_a_tenant_has_few_rules_at_work(watched):
    for number in range(4):
        await watched.rule(DEPTH, ABOVE, name=f"rule {number}")
    async with watched.metadata.open_platform(PLATFORM, "test.lease") as tx:
        leased = [await alert_rules.lease(tx, lease_s=60, of_tenant_max=2) for _ in range(3)]
    assert [each is not None for each in leased] == [True, True, False]


async def test_a_slot_that_a_wrong_clock_set_far_ahead_is_set_back(watched):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    async with watched.metadata.open(watched.scope, "test.ahead") as tx:
        await tx.execute("UPDATE alert_rules SET due_at = clock_timestamp() + interval '2 hours'")
        ahead = await tx.fetchval("SELECT due_at FROM alert_rules")
    watched.now = ahead - timedelta(hours=2)
    assert await watched.evaluator().evaluate_next()
    after = await watched.read(rule)
    assert after.last_evaluated_at == ahead - timedelta(hours=2)
    assert not await watched.evaluator().evaluate_next()


async def test_an_invalid_question_is_an_error_said_once_and_retried(watched):
    rule = await watched.rule({"kind": "promql", "expression": '{__name__=~"depth|width"}'}, ABOVE, **NOW)
    for name in ("depth", "width"):
        await watched.gauge(name, *((minute, 1) for minute in range(5)))
    told = [await watched.minute(minute) for minute in range(4)]
    assert told == [[], [], ["error query-failed"], []]
    assert "differ in the metric's name alone" in (await watched.read(rule)).last_problem
    await rules.change(
        watched.metadata, watched.principal, rule.alert_rule_id, {"query_config": DEPTH | {"expression": "depth"}},
        version=None,
    )  # fmt: skip
    assert [each["reason"] for each in await watched.transitions()] == ["query-failed", "rule-changed"]
    assert (await watched.read(rule)).last_problem == ""


@pytest.mark.parametrize("change", ["changed", "disabled", "deleted", "severity"])
async def test_changes_while_firing(watched, change):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    await watched.gauge("depth", *((minute, 20) for minute in range(4)), queue="a")
    assert await watched.minute(0) == ["firing breach a"]
    store, principal, rule_id = watched.metadata, watched.principal, rule.alert_rule_id
    changes = {
        "changed": {"condition_config": ABOVE | {"value": 15}},
        "disabled": {"is_enabled": False},
        "severity": {"severity": "info"},
    }
    if change == "deleted":
        await rules.delete(store, principal, rule_id)
    else:
        await rules.change(store, principal, rule_id, changes[change], version=1)
    last = (await watched.transitions())[-1]
    if change == "severity":
        assert last["kind"] == "firing"
        assert await watched.minute(1) == []
        return
    assert (last["kind"], last["reason"]) == ("resolved", f"rule-{change}")
    assert await watched.states(rule) == []
    await watched.due(rule, watched.start + MINUTE)
    assert await watched.minute(1) == (["firing breach a"] if change == "changed" else [])


async def test_a_version_that_is_old_changes_nothing(watched):
    rule = await watched.rule(DEPTH, ABOVE)
    await rules.change(watched.metadata, watched.principal, rule.alert_rule_id, {"name": "other"}, version=1)
    with pytest.raises(DuoscopeError, match="version 2 by now"):
        await rules.change(watched.metadata, watched.principal, rule.alert_rule_id, {"name": "third"}, version=1)


async def test_no_data_has_a_state_of_its_own(watched):
    question = {"kind": "metric", "metric": "depth", "aggregation": "last"}
    rule = await watched.rule(question, ABOVE, no_data="own", no_data_for_seconds=120, first=1, **NOW)
    await watched.gauge("depth", (0.5, 20), (5.5, 20))
    told = [await watched.minute(minute) for minute in (1, 2, 3, 4, 5, 6)]
    assert told == [["firing breach"], ["pending no-data"], [], ["no_data no-data"], [], ["resolved data-back"]]
    assert [state.status for state in await watched.states(rule)] == ["firing"]


async def test_absence_holds_until_it_is_back(watched):
    question = {"kind": "log", "query": "service:cron", "group_by": ["job"]}
    await watched.rule(question, {"kind": "absence", "window": {"seconds": 120}}, **NOW)
    start_ns = int(watched.start.timestamp() * 10**9)

    async def beat(minute, job):
        record = {"time_unix_nano": start_ns + int(minute * 60 * 10**9), "body": "done", "attributes": {"job": job}}
        await watched.deliver(watched.scope, watched.otlp.logs("cron", record))

    for minute in range(8):
        await beat(minute - 0.5, "a")
    for minute in (-0.5, 0.5, 5.5):
        await beat(minute, "b")
    told = [await watched.minute(minute) for minute in range(8)]
    assert told == [[], [], [], ["firing series-vanished b"], [], [], ["resolved recovered b"], []]


async def test_a_window_with_too_little_data_says_nothing(watched):
    """20 seconds of data are not 'all the time' of five minutes."""
    window = {"seconds": 300, "step_seconds": 60, "judged": "all_the_time"}
    question = {"kind": "metric", "metric": "depth", "aggregation": "last"}
    await watched.rule(question, ABOVE | {"window": window}, first=1, **NOW)
    await watched.gauge("depth", *((minute + 0.5, 20) for minute in range(6)))
    told = [await watched.minute(minute) for minute in range(1, 6)]
    assert told == [[], [], ["firing breach"], [], []]


async def test_the_delay_leaves_out_what_may_be_late(watched):
    await watched.rule(DEPTH, ABOVE, delay_seconds=60, first=1)
    await watched.gauge("depth", (0, 1), (1, 20), (2, 20), queue="a")
    assert [await watched.minute(1), await watched.minute(2)] == [[], ["firing breach a"]]


async def test_beyond_the_limit_series_are_left_out_and_the_rule_says_so(watched):
    async with watched.metadata.open_platform(PLATFORM, "test.limit") as tx:
        await tx.execute(
            'UPDATE tenants SET settings = settings || \'{"limits": {"alert_instances": 2}}\' WHERE tenant_id = $1',
            watched.scope.tenant_id,
        )
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    for queue in "abc":
        await watched.gauge("depth", *((minute, 20) for minute in range(3)), queue=queue)
    assert len(await watched.minute(0)) == 2
    assert "1 series are left out" in (await watched.read(rule)).last_problem
    assert await watched.minute(1) == []


CONDITIONS = {
    "any": ({"kind": "promql", "expression": "depth > 10"}, {"kind": "any"}, [1, 20, 1]),
    "in a range": (DEPTH, {"kind": "threshold", "comparison": "in", "low": 15, "high": 25}, [30, 20, 30]),
    "out of a range": (DEPTH, {"kind": "threshold", "comparison": "out", "low": 15, "high": 25}, [20, 30, 20]),
    "change": (
        DEPTH,
        {"kind": "change", "comparison": ">", "value": 50, "earlier_seconds": 60, "by": "percent"},
        [10, 16, 17],
    ),
    "ratio": (
        DEPTH,
        {
            "kind": "ratio",
            "comparison": ">=",
            "value": 2,
            "to": {"kind": "promql", "expression": "max by (queue) (size)"},
        },
        [10, 20, 10],
    ),
}


@pytest.mark.parametrize("case", CONDITIONS.values(), ids=CONDITIONS)
async def test_kinds_of_conditions(watched, case):
    question, condition, values = case
    await watched.rule(question, condition, **NOW)
    await watched.gauge("depth", (-1, values[0]), *enumerate(values), queue="a")
    await watched.gauge("size", *((minute, 10) for minute in range(3)), queue="a")
    told = [[each.split()[0] for each in await watched.minute(minute)] for minute in range(3)]
    assert told == [[], ["firing"], ["resolved"]]
