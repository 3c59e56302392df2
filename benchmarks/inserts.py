"""What an INSERT costs, however few rows it has: CPU time of the embedded engine, with parts of one file and of many.

Makes the batch that a receiver makes of requests of each signal and inserts it again and again under new tokens, table
by table, as a segment of the request log is inserted. The three forms take turns, so that what else the machine does
hits all alike: parts of one file, synced, as the migrations set them; the same without a sync; and parts of many files
without a sync, as ClickHouse writes them by default. Merges are stopped. Prints a table and one line of JSON. See
`benchmarks/README.md`.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.payloads import serialized
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.files import shipped
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.receiver.decoder import Bounds
from duoscope.receiver.durability.batch import Batch
from duoscope.receiver.durability.records import Record
from duoscope.receiver.gathering import Gathering
from duoscope.receiver.signals import SIGNALS, Signal
from duoscope.stores.clickhouse import SchemaAccount, TelemetryStore
from duoscope.stores.migrations import ClickHouseMigrator
from duoscope.stores.migrations.files import load

_SYNCED: Final = "fsync_after_insert = {0}, fsync_part_directory = {0}"
FORMS: Final = {
    "one file, synced": "min_bytes_for_full_part_storage = 16777216, " + _SYNCED.format(1),
    "one file": "min_bytes_for_full_part_storage = 16777216, " + _SYNCED.format(0),
    "many files": "min_bytes_for_full_part_storage = 0, " + _SYNCED.format(0),
}
"""Settings of every table, by what the table of figures calls them."""


def batch_of(signal: Signal, items: int) -> Batch:
    """The batch of one request of a signal."""
    scope, rows = Scope(new_id(), new_id(), new_id()), Gathering()
    (raw,) = serialized(signal.name, requests=1, items=items)
    rows.add(Record(signal.kind, scope, new_id(), new_id().hex, now_unix_nano(), 30, Bounds(), raw))
    return rows.take(new_id().hex)


async def measure(settings: Settings, items: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """CPU milliseconds of each INSERT, by signal and table, and by form."""
    account = SchemaAccount.open(settings)
    ClickHouseMigrator(account, load(shipped("migrations") / "clickhouse", "clickhouse")).up()
    # Row policies and views have no settings.
    tables = [row[0] for row in account.query("SELECT name FROM system.tables WHERE database = 'duoscope' "
                                              "AND engine LIKE '%MergeTree' AND has_own_data")]  # fmt: skip
    account.execute("SYSTEM STOP MERGES")
    store = TelemetryStore(settings)
    writer = store.ingest()
    found: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds + 1):
        for form, values in FORMS.items():
            for table in tables:
                account.execute(f"ALTER TABLE {table} MODIFY SETTING {values}")
            for signal in SIGNALS:
                batch = replace(batch_of(signal, items), token=new_id().hex)
                for insert in batch.inserts:
                    began = time.process_time()
                    await writer.insert(insert.table, insert.block, form=insert.form, token=batch.token_of(insert))
                    spent_ms = (time.process_time() - began) * 1000
                    if turn:  # the first is for warming up
                        found.setdefault(f"{signal.name}: {insert.table}", {}).setdefault(form, []).append(spent_ms)
    await store.close()
    account.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-inserts", description=(__doc__ or "").partition("See `")[0])
    parser.add_argument("--items", type=int, default=500, help="of each INSERT into a table of items (default: 500)")
    parser.add_argument("--rounds", type=int, default=15, help="of each form (default: 15)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="duoscope-bench-") as folder:
        found = asyncio.run(measure(Settings(data_dir=Path(folder)), asked.items, asked.rounds))
    medians = {
        name: {form: round(statistics.median(times), 1) for form, times in forms.items()}
        for name, forms in found.items()
    }
    table = Table(title=f"CPU ms of one INSERT with its views, {asked.items} items, medians of {asked.rounds}")
    table.add_column("signal: table")
    for form in FORMS:
        table.add_column(form, justify="right")
    for name, forms in medians.items():
        table.add_row(name, *(f"{forms[form]:.1f}" for form in FORMS))
    Console(width=120).print(table)
    print(json.dumps({"items": asked.items, "rounds": asked.rounds, "cpu_ms": medians}))


if __name__ == "__main__":
    main()
