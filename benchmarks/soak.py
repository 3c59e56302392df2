"""Whether memory stays flat: the embedded stack under a steady load just below what it can take.

Starts `duoscope up` as `benchmarks/ingest.py` does, finds out in a minute and a half how many requests a second it
takes when it gets as many as it can and merges meanwhile, then sends a share of that, all three signals mixed, for some
minutes. Each request is one of a pool with a number of its own in a field that OTLP does not know, so that none is
taken for a retry. Prints a line a minute and, at the end, whether the last minutes took more memory than the first. See
`benchmarks/README.md`.
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

from benchmarks.ingest import CALLS, CHANNELS, cpu_s, server, wait_until_quiet
from benchmarks.payloads import serialized

POOL = 60
PROBE_S = 90
PROBE_COUNTED_S = 60
PROBE_IN_FLIGHT = 96
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


class Load:
    """Requests of all signals in turn over a few channels, and how they were answered."""

    def __init__(self, credentials: dict[str, str]) -> None:
        self._metadata = (("authorization", f"Bearer {credentials['api_key']}"),)
        self._pools = [list(serialized(name, requests=POOL, items=1000)) for name in CALLS]
        target = credentials["otlp_grpc_endpoint"].removeprefix("http://")
        options = (("grpc.use_local_subchannel_pool", 1),)
        self._channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(CHANNELS)]
        self._calls = [[channel.unary_unary(call) for channel in self._channels] for call in CALLS.values()]
        self._sent = 0
        self.latencies: list[float] = []
        self.refused = 0

    async def one(self, due: float) -> None:
        """Send the next request; its latency counts from when it was due."""
        number = self._sent
        self._sent += 1
        signal = number % len(self._pools)
        request = numbered(self._pools[signal][number % POOL], number + 1)
        try:
            await self._calls[signal][number % CHANNELS](request, metadata=self._metadata, timeout=60)
        except grpc.aio.AioRpcError:
            self.refused += 1
        else:
            self.latencies.append(time.monotonic() - due)

    async def saturation(self) -> float:
        """Requests a second when as many are under way as it likes."""
        until = time.monotonic() + PROBE_S

        async def sender() -> int:
            taken = 0
            while (now := time.monotonic()) < until:
                await self.one(now)
                taken += now > until - PROBE_COUNTED_S
            return taken

        return sum(await asyncio.gather(*(sender() for _ in range(PROBE_IN_FLIGHT)))) / PROBE_COUNTED_S

    def answered(self) -> tuple[list[float], int]:
        """Latencies and refusals since this was asked last."""
        seen = (self.latencies, self.refused)
        self.latencies, self.refused = [], 0
        return seen

    async def close(self) -> None:
        """Close the channels."""
        await asyncio.gather(*(channel.close() for channel in self._channels))


async def soak(
    process: psutil.Process, credentials: dict[str, str], share: float, minutes: float, console: Console
) -> tuple[float, list[Minute]]:
    """Requests a second at saturation, and the minutes of the steady load."""
    load = Load(credentials)
    console.print(f"finding out how much it takes for {PROBE_S} s")
    saturation = await load.saturation()
    rate = share * saturation
    console.print(f"{saturation:.0f} requests a second at the most; {rate:.0f} a second for {minutes:g} minutes")
    await asyncio.to_thread(wait_until_quiet, process)
    load.answered()
    running: set[asyncio.Task[None]] = set()
    seen: list[Minute] = []
    started = time.monotonic()
    number = 0
    for minute in range(1, round(minutes) + 1):
        used, first = cpu_s(process), number
        memory: list[int] = []
        while (now := time.monotonic()) < started + 60 * minute:
            while number < (now - started) * rate and len(running) < IN_FLIGHT_MAX:
                task = asyncio.create_task(load.one(started + number / rate))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(0.005)
            if not memory or number % 50 == 0:
                memory.append(process.memory_info().rss)
        latencies, refused = load.answered()
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
            f"minute {minute}: {seen[-1].requests_per_s:.0f} requests/s, {refused} refused, "
            f"p99 {seen[-1].p99_ms:.0f} ms, {seen[-1].memory_mb} MB"
        )
    await asyncio.gather(*running)
    await load.close()
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
