"""Exemplars: individual measurements that a metric kept, with the span in which each was taken."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import cutting, items, values
from duoscope.telemetry.items import Attributes, Time
from duoscope.telemetry.times import TimeRange

_NO_TRACE: Final = bytes(16)


class Exemplar(Struct, frozen=True):
    """One measurement."""

    timestamp: Time
    metric: str
    service: str
    value: Annotated[float | None, Meta(description="Null if it is not a number.", examples=[0.25])]
    trace_id: Annotated[str | None, Meta(description="32 hexadecimal digits; null without a trace.")]
    span_id: Annotated[str | None, Meta(description="16 hexadecimal digits.")]
    attributes: Annotated[Attributes, Meta(description="Attributes that the metric's points do not have.")]


class ExemplarPage(Struct, frozen=True):
    """One page of exemplars, latest first."""

    items: list[Exemplar]
    next_cursor: str | None


async def list_exemplars(
    reader: TelemetryReader,
    times: TimeRange,
    metric: str,
    *,
    service: str | None = None,
    least: float | None = None,
    limit: int = SEARCH_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> ExemplarPage:
    """List exemplars of a metric, latest first; optionally of one service, and not below `least`.

    A sender may repeat an exemplar at every export; it is listed once. Later pages use the range of the first, whatever
    range the request gives.

    Raises:
        DuoscopeError: INVALID for the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    search = ("exemplars", metric, service, least)
    conditions = ["metric_name = {metric:String}", TimeRange.CONDITION]
    parameters: dict[str, object] = {"metric": metric}
    if service is not None:
        conditions.append("service_name = {service:String}")
        parameters["service"] = service
    if least is not None:
        conditions.append("value >= {least:Float64}")
        parameters["least"] = least
    if cursor:
        times, (at, order) = cursors.decode_in_range(cursor, search, (cursors.UINT64,))
        conditions.append("(timestamp, hash) < (fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC'), {after_hash:UInt64})")
        parameters |= {"after_ns": at, "after_hash": order}
    rows, more = await cutting.beginning(
        reader,
        "service_name, trace_id, span_id, value, value_rest, attributes",
        "toUnixTimestamp64Nano(timestamp) AS ns, "
        # Exemplars have no id: those of one moment are told apart by all their columns.
        "bitXor(cityHash64(service_name, trace_id, span_id, value, attributes), toUInt64(value_rest)) AS hash, "
        f"length(attributes) + 300 AS row_bytes FROM @exemplars WHERE {' AND '.join(conditions)} "
        "ORDER BY ns DESC, hash DESC, row_bytes LIMIT 1 BY ns, hash LIMIT {rows:UInt64}",
        parameters | times.parameters,
        limit,
        name="metrics.exemplars",
    )
    next_cursor = None
    if more:
        next_cursor = cursors.encode(search, [times.start_ns, times.end_ns, rows[-1]["ns"], rows[-1]["hash"]])
    return ExemplarPage(await items.decoded(rows, lambda found: [_exemplar(metric, row) for row in found]), next_cursor)


def _exemplar(metric: str, row: dict[str, Any]) -> Exemplar:
    of_trace = row["trace_id"] != _NO_TRACE
    return Exemplar(
        values.rfc3339(row["ns"]),
        metric,
        row["service_name"],
        _number(row["value"], row["value_rest"]),
        row["trace_id"].hex() if of_trace else None,
        row["span_id"].hex() if any(row["span_id"]) else None,
        values.attributes(row["attributes"]),
    )


def _number(value: float, rest: int) -> float | None:
    """The value; an integer that a double cannot represent exactly is returned as it was sent."""
    if value - value != 0:
        return None
    return int(value) + rest if rest else value
