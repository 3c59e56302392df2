"""What channels are owed, and the sending, on the real PostgreSQL and real web servers."""

import asyncio
import dataclasses
import re
from datetime import timedelta

import pytest

from duoscope.kernel import clock
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import notification_attempts, notifications
from duoscope.metadata.silences import Matcher
from duoscope.net import outbound as outbound_module
from duoscope.notification import groups, outbox, silencing
from duoscope.notification.posting import retry_after
from duoscope.telemetry import alert_history
from duoscope.telemetry.times import TimeRange
from duoscope.worker.alert_shipping import ship_alerts

_SECRET = "whsec_" + "Zm9v" * 8


@pytest.fixture
def work(tenant, sender, server):
    return tenant, sender, server


async def _rows(owner):
    return [
        (row["status"], row["state"], row["attempts"], row["last_status"])
        for row in await owner.fetch("SELECT * FROM notifications ORDER BY created_at, number")
    ]


async def test_a_channel_gets_the_firing_and_then_the_resolved(tenant, sender, server, owner):
    instance = new_id()
    await tenant.channel("webhook", {"url": server.url("/hook"), "secrets": [_SECRET]})
    await tenant.channel("pagerduty", {"routing_key": "R", "api_url": server.url("")})
    await tenant.transit("pending", instance)
    await tenant.transit("firing", instance)
    assert await tenant.owe() == 2
    assert await tenant.owe() == 0
    assert await sender.send_due() == 2
    await tenant.transit("resolved", instance)
    await tenant.owe()
    assert await sender.send_due() == 2
    assert await sender.send_due() == 0
    firing, resolved = server.at("/hook")
    for received, status in ((firing, "firing"), (resolved, "resolved")):
        (alert,) = received.body["data"]["alerts"]
        assert (received.body["type"], alert["status"]) == (f"alert.{status}", status)
        assert alert["annotations"]["summary"] == f"{str(instance)[-4:]} is at 50%"
        assert alert["annotations"]["runbook_url"] == "https://runbooks.example/errors"
        assert alert["labels"] == {"alertname": "HighErrors", "severity": "critical", "instance": str(instance)[-4:]}
        assert received.headers["webhook-signature"].startswith("v1,")
    assert (firing.body["data"]["receiver"], firing.body["data"]["incident"]) == (
        "On call", resolved.body["data"]["incident"],
    )  # fmt: skip
    assert firing.headers["webhook-id"] != resolved.headers["webhook-id"]
    trigger, resolve = server.at("/v2/enqueue")
    assert (trigger.body["event_action"], resolve.body["event_action"]) == ("trigger", "resolve")
    assert trigger.body["dedup_key"] == resolve.body["dedup_key"] == f"{tenant.rule.alert_rule_id}/{instance}"
    assert set(await _rows(owner)) == {("firing", "sent", 1, 200), ("resolved", "sent", 1, 200)}


async def test_both_are_sent_in_order_if_it_resolves_before_the_first_is_taken(tenant, sender, server, now_due):
    instance = new_id()
    await tenant.channel("webhook", {"url": server.url("/hook")})
    server.script("/hook", "503 Busy")
    await tenant.transit("firing", instance)
    await tenant.owe()
    await sender.send_due()
    await tenant.transit("resolved", instance)
    await tenant.owe()
    assert await sender.send_due() == 0  # the channel pauses
    await now_due()
    await sender.send_due()
    first, again, resolved = server.at("/hook")
    assert [each.body["type"] for each in (first, again, resolved)] == [
        "alert.firing",
        "alert.firing",
        "alert.resolved",
    ]
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != resolved.headers["webhook-id"]


async def test_one_evaluation_is_one_message_and_incidents_are_told_apart(tenant, sender, server):
    instances = [new_id() for _ in range(500)]
    await tenant.channel("webhook", {"url": server.url("/hook"), "format": "alertmanager"})
    await tenant.channel("opsgenie", {"api_key": "k", "api_url": server.url("")})
    await tenant.transit("firing", *instances[:5])
    await tenant.owe()
    await sender.send_due()
    assert len(server.at("/hook")) == 1
    assert len({each.body["alias"] for each in server.at("/v2/alerts")}) == len(server.at("/v2/alerts")) == 5
    await tenant.transit("firing", *instances[5:])
    await tenant.transit("resolved", *instances[:3])
    await tenant.owe()
    while await sender.send_due():
        pass
    _, mixed = server.at("/hook")
    assert len(mixed.body["alerts"]) + mixed.body["truncatedAlerts"] == 498
    assert mixed.body["status"] == "firing"
    assert len(server.received) == 2 + 500 + 3


@pytest.mark.parametrize(
    ("answer", "rests_s"), [("429 Slow\r\nretry-after: 1800", 1800), ("500 Oops", 4), ("503 Busy\r\nretry-after: x", 4)]
)
async def test_who_is_in_trouble_is_left_alone_for_a_while(work, owner, now_due, answer, rests_s):
    tenant, sender, server = work
    await tenant.channel("slack", {"url": server.url("/slack")})
    server.script("/slack", answer)
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await sender.send_due()
    row = await owner.fetchrow("SELECT not_before - now() AS rests, last_problem, failures FROM notification_channels")
    assert timedelta(seconds=rests_s - 1) < row["rests"] <= timedelta(seconds=max(1.3 * rests_s, 6))
    assert (row["last_problem"], row["failures"]) == (f"{answer[:3]} said", 1)
    assert await _rows(owner) == [("firing", "failed", 1, int(answer[:3]))]
    assert await sender.send_due() == 0
    await now_due()
    await sender.send_due()
    assert await _rows(owner) == [("firing", "sent", 2, 200)]
    assert await owner.fetchval("SELECT last_problem || failures FROM notification_channels") == "0"


async def test_who_never_answers_delays_nobody_else(tenant, sender, server, owner, monkeypatch):
    monkeypatch.setattr(outbound_module, "TIMEOUT_S", 0.3)
    for path in ("/mute", "/well"):
        await tenant.channel("discord", {"url": server.url(path)})
    server.script("/mute", None)
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await sender.send_due()
    assert len(server.at("/well")) == 1
    assert set(await _rows(owner)) == {("firing", "sent", 1, 200), ("firing", "failed", 1, None)}
    assert await owner.fetchval("SELECT last_answer FROM notifications WHERE state = 'failed'") == (
        "It did not answer within 10 s."
    )


async def test_a_broken_template_goes_out_with_a_text_that_says_so(tenant, sender, server):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    annotations = {"summary": "{{ $value | humanizeNothing }}", "description": "{{ $labels.instance }} is down"}
    await tenant.transit("firing", new_id(), annotations=annotations)
    await tenant.owe()
    await sender.send_due()
    (alert,) = server.at("/hook")[0].body["data"]["alerts"]
    assert alert["annotations"]["summary"].startswith("(this text could not be made: ")
    assert "humanizeNothing" in alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(" is down")


async def test_gone_switches_the_channel_off_and_tells(tenant, sender, server, owner):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    server.script("/hook", "410 Gone")
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await sender.send_due()
    assert await _rows(owner) == [("firing", "given_up", 1, 410)]
    assert tuple(await owner.fetchrow("SELECT is_active, last_problem FROM notification_channels")) == (
        False,
        "410 said",
    )
    assert await owner.fetchval(
        "SELECT count(*) FROM audit_logs WHERE action = 'notification-channel.switched-off'"
    ) == 1  # fmt: skip
    await tenant.transit("firing", new_id())
    await tenant.owe()
    assert await sender.send_due() == 0


async def test_who_was_not_told_of_the_firing_is_not_told_of_its_end_until_a_replay(
    tenant, sender, server, owner, now_due
):
    instance = new_id()
    await tenant.channel("webhook", {"url": server.url("/hook")})
    server.script("/hook", "400 Bad")
    await tenant.transit("firing", instance)
    await tenant.owe()
    await sender.send_due()
    await tenant.transit("resolved", instance)
    await tenant.owe()
    await now_due()
    await sender.send_due()
    assert await _rows(owner) == [("firing", "given_up", 1, 400), ("resolved", "needless", 0, None)]
    given_up = await owner.fetchval("SELECT notification_id FROM notifications WHERE state = 'given_up'")
    key = server.received[0].headers["webhook-id"]
    await outbox.replay(tenant.store, tenant.principal, given_up)
    with pytest.raises(DuoscopeError, match="given up"):
        await outbox.replay(tenant.store, tenant.principal, given_up)
    await now_due()
    await sender.send_due()
    assert [each.body["type"] for each in server.received] == ["alert.firing", "alert.firing", "alert.resolved"]
    assert server.received[1].headers["webhook-id"] == key
    assert {state for _, state, *_ in await _rows(owner)} == {"sent"}


async def test_what_is_too_old_is_given_up(tenant, sender, server, owner):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    server.script("/hook", "500 Oops")
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await owner.execute("UPDATE notifications SET queued_at = now() - interval '25 hours'")
    await sender.send_due()
    assert await _rows(owner) == [("firing", "given_up", 1, 500)]


async def _dies(*_, **__):
    raise ZeroDivisionError


async def test_a_sender_that_dies_after_the_yes_repeats_under_the_same_key(work, now_due, monkeypatch):
    tenant, sender, server = work
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.transit("firing", new_id(), new_id())
    await tenant.owe()
    with monkeypatch.context() as patch:
        patch.setattr(notification_attempts, "settle", _dies)
        with pytest.raises(ZeroDivisionError):
            await sender.send_due()
    await tenant.transit("firing", new_id())  # is no part of the message that is repeated
    await tenant.owe()
    assert await sender.send_due() == 0  # until the lease is over
    await now_due()
    await sender.send_due()
    first, again, other = server.at("/hook")
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != other.headers["webhook-id"]
    assert first.body["data"] == again.body["data"]
    assert len(other.body["data"]["alerts"]) == 1


async def test_several_senders_send_each_once(tenant, sender, server):
    for number in range(8):
        await tenant.channel("webhook", {"url": server.url(f"/{number}")})
    await tenant.transit("firing", new_id())
    await asyncio.gather(*(tenant.owe() for _ in range(3)))
    await asyncio.gather(*(sender.send_due() for _ in range(4)))
    assert sorted(each.path for each in server.received) == [f"/{number}" for number in range(8)]


async def test_the_end_is_told_to_whom_the_beginning_was(tenant, sender, server, metadata_store):
    """Whatever the rule, its groups and its channels are by then."""
    other = await groups.create(metadata_store, tenant.principal, name="Other", description="")
    await tenant.channel("webhook", {"url": server.url("/old")})
    await tenant.channel("webhook", {"url": server.url("/new")}, other.group_id)
    instance = new_id()
    await tenant.transit("firing", instance)
    await tenant.owe()
    rule_id = tenant.rule.alert_rule_id
    await groups.set_of_rule(metadata_store, tenant.principal, rule_id, [other.group_id])
    await groups.change(metadata_store, tenant.principal, tenant.group_id, {"is_active": False})
    await tenant.transit("resolved", instance)
    await tenant.transit("firing", instance)
    await tenant.transit("resolved", instance)
    await tenant.owe()
    await sender.send_due()
    for path in ("/old", "/new"):
        assert [each.body["type"] for each in server.at(path)] == ["alert.firing", "alert.resolved"]


async def test_numbers_decide_and_not_a_clock_that_steps_back(tenant, owner):
    instance = new_id()
    await tenant.channel("webhook", {"url": "http://127.0.0.1:1/"})
    await tenant.transit("firing", instance)
    await tenant.transit("resolved", instance)
    await owner.execute("UPDATE alert_transitions SET recorded_at = recorded_at - number * interval '1 minute'")
    await tenant.owe()
    assert [row[0] for row in await _rows(owner)] == ["firing", "resolved"]


async def test_what_a_rule_tells_of_itself_and_of_a_broken_template(tenant, sender, server):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.transit("no_data", new_id(), subject="data", labels={}, value=None)
    await tenant.transit("error", new_id(), subject="health", labels={}, value=None)
    await tenant.transit("firing", new_id(), annotations={"summary": "{{ $labels.x | humanize }}"}, value=float("nan"))
    await tenant.owe()
    await sender.send_due()
    (message,) = server.at("/hook")
    summaries = {each["annotations"]["summary"] for each in message.body["data"]["alerts"]}
    assert {"There are no data for HighErrors.", "HighErrors cannot be evaluated."} < summaries
    assert any("line 1, column 16: humanize" in summary for summary in summaries)


async def test_the_end_is_told_after_the_tenant_was_deleted(tenant, sender, server, owner, metadata_store):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    instance = new_id()
    await tenant.transit("firing", instance)
    await tenant.owe()
    await sender.send_due()
    await owner.execute("UPDATE tenants SET deleted_at = now()")
    await tenant.transit("resolved", instance, reason="tenant-gone")
    await tenant.owe()
    await sender.send_due()
    assert [each.body["type"] for each in server.at("/hook")] == ["alert.firing", "alert.resolved"]


async def test_an_alert_of_late_data_says_so_and_where_to_look(tenant, sender, server):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.channel("slack", {"url": server.url("/slack")})
    details = {"look": "metrics?promql=up&from=2026"}
    await tenant.transit("firing", new_id(), reason="late-data", details=details)
    await tenant.owe()
    await sender.send_due()
    (alert,) = server.at("/hook")[0].body["data"]["alerts"]
    assert alert["annotations"]["late"].startswith("Its breach began at 2026-03-01 12:00:00 UTC")
    assert alert["url"] == f"https://duoscope.example/t/{tenant.principal.scope.tenant_id}/metrics?promql=up&from=2026"
    assert "Its breach began at" in str(server.at("/slack")[0].body)


async def test_history_says_who_was_told_and_what_was_held_back(  # noqa: PLR0917
    tenant, sender, server, owner, metadata_store, telemetry_store
):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    loud, held = new_id(), new_id()
    silence = await silencing.create(
        metadata_store, tenant.principal, matchers=[Matcher("instance", "=", str(held)[-4:])], starts_at=None,
        ends_at=clock.now() + timedelta(hours=1), comment="x",
    )  # fmt: skip
    now = clock.now()
    await tenant.transit("firing", loud, held, at=now, details={"read_rows": 7, "read_bytes": 70})
    records = telemetry_store.records()
    assert await ship_alerts(metadata_store, records) == 0  # nobody is told yet
    await tenant.owe()
    assert await ship_alerts(metadata_store, records) == 2
    reader = telemetry_store.bind(tenant.principal.scope)
    times = TimeRange(int(now.timestamp() - 60) * 10**9, int(now.timestamp() + 60) * 10**9)
    page = await alert_history.events(reader, times, {}, limit=10, cursor=None)
    found = {(each.instance_id, each.status): each for each in page.items}
    assert set(found) == {(loud, "triggered"), (held, "triggered"), (held, "silenced")}
    (channel,) = found[loud, "triggered"].notified_channels
    assert (channel.channel_type, found[loud, "triggered"].read_rows) == ("webhook", 7)
    assert found[held, "triggered"].notified_channels == []
    of_silence = found[held, "silenced"]
    assert (of_silence.held_by, of_silence.reason) == (str(silence.silence_id), "silence")
    assert [each.channel_id for each in of_silence.held_channels] == [channel.channel_id]


async def test_mail_goes_through_its_own_outbox_once(tenant, sender, owner):
    await tenant.channel("email", {"to": ["a@example.com", "b@example.com"]})
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await sender.send_due()
    await sender.send_due()
    found = await owner.fetch("SELECT recipient, subject FROM mail_outbox ORDER BY recipient")
    assert [row["recipient"] for row in found] == ["a@example.com", "b@example.com"]
    assert re.fullmatch(r"\[FIRING\] HighErrors: \w{4} is at 50%", found[0]["subject"])
    assert await _rows(owner) == [("firing", "sent", 1, None)]


async def test_a_change_of_the_channel_ends_its_pause_and_its_lease(tenant, sender, server, owner):
    channel = await tenant.channel("webhook", {"url": server.url("/wrong")})
    server.script("/wrong", "500 Oops")
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await sender.send_due()
    await tenant.management.change(tenant.principal, channel.channel_id, {"config": {"url": server.url("/right")}})
    await owner.execute("UPDATE notifications SET next_attempt_at = now()")
    await sender.send_due()
    assert len(server.at("/right")) == 1


async def test_without_their_secret_channels_wait_and_say_so(work, owner):
    tenant, sender, server = work

    class Forgetful:
        async def open(self, *_):
            raise DuoscopeError(kind=None, code="secret-unreadable", message="This secret cannot be read.")

    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.transit("firing", new_id())
    await tenant.owe()
    await dataclasses.replace(sender, box=Forgetful()).send_due()
    assert await owner.fetchval("SELECT last_problem FROM notification_channels") == "This secret cannot be read."
    assert [row[1] for row in await _rows(owner)] == ["failed"]


async def test_what_is_settled_is_forgotten_but_for_what_an_end_needs(tenant, sender, server, owner, metadata_store):
    ended, firing = new_id(), new_id()
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.transit("firing", ended, firing)
    await tenant.transit("resolved", ended)
    await tenant.owe()
    await sender.send_due()
    removed = []
    for _ in range(3):
        async with metadata_store.open_platform(PlatformScope(reason="a test"), "test.purge") as tx:
            removed.append(await notifications.purge(tx, older_than_s=-1, rows_max=100))
    assert removed == [1, 1, 0]
    assert await owner.fetchval("SELECT instance_id FROM notifications") == firing


async def test_retry_after_is_read_as_rfc_9110_has_it():
    now = clock.now().replace(microsecond=0)
    date = (now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    cases = {
        "120": 120.0,
        date: 90.0,
        "": None,
        "soon": None,
        "-5": None,
        "9999999": 21600.0,
        "0": 0.0,
        "1e999": 21600.0,
    }
    assert {text: retry_after(text, now) for text in cases} == cases | {"1e999": None}
