"""Gauges and counters over time."""

from typing import Any, Final

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metric_frames import Frame
from duoscope.telemetry.times import TimeRange

HOUR_S: Final = 3600

_OF_POINTS: Final = {
    "avg": "avg(value)",
    "sum": "sum(value)",
    "min": "min(value)",
    "max": "max(value)",
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

# How much a point adds to what its series had counted at the point before. A series that began, or began anew, since
# then has counted all of its value since; one that was there before anything was read adds nothing by its first point.
_INCREASES = """
SELECT {labels} AS labels, {bucket} AS bucket, sum(added){per_second} AS value FROM (
    SELECT service_name, scope_name, resource, attributes_json, timestamp,
        lagInFrame(value) OVER points AS value_before, lagInFrame(timestamp) OVER points AS timestamp_before,
        row_number() OVER points AS number,
        multiIf(
            temporality = 'delta', value,
            number = 1, if(start_timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC'), value, 0),
            start_timestamp > timestamp_before OR (is_monotonic AND value < value_before), value,
            value - value_before) AS added
    FROM @metrics
    WHERE {where} AND metric_type = 'counter'
        AND timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC')
        AND timestamp < fromUnixTimestamp64Nano({{end_ns:Int64}}, 'UTC')
    WINDOW points AS (PARTITION BY series_id, temporality ORDER BY timestamp ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
) WHERE bucket >= {{start_s:Int64}}
GROUP BY labels, bucket ORDER BY labels, bucket """


async def query(
    reader: TelemetryReader, frame: Frame, metric_type: str, aggregation: str, quantile: float | None
) -> list[dict[str, Any]]:
    """Rows (labels, bucket, value) of a gauge or a counter."""
    if aggregation in ("rate", "increase"):
        sql = _INCREASES.format(
            labels=frame.labels,
            bucket=frame.bucket(),
            where=frame.where,
            per_second=" / {step_s:Int64}" if aggregation == "rate" else "",
        )
        return await reader.query(sql + _END, frame.parameters, name="metrics.increases")
    where = f"{frame.where} AND metric_type = {{metric_type:String}} AND {TimeRange.CONDITION}"
    if aggregation == "last":
        sql = (
            "SELECT labels, bucket, sum(newest) AS value FROM ("
            f"SELECT {frame.labels} AS labels, {frame.bucket()} AS bucket, argMax(value, timestamp) AS newest "
            f"FROM @metrics WHERE {where} GROUP BY labels, bucket, series_id) "
            f"GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
        )
    else:
        of_points = _OF_POINTS.get(aggregation, f"quantileExactInclusive({quantile})(value)")
        sql = (
            f"SELECT {frame.labels} AS labels, {frame.bucket()} AS bucket, {of_points} AS value "
            f"FROM @metrics WHERE {where} GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
        )
    return await reader.query(sql, frame.parameters | {"metric_type": metric_type}, name="metrics.points")


def rolled_up(frame: Frame, aggregation: str, *, only_services: bool) -> bool:
    """Whether the hourly rollup, which knows a metric's services and no attributes, answers exactly the same."""
    return (
        aggregation in _OF_ROLLUPS
        and frame.step_s % HOUR_S == 0
        and only_services
        and set(frame.group_by) <= {"service"}
    )


async def query_rollup(reader: TelemetryReader, frame: Frame, aggregation: str) -> list[dict[str, Any]]:
    """The same rows from a thousandth of the data."""
    sql = (
        f"SELECT {frame.labels} AS labels, {frame.bucket('hour')} AS bucket, {_OF_ROLLUPS[aggregation]} AS value "
        f"FROM @metrics_hourly WHERE {frame.where} AND toUnixTimestamp(hour) >= {{start_s:Int64}} "
        "AND toInt64(toUnixTimestamp(hour)) * 1000000000 < {end_ns:Int64} "
        f"GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
    )
    return await reader.query(sql, frame.parameters, name="metrics.hourly")
