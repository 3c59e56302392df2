"""What strangers with a link see: a dashboard, its data, and a page that draws both, by no token but the link's."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import MediaType, Request, Response
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.api.answers import Answer
from duoscope.api.bodies import Services
from duoscope.api.dependencies import ApiServices
from duoscope.api.problems import request_id
from duoscope.api.routing import Routes
from duoscope.api.security_headers import page_policy
from duoscope.dashboards import data as dashboard_data
from duoscope.dashboards import public
from duoscope.dashboards.data import Viewer
from duoscope.dashboards.drawing import page as drawing
from duoscope.dashboards.model import VARIABLES_MAX, WIDGETS_MAX
from duoscope.dashboards.public import PublicDashboard, PublicData
from duoscope.dashboards.sharing import Opened
from duoscope.dashboards.variables import OPTIONS_MAX
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import invalid
from duoscope.stores.clickhouse.questions import Caller, Described
from duoscope.telemetry.times import SECOND_NS, TimeRange

ROUTES: Final = Routes("dashboards")
_Value = Annotated[str, Meta(max_length=1000)]
_HEADERS: Final = {"cache-control": "no-store", "x-robots-tag": "noindex, nofollow", "referrer-policy": "no-referrer"}
_PARAMETERS_MAX: Final = 200
_PROBLEMS: Final = (400, 404, 429, 503)


class PublicQuestion(Struct, forbid_unknown_fields=True):
    """A question for the data of a shared dashboard: the range reaches up to now."""

    range_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=400 * 86_400)] | None,
        Meta(description="As the link allows; by default that of the dashboard.", examples=[3600]),
    ] = None
    variables: Annotated[
        dict[_Value, Annotated[list[_Value], Meta(max_length=OPTIONS_MAX)]], Meta(max_length=VARIABLES_MAX)
    ] = {}
    widgets: Annotated[list[_Value], Meta(max_length=WIDGETS_MAX)] | None = None


@ROUTES.get("/api/v1/public/dashboards/{token:str}", "See a shared dashboard", public=True, problems=_PROBLEMS)
async def get_public_dashboard(
    request: Request[Any, Any, Any], token: FromPath[str], services: Services
) -> Response[PublicDashboard]:
    """The dashboard that a link opens, without what it asks."""
    opened = await services.links.open(token, _address(request))
    services.views.add(opened.scope, opened.link.dashboard_id)
    return Answer(
        public.shown(opened, opened.chosen({}), opened.range_s(None)), media_type=MediaType.JSON, headers=_HEADERS
    )


@ROUTES.post(
    "/api/v1/public/dashboards/{token:str}/data",
    "Ask for the data of a shared dashboard",
    public=True,
    problems=_PROBLEMS,
    status_code=200,
)
async def read_public_data(
    request: Request[Any, Any, Any], token: FromPath[str], data: JSONBody[PublicQuestion], services: Services
) -> Response[PublicData]:
    """The data of the dashboard that a link opens."""
    opened = await services.links.open(token, _address(request))
    variables = opened.chosen(data.variables)
    answered = await _answered(request, services, opened, variables, opened.range_s(data.range_seconds), data.widgets)
    return Answer(answered, media_type=MediaType.JSON, headers=_HEADERS)


@ROUTES.get("/public/dashboards/{token:str}", "See a shared dashboard as a page", public=True, include_in_schema=False)
async def public_page(request: Request[Any, Any, Any], token: FromPath[str], services: Services) -> Response[str]:
    """A page that draws the dashboard. `range` is its seconds, `var-x` a value of the variable x, `open` the number of
    a collapsed section.
    """
    opened = await services.links.open(token, _address(request))
    variables, range_s, open_ = _asked(request, opened)
    services.views.add(opened.scope, opened.link.dashboard_id)
    shown = public.shown(opened, variables, range_s)
    keys = [
        place.widget
        for number, section in enumerate(shown.sections)
        if not section.is_collapsed or number in open_
        for place in section.places
    ]
    answered = await _answered(request, services, opened, variables, range_s, keys)
    made = await asyncio.to_thread(drawing.page, shown, answered, variables, open_)
    frames = f"frame-ancestors {' '.join(opened.link.embed_origins)}" if opened.link.embed_origins else None
    policy = page_policy(made.style).replace("form-action 'none'", "form-action 'self'")
    policy = policy.replace("frame-ancestors 'none'", frames) if frames else policy
    return Response(made.html, media_type=MediaType.HTML, headers=_HEADERS | {"content-security-policy": policy})


def _address(request: Request[Any, Any, Any]) -> str | None:
    return request.client.host if request.client else None


def _asked(request: Request[Any, Any, Any], opened: Opened) -> tuple[dict[str, tuple[str, ...]], int, set[int]]:
    """The variables, the range and the opened sections of a page's address."""
    pairs = list(request.query_params.multi_items())
    if len(pairs) > _PARAMETERS_MAX:
        raise invalid("The address has too many parameters.")
    variables: dict[str, list[str]] = {}
    range_s: int | None = None
    open_: set[int] = set()
    for name, value in pairs:
        is_number = value.isascii() and value.isdigit() and len(value) < 9  # noqa: PLR2004 - of an int
        if name.startswith("var-"):
            variables.setdefault(name.removeprefix("var-"), []).append(value)
        elif name in ("range", "open") and is_number:
            open_ |= {int(value)} if name == "open" else set()
            range_s = int(value) if name == "range" else range_s
        else:
            raise invalid("The address has `range`, `open` and `var-…` alone.")
    return opened.chosen(variables), opened.range_s(range_s), open_


async def _answered(  # noqa: PLR0917 - what a stranger may choose
    request: Request[Any, Any, Any],
    services: ApiServices,
    opened: Opened,
    variables: Mapping[str, tuple[str, ...]],
    range_s: int,
    widgets: list[str] | None,
) -> PublicData:
    link = opened.link
    reader = services.telemetry.bind(opened.scope, Caller(link.dashboard_link_id, "link", link.name, opened.own_limits))
    described = Described("POST /api/v1/public/dashboards/{token}/data", request_id(request))
    viewer = Viewer(opened.scope, reader, services.metadata, frozenset(link.permissions), described)
    now = now_unix_nano()
    times = TimeRange(now - range_s * SECOND_NS, now)
    known = {widget.key for widget in opened.dashboard.widgets}
    if widgets is not None and not set(widgets) <= known:
        raise invalid("The link shows no such widget.", code="not-shared")
    look = await dashboard_data.look(viewer, opened.bounded(), times, variables=variables, widgets=widgets)
    widgets_data, _ = await dashboard_data.answer(services.answers, look)
    return public.data(opened, widgets_data)
