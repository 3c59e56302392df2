"""The names in `stores/clickhouse/schema.py` are those of a migrated database: no list of ours can lag behind it."""

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Decoder, Kind
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


def test_a_part_is_one_file_on_the_disk(telemetry_store):
    """Of every table: what a segment of the receiver filled must have been synced before the segment may go."""
    account = SchemaAccount.open(telemetry_store._settings)
    defined = dict(account.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"))
    account.close()
    wanted = ("min_bytes_for_full_part_storage", "fsync_after_insert = 1", "fsync_part_directory = 1")
    assert [name for name in STORED if not all(setting in defined[name] for setting in wanted)] == []


def test_many_names_of_attributes_are_cheap_to_merge(telemetry_store):
    account = SchemaAccount.open(telemetry_store._settings)
    defined = dict(account.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"))
    account.close()
    for table in ("traces_v3", "logs_v3"):
        assert "object_shared_data_serialization_version = 'map_with_buckets'" in defined[table]


async def test_parts_of_one_file_are_searched_by_their_indexes(telemetry_store, otlp, new_scope):
    scope, now = new_scope(), now_unix_nano()
    decoder = Decoder(Kind.LOGS)
    record = {"time_unix_nano": now, "trace_id": b"t" * 16}
    for number in range(3):
        request = otlp.logs("s", record | {"body": f"unheard of {number}"})
        decoder.add(request.SerializeToString(), scope, 30, now_ns=now)
        for block in decoder.blocks():
            await telemetry_store.ingest().insert(block.table, block.native, form="Native", token=new_id().hex)
        decoder.clear()
    account = SchemaAccount.open(telemetry_store._settings)
    mine = f"FROM logs_v3 WHERE tenant_id = '{scope.tenant_id}'"

    def found():
        return [
            *account.query(f"SELECT count() {mine} AND hasAllTokens(body, ['unheard', '2'])"),
            *account.query(f"SELECT count() {mine} AND trace_id = toFixedString('{'t' * 16}', 16)"),
        ]

    small = account.query(
        "SELECT DISTINCT part_storage_type FROM system.parts WHERE table = 'logs_v3' "
        "AND database = currentDatabase() AND active AND data_uncompressed_bytes < 1000000"
    )
    assert {*small} <= {("Packed",)}
    assert found() == [(1,), (3,)]
    account.execute("OPTIMIZE TABLE logs_v3 FINAL")
    assert found() == [(1,), (3,)]
    account.close()


def test_the_embedded_engine_has_settings_of_ours(telemetry_store):
    account = SchemaAccount.open(telemetry_store._settings)
    found = dict(account.query("SELECT name, value FROM system.server_settings"))
    account.close()
    assert (found["memory_worker_period_ms"], found["background_streaming_schedule_pool_size"]) == ("1000", "0")
    assert found["max_server_memory_usage_to_ram_ratio"] == "0.9", "all else is as it was"
