"""The data of a dashboard's widgets, in one answer."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.api.bodies import Services
from duoscope.api.routing import READS, Routes
from duoscope.api.searching import End, Reader, Start
from duoscope.dashboards import data as dashboard_data
from duoscope.dashboards import management
from duoscope.dashboards.data import Viewer, WidgetData
from duoscope.dashboards.model import VARIABLES_MAX, WIDGETS_MAX
from duoscope.dashboards.variables import OPTIONS_MAX
from duoscope.identity.authorization.permissions import Principal
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("dashboards")
_Value = Annotated[str, Meta(max_length=1000)]


class DataQuestion(Struct, forbid_unknown_fields=True):
    """A question for the data of a dashboard."""

    start: Start = None
    end: End = None
    variables: Annotated[
        dict[str, Annotated[list[_Value], Meta(max_length=OPTIONS_MAX)]],
        Meta(
            max_length=VARIABLES_MAX,
            description="Chosen values by the name of the variable, `$__all` for all; others have those of the "
            "dashboard.",
            examples=[{"service": ["checkout", "cart"]}],
        ),
    ] = {}
    widgets: Annotated[
        list[str] | None,
        Meta(description=f"Keys, up to {WIDGETS_MAX}. By default those of sections that are not collapsed."),
    ] = None


class DashboardData(Struct, frozen=True):
    """The data of widgets, in the order of the dashboard."""

    widgets: list[WidgetData]


@ROUTES.post(
    "/api/v1/dashboards/{dashboard_id:uuid}/data",
    "Ask for the data of a dashboard",
    "dashboard:read",
    problems=READS,
    status_code=200,
)
async def read_dashboard_data(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    data: JSONBody[DataQuestion],
    services: Services,
    reader: Reader,
) -> DashboardData:
    """Ask the questions of widgets over a range, equal ones once. A question that fails has an error of its own, also
    where you lack a permission that it needs, such as `log:read`.
    """
    _, dashboard = await management.read(services.metadata, request.user, dashboard_id)
    viewer = Viewer(reader, request.user.permissions)
    variables = {name: tuple(values) for name, values in data.variables.items()}
    times = time_range(data.start, data.end)
    answered = await dashboard_data.answer(viewer, dashboard, times, variables=variables, widgets=data.widgets)
    return DashboardData(answered)
