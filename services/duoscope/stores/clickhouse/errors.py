"""Maps ClickHouse's errors to ours: those that may pass, those of the caller, and those that no retry will mend."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from clickhouse_connect.driver.exceptions import OperationalError

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, unavailable
from duoscope.kernel.query_limits import QueryLimits

T = TypeVar("T")

_RETRYABLE_CODES: Final = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 319, 425, 999})
"""Timeouts, too many queries or parts, no memory or space, read-only, unknown status of an INSERT, network."""

_TOO_MANY_PARTITIONS: Final = "Too many partitions for single INSERT block"
"""Has the code of too many parts, but does not pass: the times of a request are spread over years. A retry would fail
every batch that contains it."""

TOO_EXPENSIVE: Final = "query-too-expensive"
ROWS: Final = 158
BYTES: Final = 307
_TIME: Final = frozenset({159, 160})
_MEMORY: Final = 241
RESULT: Final = 396
_TOO_EXPENSIVE_CODES: Final = frozenset({ROWS, BYTES, *_TIME, _MEMORY, RESULT})
"""A read exceeded its own limits."""

_OF_ALL: Final = "(total)"
"""Has the code of too much memory, but says that all queries together use too much."""

_KILLED: Final = 394

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


def guarded(work: Callable[[], T], *, reject: bool = False, applied: QueryLimits | None = None) -> T:
    """Run `work` and map ClickHouse's errors to ours; their text goes to `detail`.

    Args:
        work: a synchronous call of the client.
        reject: the call is an INSERT, so an error that no retry would mend is caused by its bytes.
        applied: the limits of a read, for its error; by default those of a tenant without limits of its own.

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
                code=TOO_EXPENSIVE,
                detail=str(error)[-500:],
            ) from error
        if not reject and code in _TOO_EXPENSIVE_CODES and _OF_ALL not in str(error):
            raise too_expensive(code, applied or QueryLimits(), str(error)) from error
        if code == _KILLED:
            raise invalid(
                "The query was cancelled in the store.", code="query-cancelled", detail=str(error)[-500:]
            ) from error
        if code is None or (code in _RETRYABLE_CODES and _TOO_MANY_PARTITIONS not in str(error)):
            raise _away(str(error)) from error
        if reject:
            raise RejectedByStoreError(code, str(error)) from error
        raise DuoscopeError(
            ErrorKind.INTERNAL, "telemetry-query-failed", "The query could not be run.", detail=str(error)
        ) from error


def too_expensive(code: int, applied: QueryLimits, detail: str = "") -> DuoscopeError:
    """The error for a read that reached a limit: which, and what helps.

    Args:
        code: ClickHouse's error code, which says which limit it was.
        applied: the limits.
        detail: for the log.
    """
    less = "a shorter time range, a service or an exact value of an attribute lets it read less"
    reached = {
        ROWS: f"reads more than {applied.query_rows:,} rows, your tenant's limit query_rows: {less}.",
        BYTES: f"reads more than {applied.query_bytes:,} bytes, your tenant's limit query_bytes: {less}.",
        RESULT: f"has a result of more than {applied.query_result_bytes:,} bytes, your tenant's limit "
        "query_result_bytes: ask for fewer items, groups or series, or a shorter time range.",
        _MEMORY: f"needs more than {limits.TELEMETRY_QUERY_MEMORY_BYTES_MAX // 2**30} GiB of memory: take a shorter "
        "time range, or group by fewer fields or by ones with fewer values.",
    }.get(code, f"takes longer than {applied.query_seconds} s, your tenant's limit query_seconds: {less}.")
    return invalid(f"The query {reached}", code=TOO_EXPENSIVE, detail=detail or None)


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
