"""The telemetry store: ClickHouse, embedded or a server, through the same client.

Clients are private to this module. What leaves it are handles: `TelemetryStore.bind(scope)` reads one tenant's rows
through parameterised views, `TelemetryStore.ingest()` inserts what the receiver decoded, `schema_account()` is the
migrator's. The client is synchronous and a client serves one call at a time, so calls run in threads of their own, each
with a client: nothing here blocks the event loop.
"""

import asyncio
import os
import queue
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self, TypeAlias, TypeVar, cast

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from clickhouse_connect.driver.exceptions import OperationalError

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, unavailable
from duoscope.kernel.scope import Scope
from duoscope.kernel.settings import Settings
from duoscope.stores.migrations.clickhouse import ClickHouseMigrator
from duoscope.stores.read_memory import ReadMemory, hold
from duoscope.stores.read_slots import ReadSlots
from duoscope.stores.records import RecordWriter

T = TypeVar("T")

DATABASE: Final = "duoscope"

WRITERS: Final = max(1, (os.cpu_count() or 1) // 2)
"""Threads, each with a client: searches do not wait for INSERTs, nor INSERTs for searches. An INSERT takes one core and
about 17 times its bytes of memory, so there are as many as leave room for merges and searches."""

VIEWS: Final = frozenset(
    {
        "traces",
        "trace_summaries",
        "spans_v3",
        "logs",
        "logs_v3_by_trace",
        "metrics",
        "histograms",
        "exponential_histograms",
        "summaries",
        "exemplars",
        "metrics_hourly",
        "metrics_v3_daily",
        "metric_names",
        "counters_hourly",
        "histograms_hourly",
        "exponential_histograms_hourly",
        "figures",
        "catalogue",
        "alert_events",
        "audit_events",
        "uptime_results",
        "usage_hourly",
        "usage_daily",
        "rejections",
    }
)
"""What a reader may name; each takes the workspace and the tenant as parameters."""

_VIEW = re.compile(r"@(\w+)")
_SCOPED_CALL = "(workspace_id = {workspace_id:UUID}, tenant_id = {tenant_id:UUID})"
_TABLE = re.compile(
    r"(?<!@)\b(?:\w+_v3\w*|metric_(?:\w*histograms|summaries|catalogue|\w+_totals|\w+_sums)|span_figures|"
    r"telemetry_catalogue|ingest_\w+|alert_history|audit_logs|uptime_checks)\b|\bsystem\s*\."
)

_RETRYABLE_CODES: Final = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 319, 425, 999})
"""Timeouts, too many queries or parts, no memory or space, read-only, unknown status of an INSERT, network."""

_TOO_MANY_PARTITIONS: Final = "Too many partitions for single INSERT block"
"""Has the code of too many parts, but does not pass: times of a request that are spread over years. Sent again, it
would take every batch that it is in with it."""

_TOO_EXPENSIVE_CODES: Final = frozenset({158, 159, 160, 241, 307, 396})
"""Too many rows, too slow, too much memory, too many bytes: of a read, its own limits."""

_READ_SETTINGS: Final = {
    "max_execution_time": limits.TELEMETRY_QUERY_TIMEOUT_S,
    "max_memory_usage": limits.TELEMETRY_QUERY_MEMORY_BYTES_MAX,
    "max_rows_to_read": limits.TELEMETRY_QUERY_ROWS_MAX,
    "max_bytes_to_read": limits.TELEMETRY_QUERY_BYTES_MAX,
    "max_result_bytes": limits.TELEMETRY_QUERY_RESULT_BYTES_MAX,
    "use_query_condition_cache": 0,
}


TABLES: Final = frozenset(
    {
        "traces_v3",
        "logs_v3",
        "metrics_v3",
        "metric_histograms",
        "metric_exponential_histograms",
        "metric_summaries",
        "exemplars_v3",
        "metric_catalogue",
        "telemetry_catalogue",
        "ingest_ledger",
        "ingest_rejections",
    }
)
"""What the receiver inserts into; views fill the others from these, and of the last one the most."""

CATALOGUES: Final = frozenset({"metric_catalogue", "telemetry_catalogue"})
"""Of those, the ones whose rows are of many requests at once, and the same again and again."""


Stored: TypeAlias = "tuple[int, int, dict[str, int], list[int]]"
"""What the ledger has of a request: items, those stored, those rejected by reason, and when it was received: in
milliseconds since 1970, more than once if it was sent again long after."""


_WORD_BYTES: Final = 8


class RejectedByStoreError(Exception):
    """ClickHouse cannot take these bytes, now or later; `code` is its error code. Inward: never shown to a client."""

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Pool:
    """Threads with a client each, made when first needed."""

    def __init__(self, open_client: Any, size: int, name: str) -> None:
        self._open_client = open_client
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._idle: queue.SimpleQueue[Client] = queue.SimpleQueue()
        self._opened: list[Client] = []

    async def run(self, work: Callable[[Client], T]) -> T:
        """Run `work` in a thread with a client nobody else uses meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_client, work)

    def _with_client(self, work: Any) -> Any:
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = self._open_client()
            self._opened.append(client)
        try:
            return work(client)
        finally:
            self._idle.put(client)

    def close(self) -> None:
        """Let running calls end, then close every client."""
        self._threads.shutdown(wait=True)
        for client in self._opened:
            client.close()
        self._opened.clear()


class TelemetryStore:
    """Both kinds of handle over one ClickHouse. Close it: an open embedded client keeps the engine alive."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened before the first call."""
        self._settings = settings
        self._readers = _Pool(self._open_client, limits.READS_MAX, "clickhouse-read")
        self._slots = ReadSlots()
        self.read_memory = ReadMemory()
        """What answers hold."""
        # A health check waits for no query.
        self._health = _Pool(self._open_client, 1, "clickhouse-health")
        self._writers = _Pool(self._open_client, WRITERS, "clickhouse-write")
        self._recorders = _Pool(self._open_client, 1, "clickhouse-record")
        # Which requests are stored is asked before each batch, which must not wait for the INSERT of the one before.
        self._lookups = _Pool(self._open_client, 1, "clickhouse-ledger")

    def _open_client(self) -> Client:
        return _guarded(lambda: _client(self._settings, database=DATABASE))

    def bind(self, scope: Scope) -> "TelemetryReader":
        """A reader of one tenant's telemetry."""
        return TelemetryReader(self._readers, scope, self._slots, self.read_memory)

    def ingest(self) -> "IngestWriter":
        """The writer of the receiver's blocks; the rows themselves carry whose they are."""
        return IngestWriter(self._writers, self._lookups)

    def records(self) -> RecordWriter:
        """The writer of what duoscope records about itself; it waits for no INSERT of ingest, nor they for it."""
        return RecordWriter(lambda work: self._recorders.run(lambda client: _guarded(lambda: work(client))))

    async def ping(self) -> None:
        """Raise UNAVAILABLE unless ClickHouse answers."""
        await self._health.run(lambda client: _guarded(lambda: client.command("SELECT 1")))

    async def applied_migrations(self) -> dict[int, str]:
        """Checksums of the migrations that ClickHouse has completed, by version."""
        return await self._readers.run(
            lambda client: _guarded(lambda: ClickHouseMigrator(SchemaAccount(client), ()).applied())
        )

    async def close(self) -> None:
        """Wait for running calls and release the engine."""
        await asyncio.to_thread(self._writers.close)
        await asyncio.to_thread(self._recorders.close)
        await asyncio.to_thread(self._lookups.close)
        await asyncio.to_thread(self._health.close)
        await asyncio.to_thread(self._readers.close)


class TelemetryReader:
    """Reads one tenant's rows. SQL names its sources as `@logs`, `@traces`, …: the views of `VIEWS`."""

    def __init__(self, pool: _Pool, scope: Scope, slots: ReadSlots, memory: ReadMemory) -> None:
        self._pool = pool
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
        """Rows of one SELECT as dicts.

        Args:
            sql: with `@view` for sources and `{name:Type}` for values; values are bound by ClickHouse.
            parameters: values; `workspace_id` and `tenant_id` are the reader's own and cannot be given.
            name: shows in the query log.
            settings: ClickHouse settings on top of the read limits.

        Raises:
            DuoscopeError: UNAVAILABLE when ClickHouse is away or the query hits its limits; what `ReadSlots` and
                `ReadMemory` say when there is no room for it.
            UnicodeEncodeError: a value is no text, which the client would report like a store that is away.
        """
        statement = scoped_sql(sql)
        bound = dict(parameters or {}) | self._scope_parameters
        for value in bound.values():
            for part in cast("list[object]", value) if isinstance(value, list) else [value]:
                if isinstance(part, str):
                    part.encode()
        applied = {**_READ_SETTINGS, "log_comment": name, **(settings or {})}

        def run(client: Client) -> tuple[list[dict[str, Any]], int]:
            result = client.query(statement, parameters=bound, settings=applied, query_formats={"FixedString": "bytes"})
            rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
            return rows, sum(map(_size, result.result_columns))

        async with self._slots.taken(self._tenant_id) as threads:
            applied.setdefault("max_threads", threads)
            rows, size = await self._pool.run(lambda client: _guarded(lambda: run(client)))
        hold(self._memory, self._tenant_id, size)
        return rows


def _size(column: Sequence[Any]) -> int:
    """About how many bytes a column of a result holds; texts whole, everything else as a word."""
    words = _WORD_BYTES * len(column)
    return words + sum(map(len, column)) if column and isinstance(column[0], str | bytes) else words


class IngestWriter:
    """Inserts blocks of the receiver's, and tells which requests are stored already."""

    def __init__(self, pool: _Pool, lookups: _Pool) -> None:
        self._pool = pool
        self._lookups = lookups

    async def insert(self, table: str, block: bytes, *, form: str, token: str) -> None:
        """Insert a block; returns when its rows and those of every view are committed.

        Args:
            table: one of `TABLES`.
            block: the rows, scope columns included.
            form: the ClickHouse format they are in.
            token: identifies this content; the same token again within the table's window stores nothing twice.

        Raises:
            DuoscopeError: UNAVAILABLE when ClickHouse is away or too busy: the same call may succeed later.
            RejectedByStoreError: the bytes themselves are at fault.
        """
        if table not in TABLES:
            raise ValueError(f"The receiver does not insert into {table!r}")
        settings = {
            "async_insert": 0,
            # Planning and compiling the views costs more than it saves: they are analysed anew at every INSERT.
            "query_plan_enable_optimizations": 0,
            "compile_expressions": 0,
            # A block of one INSERT is one thread's work: more threads cost more than they gain.
            "max_threads": 1,
            # Merging a block with itself costs more than the few rows that it saves.
            "optimize_on_insert": 0,
            # A part whose last file found no room was seen committed, and unreadable: it must not come to that.
            "min_free_disk_bytes_to_perform_insert": limits.STORE_DISK_FREE_BYTES_MIN,
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
            "max_partitions_per_insert_block": 1000,
            "max_memory_usage": limits.INGEST_INSERT_MEMORY_BYTES_MAX,
            "log_comment": "ingest",
        }

        def run(client: Client) -> None:
            client.raw_insert(table, insert_block=block, fmt=form, settings=settings)

        await self._pool.run(lambda client: _guarded(lambda: run(client), reject=True))

    async def stored(self, requests: Sequence[tuple[str, str, str]], *, since_ns: int) -> dict[tuple[str, str], Stored]:
        """Of requests by workspace, tenant and digest, those that were stored since a time, by tenant and digest.

        Raises:
            DuoscopeError: UNAVAILABLE.
        """
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

        return await self._lookups.run(lambda client: _guarded(lambda: run(client)))


class SchemaAccount:
    """What the migrator needs of a client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def execute(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        self._client.command(sql)

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of a statement."""
        return self._client.query(sql).result_rows

    def close(self) -> None:
        """Release the connection, and the engine when it was the last."""
        self._client.close()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """An account that may change the schema, in a database that is made where it is missing.

        Raises:
            DuoscopeError: UNAVAILABLE when ClickHouse cannot be reached.
        """
        on_cluster = f" ON CLUSTER '{settings.clickhouse_cluster}'" if settings.clickhouse_cluster else ""

        def connect() -> Self:
            first = _client(settings, database="default", admin=True)
            try:
                first.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}{on_cluster}")
            finally:
                first.close()
            return cls(_client(settings, database=DATABASE, admin=True))

        return _guarded(connect)


def scoped_sql(sql: str) -> str:
    """SQL with every `@view` turned into the view's call for the bound tenant; raw tables are refused.

    Raises:
        ValueError: the SQL names a table, or a view that is not in `VIEWS`: a defect of the caller.
    """
    if found := _TABLE.search(sql):
        raise ValueError(f"Stored tables are read through views: {found.group()!r} is a table")

    def call(match: re.Match[str]) -> str:
        if match.group(1) not in VIEWS:
            raise ValueError(f"No such view: {match.group(1)!r}")
        return f"{match.group(1)}{_SCOPED_CALL}"

    return _VIEW.sub(call, sql)


def _client(settings: Settings, *, database: str, admin: bool = False) -> Client:
    if settings.embedded_clickhouse:
        path = settings.data_dir / "clickhouse"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        client = clickhouse_connect.get_client(interface="chdb", path=str(path), database="default")
        if database != "default":
            client.command(f"USE {database}")
        return client
    dsn = (settings.clickhouse_admin_dsn if admin else "") or settings.clickhouse_dsn
    return clickhouse_connect.get_client(
        dsn=dsn,
        database=database,
        autogenerate_session_id=False,
        connect_timeout=limits.TELEMETRY_CONNECT_MAX_S,
        # The migrator may wait for the nodes of a cluster.
        send_receive_timeout=300 if admin else limits.INGEST_STORE_SILENCE_MAX_S,
    )


def _guarded(work: Any, *, reject: bool = False) -> Any:
    """Run `work`; turn ClickHouse's errors into ours, keeping their text inward."""
    try:
        return work()
    except (OperationalError, OSError) as error:
        raise _away(str(error)) from error
    except ClickHouseError as error:
        code = error.code or _code_in(str(error))
        if not reject and code in _TOO_EXPENSIVE_CODES:
            raise _too_expensive(str(error)) from error
        if code is None or (code in _RETRYABLE_CODES and _TOO_MANY_PARTITIONS not in str(error)):
            raise _away(str(error)) from error
        if reject:
            raise RejectedByStoreError(code, str(error)) from error
        raise DuoscopeError(
            ErrorKind.INTERNAL, "telemetry-query-failed", "The query could not be run.", detail=str(error)
        ) from error


def _too_expensive(detail: str) -> DuoscopeError:
    return invalid(
        f"The query reached its limit of {limits.TELEMETRY_QUERY_TIMEOUT_S} s or "
        f"{limits.TELEMETRY_QUERY_MEMORY_BYTES_MAX // 2**30} GiB: narrow the time range or name a service.",
        code="query-too-expensive",
        detail=detail,
    )


def _code_in(text: str) -> int | None:
    found = re.search(r"Code: (\d+)", text)
    return int(found.group(1)) if found else None


def _away(detail: str) -> DuoscopeError:
    return unavailable(
        "The telemetry store cannot answer right now; try again shortly.",
        code="telemetry-store-unavailable",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
        detail=detail,
    )
