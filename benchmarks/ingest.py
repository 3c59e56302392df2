"""What an item costs: CPU, memory and disk of the embedded stack under OTLP/gRPC load.

Starts `duoscope up` as a process of its own on free ports and an empty folder, builds all requests first, sends one
signal after the other, and waits after each until background merges are quiet, so that their CPU counts. Prints a table
and one line of JSON. The load generator is this process; only the server's is measured. See `benchmarks/README.md`.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.payloads import serialized
from duoscope.kernel import limits
from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse import SchemaAccount

CALLS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
TABLES = {
    "traces": ("traces_v3", "trace_summaries_v3", "span_figures", "telemetry_catalogue"),
    "logs": ("logs_v3",),
    "metrics": (
        *("number_points", "metrics_v3_hourly", "metric_counter_totals"),
        *("metric_catalogue", "metric_series"),
    ),
}
CHANNELS = 4
READY_WITHIN_S = 60.0
QUIET_CPU_SHARE = 0.03
QUIET_FOR_S = 3.0
QUIET_WITHIN_S = 120.0


@dataclass(frozen=True)
class Result:
    """One signal's figures."""

    signal: str
    items: int
    stored: int
    items_per_s: int
    cpu_us_per_item: float
    cpu_us_per_item_before_merges: float
    peak_memory_mb: int
    disk_bytes_per_item: float
    disk_bytes_per_item_merged: float
    cpu_us_per_item_merging_all: float


@dataclass(frozen=True)
class Disk:
    """What tables take: rows of the first; bytes of all as they were left, and merged to a part a partition."""

    rows: int
    left_bytes: int
    merged_bytes: int
    merged_index_bytes: int
    merging_cpu_s: float


@contextmanager
def server(data_dir: Path) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """A running `duoscope up` with its credentials."""
    command = [sys.executable, "-m", "duoscope", "up", "--data-dir", str(data_dir), "--log-level", "WARNING"]
    command += ["--api-port", "0", "--otlp-grpc-port", "0", "--otlp-http-port", "0"]
    started = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        credentials = data_dir / "credentials.json"
        deadline = time.monotonic() + READY_WITHIN_S
        # An earlier start in the same folder left its own, with other ports.
        while not credentials.exists() or credentials.stat().st_mtime < started:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("duoscope up did not start; run it by hand to see why")
            time.sleep(0.05)
        yield psutil.Process(process.pid), json.loads(credentials.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def cpu_s(process: psutil.Process) -> float:
    """User and system seconds of the server process so far, all its threads."""
    times = process.cpu_times()
    return times.user + times.system


def wait_until_quiet(process: psutil.Process) -> None:
    """Return when the server has been all but idle for a while: nothing is left to insert or to merge."""
    time.sleep(limits.INGEST_SEGMENT_AGE_UNREAD_MAX_S)
    give_up = time.monotonic() + QUIET_WITHIN_S
    quiet_since = time.monotonic()
    used = cpu_s(process)
    while time.monotonic() - quiet_since < QUIET_FOR_S and time.monotonic() < give_up:
        time.sleep(0.5)
        now_used = cpu_s(process)
        if now_used - used > QUIET_CPU_SHARE * 0.5:
            quiet_since = time.monotonic()
        used = now_used


def reset_peak(process: psutil.Process) -> None:
    """Start the kernel's high-water mark of resident memory anew (Linux)."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak_mb(process: psutil.Process) -> int:
    """The high-water mark of resident memory since `reset_peak`, in MB of 10^6 bytes."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 // 1_000_000
    raise RuntimeError("no VmHWM in /proc")


async def send(endpoint: str, api_key: str, call: str, requests: list[bytes], in_flight: int) -> float:
    """Send all, `in_flight` at a time, each acknowledged before its sender takes the next; answers seconds."""
    metadata = (("authorization", f"Bearer {api_key}"),)
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(endpoint.removeprefix("http://"), options=options) for _ in range(CHANNELS)]
    calls = [channel.unary_unary(call) for channel in channels]
    waiting = iter(requests)

    async def sender(number: int) -> None:
        for request in waiting:
            await calls[number % CHANNELS](request, metadata=metadata, timeout=120)

    started = time.monotonic()
    await asyncio.gather(*(sender(number) for number in range(in_flight)))
    elapsed = time.monotonic() - started
    await asyncio.gather(*(channel.close() for channel in channels))
    return elapsed


def disk(data_dir: Path, tables: Sequence[str]) -> Disk:
    """Open what a server left, look, merge all as a day's merges would in the end, and look again."""
    account = SchemaAccount.open(Settings(data_dir=data_dir))

    def look() -> tuple[int, int, int]:
        found = account.query(
            "SELECT table, sum(rows), sum(bytes_on_disk), sum(secondary_indices_compressed_bytes) FROM system.parts "
            "WHERE active AND database = currentDatabase() GROUP BY table"
        )
        by_table = {table: figures for table, *figures in found if table in tables}
        figures = by_table.values()
        return by_table[tables[0]][0], sum(row[1] for row in figures), sum(row[2] for row in figures)

    try:
        _, left, _ = look()
        used = cpu_s(psutil.Process())
        for table in tables:
            account.execute(f"OPTIMIZE TABLE {table} FINAL")
        used = cpu_s(psutil.Process()) - used
        rows, merged, index = look()
    finally:
        account.close()
    return Disk(rows, left, merged, index, used)


def main() -> None:
    """Run the benchmark and print what it saw."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--requests", type=int, default=600, help="requests a signal (default: %(default)s)")
    parser.add_argument("--items", type=int, default=1000, help="items a request (default: %(default)s)")
    parser.add_argument("--in-flight", type=int, default=64, help="requests under way at once (default: %(default)s)")
    parser.add_argument("--signals", nargs="+", default=list(CALLS), choices=list(CALLS), help="which (default: all)")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    measured: dict[str, tuple[int, float, float, float, int]] = {}
    with tempfile.TemporaryDirectory(prefix="duoscope-bench-") as folder:
        data_dir = Path(folder) / "data"
        with server(data_dir) as (process, credentials):
            for name in arguments.signals:
                console.print(f"{name}: building {arguments.requests} requests of {arguments.items} items")
                requests = list(serialized(name, requests=arguments.requests, items=arguments.items))
                wait_until_quiet(process)
                reset_peak(process)
                before = cpu_s(process)
                console.print(f"{name}: sending {sum(map(len, requests)) / 1e6:.0f} MB")
                endpoint, key = credentials["otlp_grpc_endpoint"], credentials["api_key"]
                elapsed = asyncio.run(send(endpoint, key, CALLS[name], requests, arguments.in_flight))
                after_load = cpu_s(process)
                wait_until_quiet(process)
                count = len(requests) * arguments.items
                measured[name] = (count, elapsed, after_load - before, cpu_s(process) - before, peak_mb(process))
        disks = {name: disk(data_dir, TABLES[name]) for name in arguments.signals}
    results = [
        Result(
            signal=name,
            items=count,
            stored=disks[name].rows,
            items_per_s=round(count / elapsed),
            cpu_us_per_item=round(total * 1e6 / count, 2),
            cpu_us_per_item_before_merges=round(loaded * 1e6 / count, 2),
            peak_memory_mb=peak,
            disk_bytes_per_item=round(disks[name].left_bytes / count, 1),
            disk_bytes_per_item_merged=round(disks[name].merged_bytes / count, 1),
            cpu_us_per_item_merging_all=round(disks[name].merging_cpu_s * 1e6 / count, 2),
        )
        for name, (count, elapsed, loaded, total, peak) in measured.items()
    ]
    report(results)


def report(results: list[Result]) -> None:
    """The table for people, the line for programs."""
    table = Table(title=f"duoscope ingest over gRPC, {os.cpu_count()} cores")
    headings = ("signal", "items", "items/s", "CPU us", "after load", "peak MB", "disk B", "merged B", "merging us")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "signal" else "right")
    for row in results:
        merges = row.cpu_us_per_item - row.cpu_us_per_item_before_merges
        table.add_row(
            row.signal,
            f"{row.items:,}",
            f"{row.items_per_s:,}",
            f"{row.cpu_us_per_item:.2f}",
            f"{merges:.2f}",
            f"{row.peak_memory_mb:,}",
            f"{row.disk_bytes_per_item:.1f}",
            f"{row.disk_bytes_per_item_merged:.1f}",
            f"{row.cpu_us_per_item_merging_all:.2f}",
        )
        if row.stored != row.items:
            print(f"{row.signal}: sent {row.items}, stored {row.stored}", file=sys.stderr)
    Console(width=110).print(table)
    print(json.dumps({"cores": os.cpu_count(), "results": [asdict(row) for row in results]}))


if __name__ == "__main__":
    main()
