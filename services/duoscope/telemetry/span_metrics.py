"""RED metrics of a service by step: requests, errors and durations, from the rollup of spans by minute.

Durations are counted in buckets that are 9% wide, so a percentile is off by less than that.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metrics.frames import Frame, framed, second
from duoscope.telemetry.metrics.quantiles import ExponentialBuckets
from duoscope.telemetry.times import SECOND_NS, TimeRange

MINUTE_S: Final = 60
BUCKET_SCALE: Final = 3
"""Bucket i holds durations from 2^(i/8) ns on: an exponential histogram of scale 3."""

SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
_DurationNs = Annotated[int | None, Meta(description="Nanoseconds, to 9%; null without spans.", examples=[12_345_678])]

IS_REQUEST: Final = "is_request"
IN_MINUTES: Final = "minute >= toDateTime({start_s:Int64}, 'UTC') AND minute < toDateTime({end_s:Int64}, 'UTC')"


class Figure(Struct, frozen=True):
    """The RED metrics of one step."""

    time: Annotated[str, Meta(description="Start of the step.", examples=["2026-01-31T12:00:00Z"])]
    count: int
    error_count: Annotated[int, Meta(description="Those of the spans whose status is error.")]
    duration_avg_ns: int
    duration_max_ns: int
    duration_p50_ns: _DurationNs
    duration_p95_ns: _DurationNs
    duration_p99_ns: _DurationNs


class ServiceFigures(Struct, frozen=True):
    """The RED metrics of a service over time: of its requests, or of the spans of an operation or kind. Empty steps are
    left out.
    """

    service: str
    operation: str | None
    kind: str | None
    step_s: Annotated[int, Meta(description="Seconds between points: whole minutes.", examples=[60])]
    start: Annotated[str, Meta(description="`start`, rounded down to a whole step.")]
    end: Annotated[str, Meta(description="`end`, rounded up to a whole step.")]
    points: list[Figure]


_FIGURES = """
SELECT {bucket} AS bucket, sum(count) AS spans, sumIf(count, status_code = 'error') AS failed,
    sum(duration_sum) AS total, max(duration_max) AS longest, sumMap(duration_buckets) AS buckets
FROM @figures WHERE {where} GROUP BY bucket ORDER BY bucket"""


async def service_figures(
    reader: TelemetryReader,
    times: TimeRange,
    service: str,
    *,
    operation: str | None = None,
    kind: SpanKind | None = None,
    step: str | int | None = None,
) -> ServiceFigures:
    """Read the RED metrics of a service, by step.

    Args:
        reader: the tenant's.
        times: the range, which is widened to whole steps.
        service: its name.
        operation: a span name. With it or a kind, all such spans count; without them, the service's requests.
        kind: of the spans.
        step: whole minutes, as for metrics.

    Raises:
        DuoscopeError: INVALID for the step; UNAVAILABLE.
    """
    frame = _of_minutes(times, step)
    conditions = ["service_name = {service:String}", IN_MINUTES]
    parameters: dict[str, object] = {
        "start_s": frame.start_s,
        "end_s": frame.end_s,
        "step_s": frame.step_s,
        "service": service,
    }
    if operation is not None:
        conditions.append("span_name = {operation:String}")
        parameters["operation"] = operation
    if kind is not None:
        conditions.append("span_kind = {kind:String}")
        parameters["kind"] = kind
    if operation is None and kind is None:
        conditions.append(IS_REQUEST)
    rows = await reader.query(
        _FIGURES.format(bucket=frame.bucket("minute"), where=" AND ".join(conditions)),
        parameters,
        name="figures.service",
    )
    return ServiceFigures(
        service, operation, kind, frame.step_s, second(frame.start_s), second(frame.end_s), [_figure(r) for r in rows]
    )


def minutes_of(times: TimeRange) -> dict[str, int]:
    """The parameters of IN_MINUTES: the range widened to whole minutes."""
    minute_ns = MINUTE_S * SECOND_NS
    return {
        "start_s": times.start_ns // minute_ns * MINUTE_S,
        "end_s": -(-times.end_ns // minute_ns) * MINUTE_S,
    }


def percentiles(buckets: tuple[Sequence[int], Sequence[int]], longest: int) -> list[int]:
    """The 50th, 95th and 99th percentile of (indexes, counts), in nanoseconds; none is above the longest."""
    merged = ExponentialBuckets()
    merged.add(BUCKET_SCALE, zip(*buckets, strict=True), (), 0, 0)
    found = [merged.quantile(q) for q in (0.5, 0.95, 0.99)]
    return [min(longest, round(value)) for value in found if value is not None]


def _of_minutes(times: TimeRange, step: str | int | None) -> Frame:
    frame = framed("", times, step, (), None)
    if step is None and frame.step_s < MINUTE_S:
        return framed("", times, MINUTE_S, (), None)
    if frame.step_s % MINUTE_S:
        raise invalid("`step` must be whole minutes here, such as 1m or 1h.")
    return frame


def _figure(row: dict[str, Any]) -> Figure:
    return Figure(
        second(row["bucket"]),
        row["spans"],
        row["failed"],
        round(row["total"] / row["spans"]),
        row["longest"],
        *percentiles(row["buckets"], row["longest"]),
    )
