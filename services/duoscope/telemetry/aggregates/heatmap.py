"""Durations of spans over time: how many spans of each step took how long, in buckets that grow with the duration."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import items
from duoscope.telemetry.aggregates.buckets import Buckets, BucketStart, StepNs
from duoscope.telemetry.items import Hint
from duoscope.telemetry.language import Condition, Signal, compile_query
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.values import rfc3339

CELLS_MAX: Final = 200_000
PER_DOUBLING: Final = 4
"""Buckets of durations from one to twice as long: each is 19% wide."""


class Heatmap(Struct, frozen=True):
    """The cells that have spans, by time and then by duration: four lists of equal length."""

    start: BucketStart
    step_ns: StepNs
    bucket_count: int
    count: Annotated[int, Meta(description="All spans that match.")]
    buckets: Annotated[list[int], Meta(description="For each cell the number of its step, from 0.", examples=[[0, 2]])]
    durations_ns: Annotated[
        list[int],
        Meta(
            description=f"For each cell the least duration in it; it reaches to 2^(1/{PER_DOUBLING}) times of that. 0 "
            "has a cell of its own.",
            examples=[[1_048_576, 1_246_974]],
        ),
    ]
    counts: Annotated[list[int], Meta(description="Spans of each cell.", examples=[[17, 4]])]
    error_counts: Annotated[list[int], Meta(description="Those of them whose status is error.", examples=[[0, 4]])]
    hint: Hint = None


async def heatmap(reader: TelemetryReader, times: TimeRange, query: str, cut: Buckets) -> Heatmap:
    """Count the spans of a range that match, by step and duration.

    Raises:
        DuoscopeError: INVALID for the query, and for too many cells; UNAVAILABLE.
    """
    condition = compile_query(query, Signal.TRACES)
    rows = await _cells(reader, times, condition, cut, name="traces.heatmap")
    hint = None
    if not rows:
        wider = compile_query(query, Signal.TRACES, or_text=True)
        if wider != condition:
            rows = await _cells(reader, times, wider, cut, name="traces.heatmap_text")
        hint = items.hint(query, Signal.TRACES, times, found=bool(rows))
    if len(rows) > CELLS_MAX:
        raise invalid(f"The heatmap would have more than {CELLS_MAX} cells; take a larger `step`.")
    return await items.decoded(rows, lambda cells: _heatmap(cells, cut, hint))


def _heatmap(cells: list[dict[str, Any]], cut: Buckets, hint: str | None) -> Heatmap:
    return Heatmap(
        rfc3339(cut.start_ns),
        cut.step_ns,
        cut.count,
        sum(cell["spans"] for cell in cells),
        [cell["bucket"] for cell in cells],
        [_least_ns(cell["duration"]) for cell in cells],
        [cell["spans"] for cell in cells],
        [cell["failed"] for cell in cells],
        hint,
    )


async def _cells(
    reader: TelemetryReader, times: TimeRange, condition: Condition | None, cut: Buckets, *, name: str
) -> list[dict[str, Any]]:
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    duration = f"if(duration_nano = 0, -1, toInt32(floor(log2(duration_nano) * {PER_DOUBLING})))"
    return await reader.query(
        f"SELECT {cut.SQL} AS bucket, {duration} AS duration, count() AS spans, "
        "countIf(status_code = 'error') AS failed "
        f"FROM @traces WHERE {where} GROUP BY bucket, duration ORDER BY bucket, duration LIMIT {{rows:UInt64}}",
        times.parameters | cut.parameters | (condition.parameters if condition else {}) | {"rows": CELLS_MAX + 1},
        name=name,
    )


def _least_ns(duration: int) -> int:
    return 0 if duration < 0 else round(2 ** (duration / PER_DOUBLING))
