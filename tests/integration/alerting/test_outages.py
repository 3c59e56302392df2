"""Many rules after an outage, a tenant that asks too much, and one that is gone."""

from datetime import timedelta

import pytest

from duoscope.alerting import rules
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Principal
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import alert_rules
from duoscope.worker.purge import purge_deleted
from support.api import make_member

MINUTE = timedelta(minutes=1)
PLATFORM = PlatformScope(reason="a test")
DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
NOW = {"delay_seconds": 0}
RULES = 200


async def limit(watched, **limits):
    async with watched.metadata.open_platform(PLATFORM, "test.limit") as tx:
        await tx.execute(
            "UPDATE tenants SET settings = settings || $2 WHERE tenant_id = $1",
            *(watched.scope.tenant_id, {"limits": limits}),
        )


async def test_an_outage_of_two_hours_with_200_rules(watched):
    """Each rule is evaluated once, for its newest slot; what was missed is one row each; what fires goes on firing."""
    await limit(watched, alert_query_seconds=3600)
    firing = await watched.rule(DEPTH, ABOVE, name="firing", **NOW)
    await watched.gauge("depth", (0, 20), (120, 20), queue="a")
    assert await watched.minute(0) == ["firing breach a"]
    for number in range(RULES - 1):
        await watched.rule(DEPTH, ABOVE, name=f"rule {number}", for_seconds=60, first=1, **NOW)
    watched.now = watched.start + 120 * MINUTE + timedelta(seconds=1)

    evaluator = watched.evaluator()
    assert [await evaluator.evaluate_next() for _ in range(RULES)] == [True] * RULES
    told = [each for each in await watched.transitions() if each["at"] > watched.start]
    missed = [each for each in told if each["kind"] == "missed"]
    assert len({each["alert_rule_id"] for each in missed}) == len(missed) == RULES
    assert {each["details"]["slots"] for each in missed} == {119}
    assert {each["reason"] for each in missed} == {"evaluator-behind"}
    assert [each["kind"] for each in told if each["kind"] != "missed"] == ["pending"] * (RULES - 1)
    assert [state.status for state in await watched.states(firing)] == ["firing"]
    async with watched.metadata.open(watched.scope, "test.slots") as tx:
        slots = await tx.fetch("SELECT DISTINCT last_evaluated_at, due_at FROM alert_rules")
    assert [tuple(each) for each in slots] == [(watched.start + 120 * MINUTE, watched.start + 121 * MINUTE)]


@pytest.fixture
async def neighbour(watched, new_scope):
    """A rule of another tenant, which has been due for less long than those of the first."""
    scope = new_scope()
    user_id = await make_member(watched.metadata, scope, ROLE_PERMISSIONS)
    other = type(watched)(
        watched.metadata, watched.telemetry, scope, Principal(scope, user_id, new_id(), ROLE_PERMISSIONS),
        watched.deliver, watched.otlp, watched.start,
    )  # fmt: skip
    return await other.rule(DEPTH, ABOVE, first=60)


async def lease(watched, **how):
    async with watched.metadata.open_platform(PLATFORM, "test.lease") as tx:
        return await alert_rules.lease(tx, lease_s=60, of_tenant_max=2, **how)


async def test_a_tenant_with_many_rules_delays_nobody(watched, neighbour):
    for number in range(5):
        await watched.rule(DEPTH, ABOVE, name=f"rule {number}")
    leased = [await lease(watched) for _ in range(4)]
    # One of the first that was due, then the other tenant's, before a second of the first; never a third.
    assert leased[0].rule.tenant_id == watched.scope.tenant_id
    assert leased[1].rule.alert_rule_id == neighbour.alert_rule_id
    assert (leased[2].rule.tenant_id, leased[3]) == (watched.scope.tenant_id, None)


async def test_query_time_of_a_minute_is_limited(watched, neighbour):
    await limit(watched, alert_query_seconds=1)
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    async with watched.metadata.open(watched.scope, "test.spend") as tx:
        for _ in range(3):
            await alert_rules.spend(tx, seconds=0.4, seconds_max=1)
        assert await tx.fetchval("SELECT seconds FROM alert_query_seconds") == pytest.approx(1.2)
    assert (await lease(watched, query_seconds_max=60)).rule.alert_rule_id == neighbour.alert_rule_id
    assert await lease(watched, query_seconds_max=60) is None
    # The next minute.
    async with watched.metadata.open(watched.scope, "test.later") as tx:
        await tx.execute("UPDATE alert_query_seconds SET minute = minute - interval '1 minute'")
        await tx.execute("UPDATE alert_query_seconds SET exhausted_at = $1", watched.start + 2 * MINUTE)
    await watched.gauge("depth", (0, 20), (3, 20), queue="a")
    assert set(await watched.minute(3)) == {"missed query-seconds-limit", "firing breach a"}
    assert (await watched.read(rule)).last_problem == ""


async def test_labels_are_filled_in_from_the_series(watched, api):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    labels = {"team": "{{ $labels.queue | toUpper }}", "queue": "of {{ $labels.queue }}"}
    await rules.change(watched.metadata, watched.principal, rule.alert_rule_id, {"labels": labels}, version=None)
    await watched.gauge("depth", (0, 20), queue="a")
    await watched.minute(0)
    expected = {"team": "A", "queue": "of a"}
    assert [each["labels"] for each in await watched.transitions()] == [expected]
    headers = await api.headers(watched.scope, "alert:read", "metric:read")
    listed = (await api.client.get("/api/v1/alerts", headers=headers)).json()["items"]
    assert [each["labels"] for each in listed] == [expected]
    (told,) = (await api.client.get("/api/v1/prom/api/v1/alerts", headers=headers)).json()["data"]["alerts"]
    assert told["labels"] == expected | {"alertname": "rule", "severity": "critical"}


async def test_a_label_that_cannot_be_filled_in_is_the_problem_of_its_rule(watched):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    labels = {"size": "{{ $labels.queue | humanize }}"}
    await rules.change(watched.metadata, watched.principal, rule.alert_rule_id, {"labels": labels}, version=None)
    await watched.gauge("depth", (0, 20), (1, 20), (2, 3), queue="a")
    for minute in (0, 1):
        await watched.minute(minute)
        assert "the label size fails: line 1, column" in (await watched.read(rule)).last_problem
    (told,) = await watched.transitions()
    assert told["labels"]["size"].startswith("<error expanding template:")
    await watched.minute(2)
    await watched.minute(3)
    assert (await watched.read(rule)).last_problem == ""


@pytest.mark.parametrize(
    "gone",
    [
        "UPDATE tenants SET deleted_at = now() WHERE tenant_id = $1",
        "UPDATE tenants SET is_active = false WHERE tenant_id = $1",
        (
            "UPDATE workspaces SET deleted_at = now() WHERE workspace_id IN "
            "(SELECT workspace_id FROM tenants WHERE tenant_id = $1)"
        ),
    ],
    ids=["deleted", "switched off", "the workspace is deleted"],
)
async def test_what_fired_in_a_tenant_that_is_gone_is_resolved(watched, gone):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    await watched.gauge("depth", (0, 20), queue="a")
    assert await watched.minute(0) == ["firing breach a"]
    evaluator = watched.evaluator()
    assert await evaluator.end_gone() == 0
    async with watched.metadata.open_platform(PLATFORM, "test.delete") as tx:
        await tx.execute(gone, watched.scope.tenant_id)
    before = len(watched.happened)
    assert await evaluator.end_gone() == 1
    assert len(watched.happened) == before + 1
    assert [each["reason"] for each in await watched.transitions()] == ["breach", "tenant-gone"]
    assert await watched.states(rule) == []
    assert await evaluator.end_gone() == 0


async def test_nothing_is_left_of_a_tenant_that_was_purged(watched):
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    await watched.gauge("depth", (0, 20), queue="a")
    assert await watched.minute(0) == ["firing breach a"]
    await watched.due(rule, watched.start)
    async with watched.metadata.open_platform(PLATFORM, "test.delete") as tx:
        await tx.execute(
            "UPDATE tenants SET deleted_at = now() - interval '91 days' WHERE tenant_id = $1", watched.scope.tenant_id
        )
    assert await lease(watched) is None
    assert await purge_deleted(watched.metadata)
    async with watched.metadata.open(watched.scope, "test.left") as tx:
        for count in (
            "SELECT count(*) FROM alert_rules", "SELECT count(*) FROM alert_instances",
            "SELECT count(*) FROM alert_transitions", "SELECT count(*) FROM alert_query_seconds",
        ):  # fmt: skip
            assert await tx.fetchval(count) == 0, count
