"""Maps ClickHouse's errors to ours: those that may pass, those of the caller, and those that no retry will mend."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from clickhouse_connect.driver.exceptions import OperationalError

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, unavailable

T = TypeVar("T")

_RETRYABLE_CODES: Final = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 319, 425, 999})
"""Timeouts, too many queries or parts, no memory or space, read-only, unknown status of an INSERT, network."""

_TOO_MANY_PARTITIONS: Final = "Too many partitions for single INSERT block"
"""Has the code of too many parts, but does not pass: the times of a request are spread over years. A retry would fail
every batch that contains it."""

_TOO_EXPENSIVE_CODES: Final = frozenset({158, 159, 160, 241, 307, 396})
"""Too many rows, too slow, too much memory, too many bytes: a read exceeded its own limits."""


_TOO_LONG: Final = "Max query size exceeded"
"""Has the code of a syntax error."""


class RejectedByStoreError(Exception):
    """ClickHouse can never accept these bytes. For internal use: never shown to a client.

    Attributes:
        code: its error code.
        table: which refuses, where the caller says so.
    """

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.table = ""


def guarded(work: Callable[[], T], *, reject: bool = False) -> T:
    """Run `work` and map ClickHouse's errors to ours; their text goes to `detail`.

    Args:
        work: a synchronous call of the client.
        reject: the call is an INSERT, so an error that no retry would mend is caused by its bytes.

    Raises:
        DuoscopeError: UNAVAILABLE if the same call may succeed later; INVALID for a read beyond its limits.
        RejectedByStoreError: only with `reject`: the bytes themselves are the cause.
    """
    try:
        return work()
    except (OperationalError, OSError) as error:
        raise _away(str(error)) from error
    except ClickHouseError as error:
        code = error.code or _code_in(str(error))
        if not reject and _TOO_LONG in str(error):
            raise invalid(
                "The query is too long, written out for the store: use fewer conditions.",
                code="query-too-expensive",
                detail=str(error)[-500:],
            ) from error
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
