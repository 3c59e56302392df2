"""ClickHouse's cache of conditions, which all tenants of a table share, through views that name the tenant (ADR 33)."""

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.stores.clickhouse import SchemaAccount
from duoscope.stores.clickhouse.questions import asking

_ON = {"use_query_condition_cache": 1}
_CONDITIONS = (
    "position(body, 'beta') > 0",
    "NOT (body LIKE 'beta%')",
    "hasAllTokens(body, 'beta')",
    "severity_number > 10",
    "severity_number > 10 AND body != ''",
    "JSONExtractString(body, 'x') = '' AND cityHash64(body) % 2 = 0 AND severity_number > 10",
)
_SHAPES = (
    "SELECT count() AS n FROM @logs WHERE {condition}",
    "SELECT count() AS n FROM (SELECT * FROM @logs) WHERE {condition}",
    "SELECT count() AS n FROM (SELECT * FROM @logs WHERE {condition} ORDER BY timestamp DESC LIMIT 50)",
)


@pytest.fixture
async def neighbours(telemetry_store, deliver, otlp, new_scope):
    """Readers of two tenants whose records are in one part, and in one granule of it."""
    now, readers = now_unix_nano(), []
    for word, severity in (("alpha", 9), ("beta", 17)):
        scope = new_scope()
        lines = ({"time_unix_nano": now - n, "body": f"{word} {n}", "severity_number": severity} for n in range(500))
        await deliver(scope, otlp.logs("shop", *lines))
        readers.append(telemetry_store.bind(scope))
    account = SchemaAccount.open(telemetry_store._settings)
    account.execute("OPTIMIZE TABLE logs_v3 FINAL")
    account.close()
    return readers


@pytest.mark.parametrize("shape", _SHAPES)
async def test_what_one_tenant_did_not_find_its_neighbour_finds(neighbours, shape):
    for condition in _CONDITIONS:
        sql = shape.format(condition=condition)
        alone = [(await reader.query(sql, name="test"))[0]["n"] for reader in neighbours]
        assert alone[0] != alone[1]
        # In both orders, and again when the cache knows.
        for order in ((0, 1), (1, 0), (0, 1)):
            for place in order:
                (row,) = await neighbours[place].query(sql, name="test", settings=_ON)
                assert row["n"] == alone[place], (condition, place)


async def test_it_saves_nothing_when_the_time_range_moves(neighbours):
    """Why it is off: a range is a part of the condition, and moves with every question about the last hour."""
    _, reader = neighbours
    sql = (
        "SELECT count() AS n FROM @logs WHERE timestamp >= fromUnixTimestamp64Nano({start:Int64}) AND length(body) = 3"
    )
    read = []
    for start in (1, 1, 2, 2):
        with asking() as question:
            await reader.query(sql, {"start": start}, name="test", settings=_ON)
        read.append(question.read_rows)
    assert (read[1], read[3]) == (0, 0)
    assert read[2] == read[0] > 0
