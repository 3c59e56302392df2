"""Whether a tenant that asks without an end is felt by another: its answers and its acknowledgements, alone and beside.

Starts `duoscope up` on free ports and an empty folder, makes two tenants and sends log records of both. The quiet one
asks a few questions at a steady pace, or sends small requests; the greedy one asks nothing, then as many heavy
questions at once as it finds clients for, each again when it is answered. In rounds that take turns, so that a slow
minute of the machine hits all alike. Prints a table and a line of JSON. See `benchmarks/README.md`.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.fairness import Sender, admin, quantile, tenant_with_key
from benchmarks.ingest import CALLS, server, wait_until_quiet
from benchmarks.login import ready
from benchmarks.payloads import serialized

ITEMS: Final = 1000
SMALL_ITEMS: Final = 100
SETTLE_S: Final = 3.0
ANSWERS_GROWTH_MAX: Final = 1.2
ACKNOWLEDGEMENTS_GROWTH_MAX: Final = 1.1
QUIET: Final[list[dict[str, Any]]] = [
    {"query": "", "limit": 100},
    {"query": "service:cart-service", "limit": 50},
    {"query": "severity>=error", "limit": 50},
]
GREEDY: Final[list[dict[str, Any]]] = [
    {"query": "body:/time[a-z]+ never said/", "limit": 100},
    {"query": "*upstr*zzz*", "limit": 100},
]


@dataclass
class Seen:
    """Seconds of the quiet tenant in one situation, over all rounds; and how many of the greedy one's were answered."""

    answers: list[float] = field(default_factory=list)
    acknowledgements: list[float] = field(default_factory=list)
    answers_by_round: list[float] = field(default_factory=list)
    acknowledgements_by_round: list[float] = field(default_factory=list)
    greedy_answered: int = 0
    greedy_refused: int = 0


async def ask(client: httpx.AsyncClient, body: dict[str, Any]) -> float | None:
    """Seconds to an answer; None where it was refused for now."""
    started = time.perf_counter()
    answer = await client.post("/api/v1/logs/search", json=body)
    if answer.status_code in (429, 503):
        return None
    answer.raise_for_status()
    return time.perf_counter() - started


@asynccontextmanager
async def greed(client: httpx.AsyncClient, at_once: int, seen: Seen) -> AsyncGenerator[None]:
    """Ask heavy questions, so many at once, within the context."""
    is_over = asyncio.Event()

    async def one(number: int) -> None:
        for body in itertools.islice(itertools.cycle(GREEDY), number, None):
            if is_over.is_set():
                return
            if await ask(client, body) is None:
                seen.greedy_refused += 1
                await asyncio.sleep(0.2)
            else:
                seen.greedy_answered += 1

    tasks = [asyncio.create_task(one(number)) for number in range(at_once)]
    try:
        yield
    finally:
        is_over.set()
        await asyncio.gather(*tasks)


async def asked(client: httpx.AsyncClient, per_s: float, seconds: float) -> list[float]:
    """Ask light questions at a pace, one at a time."""
    took: list[float] = []
    began = time.perf_counter()
    for number in range(round(per_s * seconds)):
        await asyncio.sleep(max(0.0, began + number / per_s - time.perf_counter()))
        answer = await ask(client, QUIET[number % len(QUIET)])
        if answer is None:
            raise SystemExit("a question of the quiet tenant was refused")
        took.append(answer)
    return took


async def measure(arguments: argparse.Namespace, credentials: dict[str, str], keys: dict[str, str]) -> dict[str, Seen]:
    """All rounds."""
    url = credentials["api_url"]
    clients = {
        name: httpx.AsyncClient(base_url=url, headers={"x-api-key": keys[f"{name}-reads"]}, timeout=120)
        for name in ("quiet", "greedy")
    }
    sender = Sender(credentials["otlp_grpc_endpoint"], keys["quiet"], CALLS["logs"])
    per_round = round(arguments.pace * (arguments.seconds + SETTLE_S)) * 2
    small = iter(list(serialized("logs", requests=per_round * arguments.rounds + 200, items=SMALL_ITEMS)))
    seen = {"alone": Seen(), "beside a greedy one": Seen()}
    try:
        await asked(clients["quiet"], arguments.questions, SETTLE_S)
        for _, (name, found) in itertools.product(range(arguments.rounds), seen.items()):
            async with greed(clients["greedy"], arguments.at_once if name != "alone" else 0, found):
                await asyncio.sleep(SETTLE_S)
                answers = await asked(clients["quiet"], arguments.questions, arguments.seconds)
                sent = await sender.pace(small, arguments.pace, arguments.seconds)
            acknowledged = [each for each in sent if each is not None]
            found.answers += answers
            found.acknowledgements += acknowledged
            found.answers_by_round.append(statistics.median(answers))
            found.acknowledgements_by_round.append(statistics.median(acknowledged))
    finally:
        await sender.close()
        for client in clients.values():
            await client.aclose()
    return seen


async def fill(credentials: dict[str, str], keys: dict[str, str], arguments: argparse.Namespace) -> None:
    """Send what is asked about."""
    for name, requests in (("greedy", arguments.greedy_requests), ("quiet", arguments.quiet_requests)):
        sender = Sender(credentials["otlp_grpc_endpoint"], keys[name], CALLS["logs"])
        for request in serialized("logs", requests=requests, items=ITEMS):
            if await sender.send(request) is None:
                raise SystemExit("a request was refused: there is a limit on ingest")
        await sender.close()


def main() -> None:
    """Run the benchmark and print what it saw."""
    parser = argparse.ArgumentParser(prog="make bench-greedy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of both situations (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of one situation (default: %(default)s)")
    parser.add_argument("--questions", type=float, default=4, help="the quiet one's a second (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=20, help="the quiet one's OTLP requests/s (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=8, help="the greedy one's questions (default: %(default)s)")
    parser.add_argument("--greedy-requests", type=int, default=400, help="of 1,000 records (default: %(default)s)")
    parser.add_argument("--quiet-requests", type=int, default=100, help="of 1,000 records (default: %(default)s)")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="duoscope-greedy-") as folder:
        data_dir = Path(folder) / "data"
        with server(data_dir) as (process, credentials):
            while not ready(credentials["api_url"]):
                time.sleep(0.05)
            keys: dict[str, str] = {}
            for name in ("greedy", "quiet"):
                tenant, keys[name] = tenant_with_key(data_dir, name)
                made = admin(data_dir, "create-api-key", "--tenant", tenant, "--name", "reads", "--allow", "logs:read")
                keys[f"{name}-reads"] = made["api_key"]
            asyncio.run(fill(credentials, keys, arguments))
            wait_until_quiet(process)
            console.print(f"{arguments.rounds} rounds of 2 situations of {2 * arguments.seconds:g} s")
            seen = asyncio.run(measure(arguments, credentials, keys))
    sys.exit(report(seen, arguments))


def report(seen: dict[str, Seen], arguments: argparse.Namespace) -> str | None:
    """The table for people, the line for programs; what is wrong, if anything is."""
    table = Table(title=f"a quiet tenant's logs, {os.cpu_count()} cores")
    columns = (
        "",
        "answers: p50 ms",
        "p95 ms",
        "median of rounds",
        "acknowledged: p50 ms",
        "p95 ms",
        "median of rounds",
    )
    for heading in (*columns, "greedy: answered", "refused"):
        table.add_column(heading, justify="right" if heading else "left")
    results: list[dict[str, Any]] = []
    for name, found in seen.items():
        row: dict[str, Any] = {"situation": name}
        for what in ("answers", "acknowledgements"):
            took = getattr(found, what)
            row[f"{what}_p50_ms"] = round(quantile(took, 0.5) * 1000, 1)
            row[f"{what}_p95_ms"] = round(quantile(took, 0.95) * 1000, 1)
            row[f"{what}_median_ms"] = round(statistics.median(getattr(found, f"{what}_by_round")) * 1000, 1)
        row |= {"greedy_answered": found.greedy_answered, "greedy_refused": found.greedy_refused}
        results.append(row)
        table.add_row(*(str(value) for value in row.values()))
    Console(width=140).print(table)
    print(json.dumps({"cores": os.cpu_count(), "at_once": arguments.at_once, "results": results}))
    alone, beside = results
    felt = [
        f"{what}: {beside[f'{what}_median_ms'] / alone[f'{what}_median_ms']:.2f} times"
        for what, most in (("answers", ANSWERS_GROWTH_MAX), ("acknowledgements", ACKNOWLEDGEMENTS_GROWTH_MAX))
        if beside[f"{what}_median_ms"] > most * alone[f"{what}_median_ms"]
    ]
    return f"the greedy tenant is felt: {', '.join(felt)}" if felt else None


if __name__ == "__main__":
    main()
