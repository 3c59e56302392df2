"""Writes of the receiver: blocks of rows under deduplication tokens, and the ledger of requests."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.stores.clickhouse.errors import guarded
from duoscope.stores.clickhouse.pool import Pool
from duoscope.stores.clickhouse.rehearsal import Rehearsal
from duoscope.stores.clickhouse.schema import INGESTED

Stored: TypeAlias = "tuple[int, int, dict[str, int], list[int]]"
"""The ledger's entry of a request: items, those stored, those rejected by reason, and the times when it was received,
in milliseconds since 1970: several, if it was sent again much later."""

_ASKED_MAX: Final = 1000
"""Requests in one question to the ledger: a server takes parameters of up to 128 KiB."""


class IngestWriter:
    """Inserts blocks of the receiver, and finds out which requests are already stored."""

    def __init__(self, pool: Pool, lookups: Pool) -> None:
        self._pool = pool
        self._lookups = lookups

    async def insert(self, table: str, block: bytes, *, form: str, token: str) -> None:
        """Insert a block. Returns when its rows and those of every view are committed.

        Args:
            table: one of `INGESTED`.
            block: the rows, scope columns included.
            form: the ClickHouse format they are in.
            token: identifies this content; the same token again within the table's window stores nothing twice.

        Raises:
            DuoscopeError: UNAVAILABLE when ClickHouse is down or too busy: the same call may succeed later.
            RejectedByStoreError: the bytes themselves are the cause.
        """
        if table not in INGESTED:
            raise ValueError(f"The receiver does not insert into {table!r}")
        settings = {
            "async_insert": 0,
            # Blocks have every column that has a default; else the defaults of all columns are parsed at each INSERT.
            "input_format_defaults_for_omitted_fields": 0,
            # Planning and compiling the views costs more than it saves: they are analysed again at every INSERT.
            "query_plan_enable_optimizations": 0,
            "compile_expressions": 0,
            # A block of one INSERT is one thread's work: more threads cost more than they gain.
            "max_threads": 1,
            # Merging a block with itself costs more than the few rows that it saves.
            "optimize_on_insert": 0,
            # Seen once: the last file of a part found no space, and the part was committed but unreadable. Refuse
            # before that.
            "min_free_disk_bytes_to_perform_insert": limits.STORE_DISK_FREE_BYTES_MIN,
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
            "max_partitions_per_insert_block": limits.INGEST_PARTITIONS_MAX,
            "max_memory_usage": limits.INGEST_INSERT_MEMORY_BYTES_MAX,
            "log_comment": "ingest",
        }

        def run(client: Client) -> None:
            client.raw_insert(table, insert_block=block, fmt=form, settings=settings)

        await self._pool.run(lambda client: guarded(lambda: run(client), reject=True))

    def rehearse(self, table: str, name: str) -> Rehearsal:
        """A context to try out blocks for a table without storing them. No two at a time may have the same name."""
        if table not in INGESTED:
            raise ValueError(f"The receiver does not insert into {table!r}")
        return Rehearsal(self._pool, table, name)

    async def stored(self, requests: Sequence[tuple[str, str, str]], *, since_ns: int) -> dict[tuple[str, str], Stored]:
        """Find which of the requests, by workspace, tenant and digest, have been stored since a time. Returns them by
        tenant and digest.

        Raises:
            DuoscopeError: UNAVAILABLE.
        """
        if len(requests) > _ASKED_MAX:
            found: dict[tuple[str, str], Stored] = {}
            for start in range(0, len(requests), _ASKED_MAX):
                found |= await self.stored(requests[start : start + _ASKED_MAX], since_ns=since_ns)
            return found
        parameters = {"keys": list(requests), "since": since_ns // 1_000_000_000}
        sql = (
            "SELECT toString(tenant_id), replaceAll(toString(digest), '-', ''), any(items), any(stored), "
            "any(rejected), groupUniqArray(toUnixTimestamp64Milli(received_at)) FROM ingest_ledger "
            "WHERE (workspace_id, tenant_id, digest) IN (SELECT toUUID(k.1), toUUID(k.2), toUUID(k.3) "
            "FROM (SELECT arrayJoin({keys:Array(Tuple(String, String, String))}) AS k)) "
            "AND received_at >= fromUnixTimestamp({since:UInt32}) GROUP BY tenant_id, digest"
        )

        def run(client: Client) -> dict[tuple[str, str], Stored]:
            result = client.query(sql, parameters=parameters, settings={"use_query_condition_cache": 0})
            return {
                (tenant, digest): (items, stored, rejected, received_ms)
                for tenant, digest, items, stored, rejected, received_ms in result.result_rows
            }

        return await self._lookups.run(lambda client: guarded(lambda: run(client)))

    async def stored_since(
        self, since_ns: int, rows_max: int
    ) -> list[tuple[str, int, tuple[int, int, dict[str, int]]]]:
        """The requests received since a time that are stored, the latest `rows_max` of them, oldest first: digest, when
        it was received in milliseconds since 1970, and its items, those stored, those rejected by reason.

        Raises:
            DuoscopeError: UNAVAILABLE.
        """
        parameters = {"since": since_ns // 1_000_000_000, "rows": rows_max}
        sql = (
            "SELECT replaceAll(toString(digest), '-', ''), toUnixTimestamp64Milli(received_at) AS ms, items, stored, "
            "rejected FROM ingest_ledger WHERE received_at >= fromUnixTimestamp({since:UInt32}) "
            "ORDER BY ms DESC LIMIT {rows:UInt64}"
        )

        def run(client: Client) -> list[tuple[str, int, tuple[int, int, dict[str, int]]]]:
            found = client.query(sql, parameters=parameters, settings={"use_query_condition_cache": 0}).result_rows
            return [(digest, ms, (items, stored, rejected)) for digest, ms, items, stored, rejected in reversed(found)]

        return await self._lookups.run(lambda client: guarded(lambda: run(client)))
