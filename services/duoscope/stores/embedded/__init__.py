"""The stores that come with the package: a PostgreSQL child process over one data directory.

The embedded ClickHouse engine needs no process of its own, only a repair after a kill or a power cut. Both share the
lock on the data directory.
"""

from duoscope.stores.embedded.deduplication import TokenLogs, forget_missing_parts, set_aside_untold_parts
from duoscope.stores.embedded.lock import DataDirectoryLock
from duoscope.stores.embedded.postgres import EmbeddedPostgres, PostgresAddress, postgres_address

__all__ = [
    "DataDirectoryLock",
    "EmbeddedPostgres",
    "PostgresAddress",
    "TokenLogs",
    "forget_missing_parts",
    "postgres_address",
    "set_aside_untold_parts",
]
