"""Makes the handlers of routes: for GET with parameters in the URL, for POST with a form, or both."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from duoscope.api.authentication import requires
from duoscope.api.compat.prometheus.answers import PrometheusAnswer
from duoscope.api.compat.prometheus.parameters import Parameters, documents, given
from duoscope.api.compat.prometheus.problems import HANDLERS, documented
from duoscope.api.searching import Reader
from duoscope.stores.clickhouse import TelemetryReader

ROOT: Final = "/api/v1/prom/api/v1"
"""The base path `/api/v1/prom`, to which clients append the rest."""
REQUIRED: Final = frozenset({"query"})
Work = Callable[[Parameters, TelemetryReader], Awaitable[Response[bytes]]]
_ANSWERS: Final = {200: ResponseSpec(PrometheusAnswer, generate_examples=False, description="Prometheus' answer.")}


def shared(name: str, verb: str, summary: str) -> dict[str, Any]:
    """The arguments that all handlers here share."""
    return {
        "guards": [requires("metric:read")],
        "tags": ["prometheus"],
        "summary": summary,
        "operation_id": f"Prometheus{verb}{name.title().replace('_', '').replace('/', '')}",
        "exception_handlers": HANDLERS,
        "responses": _ANSWERS | documented(),
        "status_code": 200,
    }


def get_and_post(
    name: str, work: Work, parameters: Sequence[str], *, summary: str, description: str
) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """Make two handlers of one path: with parameters in the URL, or in a form."""

    async def by_form(request: Request[Any, Any, Any], reader: Reader) -> Response[Any]:
        return await work(await given(request), reader)

    by_form.__doc__ = description
    operation = documents(*parameters, required=[one for one in parameters if one in REQUIRED], form=True)
    made = post(f"{ROOT}/{name}", operation_class=operation, **shared(name, "Post", summary))(by_form)
    return by_url(name, work, parameters, summary=summary, description=description), made


def by_url(name: str, work: Work, parameters: Sequence[str], *, summary: str, description: str) -> HTTPRouteHandler:
    """Make a handler for GET."""

    async def handler(request: Request[Any, Any, Any], reader: Reader) -> Response[Any]:
        return await work(await given(request), reader)

    handler.__doc__ = description
    operation = documents(*parameters, required=[one for one in parameters if one in REQUIRED])
    return get(f"{ROOT}/{name}", operation_class=operation, **shared(name, "Get", summary))(handler)
