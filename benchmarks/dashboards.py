"""Measures a wide dashboard of others: when its first widget is there, when all are, and again from memory.

python -m benchmarks.dashboards [--hosts 20] [--dashboard ../shared/dashboards/rfmoz__node-exporter-full.json]

An hour of node exporter's series of 20 hosts, a point each 15 seconds, is in an embedded store. The dashboard is looked
at as over the API, without a network. Of each number all looks are told, and their median.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import aclosing
from pathlib import Path
from statistics import median
from typing import Any, cast

import msgspec
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.dashboards import data
from duoscope.dashboards.data import Viewer, WidgetData
from duoscope.dashboards.flights import Answers
from duoscope.dashboards.grafana.dashboards import convert
from duoscope.dashboards.model import Dashboard
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.files import shipped
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.receiver.decoder import Decoder, Kind
from duoscope.stores.clickhouse import SchemaAccount, TelemetryStore
from duoscope.stores.clickhouse.questions import Described
from duoscope.stores.migrations import ClickHouseMigrator
from duoscope.stores.migrations.files import load
from duoscope.telemetry.times import TimeRange

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.asked_series import series
from support.otlp import Otlp

SECOND_NS = 10**9
LOOKS = 5
PROMISED_MS = {"first widget": 100, "all widgets": 2000, "all, warm": 200}


def requests(found: list[Any], host: int, end_ns: int) -> Any:
    """What one host sends in an hour: the series that the dashboard asks for, as that host's."""
    otlp = Otlp()
    by_metric = defaultdict(list)
    for number, (name, labels) in enumerate(found):
        own = dict(labels)
        if host:
            own |= {"instance": f"host-{host}:9100", "nodename": f"host-{host}"}
        attributes = otlp.attributes(own)
        by_metric[name] += [
            NumberDataPoint(
                time_unix_nano=end_ns - scrape * 15 * SECOND_NS,
                as_double=1000.0 - scrape * (1 + number % 3),
                attributes=attributes,
            )
            for scrape in range(241)
        ]
    return otlp.metrics("node", *(Metric(name=name, gauge=Gauge(data_points=p)) for name, p in by_metric.items()))


async def looked(
    viewer: Viewer, shared: Answers, dashboard: Dashboard, times: TimeRange, variables: dict[str, tuple[str, ...]]
) -> tuple[float, float, list[WidgetData]]:
    """One look: milliseconds to the first widget and to all, and what was answered."""
    began = time.perf_counter()
    first = 0.0
    widgets = [widget.key for widget in dashboard.widgets]
    look = await data.look(viewer, dashboard, times, variables=variables, widgets=widgets)
    answered = []
    async with aclosing(data.answers(shared, look)) as found:
        async for each in found:
            msgspec.json.encode(each)
            first = first or time.perf_counter()
            answered.append(each)
    return (first - began) * 1000, (time.perf_counter() - began) * 1000, answered


async def main(document: Any, hosts: int) -> None:
    """Fill a store, look, and print."""
    dashboard = convert(document).dashboard
    found = series(dashboard)
    end_ns = now_unix_nano() // (60 * SECOND_NS) * 60 * SECOND_NS
    scope = Scope(new_id(), new_id(), new_id())
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        account = SchemaAccount.open(settings)
        ClickHouseMigrator(account, load(shipped("migrations") / "clickhouse", "clickhouse")).up()
        account.close()
        store = TelemetryStore(settings)
        points = 0
        for host in range(hosts):
            decoder = Decoder(Kind.METRICS)
            decoder.add(requests(found, host, end_ns).SerializeToString(), scope, 30, now_ns=now_unix_nano())
            decoder.flush_values()
            for block in decoder.blocks():
                await store.ingest().insert(block.table, block.native, form="Native", token=str(new_id()))
            points += 241 * len(found)
        times = TimeRange(end_ns - 3600 * SECOND_NS, end_ns)
        chosen = {each.name: (f"a {each.name}",) for each in dashboard.variables if hasattr(each, "source")}
        told = defaultdict(list)
        for number in range(LOOKS + 1):
            shared = Answers()
            viewer = Viewer(
                scope, store.bind(scope), cast("Any", None), frozenset({"metric:read"}), Described("benchmark")
            )
            first, whole, answered = await looked(viewer, shared, dashboard, times, chosen)
            _, warm, _ = await looked(viewer, shared, dashboard, times, chosen)
            if number:  # the first look warms the engine's own caches, which a running one has
                told["first widget"].append(first)
                told["all widgets"].append(whole)
                told["all, warm"].append(warm)
        queries = [query for each in answered for query in each.queries]
        failed = sum(query.error is not None for query in queries)
        print(f"{len(dashboard.widgets)} widgets, {len(queries)} queries ({failed} failed), {points:,} points stored")
        for name, numbers in told.items():
            shown = ", ".join(f"{number:.0f}" for number in sorted(numbers))
            print(f"  {name:14} {median(numbers):7.0f} ms is the median of {shown}; promised {PROMISED_MS[name]} ms")
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--dashboard", type=Path, default=Path("../shared/dashboards/rfmoz__node-exporter-full.json"))
    arguments = parser.parse_args()
    asyncio.run(main(json.loads(arguments.dashboard.read_text("utf-8")), arguments.hosts))
