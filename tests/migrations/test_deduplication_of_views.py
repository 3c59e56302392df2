"""A batch that is inserted again after a restart fills no rollup twice, not even the batch after the migrations."""

import subprocess
import sys
from collections import Counter

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Decoder, Kind
from duoscope.receiver.signals import METRICS

ENGINE = """
import asyncio, sys
from pathlib import Path
from duoscope.kernel.settings import Settings
from duoscope.kernel.files import shipped
from duoscope.stores.clickhouse import SchemaAccount, TelemetryStore
from duoscope.stores.migrations import ClickHouseMigrator
from duoscope.stores.migrations.files import load

folder = Path(sys.argv[1])
settings = Settings(data_dir=folder / "data")
account = SchemaAccount.open(settings)
ClickHouseMigrator(account, load(shipped("migrations") / "clickhouse", "clickhouse")).up()

async def insert():
    store = TelemetryStore(settings)
    for file in sorted((folder / "blocks").iterdir()):
        await store.ingest().insert(file.name, file.read_bytes(), form="Native", token="a token")
    await store.close()

asyncio.run(insert())
account.close()  # not before: a server goes on after its migrations
"""


def _blocks(otlp):
    """A block for each table that items go into, with a row for each of its views."""
    now = now_unix_nano()
    scope = METRICS.request().resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="g").gauge.data_points.add(time_unix_nano=now, as_double=1)
    for temporality in (1, 2):
        times = {"time_unix_nano": now, "start_time_unix_nano": now - 10**9}
        number = scope.metrics.add(name=f"c{temporality}").sum
        histogram = scope.metrics.add(name=f"h{temporality}").histogram
        exponential = scope.metrics.add(name=f"e{temporality}").exponential_histogram
        for data in (number, histogram, exponential):
            data.aggregation_temporality = temporality
        number.is_monotonic = True
        number.data_points.add(as_double=1, **times)
        histogram.data_points.add(count=1, sum=1, explicit_bounds=[1], bucket_counts=[1, 0], **times)
        exponential.data_points.add(count=1, sum=1, zero_count=1, **times)
    span = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "x", "start_time_unix_nano": now}
    owner = Scope(new_id(), new_id(), new_id())
    for kind, request in ((Kind.TRACES, otlp.spans("s", span)), (Kind.METRICS, otlp.metrics("s", *scope.metrics))):
        decoder = Decoder(kind)
        decoder.add(request.SerializeToString(), owner, 30, now_ns=now)
        yield from decoder.blocks()


def _tokens(folder):
    """How many tokens each table of the engine has noted."""
    logs = folder.glob("data/**/deduplication_logs/*.txt")
    return +Counter({log.parents[1].name: len(log.read_text().splitlines()) for log in logs})


def test_every_view_knows_its_batch_again(tmp_path, otlp):
    (tmp_path / "blocks").mkdir()
    for block in _blocks(otlp):
        (tmp_path / "blocks" / block.table).write_bytes(block.native)
    seen = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", ENGINE, str(tmp_path)], check=True, timeout=120)
        seen.append(_tokens(tmp_path))
    assert len(seen[0]) >= 13, "five tables of items, two catalogues, and what six views fill"
    assert seen[1] == seen[0]
