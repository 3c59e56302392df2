"""What the same payload costs in VictoriaTraces, VictoriaLogs and VictoriaMetrics, and with one thing of it changed.

Each of these programs that is found in PATH is started with its default settings on loopback and an empty folder, gets
the requests of `benchmarks/payloads.py` as OTLP over HTTP, and is measured as `benchmarks/ingest.py` measures duoscope,
which is measured beside them. They are not part of this project, and nothing here fetches them. See
`benchmarks/README.md`.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from rich.console import Console
from rich.table import Table

from benchmarks import ingest
from benchmarks.payloads import serialized
from benchmarks.variants import VARIANTS, serialized_logs

CONNECTIONS: Final = 4
READY_WITHIN_S: Final = 30.0
OTLP: Final = {"content-type": "application/x-protobuf"}
IMPORT_JSON: Final = "/api/v1/import"


@dataclass(frozen=True)
class Program:
    """One of the three: where it takes a signal, and how it is asked for the number of items."""

    name: str
    signal: str
    ingest: str
    query: str
    question: str


PROGRAMS: Final = (
    Program(
        "victoria-traces",
        "traces",
        "/insert/opentelemetry/v1/traces",
        "/select/logsql/query",
        # It stores rows of its own beside the spans, to find traces by; these have no span id.
        "span_id:* | stats count() stored",
    ),
    Program(
        "victoria-logs",
        "logs",
        "/insert/opentelemetry/v1/logs",
        "/select/logsql/query",
        "* | stats count() stored",
    ),
    Program(
        "victoria-metrics",
        "metrics",
        "/opentelemetry/v1/metrics",
        "/api/v1/query",
        'sum(count_over_time({__name__!=""}[1h]))',
    ),
)


@dataclass(frozen=True)
class Result:
    """One program's figures for one payload."""

    program: str
    signal: str
    payload: str
    items: int
    stored: int
    cpu_us_per_item: float
    peak_memory_mb: int
    disk_bytes_per_item: float
    of_it_index: float


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(path: str, data_dir: Path) -> Generator[tuple[psutil.Process, str]]:
    """The program with its default settings, and its address."""
    address = f"127.0.0.1:{free_port()}"
    command = [path, f"-storageDataPath={data_dir}", f"-httpListenAddr={address}", "-loggerLevel=ERROR"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                httpx.get(f"http://{address}/health").raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{path} did not start; run it by hand to see why") from None
                time.sleep(0.05)
        yield psutil.Process(process.pid), f"http://{address}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


async def post(url: str, requests: list[bytes]) -> None:
    """Send all over a few connections, each answered before its sender takes the next."""
    waiting = iter(requests)

    async def sender(client: httpx.AsyncClient) -> None:
        for request in waiting:
            (await client.post(url, content=request, headers=OTLP)).raise_for_status()

    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=CONNECTIONS)) as client:
        await asyncio.gather(*(sender(client) for _ in range(CONNECTIONS)))


def as_json_lines(request: bytes) -> bytes:
    """The points of a request as /api/v1/import takes them: attributes of resource and point become labels."""

    def labels(attributes: Any) -> dict[str, str]:
        return {item.key: plain(item) for item in attributes}

    def plain(item: KeyValue) -> str:
        return str(getattr(item.value, item.value.WhichOneof("value") or "string_value"))

    lines: list[str] = []
    for resource in ExportMetricsServiceRequest.FromString(request).resource_metrics:
        of_resource = labels(resource.resource.attributes)
        for metric in resource.scope_metrics[0].metrics:
            for point in metric.gauge.data_points or metric.sum.data_points:
                series = {"__name__": metric.name, **of_resource, **labels(point.attributes)}
                line = {
                    "metric": series,
                    "values": [point.as_double],
                    "timestamps": [point.time_unix_nano // 1_000_000],
                }
                lines.append(json.dumps(line))
    return "\n".join(lines).encode()


def stored(program: Program, address: str) -> int:
    """How many items a query finds."""
    answer = httpx.get(address + program.query, params={"query": program.question, "nocache": "1"}, timeout=120)
    body = answer.raise_for_status().json()
    if program.signal == "metrics":
        return int(body["data"]["result"][0]["value"][1])
    return int(body["stored"])


def disk(data_dir: Path) -> tuple[int, int]:
    """Bytes of all files, and of those that are index; what is only a cache does not count."""
    sizes = {path: path.stat().st_size for path in data_dir.rglob("*") if path.is_file()}
    kept = {path.relative_to(data_dir).parts: size for path, size in sizes.items()}
    data = sum(size for parts, size in kept.items() if parts[0] != "cache")
    return data, sum(size for parts, size in kept.items() if "indexdb" in parts)


def measure(program: Program, path: str, payload: str, requests: list[bytes], items: int) -> Result:
    """Start the program, send, wait, merge, ask, and stop it."""
    with tempfile.TemporaryDirectory(prefix="duoscope-compare-") as folder:
        data_dir = Path(folder) / "data"
        with running(path, data_dir) as (process, address):
            ingest.wait_until_quiet(process)
            ingest.reset_peak(process)
            before = ingest.cpu_s(process)
            try:
                asyncio.run(post(address + program.ingest, requests))
            except httpx.HTTPStatusError as error:
                answer = f"{error.response.status_code} {error.response.text.strip()[:200]}"
                raise SystemExit(f"{path} does not take {program.ingest}: {answer}") from None
            ingest.wait_until_quiet(process)
            used, peak = ingest.cpu_s(process) - before, ingest.peak_mb(process)
            for step in ("force_flush", "force_merge"):
                httpx.get(f"{address}/internal/{step}", timeout=120).raise_for_status()
                # The merge goes on after its answer.
                ingest.wait_until_quiet(process)
            found = stored(program, address)
            data, index = disk(data_dir)
    count = len(requests) * items
    return Result(
        program=program.name,
        signal=program.signal,
        payload=payload + (" (JSON, not OTLP)" if program.ingest == IMPORT_JSON else ""),
        items=count,
        stored=found,
        cpu_us_per_item=round(used * 1e6 / count, 2),
        peak_memory_mb=peak,
        disk_bytes_per_item=round(data / count, 1),
        of_it_index=round(index / count, 1),
    )


def measure_duoscope(name: str, payload: str, requests: list[bytes], items: int) -> Result:
    """The same for duoscope, merged as far as the others are."""
    with tempfile.TemporaryDirectory(prefix="duoscope-compare-") as folder:
        data_dir = Path(folder) / "data"
        with ingest.server(data_dir) as (process, credentials):
            ingest.wait_until_quiet(process)
            ingest.reset_peak(process)
            before = ingest.cpu_s(process)
            endpoint, key = credentials["otlp_grpc_endpoint"], credentials["api_key"]
            asyncio.run(ingest.send(endpoint, key, ingest.CALLS[name], requests, in_flight=64))
            ingest.wait_until_quiet(process)
            used, peak = ingest.cpu_s(process) - before, ingest.peak_mb(process)
        disk = ingest.disk(data_dir, ingest.TABLES[name])
    count = len(requests) * items
    return Result(
        program="duoscope",
        signal=name,
        payload=payload,
        items=count,
        stored=disk.rows,
        cpu_us_per_item=round(used * 1e6 / count, 2),
        peak_memory_mb=peak,
        disk_bytes_per_item=round(disk.merged_bytes / count, 1),
        of_it_index=round(disk.merged_index_bytes / count, 1),
    )


def main() -> None:
    """Measure what is there, and print it."""
    names = ["duoscope", *(program.name for program in PROGRAMS)]
    parser = argparse.ArgumentParser(prog="make bench-compare", description=__doc__)
    parser.add_argument("--requests", type=int, default=600, help="requests a payload (default: %(default)s)")
    parser.add_argument("--items", type=int, default=1000, help="items a request (default: %(default)s)")
    parser.add_argument("--programs", nargs="+", default=names, choices=names, help="which (default: all in PATH)")
    parser.add_argument("--signals", nargs="+", default=list(ingest.CALLS), choices=list(ingest.CALLS))
    parser.add_argument("--payloads", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), help="of log records")
    parser.add_argument(
        "--import-json", action="store_true", help="send points as JSON lines to a victoria-metrics without OTLP"
    )
    arguments = parser.parse_args()
    console = Console(stderr=True)
    paths = {program: shutil.which(program.name) for program in PROGRAMS if program.name in arguments.programs}
    for program, path in paths.items():
        if path is None:
            console.print(f"{program.name}: not in PATH, so not measured")
    results: list[Result] = []
    for name in arguments.signals:
        for payload in arguments.payloads if name == "logs" else ["as it is"]:
            console.print(f"{name}, {payload}: {arguments.requests} requests of {arguments.items} items")
            count, items = arguments.requests, arguments.items
            if name == "logs":
                requests = list(serialized_logs(payload, requests=count, items=items))
            else:
                requests = list(serialized(name, requests=count, items=items))
            if "duoscope" in arguments.programs:
                results.append(measure_duoscope(name, payload, requests, items))
            for program, path in paths.items():
                if path is not None and program.signal == name:
                    if name == "metrics" and arguments.import_json:
                        importing = replace(program, ingest=IMPORT_JSON)
                        lines = [as_json_lines(request) for request in requests]
                        results.append(measure(importing, path, payload, lines, items))
                    else:
                        results.append(measure(program, path, payload, requests, items))
    report(results)


def report(results: list[Result]) -> None:
    """The table for people, the line for programs."""
    table = Table(title=f"the same payload, {os.cpu_count()} cores")
    for heading in ("program", "payload", "items", "CPU us/item", "peak memory MB", "disk B/item", "of it index"):
        table.add_column(heading, justify="left" if heading in {"program", "payload"} else "right")
    for row in results:
        table.add_row(
            row.program,
            f"{row.signal}: {row.payload}",
            f"{row.items:,}",
            f"{row.cpu_us_per_item:.2f}",
            f"{row.peak_memory_mb:,}",
            f"{row.disk_bytes_per_item:.1f}",
            f"{row.of_it_index:.1f}",
        )
        if row.stored != row.items:
            print(f"{row.program}: sent {row.items}, stored {row.stored}", file=sys.stderr)
    Console(width=140).print(table)
    print(json.dumps({"cores": os.cpu_count(), "results": [asdict(row) for row in results]}))


if __name__ == "__main__":
    main()
