"""What tests of the way into ClickHouse share: a request of log records, and the rows that came of it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from duoscope.background.driver import Driver
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.ingest import Ingest


@pytest.fixture
def run_receiver(metadata_store, telemetry_store, hasher, secret_keys, tmp_path):
    """Runs a receiver over a folder; with `shared`, one of several that agree through PostgreSQL."""

    @asynccontextmanager
    async def running(folder="one", *, shared=False, **options):
        log = await asyncio.to_thread(RequestLog.open, tmp_path / folder)
        claims = IngestLeases(metadata_store, log.receiver_id) if shared else None
        verifier = ApiKeyVerifier(metadata_store, hasher, secret_keys)
        made = Ingest(telemetry_store, verifier, log, claims=claims, driver=Driver(), **options)
        await made.start()
        try:
            yield made
        finally:
            await made.close()

    return running


@pytest.fixture
def logs(otlp):
    """A request of three records."""

    def build(body):
        records = ({"time_unix_nano": now_unix_nano(), "body": body} for _ in range(3))
        return otlp.logs("s", *records).SerializeToString()

    return build


@pytest.fixture
def counted(telemetry_store, principal):
    """Rows by body."""

    async def count():
        sql = "SELECT body, count() AS n FROM @logs GROUP BY body"
        rows = await telemetry_store.bind(principal.scope).query(sql, name="test")
        return {row["body"]: row["n"] for row in rows}

    return count
