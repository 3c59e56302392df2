"""The context of a log record: what the same source sent right before and after it, whatever was searched for."""

from typing import Annotated, Any, Final, Literal, LiteralString

from msgspec import Meta, Struct

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, not_found
from duoscope.kernel.limits import INGEST_AHEAD_MAX_S
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import items, logs, windows
from duoscope.telemetry.logs import LogRecord
from duoscope.telemetry.times import RANGE_MAX_NS, SECOND_NS, TimeRange

SIDE_DEFAULT: Final = 20
SIDE_MAX: Final = 100
"""Records on one side of a record."""
_SHOWN_BYTES: Final = 16 * 1024
"""How much of a body, or of the attributes, of one record is shown."""

Source = Literal["resource", "service", "any"]


class LogContext(Struct, frozen=True):
    """A record among others, all in the order of time."""

    before: Annotated[list[LogRecord], Meta(description="Oldest first.")]
    record: LogRecord
    after: Annotated[list[LogRecord], Meta(description="Oldest first.")]
    more_before: Annotated[
        bool, Meta(description="Whether there are earlier ones: ask again with the `id` of the first one shown.")
    ]
    more_after: bool


_SOURCES: Final[dict[Source, LiteralString]] = {
    "resource": "service_name = {service:String} AND cityHash64(resource, resource_schema_url) = {source:UInt64}",
    "service": "service_name = {service:String}",
    "any": "1",
}
_AT: Final = "fromUnixTimestamp64Nano({at:Int64}, 'UTC')"
# Of records that are equal in everything, one is the record and all others were before it.
_BEFORE: Final = f"timestamp <= {_AT} AND (timestamp < {_AT} OR {logs.TIE_BREAKER} <= {{tie:UInt64}})"
_AFTER: Final = f"timestamp >= {_AT} AND (timestamp > {_AT} OR {logs.TIE_BREAKER} > {{tie:UInt64}})"


async def context(
    reader: TelemetryReader,
    record_id: str,
    *,
    before: int = SIDE_DEFAULT,
    after: int = SIDE_DEFAULT,
    source: Source = "resource",
) -> LogContext:
    """Read the records next to one, in the order in which a search has them.

    Args:
        reader: the tenant's.
        record_id: of the record.
        before: how many earlier ones.
        after: how many later ones.
        source: whose: of the same resource, of the same service, or of all.

    Raises:
        DuoscopeError: INVALID for an invalid id or number; NOT_FOUND; UNAVAILABLE.
    """
    for side in (before, after):
        items.checked_limit(side + 1, SIDE_MAX + 1)
    ts, tie = logs.place_of(record_id)
    parameters: dict[str, object] = {"at": ts, "tie": tie, "cut_bytes": _SHOWN_BYTES}
    found = await reader.query(
        f"SELECT {logs.COLUMNS.cut}, cityHash64(resource, resource_schema_url) AS source FROM @logs "
        f"WHERE {TimeRange.CONDITION} AND {logs.TIE_BREAKER} = {{tie:UInt64}} LIMIT 1",
        parameters | TimeRange(ts, ts + 1).parameters,
        name="logs.context_record",
    )
    if not found:
        raise not_found("log record")
    parameters |= {"service": found[0]["service_name"], "source": found[0]["source"]}
    earlier, more_before = await _side(reader, ts, before + 1, f"{_SOURCES[source]} AND {_BEFORE}", parameters)
    later, more_after = await _side(reader, ts, after, f"{_SOURCES[source]} AND {_AFTER}", parameters, is_after=True)
    shown = await items.decoded([*earlier[:0:-1], found[0], *later], logs.records)
    at = max(0, len(earlier) - 1)
    return LogContext(shown[:at], shown[at], shown[at + 1 :], more_before, more_after)


async def _side(
    reader: TelemetryReader, ts: int, wanted: int, where: str, parameters: dict[str, object], *, is_after: bool = False
) -> tuple[list[dict[str, Any]], bool]:
    """The records nearest to a time, nearest first, and whether there are more; fewer where they are large."""
    if not wanted:
        return [], False
    order = "" if is_after else " DESC"
    sql = (
        f"SELECT {logs.COLUMNS.cut} FROM @logs WHERE {TimeRange.CONDITION} AND {where} "
        f"ORDER BY toStartOfFiveMinutes(timestamp){order}, timestamp{order}, tie_breaker{order} LIMIT {{rows:UInt64}}"
    )

    async def read(times: TimeRange) -> tuple[list[dict[str, Any]], bool]:
        name = f"logs.context_{'after' if is_after else 'before'}"
        fitting = wanted
        while True:
            bound = parameters | times.parameters | {"rows": fitting + 1}
            try:
                rows = await reader.query(sql, bound, name=name)
            except DuoscopeError as error:
                if error.code != "query-too-expensive" or fitting == 1:
                    raise
                fitting //= 2
            else:
                return rows[:fitting], len(rows) > fitting

    if is_after:
        last_ns = now_unix_nano() + INGEST_AHEAD_MAX_S * SECOND_NS
        return await windows.forward(TimeRange(ts, min(2**63 - 1, max(last_ns, ts + 1))), wanted, read)
    return await windows.backward(TimeRange(max(0, ts - RANGE_MAX_NS), ts + 1), ts + 1, wanted, read)
