"""Parts of a dashboard by themselves: its widgets and its variables, each changed under the dashboard's version."""

from collections.abc import Callable
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.api.bodies import Services
from duoscope.api.routes.dashboards.answers import IfMatch, Patch, StoredDashboard, matching, tagged
from duoscope.api.routing import READS, UNDER_IF_MATCH, Routes
from duoscope.dashboards import management, model, parts
from duoscope.dashboards.model import COLUMNS, ROWS_MAX, SECTIONS_MAX
from duoscope.dashboards.widgets import Widget
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found

ROUTES: Final = Routes("dashboards")
_Request = Request[Principal, Any, Any]


class Spot(Struct, frozen=True, forbid_unknown_fields=True):
    """A place on the grid of a section."""

    x: Annotated[int, Meta(ge=0, lt=COLUMNS)]
    y: Annotated[int, Meta(ge=0, le=ROWS_MAX)]
    width: Annotated[int, Meta(ge=1, le=COLUMNS)]
    height: Annotated[int, Meta(ge=1, le=200)]


class NewWidget(Struct, forbid_unknown_fields=True):
    """A widget that is put into a dashboard."""

    widget: Annotated[Widget, Meta(examples=[{"key": "note", "type": "text", "text": "# Hello"}])]
    place: Annotated[
        Spot | None,
        Meta(description="By default below all others.", examples=[{"x": 0, "y": 0, "width": 12, "height": 8}]),
    ] = None
    section: Annotated[
        Annotated[int, Meta(ge=0, lt=SECTIONS_MAX)] | None, Meta(description="Counted from 0; by default the last one.")
    ] = None


class WidgetList(Struct, frozen=True):
    """The widgets of a dashboard, in its order."""

    items: list[Widget]


@ROUTES.get(
    "/api/v1/dashboards/{dashboard_id:uuid}/widgets",
    "List the widgets of a dashboard",
    "dashboard:read",
    problems=READS,
)
async def list_widgets(request: _Request, dashboard_id: FromPath[UUID], services: Services) -> Response[WidgetList]:
    """List the widgets of a dashboard, whose version is the `ETag`. It does not count as a view."""
    row, dashboard = await management.read(services.metadata, request.user, dashboard_id)
    return Response(WidgetList(list(dashboard.widgets)), headers={"etag": f'"{row.version}"'})


@ROUTES.get(
    "/api/v1/dashboards/{dashboard_id:uuid}/widgets/{key:str}", "Read a widget", "dashboard:read", problems=READS
)
async def get_widget(
    request: _Request, dashboard_id: FromPath[UUID], key: FromPath[str], services: Services
) -> Response[Widget]:
    """Read one widget by its key; the version of the dashboard is the `ETag`."""
    row, dashboard = await management.read(services.metadata, request.user, dashboard_id)
    found = next((each for each in dashboard.widgets if each.key == key), None)
    return Response(require_found(found, "widget"), headers={"etag": f'"{row.version}"'})


@ROUTES.post(
    "/api/v1/dashboards/{dashboard_id:uuid}/widgets", "Add a widget", "dashboard:write", problems=UNDER_IF_MATCH
)
async def add_widget(
    request: _Request,
    dashboard_id: FromPath[UUID],
    data: JSONBody[NewWidget],
    services: Services,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Put a widget into a dashboard. It needs `If-Match`, as every change."""
    model.require_shallow(data.widget.placeholder)
    widget = msgspec.json.decode(msgspec.json.encode(data.widget))
    place = None if data.place is None else msgspec.to_builtins(data.place)
    return await _changed(
        services,
        request.user,
        dashboard_id,
        lambda document: parts.with_widget(document, widget, place, data.section),
        if_match=if_match,
    )


@ROUTES.patch(
    "/api/v1/dashboards/{dashboard_id:uuid}/widgets/{key:str}",
    "Change a widget",
    "dashboard:write",
    problems=UNDER_IF_MATCH,
)
async def change_widget(
    request: _Request,
    dashboard_id: FromPath[UUID],
    key: FromPath[str],
    data: JSONBody[Patch],
    services: Services,
    *,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Change one widget by a merge patch, as for the dashboard. With another `key` it keeps its place."""
    model.require_shallow(data)
    return await _changed(
        services,
        request.user,
        dashboard_id,
        lambda document: parts.changed(document, "widgets", key, data),
        if_match=if_match,
    )


@ROUTES.delete(
    "/api/v1/dashboards/{dashboard_id:uuid}/widgets/{key:str}",
    "Remove a widget",
    "dashboard:write",
    problems=UNDER_IF_MATCH,
    status_code=200,
)
async def remove_widget(
    request: _Request, dashboard_id: FromPath[UUID], key: FromPath[str], services: Services, if_match: IfMatch = None
) -> Response[StoredDashboard]:
    """Take a widget and its place out of a dashboard; earlier versions have it still. It needs `If-Match`."""
    return await _changed(
        services,
        request.user,
        dashboard_id,
        lambda document: parts.without_widget(document, key),
        if_match=if_match,
    )


@ROUTES.patch(
    "/api/v1/dashboards/{dashboard_id:uuid}/variables/{key:str}",
    "Change a variable",
    "dashboard:write",
    problems=UNDER_IF_MATCH,
)
async def change_variable(
    request: _Request,
    dashboard_id: FromPath[UUID],
    key: FromPath[str],
    data: JSONBody[Patch],
    services: Services,
    *,
    if_match: IfMatch = None,
) -> Response[StoredDashboard]:
    """Change one variable, by its name, by a merge patch, as for the dashboard."""
    model.require_shallow(data)
    return await _changed(
        services,
        request.user,
        dashboard_id,
        lambda document: parts.changed(document, "variables", key, data),
        if_match=if_match,
    )


async def _changed(
    services: Services,
    principal: Principal,
    dashboard_id: UUID,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    if_match: str | None,
) -> Response[StoredDashboard]:
    kept = await management.change(services.metadata, principal, dashboard_id, change, check_version=matching(if_match))
    return tagged(kept)
