"""What a statement really read, which the client does not say: for the embedded engine its summary counts the rows of
the answer, and for rows in binary it has none.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from clickhouse_connect.driver._backend.httpcommon import summary_from_headers
from clickhouse_connect.driver.client import Client


class Read(NamedTuple):
    """Rows and bytes that a statement read in the store."""

    rows: int = 0
    bytes: int = 0


_NOTHING: Final = Read()
_ATTRIBUTE: Final = "last_read_by_duoscope"


def last_read(client: Client) -> Read:
    """The rows and bytes that the client's last statement read; call it in the client's thread."""
    return getattr(client, _ATTRIBUTE, _NOTHING)


def count_embedded(client: Client) -> None:
    """Count what each statement of a client of the embedded engine reads: its connection has the statistics."""
    handle = cast("Any", client)._backend._handle  # noqa: SLF001 - there is no public way
    handle.conn = _Counted(handle.conn, lambda read: setattr(client, _ATTRIBUTE, read))


def count_http(client: Client) -> None:
    """Count what each statement of a client of a server reads: the headers of the answers say it."""
    backend = cast("Any", client)._backend  # noqa: SLF001 - there is no public way
    request = backend.request

    def counted(*args: Any, **options: Any) -> Any:
        setattr(client, _ATTRIBUTE, _NOTHING)
        response: Any = request(*args, **options)
        summary = summary_from_headers(response.headers)
        setattr(client, _ATTRIBUTE, Read(int(summary.get("read_rows", 0)), int(summary.get("read_bytes", 0))))
        return response

    backend.request = counted


class _Counted:
    """A connection to the engine, which tells what each query read."""

    def __init__(self, connection: Any, tell: Callable[[Read], None]) -> None:
        self._connection = connection
        self._tell = tell

    def query(self, *args: Any, **options: Any) -> Any:
        """Run a query."""
        self._tell(_NOTHING)
        result = self._connection.query(*args, **options)
        self._tell(Read(result.storage_rows_read(), result.storage_bytes_read()))
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
