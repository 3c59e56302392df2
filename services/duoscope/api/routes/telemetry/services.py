"""Routes of services: their RED metrics over time, and their calls."""

from typing import Annotated, Final

from litestar.params import QueryParameter

from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import EndParameter, Reader, StartParameter
from duoscope.telemetry import releases, services, span_metrics
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("services")


@ROUTES.get("/api/v1/services", "List services", "trace:read", problems=LISTS)
async def list_services(
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    points: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=services.POINTS_MAX,
            description="Requests and errors over time as well: in so many steps at most, of whole minutes.",
        ),
    ] = None,
) -> services.ServiceList:
    """The services that sent anything in the time range, with their requests, errors and durations."""
    times = time_range(start, end, max_ns=services.SERVICES_RANGE_MAX_NS)
    return await services.list_services(reader, times, points)


@ROUTES.get("/api/v1/service-map", "Service map", "trace:read", problems=LISTS)
async def service_map(reader: Reader, start: StartParameter = None, end: EndParameter = None) -> services.ServiceMap:
    """The calls between services in the time range, found by joining spans with their parents."""
    return await services.service_map(reader, time_range(start, end, max_ns=services.MAP_RANGE_MAX_NS))


@ROUTES.get(
    "/api/v1/service-figures", "Requests, errors and durations of a service over time", "trace:read", problems=LISTS
)
async def service_figures(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    service: Annotated[str, QueryParameter(max_length=1024, description="`service.name`.")],
    start: StartParameter = None,
    end: EndParameter = None,
    operation: Annotated[
        str | None, QueryParameter(max_length=8192, description="Count all spans of this name, not only requests.")
    ] = None,
    kind: Annotated[
        span_metrics.SpanKind | None, QueryParameter(description="Count all spans of this kind, not only requests.")
    ] = None,
    step: Annotated[
        str | None,
        QueryParameter(description="Whole minutes, such as 5m or 1h; by default such that there are about 200 points."),
    ] = None,
) -> span_metrics.ServiceFigures:
    """The requests, errors and durations of a service over time, in whole minutes. Requests are spans of kind server or
    consumer, and root spans.
    """
    return await span_metrics.service_figures(
        reader, time_range(start, end), service, operation=operation, kind=kind, step=step
    )


@ROUTES.get("/api/v1/releases", "First sights of versions of services", "trace:read", problems=LISTS)
async def list_releases(
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    service: Annotated[str | None, QueryParameter(max_length=1024, description="Only of this `service.name`.")] = None,
) -> releases.ReleaseList:
    """The first sights of a `service.version` in the time range, by the spans of its service. It counts as new if no
    span of the service had it in the day before the range, nor earlier, as far as values of fields are counted.
    """
    times = time_range(start, end, max_ns=releases.RELEASES_RANGE_MAX_NS)
    return await releases.list_releases(reader, times, service)
