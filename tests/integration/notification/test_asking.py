"""Queries in annotations, answered by the tenant's own telemetry when its channels are owed a message."""

import math
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.metadata.alert_transitions import AlertTransition, PlacedTransition
from duoscope.notification import asking as module
from duoscope.notification import templates
from duoscope.notification.asking import TENANT_MINUTE_MAX_S, TENANT_SHARE_S, TENANTS_MAX, Asking
from duoscope.notification.templates import AlertData

S = 10**9
TEXT = '{{ with printf "depth{job=\'%s\'}" $labels.job | query }}{{ . | first | value | printf "%.1f" }}{{ end }} deep'


@pytest.fixture
async def rendered(telemetry_store, new_scope, deliver, otlp):
    mine, theirs = new_scope(), new_scope()
    now_ns = now_unix_nano() // S * S - 60 * S
    for scope, value in ((mine, 7), (theirs, 9)):
        point = NumberDataPoint(time_unix_nano=now_ns, as_double=value, attributes=otlp.attributes({"job": "a"}))
        await deliver(scope, otlp.metrics("shop", Metric(name="depth", gauge=Gauge(data_points=[point]))))
    asking = Asking(telemetry_store)

    async def render(text, scope=mine):
        at = datetime.fromtimestamp(now_ns // S, UTC)
        told = AlertTransition(new_id(), "rule", "critical", new_id(), new_id(), 1, "series", "firing", "breach", at,
                               at, at, 1.0, None, {"job": "a"}, {"summary": text}, {})  # fmt: skip
        placed = PlacedTransition(scope.organization_id, scope.workspace_id, scope.tenant_id, told)
        made, _ = await templates.render_asking(
            told.annotations, AlertData(told.labels, 1.0, {}, ""), lambda expression: asking(placed, expression)
        )
        return made["summary"]

    return asking, render, theirs


async def test_queries_are_answered_from_the_tenants_own_telemetry(rendered):
    _, render, theirs = rendered
    assert await render(TEXT) == "7.0 deep"
    assert await render(TEXT, theirs) == "9.0 deep"
    assert "could not be made" in await render('{{ query "sum(" }}')


async def test_queries_of_a_tenant_have_a_time_of_each_minute_and_leave_the_others_theirs(rendered, monkeypatch):
    asking, render, theirs = rendered
    monkeypatch.setattr(module, "MINUTE_S", math.inf)  # no minute ends meanwhile
    await render(TEXT)
    (mine,) = asking._taken_by
    asking._charge(theirs.tenant_id, TENANT_MINUTE_MAX_S)
    assert "taken too long in this minute" in await render(TEXT, theirs)
    assert await render(TEXT) == "7.0 deep"
    for _ in range(2):
        asking._charge(new_id(), TENANT_MINUTE_MAX_S)
    assert await render(TEXT) == "7.0 deep"  # others have taken the whole minute, but not this tenant's share
    asking._charge(mine, TENANT_SHARE_S)
    assert "taken too long in this minute" in await render(TEXT)


async def test_the_times_of_so_many_tenants_are_kept_and_no_more(rendered):
    asking, *_ = rendered
    tenants = [new_id() for _ in range(TENANTS_MAX + 1)]
    for tenant in tenants:
        asking._charge(tenant, 0.0)
    assert list(asking._taken_by) == tenants[1:]
