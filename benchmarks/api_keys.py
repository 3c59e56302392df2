"""What a known API key costs a request of ingest: CPU time of `verify_cached` and of counting the use.

Verifies keys once against a real PostgreSQL, embedded in an empty folder, then presents them over and over: without
and with allowed addresses, one key and many, one address and many. Prints a table and one line of JSON, and fails when
a case is above LIMIT_US. The least of several rounds counts, because other processes only ever add to a round.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.operators import administration
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.scope import PlatformScope
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.embedded import DataDirectoryLock, EmbeddedPostgres
from duoscope.stores.migrations import Migrator
from duoscope.stores.postgres import MetadataStore

LIMIT_US = 3.0
KEYS = 50
REQUESTS = 200_000
ROUNDS = 5
_SCOPE = PlatformScope(reason="a benchmark")


async def _keys(store: MetadataStore, hasher: SlowHasher, addresses: str) -> list[str]:
    tenant = await administration.create_tenant(
        store, organization="Bench", workspace="Bench", tenant=addresses or "anywhere"
    )
    made = [
        await administration.create_api_key(store, hasher, tenant_id=tenant.tenant_id, name=f"key {number}")
        for number in range(KEYS)
    ]
    async with store.open_platform(_SCOPE, "bench.addresses") as tx:
        await tx.execute(
            "UPDATE api_keys SET allowed_addresses = $2::text[]::cidr[] WHERE tenant_id = $1",
            *(tenant.tenant_id, addresses.split()),
        )
    return [key.api_key for key in made]


def _measure(verifier: ApiKeyVerifier, keys: Sequence[str], addresses: Sequence[str]) -> float:
    requests = [(keys[n % len(keys)], addresses[n % len(addresses)]) for n in range(REQUESTS)]
    verify, count, least = verifier.verify_cached, verifier.count, float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for presented, address in requests:
            principal = verify(presented, address)
            assert principal is not None
            count(principal, "POST /v1/traces", address, 200)
        least = min(least, time.process_time() - began)
        verifier.take_uses()
    return least / REQUESTS * 1e6


async def _run(data_dir: Path) -> dict[str, float]:
    lock = DataDirectoryLock.acquire(data_dir)
    server = await EmbeddedPostgres.start(data_dir)
    hasher = SlowHasher()
    try:
        await Migrator(postgres_admin_dsn=server.address.admin_dsn).up()
        store = await MetadataStore.connect(server.address.service_dsn)
        verifier = ApiKeyVerifier(store, hasher, SecretKeys((b"b" * 32,)))
        free = await _keys(store, hasher, "")
        bound = await _keys(store, hasher, "192.0.2.0/24 2001:db8::/32")
        for presented in (*free, *bound):
            await verifier.verify(presented, "192.0.2.1")
        one, many = ["192.0.2.1"], [f"192.0.2.{number}" for number in range(1, 201)]
        figures = {
            "one key": _measure(verifier, free[:1], one),
            f"{KEYS} keys, 200 addresses": _measure(verifier, free, many),
            "one key with allowed addresses": _measure(verifier, bound[:1], one),
            f"{KEYS} keys with allowed addresses, 200 addresses": _measure(verifier, bound, many),
        }
        await store.close()
    finally:
        hasher.close()
        await server.stop()
        lock.release()
    return figures


def main() -> int:
    """Measure; 1 if a case is above the limit."""
    with tempfile.TemporaryDirectory(prefix="duoscope-bench-") as folder:
        figures = asyncio.run(_run(Path(folder)))
    table = Table(title="CPU of verifying a known API key")
    table.add_column("case")
    table.add_column("us a request", justify="right")
    for case, cost_us in figures.items():
        table.add_row(case, f"{cost_us:.2f}")
    Console().print(table)
    print(json.dumps({case: round(cost_us, 3) for case, cost_us in figures.items()}))
    return 1 if max(figures.values()) > LIMIT_US else 0


if __name__ == "__main__":
    sys.exit(main())
