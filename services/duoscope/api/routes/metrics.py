"""Metrics."""

from typing import Annotated, Final

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from duoscope.api.authentication import requires
from duoscope.api.problems import documented
from duoscope.api.searching import MetricsQuery, Reader
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.telemetry import metrics
from duoscope.telemetry.times import time_range

_READ: Final = requires("metric:read")


@get(
    "/api/v1/metrics",
    guards=[_READ],
    tags=["metrics"],
    summary="List metrics",
    responses=documented(400, 401, 403, 503),
)
async def list_metrics(
    reader: Reader,
    prefix: Annotated[str, QueryParameter(max_length=1024, description="Of the name.")] = "",
    service: Annotated[str | None, QueryParameter(max_length=1024, description="Only of this service.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
) -> metrics.MetricPage:
    """Metrics by name, with their type, unit and the services that send them."""
    return await metrics.list_metrics(reader, prefix=prefix, service=service, limit=limit, cursor=cursor)


@post(
    "/api/v1/metrics/query",
    status_code=200,
    guards=[_READ],
    tags=["metrics"],
    summary="Query a metric over time",
    responses=documented(400, 401, 403, 503),
)
async def query(data: JSONBody[MetricsQuery], reader: Reader) -> metrics.MetricResult:
    """Points in steps over the time range, a series for each combination of the attributes to group by."""
    return await metrics.query(
        reader,
        time_range(data.start, data.end),
        data.metric,
        metric_type=data.type,
        aggregation=data.aggregation,
        query_text=data.query,
        group_by=data.group_by,
        step=data.step,
    )
