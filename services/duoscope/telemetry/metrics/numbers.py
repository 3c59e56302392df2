"""Queries over gauges and counters, from the points or, for whole hours, from the rollups, which are a thousand times
smaller.

The increase of a counter does not depend on how it was exported. A delta point is an increase; a cumulative point's
increase is its difference to the previous point of the same series and lifetime. Aggregations of counters are over
these increases, except for counters that go up and down and send totals: their values are meaningful by themselves,
like those of a gauge.
"""

from collections.abc import Sequence
from typing import Any, Final

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metrics.frames import Frame
from duoscope.telemetry.sql.increments import IS_NUMBER, Increments, added
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

# An integer beyond 2^53 is stored as a double and a rest: a difference uses both, and a displayed value is their sum.
_ADDED = added("(value - value_before) + (value_rest - value_rest_before)", "value", "NULL")
_FELL = "is_monotonic AND (value < value_before OR value = value_before AND value_rest < value_rest_before)"
_WHOLE = "toInt128(if(value_is_int, value, 0)) + value_rest"
_SHOWN_WHOLE = "if(min(is_int) AND abs(value) >= 9007199254740992, toString({whole}), '')"
_OF_WHOLE: Final = {name: _SHOWN_WHOLE.format(whole=f"{name}(whole)") for name in ("sum", "min", "max")}

_POINTS = """
SELECT labels, bucket, {aggregated} AS value, {whole_text} AS whole_text FROM (
    SELECT {labels} AS labels, {bucket} AS bucket, value AS sent, {whole} AS whole, value_is_int AS is_int
    FROM @metrics WHERE {where} AND metric_type = {{metric_type:String}} AND {is_number} AND {in_range})
GROUP BY labels, bucket ORDER BY labels, bucket """

_INCREASES = """
SELECT labels, bucket, {aggregated} AS value
FROM (SELECT {labels} AS labels, {bucket} AS bucket, {added} AS added FROM ({increments}))
WHERE bucket >= {{start_s:Int64}}
GROUP BY labels, bucket HAVING isNotNull(value) ORDER BY labels, bucket """

# The newest value of each stream. If a series has several streams, only those count that no other has followed: a
# stream is followed by one that begins at its last point or later, as after a restart.
_LAST = """
SELECT labels, bucket, sum(one.1) AS value, {whole_text} AS whole_text FROM (
    SELECT labels, bucket, arrayJoin(arrayFilter(
        (_, at, start) -> at > latest_start OR start = latest_start,
        groupArray(newest), groupArray(newest_at), groupArray(start_at))) AS one, one.2 AS whole, one.3 AS is_int,
        max(start_at) AS latest_start
    FROM (
        SELECT {labels} AS labels, {bucket} AS bucket, series_id, {start} AS start_at, max(timestamp) AS newest_at,
            argMax(({read}), timestamp) AS newest
        FROM @{view} WHERE {where} GROUP BY labels, bucket, series_id, start_at)
    GROUP BY labels, bucket, series_id)
GROUP BY labels, bucket ORDER BY labels, bucket """


async def query(
    reader: TelemetryReader,
    frame: Frame,
    shapes: Sequence[dict[str, Any]],
    aggregation: str,
    quantile: float | None,
    *,
    rolled_up: bool,
) -> list[dict[str, Any]]:
    """Query a gauge or a counter. Returns rows (labels, bucket, value).

    Args:
        reader: the tenant's.
        frame: time buckets, labels and filter.
        shapes: of the metric, all of one type: `kind`, `is_monotonic`, `temporality_text`.
        aggregation: one of `metrics.AGGREGATIONS`, or a percentile.
        quantile: of a percentile.
        rolled_up: whether the rollups are enough, which have whole hours, services and no attributes.
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
    sql = _POINTS.format(
        labels=frame.labels,
        bucket=frame.bucket(),
        aggregated=_aggregated(aggregation, quantile, "sent"),
        whole=_WHOLE,
        whole_text=_OF_WHOLE.get(aggregation, "''"),
        where=frame.where,
        is_number=IS_NUMBER,
        in_range=TimeRange.CONDITION,
    )
    return await reader.query(sql + _END, frame.parameters | {"metric_type": kind}, name="metrics.points")


def _aggregated(aggregation: str, quantile: float | None, value: str) -> str:
    return _OF_POINTS.get(aggregation, f"quantileExactInclusive({quantile})({{value}})").format(value=value)


def _counted(frame: Frame, view: str, is_delta: str = _IS_DELTA) -> Increments:
    flagged = IS_NUMBER if view == "metrics" else "isFinite(value)"
    return Increments(
        view=view,
        where=f"{frame.where} AND metric_type = 'counter' AND {flagged}",
        columns=("service_name", "scope_name", "resource", "attributes_json", "timestamp", "value", "value_rest"),
        before=("value", "value_rest"),
        fell=_FELL,
        is_delta=is_delta,
    )


async def _increases(
    reader: TelemetryReader, frame: Frame, aggregated: str, is_delta: str, view: str
) -> list[dict[str, Any]]:
    sql = _INCREASES.format(
        labels=frame.labels,
        bucket=frame.bucket(),
        aggregated=aggregated,
        added=_ADDED,
        increments=_counted(frame, view, is_delta).sql,
    )
    return await reader.query(sql + _END, frame.parameters, name=f"metrics.increases.{view}")


async def _last(reader: TelemetryReader, frame: Frame, kind: str, view: str) -> list[dict[str, Any]]:
    nothing = "toDateTime64(0, 9, 'UTC')"
    of_points = view == "metrics"
    is_number = IS_NUMBER if of_points else "isFinite(value)"
    sql = _LAST.format(
        labels=frame.labels,
        bucket=frame.bucket(),
        start=f"if({_IS_DELTA}, {nothing}, {_counted(frame, view).start})" if kind == "counter" else nothing,
        read=f"value, {_WHOLE}, value_is_int" if of_points else "value, 0, false",
        whole_text=_OF_WHOLE["sum"],
        view=view,
        where=f"{frame.where} AND metric_type = {{metric_type:String}} AND {is_number} AND {TimeRange.CONDITION}",
    )
    return await reader.query(sql + _END, frame.parameters | {"metric_type": kind}, name=f"metrics.last.{view}")


async def _rollup(reader: TelemetryReader, frame: Frame, kind: str, aggregation: str) -> list[dict[str, Any]]:
    sql = (
        f"SELECT {frame.labels} AS labels, {frame.bucket('hour')} AS bucket, {_OF_ROLLUPS[aggregation]} AS value "
        f"FROM @metrics_hourly WHERE {frame.where} AND metric_type = {{metric_type:String}} "
        "AND hour >= toDateTime({start_s:Int64}, 'UTC') AND hour < toDateTime({end_s:Int64}, 'UTC') "
        f"GROUP BY labels, bucket ORDER BY labels, bucket {_END}"
    )
    parameters = frame.parameters | {"metric_type": kind, "end_s": frame.end_s}
    return await reader.query(sql, parameters, name="metrics.rollup.metrics_hourly")
