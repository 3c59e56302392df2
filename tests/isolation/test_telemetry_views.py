"""The views are the only way to telemetry, and each shows one tenant's rows by reading little else."""

import dataclasses

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.signals import METRICS
from duoscope.stores.clickhouse import VIEWS, WITH_ATTRIBUTES, scoped_sql


@pytest.fixture
async def filled(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    now = now_unix_nano()
    metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="g")
    metric.gauge.data_points.add(time_unix_nano=now, as_int=1)
    await deliver(
        scope,
        otlp.metrics("s", metric),
        otlp.logs("s", {"time_unix_nano": now, "body": "x", "trace_id": b"t" * 16}),
        otlp.spans("s", {"trace_id": b"t" * 16, "span_id": b"s" * 8, "start_time_unix_nano": now}),
        with_values=True,
    )
    return scope


async def test_another_tenant_sees_no_row_of_any_view(telemetry_store, filled):
    others = [
        dataclasses.replace(filled, tenant_id=new_id()),
        dataclasses.replace(filled, workspace_id=new_id()),
    ]
    for view in sorted(VIEWS):
        # Named, or readers take the plain view in its place.
        named = "WHERE attribute_1_text IS NULL" if view in WITH_ATTRIBUTES else ""
        for scope in others:
            (row,) = await telemetry_store.bind(scope).query(f"SELECT count() AS n FROM @{view} {named}", name="test")
            assert row["n"] == 0, view
    for view in (
        "logs_plain",
        "logs_resources",
        "logs_v3_by_trace",
        "traces_plain",
        "traces_resources",
        "trace_summaries",
        "spans_v3",
        "figures",
        "metrics",
        "series",
    ):
        (row,) = await telemetry_store.bind(filled).query(f"SELECT count() AS n FROM @{view}", name="test")
        assert row["n"] == 1, view


@pytest.mark.parametrize(
    "view",
    [
        *(
            "logs",
            "logs_v3_by_trace",
            "traces",
            "trace_summaries",
            "figures",
            "catalogue",
            "metrics",
            "series",
            "field_counts",
            "arrivals",
        ),
        *("spans_v3", "metrics_v3_daily", "counters_hourly", "histograms_hourly", "exponential_histograms_hourly"),
    ],
)
async def test_the_primary_key_finds_the_tenant(telemetry_store, filled, view):
    plan = await telemetry_store.bind(filled).query(f"EXPLAIN indexes = 1 SELECT * FROM @{view}", name="test")
    text = "\n".join(row["explain"] for row in plan)
    for keys in text.split("PrimaryKey")[1:]:
        assert "workspace_id" in keys
        assert "tenant_id" in keys


@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM logs_v3", "SELECT * FROM system.tables", "SELECT * FROM @nothing", "SELECT 1 FROM audit_logs"],
)
def test_tables_cannot_be_named(sql):
    with pytest.raises(ValueError, match=r"is a table|No such view"):
        scoped_sql(sql)


async def test_the_scope_is_not_a_parameter(telemetry_store, filled, new_scope):
    given = {"tenant_id": str(filled.tenant_id), "workspace_id": str(filled.workspace_id)}
    (row,) = await telemetry_store.bind(new_scope()).query("SELECT count() AS n FROM @logs", given, name="test")
    assert row["n"] == 0
