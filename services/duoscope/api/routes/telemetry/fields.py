"""Fields to search by, and their values."""

from typing import Annotated, Any, Final
from urllib.parse import unquote

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Parameter, QueryParameter

from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import EndParameter, Reader, StartParameter
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.limits import FIELD_VALUES_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, QUERY_TEXT_CHARS_MAX
from duoscope.telemetry import fields
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("services")

_READS: Final = {"traces": "trace:read", "logs": "log:read"}
_Signal = Annotated[fields.Signal, QueryParameter(description="The signal of the fields.")]


def _requires_the_signal(connection: ASGIConnection[Any, Principal, Any, Any], _: BaseRouteHandler) -> None:
    # Of a parameter that is there twice, the route gets the last one; whoever sends two needs the permissions of both.
    for signal in connection.query_params.getall("signal", [""]):
        connection.user.require(_READS.get(signal, "trace:read"))


_requires_the_signal.permission = "trace:read"  # pyright: ignore[reportFunctionMemberAccess]
_requires_the_signal.described = "of `signal`: `trace:read` or `log:read`"  # pyright: ignore[reportFunctionMemberAccess]


@ROUTES.get("/api/v1/fields", "List fields", guard=_requires_the_signal, problems=LISTS)
async def list_fields(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    signal: _Signal,
    start: StartParameter = None,
    end: EndParameter = None,
    prefix: Annotated[str, QueryParameter(max_length=1024, description="Beginning of the name.")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
) -> fields.FieldPage:
    """The fields and attributes that items had, with how many values, from counts by quarters of an hour."""
    return await fields.list_fields(reader, time_range(start, end), signal, prefix=prefix, limit=limit, cursor=cursor)


@ROUTES.get(
    "/api/v1/fields/{name:str}/values", "List the values of a field", guard=_requires_the_signal, problems=LISTS
)
async def list_values(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    name: Annotated[
        str,
        Parameter(
            max_length=3072,
            description="As a query names it. A name with a slash or a percent sign is percent-encoded twice.",
        ),
    ],
    signal: _Signal,
    start: StartParameter = None,
    end: EndParameter = None,
    prefix: Annotated[str, QueryParameter(max_length=1024, description="Beginning of the values, in any case.")] = "",
    text: Annotated[
        str,
        QueryParameter(
            name="query", max_length=QUERY_TEXT_CHARS_MAX, description="Only items that match, as of a search."
        ),
    ] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=FIELD_VALUES_MAX)] = fields.VALUES_DEFAULT,
) -> fields.FieldValues:
    """The most frequent values of a field, from counts by quarters of an hour, or over the items that match `query`."""
    times = time_range(start, end)
    return await fields.list_values(reader, times, signal, unquote(name), prefix=prefix, query=text, limit=limit)
