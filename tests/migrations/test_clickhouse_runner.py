"""The ClickHouse migrator on the real engine: resumable after a kill at any statement, edits refused, undo."""

from pathlib import Path

import pytest

MIGRATIONS = Path(__file__).parents[2] / "migrations"

_FIRST = (
    """-- One table; and a view.
    CREATE TABLE IF NOT EXISTS a (x UInt8, s String DEFAULT 'a;b') ENGINE = MergeTree ORDER BY x;
    CREATE TABLE IF NOT EXISTS entry (x UInt8) ENGINE = Null;
    CREATE MATERIALIZED VIEW IF NOT EXISTS v TO a AS SELECT x FROM entry;
    """,
    "DROP VIEW IF EXISTS v SYNC; DROP TABLE IF EXISTS entry SYNC; DROP TABLE IF EXISTS a SYNC;",
)
_SECOND = (
    "ALTER TABLE a ADD COLUMN IF NOT EXISTS y UInt8;",
    "ALTER TABLE a DROP COLUMN IF EXISTS y;",
)
_TABLES = "SELECT name FROM system.tables WHERE database = 'default' AND name <> 'schema_migrations' ORDER BY name"


@pytest.fixture
def clickhouse(tmp_path, write_migrations, clickhouse_process):
    folder = write_migrations("clickhouse", m0001_first=_FIRST, m0002_second=_SECOND)
    return clickhouse_process(tmp_path / "chdb", folder / "clickhouse")


async def test_up_is_idempotent_and_down_undoes(clickhouse):
    assert await clickhouse("status") == ["pending", "pending"]
    assert (await clickhouse("verify"))["code"] == "schema-too-old"
    assert await clickhouse("up") == ["0001_first.up.sql", "0002_second.up.sql"]
    assert await clickhouse("up") == []
    assert await clickhouse("verify") is None
    assert await clickhouse(_TABLES) == [["a"], ["entry"], ["v"]]
    assert await clickhouse("down1") == ["0002_second.up.sql"]
    assert await clickhouse("status") == ["applied", "pending"]
    assert await clickhouse("down0") == ["0001_first.up.sql"]
    assert await clickhouse(_TABLES) == []
    assert len(await clickhouse("up")) == 2


@pytest.mark.parametrize("die_at", [1, 2, 3, 6, 9])
async def test_a_kill_after_any_statement_is_made_good_by_the_next_run(clickhouse, die_at):
    assert await clickhouse("up", die_at=die_at) is None
    assert (await clickhouse("verify"))["code"] == "schema-too-old"
    assert (await clickhouse("up"))[-1] == "0002_second.up.sql"
    assert await clickhouse("status") == ["applied", "applied"]
    assert await clickhouse(_TABLES) == [["a"], ["entry"], ["v"]]


async def test_a_kill_during_undo_leaves_no_schema_that_passes_for_whole(clickhouse):
    await clickhouse("up")
    await clickhouse("down1")
    assert await clickhouse("down0", die_at=2) is None
    assert await clickhouse("status") == ["being undone", "pending"]
    assert (await clickhouse("verify"))["code"] == "schema-too-old"
    assert await clickhouse("down0") == ["0001_first.up.sql"]
    assert await clickhouse(_TABLES) == []


async def test_an_edited_landed_file_is_named_and_a_failed_one_may_be_corrected(clickhouse, write_migrations):
    write_migrations("clickhouse", m0002_second=("SELECT nonsense(;", "SELECT 1"))
    failed = await clickhouse("up")
    assert failed["code"] == "migration-failed"
    assert "0002_second.up.sql" in failed["message"]
    assert await clickhouse("status") == ["applied", "pending"]
    write_migrations("clickhouse", m0002_second=_SECOND)
    assert await clickhouse("up") == ["0002_second.up.sql"]
    write_migrations("clickhouse", m0001_first=(_FIRST[0] + "-- edited", _FIRST[1]))
    for action in ("up", "verify"):
        refused = await clickhouse(action)
        assert refused["code"] == "migration-edited"
        assert "0001_first.up.sql" in refused["message"]


async def test_a_newer_schema_is_refused(clickhouse):
    await clickhouse("up")
    for half in ("up", "down"):
        (clickhouse.folder / f"0002_second.{half}.sql").unlink()
    assert (await clickhouse("verify"))["code"] == "schema-too-new"
    assert (await clickhouse("up"))["code"] == "schema-too-new"


_SPANS_OF_A_TRACE = """
INSERT INTO traces_v3 (organization_id, workspace_id, tenant_id, retention_days, timestamp, trace_id, span_id,
    parent_span_id, span_name, service_name, duration_nano, status_code)
SELECT toUUID('{tenant}'), toUUID('{tenant}'), toUUID('{tenant}'), 30, now64(9, 'UTC') + number, '{trace:t<16}',
    toFixedString(toString(number + 1), 8), toFixedString(if(number = 1, '', '2'), 8),
    concat('name ', toString(number)), 'service', 5, 'error'
FROM numbers(3)
"""
_SUMMARY = """
SELECT sum(span_count), sum(error_count), groupUniqArrayArray(service_names), argMinMerge(root_service),
    argMinMerge(root_name)
FROM trace_summaries(workspace_id = '{tenant}', tenant_id = '{tenant}') AS s WHERE trace_id = '{trace:t<16}'
"""


async def test_traces_from_before_0007_are_found_after_it_and_undoing_it_keeps_all(tmp_path, clickhouse_process):
    """Spans had a narrow table by trace id: what it has stays readable, what comes now is summed up."""
    clickhouse = clickhouse_process(tmp_path / "chdb", MIGRATIONS / "clickhouse")
    tenant = "018f0000-0000-7000-8000-000000000001"
    await clickhouse("up")
    await clickhouse("down6")
    await clickhouse(_SPANS_OF_A_TRACE.format(tenant=tenant, trace="old"))
    assert (await clickhouse("SELECT count() FROM spans_v3")) == [[3]]
    await clickhouse("up")
    await clickhouse(_SPANS_OF_A_TRACE.format(tenant=tenant, trace="new"))
    for trace in ("old", "new"):
        found = await clickhouse(_SUMMARY.format(tenant=tenant, trace=trace))
        assert found == [[3, 3, ["service"], "service", "name 1"]], trace
    await clickhouse("down6")
    assert (await clickhouse("SELECT count() FROM spans_v3")) == [[6]]
    assert await clickhouse("SELECT count() FROM metrics_v3_daily") == [[0]]
    await clickhouse("down0")
    assert await clickhouse(_TABLES) == []


_POINTS_BEFORE_0017 = """
INSERT INTO {table} (organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name,
    resource, scope_name, attributes_json, series_id, unit, flags, {columns})
SELECT toUUID('{tenant}'), toUUID('{tenant}'), toUUID('{tenant}'), 30,
    toDateTime64(toStartOfDay(now('UTC')), 9, 'UTC') + number * 1800, '{table}', 'shop', 'r', 'scope',
    concat('a', toString(number % 2)), number % 2, 's', number = 3, {values}
FROM numbers(4)
"""
_BY_TYPE = {
    "metrics_v3": ("metric_type, temporality, is_monotonic, value", "'counter', 'delta', 1, 1"),
    "metric_histograms": ("temporality, bucket_bounds", "'cumulative', [number::Float64, 9]"),
    "metric_exponential_histograms": ("temporality", "'delta'"),
    "metric_summaries": ("quantiles", "[0.5, number / 4]"),
}
_SERIES = """
SELECT metric_name, toString(metric_type), toString(temporality), is_monotonic, attributes_json, seen,
    arraySort(own_values), date = today(), toString(service_name), toString(resource), toString(scope_name), unit
FROM metric_series FINAL ORDER BY metric_name, series_id
"""


async def test_series_of_points_from_before_0017_are_listed_after_it(tmp_path, clickhouse_process):
    clickhouse = clickhouse_process(tmp_path / "chdb", MIGRATIONS / "clickhouse")
    tenant = "018f0000-0000-7000-8000-000000000001"
    await clickhouse("up")
    await clickhouse("down16")
    for table, (columns, values) in _BY_TYPE.items():
        await clickhouse(_POINTS_BEFORE_0017.format(table=table, tenant=tenant, columns=columns, values=values))
    assert await clickhouse("up", die_at=5) is None, "killed between an INSERT and its record"
    await clickhouse("up")
    shapes = {
        "metric_exponential_histograms": ["exponential_histogram", "delta", 0],
        "metric_histograms": ["histogram", "cumulative", 0],
        "metric_summaries": ["summary", "unspecified", 0],
        "metrics_v3": ["counter", "delta", 1],
    }
    own = {"metric_histograms": [[0, 2, 9], [1, 9]], "metric_summaries": [[0, 0.5], [0.25, 0.5]]}
    assert await clickhouse(_SERIES) == [
        [table, *shape, f"a{n}", seen, own.get(table, [[], []])[n], 1, "shop", "r", "scope", "s"]
        for table, shape in shapes.items()
        # The first series has points in the half hours 0 and 2; the second in 1, and in 3 it only ended.
        for n, seen in enumerate((0b101, 0b10))
    ]
