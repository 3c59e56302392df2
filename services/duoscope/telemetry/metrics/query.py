"""Metrics: the list of them, and queries over time.

A query returns one series of points for each combination of labels. The meaning of an aggregation depends on the type:

    gauge            avg, sum, min, max, count, percentiles are over all points of a step; last adds up the newest
                     point of each series
    counter          increase is the amount counted in a step, rate the same per second; resets are detected, and both
                     temporalities give the same results. sum is the increase, avg, min, max, percentiles are over the
                     increments of points, count is points, last adds up the newest values as they were sent.
                     A counter that goes up and down and sends totals is treated as a gauge except by increase and rate.
                     Writers of one series are told apart by their start times
    histogram        (explicit or exponential) count and increase are observations in a step, rate the same per second,
                     sum and avg are over them, percentiles are interpolated in merged buckets, within the reported
                     extremes; min and max as reported
    summary          count, increase, rate, sum, avg likewise; percentiles are the mean of the reported ones

Percentiles are p0 to p100, optionally with decimals. Points without a value (NO_RECORDED_VALUE), NaN and infinities are
left out of all of these. A result is in one unit: values in different units are never combined.

Queries with steps of whole hours and without attributes read rollups (docs/adr/0011).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Final, TypedDict, Unpack

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import items, values
from duoscope.telemetry.items import Time
from duoscope.telemetry.language import Signal, compile_query, fields_of
from duoscope.telemetry.metrics import distributions, numbers
from duoscope.telemetry.metrics.frames import Frame, Series, framed, second
from duoscope.telemetry.sql.increments import IN_RANGE, WITH_VALUE
from duoscope.telemetry.times import SECOND_NS, TimeRange

SERVICES_SHOWN_MAX: Final = 100
UNITS_NAMED_MAX: Final = 20
SCHEMA_URLS_NAMED_MAX: Final = 20
_SCHEMA_URLS_NS: Final = 3600 * SECOND_NS
"""How much of the range schema URLs are looked for in: rollups do not have them, and points may be many."""

_NUMBER = ("avg", "sum", "min", "max", "count", "last")
_DISTRIBUTION = ("count", "sum", "avg", "rate", "increase")
AGGREGATIONS: Final[dict[str, tuple[str, ...]]] = {
    "gauge": _NUMBER,
    "counter": (*_NUMBER, "rate", "increase"),
    "histogram": (*_DISTRIBUTION, "min", "max"),
    "exponential_histogram": (*_DISTRIBUTION, "min", "max"),
    "summary": _DISTRIBUTION,
}
"""The aggregations of each type, besides percentiles, which all types have."""
_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d{1,12})?)", re.ASCII)
_DIMENSIONLESS = re.compile(r"1?(?:\{[^{}]*\})?")
"""Units that only name what is counted, as in UCUM: nothing, 1, {request}."""
_VIEWS: Final = {
    "gauge": "metrics",
    "counter": "metrics",
    "histogram": "histograms",
    "exponential_histogram": "exponential_histograms",
    "summary": "summaries",
}


class Metric(Struct, frozen=True):
    """A metric as it was sent. A name sent in several shapes is listed once for each."""

    name: Annotated[str, Meta(examples=["http.server.request.duration"])]
    type: Annotated[str, Meta(description="gauge, counter, histogram, exponential_histogram or summary.")]
    temporality: Annotated[str, Meta(description="cumulative, delta or unspecified.")]
    is_monotonic: Annotated[bool, Meta(description="For a counter: whether it only grows.")]
    unit: Annotated[str, Meta(examples=["s"])]
    description: str
    services: Annotated[list[str], Meta(description=f"The first {SERVICES_SHOWN_MAX}.")]
    first_seen: Time
    last_seen: Time


class MetricPage(Struct, frozen=True):
    """One page of metrics, ordered by name."""

    items: list[Metric]
    next_cursor: str | None


class SchemaUrls(Struct, frozen=True):
    """The versions of the semantic conventions that points name: those of the resource and those of the scope."""

    resource: Annotated[list[str], Meta(examples=[["https://opentelemetry.io/schemas/1.30.0"]])]
    scope: list[str]


class MetricResult(Struct, frozen=True):
    """The points of a metric over time."""

    metric: str
    type: Annotated[str | None, Meta(description="Null for a metric that was never seen.")]
    unit: Annotated[str, Meta(description="Unit of these points.", examples=["s"])]
    other_units: Annotated[
        list[str],
        Meta(
            description="Those in which points of this name and type came as well, which are left out; see `unit`. "
            f"The latest {UNITS_NAMED_MAX}."
        ),
    ]
    schema_urls: Annotated[
        SchemaUrls | None,
        Meta(
            description="Null unless the query has `with_schema_urls`. Of points like these, of the last hour of the "
            "range, or the hour before the metric was last "
            f"seen. The first {SCHEMA_URLS_NAMED_MAX} of each by name."
        ),
    ]
    aggregation: str
    step_s: Annotated[int, Meta(description="Seconds between points.", examples=[60])]
    start: Annotated[str, Meta(description="`start`, rounded down to a whole step.")]
    end: Annotated[str, Meta(description="`end`, rounded up to a whole step.")]
    series: list[Series]
    truncated: Annotated[bool, Meta(description="Whether there are more series than these.")]


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that were read of a metric, and what they mean.

    Attributes:
        frame: its buckets and labels.
        kind: the metric's type; None for one that was never seen.
        unit: of the values.
        other_units: of points that are left out.
        aggregation: that was chosen.
        rows: labels, bucket, value.
        last_seen_ns: when the metric was seen last; 0 for never.
    """

    frame: Frame
    kind: str | None
    unit: str
    other_units: list[str]
    aggregation: str
    rows: list[dict[str, Any]]
    last_seen_ns: int


_SHAPE = "metric_name, toString(metric_type), toString(temporality), is_monotonic, toString(unit)"
_AFTER = (
    f"({_SHAPE}) > ({{after_name:String}}, {{after_type:String}}, {{after_temporality:String}}, "
    "{after_monotonic:UInt8}, {after_unit:String})"
)
_CURSOR_PARTS = (cursors.Text(), cursors.Text(), cursors.Text(), cursors.Whole(0, 1), cursors.Text())
_LISTED = f"""
    toString(metric_type) AS kind, toString(temporality) AS temporality_text, toString(unit) AS unit_text,
    anyLast(description) AS description_text, arraySort(groupUniqArray({SERVICES_SHOWN_MAX})(service_name)) AS services,
    toUnixTimestamp64Nano(min(first_seen)) AS first_ns, toUnixTimestamp64Nano(max(last_seen)) AS last_ns"""


async def list_metrics(
    reader: TelemetryReader,
    *,
    prefix: str = "",
    service: str | None = None,
    limit: int = LIST_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> MetricPage:
    """List metrics whose name starts with `prefix`, ordered by name.

    Raises:
        DuoscopeError: INVALID for the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, LIST_LIMIT_MAX)
    search = ("metrics", prefix, service)
    conditions = ["startsWith(metric_name, {prefix:String})"]
    parameters: dict[str, object] = {"prefix": prefix, "rows": limit + 1}
    if service is not None:
        conditions.append("service_name = {service:String}")
        parameters["service"] = service
    if cursor:
        position = cursors.decode(cursor, search, _CURSOR_PARTS)
        conditions.append(_AFTER)
        names = ("after_name", "after_type", "after_temporality", "after_monotonic", "after_unit")
        parameters.update(zip(names, position, strict=True))
    rows = await reader.query(
        f"SELECT metric_name, is_monotonic, {_LISTED} FROM @metric_names WHERE {' AND '.join(conditions)} "
        "GROUP BY metric_name, metric_type, temporality, is_monotonic, unit "
        f"ORDER BY {_SHAPE} LIMIT {{rows:UInt64}}",
        parameters,
        name="metrics.list",
    )
    next_cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        last = [rows[-1][name] for name in ("metric_name", "kind", "temporality_text", "is_monotonic", "unit_text")]
        next_cursor = cursors.encode(search, last)
    return MetricPage([_metric(row) for row in rows], next_cursor)


class How(TypedDict, total=False):
    """How a metric is read.

    Attributes:
        metric_type: for a name sent with several types; by default the type seen last.
        unit: for a name sent in several units; by default the unit of the latest matching point.
        aggregation: see above; by default rate for monotonic counters, avg for others.
        query_text: a filter in the search language; words have no meaning here.
        group_by: `service`, `scope`, or attributes as the search language names them.
    """

    metric_type: str | None
    unit: str | None
    aggregation: str | None
    query_text: str
    group_by: Sequence[str]


async def query(
    reader: TelemetryReader,
    times: TimeRange,
    metric: str,
    *,
    step: str | int | None = None,
    with_schema_urls: bool = False,
    **how: Unpack[How],
) -> MetricResult:
    """Query a metric over time, in buckets of `step`, with one series for each combination of the `group_by`
    attributes.

    Args:
        reader: the tenant's.
        times: the range, which is widened to whole steps.
        metric: its name.
        step: seconds, or a text such as 5m; by default one that gives enough points for a chart.
        with_schema_urls: whether to read them, which takes a statement of its own over the points of an hour.
        how: see `How`.

    Raises:
        DuoscopeError: INVALID, naming the invalid part; UNAVAILABLE.
    """
    found = await read(reader, times, metric, step=step, **how)
    schema_urls = SchemaUrls([], []) if with_schema_urls else None
    if with_schema_urls and found.last_seen_ns:
        schema_urls = await _schema_urls(reader, found)
    series, truncated = await items.decoded(found.rows, found.frame.series)
    return MetricResult(
        metric=metric,
        type=found.kind,
        unit=found.unit,
        other_units=found.other_units,
        schema_urls=schema_urls,
        aggregation=found.aggregation,
        step_s=found.frame.step_s,
        start=second(found.frame.start_s),
        end=second(found.frame.end_s),
        series=series,
        truncated=truncated,
    )


async def read(
    reader: TelemetryReader, times: TimeRange, metric: str, *, step: str | int | None = None, **how: Unpack[How]
) -> Found:
    """Read what `query` answers, as rows.

    Raises:
        DuoscopeError: as `query`.
    """
    meant = await sought(reader, times, metric, step=step, **how)
    frame, kind = meant.frame, meant.kind
    is_monotonic = bool(meant.shapes and meant.shapes[0]["is_monotonic"])
    chosen, quantile = _aggregation(how.get("aggregation"), kind, is_monotonic=is_monotonic)
    if kind is None or not meant.shapes:
        return Found(frame, kind, "", [], chosen, [], 0)
    frame, unit, others, rolled_up = await in_one_unit(reader, meant, **how)
    if kind in ("gauge", "counter"):
        rows = await numbers.query(reader, frame, meant.shapes, chosen, quantile, rolled_up=rolled_up)
    else:
        rows = await distributions.query(reader, frame, kind, chosen, quantile, rolled_up=rolled_up)
    return Found(frame, kind, unit, others, chosen, rows, max(row["last_ns"] for row in meant.shapes))


@dataclass(frozen=True, slots=True)
class Sought:
    """A metric that is asked for.

    Attributes:
        frame: its buckets and labels.
        kind: the metric's type; None for one that was never seen.
        shapes: those in which it was sent with this type, the latest first; none if it never was.
    """

    frame: Frame
    kind: str | None
    shapes: list[dict[str, Any]]


async def sought(
    reader: TelemetryReader, times: TimeRange, metric: str, *, step: str | int | None = None, **how: Unpack[How]
) -> Sought:
    """Look up what is asked for.

    Raises:
        DuoscopeError: INVALID for the query, the step, the labels or the type; UNAVAILABLE.
    """
    metric_type = how.get("metric_type")
    condition = compile_query(how.get("query_text", ""), Signal.METRICS)
    frame = framed(metric, times, step, how.get("group_by", ()), condition)
    shapes = await reader.query(
        f"SELECT metric_name, is_monotonic, {_LISTED} FROM @metric_names WHERE metric_name = {{metric:String}} "
        "GROUP BY metric_name, metric_type, temporality, is_monotonic, unit ORDER BY last_ns DESC, kind",
        {"metric": metric},
        name="metrics.shape",
    )
    if metric_type is not None and metric_type not in AGGREGATIONS:
        raise invalid(f"`type` is one of {', '.join(AGGREGATIONS)}, not {metric_type[:40]!r}.")
    shape = next((row for row in shapes if metric_type in (None, row["kind"])), None)
    kind = shape["kind"] if shape else metric_type
    return Sought(frame, kind, [row for row in shapes if row["kind"] == kind])


async def in_one_unit(reader: TelemetryReader, meant: Sought, **how: Unpack[How]) -> tuple[Frame, str, list[str], bool]:
    """The frame of what is asked for in one unit, that unit, those of other points, and whether rollups are enough.

    Raises:
        DuoscopeError: INVALID for a unit that the metric never had; UNAVAILABLE.
    """
    frame = meant.frame
    known = list(dict.fromkeys(row["unit_text"] for row in meant.shapes))
    unit, others = await _units(reader, frame, str(meant.kind), known, how.get("unit"))
    rolled_up = frame.of_hours_and_services and fields_of(how.get("query_text", "")) <= {"service"} and not others
    if others:
        frame = replace(frame, units=tuple(each for each in known if _alike(each, unit)))
    return frame, unit, others, rolled_up


async def _units(
    reader: TelemetryReader, frame: Frame, kind: str, known: list[str], asked: str | None
) -> tuple[str, list[str]]:
    """The unit of the result, and the units of other points, which it leaves out."""
    if asked is not None and asked not in known:
        listed = ", ".join(repr(each) for each in known[:UNITS_NAMED_MAX]) + (", …" * (len(known) > UNITS_NAMED_MAX))
        raise invalid(f"`unit` of this metric is one of {listed}, not {asked[:40]!r}.")
    found = known
    if len({"" if _alike(each, "") else each for each in known}) > 1:
        rows = await reader.query(
            f"SELECT toString(unit) AS found, max(timestamp) AS latest FROM {_points_of(kind, frame)} AND {IN_RANGE} "
            f"AND {WITH_VALUE} GROUP BY found ORDER BY latest DESC, found",
            frame.parameters | {"metric_type": kind},
            name="metrics.units",
        )
        found = [row["found"] for row in rows] or known
    shown = asked if asked is not None else found[0]
    return shown, [each for each in found if not _alike(each, shown)][:UNITS_NAMED_MAX]


async def _schema_urls(reader: TelemetryReader, found: Found) -> SchemaUrls:
    frame, kind = found.frame, str(found.kind)
    end_ns = min(frame.end_s * SECOND_NS, found.last_seen_ns + 1)
    names = ", ".join(
        f"arraySort(arrayFilter(url -> url != '', groupUniqArray({SCHEMA_URLS_NAMED_MAX + 1})"
        f"(toString({column}_schema_url)))) AS {column}_urls"
        for column in ("resource", "scope")
    )
    rows = await reader.query(
        f"SELECT {names} FROM {_points_of(kind, frame)} AND {IN_RANGE}",
        frame.parameters
        | {"metric_type": kind}
        | {"read_from_ns": max(frame.start_s * SECOND_NS, end_ns - _SCHEMA_URLS_NS, 0), "end_ns": max(end_ns, 0)},
        name="metrics.schema_urls",
    )
    return SchemaUrls(*(rows[0][f"{column}_urls"][:SCHEMA_URLS_NAMED_MAX] for column in ("resource", "scope")))


def _points_of(kind: str, frame: Frame) -> str:
    """The stored points of a type that meet the frame's filter, with `metric_type` bound."""
    of_kind = "metric_type = {metric_type:String}" if _VIEWS[kind] == "metrics" else "true"
    return f"@{_VIEWS[kind]} WHERE {frame.where} AND {of_kind}"


def _alike(unit: str, other: str) -> bool:
    """Whether values in two units may be added up."""
    return unit == other or bool(_DIMENSIONLESS.fullmatch(unit) and _DIMENSIONLESS.fullmatch(other))


def _aggregation(asked: str | None, kind: str | None, *, is_monotonic: bool) -> tuple[str, float | None]:
    if asked is None:
        return ("rate" if kind == "counter" and is_monotonic else "avg"), None
    if (found := _PERCENTILE.fullmatch(asked)) and (quantile := Decimal(found.group(1)) / 100) <= 1:
        return asked, float(quantile)
    every = {name for names in AGGREGATIONS.values() for name in names}
    takes = AGGREGATIONS[kind] if kind else tuple(sorted(every))
    if asked not in takes:
        of_what = f"a {kind.replace('_', ' ')}" if kind and asked in every else "a metric"
        raise invalid(
            f"`aggregation` of {of_what} is one of {', '.join(takes)} or p0 to p100, such as p99.9, not {asked[:40]!r}."
        )
    return asked, None


def _metric(row: dict[str, Any]) -> Metric:
    return Metric(
        row["metric_name"],
        row["kind"],
        row["temporality_text"],
        bool(row["is_monotonic"]),
        row["unit_text"],
        row["description_text"],
        row["services"],
        values.rfc3339(row["first_ns"]),
        values.rfc3339(row["last_ns"]),
    )
