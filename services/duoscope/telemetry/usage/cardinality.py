"""The metrics with the most series, and the attributes that cause them, from the table of series (docs/adr/0028)."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.limits import INGEST_AHEAD_MAX_S
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.sql.seen import SEEN, half_hours
from duoscope.telemetry.times import SECOND_NS

WINDOW_S: Final = 3600
ROWS_MAX: Final = 200_000_000
"""Rows that may be read for one of the lists."""
TIMEOUT_S: Final = 10

_SETTINGS: Final = {"max_execution_time": TIMEOUT_S, "max_rows_to_read": ROWS_MAX}


class MetricCardinality(Struct, frozen=True):
    """A metric and its number of series."""

    metric: Annotated[str, Meta(examples=["http.server.request.duration"])]
    series: Annotated[int, Meta(examples=[48_211])]


class LabelCardinality(Struct, frozen=True):
    """A label: an attribute of the points, or, with the prefix `resource.`, of their resource."""

    label: Annotated[str, Meta(examples=["user.id"])]
    values: Annotated[
        int, Meta(description="Number of different values; estimated above a few thousand.", examples=[45_102])
    ]
    series: Annotated[
        int, Meta(description="Number of series with it; estimated above a few thousand.", examples=[48_211])
    ]


class Cardinality(Struct, frozen=True):
    """The active series of the tenant, and their largest causes."""

    active_series: Annotated[
        int, Meta(description="Series seen within the window; of the named metric, if there is one.")
    ]
    series_limit: Annotated[
        int,
        Meta(description="A receiver rejects new series beyond it as too-many-series; 0 means no limit."),
    ]
    rejected_points: Annotated[
        int, Meta(description="Points of the last hour that were rejected as too-many-series, of all metrics.")
    ]
    window_seconds: Annotated[
        int, Meta(description="Length of the time window. The half hour in which it begins counts whole.")
    ]
    metrics: Annotated[list[MetricCardinality], Meta(description="The metrics with the most series first.")]
    labels: Annotated[list[LabelCardinality], Meta(description="The labels with the most different values first.")]


async def cardinality(reader: TelemetryReader, applied: IngestLimits, *, metric: str | None, limit: int) -> Cardinality:
    """Find the `limit` metrics and labels with the most series, over all metrics or in one.

    Raises:
        DuoscopeError: INVALID `query-too-expensive` if there is too much to read.
    """
    now_ns = now_unix_nano()
    start_ns = now_ns - WINDOW_S * SECOND_NS
    # Up to the latest time that a point may have: senders' clocks may be ahead.
    parameters = half_hours(start_ns, now_ns + INGEST_AHEAD_MAX_S * SECOND_NS) | {"rows": limit}
    if metric is not None:
        parameters["metric"] = metric
    of_one = metric is not None
    metrics = await reader.query(
        _metrics_sql(of_one=of_one), parameters, name="cardinality.metrics", settings=_SETTINGS
    )
    labels = await reader.query(_labels_sql(of_one=of_one), parameters, name="cardinality.labels", settings=_SETTINGS)
    return Cardinality(
        active_series=int(metrics[0]["total"]) if metrics else 0,
        series_limit=applied.active_series,
        rejected_points=await _rejected(reader, now_ns),
        window_seconds=WINDOW_S,
        metrics=[MetricCardinality(row["metric_name"], int(row["series"])) for row in metrics],
        labels=[_label(row) for row in labels],
    )


def _label(row: dict[str, Any]) -> LabelCardinality:
    return LabelCardinality(row["label"], int(row["different"]), int(row["series"]))


async def _rejected(reader: TelemetryReader, now_ns: int) -> int:
    rows = await reader.query(
        "SELECT sum(items) AS rejected FROM @rejections WHERE reason = 'too-many-series' "
        "AND minute >= toDateTime({since:UInt32}, 'UTC')",
        {"since": now_ns // SECOND_NS - 3600},
        name="cardinality.rejected",
    )
    return int(rows[0]["rejected"])


def _condition(*, of_one: bool) -> str:
    return f"{SEEN} AND metric_name = {{metric:String}}" if of_one else SEEN


def _metrics_sql(*, of_one: bool) -> str:
    return (
        "SELECT metric_name, uniqExact(series_id) AS series, sum(uniqExact(series_id)) OVER () AS total "
        f"FROM @series WHERE {_condition(of_one=of_one)} "
        "GROUP BY metric_name ORDER BY series DESC, metric_name LIMIT {rows:UInt64}"
    )


def _labels_sql(*, of_one: bool) -> str:
    pairs = (
        "arrayConcat(JSONExtractKeysAndValuesRaw(any_attributes), "
        "arrayMap(p -> (concat('resource.', p.1), p.2), JSONExtractKeysAndValuesRaw(any_resource)))"
    )
    return (
        f"SELECT tupleElement(pair, 1) AS label, uniq(tupleElement(pair, 2)) AS different, count() AS series FROM ("
        f"SELECT arrayJoin({pairs}) AS pair FROM ("
        "SELECT any(attributes_json) AS any_attributes, any(resource) AS any_resource "
        f"FROM @series WHERE {_condition(of_one=of_one)} GROUP BY metric_name, series_id)) "
        "GROUP BY label ORDER BY different DESC, series DESC, label LIMIT {rows:UInt64}"
    )
