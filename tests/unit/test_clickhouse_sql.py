"""ClickHouse DDL as text: files are cut into statements, statements are printed for a cluster."""

import pytest

from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.migrations import ClickHouseMigrator
from duoscope.stores.migrations.clickhouse_sql import render, split

_PATH = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"


def test_split_respects_strings_comments_and_heredocs():
    sql = """
    -- a comment; with a semicolon
    CREATE TABLE a (s String DEFAULT 'it''s; \\'fine') ENGINE = MergeTree ORDER BY s; /* ; */
    ;
    SELECT `odd;name`, "other;name", $x$ text; $$ $x$;
    SELECT 10 - 2 / 1 -- no end
    """
    first, second, third = split(sql)
    assert first.startswith("-- a comment; with a semicolon")
    assert first.endswith("ORDER BY s")
    assert second.endswith('SELECT `odd;name`, "other;name", $x$ text; $$ $x$')
    assert third == "SELECT 10 - 2 / 1 -- no end"


@pytest.mark.parametrize(
    ("single", "clustered"),
    [
        (
            "CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = MergeTree ORDER BY a",
            f"CREATE TABLE IF NOT EXISTS t ON CLUSTER 'c' (a UInt8) ENGINE = ReplicatedMergeTree({_PATH}) ORDER BY a",
        ),
        (
            "CREATE TABLE db.`t` (a UInt8) ENGINE=MergeTree() ORDER BY a",
            f"CREATE TABLE db.`t` ON CLUSTER 'c' (a UInt8) ENGINE = ReplicatedMergeTree({_PATH}) ORDER BY a",
        ),
        (
            "create table t (v UInt8) engine = ReplacingMergeTree(v) ORDER BY v",
            f"create table t ON CLUSTER 'c' (v UInt8) ENGINE = ReplicatedReplacingMergeTree({_PATH}, v) ORDER BY v",
        ),
        (
            "CREATE TABLE t (v UInt8) ENGINE = SummingMergeTree((a, b)) ORDER BY v",
            f"CREATE TABLE t ON CLUSTER 'c' (v UInt8) ENGINE = ReplicatedSummingMergeTree({_PATH}, (a, b)) ORDER BY v",
        ),
        (
            "CREATE TABLE t (v UInt8) ENGINE = AggregatingMergeTree\nPARTITION BY v",
            f"CREATE TABLE t ON CLUSTER 'c' (v UInt8) ENGINE = ReplicatedAggregatingMergeTree({_PATH})\nPARTITION BY v",
        ),
        (
            "-- why; 'quoted\nCREATE TABLE otlp (a UInt8) ENGINE = Null COMMENT 'ENGINE = MergeTree'",
            "-- why; 'quoted\nCREATE TABLE otlp ON CLUSTER 'c' (a UInt8) ENGINE = Null COMMENT 'ENGINE = MergeTree'",
        ),
        (
            "CREATE MATERIALIZED VIEW IF NOT EXISTS v TO t AS SELECT 1",
            "CREATE MATERIALIZED VIEW IF NOT EXISTS v ON CLUSTER 'c' TO t AS SELECT 1",
        ),
        (
            "CREATE OR REPLACE VIEW v AS SELECT {x:UUID}",
            "CREATE OR REPLACE VIEW v ON CLUSTER 'c' AS SELECT {x:UUID}",
        ),
        ("CREATE FUNCTION f AS (x) -> x + 1", "CREATE FUNCTION f ON CLUSTER 'c' AS (x) -> x + 1"),
        ("CREATE ROLE IF NOT EXISTS reader, writer", "CREATE ROLE IF NOT EXISTS reader, writer ON CLUSTER 'c'"),
        (
            "CREATE ROW POLICY IF NOT EXISTS p ON t USING a = 1 TO r",
            "CREATE ROW POLICY IF NOT EXISTS p ON CLUSTER 'c' ON t USING a = 1 TO r",
        ),
        ("DROP ROW POLICY IF EXISTS p ON t", "DROP ROW POLICY IF EXISTS p ON t ON CLUSTER 'c'"),
        ("GRANT SELECT ON logs TO r", "GRANT ON CLUSTER 'c' SELECT ON logs TO r"),
        ("ALTER TABLE t ADD COLUMN b UInt8", "ALTER TABLE t ON CLUSTER 'c' ADD COLUMN b UInt8"),
        ("DROP TABLE IF EXISTS t SYNC", "DROP TABLE IF EXISTS t ON CLUSTER 'c' SYNC"),
        ("DROP VIEW IF EXISTS v", "DROP VIEW IF EXISTS v ON CLUSTER 'c'"),
        ("INSERT INTO t SELECT 1", "INSERT INTO t SELECT 1"),
    ],
)  # fmt: skip
def test_render(single: str, clustered: str):
    assert render(single, "c") == clustered
    assert render(single, "") == single


def test_a_statement_without_a_cluster_form_is_refused():
    with pytest.raises(DuoscopeError, match="no form for a cluster"):
        render("OPTIMIZE TABLE t FINAL", "c")


def test_the_records_of_migrations_are_replicated_over_all_shards():
    class Recorder:
        statements: tuple[str, ...] = ()

        def execute(self, sql: str) -> None:
            self.statements += (sql,)

        def query(self, _sql: str) -> list[tuple[int]]:
            return [(0,)]

    account = Recorder()
    assert ClickHouseMigrator(account, (), cluster="c").up() == []
    assert "ON CLUSTER 'c'" in account.statements[0]
    assert "ReplicatedMergeTree('/clickhouse/tables/{uuid}/all', '{shard}-{replica}')" in account.statements[0]
