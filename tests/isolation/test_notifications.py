"""Alerts of one tenant, and the groups, channels and silences of its neighbour in the same workspace."""

import dataclasses

from duoscope.kernel.ids import new_id
from support.alerts import notified

_PERMISSIONS = ("notification:read", "notification:write", "silence:read", "silence:write", "alert-rule:write")
_SILENCE = {
    "matchers": [{"name": "alertname", "operator": "=~", "value": ".+"}], "comment": "all",
    "ends_at": "2100-01-01T00:00:00Z",
}  # fmt: skip


async def test_alerts_reach_ones_own_channels_whatever_a_neighbour_has(api, new_scope):
    mine = new_scope()
    theirs = dataclasses.replace(mine, tenant_id=new_id())
    own, foreign = [await api.headers(scope, *_PERMISSIONS) for scope in (mine, theirs)]

    async def call(who, method, path, body=None, *, status):
        answer = await api.client.request(method, f"/api/v1/{path}", json=body, headers=who)
        assert answer.status_code == status, answer.text
        return answer.json()

    groups = {}
    for who, name in ((own, "mine"), (foreign, "theirs")):
        groups[name] = (await call(who, "POST", "notification-groups", {"name": "On call"}, status=201))["group_id"]
        channel = {"notification_group_id": groups[name], "name": "hook", "channel_type": "webhook",
                   "config": {"url": f"https://{name}.example.com/"}}  # fmt: skip
        await call(who, "POST", "notification-channels", channel, status=201)
    await call(foreign, "POST", "silences", _SILENCE, status=201)
    assert (await call(own, "GET", "silences", status=200))["items"] == []
    rule_id, notification_id = await notified(api, mine, groups["mine"])
    (owed,) = (await call(own, "GET", "notifications", status=200))["items"]
    assert (owed["notification_id"], owed["state"]) == (str(notification_id), "queued")
    assert (await call(foreign, "GET", "notifications", status=200))["items"] == []
    # A rule of mine with a group of theirs, a channel of mine in a group of theirs: as with ids that never were.
    for group_id in (groups["theirs"], str(new_id())):
        body = {"notification_group_ids": [groups["mine"], group_id]}
        path = f"alert-rules/{rule_id}/notification-groups"
        refused = await call(own, "PATCH", path, body, status=404)
        assert refused["detail"] == "No such notification group."
        assert (await call(own, "GET", path, status=200))["notification_group_ids"] == [groups["mine"]]
        await call(own, "POST", "notification-channels", channel | {"notification_group_id": group_id}, status=404)
    await call(foreign, "POST", f"notifications/{notification_id}/replay", status=404)
