"""The account that may change the schema: what the migrator needs of a client."""

from collections.abc import Sequence
from typing import Any, Self

from clickhouse_connect.driver.client import Client

from duoscope.kernel.settings import Settings
from duoscope.stores.clickhouse.client import open_client
from duoscope.stores.clickhouse.errors import guarded
from duoscope.stores.clickhouse.schema import DATABASE


class SchemaAccount:
    """The client that the migrator uses."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def execute(self, sql: str) -> None:
        """Run a statement that returns no rows."""
        self._client.command(sql)

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows."""
        return self._client.query(sql).result_rows

    def close(self) -> None:
        """Close the connection, and the engine with the last one."""
        self._client.close()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open an account that may change the schema, in a database that is created if it does not exist.

        Raises:
            DuoscopeError: UNAVAILABLE when ClickHouse cannot be reached.
        """
        on_cluster = f" ON CLUSTER '{settings.clickhouse_cluster}'" if settings.clickhouse_cluster else ""

        def connect() -> Self:
            first = open_client(settings, database="default", admin=True)
            try:
                first.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}{on_cluster}")
            finally:
                first.close()
            return cls(open_client(settings, database=DATABASE, admin=True))

        return guarded(connect)
