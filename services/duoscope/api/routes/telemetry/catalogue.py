"""Names to search for: operations and attributes."""

from typing import Annotated, Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import EndParameter, Reader, StartParameter
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.telemetry import catalogue
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("services")

_READS: Final = {"traces": "trace:read", "logs": "log:read", "metrics": "metric:read"}
_Service = Annotated[str | None, QueryParameter(max_length=1024, description="Only names of this service.")]
_Prefix = Annotated[str, QueryParameter(max_length=1024, description="Beginning of the name.")]
_Limit = Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)]
_Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")]


def _requires_the_signal(connection: ASGIConnection[Any, Principal, Any, Any], _: BaseRouteHandler) -> None:
    # Of a parameter that is there twice, the route gets the last one; whoever sends two needs the permissions of both.
    for signal in connection.query_params.getall("signal", [""]):
        connection.user.require(_READS.get(signal, "trace:read"))


_requires_the_signal.permission = "trace:read"  # pyright: ignore[reportFunctionMemberAccess]
_requires_the_signal.described = "of `signal`: `trace:read`, `log:read` or `metric:read`"  # pyright: ignore[reportFunctionMemberAccess]


@ROUTES.get("/api/v1/operations", "List operations", "trace:read", problems=LISTS)
async def list_operations(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    service: _Service = None,
    prefix: _Prefix = "",
    limit: _Limit = LIST_LIMIT_DEFAULT,
    cursor: _Cursor = None,
) -> catalogue.OperationPage:
    """The span names of services that were sent on the days (UTC) of the time range."""
    times = time_range(start, end)
    return await catalogue.list_operations(reader, times, service=service, prefix=prefix, limit=limit, cursor=cursor)


@ROUTES.get("/api/v1/attributes", "List attributes", guard=_requires_the_signal, problems=LISTS)
async def list_attributes(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    signal: Annotated[catalogue.Signal, QueryParameter(description="The signal of the attributes.")],
    start: StartParameter = None,
    end: EndParameter = None,
    service: _Service = None,
    prefix: _Prefix = "",
    limit: _Limit = LIST_LIMIT_DEFAULT,
    cursor: _Cursor = None,
) -> catalogue.AttributePage:
    """The attributes that were sent on the days (UTC) of the time range, with their places and types."""
    times = time_range(start, end)
    return await catalogue.list_attributes(
        reader, times, signal, service=service, prefix=prefix, limit=limit, cursor=cursor
    )
