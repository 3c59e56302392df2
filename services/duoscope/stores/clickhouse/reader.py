"""Reads of one tenant's telemetry, through views that cannot be called without its ids."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast
from uuid import UUID

from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.kernel.scope import Scope
from duoscope.stores.clickhouse.errors import guarded
from duoscope.stores.clickhouse.pool import Pool
from duoscope.stores.clickhouse.read_memory import ReadMemory, hold
from duoscope.stores.clickhouse.read_slots import ReadSlots
from duoscope.stores.clickhouse.schema import ATTRIBUTE_COLUMNS, NO_ATTRIBUTE, scoped_sql

_READ_SETTINGS: Final = {
    "max_execution_time": limits.TELEMETRY_QUERY_TIMEOUT_S,
    "max_memory_usage": limits.TELEMETRY_QUERY_MEMORY_BYTES_MAX,
    "max_rows_to_read": limits.TELEMETRY_QUERY_ROWS_MAX,
    "max_bytes_to_read": limits.TELEMETRY_QUERY_BYTES_MAX,
    "max_result_bytes": limits.TELEMETRY_QUERY_RESULT_BYTES_MAX,
    "use_query_condition_cache": 0,
}
_WORD_BYTES: Final = 8
_NO_ATTRIBUTES: Final[dict[str, object]] = {f"attribute_{n}": NO_ATTRIBUTE for n in range(1, ATTRIBUTE_COLUMNS + 1)}

Settled: TypeAlias = Callable[[UUID], Awaitable[None]]
"""Waits, not long, until what a tenant has sent to this process can be read."""


async def nothing_waits(_tenant_id: UUID) -> None:
    """The `Settled` of a process without a receiver."""


class Blocks(NamedTuple):
    """The range of block numbers, from `low` to `high`, in one part of one partition."""

    partition: str
    low: int
    high: int


class TelemetryReader:
    """Reads one tenant's rows, for one request. SQL names its sources as `@logs`, `@traces`, …, which are `VIEWS`."""

    def __init__(  # noqa: PLR0917 - what the readers of a store share
        self, pool: Pool, watchers: Pool, scope: Scope, slots: ReadSlots, memory: ReadMemory, settled: Settled
    ) -> None:
        self._settled = settled
        self._is_settled = False
        self._pool = pool
        self._watchers = watchers
        self._slots = slots
        self._memory = memory
        self._tenant_id = scope.tenant_id
        self._scope_parameters = {"workspace_id": str(scope.workspace_id), "tenant_id": str(scope.tenant_id)}

    async def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        name: str,
        settings: Mapping[str, str | int] | None = None,
    ) -> list[dict[str, Any]]:
        """Run one SELECT and return its rows as dicts.

        Args:
            sql: with `@view` for sources and `{name:Type}` for values; ClickHouse binds the values.
            parameters: values; `workspace_id` and `tenant_id` are the reader's own and cannot be given.
            name: shows in the query log.
            settings: ClickHouse settings in addition to the read limits.

        Raises:
            DuoscopeError: UNAVAILABLE when ClickHouse is down, INVALID when the query exceeds its limits, and as
                `ReadSlots` and `ReadMemory` when there is no room for it.
            UnicodeEncodeError: a value is not valid text; the client would otherwise report the store as unreachable.
        """
        statement, bound = self._bound(sql, parameters)
        applied = {**_READ_SETTINGS, "log_comment": name, **(settings or {})}

        def run(client: Client) -> tuple[list[dict[str, Any]], int]:
            result = client.query(statement, parameters=bound, settings=applied, query_formats={"FixedString": "bytes"})
            rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
            return rows, sum(map(_size, result.result_columns))

        await self._settle()
        async with self._slots.taken(self._tenant_id) as threads:
            applied.setdefault("max_threads", threads)
            rows, size = await self._pool.run(lambda client: guarded(lambda: run(client)))
        hold(self._memory, self._tenant_id, size)
        return rows

    async def row_binary(self, sql: str, parameters: Mapping[str, object] | None = None, *, name: str) -> bytes:
        """Run one SELECT and return its rows in ClickHouse's RowBinary format, for arrays: columns of fixed width.

        Args:
            sql: as for `query`.
            parameters: as for `query`.
            name: shows in the query log.

        Raises:
            DuoscopeError: as `query` does.
            UnicodeEncodeError: a value is not valid text; the client would otherwise report the store as unreachable.
        """
        statement, bound = self._bound(sql, parameters)
        applied: dict[str, str | int] = {**_READ_SETTINGS, "log_comment": name}

        def run(client: Client) -> bytes:
            return client.raw_query(statement, parameters=bound, settings=applied, fmt="RowBinary")

        await self._settle()
        async with self._slots.taken(self._tenant_id) as threads:
            applied["max_threads"] = threads
            content = await self._pool.run(lambda client: guarded(lambda: run(client)))
        hold(self._memory, self._tenant_id, len(content))
        return content

    async def _settle(self) -> None:
        """Wait for what was sent before the first read. Those that follow do not wait for more that comes meanwhile."""
        if not self._is_settled:
            await self._settled(self._tenant_id)
            self._is_settled = True

    def _bound(self, sql: str, parameters: Mapping[str, object] | None) -> tuple[str, dict[str, object]]:
        bound = _NO_ATTRIBUTES | dict(parameters or {}) | self._scope_parameters
        for value in bound.values():
            for part in cast("list[object]", value) if isinstance(value, list) else [value]:
                if isinstance(part, str):
                    part.encode()
        return scoped_sql(sql), bound

    async def log_blocks(self, *, changed_within_s: float | None = None) -> list[Blocks]:
        """List the stored blocks of log records of all tenants; with `changed_within_s`, at least those that arrived
        since.

        Raises:
            DuoscopeError: UNAVAILABLE.
        """
        sql = (
            "SELECT partition_id, min_block_number, max_block_number FROM system.parts "
            "WHERE database = currentDatabase() AND table = 'logs_v3' AND active"
        )
        parameters: dict[str, object] = {}
        if changed_within_s is not None:
            # A part's time is slightly before the part can be read, and in whole seconds.
            sql += " AND modification_time >= now() - {seconds:UInt32}"
            parameters["seconds"] = math.ceil(changed_within_s + limits.INGEST_COMMIT_MAX_S)
        settings = {**_READ_SETTINGS, "log_comment": "logs.blocks"}

        def run(client: Client) -> list[Blocks]:
            return [Blocks(*row) for row in client.query(sql, parameters=parameters, settings=settings).result_rows]

        await self._settled(self._tenant_id)
        return await self._watchers.run(lambda client: guarded(lambda: run(client)))


def _size(column: Sequence[Any]) -> int:
    """The approximate size of a result's column in bytes: the length of texts, also in arrays; a word for all else."""
    words = _WORD_BYTES * len(column)
    first = next((value for value in column if value), None)
    if isinstance(first, str | bytes):
        return words + sum(len(value) for value in column if value)
    if isinstance(first, list):
        return words + sum(_size(cast("list[Any]", value)) for value in column if value)
    return words
