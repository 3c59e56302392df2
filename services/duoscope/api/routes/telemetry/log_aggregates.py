"""Routes of numbers of log records: by time, by fields."""

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
from duoscope.telemetry.aggregates import histogram as histograms
from duoscope.telemetry.aggregates import table
from duoscope.telemetry.aggregates.buckets import buckets
from duoscope.telemetry.language import Signal
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("logs")


@ROUTES.get("/api/v1/logs/histogram", "Count log records over time", "log:read", problems=LISTS)
async def histogram(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    query_text: QueryTextParameter = "",
    step: StepParameter = None,
    by: ByParameter = None,
    limit: ValuesParameter = histograms.VALUES_DEFAULT,
) -> histograms.Histogram:
    """Count the records that a search with the same range and query finds, by step of time, and by the values of a
    field: `by=severity`, or any other.
    """
    times = time_range(start, end)
    return await histograms.histogram(reader, Signal.LOGS, times, query_text, buckets(times, step), by=by, limit=limit)


@ROUTES.post("/api/v1/logs/aggregate", "Aggregate log records", "log:read", problems=LISTS, status_code=200)
async def aggregate(data: JSONBody[AggregateQuery], reader: Reader) -> table.Aggregate:
    """Count the records that a search finds, and measure their fields, by up to five fields: the top groups, all others
    together, and all in one. With a `step` also over time.
    """
    times = time_range(data.start, data.end)
    return await table.aggregate(reader, data.asked(Signal.LOGS, times))
