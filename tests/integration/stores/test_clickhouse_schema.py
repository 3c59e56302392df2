"""The names in `stores/clickhouse/schema.py` are those of a migrated database: no list of ours can lag behind it."""

import pytest

from duoscope.stores.clickhouse import INGESTED, STORED, VIEWS, SchemaAccount

_NOT_TELEMETRY = {"schema_migrations", "spans_v3_before_0007"}
"""The migrator's own, and what is kept until it expires; neither is read."""


@pytest.fixture
def engines(telemetry_store):
    account = SchemaAccount.open(telemetry_store._settings)
    yield dict(account.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()"))
    account.close()


def test_every_stored_table_is_known_to_be_one(engines):
    assert {name for name, engine in engines.items() if engine.endswith("MergeTree")} - _NOT_TELEMETRY == STORED


def test_every_view_can_be_read_and_nothing_else(engines):
    assert {name for name, engine in engines.items() if engine == "View"} == VIEWS


def test_what_the_receiver_fills_is_stored(engines):
    assert INGESTED < STORED
