"""Services and who calls whom."""

from litestar import get

from duoscope.api.authentication import requires
from duoscope.api.problems import documented
from duoscope.api.searching import EndParameter, Reader, StartParameter
from duoscope.telemetry import services
from duoscope.telemetry.times import time_range


@get(
    "/api/v1/services",
    guards=[requires("trace:read")],
    tags=["services"],
    summary="List services",
    responses=documented(400, 401, 403, 503),
)
async def list_services(reader: Reader, start: StartParameter = None, end: EndParameter = None) -> services.ServiceList:
    """Services that sent anything in the time range, with their requests, errors and durations."""
    return await services.list_services(reader, time_range(start, end, max_ns=services.SERVICES_RANGE_MAX_NS))


@get(
    "/api/v1/service-map",
    guards=[requires("trace:read")],
    tags=["services"],
    summary="Who calls whom",
    responses=documented(400, 401, 403, 503),
)
async def service_map(reader: Reader, start: StartParameter = None, end: EndParameter = None) -> services.ServiceMap:
    """Calls between services in the time range, found by joining spans with their parents."""
    return await services.service_map(reader, time_range(start, end, max_ns=services.MAP_RANGE_MAX_NS))
