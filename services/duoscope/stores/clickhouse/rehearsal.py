"""Finds out why an INSERT would be refused, without storing anything: on copies of a table, of its views and of their
tables.

If one view refuses an INSERT, its rows are already in the table, and perhaps in other views. So parts of a refused
block are tried on copies, which have the same columns, constraints, partitions and codecs, in a database that is
dropped afterwards. A copy that a kill left behind is dropped when the same name is rehearsed again.
"""

import re
from typing import Any, Final, LiteralString, Self

from clickhouse_connect.driver.client import Client

from duoscope.kernel import limits
from duoscope.stores.clickhouse.errors import RejectedByStoreError, guarded
from duoscope.stores.clickhouse.pool import Pool
from duoscope.stores.clickhouse.schema import DATABASE

PREFIX: Final = "duoscope_rehearsal_"
_TARGET = re.compile(rf"\sTO {DATABASE}\.(\w+)\s")
_REPLICATED = re.compile(r"ENGINE = Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")
_DEFINITIONS: Final[LiteralString] = (
    "SELECT name, create_table_query, as_select, dependencies_table FROM system.tables "
    "WHERE database = {database:String}"
)
# Settings that the definitions need and that are off by default, as the migrator has them.
_CREATING: Final = {"enable_alp_codec": 1, "log_comment": "rehearsal"}


class Rehearsal:
    """A context in which blocks for one table are tried out. Rehearsals at the same time need different names."""

    def __init__(self, pool: Pool, table: str, name: str) -> None:
        if not re.fullmatch(r"\w+", name):
            raise ValueError(f"No name for a database: {name!r}")
        self._pool = pool
        self._table = table
        self._database = PREFIX + name

    async def __aenter__(self) -> Self:
        """Make the copies.

        Raises:
            DuoscopeError: UNAVAILABLE, or INTERNAL if the account may not make them.
        """
        await self._pool.run(lambda client: guarded(lambda: self._make(client)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.run(lambda client: guarded(lambda: self._drop(client)))

    async def takes(self, block: bytes, form: str) -> bool:
        """Whether the table and all its views accept a block.

        Raises:
            DuoscopeError: UNAVAILABLE: the answer is unknown.
        """
        settings = {
            "async_insert": 0,
            "max_threads": 1,
            "max_partitions_per_insert_block": limits.INGEST_PARTITIONS_MAX,
            "max_memory_usage": limits.INGEST_INSERT_MEMORY_BYTES_MAX,
            "log_comment": "rehearsal",
        }
        table = f"{self._database}.{self._table}"

        def run(client: Client) -> None:
            client.raw_insert(table, insert_block=block, fmt=form, settings=settings)

        try:
            await self._pool.run(lambda client: guarded(lambda: run(client), reject=True))
        except RejectedByStoreError:
            return False
        return True

    def _drop(self, client: Client) -> None:
        client.command(f"DROP DATABASE IF EXISTS {self._database} SYNC")

    def _make(self, client: Client) -> None:
        rows = client.query(_DEFINITIONS, parameters={"database": DATABASE}).result_rows
        found = {name: (create, select, views) for name, create, select, views in rows}
        self._drop(client)
        client.command(f"CREATE DATABASE {self._database}")
        self._copy(client, self._table, found)
        for view in found[self._table][2]:
            create, select, _ = found[view]
            target = _TARGET.search(create)
            if not target:
                raise ValueError(f"{view} has no table that it fills")
            self._copy(client, target[1], found)
            source = re.sub(rf"\b{DATABASE}\.(?={self._table}\b)", f"{self._database}.", select)
            self._create(
                client, f"CREATE MATERIALIZED VIEW {self._database}.{view} TO {self._database}.{target[1]} AS {source}"
            )

    def _copy(self, client: Client, table: str, found: dict[str, Any]) -> None:
        create = found[table][0].replace(
            f"CREATE TABLE {DATABASE}.", f"CREATE TABLE IF NOT EXISTS {self._database}.", 1
        )
        # One server's copy is enough, and a replica's path is already in use.
        self._create(client, _REPLICATED.sub(r"ENGINE = \1(", create))

    @staticmethod
    def _create(client: Client, sql: str) -> None:
        client.command(sql, settings=_CREATING)
