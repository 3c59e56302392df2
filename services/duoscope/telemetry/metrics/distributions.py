"""Queries over histograms with explicit and exponential buckets, and over summaries.

ClickHouse turns cumulative points into increments to the previous point, and adds these up for each label, step and
shape of buckets; the few resulting rows are merged here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import items
from duoscope.telemetry.metrics import quantiles
from duoscope.telemetry.metrics.frames import Frame, refuse_too_many
from duoscope.telemetry.sql.increments import WITH_VALUE, Increments, added

_COUNT = added("toFloat64(toInt128(count) - toInt128(count_before))", "toFloat64(count)")
# A sum may be missing or NaN: its observations are then not part of any average.
_SUM = added("known_sum - known_sum_before", "known_sum", "if(isNull(known_sum), NULL, 0)")
_SUMMED = added(
    "if(isNull(known_sum - known_sum_before), 0, toFloat64(count) - toFloat64(count_before))", "toFloat64(summed_count)"
)

_FRAME = """
SELECT {labels} AS labels, {bucket} AS bucket, {grouped}
    sum(counted) AS added_count, sum({sum}) AS added_sum, sum({summed}) AS summed_count{columns}
FROM (SELECT *, {count} AS counted FROM ({increments})) WHERE bucket >= {{start_s:Int64}}
GROUP BY labels, bucket{group} ORDER BY labels, bucket LIMIT {{rows:UInt64}}"""

# `low` and `high` bound all observations: they are known if every point with an increment has them.
_EXTREMES = """,
    minIf(min, isFinite(min)) AS least, maxIf(max, isFinite(max)) AS greatest,
    if(countIf(counted > 0 AND NOT ifNull(isFinite(min), false)) = 0, least, NULL) AS low,
    if(countIf(counted > 0 AND NOT ifNull(isFinite(max), false)) = 0, greatest, NULL) AS high"""
_INDEXES = "arrayMap(i -> toInt64(i) + {side}_offset, range(length({side}_bucket_counts))) AS {side}_indexes"
# Subtracted counts are listed with a minus under the index they have at the later, never higher, scale.
_ADDED_SIDE = """,
    sumMap(
        arrayConcat({side}_indexes, if(take = 'difference',
            arrayMap(i -> bitShiftRight(i, greatest(scale_before - scale, 0)), {side}_indexes_before), [])),
        arrayConcat(arrayMap(c -> if(take = 'none', 0, toInt64(c)), {side}_bucket_counts), if(take = 'difference',
            arrayMap(c -> -toInt64(c), {side}_bucket_counts_before), []))) AS added_{side}"""

_PLACE = ("service_name", "scope_name", "resource", "attributes_json", "timestamp")
_KNOWN_SUM = "if(isFinite(sum), sum, NULL) AS known_sum"
_OBSERVED = (*_PLACE, "count", _KNOWN_SUM, "min", "max")
_SUMMED_COUNT = "if(isFinite(sum), count, 0) AS summed_count"
_REPORTED = (
    "arrayFirstIndex(level -> abs(level - {quantile:Float64}) < 1e-9, quantiles) AS place, "
    "if(place > 0, quantile_values[place], nan) AS reported"
)
_SIDES = ("positive_bucket_counts", "positive_indexes", "negative_bucket_counts", "negative_indexes")
_BUCKETS = ("scale", "zero_count", "if(isFinite(zero_threshold), zero_threshold, 0) AS zero_width", *_SIDES)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How points of one type are read, and how they are aggregated for each label, step and shape of buckets."""

    increments: Increments
    group: str
    columns: str


def _increments(view: str, columns: tuple[str, ...], before: tuple[str, ...], reshaped: str) -> Increments:
    """Increments of `view`; its `where` is still to be set."""
    return Increments(view, "", columns, ("count", "known_sum", *before), f"count < count_before OR {reshaped}")


_SHAPES: Final[dict[str, _Shape]] = {
    "histogram": _Shape(
        _increments(
            "histograms",
            (*_OBSERVED, _SUMMED_COUNT, "bucket_bounds", "bucket_counts"),
            ("bucket_bounds", "bucket_counts"),
            "bucket_bounds != bucket_bounds_before",
        ),
        "bucket_bounds",
        f"""{_EXTREMES},
    sumForEach(multiIf(
        take = 'all', arrayMap(c -> toFloat64(c), bucket_counts),
        take = 'none', arrayMap(c -> 0., bucket_counts),
        arrayMap((c, b) -> toFloat64(c) - toFloat64(b),
            bucket_counts, arrayResize(bucket_counts_before, length(bucket_counts))))) AS added_buckets""",
    ),
    "exponential_histogram": _Shape(
        _increments(
            "exponential_histograms",
            (
                *_OBSERVED,
                _SUMMED_COUNT,
                *(
                    _INDEXES.format(side=name.removesuffix("_indexes")) if name.endswith("_indexes") else name
                    for name in _BUCKETS
                ),
            ),
            ("scale", "zero_count", *_SIDES),
            "scale > scale_before",
        ),
        "scale",
        f"""{_EXTREMES}, max(zero_width) AS zero_width,
    sum({added("toFloat64(zero_count) - toFloat64(zero_count_before)", "toFloat64(zero_count)")})
        AS added_zeros{_ADDED_SIDE.format(side="positive")}{_ADDED_SIDE.format(side="negative")}""",
    ),
    "summary": _Shape(
        replace(
            _increments("summaries", (*_PLACE, "count", _KNOWN_SUM, _SUMMED_COUNT, _REPORTED), (), "false"),
            is_delta="false",
            series="series_id",
        ),
        "",
        """,
    avgIf(reported, isFinite(reported)) AS at_quantile""",
    ),
}

_HOURLY: Final[dict[str, Increments]] = {
    "histogram": replace(
        _SHAPES["histogram"].increments,
        view="histograms_hourly",
        columns=(*_OBSERVED, "summed_count", "bucket_bounds", "bucket_counts"),
    ),
    # Sums of an hour have buckets that are far apart, so their indexes are listed.
    "exponential_histogram": replace(
        _SHAPES["exponential_histogram"].increments,
        view="exponential_histograms_hourly",
        columns=(*_OBSERVED, "summed_count", *_BUCKETS),
    ),
}
"""The columns where a row is the last of an hour, or its sum, and not a point."""


async def query(
    reader: TelemetryReader,
    frame: Frame,
    metric_type: str,
    aggregation: str,
    quantile: float | None,
    *,
    rolled_up: bool,
) -> list[dict[str, Any]]:
    """Query a histogram or a summary. Returns rows (labels, bucket, value).

    `rolled_up` says whether whole hours and services are enough.
    """
    rows = await added_up(reader, frame, metric_type, quantile, rolled_up=rolled_up)
    if quantile is not None:
        evaluate = _QUANTILES[metric_type]
        return await items.decoded(rows, lambda found: _merged(found, lambda group: evaluate(group, quantile)))
    evaluate = _AGGREGATIONS[aggregation]
    return await items.decoded(rows, lambda found: _merged(found, lambda group: evaluate(group, frame.step_s)))


async def added_up(
    reader: TelemetryReader, frame: Frame, metric_type: str, quantile: float | None = None, *, rolled_up: bool
) -> list[dict[str, Any]]:
    """Read what distributions counted, as a row for each label, step and shape of buckets.

    `quantile` is the one that is read of summaries.

    Raises:
        DuoscopeError: INVALID for too many rows; UNAVAILABLE.
    """
    shape = _SHAPES[metric_type]
    hourly = _HOURLY.get(metric_type) if rolled_up else None
    increments = replace(hourly or shape.increments, where=frame.where if hourly else f"{frame.where} AND {WITH_VALUE}")
    sql = _FRAME.format(
        labels=frame.labels,
        bucket=frame.bucket(),
        grouped=f"{shape.group}," if shape.group else "",
        group=f", {shape.group}" if shape.group else "",
        count=_COUNT,
        sum=_SUM,
        summed=_SUMMED,
        columns=shape.columns,
        increments=increments.sql,
    )
    parameters = frame.parameters | {"quantile": -1.0 if quantile is None else quantile}
    rows = await reader.query(sql, parameters, name=f"metrics.{increments.view}")
    refuse_too_many(rows)
    return rows


Rows = list[dict[str, Any]]


def _merged(rows: Rows, evaluate: Callable[[Rows], float | None]) -> Rows:
    """Merge to one row per label and step; a step without observations has none."""
    merged: Rows = []
    for (labels, bucket), group in groupby(rows, key=itemgetter("labels", "bucket")):
        value = evaluate(list(group))
        if value is not None:
            merged.append({"labels": labels, "bucket": bucket, "value": value})
    return merged


def _total(rows: Iterable[dict[str, Any]], column: str) -> float:
    return sum(row[column] for row in rows)


def _sum(rows: Rows, _: int) -> float | None:
    known = [row["added_sum"] for row in rows if row["added_sum"] is not None]
    return sum(known) if known else None


def _average(rows: Rows, step_s: int) -> float | None:
    count, total = _total(rows, "summed_count"), _sum(rows, step_s)
    return total / count if count and total is not None else None


def _least(rows: Rows, _: int) -> float | None:
    return min((row["least"] for row in rows if row["least"] is not None), default=None)


def _greatest(rows: Rows, _: int) -> float | None:
    return max((row["greatest"] for row in rows if row["greatest"] is not None), default=None)


_AGGREGATIONS: Final[dict[str, Callable[[Rows, int], float | None]]] = {
    "count": lambda rows, _: _total(rows, "added_count"),
    "increase": lambda rows, _: _total(rows, "added_count"),
    "rate": lambda rows, step_s: _total(rows, "added_count") / step_s,
    "sum": _sum,
    "avg": _average,
    "min": _least,
    "max": _greatest,
}


def _explicit(rows: Rows, quantile: float) -> float | None:
    return quantiles.explicit(
        ((row["bucket_bounds"], row["added_buckets"], row["low"], row["high"]) for row in rows), quantile
    )


def _exponential(rows: Rows, quantile: float) -> float | None:
    buckets = quantiles.ExponentialBuckets()
    for row in rows:
        positive, negative = (zip(*row[f"added_{side}"], strict=True) for side in ("positive", "negative"))
        bounds = (row["low"], row["high"])
        buckets.add(row["scale"], positive, negative, row["added_zeros"], row["zero_width"], known=bounds)
    return buckets.quantile(quantile)


def _summary(rows: Rows, _: float) -> float | None:
    value = rows[0]["at_quantile"]
    return None if value != value else value  # noqa: PLR0124 - a mean of nothing is NaN


_QUANTILES: Final[dict[str, Callable[[Rows, float], float | None]]] = {
    "histogram": _explicit,
    "exponential_histogram": _exponential,
    "summary": _summary,
}
