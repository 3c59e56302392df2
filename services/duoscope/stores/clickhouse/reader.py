"""Reads of one tenant's telemetry, through views that cannot be called without its ids."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast
from uuid import UUID

from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.named_expressions import ByName, Named
from duoscope.kernel.scope import Scope
from duoscope.stores.clickhouse.asked import Questions
from duoscope.stores.clickhouse.counting import Read, last_read
from duoscope.stores.clickhouse.errors import BYTES, RESULT, ROWS, TOO_EXPENSIVE, guarded, too_expensive
from duoscope.stores.clickhouse.kept import KeptValues
from duoscope.stores.clickhouse.killer import Killer, marked
from duoscope.stores.clickhouse.pool import Pool
from duoscope.stores.clickhouse.questions import Asker, Question, asking, current
from duoscope.stores.clickhouse.reach import Guides, Indexed, Reached
from duoscope.stores.clickhouse.read_memory import Account, ReadMemory, hold
from duoscope.stores.clickhouse.read_memory import current as spent
from duoscope.stores.clickhouse.read_slots import ReadSlots
from duoscope.stores.clickhouse.schema import ATTRIBUTE_COLUMNS, NO_ATTRIBUTE, scoped_sql

_READ_SETTINGS: Final = {
    "max_memory_usage": limits.TELEMETRY_QUERY_MEMORY_BYTES_MAX,
    "use_query_condition_cache": 0,
}
_LIMITS: Final = frozenset({"max_execution_time", "max_rows_to_read", "max_bytes_to_read", "max_result_bytes"})
T = TypeVar("T")
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


class Pools(NamedTuple):
    """The threads that run the statements of readers, those for new arrivals, and those that compute; and what ends
    statements.
    """

    readers: Pool
    watchers: Pool
    computers: ThreadPoolExecutor
    killer: Killer


class TelemetryReader:
    """Reads one tenant's rows, for one request. SQL names its sources as `@logs`, `@traces`, …, which are `VIEWS`."""

    def __init__(  # noqa: PLR0917 - what the readers of a store share
        self,
        pools: Pools,
        scope: Scope,
        asker: Asker,
        slots: ReadSlots,
        memory: ReadMemory,
        questions: Questions,
        guides: Guides,
        settled: Settled,
        named: Named,
    ) -> None:
        self._named = named
        self._scope = scope
        self._settled = settled
        self._is_settled = False
        self._pool = pools.readers
        self._watchers = pools.watchers
        self._computers = pools.computers
        self._killer = pools.killer
        self._asker = asker
        self._slots = slots
        self._memory = memory
        self._questions = questions
        self._guides = guides
        self._scope_parameters = {"workspace_id": str(scope.workspace_id), "tenant_id": str(scope.tenant_id)}

    async def named(self) -> ByName:
        """The tenant's named expressions. Raises UNAVAILABLE while PostgreSQL is away."""
        return await self._named(self._scope)

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
            DuoscopeError: UNAVAILABLE when ClickHouse is down, INVALID when the query exceeds the limits of its
                tenant, as `ReadSlots` and `ReadMemory` when there is no room for it, and what ended the question.
            UnicodeEncodeError: a value is not valid text; the client would otherwise report the store as unreachable.
        """
        statement, bound = self._bound(sql, parameters)

        def run(client: Client, applied: dict[str, str | int]) -> tuple[list[dict[str, Any]], int]:
            result = client.query(statement, parameters=bound, settings=applied, query_formats={"FixedString": "bytes"})
            rows = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
            return rows, sum(map(_size, result.result_columns))

        rows, size = await self._run(name, settings or {}, run)
        if size > int((settings or {}).get("max_result_bytes", size)):
            # The store counts a text that repeats, as of LowCardinality, only once.
            raise too_expensive(RESULT, self._asker.limits, f"Code: {RESULT}. {size} bytes in columns")
        hold(self._memory, self._asker.tenant_id, size)
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

        def run(client: Client, applied: dict[str, str | int]) -> bytes:
            # Within the statement: the client of the embedded engine would set, and set back, each by a query.
            written = ", ".join(f"{setting} = {_literal(value)}" for setting, value in applied.items())
            return client.raw_query(f"{statement}\nSETTINGS {written}", parameters=bound, fmt="RowBinary")

        content = await self._run(name, {}, run)
        hold(self._memory, self._asker.tenant_id, len(content))
        return content

    def hold(self, size: int) -> None:
        """Count bytes that are made of what was read, until the request is over.

        Raises:
            DuoscopeError: as `query`, where there is no room for them.
        """
        hold(self._memory, self._asker.tenant_id, size)

    def release(self, size: int) -> None:
        """Count bytes no longer that were held: those of a result that was used up."""
        spent().release(self._memory, self._asker.tenant_id, size)

    def reached(self, name: str, text: str) -> Reached:
        """Return what is remembered of a question: its name, and what it asks for, "" for all."""
        return Reached(self._guides.reach, self._asker.tenant_id, name, text)

    def kept(self, name: str) -> KeptValues:
        """Return what is kept of what was computed for the tenant, by a name."""
        return KeptValues(self._guides.kept, self._asker.tenant_id, name)

    @property
    def indexed(self) -> Indexed:
        """The columns of attributes that have an index."""
        return self._guides.indexed

    def require_wanted(self) -> None:
        """Raise why the request was ended, if it was, as by its client."""
        if question := current():
            question.require_wanted()

    async def compute(self, work: Callable[[], T], unwanted: threading.Event) -> T:
        """Run what is computed of results in a thread, when it is the tenant's turn, as if it were a statement.

        Args:
            work: must look at `unwanted` often, and end when it is set: a thread cannot be ended.
            unwanted: is set when nobody waits for the result any more.

        Raises:
            DuoscopeError: as `query`, where there is no room for it, and what ended the question.
        """
        question = current()
        if question is None:
            # Work of the process, as in `_run`.
            with asking():
                return await self.compute(work, unwanted)
        with question.at_work():
            async with self._slots.taken(self._asker, question):
                running = asyncio.get_running_loop().run_in_executor(self._computers, work)
                marker = f"compute-{id(running)}"
                with question.running(marker, unwanted.set):
                    try:
                        result = await asyncio.shield(running)
                    except asyncio.CancelledError:
                        unwanted.set()
                        # Its slot is free when its thread is.
                        await asyncio.wait({running})
                        raise
        question.require_wanted()
        return result

    async def _run(
        self, name: str, settings: Mapping[str, str | int], run: Callable[[Client, dict[str, str | int]], T]
    ) -> T:
        """Run one statement, when it is the tenant's turn, until it is through or nobody wants it any more."""
        question, account, limited = current(), spent(), self._asker.limits
        if question is None:
            # Work of the process: each statement by itself.
            with asking():
                return await self._run(name, settings, run)
        question.require_wanted()
        question.refused_with = ""
        if question.begin(self._asker, self._questions.close):
            self._questions.open(question)
        applied = self._settings(question, account, settings)
        marker, applied["log_comment"] = marked(name)

        def work(client: Client) -> tuple[T, Read]:
            return guarded(lambda: run(client, applied), applied=limited), last_read(client)

        with question.at_work():
            await self._settle()
            async with self._slots.taken(self._asker, question) as turn:
                applied.setdefault("max_threads", turn.threads)
                applied["priority"] = turn.priority
                result, read = await self._until_unwanted(question, marker, self._pool.begin(work))
        account.read_rows += read.rows
        account.read_bytes += read.bytes
        question.read_rows += read.rows
        question.read_bytes += read.bytes
        question.require_wanted()
        return result

    async def _until_unwanted(self, question: Question, marker: str, statement: "asyncio.Future[T]") -> T:
        """Wait for a statement. Its slot is free when its thread is: whoever waits may be cancelled before."""
        with question.running(marker, lambda: self._killer.kill(marker, statement)):
            try:
                return await asyncio.shield(statement)
            except asyncio.CancelledError:
                await self._killer.ended(marker, statement)
                raise
            except DuoscopeError as error:
                question.require_wanted()
                # Not counted here: whoever asked may find another way, as pages of large items do.
                question.refused_with = error.code if error.code == TOO_EXPENSIVE else ""
                raise

    def _settings(
        self, question: Question, account: Account, settings: Mapping[str, str | int]
    ) -> dict[str, str | int]:
        """The settings of a statement: limits are the least of the tenant's and its own.

        Raises:
            DuoscopeError: INVALID `query-too-expensive` if the request has read all that it may.
        """
        limited = self._asker.limits
        rows, size = limited.query_rows - account.read_rows, limited.query_bytes - account.read_bytes
        if rows <= 0 or size <= 0:
            question.refused_with = TOO_EXPENSIVE
            raise too_expensive(ROWS if rows <= 0 else BYTES, limited)
        applied: dict[str, str | int] = {
            **_READ_SETTINGS,
            "max_execution_time": limited.query_seconds,
            "max_rows_to_read": rows,
            "max_bytes_to_read": size,
            "max_result_bytes": limited.query_result_bytes,
        }
        for setting, value in settings.items():
            applied[setting] = min(int(value), int(applied[setting])) if setting in _LIMITS else value
        return applied

    async def _settle(self) -> None:
        """Wait for what was sent before the first read. Those that follow do not wait for more that comes meanwhile."""
        if not self._is_settled:
            await self._settled(self._asker.tenant_id)
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
        seconds = limits.TELEMETRY_QUERY_TIMEOUT_S
        settings = {**_READ_SETTINGS, "max_execution_time": seconds, "log_comment": "logs.blocks"}

        def run(client: Client) -> list[Blocks]:
            return [Blocks(*row) for row in client.query(sql, parameters=parameters, settings=settings).result_rows]

        await self._settled(self._asker.tenant_id)
        return await self._watchers.run(lambda client: guarded(lambda: run(client)))


def _literal(value: str | int) -> str:
    """A setting's value, of our own, as SQL."""
    return str(value) if isinstance(value, int) else f"'{value}'"


def _size(column: Sequence[Any]) -> int:
    """The approximate size of a result's column in bytes: the length of texts, also in arrays; a word for all else."""
    words = _WORD_BYTES * len(column)
    first = next((value for value in column if value), None)
    if isinstance(first, str | bytes):
        return words + sum(len(value) for value in column if value)
    if isinstance(first, list):
        return words + sum(_size(cast("list[Any]", value)) for value in column if value)
    return words
