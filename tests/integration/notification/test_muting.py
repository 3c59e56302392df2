"""Maintenance windows and inhibition hold back what begins, tell it at their end, and never hold back an end."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from duoscope.kernel import clock
from duoscope.kernel.ids import new_id
from duoscope.metadata.silences import Matcher
from duoscope.notification import inhibition, maintenance

BERLIN = ZoneInfo("Europe/Berlin")
CRITICAL = Matcher("severity", "=", "critical")
WARNING = Matcher("severity", "=~", "warning|info")


@pytest.fixture
async def told(tenant, sender, server):
    """Takes up and sends what there is; answers the instance and status of all that the channel was told until now."""
    await tenant.channel("webhook", {"url": server.url("/hook")})

    async def work():
        await tenant.owe()
        while await sender.send_due():
            pass
        return [
            (alert["labels"]["name"], alert["status"])
            for each in server.at("/hook")
            for alert in each.body["data"]["alerts"]
        ]

    return work


@pytest.fixture
def alert(tenant, owner):
    """Lets an instance of that name fire or be resolved, as its state has it too."""
    ids = {}

    async def transit(name, kind, **labels):
        ids.setdefault(name, (new_id(), labels))
        instance, labels = ids[name]
        values = (tenant.rule.organization_id, tenant.rule.workspace_id, tenant.rule.tenant_id)
        await owner.execute(
            "INSERT INTO alert_instances (organization_id, workspace_id, tenant_id, alert_rule_id, instance_id, "
            "subject, fingerprint, labels, status, number, held, recent, missing, failures) VALUES ($1, $2, $3, $4, "
            "$5, 'series', $6, $7, $8, 1, '0', 0, 0, 0) ON CONFLICT (tenant_id, instance_id) DO UPDATE SET status = $8",
            *(*values, tenant.rule.alert_rule_id, instance, instance.hex, f'{{"name": "{name}"}}'),
            "inactive" if kind == "resolved" else kind,
        )
        for key, value in labels.items():
            await owner.execute(
                "UPDATE alert_instances SET labels = labels || jsonb_build_object($2::text, $3::text) "
                "WHERE instance_id = $1",
                *(instance, key, value),
            )
        await tenant.transit(kind, instance, labels={"name": name, **labels})

    return transit


def _window(**changes):
    now = clock.now().astimezone(BERLIN)
    return {
        "name": "Backups", "starts_at": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}",
        "ends_at": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}", "time_zone": "Europe/Berlin",
        "recurrence": "FREQ=DAILY", "matchers": [Matcher("service", "=", "db")], "comment": "", "is_enabled": True,
    } | changes  # fmt: skip


async def test_maintenance_holds_back_and_tells_at_its_end(tenant, alert, told, owner):
    made = await maintenance.create(tenant.store, tenant.principal, _window())
    await alert("db", "firing", service="db")
    await alert("brief", "firing", service="db")
    await alert("shop", "firing", service="shop")
    assert await told() == [("shop", "firing")]
    await alert("brief", "resolved")
    assert await told() == [("shop", "firing")]
    assert await owner.fetchval(
        "SELECT maintenance_window_id FROM notifications WHERE state = 'muted'"
    ) == made.maintenance_window_id  # fmt: skip
    await owner.execute(
        "UPDATE maintenance_windows SET starts_at = starts_at - interval '3 h', ends_at = ends_at - interval '3 h', "
        "active_until = now() - interval '1 s'"
    )
    assert await told() == [("shop", "firing"), ("db", "firing")]
    following = await owner.fetchval("SELECT active_from FROM maintenance_windows")
    assert timedelta(hours=18) < following - clock.now() < timedelta(hours=22)


@pytest.mark.parametrize("change", [{"is_enabled": False}, {"matchers": [Matcher("service", "=", "x")]}, None])
async def test_what_a_changed_window_no_longer_holds_back_is_told(tenant, alert, told, change):
    made = await maintenance.create(tenant.store, tenant.principal, _window(matchers=[]))
    await alert("db", "firing", service="db")
    assert await told() == []
    place = (tenant.store, tenant.principal, made.maintenance_window_id)
    await (maintenance.delete(*place) if change is None else maintenance.change(*place, change))
    assert await told() == [("db", "firing")]


async def test_who_got_the_firing_gets_the_resolved_in_the_maintenance(tenant, alert, told):
    await alert("db", "firing", service="db")
    assert await told() == [("db", "firing")]
    await maintenance.create(tenant.store, tenant.principal, _window())
    await alert("db", "resolved")
    assert await told() == [("db", "firing"), ("db", "resolved")]


@pytest.fixture
async def inhibits(tenant):
    values = {"name": "Severe first", "source_matchers": [CRITICAL], "target_matchers": [WARNING],
              "equal": ["service"], "is_enabled": True}  # fmt: skip
    return await inhibition.create(tenant.store, tenant.principal, values)


async def test_a_severe_alert_inhibits_lesser_ones_with_equal_labels(alert, told, inhibits, owner):
    await alert("slow", "firing", severity="warning", service="db")
    await alert("down", "firing", severity="critical", service="db")  # in the same turn, whichever comes first
    await alert("other", "firing", severity="warning", service="shop")
    assert sorted(await told()) == [("down", "firing"), ("other", "firing")]
    row = await owner.fetchrow("SELECT inhibition_rule_id, inhibited_by FROM notifications WHERE state = 'muted'")
    assert row["inhibition_rule_id"] == inhibits.inhibition_rule_id
    assert row["inhibited_by"] is not None
    await alert("other", "resolved")
    await alert("down", "resolved")
    assert (await told())[-3:].count(("slow", "firing")) == 1
    await alert("down", "firing")
    await alert("slow", "resolved")
    assert (await told())[-1] == ("slow", "resolved")


async def test_two_sided_alerts_do_not_inhibit_each_other(tenant, alert, told):
    both = Matcher("service", "=", "db")
    values = {"name": "Both", "source_matchers": [both], "target_matchers": [both], "equal": [], "is_enabled": True}
    made = await inhibition.create(tenant.store, tenant.principal, values)
    await alert("a", "firing", service="db")
    await alert("b", "firing", service="db")
    assert len(await told()) == 2
    await inhibition.change(
        tenant.store, tenant.principal, made.inhibition_rule_id, {"source_matchers": [Matcher("name", "=", "a")]}
    )
    await alert("c", "firing", service="db")
    assert len(await told()) == 2
    await inhibition.delete(tenant.store, tenant.principal, made.inhibition_rule_id)
    assert (await told())[-1] == ("c", "firing")


async def test_windows_and_inhibition_over_the_api(api, new_scope):
    headers = await api.headers(new_scope(), "silence:read", "silence:write", "silence:delete", "audit-log:read")

    async def call(method, path, body=None, *, status=200):
        answer = await api.client.request(method, f"/api/v1/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    wish = {"name": "Sundays", "starts_at": "2026-03-01T02:00", "ends_at": "2026-03-01T04:00",
            "time_zone": "Europe/Berlin", "recurrence": "FREQ=WEEKLY;BYDAY=SU"}  # fmt: skip
    made = await call("POST", "maintenance-windows", wish, status=201)
    assert (made["starts_at"], made["matchers"], made["version"]) == ("2026-03-01T02:00:00", [], 1)
    assert made["active_until"] > made["active_from"]
    path = f"maintenance-windows/{made['maintenance_window_id']}"
    assert (await call("PATCH", path, {"comment": "x", "time_zone": "UTC"}))["active_from"][11:19] == "02:00:00"
    for wrong in ({"time_zone": "Mars"}, {"recurrence": "FREQ=HOURLY"}, {"starts_at": "2026-02-30T02:00"},
                  {"matchers": [{"name": "a", "operator": "=~", "value": "("}]}):  # fmt: skip
        await call("PATCH", path, wrong, status=400)
    assert (await call("POST", "maintenance-windows", wish, status=409))["code"] == "maintenance-window-exists"
    assert [each["name"] for each in (await call("GET", "maintenance-windows"))["items"]] == ["Sundays"]
    await call("DELETE", path, status=204)
    await call("GET", path, status=404)
    severe = {"name": "Severe", "source_matchers": [{"name": "severity", "operator": "=", "value": "critical"}],
              "target_matchers": [{"name": "severity", "operator": "=", "value": "info"}], "equal": ["a"]}  # fmt: skip
    made = await call("POST", "inhibition-rules", severe, status=201)
    path = f"inhibition-rules/{made['inhibition_rule_id']}"
    assert (await call("PATCH", path, {"equal": []}))["equal"] == []
    everything = [{"name": "a", "operator": "=~", "value": ".*"}]
    await call("PATCH", path, {"target_matchers": everything}, status=400)
    assert (await call("POST", "inhibition-rules", severe, status=409))["code"] == "inhibition-rule-exists"
    assert len((await call("GET", "inhibition-rules"))["items"]) == 1
    await call("DELETE", path, status=204)
    actions = {each["action"] for each in (await call("GET", "audit-logs"))["items"]}
    assert {"maintenance-window.created", "maintenance-window.changed", "maintenance-window.deleted",
            "inhibition-rule.created", "inhibition-rule.changed", "inhibition-rule.deleted"} <= actions  # fmt: skip
