"""Histograms with explicit and exponential buckets, and summaries, over time.

ClickHouse turns cumulative points into what each adds to the one before, and adds these up for each label, step and
shape of buckets; the few rows that leaves are merged here.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import items
from duoscope.telemetry.metrics import quantiles
from duoscope.telemetry.metrics.frames import Frame, refuse_too_many

_FRAME = """
SELECT {labels} AS labels, {bucket} AS bucket, {grouped}
    sum(multiIf(take = 'all', toFloat64(count), take = 'none', 0, toFloat64(count) - toFloat64(count_before)))
        AS added_count,
    sum(multiIf(take = 'all', ifNull(sum, 0), take = 'none', 0, ifNull(sum, 0) - ifNull(sum_before, 0)))
        AS added_sum{columns}
FROM (
    SELECT service_name, scope_name, resource, attributes_json, timestamp, start_timestamp, count, sum{read},
        lagInFrame(count) OVER points AS count_before, lagInFrame(sum) OVER points AS sum_before,
        lagInFrame(timestamp) OVER points AS timestamp_before, lagInFrame(start_timestamp) OVER points AS start_before,
        row_number() OVER points AS number,
        multiIf(
            {is_delta}, 'all',
            start_timestamp = timestamp AND (number = 1 OR start_timestamp > start_before), 'none',
            number = 1, if(start_timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC'), 'all', 'none'),
            start_timestamp > start_before AND start_timestamp >= timestamp_before, 'all',
            count < count_before OR {is_reshaped}, 'all',
            'difference') AS take
    FROM @{view}
    WHERE {where}
        AND timestamp >= fromUnixTimestamp64Nano({{read_from_ns:Int64}}, 'UTC')
        AND timestamp < fromUnixTimestamp64Nano({{end_ns:Int64}}, 'UTC')
    WINDOW points AS (PARTITION BY series_id{partition} ORDER BY timestamp ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
) WHERE bucket >= {{start_s:Int64}}
GROUP BY labels, bucket{group} ORDER BY labels, bucket LIMIT {{rows:UInt64}}"""

_EXTREMES = ", min(min) AS least, max(max) AS greatest"
_INDEXES = "arrayMap(i -> toInt64(i) + {side}_offset, range(length({side}_bucket_counts))) AS {side}_indexes"
# What is taken away is listed with a minus under the index it has at the later, never higher, scale.
_ADDED = """,
    sumMap(
        arrayConcat({side}_indexes, if(take = 'difference',
            arrayMap(i -> bitShiftRight(i, greatest(scale_before - scale, 0)), {side}_indexes_before), [])),
        arrayConcat(arrayMap(c -> if(take = 'none', 0, toInt64(c)), {side}_bucket_counts), if(take = 'difference',
            arrayMap(c -> -toInt64(c), {side}_counts_before), []))) AS added_{side}"""
_SIDE = (
    ", {side}_bucket_counts, {indexes}, lagInFrame({side}_bucket_counts) OVER points AS "
    "{side}_counts_before, lagInFrame({side}_indexes) OVER points AS {side}_indexes_before"
)

_SHAPES: Final[dict[str, dict[str, str]]] = {
    "histogram": {
        "view": "histograms",
        "is_delta": "temporality = 'delta'",
        "is_reshaped": "bucket_bounds != bounds_before",
        "partition": ", temporality",
        "group": ", bucket_bounds",
        "grouped": "bucket_bounds,",
        "read": ", min, max, bucket_bounds, bucket_counts, lagInFrame(bucket_bounds) OVER points AS bounds_before, "
        "lagInFrame(bucket_counts) OVER points AS counts_before",
        "columns": f"""{_EXTREMES},
    sumForEach(multiIf(
        take = 'all', arrayMap(c -> toFloat64(c), bucket_counts),
        take = 'none', arrayMap(c -> 0., bucket_counts),
        arrayMap((c, b) -> toFloat64(c) - toFloat64(b),
            bucket_counts, arrayResize(counts_before, length(bucket_counts))))) AS added_buckets""",
    },
    "exponential_histogram": {
        "view": "exponential_histograms",
        "is_delta": "temporality = 'delta'",
        "is_reshaped": "scale > scale_before",
        "partition": ", temporality",
        "group": ", scale",
        "grouped": "scale,",
        "read": ", min, max, scale, zero_count, zero_threshold, lagInFrame(scale) OVER points AS scale_before, "
        "lagInFrame(zero_count) OVER points AS zero_before"
        + _SIDE.format(side="positive", indexes=_INDEXES.format(side="positive"))
        + _SIDE.format(side="negative", indexes=_INDEXES.format(side="negative")),
        "columns": f"""{_EXTREMES}, max(zero_threshold) AS zero_width,
    sum(multiIf(take = 'all', toFloat64(zero_count), take = 'none', 0, toFloat64(zero_count) - toFloat64(zero_before)))
        AS added_zeros{_ADDED.format(side="positive")}{_ADDED.format(side="negative")}""",
    },
    "summary": {
        "view": "summaries",
        "is_delta": "false",
        "is_reshaped": "false",
        "partition": "",
        "group": "",
        "grouped": "",
        "read": ", quantiles, quantile_values",
        "columns": """,
    avgIf(quantile_values[arrayFirstIndex(level -> abs(level - {quantile:Float64}) < 1e-9, quantiles)],
        arrayExists(level -> abs(level - {quantile:Float64}) < 1e-9, quantiles)) AS at_quantile""",
    },
}


_HOURLY: Final[dict[str, dict[str, str]]] = {
    "histogram": {"view": "histograms_hourly"},
    "exponential_histogram": {
        "view": "exponential_histograms_hourly",
        # Sums of an hour have buckets that are far apart: the indexes are listed.
        "read": ", min, max, scale, zero_count, zero_threshold, lagInFrame(scale) OVER points AS scale_before, "
        "lagInFrame(zero_count) OVER points AS zero_before"
        + _SIDE.format(side="positive", indexes="positive_indexes")
        + _SIDE.format(side="negative", indexes="negative_indexes"),
    },
}
"""What differs where rows are the last of an hour, or its sum, and not points."""


async def query(
    reader: TelemetryReader,
    frame: Frame,
    metric_type: str,
    aggregation: str,
    quantile: float | None,
    *,
    rolled_up: bool,
) -> list[dict[str, Any]]:
    """Rows (labels, bucket, value) of a histogram or a summary; `rolled_up`: whether hours and services are enough."""
    shape = _SHAPES[metric_type] | (_HOURLY.get(metric_type, {}) if rolled_up else {})
    sql = _FRAME.format(labels=frame.labels, bucket=frame.bucket(), where=frame.where, **shape)
    parameters = frame.parameters | {"quantile": -1.0 if quantile is None else quantile}
    rows = await reader.query(sql, parameters, name=f"metrics.{shape['view']}")
    refuse_too_many(rows)
    if quantile is not None:
        evaluate = _QUANTILES[metric_type]
        return await items.decoded(rows, lambda found: _merged(found, lambda group: evaluate(group, quantile)))
    evaluate = _AGGREGATIONS[aggregation]
    return await items.decoded(rows, lambda found: _merged(found, lambda group: evaluate(group, frame.step_s)))


Rows = list[dict[str, Any]]


def _merged(rows: Rows, evaluate: Callable[[Rows], float | None]) -> Rows:
    """One row for each label and step; a step in which nothing was observed has none."""
    merged: Rows = []
    for (labels, bucket), group in groupby(rows, key=itemgetter("labels", "bucket")):
        value = evaluate(list(group))
        if value is not None:
            merged.append({"labels": labels, "bucket": bucket, "value": value})
    return merged


def _total(rows: Iterable[dict[str, Any]], column: str) -> float:
    return sum(row[column] for row in rows)


def _average(rows: Rows, _: int) -> float | None:
    count = _total(rows, "added_count")
    return _total(rows, "added_sum") / count if count else None


def _least(rows: Rows, _: int) -> float | None:
    return min((row["least"] for row in rows if row["least"] is not None), default=None)


def _greatest(rows: Rows, _: int) -> float | None:
    return max((row["greatest"] for row in rows if row["greatest"] is not None), default=None)


_AGGREGATIONS: Final[dict[str, Callable[[Rows, int], float | None]]] = {
    "count": lambda rows, _: _total(rows, "added_count"),
    "increase": lambda rows, _: _total(rows, "added_count"),
    "rate": lambda rows, step_s: _total(rows, "added_count") / step_s,
    "sum": lambda rows, _: _total(rows, "added_sum"),
    "avg": _average,
    "min": _least,
    "max": _greatest,
}


def _explicit(rows: Rows, quantile: float) -> float | None:
    return quantiles.explicit(((row["bucket_bounds"], row["added_buckets"]) for row in rows), quantile)


def _exponential(rows: Rows, quantile: float) -> float | None:
    buckets = quantiles.ExponentialBuckets()
    for row in rows:
        positive, negative = (zip(*row[f"added_{side}"], strict=True) for side in ("positive", "negative"))
        buckets.add(row["scale"], positive, negative, row["added_zeros"], row["zero_width"])
    return buckets.quantile(quantile)


def _summary(rows: Rows, _: float) -> float | None:
    value = rows[0]["at_quantile"]
    return None if value != value else value  # noqa: PLR0124 - a mean of nothing is NaN


_QUANTILES: Final[dict[str, Callable[[Rows, float], float | None]]] = {
    "histogram": _explicit,
    "exponential_histogram": _exponential,
    "summary": _summary,
}
