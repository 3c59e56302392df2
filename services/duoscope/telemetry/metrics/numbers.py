"""Gauges and counters over time, from the points or, for whole hours, from the rollups of a thousandth of their size.

What a counter counted does not depend on how it was exported. A delta point says it; a cumulative one says it by how
much it is above the point before, of the same series and the same life. So the aggregations of counters are over these
increases, but for counters that go up and down and send totals: such values mean something by themselves, as a gauge's.
"""

from collections.abc import Sequence
from typing import Any, Final

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metrics.frames import Frame
from duoscope.telemetry.times import TimeRange

_OF_POINTS: Final = {
    "avg": "avg({value})",
    "sum": "sum({value})",
    "min": "min({value})",
    "max": "max({value})",
    "count": "toFloat64(count())",
}
_OF_ROLLUPS: Final = {
    "avg": "sum(sum_value) / sum(count)",
    "sum": "sum(sum_value)",
    "min": "min(min_value)",
    "max": "max(max_value)",
    "count": "toFloat64(sum(count))",
}
_END = "LIMIT {rows:UInt64}"
_IS_DELTA = "temporality = 'delta'"

# How much a point adds to what its series had counted at the point before. A series that began, or began anew, since
# then has counted all of its value since; of one that was there before anything was read the first point says nothing,
# nor does one whose start is its own time: nobody knows when that began (OTLP data model, "unknown start time").
_INCREASES = """
SELECT {labels} AS labels, {bucket} AS bucket, {aggregated} AS value FROM (
    SELECT service_name, scope_name, resource, attributes_json, timestamp,
        lagInFrame(value) OVER points AS value_before, lagInFrame(timestamp) OVER points AS timestamp_before,
        lagInFrame(start_timestamp) OVER points AS start_before, row_number() OVER points AS number,
        multiIf(
            {says_it}, value,
            start_timestamp = timestamp AND (number = 1 OR start_timestamp > start_before), NULL,
            number = 1, if(start_timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC'), value, NULL),
            start_timestamp > start_before AND start_timestamp >= timestamp_before, value,
            is_monotonic AND value < value_before, value,
            value - value_before) AS added
    FROM @{view}
    WHERE {where} AND metric_type = 'counter'
        AND timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC')
        AND timestamp < fromUnixTimestamp64Nano({{end_ns:Int64}}, 'UTC')
    WINDOW points AS (PARTITION BY series_id, temporality ORDER BY timestamp ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
) WHERE bucket >= {{start_s:Int64}}
GROUP BY labels, bucket HAVING isNotNull(value) ORDER BY labels, bucket """


async def query(
    reader: TelemetryReader,
    frame: Frame,
    shapes: Sequence[dict[str, Any]],
    aggregation: str,
    quantile: float | None,
    *,
    rolled_up: bool,
) -> list[dict[str, Any]]:
    """Rows (labels, bucket, value) of a gauge or a counter.

    Args:
        reader: the tenant's.
        frame: what is asked.
        shapes: of the metric, all of one type: `kind`, `is_monotonic`, `temporality_text`.
        aggregation: one of `metrics.AGGREGATIONS`, or a percentile.
        quantile: of a percentile.
        rolled_up: whether the rollups can answer, which know whole hours, services and no attributes.
    """
    kind = shapes[0]["kind"]
    is_delta = [shape["temporality_text"] == "delta" for shape in shapes]
    is_total = [bool(s["is_monotonic"]) and not delta for s, delta in zip(shapes, is_delta, strict=True)]
    of_increases = kind == "counter" and all(map(bool.__or__, is_delta, is_total))
    if aggregation in ("rate", "increase") or (aggregation == "sum" and of_increases):
        aggregated = "ifNull(sum(added), 0)" + (" / {step_s:Int64}" if aggregation == "rate" else "")
        return await _increases(reader, frame, aggregated, _IS_DELTA, "counters_hourly" if rolled_up else "metrics")
    if aggregation == "last":
        has_last = rolled_up and kind == "counter" and not any(is_delta)
        return await _last(reader, frame, kind, "counters_hourly" if has_last else "metrics")
    if any(is_total) and kind == "counter" and aggregation != "count":
        aggregated = _aggregated(aggregation, quantile, "added")
        return await _increases(reader, frame, aggregated, f"{_IS_DELTA} OR NOT is_monotonic", "metrics")
    if rolled_up and aggregation in _OF_ROLLUPS and not (any(is_total) and kind == "counter"):
        return await _rollup(reader, frame, kind, aggregation)
    sql = (
        f"SELECT {frame.labels} AS labels, {frame.bucket()} AS bucket, {_aggregated(aggregation, quantile, 'value')} "
        f"AS value FROM @metrics WHERE {frame.where} AND metric_type = {{metric_type:String}} "
        f"AND {TimeRange.CONDITION} GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
    )
    return await reader.query(sql, frame.parameters | {"metric_type": kind}, name="metrics.points")


def _aggregated(aggregation: str, quantile: float | None, value: str) -> str:
    return _OF_POINTS.get(aggregation, f"quantileExactInclusive({quantile})({{value}})").format(value=value)


async def _increases(
    reader: TelemetryReader, frame: Frame, aggregated: str, says_it: str, view: str
) -> list[dict[str, Any]]:
    sql = _INCREASES.format(
        labels=frame.labels,
        bucket=frame.bucket(),
        aggregated=aggregated,
        says_it=says_it,
        view=view,
        where=frame.where,
    )
    return await reader.query(sql + _END, frame.parameters, name=f"metrics.increases.{view}")


async def _last(reader: TelemetryReader, frame: Frame, kind: str, view: str) -> list[dict[str, Any]]:
    sql = (
        "SELECT labels, bucket, sum(newest) AS value FROM ("
        f"SELECT {frame.labels} AS labels, {frame.bucket()} AS bucket, argMax(value, timestamp) AS newest "
        f"FROM @{view} WHERE {frame.where} AND metric_type = {{metric_type:String}} AND {TimeRange.CONDITION} "
        "GROUP BY labels, bucket, series_id) "
        f"GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
    )
    return await reader.query(sql, frame.parameters | {"metric_type": kind}, name=f"metrics.last.{view}")


async def _rollup(reader: TelemetryReader, frame: Frame, kind: str, aggregation: str) -> list[dict[str, Any]]:
    sql = (
        f"SELECT {frame.labels} AS labels, {frame.bucket('hour')} AS bucket, {_OF_ROLLUPS[aggregation]} AS value "
        f"FROM @metrics_hourly WHERE {frame.where} AND metric_type = {{metric_type:String}} "
        "AND hour >= toDateTime({start_s:Int64}, 'UTC') AND hour < toDateTime({end_s:Int64}, 'UTC') "
        f"GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
    )
    parameters = frame.parameters | {"metric_type": kind, "end_s": frame.end_s}
    return await reader.query(sql, parameters, name="metrics.rollup.metrics_hourly")
