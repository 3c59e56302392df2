"""Which alerts are told together, when, and how often: held in PostgreSQL, so that a restart changes nothing."""

import pytest

from duoscope.kernel.ids import new_id
from duoscope.notification import groups, outbox
from duoscope.notification.sending import Sender


@pytest.fixture
def told(tenant, sender, server):
    """Takes up and sends what is due; answers the statuses of the alerts of each message since the last call."""
    seen = 0

    async def work():
        nonlocal seen
        await tenant.owe()
        while await sender.send_due():
            pass
        new = server.at("/hook")[seen:]
        seen += len(new)
        return [[alert["status"] for alert in each.body["data"]["alerts"]] for each in new]

    return work


@pytest.fixture
def by(tenant):
    async def change(**telling):
        await groups.change(tenant.store, tenant.principal, tenant.group_id, telling)

    return change


@pytest.fixture
def later(owner):
    """Let all clocks of groups go by `seconds`."""

    async def pass_time(seconds):
        await owner.execute(
            "UPDATE aggregation_groups SET next_at = next_at - make_interval(secs => $1), last_at = last_at - "
            "make_interval(secs => $1), repeated_at = repeated_at - make_interval(secs => $1)",
            seconds,
        )

    return pass_time


async def test_a_message_waits_for_others_and_the_next_comes_after_an_interval(tenant, server, told, by, later):
    await by(group_by=["service"], group_wait_seconds=30, group_interval_seconds=300)
    await tenant.channel("webhook", {"url": server.url("/hook")})
    first, second, third = new_id(), new_id(), new_id()
    await tenant.transit("firing", first, labels={"service": "cart"})
    await later(0)
    assert await told() == []
    await later(20)
    await tenant.transit("firing", second, labels={"service": "cart"})
    await tenant.transit("firing", third, labels={"service": "shop"})
    assert await told() == []
    await later(11)
    assert await told() == [["firing", "firing"]]
    assert server.at("/hook")[-1].body["data"]["group_labels"] == {"service": "cart"}
    await later(20)
    assert await told() == [["firing"]]
    await tenant.transit("resolved", first, labels={"service": "cart"})
    await later(200)
    assert await told() == []
    await tenant.transit("firing", new_id(), labels={"service": "cart"})
    await later(101)
    assert await told() == [["firing", "resolved"]]
    incidents = [each.body["data"]["incident"] for each in server.at("/hook")]
    assert incidents[0] == incidents[2] != incidents[1]


async def test_the_end_is_told_in_the_group_of_the_beginning(tenant, server, told, by):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    instance = new_id()
    await tenant.transit("firing", instance)
    assert await told() == [["firing"]]
    await by(group_by=["instance"])
    await tenant.transit("resolved", instance)
    assert await told() == [["resolved"]]
    firing, resolved = server.at("/hook")
    assert firing.body["data"]["incident"] == resolved.body["data"]["incident"]


@pytest.mark.parametrize("count", [500, 1200])
async def test_many_in_one_group_are_one_message_with_the_count_of_the_rest(tenant, sender, server, owner, count):
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.channel("slack", {"url": server.url("/slack")})
    instances = [new_id() for _ in range(count)]
    for status in ("firing", "resolved"):
        await tenant.transit(status, *instances)
        while await tenant.owe():
            pass
        while await sender.send_due():
            pass
    for received, status in zip(server.at("/hook"), ("firing", "resolved"), strict=True):
        data = received.body["data"]
        assert (data["status"], len(data["alerts"]) + data["omitted"]) == (status, count)
    assert len(server.at("/slack")) == 2
    assert f"FIRING:{count}" in str(server.at("/slack")[0].body)
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE state <> 'sent'") == 0


async def test_what_still_fires_is_told_again_until_it_ends(tenant, server, told, by, later):
    await by(repeat_interval_seconds=3600)
    await tenant.channel("webhook", {"url": server.url("/hook")})
    first, second = new_id(), new_id()
    await tenant.transit("firing", first, second)
    assert await told() == [["firing", "firing"]]
    await tenant.transit("resolved", second)
    assert await told() == [["resolved"]]
    await later(3500)
    assert await told() == []
    await later(200)
    assert await told() == [["firing"]]
    assert len({each.headers["webhook-id"] for each in server.at("/hook")}) == 3
    await later(3700)
    await tenant.owe()  # the repetition is owed, and it ends before it is sent
    await tenant.transit("resolved", first)
    assert await told() == [["resolved"]]
    await later(3700)
    assert await told() == []


async def test_beyond_its_messages_an_hour_a_tenant_gets_summaries(  # noqa: PLR0917
    tenant, sender, server, owner, by, now_due
):
    await by(group_by=["..."])
    await owner.execute('UPDATE tenants SET settings = settings || \'{"limits": {"alert_messages_per_hour": 3}}\'')
    await tenant.channel("webhook", {"url": server.url("/hook")})
    instances = [new_id() for _ in range(10)]
    await tenant.transit("firing", *instances)
    await tenant.owe()
    while await sender.send_due():
        pass
    assert [len(each.body["data"]["alerts"]) for each in server.at("/hook")] == [1, 1, 1, 7]
    await tenant.transit("resolved", *instances)
    await tenant.owe()
    assert await sender.send_due() == 1
    assert await sender.send_due() == 0
    assert "summary" in await owner.fetchval("SELECT last_problem FROM notification_channels")
    await owner.execute("UPDATE notification_channels SET summarized_at = now() - interval '16 min'")
    await now_due()
    await sender.send_due()
    assert [len(each.body["data"]["alerts"]) for each in server.at("/hook")][4:] == [10]
    await owner.execute("UPDATE message_budgets SET hour = hour - interval '1 hour'")
    await tenant.transit("firing", instances[0])
    await tenant.owe()
    await now_due()
    await sender.send_due()
    assert len(server.at("/hook")) == 6


async def test_who_is_switched_off_is_not_told_a_week_later(tenant, server, owner, told, by, later):  # noqa: PLR0917
    await by(group_wait_seconds=60)
    channel = await tenant.channel("webhook", {"url": server.url("/hook")})
    instance = new_id()
    await tenant.transit("firing", instance)
    assert await told() == []
    await tenant.management.change(tenant.principal, channel.channel_id, {"is_active": False})
    await tenant.transit("resolved", instance)
    await tenant.owe()
    rows = await owner.fetch("SELECT status, state, last_answer FROM notifications ORDER BY number")
    off = "The channel was switched off."
    assert [tuple(row) for row in rows] == [("firing", "given_up", off), ("resolved", "given_up", off)]
    await tenant.management.change(tenant.principal, channel.channel_id, {"is_active": True})
    assert await told() == []
    given_up = await owner.fetchval("SELECT notification_id FROM notifications WHERE status = 'firing'")
    await outbox.replay(tenant.store, tenant.principal, given_up)
    await later(61)
    assert await told() == [["firing"]]


async def test_that_a_channel_is_gone_is_told_to_the_others_of_its_group(tenant, sender, server, owner):
    await tenant.channel("webhook", {"url": server.url("/gone")})
    server.script("/gone", "410 Gone")
    await tenant.transit("firing", new_id(), new_id())
    await tenant.owe()
    await sender.send_due()
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await owner.execute("UPDATE notification_channels SET is_active = true, version = version + 1")
    server.script("/gone", "410 Gone")
    await tenant.transit("firing", new_id())
    await tenant.owe()
    while await sender.send_due():
        pass
    texts = [each.body["data"]["alerts"][0]["annotations"]["summary"] for each in server.at("/hook")]
    assert any("is told of no more alerts: 410 said" in each for each in texts)
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE settled_at IS NULL") == 0


async def test_a_restart_forgets_no_wait_and_no_interval(tenant, sender, server, told, by, later):  # noqa: PLR0917
    await by(group_wait_seconds=30, group_interval_seconds=300)
    await tenant.channel("webhook", {"url": server.url("/hook")})
    await tenant.transit("firing", new_id())
    assert await told() == []
    again = Sender(sender.store, sender.box, sender.outbound, sender.mailer, sender.external_url)
    await again.send_due()
    assert server.at("/hook") == []
    await later(31)
    await again.send_due()
    await tenant.transit("firing", new_id())
    assert len(await told()) == 1  # what the other process sent; nothing more for an interval
    await later(301)
    assert await told() == [["firing"]]
