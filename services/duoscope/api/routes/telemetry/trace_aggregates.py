"""Routes of numbers of spans: by time, by fields, by duration."""

from typing import Final

from litestar.params import JSONBody

from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import (
    AggregateQuery,
    ByParameter,
    EndParameter,
    QueryTextParameter,
    Reader,
    StartParameter,
    StepParameter,
    ValuesParameter,
)
from duoscope.telemetry.aggregates import heatmap as heatmaps
from duoscope.telemetry.aggregates import histogram as histograms
from duoscope.telemetry.aggregates import table
from duoscope.telemetry.aggregates.buckets import buckets
from duoscope.telemetry.language import Signal
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("traces")


@ROUTES.get("/api/v1/traces/histogram", "Count spans over time", "trace:read", problems=LISTS)
async def histogram(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    query_text: QueryTextParameter = "",
    step: StepParameter = None,
    by: ByParameter = None,
    limit: ValuesParameter = histograms.VALUES_DEFAULT,
) -> histograms.Histogram:
    """Count the spans that match a query by step of time, and by the values of a field: `by=status`, or any other."""
    times = time_range(start, end)
    return await histograms.histogram(
        reader, Signal.TRACES, times, query_text, buckets(times, step), by=by, limit=limit
    )


@ROUTES.get("/api/v1/traces/heatmap", "Count spans over time and duration", "trace:read", problems=LISTS)
async def heatmap(
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    query_text: QueryTextParameter = "",
    step: StepParameter = None,
) -> heatmaps.Heatmap:
    """Count the spans that match a query by step of time and by duration, in buckets that grow with the duration."""
    times = time_range(start, end)
    return await heatmaps.heatmap(reader, times, query_text, buckets(times, step))


@ROUTES.post("/api/v1/traces/aggregate", "Aggregate spans", "trace:read", problems=LISTS, status_code=200)
async def aggregate(data: JSONBody[AggregateQuery], reader: Reader) -> table.Aggregate:
    """Count the spans that match a query, and measure their fields, by up to five fields: requests, errors and
    durations by any attribute. The top groups, all others together, and all in one; with a `step` also over time.
    """
    times = time_range(data.start, data.end)
    return await table.aggregate(reader, data.asked(Signal.TRACES, times))
