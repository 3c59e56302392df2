"""Whether memory stays flat: the embedded stack under a steady load just below what it can take.

Starts `duoscope up` as `benchmarks/ingest.py` does, finds out in a few seconds how many requests a second it takes when
it gets as many as it can, then sends a share of that, all three signals mixed, for some minutes. Each request is one of
a pool with a number of its own in a field that OTLP does not know, so that none is taken for a retry. Prints a line a
minute and, at the end, whether the last minutes took more memory than the first. See `benchmarks/README.md`.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.ingest import CALLS, CHANNELS, cpu_s, send, server, wait_until_quiet
from benchmarks.payloads import serialized

POOL = 60
PROBE_REQUESTS = 300
PROBE_IN_FLIGHT = 64
IN_FLIGHT_MAX = 256
FLAT_SHARE = 1.1


@dataclass(frozen=True)
class Minute:
    """What one minute looked like from outside."""

    minute: int
    requests_per_s: float
    refused: int
    p50_ms: float
    p99_ms: float
    cpu_cores: float
    memory_mb: int


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


_TAG = _varint(1000 << 3)


def numbered(request: bytes, number: int) -> bytes:
    """The same request with a number in field 1000, which nobody reads."""
    return request + _TAG + _varint(number)


async def soak(
    process: psutil.Process, credentials: dict[str, str], share: float, minutes: float, console: Console
) -> tuple[float, list[Minute]]:
    """Requests a second at saturation, and the minutes of the steady load."""
    endpoint, key = credentials["otlp_grpc_endpoint"], credentials["api_key"]
    pools = {name: list(serialized(name, requests=POOL, items=1000)) for name in CALLS}
    names = list(pools)
    counter = iter(range(1, 2**31))
    console.print(f"finding out how much it takes: {PROBE_REQUESTS} requests a signal")
    elapsed = 0.0
    for name in names:
        probes = [numbered(pools[name][n % POOL], next(counter)) for n in range(PROBE_REQUESTS)]
        elapsed += await send(endpoint, key, CALLS[name], probes, PROBE_IN_FLIGHT)
    saturation = len(names) * PROBE_REQUESTS / elapsed
    rate = share * saturation
    console.print(f"{saturation:.0f} requests a second at the most; {rate:.0f} a second for {minutes:g} minutes")
    await asyncio.to_thread(wait_until_quiet, process)

    metadata = (("authorization", f"Bearer {key}"),)
    channels = [
        grpc.aio.insecure_channel(endpoint.removeprefix("http://"), options=(("grpc.use_local_subchannel_pool", 1),))
        for _ in range(CHANNELS)
    ]
    calls = {name: [channel.unary_unary(CALLS[name]) for channel in channels] for name in names}
    latencies: list[float] = []
    refused = 0
    running: set[asyncio.Task[None]] = set()

    async def one(number: int, due: float) -> None:
        nonlocal refused
        name = names[number % len(names)]
        request = numbered(pools[name][number % POOL], next(counter))
        try:
            await calls[name][number % CHANNELS](request, metadata=metadata, timeout=60)
        except grpc.aio.AioRpcError:
            refused += 1
        else:
            latencies.append(time.monotonic() - due)

    seen: list[Minute] = []
    started = time.monotonic()
    number = 0
    for minute in range(1, round(minutes) + 1):
        used, first = cpu_s(process), number
        memory: list[int] = []
        while (now := time.monotonic()) < started + 60 * minute:
            while number < (now - started) * rate and len(running) < IN_FLIGHT_MAX:
                task = asyncio.create_task(one(number, started + number / rate))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(0.005)
            if not memory or number % 50 == 0:
                memory.append(process.memory_info().rss)
        quantiles = statistics.quantiles(latencies or [0.0, 0.0], n=100)
        seen.append(
            Minute(
                minute,
                (number - first) / 60,
                refused,
                quantiles[49] * 1000,
                quantiles[98] * 1000,
                (cpu_s(process) - used) / 60,
                round(statistics.median(memory) / 1e6),
            )
        )
        console.print(
            f"minute {minute}: {seen[-1].requests_per_s:.0f} requests/s, p99 {seen[-1].p99_ms:.0f} ms, "
            f"{seen[-1].memory_mb} MB"
        )
        latencies.clear()
        refused = 0
    await asyncio.gather(*running)
    await asyncio.gather(*(channel.close() for channel in channels))
    return saturation, seen


def main() -> None:
    """Run it and print what it saw."""
    parser = argparse.ArgumentParser(prog="make bench-soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15, help="how long (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.8, help="of what it can take (default: %(default)s)")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="duoscope-soak-") as folder,
        server(Path(folder) / "data") as (process, credentials),
    ):
        saturation, seen = asyncio.run(soak(process, credentials, arguments.share, arguments.minutes, console))
    table = Table(title=f"steady load, {os.cpu_count()} cores, {arguments.share:.0%} of {saturation:.0f} requests/s")
    for heading in ("minute", "requests/s", "refused", "p50 ms", "p99 ms", "cores", "memory MB"):
        table.add_column(heading, justify="right")
    for row in seen:
        table.add_row(
            str(row.minute),
            f"{row.requests_per_s:.0f}",
            str(row.refused),
            f"{row.p50_ms:.0f}",
            f"{row.p99_ms:.0f}",
            f"{row.cpu_cores:.2f}",
            f"{row.memory_mb:,}",
        )
    Console().print(table)
    third = max(1, len(seen) // 3)
    early = statistics.median(row.memory_mb for row in seen[:third])
    late = statistics.median(row.memory_mb for row in seen[-third:])
    verdict = "flat" if late <= FLAT_SHARE * early else "growing"
    print(f"memory: median of the first third {early:.0f} MB, of the last third {late:.0f} MB: {verdict}")
    print(json.dumps({"cores": os.cpu_count(), "saturation": round(saturation), "minutes": [asdict(m) for m in seen]}))


if __name__ == "__main__":
    main()
