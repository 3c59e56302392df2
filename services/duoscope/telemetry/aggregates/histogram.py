"""Counts of items by step of time, also by the values of a field."""

import asyncio
from typing import Annotated, Final

from msgspec import Meta, Struct

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.aggregates.buckets import Buckets, BucketStart, StepNs
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.aggregates.table import VALUE_CHARS_MAX, Aggregate, Asked, Others, Row, aggregate
from duoscope.telemetry.items import Hint
from duoscope.telemetry.language import Signal
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.values import rfc3339

VALUES_DEFAULT: Final = 10
VALUES_MAX: Final = 100


class Bars(Struct, frozen=True):
    """The items of one value of the field; of all that have none; or of all further values."""

    value: Annotated[
        str | None,
        Meta(
            description="Null for items without the field, and for those of further values. Of a longer value the "
            f"first {VALUE_CHARS_MAX} characters.",
            examples=["error"],
        ),
    ]
    is_other: Annotated[bool, Meta(description="Whether these are the items of all further values.")]
    count: int
    counts: Annotated[list[int], Meta(description="One for each bucket.", examples=[[12, 0, 7]])]


class Histogram(Struct, frozen=True):
    """Counts of the items of a range that match, by step of time."""

    start: BucketStart
    step_ns: StepNs
    bucket_count: int
    by: str | None
    count: Annotated[int, Meta(description="All items that match.")]
    series: Annotated[
        list[Bars],
        Meta(description="The most frequent values of `by`, then all further ones as one; a single one without `by`."),
    ]
    hint: Hint = None


async def histogram(
    reader: TelemetryReader,
    signal: Signal,
    times: TimeRange,
    query: str,
    cut: Buckets,
    *,
    by: str | None = None,
    limit: int = VALUES_DEFAULT,
) -> Histogram:
    """Count the items of a range that match, by bucket.

    Raises:
        DuoscopeError: INVALID for the query, the field or the limit; UNAVAILABLE.
    """
    fields = () if by is None else (by,)
    found = await aggregate(reader, Asked(signal, times, query, (Measure(),), fields, limit, buckets=cut))
    series = await asyncio.to_thread(_series, found, cut, by)
    return Histogram(rfc3339(cut.start_ns), cut.step_ns, cut.count, by, _count(found.total[0]), series, found.hint)


def _series(found: Aggregate, cut: Buckets, by: str | None) -> list[Bars]:
    series = [_bars(row.group[0] if row.group else None, row) for row in found.rows]
    if found.other:
        series.append(_bars(None, found.other, is_other=True))
    if not series and by is None:
        series.append(Bars(value=None, is_other=False, count=0, counts=[0] * cut.count))
    return series


def _bars(value: str | None, of: Row | Others, *, is_other: bool = False) -> Bars:
    counts = [_count(number) for number in of.series[0]] if of.series else []
    return Bars(value=value, is_other=is_other, count=_count(of.values[0]), counts=counts)


def _count(value: float | None) -> int:
    return int(value or 0)
