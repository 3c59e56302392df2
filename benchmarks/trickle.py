"""What a small load costs: ten requests a second of 50 items, and what their sender waits for.

Starts `duoscope up` as a process of its own on free ports and an empty folder, and sends ten requests a second over
OTLP/HTTP: each signal alone, then all three at once, then nothing. A request is sent when it is due, whether or not
earlier ones were answered. Then it asks the product's own search for single items until they are found, under the same
load, and lets six senders of 1,000 log records each wait for their answers. Those of `victoria-traces`, `victoria-logs`
and `victoria-metrics` that are in PATH get the same in the same run. Prints a table and one line of JSON. See
`benchmarks/README.md`.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

from benchmarks import compare, ingest, login
from benchmarks.fairness import quantile
from benchmarks.payloads import BUILDERS, serialized

SIGNALS: Final = tuple(BUILDERS)
ITEMS: Final = 50
PER_S: Final = 10
WARM_UP_S: Final = 2.0
SENDERS: Final = 6
SENDER_ITEMS: Final = 1000
SENDER_REQUESTS: Final = 30
POLL_S: Final = 0.05
SEEN_WITHIN_S: Final = 30.0
ALL: Final = "all three"
IDLE: Final = "idle"


@dataclass(frozen=True)
class Result:
    """One program under one load; what a load does not have is None."""

    program: str
    load: str
    cpu_percent: float
    acknowledged_p50_ms: float | None = None
    acknowledged_p99_ms: float | None = None
    acknowledged_worst_ms: float | None = None
    seen_p50_s: float | None = None
    seen_p99_s: float | None = None
    refused: int = 0
    items_per_s: int | None = None
    sent_kb_per_s: float | None = None
    written_kb_per_s: float | None = None


@dataclass(frozen=True)
class System:
    """What is measured: where it takes each of its signals, and how it is asked whether it has an item."""

    name: str
    urls: Mapping[str, str]
    processes: Mapping[str, psutil.Process]
    headers: Mapping[str, str]
    is_seen: Callable[[httpx.AsyncClient, str, "Probe"], Any]

    def usage(self, signals: Iterable[str]) -> "Usage":
        """What the processes of the signals and all their children have used so far."""
        mains = {self.processes[name].pid: self.processes[name] for name in signals}.values()
        every = [each for main in mains for each in (main, *main.children(recursive=True))]
        cpu_s, written = 0.0, 0
        for process in every:
            try:
                times, disk = process.cpu_times(), process.io_counters()
            except psutil.NoSuchProcess:  # its time is in its parent's
                continue
            cpu_s += times.user + times.system + times.children_user + times.children_system
            written += disk.write_bytes
        return Usage(cpu_s, written, time.perf_counter())


@dataclass(frozen=True)
class Usage:
    """CPU seconds and bytes written to disks, at a time."""

    cpu_s: float
    written: int
    at: float


@dataclass
class Answers:
    """What became of requests."""

    seconds: list[float] = field(default_factory=list[float])
    refused: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Probe:
    """One item with a name and a trace id that no other has."""

    word: str
    trace_id: bytes

    def request(self, signal: str) -> bytes:
        """A request with this item alone."""
        message = BUILDERS[signal](40 if signal == "metrics" else 4, seed=random.randrange(1 << 30))
        match message:
            case ExportTraceServiceRequest():
                del message.resource_spans[1:]
                (span,) = message.resource_spans[0].scope_spans[0].spans
                span.trace_id = self.trace_id
            case ExportLogsServiceRequest():
                del message.resource_logs[1:]
                (record,) = message.resource_logs[0].scope_logs[0].log_records
                record.body.string_value = self.word
            case ExportMetricsServiceRequest():
                del message.resource_metrics[1:]
                metric = message.resource_metrics[0].scope_metrics[0].metrics[0]
                metric.name = self.word
        return message.SerializeToString()


@contextmanager
def duoscope(folder: Path) -> Generator[System]:
    """A running duoscope that its first user has logged in to."""
    with ingest.server(folder) as (process, known):
        api, otlp = known["api_url"], known["otlp_http_endpoint"]
        while not login.ready(api):
            time.sleep(0.05)
        token = login.log_in(known)

        async def is_seen(client: httpx.AsyncClient, signal: str, probe: Probe) -> bool:
            path, body, found = {
                "traces": ("traces/search", {"query": f"trace_id:{probe.trace_id.hex()}"}, "items"),
                "logs": ("logs/search", {"query": probe.word}, "items"),
                "metrics": ("metrics/query", {"metric": probe.word, "aggregation": "last"}, "series"),
            }[signal]
            answer = await client.post(f"{api}/api/v1/{path}", json=body, headers={"authorization": f"Bearer {token}"})
            return answer.is_success and bool(answer.json()[found])

        yield System(
            name="duoscope",
            urls={name: f"{otlp}/v1/{name}" for name in SIGNALS},
            processes=dict.fromkeys(SIGNALS, process),
            headers=compare.OTLP | {"authorization": f"Bearer {known['api_key']}"},
            is_seen=is_seen,
        )


@contextmanager
def peers(folder: Path, paths: Mapping[compare.Program, str]) -> Generator[System]:
    """Those of the three programs that are there, each of which takes one signal; together they are one system."""
    with ExitStack() as stack:
        running = {
            program.signal: (program, *stack.enter_context(compare.running(path, folder / program.name)))
            for program, path in paths.items()
        }

        async def is_seen(client: httpx.AsyncClient, signal: str, probe: Probe) -> bool:
            _, _, address = running[signal]
            if signal == "metrics":
                asked = {"match[]": f'{{__name__="{probe.word}"}}'}
                answer = await client.get(f"{address}/api/v1/export", params=asked)
            else:
                program, _, _ = running[signal]
                asked = {"query": f'trace_id:="{probe.trace_id.hex()}"' if signal == "traces" else probe.word}
                answer = await client.get(address + program.query, params=asked | {"limit": "1"})
            return answer.is_success and bool(answer.text.strip())

        yield System(
            name="Victoria*",
            urls={signal: address + program.ingest for signal, (program, _, address) in running.items()},
            processes={signal: process for signal, (_, process, _) in running.items()},
            headers=compare.OTLP,
            is_seen=is_seen,
        )


async def send(client: httpx.AsyncClient, system: System, signal: str, request: bytes, answers: Answers) -> None:
    """Send a request and note how long its answer took. What is refused is not sent again."""
    started = time.perf_counter()
    answer = await client.post(system.urls[signal], content=request, headers=dict(system.headers))
    if answer.is_success:
        answers.seconds.append(time.perf_counter() - started)
        answers.bytes += len(request)
    elif answer.status_code in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
        answers.refused += 1
    else:
        raise SystemExit(f"{system.urls[signal]} answers {answer.status_code} {answer.text.strip()[:200]}")


async def pace(client: httpx.AsyncClient, system: System, signal: str, requests: Sequence[bytes]) -> Answers:
    """Send the requests when they are due, and return when the last one is due, with the answers until then."""
    answers, began = Answers(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, request in enumerate(requests):
            await asyncio.sleep(max(0.0, began + number / PER_S - time.perf_counter()))
            tasks.create_task(send(client, system, signal, request, answers))
        await asyncio.sleep(max(0.0, began + len(requests) / PER_S - time.perf_counter()))
    return answers


def built(signals: Iterable[str], seconds: float) -> dict[str, list[bytes]]:
    """Requests for so many seconds, of which none was sent before."""
    count = max(1, round(seconds * PER_S))
    return {name: list(serialized(name, requests=count, items=ITEMS, spacing_ns=10**9 // PER_S)) for name in signals}


async def under_load(client: httpx.AsyncClient, system: System, load: str, seconds: float) -> Result:
    """Measure one load: a signal, all of them, or none."""
    signals = tuple(system.urls) if load in {ALL, IDLE} else (load,)
    sending = () if load == IDLE else signals
    warm_up, requests = built(sending, WARM_UP_S), built(sending, seconds)
    await asyncio.gather(*(pace(client, system, name, warm_up[name]) for name in sending))
    before = system.usage(signals)
    answers = await asyncio.gather(*(pace(client, system, name, requests[name]) for name in sending))
    if not sending:
        await asyncio.sleep(seconds)
    after = system.usage(signals)
    elapsed = after.at - before.at
    acknowledged = sorted(second * 1000 for each in answers for second in each.seconds)
    return Result(
        program=system.name,
        load=load,
        cpu_percent=round((after.cpu_s - before.cpu_s) / elapsed * 100, 1),
        acknowledged_p50_ms=round(quantile(acknowledged, 0.5), 1) if acknowledged else None,
        acknowledged_p99_ms=round(quantile(acknowledged, 0.99), 1) if acknowledged else None,
        acknowledged_worst_ms=round(acknowledged[-1], 1) if acknowledged else None,
        refused=sum(each.refused for each in answers),
        sent_kb_per_s=round(sum(each.bytes for each in answers) / elapsed / 1000, 1) if sending else None,
        written_kb_per_s=round((after.written - before.written) / elapsed / 1000, 1),
    )


async def until_seen(client: httpx.AsyncClient, system: System, signal: str) -> float:
    """Send one item, and ask for it from its acknowledgement until it is found. Returns the seconds."""
    answers = Answers()
    probe = Probe(f"trickle_{random.randbytes(8).hex()}", random.randbytes(16))
    while not answers.seconds:
        await send(client, system, signal, probe.request(signal), answers)
    acknowledged = time.perf_counter()
    while not await system.is_seen(client, signal, probe):
        if time.perf_counter() - acknowledged > SEEN_WITHIN_S:
            raise SystemExit(f"{system.name} acknowledged {signal} and does not find them after {SEEN_WITHIN_S:.0f} s")
        await asyncio.sleep(POLL_S)
    return time.perf_counter() - acknowledged


async def freshness(client: httpx.AsyncClient, system: System, seconds: float) -> dict[str, list[float]]:
    """How long single items of each signal are not found, under the load of all signals."""
    requests = built(system.urls, seconds)
    load = asyncio.gather(*(pace(client, system, name, requests[name]) for name in system.urls))
    seen: dict[str, list[float]] = {name: [] for name in system.urls}

    async def ask(name: str) -> None:
        while not seen[name] or not load.done():
            seen[name].append(await until_seen(client, system, name))
            await asyncio.sleep(random.random() * POLL_S)

    await asyncio.gather(load, *(ask(name) for name in system.urls))
    return seen


def records(some: Sequence[bytes]) -> Iterator[bytes]:
    """Requests without end. Some of their bytes differ each time: the same would be a retry."""
    for number in itertools.count():
        mark = ExportLogsServiceRequest()
        mark.resource_logs.add(schema_url=f"trickle:{number}")
        yield some[number % len(some)] + mark.SerializeToString()


async def senders(client: httpx.AsyncClient, system: System, seconds: float) -> Result:
    """What a few senders get through that each wait for an answer."""
    requests = records(list(serialized("logs", requests=SENDER_REQUESTS, items=SENDER_ITEMS)))
    answers = Answers()
    end = time.perf_counter() + seconds

    async def sender() -> None:
        while time.perf_counter() < end:
            await send(client, system, "logs", next(requests), answers)

    before = system.usage(["logs"])
    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    after = system.usage(["logs"])
    elapsed = after.at - before.at
    acknowledged = sorted(second * 1000 for second in answers.seconds)
    return Result(
        program=system.name,
        load=f"{SENDERS} senders",
        cpu_percent=round((after.cpu_s - before.cpu_s) / elapsed * 100, 1),
        acknowledged_p50_ms=round(quantile(acknowledged, 0.5), 1),
        acknowledged_p99_ms=round(quantile(acknowledged, 0.99), 1),
        acknowledged_worst_ms=round(acknowledged[-1], 1),
        refused=answers.refused,
        items_per_s=round(len(answers.seconds) * SENDER_ITEMS / elapsed),
        sent_kb_per_s=round(answers.bytes / elapsed / 1000, 1),
        written_kb_per_s=round((after.written - before.written) / elapsed / 1000, 1),
    )


async def measure(system: System, seconds: float, console: Console) -> list[Result]:
    """All loads of one system, one after the other."""
    loads = [*system.urls, *([ALL] if len(system.urls) == len(SIGNALS) else []), IDLE]
    results: list[Result] = []
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=64)) as client:
        for load in loads:
            for process in set(system.processes.values()):
                await asyncio.to_thread(ingest.wait_until_quiet, process)
            console.print(f"{system.name}: {load}")
            results.append(await under_load(client, system, load, seconds))
        console.print(f"{system.name}: until items are found")
        seen = await freshness(client, system, seconds)
        results = [with_freshness(result, seen) for result in results]
        if "logs" in system.urls:
            console.print(f"{system.name}: {SENDERS} senders")
            results.append(await senders(client, system, seconds / 3))
    return results


def with_freshness(result: Result, seen: Mapping[str, list[float]]) -> Result:
    """The result with the freshness of its signal, or of all."""
    every = [second for name in seen if result.load in {name, ALL} for second in seen[name]]
    if not every:
        return result
    return replace(result, seen_p50_s=round(quantile(every, 0.5), 2), seen_p99_s=round(quantile(every, 0.99), 2))


def main() -> None:
    """Measure what is there, and print it."""
    parser = argparse.ArgumentParser(prog="make bench-trickle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="of each load (default: %(default)s)")
    parser.add_argument(
        "--systems", nargs="+", default=["duoscope", "victoria"], choices=["duoscope", "victoria"], help="which"
    )
    arguments = parser.parse_args()
    console = Console(stderr=True)
    found = {program: shutil.which(program.name) for program in compare.PROGRAMS}
    paths = {program: path for program, path in found.items() if path}
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="duoscope-trickle-") as folder:
        if "duoscope" in arguments.systems:
            with duoscope(Path(folder) / "duoscope") as system:
                results += asyncio.run(measure(system, arguments.seconds, console))
        if "victoria" in arguments.systems:
            for program in compare.PROGRAMS:
                if program not in paths:
                    console.print(f"{program.name}: not in PATH, so not measured")
            if paths:
                with peers(Path(folder), paths) as system:
                    results += asyncio.run(measure(system, arguments.seconds, console))
    report(results, arguments.seconds)


def report(results: list[Result], seconds: float) -> None:
    """The table for people, the line for programs."""
    title = (
        f"{PER_S} requests a second of about {ITEMS} items over OTLP/HTTP, {seconds:g} s each, {os.cpu_count()} cores"
    )
    table = Table(title=title)
    for heading in ("program", "load"):
        table.add_column(heading)
    headings = ("% of a core", "answer p50 ms", "p99", "worst", "found p50 s", "p99", "refused", "items/s", "sent kB/s")
    for heading in (*headings, "written kB/s"):
        table.add_column(heading, justify="right")
    for row in results:
        cells = list(asdict(row).values())
        table.add_row(*("" if cell is None else f"{cell:,}" if not isinstance(cell, str) else cell for cell in cells))
    Console(width=150).print(table)
    print(json.dumps({"cores": os.cpu_count(), "seconds": seconds, "results": [asdict(row) for row in results]}))


if __name__ == "__main__":
    main()
