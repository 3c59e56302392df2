"""Groups, channels and notifications over the API: what is stored, shown, refused and audited."""

import asyncpg
import pytest

from duoscope.kernel.ids import new_id
from duoscope.notification.posting import Verdict

_READ = "notification:read"


@pytest.fixture
async def call(api, new_scope):
    headers = await api.headers(new_scope(), _READ, "notification:write", "notification:delete", "audit-log:read")

    async def request(method, path, body=None, *, status=200):
        answer = await api.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    return request


@pytest.fixture
async def group_id(call):
    return (await call("POST", "notification-groups", {"name": "On call"}, status=201))["group_id"]


def _channel(group_id, **changes):
    config = {"url": "https://hooks.slack.com/services/T0/B0/hush-hush"}
    return {"notification_group_id": group_id, "name": "#shop", "channel_type": "slack", "config": config} | changes


async def test_groups_are_kept(call, group_id):
    again = await call("POST", "notification-groups", {"name": "On call"}, status=409)
    assert again["code"] == "notification-group-exists"
    changed = await call("PATCH", f"notification-groups/{group_id}", {"description": "Shop", "is_active": False})
    assert (changed["name"], changed["description"], changed["is_active"]) == ("On call", "Shop", False)
    assert [each["group_id"] for each in (await call("GET", "notification-groups?is_active=false"))["items"]] == [
        group_id
    ]
    channel = await call("POST", "notification-channels", _channel(group_id), status=201)
    await call("DELETE", f"notification-groups/{group_id}", status=204)
    await call("GET", f"notification-channels/{channel['channel_id']}", status=404)
    await call("GET", f"notification-groups/{group_id}", status=404)


async def test_secrets_are_sealed_and_never_answered(call, group_id, database, api):
    made = await call("POST", "notification-channels", _channel(group_id), status=201)
    channel = f"notification-channels/{made['channel_id']}"
    assert (made["config"], made["target"], made["version"]) == ({}, "hooks.slack.com", 1)
    moved = await call("PATCH", channel, {"name": "#other"})
    assert (moved["target"], moved["version"]) == ("hooks.slack.com", 2)
    hook = {"url": "https://example.com/a?token=hush-hush", "headers": {"authorization": "Bearer hush-hush"}}
    other = await call(
        "POST", "notification-channels", _channel(group_id, channel_type="webhook", config=hook), status=201
    )
    path = f"notification-channels/{other['channel_id']}"
    assert (await call("PATCH", path, {"config": {"format": "alertmanager"}}))["config"] == {"format": "alertmanager"}
    await call("PATCH", path, {"config": {"secrets": ["whsec_short"]}}, status=400)
    shown = [
        made,
        moved,
        await call("GET", channel),
        await call("GET", path),
        await call("GET", "notification-channels"),
    ]
    shown.append(await call("GET", "audit-logs"))
    assert "hush" not in str(shown)
    assert "config_encrypted" in str(shown[-1])
    assert "v1." not in str(shown[-1])
    owner = await asyncpg.connect(database.admin_dsn)
    sealed = [
        row["config_encrypted"] for row in await owner.fetch("SELECT config_encrypted FROM notification_channels")
    ]
    await owner.close()
    assert len(sealed) == 2
    assert not any("hush" in each for each in sealed)
    assert (await call("PATCH", path, {"config": {"headers": None}}))["config"] == {"format": "alertmanager"}


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"config": {"url": "http://[bad/"}}, 400, "config of a channel of type slack"),
        ({"config": {"url": "https://example.com", "colour": "red"}}, 400, "colour"),
        ({"channel_type": "pigeon"}, 400, ""),
        ({"channel_type": "email", "config": {"to": []}}, 400, "to"),
        ({"name": ""}, 400, "name"),
        ({"notification_group_id": str(new_id())}, 404, "No such notification group"),
    ],
)
async def test_what_is_wrong_is_refused(call, group_id, changes, status, told):
    assert told in str(await call("POST", "notification-channels", _channel(group_id, **changes), status=status))


async def test_a_test_answers_what_the_other_side_said(call, group_id, tenant, server):
    channel = await tenant.channel("telegram", {"bot_token": "1:a", "chat_id": "7", "api_url": server.url("")})
    server.script("/bot1:a/sendMessage", "403 Forbidden")
    refused = await tenant.management.test(tenant.principal, channel.channel_id)
    assert (refused.status, refused.answer, refused.verdict) == (403, "said\n", Verdict.REFUSED)
    taken = await tenant.management.test(tenant.principal, channel.channel_id)
    assert (taken.status, taken.answer, taken.verdict) == (200, "ok", Verdict.SENT)
    assert "Nothing is wrong" in server.received[-1].body["text"]
    hook = await tenant.channel("webhook", {"url": server.url("/hook")})
    assert (await tenant.management.test(tenant.principal, hook.channel_id)).verdict is Verdict.SENT
    assert server.received[-1].body["data"]["receiver"] == "On call"
    # Over the API of this process, which may not reach its own network, and does not name the secret address.
    inward = _channel(group_id, config={"url": "http://127.0.0.1:1/hush"})
    made = await call("POST", "notification-channels", inward, status=201)
    said = await call("POST", f"notification-channels/{made['channel_id']}/test")
    assert said["verdict"] == "refused"
    assert "public address" in said["answer"]
    assert "DUOSCOPE_OUTBOUND_NETWORKS" in said["answer"]
    mail = _channel(group_id, name="mail", channel_type="email", config={"to": ["a@example.com"]})
    made = await call("POST", "notification-channels", mail, status=201)
    assert (await call("POST", f"notification-channels/{made['channel_id']}/test"))["verdict"] == "sent"


async def test_whoever_only_reads_changes_nothing(api, new_scope):
    headers = await api.headers(new_scope(), _READ)
    for method, path in (
        ("POST", "notification-groups"), ("PATCH", f"notification-groups/{new_id()}"),
        ("DELETE", f"notification-channels/{new_id()}"), ("POST", f"notification-channels/{new_id()}/test"),
        ("POST", f"notifications/{new_id()}/replay"),
    ):  # fmt: skip
        answer = await api.client.request(method, f"/api/v1/{path}", json={"name": "x"}, headers=headers)
        assert answer.status_code == 403, (method, path, answer.text)
