"""What a flood of wrong passwords does to everybody else: latency of the API and of ingest, with it and without.

Starts `duoscope up` as a process of its own on free ports and an empty folder. Requests are sent at fixed times, be
earlier ones answered or not, and latency counts from the time a request was due: a server that stalls shows. Wrong
passwords come from as many clients as there are requests (the benchmark is a trusted proxy), nearly all for an address
of their own: the throttle, which would refuse most of a real flood for nothing, does not help. Prints a table and one
line of JSON. See `benchmarks/README.md`.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.payloads import serialized

READY_WITHIN_S = 60.0
API_P99_MS_MAX = 100.0
"""What the project promises."""
LOGIN_KNOWN_SHARE = 10
"""Every so many wrong passwords are for the account that exists."""


@dataclass(frozen=True)
class Result:
    """One kind of request in one phase. Latencies in milliseconds from when a request was due."""

    phase: str
    kind: str
    sent: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[int, int]
    server_cpu_percent: int


@contextmanager
def server(data_dir: Path) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """A running `duoscope up` that believes this machine's X-Forwarded-For, with its credentials."""
    command = [sys.executable, "-m", "duoscope", "up", "--data-dir", str(data_dir), "--log-level", "ERROR"]
    command += ["--api-port", "0", "--otlp-grpc-port", "0", "--otlp-http-port", "0"]
    environment = {**os.environ, "DUOSCOPE_TRUSTED_PROXIES": "127.0.0.1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        credentials = data_dir / "credentials.json"
        deadline = time.monotonic() + READY_WITHIN_S
        while not credentials.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("duoscope up did not start; run it by hand to see why")
            time.sleep(0.05)
        known = json.loads(credentials.read_text())
        while not ready(known["api_url"]):
            time.sleep(0.05)
        yield psutil.Process(process.pid), known
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def log_in(known: dict[str, str]) -> str:
    """The access token of the first user."""
    login = {"email": known["admin_email"], "password": known["admin_password"]}
    return httpx.post(f"{known['api_url']}/api/v1/auth/login", json=login).raise_for_status().json()["access_token"]


def ready(url: str) -> bool:
    """Whether the API says that it is ready."""
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


async def paced(rate: float, seconds: float, send: Callable[[int], Awaitable[int]]) -> tuple[list[float], Counter[int]]:
    """Send at a fixed rate, never waiting for answers; latencies in seconds and how often each status came."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()

    async def one(number: int, due: float) -> None:
        status = await send(number)
        latencies.append(time.perf_counter() - due)
        statuses[status] += 1

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    return latencies, statuses


class Client:
    """Just enough of HTTP/1.1 to cost the machine that is being measured next to nothing."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _reader, writer in self._free:
            writer.close()

    async def send(self, method: str, path: str, headers: str, body: bytes = b"") -> int:
        """The status of the answer; its body is read and dropped."""
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-length: {len(body)}\r\n{headers}\r\n\r\n"
        while True:
            is_used = bool(self._free)
            reader, writer = self._free.pop() if is_used else await asyncio.open_connection(self._host, self._port)
            writer.write(head.encode() + body)
            try:
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            except (asyncio.IncompleteReadError, ConnectionError):
                if not is_used:
                    raise
                continue  # the server closed it while nothing was asked there
            length = answer.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or b"0"))
            self._free.append((reader, writer))
            return int(answer.split()[1])


def percentile(values: list[float], share: float) -> float:
    """The nearest rank, in milliseconds."""
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, int(len(ranked) * share))] * 1000, 1)


async def measure(
    process: psutil.Process, known: dict[str, str], arguments: argparse.Namespace, phases: list[tuple[str, float]]
) -> list[Result]:
    """All phases: a name, and wrong passwords a second."""
    access_token = await asyncio.to_thread(log_in, known)
    body = next(iter(serialized("logs", requests=1, items=arguments.items)))
    results: list[Result] = []
    clients = (f"10.{a}.{b}.{c}" for a, b, c in itertools.product(range(256), range(256), range(1, 255)))
    async with (
        Client(known["api_url"]) as people,
        Client(known["api_url"]) as guessers,
        Client(known["otlp_http_endpoint"]) as collector,
    ):
        bearer = f"authorization: Bearer {access_token}"
        key = f"x-api-key: {known['api_key']}\r\ncontent-type: application/x-protobuf"

        async def me(_: int) -> int:
            return await people.send("GET", "/api/v1/auth/me", bearer)

        async def ingest(_: int) -> int:
            return await collector.send("POST", "/v1/logs", key, body)

        async def wrong(number: int) -> int:
            is_known = number % LOGIN_KNOWN_SHARE == 0
            email = known["admin_email"] if is_known else f"nobody{number}@example.com"
            guess = json.dumps({"email": email, "password": f"wrong password {number}"}).encode()
            headers = f"content-type: application/json\r\nx-forwarded-for: {next(clients)}"
            return await guessers.send("POST", "/api/v1/auth/login", headers, guess)

        for warm_up in (me, ingest, wrong):
            await paced(10, 2, warm_up)
        for phase, rate in phases:
            kinds = {"API read": (arguments.reads, me), "ingest": (arguments.ingests, ingest)}
            if rate:
                kinds["wrong password"] = (rate, wrong)
            cpu, began = sum(process.cpu_times()[:2]), time.monotonic()
            measured = await asyncio.gather(*(paced(each, arguments.seconds, send) for each, send in kinds.values()))
            used = (sum(process.cpu_times()[:2]) - cpu) / (time.monotonic() - began)
            for kind, (latencies, statuses) in zip(kinds, measured, strict=True):
                figures = percentile(latencies, 0.5), percentile(latencies, 0.99), percentile(latencies, 1.0)
                results.append(
                    Result(phase, kind, len(latencies), *figures, dict(sorted(statuses.items())), round(used * 100))
                )
    return results


def main() -> None:
    """Run the benchmark and print what it saw; 1 if the promise is broken."""
    parser = argparse.ArgumentParser(prog="make bench-login", description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0, help="wrong passwords a second (default: %(default)s)")
    parser.add_argument("--flood", type=float, default=200.0, help="and of a second flood (default: %(default)s)")
    parser.add_argument("--reads", type=float, default=50.0, help="API reads a second (default: %(default)s)")
    parser.add_argument("--ingests", type=float, default=20.0, help="OTLP requests a second (default: %(default)s)")
    parser.add_argument("--items", type=int, default=100, help="log records a request (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase (default: %(default)s)")
    arguments = parser.parse_args()
    phases = [("idle", 0.0), (f"{arguments.rate:g}/s", arguments.rate), (f"{arguments.flood:g}/s", arguments.flood)]
    with (
        tempfile.TemporaryDirectory(prefix="duoscope-bench-") as folder,
        server(Path(folder) / "data") as (process, known),
    ):
        results = asyncio.run(measure(process, known, arguments, phases))
    report(results)
    promised = [row for row in results if row.kind == "API read" and row.phase == phases[1][0]]
    sys.exit(1 if any(row.p99_ms > API_P99_MS_MAX for row in promised) else 0)


def report(results: list[Result]) -> None:
    """The table for people, the line for programs."""
    table = Table(title=f"duoscope under wrong passwords, {os.cpu_count()} cores")
    for heading in ("wrong", "requests", "sent", "p50 ms", "p99 ms", "max ms", "answers", "CPU"):
        table.add_column(heading, justify="left" if heading in ("wrong", "requests", "answers") else "right")
    for row in results:
        answers = ", ".join(f"{count} x {status}" for status, count in row.statuses.items())
        figures = (str(row.sent), f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", f"{row.max_ms:.1f}", answers)
        table.add_row(row.phase, row.kind, *figures, f"{row.server_cpu_percent} %")
    Console().print(table)
    print(json.dumps({"cores": os.cpu_count(), "results": [asdict(row) for row in results]}))


if __name__ == "__main__":
    main()
