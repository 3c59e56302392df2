"""Whether a tenant far beyond its limit is felt by another: the quiet one's latency, alone and beside the loud one.

Starts `duoscope up` on free ports and an empty folder and makes two tenants. The quiet one sends small requests at a
steady pace, each timed from its sending to its acknowledgement, which follows the sync. The loud one sends nothing,
then what its limit allows, then 20 times that, in rounds that take turns so that a slow minute of the machine hits all
alike. Prints a table and a line of JSON. See `benchmarks/README.md`.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.ingest import CALLS, cpu_s, server
from benchmarks.payloads import serialized

QUIET_ITEMS = 100
LOUD_ITEMS = 1000
TIMES = {"alone": 0, "beside one at its limit": 1, "beside one at 20 times its limit": 20}
SETTLE_S = 2.0
BURST_S = 1
P99_GROWTH_MAX = 1.2


@dataclass
class Seen:
    """What was seen in one situation, over all rounds."""

    latencies_s: list[float] = field(default_factory=list)
    p99_by_round_s: list[float] = field(default_factory=list)
    loud_accepted: int = 0
    loud_refused: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0


def admin(data_dir: Path, *arguments: str) -> dict:
    """One `duoscope admin` command; its JSON."""
    command = [sys.executable, "-m", "duoscope", "admin", *arguments, "--data-dir", str(data_dir), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tenant_with_key(data_dir: Path, name: str) -> tuple[str, str]:
    """A new tenant's id and a key of it."""
    tenant = admin(data_dir, "create-tenant", name)["tenant_id"]
    return tenant, admin(data_dir, "create-api-key", "--tenant", tenant)["api_key"]


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of the values are."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Sender:
    """Sends one tenant's requests over a channel of its own, at a pace, however long the answers take."""

    def __init__(self, endpoint: str, key: str, call: str) -> None:
        self._channel = grpc.aio.insecure_channel(
            endpoint.removeprefix("http://"), options=(("grpc.use_local_subchannel_pool", 1),)
        )
        self._call = self._channel.unary_unary(call)
        self._metadata = (("authorization", f"Bearer {key}"),)

    async def send(self, request: bytes) -> float | None:
        """Seconds to the acknowledgement; None where it was refused for now."""
        started = time.perf_counter()
        try:
            await self._call(request, metadata=self._metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            # UNAVAILABLE: over 100 calls at once on its connection, refused by the HTTP/2 layer (REFUSED_STREAM).
            if error.code() not in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE):
                raise
            return None
        return time.perf_counter() - started

    async def pace(self, requests: Iterator[bytes], per_s: float, seconds: float) -> list[float | None]:
        """Begin `per_s` requests a second; answers when all were answered."""
        began = time.perf_counter()
        tasks: list[asyncio.Task[float | None]] = []
        for number in range(round(per_s * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_s - time.perf_counter()))
            tasks.append(asyncio.create_task(self.send(next(requests))))
        return await asyncio.gather(*tasks)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


async def run(
    arguments: argparse.Namespace, process: psutil.Process, senders: tuple[Sender, Sender]
) -> dict[str, Seen]:
    """All rounds."""
    quiet, loud = senders
    # Different bytes each time: the same would be a retry.
    small = iter(list(serialized(arguments.signal, requests=arguments.requests, items=QUIET_ITEMS)))
    # Enough that what is taken is new; what was refused may come again.
    large = itertools.cycle(list(serialized(arguments.signal, requests=arguments.loud_requests, items=LOUD_ITEMS)))
    seen = {name: Seen() for name in TIMES}
    await quiet.pace(small, arguments.pace, SETTLE_S)
    for _ in range(arguments.rounds):
        for name, times in TIMES.items():
            per_s = times * arguments.limit / LOUD_ITEMS
            noise = asyncio.create_task(loud.pace(large, per_s, arguments.seconds + SETTLE_S)) if per_s else None
            await quiet.pace(small, arguments.pace, SETTLE_S)
            before, began = cpu_s(process), time.perf_counter()
            answers = await quiet.pace(small, arguments.pace, arguments.seconds)
            if None in answers:
                raise SystemExit("a request of the quiet tenant was refused")
            found = seen[name]
            found.seconds += time.perf_counter() - began
            found.cpu_s += cpu_s(process) - before
            found.latencies_s += answers
            found.p99_by_round_s.append(quantile(answers, 0.99))
            if noise:
                theirs = await noise
                found.loud_accepted += sum(each is not None for each in theirs)
                found.loud_refused += sum(each is None for each in theirs)
            await asyncio.sleep(BURST_S + 1)
    for sender in senders:
        await sender.close()
    return seen


def main() -> None:
    """Run the benchmark and print what it saw."""
    parser = argparse.ArgumentParser(prog="make bench-fairness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of all situations (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of one situation (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=40, help="the quiet one's requests/s (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=5000, help="the loud one's items/s (default: %(default)s)")
    parser.add_argument("--signal", default="logs", choices=list(CALLS), help="which (default: %(default)s)")
    arguments = parser.parse_args()
    per_round = (arguments.seconds + 2 * SETTLE_S) * len(TIMES)
    arguments.requests = round(arguments.pace * (per_round * arguments.rounds + 2 * SETTLE_S))
    arguments.loud_requests = round(arguments.limit / LOUD_ITEMS * per_round * arguments.rounds)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="duoscope-fairness-") as folder:
        data_dir = Path(folder) / "data"
        with server(data_dir) as (process, credentials):
            loud, loud_key = tenant_with_key(data_dir, "loud")
            _, quiet_key = tenant_with_key(data_dir, "quiet")
            limits = (f"items_per_second={arguments.limit}", f"burst_seconds={BURST_S}")
            admin(data_dir, "set-limits", "--tenant", loud, *limits)
            endpoint, call = credentials["otlp_grpc_endpoint"], CALLS[arguments.signal]
            console.print(f"{arguments.rounds} rounds of {len(TIMES)} situations of {arguments.seconds:g} s")

            async def measure() -> dict[str, Seen]:
                senders = (Sender(endpoint, quiet_key, call), Sender(endpoint, loud_key, call))
                return await run(arguments, process, senders)

            seen = asyncio.run(measure())
    report(seen, arguments)


def report(seen: dict[str, Seen], arguments: argparse.Namespace) -> None:
    """The table for people, the line for programs."""
    table = Table(title=f"latency of a quiet tenant, {arguments.signal}, {os.cpu_count()} cores")
    for heading in (
        "",
        "requests",
        "p50 ms",
        "p99 ms",
        "p99 ms, median of rounds",
        "loud: taken/s",
        "refused/s",
        "CPU",
    ):
        table.add_column(heading, justify="left" if not heading else "right")
    results = []
    for name, found in seen.items():
        seconds = arguments.rounds * (arguments.seconds + SETTLE_S)
        row = {
            "situation": name,
            "requests": len(found.latencies_s),
            "p50_ms": round(quantile(found.latencies_s, 0.5) * 1000, 1),
            "p99_ms": round(quantile(found.latencies_s, 0.99) * 1000, 1),
            "p99_median_ms": round(statistics.median(found.p99_by_round_s) * 1000, 1),
            "loud_accepted_per_s": round(found.loud_accepted / seconds, 1),
            "loud_refused_per_s": round(found.loud_refused / seconds, 1),
            "cpu_share": round(found.cpu_s / found.seconds, 3),
        }
        results.append(row)
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    print(json.dumps({"cores": os.cpu_count(), "limit": arguments.limit, "results": results}))
    alone, _, loudest = results
    if loudest["p99_median_ms"] > P99_GROWTH_MAX * alone["p99_median_ms"]:
        raise SystemExit(f"the loud tenant is felt: p99 is more than {P99_GROWTH_MAX} times that alone")


if __name__ == "__main__":
    main()
