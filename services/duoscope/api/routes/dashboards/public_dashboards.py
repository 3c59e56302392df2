"""What strangers with a link see: a dashboard, its data, and a page that draws both. They need no token but the link's.

The OpenAPI document, which is about what one does with an account, does not have these routes; docs/dashboards.md does.
"""

import asyncio
import html
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import MediaType, Request, Response
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from duoscope.api.answers import Answer
from duoscope.api.bodies import Services
from duoscope.api.dependencies import ApiServices
from duoscope.api.problems import request_id
from duoscope.api.routing import Routes
from duoscope.api.security_headers import page_policy
from duoscope.dashboards import charts, public
from duoscope.dashboards import data as dashboard_data
from duoscope.dashboards.data import Viewer
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
_STYLE: Final = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:1rem;color:#1c2733;background:#fff}h1{font-size:1.3rem}"
    ".grid{display:grid;grid-template-columns:repeat(24,1fr);gap:.6rem}"
    ".w{border:1px solid #d5dce3;border-radius:6px;padding:.5rem;overflow:auto;max-height:24rem}"
    "h3{font-size:.95rem;margin:0 0 .3rem}svg{max-width:100%}.stat{font-size:1.8rem;margin:.2rem 0}"
    "small,.note{color:#5b6b7a;font-size:.8rem}.legend{list-style:none;padding:0;margin:.3rem 0;font-size:.8rem}"
    "table{border-collapse:collapse;font-size:.85rem}td,th{border-top:1px solid #e5eaef;padding:.2rem .6rem .2rem 0;"
    "text-align:left;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{background:#14191f;color:#dde4ea}.w,td,th{border-color:#33404c}}"
    + "".join(f".c{n}{{grid-column:span {n}}}" for n in range(1, 25))
    + "@media(max-width:50rem){.grid{display:block}.w{margin-bottom:.6rem}}"
)
_POLICY: Final = page_policy(_STYLE)


class PublicQuestion(Struct, forbid_unknown_fields=True):
    """A question for the data of a shared dashboard: the range reaches up to now."""

    range_seconds: Annotated[int, Meta(ge=1, le=400 * 86_400)] | None = None
    variables: Annotated[
        dict[_Value, Annotated[list[_Value], Meta(max_length=OPTIONS_MAX)]], Meta(max_length=VARIABLES_MAX)
    ] = {}
    widgets: Annotated[list[_Value], Meta(max_length=WIDGETS_MAX)] | None = None


@ROUTES.get("/api/v1/public/dashboards/{token:str}", "See a shared dashboard", public=True, include_in_schema=False)
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
    include_in_schema=False,
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
    page = await asyncio.to_thread(_page, shown, answered, variables, open_)
    frames = f"frame-ancestors {' '.join(opened.link.embed_origins)}" if opened.link.embed_origins else None
    policy = _POLICY.replace("form-action 'none'", "form-action 'self'")
    policy = policy.replace("frame-ancestors 'none'", frames) if frames else policy
    return Response(page, media_type=MediaType.HTML, headers=_HEADERS | {"content-security-policy": policy})


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
    look = await dashboard_data.look(viewer, opened.dashboard, times, variables=variables, widgets=widgets)
    widgets_data, _ = await dashboard_data.answer(services.answers, look)
    return public.data(opened, widgets_data)


def _page(
    shown: PublicDashboard, answered: PublicData, variables: Mapping[str, tuple[str, ...]], open_: set[int]
) -> str:
    by_key: dict[str, list[public.PublicWidgetData]] = {}
    for each in answered.widgets:
        by_key.setdefault(each.key, []).append(each)
    widgets = {each.key: each for each in shown.widgets}
    parts: list[str] = []
    for number, section in enumerate(shown.sections):
        title = html.escape(section.title)
        if section.is_collapsed and number not in open_:
            pairs = [*(("open", str(each)) for each in sorted(open_ | {number})), ("range", str(shown.range_seconds))]
            pairs += [(f"var-{name}", value) for name, values in variables.items() for value in values]
            parts.append(f'<h2><a href="?{html.escape(urlencode(pairs))}">{title or "More"}</a></h2>')
            continue
        cells = "".join(
            f'<section class="w c{place.width}"><h3>{html.escape(_titled(widgets[place.widget].title, data))}</h3>'
            f"{charts.drawn(widgets[place.widget], data)}</section>"
            for place in sorted(section.places, key=lambda each: (each.y, each.x))
            for data in by_key.get(place.widget, [None])
        )
        parts.append(f'{f"<h2>{title}</h2>" if title else ""}<div class="grid">{cells}</div>')
    refresh = f'<meta http-equiv="refresh" content="{shown.refresh_seconds}">' if shown.refresh_seconds else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(shown.name)}</title>'
        f'<meta name="robots" content="noindex"><meta name="viewport" content="width=device-width">{refresh}'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(shown.name)}</h1>{_form(shown)}{''.join(parts)}"
        "</body></html>"
    )


def _titled(title: str, data: public.PublicWidgetData | None) -> str:
    values = ", ".join(data.repeated.values()) if data else ""
    return f"{title} ({values})" if values else title


def _form(shown: PublicDashboard) -> str:
    ranges = [each for each in (900, 3600, 21_600, 86_400, 604_800) if each <= shown.range_seconds_max]
    choices = sorted({*ranges, shown.range_seconds})
    fields = [("range", "Last seconds", [str(each) for each in choices], [str(shown.range_seconds)], False)]
    fields += [(f"var-{each.name}", each.label, each.values, each.chosen, each.multi) for each in shown.variables]
    made = "".join(
        f'<label>{html.escape(label)} <select name="{html.escape(name)}"{" multiple" if multi else ""}>'
        f"{''.join(_option(value, is_chosen=value in chosen) for value in values)}</select></label> "
        for name, label, values, chosen, multi in fields
    )
    return f"<form>{made}<button>Show</button></form>"


def _option(value: str, *, is_chosen: bool) -> str:
    text = html.escape(value)
    return f'<option value="{text}"{" selected" if is_chosen else ""}>{text}</option>'
