"""The data of a dashboard's widgets, in one answer or as each is ready, and the values of its variables."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from msgspec import Meta, Struct

from duoscope.api.answers import Answer
from duoscope.api.bodies import Services
from duoscope.api.dependencies import ApiServices
from duoscope.api.problems import request_id
from duoscope.api.routing import READS, Routes
from duoscope.api.searching import End, Reader, Start
from duoscope.dashboards import data as dashboard_data
from duoscope.dashboards import management, options
from duoscope.dashboards.data import AnnotationData, Look, Viewer, WidgetData
from duoscope.dashboards.model import VARIABLES_MAX, WIDGETS_MAX
from duoscope.dashboards.options import VariableValues
from duoscope.dashboards.variables import OPTIONS_MAX
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.stores.clickhouse.questions import Described
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("dashboards")
NDJSON: Final = "application/x-ndjson"
_Value = Annotated[str, Meta(max_length=1000)]
Chosen = Annotated[
    dict[str, Annotated[list[_Value], Meta(max_length=OPTIONS_MAX)]],
    Meta(
        max_length=VARIABLES_MAX,
        description="Chosen values by the name of the variable, `$__all` for all; others have those of the dashboard.",
        examples=[{"service": ["checkout", "cart"]}],
    ),
]


class DataQuestion(Struct, forbid_unknown_fields=True):
    """A question for the data of a dashboard."""

    start: Start = None
    end: End = None
    variables: Chosen = {}
    widgets: Annotated[
        Annotated[list[_Value], Meta(max_length=WIDGETS_MAX)] | None,
        Meta(description=f"Keys, up to {WIDGETS_MAX}. By default those of sections that are not collapsed."),
    ] = None
    with_annotations: Annotated[bool, Meta(description="Whether annotations are asked, too.")] = True


class DashboardData(Struct, frozen=True):
    """The data of widgets, in the order of the dashboard, and the marks of its annotations."""

    widgets: list[WidgetData]
    annotations: list[AnnotationData]


class VariablesQuestion(Struct, forbid_unknown_fields=True):
    """A question for the values of a dashboard's variables."""

    start: Start = None
    end: End = None
    variables: Chosen = {}
    changed: Annotated[
        Annotated[list[_Value], Meta(max_length=VARIABLES_MAX)] | None,
        Meta(description="Variables that were chosen anew: only those that depend on them are answered, or else all."),
    ] = None


class DashboardVariables(Struct, frozen=True):
    """The values of variables, in the order of the dashboard."""

    variables: list[VariableValues]


@ROUTES.post(
    "/api/v1/dashboards/{dashboard_id:uuid}/data",
    "Ask for the data of a dashboard",
    "dashboard:read",
    problems=READS,
    responses={
        200: ResponseSpec(
            DashboardData,
            generate_examples=False,
            description="All widgets. With `Accept: application/x-ndjson` a line for each, and for each annotation, as "
            "soon as it is ready.",
        )
    },
    status_code=200,
)
async def read_dashboard_data(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    data: JSONBody[DataQuestion],
    services: Services,
    reader: Reader,
) -> Response[Any]:
    """Ask the questions of widgets over a range, equal ones once, whoever asks. A question that fails has an error of
    its own, also where you lack a permission that it needs, such as `log:read`. With `Accept: application/x-ndjson`
    widgets come as lines in the order in which they are ready; what is still asked ends when you disconnect.
    """
    _, dashboard = await management.read(services.metadata, request.user, dashboard_id)
    variables = {name: tuple(values) for name, values in data.variables.items()}
    times = time_range(data.start, data.end)
    look = await dashboard_data.look(
        viewer(request, services, reader),
        dashboard,
        times,
        variables=variables,
        widgets=data.widgets,
        with_annotations=data.with_annotations,
    )
    if NDJSON in request.headers.get("accept", ""):
        return cast("Response[Any]", Stream(_lines(services, look), media_type=NDJSON, status_code=200))
    answered = await dashboard_data.answer(services.answers, look)
    return Answer(DashboardData(*answered), media_type=MediaType.JSON)


@ROUTES.post(
    "/api/v1/dashboards/{dashboard_id:uuid}/variables",
    "Ask for the values of variables",
    "dashboard:read",
    problems=READS,
    status_code=200,
)
async def read_dashboard_variables(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    data: JSONBody[VariablesQuestion],
    services: Services,
    reader: Reader,
) -> DashboardVariables:
    """Ask which values all variables can have, each after those that it depends on; or only of those that depend on
    what `changed`. A value that can no longer be chosen is replaced.
    """
    _, dashboard = await management.read(services.metadata, request.user, dashboard_id)
    only = None if data.changed is None else options.affected(dashboard.variables, data.changed)
    chosen = {name: tuple(values) for name, values in data.variables.items()}
    found = await options.asked_options(
        reader, request.user.permissions, dashboard, time_range(data.start, data.end), chosen=chosen, only=only
    )
    return DashboardVariables(found)


def viewer(request: Request[Principal, Any, Any], services: ApiServices, reader: TelemetryReader) -> Viewer:
    """The one who looks, from a request."""
    described = Described("POST /api/v1/dashboards/{dashboard_id}/data", request_id(request))
    return Viewer(request.user.scope, reader, services.metadata, request.user.permissions, described)


async def _lines(services: ApiServices, look: Look) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(dashboard_data.answers(services.answers, look)) as answered:
            async for each in answered:
                yield await asyncio.to_thread(msgspec.json.encode, each) + b"\n"
    except DuoscopeError as error:
        yield msgspec.json.encode({"code": error.code, "detail": error.message}) + b"\n"
