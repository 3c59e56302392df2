"""Fields to search by, and their values."""

from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Parameter, QueryParameter

from duoscope.api.routing import LISTS, Routes
from duoscope.api.searching import EndParameter, Reader, StartParameter
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import FIELD_VALUES_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, QUERY_TEXT_CHARS_MAX
from duoscope.telemetry import fields
from duoscope.telemetry.metrics import labels
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("services")

_READS: Final = {"traces": "trace:read", "logs": "log:read", "metrics": "metric:read"}
_Signal = Annotated[Literal["traces", "logs", "metrics"], QueryParameter(description="The signal of the fields.")]
_Metric = Annotated[
    str | None, QueryParameter(max_length=1024, description="With `signal=metrics`: only of the series of this metric.")
]


def _requires_the_signal(connection: ASGIConnection[Any, Principal, Any, Any], _: BaseRouteHandler) -> None:
    # Of a parameter that is there twice, the route gets the last one; whoever sends two needs the permissions of both.
    for signal in connection.query_params.getall("signal", [""]):
        connection.user.require(_READS.get(signal, "trace:read"))


def _refuse_metric(metric: str | None) -> None:
    if metric is not None:
        raise invalid("`metric` stands with `signal=metrics` only.")


_requires_the_signal.permission = "trace:read"  # pyright: ignore[reportFunctionMemberAccess]
_requires_the_signal.described = "of `signal`: `trace:read`, `log:read` or `metric:read`"  # pyright: ignore[reportFunctionMemberAccess]


@ROUTES.get("/api/v1/fields", "List fields", guard=_requires_the_signal, problems=LISTS)
async def list_fields(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    signal: _Signal,
    start: StartParameter = None,
    end: EndParameter = None,
    prefix: Annotated[str, QueryParameter(max_length=1024, description="Beginning of the name.")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
    metric: _Metric = None,
    text: Annotated[
        str,
        QueryParameter(
            name="query",
            max_length=QUERY_TEXT_CHARS_MAX,
            description="With `signal=metrics`: only of the series that match.",
        ),
    ] = "",
) -> fields.FieldPage:
    """The fields and attributes that items had, with how many values, from counts by quarters of an hour; of metrics
    the labels of the series that had points.
    """
    times = time_range(start, end)
    if signal == "metrics":
        return await labels.list_labels(reader, times, metric, prefix=prefix, query=text, limit=limit, cursor=cursor)
    _refuse_metric(metric)
    if text.strip():
        raise invalid("`query` stands with `signal=metrics` only here: fields are counted as items come, not by query.")
    return await fields.list_fields(reader, times, signal, prefix=prefix, limit=limit, cursor=cursor)


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
    metric: _Metric = None,
) -> fields.FieldValues:
    """The most frequent values of a field, from counts by quarters of an hour, or over the items that match `query`; of
    metrics those of the most series.
    """
    times = time_range(start, end)
    if signal == "metrics":
        return await labels.list_label_values(
            reader, times, unquote(name), metric, prefix=prefix, query=text, limit=limit
        )
    _refuse_metric(metric)
    return await fields.list_values(reader, times, signal, unquote(name), prefix=prefix, query=text, limit=limit)
