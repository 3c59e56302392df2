"""The telemetry store: ClickHouse, embedded or a server, through the same client.

Clients are private to this package. It hands out handles: `TelemetryStore.bind(scope)` reads one tenant's rows through
parameterised views, `TelemetryStore.ingest()` inserts decoded batches, `SchemaAccount` is for the migrator. Calls run
in threads of their own, each with a client: nothing here blocks the event loop.
"""

from duoscope.stores.clickhouse.account import SchemaAccount
from duoscope.stores.clickhouse.errors import TOO_EXPENSIVE, RejectedByStoreError
from duoscope.stores.clickhouse.reach import Indexed, Reached
from duoscope.stores.clickhouse.read_slots import BUSY_CODES
from duoscope.stores.clickhouse.reader import Blocks, TelemetryReader
from duoscope.stores.clickhouse.schema import (
    BESIDE_ITEMS,
    CATALOGUES,
    FORMER,
    INGESTED,
    LEDGER,
    REJECTIONS,
    STORED,
    VIEWS,
    WITH_ATTRIBUTES,
    scoped_sql,
)
from duoscope.stores.clickhouse.store import TelemetryStore
from duoscope.stores.clickhouse.writer import IngestWriter, Stored

__all__ = [
    "BESIDE_ITEMS",
    "BUSY_CODES",
    "CATALOGUES",
    "FORMER",
    "INGESTED",
    "LEDGER",
    "REJECTIONS",
    "STORED",
    "TOO_EXPENSIVE",
    "VIEWS",
    "WITH_ATTRIBUTES",
    "Blocks",
    "Indexed",
    "IngestWriter",
    "Reached",
    "RejectedByStoreError",
    "SchemaAccount",
    "Stored",
    "TelemetryReader",
    "TelemetryStore",
    "scoped_sql",
]
