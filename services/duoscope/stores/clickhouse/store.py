"""Both kinds of handle over one ClickHouse, and the threads behind them."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.kernel.named_expressions import Named, nothing_named
from duoscope.kernel.query_limits import QueryLimits
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse import attribute_indexes
from duoscope.stores.clickhouse.account import SchemaAccount
from duoscope.stores.clickhouse.asked import Questions
from duoscope.stores.clickhouse.client import open_client
from duoscope.stores.clickhouse.errors import guarded
from duoscope.stores.clickhouse.killer import Killer
from duoscope.stores.clickhouse.pool import Pool
from duoscope.stores.clickhouse.questions import Asker, Caller
from duoscope.stores.clickhouse.reach import Guides
from duoscope.stores.clickhouse.read_memory import ReadMemory
from duoscope.stores.clickhouse.read_slots import ReadSlots
from duoscope.stores.clickhouse.reader import Pools, Settled, TelemetryReader, nothing_waits
from duoscope.stores.clickhouse.records import RecordWriter
from duoscope.stores.clickhouse.schema import DATABASE
from duoscope.stores.clickhouse.writer import IngestWriter
from duoscope.stores.migrations.clickhouse import ClickHouseMigrator

WRITERS: Final = max(1, (os.cpu_count() or 1) // 2)
"""Threads, each with a client, so that searches and INSERTs do not wait for each other. An INSERT takes one core and
about 17 times its bytes of memory, so there are as many as leave room for merges and searches."""


class TelemetryStore:
    """Both kinds of handle over one ClickHouse. Close it: an open embedded client keeps the engine alive."""

    def __init__(self, settings: Settings) -> None:
        """Create the store. Nothing is opened before the first call."""
        self._settings = settings
        self._readers = Pool(self._open_client, limits.READS_MAX, "clickhouse-read")
        self._slots = ReadSlots()
        self.read_memory = ReadMemory()
        """What answers to reads hold."""
        # Health checks and queries for new arrivals do not wait for other queries.
        self._health = Pool(self._open_client, 1, "clickhouse-health")
        self._watchers = Pool(self._open_client, 1, "clickhouse-watch")
        # What ends queries does not wait for them.
        self._killers = Pool(self._open_client, 1, "clickhouse-kill")
        # Not those that the receiver works in, and no more than there are slots.
        self._computers = ThreadPoolExecutor(limits.READS_MAX, thread_name_prefix="compute")
        self._pools = Pools(self._readers, self._watchers, self._computers, Killer(self._killers))
        self._limits = QueryLimits.parse(settings.query_limits)
        self.questions = Questions(settings.slow_query_s)
        """What is asked now, and what was slow."""
        self._writers = Pool(self._open_client, WRITERS, "clickhouse-write")
        self._recorders = Pool(self._open_client, 1, "clickhouse-record")
        # The ledger is asked which requests are stored; this must not wait for INSERTs.
        self._lookups = Pool(self._open_client, 1, "clickhouse-ledger")
        self._guides = Guides()
        self._settled: Settled = nothing_waits
        self._named: Named = nothing_named

    def _open_client(self) -> Client:
        return guarded(lambda: open_client(self._settings, database=DATABASE))

    def bind(self, scope: Scope, caller: Caller | None = None) -> TelemetryReader:
        """A reader of one tenant's telemetry, for a caller; by default for the process itself."""
        if caller is None:
            asker = Asker(scope.tenant_id, scope.tenant_id, limits=self._limits)
        else:
            limited = self._limits.with_own(caller.own_limits)
            asker = Asker(scope.tenant_id, caller.caller_id, caller.kind, caller.name, limited)
        return TelemetryReader(
            self._pools,
            scope,
            asker,
            self._slots,
            self.read_memory,
            self.questions,
            self._guides,
            settled=self._settled,
            named=self._named,
        )

    def read_after(self, settled: Settled) -> None:
        """Let every reader that is bound from now on wait for `settled`, before it reads."""
        self._settled = settled

    def know(self, named: Named) -> None:
        """Let every reader that is bound from now on know a tenant's named expressions."""
        self._named = named

    def ingest(self) -> IngestWriter:
        """The writer of the receiver's blocks; the rows themselves carry their tenant."""
        return IngestWriter(self._writers, self._lookups)

    def records(self) -> RecordWriter:
        """The writer of duoscope's own records. It and ingest's INSERTs do not wait for each other."""
        return RecordWriter(lambda work: self._recorders.run(lambda client: guarded(lambda: work(client))))

    async def ping(self) -> None:
        """Raise UNAVAILABLE unless ClickHouse answers."""
        await self._health.run(lambda client: guarded(lambda: client.command("SELECT 1")))

    async def applied_migrations(self) -> dict[int, str]:
        """Checksums of the migrations that ClickHouse has completed, by version."""
        return await self._readers.run(
            lambda client: guarded(lambda: ClickHouseMigrator(SchemaAccount(client), ()).applied())
        )

    async def know_indexes(self, *, choose: bool) -> None:
        """Learn which columns of attributes have an index; with `choose`, add those that are missing first."""
        learn = attribute_indexes.choose if choose else attribute_indexes.present
        self._guides.indexed = await self._watchers.run(lambda client: guarded(lambda: learn(client)))

    async def close(self) -> None:
        """End the queries that still run, wait for other calls, and release the engine."""
        self.questions.end_all()
        await asyncio.to_thread(self._writers.close)
        await asyncio.to_thread(self._recorders.close)
        await asyncio.to_thread(self._lookups.close)
        await asyncio.to_thread(self._health.close)
        await asyncio.to_thread(self._watchers.close)
        await asyncio.to_thread(self._readers.close)
        await asyncio.to_thread(self._computers.shutdown)
        await asyncio.to_thread(self._killers.close)
