"""Routes of metrics."""

from typing import Annotated, Final

from litestar.params import JSONBody, QueryParameter

from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import (
    EndParameter,
    MetricFormulas,
    MetricsQuery,
    QueryTextParameter,
    Reader,
    StartParameter,
)
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.telemetry.metrics import exemplars, formulas, heatmap
from duoscope.telemetry.metrics import query as metrics
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("metrics")


@ROUTES.get("/api/v1/metrics", "List metrics", "metric:read", problems=LISTS)
async def list_metrics(
    reader: Reader,
    prefix: Annotated[str, QueryParameter(max_length=1024, description="Beginning of the name.")] = "",
    service: Annotated[str | None, QueryParameter(max_length=1024, description="Only of this service.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
) -> metrics.MetricPage:
    """The metrics, ordered by name, with their type, unit and the services that send them."""
    return await metrics.list_metrics(reader, prefix=prefix, service=service, limit=limit, cursor=cursor)


@ROUTES.post("/api/v1/metrics/query", "Query a metric over time", "metric:read", problems=LISTS, status_code=200)
async def query(data: JSONBody[MetricsQuery], reader: Reader) -> metrics.MetricResult:
    """Query a metric over time, in steps, with one series for each combination of the attributes to group by."""
    return await metrics.query(
        reader,
        time_range(data.start, data.end),
        data.metric,
        step=data.step,
        with_schema_urls=data.with_schema_urls,
        **data.how,
    )


@ROUTES.post(
    "/api/v1/metrics/formulas", "Query several metrics, and formulas over them", "metric:read", problems=LISTS,
    status_code=200,
)  # fmt: skip
async def evaluate(data: JSONBody[MetricFormulas], reader: Reader) -> formulas.Results:
    """Query up to six metrics over one range and in one step, and evaluate formulas over the results: PromQL that names
    the queries, such as `100 * errors / requests` or `topk(5, a)`. A value is missing where one of its operands is;
    `fill` says what stands in the gaps of a query. With `at` in place of a range the answer has one step: the newest
    that had ended then.
    """
    shown = formulas.Shown(data.limit, data.top_by, data.order == "desc")
    times, step = data.frame
    return await formulas.evaluate(reader, times, data.by_name, data.formulas, step=step, shown=shown)


@ROUTES.get("/api/v1/metrics/heatmap", "Count observations over time and value", "metric:read", problems=LISTS)
async def count_by_value(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    metric: Annotated[str, QueryParameter(min_length=1, max_length=1024, description="Name of a histogram.")],
    start: StartParameter = None,
    end: EndParameter = None,
    query_text: QueryTextParameter = "",
    metric_type: Annotated[
        str | None, QueryParameter(name="type", description="For a name that was sent with several types.")
    ] = None,
    unit: Annotated[
        str | None, QueryParameter(max_length=1024, description="For a name that was sent in several units.")
    ] = None,
    step: Annotated[
        str | None,
        QueryParameter(description="Seconds, or a text such as 5m; by default such that there are about 200 columns."),
    ] = None,
) -> heatmap.MetricHeatmap:
    """Count the observations of a histogram, explicit or exponential, by step of time and by bands of values: its
    buckets, of all series that match, together.
    """
    times = time_range(start, end)
    how = metrics.How(metric_type=metric_type, unit=unit, query_text=query_text)
    return await heatmap.heatmap(reader, times, metric, step=step, **how)


@ROUTES.get("/api/v1/metrics/exemplars", "List exemplars of a metric", "metric:read", problems=LISTS)
async def list_exemplars(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    metric: Annotated[str, QueryParameter(min_length=1, max_length=1024, description="Name of the metric.")],
    start: StartParameter = None,
    end: EndParameter = None,
    service: Annotated[str | None, QueryParameter(max_length=1024, description="Only of this service.")] = None,
    min_value: Annotated[float | None, QueryParameter(description="Only exemplars of at least this value.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=SEARCH_LIMIT_MAX)] = SEARCH_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
) -> exemplars.ExemplarPage:
    """Individual measurements, latest first, with the traces they were taken in."""
    times = time_range(start, end)
    return await exemplars.list_exemplars(
        reader, times, metric, service=service, least=min_value, limit=limit, cursor=cursor
    )
