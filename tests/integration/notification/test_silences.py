"""Silences hold back what begins, tell it at their end if it still holds, and never hold back an end."""

from datetime import timedelta

import pytest

from duoscope.kernel import clock
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.metadata.silences import Matcher
from duoscope.notification import silencing
from duoscope.notification.silencing import is_met

_LABELS = {"alertname": "HighErrors", "service": "checkout"}


@pytest.mark.parametrize(
    ("name", "operator", "value", "met"),
    [
        ("service", "=", "checkout", True), ("service", "=", "check", False), ("service", "!=", "cart", True),
        ("service", "=~", "check.*|cart", True), ("service", "=~", "check", False), ("service", "!~", "c.*", False),
        ("absent", "=", "", True), ("absent", "!=", "", False), ("absent", "=~", "x?", True),
        ("absent", "!~", ".+", True),
    ],
)  # fmt: skip
def test_matchers_are_alertmanagers(name, operator, value, met):
    assert is_met(Matcher(name, operator, value), _LABELS) is met


@pytest.mark.parametrize("matcher", [("a", "=~", "("), ("a", "=", ""), ("a", "=~", ".*"), ("a", "!=", "x")])
def test_a_silence_of_everything_is_refused(matcher):
    with pytest.raises(DuoscopeError, match="matchers"):
        silencing.check([Matcher(*matcher)])


@pytest.fixture
def silence(tenant):
    async def make(value="HighErrors", **when):
        when = {"starts_at": None, "ends_at": clock.now() + timedelta(hours=1)} | when
        return await silencing.create(
            tenant.store, tenant.principal, matchers=[Matcher("alertname", "=", value)], comment="test", **when
        )

    return make


@pytest.fixture
async def told(tenant, sender, server):
    """Takes up and sends what there is; answers all that the channel was told until now."""
    await tenant.channel("webhook", {"url": server.url("/hook")})

    async def work():
        await tenant.owe()
        await sender.send_due()
        return [each.body["type"].removeprefix("alert.") for each in server.at("/hook")]

    return work


async def _states(owner):
    rows = await owner.fetch("SELECT status, state FROM notifications ORDER BY created_at, number")
    return [tuple(row) for row in rows]


async def test_what_still_holds_at_the_end_is_told(tenant, silence, told, owner):
    made = await silence()
    instance = new_id()
    await tenant.transit("firing", instance)
    assert await told() == []
    assert await _states(owner) == [("firing", "muted")]
    other = await silence()
    await silencing.expire(tenant.store, tenant.principal, made.silence_id)
    assert await told() == []  # the other holds it back
    assert await owner.fetchval("SELECT silence_id FROM notifications") == other.silence_id
    await owner.execute("UPDATE silences SET starts_at = now() - interval '2 s', ends_at = now() - interval '1 s'")
    assert await told() == ["firing"]
    await tenant.transit("resolved", instance)
    assert await told() == ["firing", "resolved"]


async def test_what_ends_in_the_silence_is_never_told(tenant, silence, told, owner):
    made = await silence()
    instance = new_id()
    await tenant.transit("firing", instance)
    await told()
    await tenant.transit("resolved", instance)
    await silencing.expire(tenant.store, tenant.principal, made.silence_id)
    assert await told() == []
    assert await _states(owner) == [("firing", "needless")]
    await tenant.transit("firing", instance)
    await tenant.transit("resolved", instance)
    assert await told() == ["firing", "resolved"]


async def test_who_got_the_firing_gets_the_resolved_in_the_silence(tenant, silence, told):
    instance = new_id()
    await tenant.transit("firing", instance)
    assert await told() == ["firing"]
    await silence()
    await tenant.transit("resolved", instance)
    assert await told() == ["firing", "resolved"]


async def test_silences_of_others_and_of_another_time_hold_nothing_back(tenant, silence, told):
    await silence("Other")
    now = clock.now()
    await silence(starts_at=now + timedelta(minutes=5), ends_at=now + timedelta(minutes=9))
    await tenant.transit("firing", new_id())
    assert await told() == ["firing"]


async def test_silences_over_the_api(api, new_scope):
    headers = await api.headers(new_scope(), "silence:read", "silence:write", "silence:delete")

    async def call(method, path, body=None, *, status=200):
        answer = await api.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    wish = {"matchers": [{"name": "service", "operator": "=~", "value": "a|b"}], "comment": "moving",
            "ends_at": "2100-01-01T00:00:00Z"}  # fmt: skip
    made = await call("POST", "silences", wish, status=201)
    assert (made["state"], made["matchers"], made["comment"]) == ("active", wish["matchers"], "moving")
    assert made["created_by_email"].endswith("@example.com")
    path = f"silences/{made['silence_id']}"
    assert (await call("PATCH", path, {"ends_at": "2101-01-01T00:00:00Z"}))["ends_at"].startswith("2101")
    for far in ("9999-12-31T23:59:59-12:00", "9999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        await call("POST", "silences", wish | {"ends_at": far}, status=400)
        await call("POST", "silences", wish | {"starts_at": far}, status=400)
        await call("PATCH", path, {"ends_at": far}, status=400)
    await call("POST", "silences", wish | {"ends_at": "2020-01-01T00:00:00Z"}, status=400)
    await call("POST", "silences", wish | {"matchers": [{"name": "a", "operator": "=~", "value": "("}]}, status=400)
    await call("POST", "silences", wish | {"matchers": []}, status=400)
    later = await call("POST", "silences", wish | {"starts_at": "2099-01-01T00:00:00Z"}, status=201)
    assert later["state"] == "pending"
    await call("DELETE", path, status=204)
    await call("DELETE", f"silences/{later['silence_id']}", status=204)
    assert (await call("PATCH", path, {"comment": "again"}, status=409))["code"] == "silence-expired"
    assert (await call("GET", path))["state"] == "expired"
    assert len((await call("GET", "silences?state=expired"))["items"]) == 2
    assert (await call("GET", "silences?state=active"))["items"] == []
