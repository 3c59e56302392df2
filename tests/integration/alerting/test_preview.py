"""The preview of a rule and the history that its evaluation made of the same time: the same firings."""

import random
import time
from datetime import datetime, timedelta
from threading import get_ident
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from duoscope.alerting import preview as module
from duoscope.alerting.conditions import asks
from duoscope.alerting.definitions import parsed
from duoscope.alerting.picture import svg
from duoscope.alerting.preview import Previewed, preview
from duoscope.telemetry.promql.notation import values
from duoscope.worker.alert_shipping import ship_alerts

MINUTE = timedelta(minutes=1)
MINUTES = 24
NOW = {"delay_seconds": 0}
DEPTH = {"kind": "promql", "expression": "max by (queue) (depth)"}
SIZE = {"kind": "promql", "expression": "max by (queue) (size)"}
ABOVE = {"kind": "threshold", "comparison": ">", "value": 10}
ERRORS = {"kind": "log", "query": "severity>=error", "group_by": ["job"]}
LAST = {"kind": "metric", "metric": "depth", "aggregation": "last", "group_by": ["queue"]}


def window(judged, seconds=300, **more):
    return {"window": {"seconds": seconds, "judged": judged} | more}


RULES = {
    "threshold": (DEPTH, ABOVE, {}),
    "for and keep firing": (DEPTH, ABOVE, {"for_seconds": 120, "keep_firing_seconds": 180}),
    "judged again": (DEPTH, ABOVE, {"rejudge_slots": 6, "for_seconds": 60}),
    "all the time, judged again": (LAST, ABOVE | window("all_the_time", 180), {"rejudge_slots": 3}),
    "logs judged again": (ERRORS, {"kind": "threshold", "comparison": ">=", "value": 2}, {"rejudge_slots": 4}),
    "m of n": (DEPTH, ABOVE, {"breaches_min": 2, "of_last": 3}),
    "recovery": (DEPTH, ABOVE | {"recovery": 5}, {}),
    "below": (DEPTH, {"kind": "threshold", "comparison": "<", "value": 3}, {}),
    "a vanished series": (DEPTH, ABOVE, {"vanished": "alert"}),
    "a vanished series is kept": (DEPTH, ABOVE, {"vanished": "keep"}),
    "no data": ({"kind": "promql", "expression": "size"}, ABOVE, {"no_data": "own", "no_data_for_seconds": 60}),
    "a new series": (DEPTH, ABOVE, {"grace_seconds": 120}),
    "any": ({"kind": "promql", "expression": "max by (queue) (depth) > 10"}, {"kind": "any"}, {"for_seconds": 60}),
    "all the time": (LAST, ABOVE | window("all_the_time", 180), {}),
    "at least once": (LAST, ABOVE | window("at_least_once"), {}),
    "average": (DEPTH, ABOVE | window("average", 240, step_seconds=120), {}),
    "covered": (LAST, ABOVE | window("sum", 300, min_coverage=0.9), {}),
    "change": (DEPTH, {"kind": "change", "comparison": ">", "value": 50, "earlier_seconds": 180}, {}),
    "ratio": (DEPTH, {"kind": "ratio", "comparison": ">", "value": 1.5, "to": SIZE}, {}),
    "absence": (LAST, {"kind": "absence", "window": {"seconds": 120}}, {}),
    "logs": (ERRORS, {"kind": "threshold", "comparison": ">=", "value": 2}, {}),
    "logs of longer steps": (
        ERRORS, {"kind": "threshold", "comparison": ">=", "value": 4} | window("last", 180, step_seconds=180), {},
    ),
    "all logs": ({"kind": "log", "query": "severity>=error"}, ABOVE | {"value": 3} | window("sum"), {}),
    "durations of logs": (
        ERRORS | {"measure": {"function": "max", "field": "took"}}, ABOVE | window("last", 180, step_seconds=180), {},
    ),
    "metrics of longer steps": (LAST, ABOVE | window("last", 300, step_seconds=300), {}),
    "a formula": (
        {"kind": "formula", "of": {"d": DEPTH, "s": {"kind": "promql", "expression": "max(size)"}},
         "formula": "d - on() group_left() s"}, ABOVE | {"value": 3}, {},
    ),
    "an anomaly": (LAST, {"kind": "anomaly", "days": 2, "days_min": 2}, {}),
    "a burn rate": (
        {"kind": "log", "query": ""},
        {"kind": "burn_rate", "good": {"kind": "log", "query": "severity<error"}, "objective": 0.9, "min_events": 2,
         "windows": [{"long_seconds": 600, "short_seconds": 120, "factor": 2}]}, {},
    ),
}  # fmt: skip
SERIES = {
    ("depth", "a"): "1x2 12 14 3 12x2 _ 12 7x2 6 2x1 30x3 1x9",
    ("depth", "b"): "1x5 20x3 _x8 20 1x9",
    ("depth", "c"): "_x6 15x4 4x2 1 2 40x1 0x9",
    ("size", "a"): "5x8 _x11 20x2 1x9",
    ("size", "b"): "8x3 _x16 9x9",
}


async def _stored(watched):
    for (name, queue), text in SERIES.items():
        points = [(minute - 0.01, value) for minute, value in enumerate(values(text)) if value is not None]
        await watched.gauge(name, *points, queue=queue)
    for day in (1, 2):
        for queue in "ab":
            points = [(minute - 0.01 - day * 1440, 5 + minute % 3) for minute in range(-40, 80)]
            await watched.gauge("depth", *points, queue=queue)
    chance, records = random.Random(5), []
    start_ns = int(watched.start.timestamp() * 10**9)
    for _ in range(160):
        minute = chance.uniform(-2, MINUTES)
        records.append({
            "time_unix_nano": start_ns + int(minute * 60 * 10**9), "body": "done",
            "severity_number": 17 if chance.random() < (0.7 if 8 < minute < 14 else 0.15) else 9,
            "attributes": {"job": chance.choice("xyz"), "took": chance.uniform(1, 14)},
        })  # fmt: skip
    await watched.deliver(watched.scope, watched.otlp.logs("shop", *records))


def _firing(each):
    return each.kind, tuple(sorted(each.labels.items())), each.start, each.end, each.reason


def _history(transitions):
    """The firings of transitions, in the form of `_firing`."""
    open_, found = {}, []
    for each in sorted(transitions, key=lambda each: (each["at"], each["number"])):
        labels = tuple(sorted((name, value) for name, value in each["labels"].items() if name != "team"))
        if each["kind"] in ("firing", "no_data", "error"):
            open_[each["instance_id"]] = (each["kind"], labels, each["at"])
        elif each["kind"] == "resolved":
            found.append((*open_.pop(each["instance_id"]), each["at"], each["reason"]))
    return sorted([*found, *((*began, None, "") for began in open_.values())], key=lambda each: (each[2], each[1]))


async def test_preview_and_history_agree(watched):
    await _stored(watched)
    made = {}
    for name, (query, condition, policy) in RULES.items():
        made[name] = await watched.rule(query, condition, name=name, **NOW, **policy)
    for minute in range(MINUTES):
        await watched.minute(minute)
    transitions = await watched.transitions()
    assert {each["kind"] for each in transitions} >= {"firing", "resolved", "pending", "no_data", "cleared"}
    end, silent = watched.start + (MINUTES - 1) * MINUTE, []
    for name, rule in made.items():
        reader = watched.telemetry.bind(watched.scope)
        told = await preview(reader, Previewed(parsed(rule), rule.labels), watched.start, end, 1000)
        happened = [each for each in transitions if each["alert_rule_id"] == rule.alert_rule_id]
        assert [_firing(each) for each in told.firings] == _history(happened), name
        assert told.evaluations == MINUTES
        assert told.never_fired_count == sum(each["kind"] == "cleared" for each in happened), name
        assert not [each for each in told.problems if "too little past" not in each], name
        silent += [] if told.firings else [name]
    # Each kind has something to agree on.
    assert silent == []


async def test_a_rule_over_rules(watched):
    """States of other rules are seen at once here, and within a minute by an evaluator."""
    await _stored(watched)
    below = {"a": Previewed(parsed(await watched.rule(DEPTH, ABOVE, name="a", **NOW)), {}),
             "b": Previewed(parsed(await watched.rule(SIZE, ABOVE, name="b", **NOW)), {})}  # fmt: skip
    query = {"kind": "rules", "of": {name: str(rule) for name, rule in zip("ab", await _ids(watched), strict=True)}}
    both = await watched.rule(query, {"kind": "composite", "expression": "a and b", "by": ["queue"]}, name="c", **NOW)
    end = watched.start + (MINUTES - 1) * MINUTE
    reader = watched.telemetry.bind(watched.scope)
    told = await preview(reader, Previewed(parsed(both), {}, watched=below), watched.start, end, 1000)
    single = {
        name: {(labels, minute) for each in (await preview(reader, rule, watched.start, end, 1000)).firings
               for labels in [tuple(each.labels.items())] for minute in range(MINUTES)
               if each.start <= watched.start + minute * MINUTE < (each.end or end + MINUTE)}
        for name, rule in below.items()
    }  # fmt: skip
    fires = {(tuple(each.labels.items()), minute) for each in told.firings for minute in range(MINUTES)
             if each.start <= watched.start + minute * MINUTE < (each.end or end + MINUTE)}  # fmt: skip
    assert fires == single["a"] & single["b"] != set()


async def _ids(watched):
    async with watched.metadata.open(watched.scope, "test.ids") as tx:
        rows = await tx.fetch("SELECT alert_rule_id FROM alert_rules WHERE is_enabled ORDER BY name")
    return [row["alert_rule_id"] for row in rows]


@pytest.fixture
async def saved(watched, api):
    """A rule that fires at minutes 2 to 4, 11 and 12, and from 21 on; with the headers of who may see all."""
    rule = await watched.rule(DEPTH, ABOVE, **NOW)
    text = "1x1 12 30 11 1x5 13 12 1x7 50x9"
    await watched.gauge("depth", *enumerate(values(text)), queue="<a&b>")
    rights = ("alert-rule:read", "metric:read", "silence:read", "silence:write", "alert-rule:write")
    headers = await api.headers(watched.scope, *rights)

    async def asked(body, status=200, **how):
        end = (watched.start + 22 * MINUTE).isoformat()
        given = {"start": watched.start.isoformat(), "end": end} | body
        query = how.pop("query", "")
        answer = await api.client.post(
            f"/api/v1/alert-rules/preview{query}", json=given, headers=headers | how.pop("headers", {})
        )
        assert answer.status_code == status, answer.text
        return answer if how.pop("raw", False) else answer.json()

    return SimpleNamespace(rule=rule, asked=asked, start=watched.start, watched=watched, headers=headers)


async def test_a_saved_rule_and_one_that_is_not(saved):
    """The slots of a saved rule are its own; those of one that is not are whole minutes."""
    new = {"name": "x", "query_config": DEPTH, "condition_config": ABOVE, "severity": "info",
           "policy_config": {"delay_seconds": 0}}  # fmt: skip
    told = await saved.asked({"rule": new})
    at = [(datetime.fromisoformat(each["start"]) - saved.start) // MINUTE for each in told["firings"]]
    assert at == [2, 11, 21]
    assert [each["peak"] for each in told["firings"]] == [30, 13, 50]
    assert [each["is_flap"] for each in told["firings"]] == [False, True, True]
    assert (told["firing_count"], told["flap_count"], told["firings"][2]["end"]) == (3, 2, None)
    assert told["noise_per_day"] == pytest.approx(3 * 1440 / 22, abs=0.01)
    assert told["firing_seconds"] == (3 + 2 + 1) * 60
    assert (told["threshold"], told["interval_seconds"]) == (10, 60)
    of_saved = await saved.asked({"alert_rule_id": str(saved.rule.alert_rule_id)})
    assert of_saved["firing_count"] == 3
    # A saved rule as it would be with another condition.
    changed = await saved.asked(
        {"alert_rule_id": str(saved.rule.alert_rule_id), "changes": {"condition_config": ABOVE | {"value": 40}}}
    )
    assert changed["firing_count"] == 1


async def test_what_silences_would_have_held(saved):
    async with saved.watched.metadata.open(saved.watched.scope, "test.silences") as tx:
        for begin, end, value in ((1, 6, ".*a.*"), (10, 12, ".*"), (18, 30, "other")):
            await tx.execute(
                "INSERT INTO silences (organization_id, workspace_id, tenant_id, silence_id, matchers, starts_at, "
                "ends_at, comment, created_by_email) SELECT app_organization_id(), app_workspace_id(), "
                "app_tenant_id(), gen_random_uuid(), $1, $2, $3, 'x', ''",
                *([{"name": "queue", "operator": "=~", "value": value}],
                  saved.start + begin * MINUTE, saved.start + end * MINUTE),
            )  # fmt: skip
    new = {"name": "x", "query_config": DEPTH, "condition_config": ABOVE, "severity": "info",
           "policy_config": {"delay_seconds": 0}}  # fmt: skip
    held = [each["held_by"] for each in (await saved.asked({"rule": new}))["firings"]]
    assert held[0]["told_at"] is None
    assert datetime.fromisoformat(held[1]["told_at"]) == saved.start + 12 * MINUTE
    assert held[2] is None
    told = await saved.asked({"rule": new})
    assert told["noise_per_day"] == pytest.approx(2 * 1440 / 22, abs=0.01)


async def test_what_maintenance_and_other_alerts_would_have_held(saved, api):
    watched = saved.watched
    cause = await watched.rule({"kind": "promql", "expression": "max by (queue) (cause)"}, ABOVE, name="cause", **NOW)
    await watched.gauge("cause", (10, 50), (12, 50), (14, 1), queue="<a&b>")
    for minute in (10, 11, 12, 13, 14):
        await watched.minute(minute)
    await ship_alerts(watched.metadata, watched.telemetry.records(), untold_s=0)
    rights = ("silence:read", "silence:write", "alert-rule:read", "metric:read", "alert:read")
    headers = await api.headers(watched.scope, *rights)
    for path, body in (
        ("maintenance-windows", {
            "name": "m", "time_zone": "UTC", "recurrence": "FREQ=DAILY",
            "starts_at": f"{saved.start + MINUTE:%Y-%m-%dT%H:%M:%S}",
            "ends_at": f"{saved.start + 4 * MINUTE:%Y-%m-%dT%H:%M:%S}"}),
        ("inhibition-rules", {
            "name": "i", "equal": ["queue"],
            "source_matchers": [{"name": "alertname", "operator": "=", "value": "cause"}],
            "target_matchers": [{"name": "alertname", "operator": "=", "value": "rule"}]}),
    ):  # fmt: skip
        made = await api.client.post(f"/api/v1/{path}", json=body, headers=headers)
        assert made.status_code == 201, made.text
    body = {"alert_rule_id": str(saved.rule.alert_rule_id)}
    held = [each["held_by"] for each in (await saved.asked(body, headers=headers))["firings"]]
    assert held[0]["maintenance_window_id"] is not None
    assert datetime.fromisoformat(held[0]["told_at"]) == saved.start + 4 * MINUTE
    assert held[1]["inhibited_by"] is not None
    assert held[1]["told_at"] is None  # the other fired as long
    assert held[2] is None
    # Whoever may not read alerts is not told which others there were.
    assert [each["held_by"] is None for each in (await saved.asked(body))["firings"]] == [False, True, True]
    of_cause = await saved.asked({"alert_rule_id": str(cause.alert_rule_id)}, headers=headers)
    assert [each["held_by"] for each in of_cause["firings"]] == [None]


@pytest.mark.parametrize("how", [{"query": "?format=svg"}, {"headers": {"accept": "image/svg+xml"}}], ids=str)
async def test_a_picture(saved, how):
    body = {"alert_rule_id": str(saved.rule.alert_rule_id)}
    answer = await saved.asked(body, raw=True, **how)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    drawn = ET.fromstring(answer.content)
    texts = ["".join(each.itertext()) for each in drawn.iter() if each.tag.endswith("title")]
    assert "queue=<a&b>" in texts
    assert sum("peak" in text for text in texts) == 3


REFUSED = {
    "neither": ({}, "One of"),
    "an unknown rule": ({"alert_rule_id": "00000000-0000-7000-8000-000000000001"}, "No such alert rule"),
    "too long": ({"start": "2020-01-01T00:00:00Z"}, "30 days at most"),
    "backwards": ({"start": "2100-01-01T00:00:00Z"}, "`end` must be later"),
    "a rule that cannot be": (
        {"rule": {"name": "x", "query_config": {"kind": "promql", "expression": "("}, "condition_config": ABOVE,
                  "severity": "info"}}, "`query_config`: `expression`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
async def test_refusals(saved, case):
    body, words = case
    if "start" in body:
        body = body | {"alert_rule_id": str(saved.rule.alert_rule_id)}
    answer = await saved.asked(body, status=404 if "unknown" in str(case) or "No such" in words else 400, raw=True)
    assert words in answer.text


async def test_nobody_previews_what_they_may_not_read(saved, api):
    headers = await api.headers(saved.watched.scope, "alert-rule:read")
    for body in ({"alert_rule_id": str(saved.rule.alert_rule_id)},
                 {"rule": {"name": "x", "query_config": {"kind": "log"}, "condition_config": ABOVE,
                           "severity": "info"}}):  # fmt: skip
        answer = await api.client.post("/api/v1/alert-rules/preview", json=body, headers=headers)
        assert (answer.status_code, "permission" in answer.text) == (403, True)


async def test_seven_days_each_minute(watched):
    """The time is that of the evaluations: the store has few points here. Twice what is promised, for slow machines."""
    rule = await watched.rule(DEPTH, ABOVE, for_seconds=120, **NOW)
    await watched.gauge("depth", *((minute, 20 if minute % 97 < 9 else 1) for minute in range(-5000, 240)), queue="a")
    end = watched.start + timedelta(hours=4)
    began = time.perf_counter()
    reader = watched.telemetry.bind(watched.scope)
    told = await preview(reader, Previewed(parsed(rule), {}), end - timedelta(days=7), end, 1000)
    assert time.perf_counter() - began < 6
    assert told.evaluations == 7 * 1440 + 1
    assert told.firing_count > 40
    assert svg("x", told).count("<rect") > 40


async def test_what_evaluations_ask_is_listed_beside_the_event_loop(watched, monkeypatch):
    rule = await watched.rule(LAST, {"kind": "anomaly", "days": 2, "days_min": 2}, **NOW)
    threads = []

    def listed(*args):
        threads.append(get_ident())
        return asks(*args)

    monkeypatch.setattr(module, "asks", listed)
    end = watched.start + timedelta(hours=1)
    told = await preview(watched.telemetry.bind(watched.scope), Previewed(parsed(rule), {}), watched.start, end, 1000)
    assert len(threads) == told.evaluations
    assert get_ident() not in threads


@pytest.mark.parametrize("far", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("field", ["start", "end"])
async def test_the_ends_of_time_are_refused(saved, field, far):
    problem = await saved.asked({"alert_rule_id": str(saved.rule.alert_rule_id), field: far}, status=400)
    assert field in str(problem)
