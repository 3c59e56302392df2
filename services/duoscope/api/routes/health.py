"""Health and readiness of the process, and its own metrics; open to probes, so they reveal nothing about tenants."""

import asyncio
import logging
from typing import Annotated, Final

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Meta, Struct
from prometheus_client import generate_latest

from duoscope.api.dependencies import ApiServices, Check
from duoscope.api.routing import Routes
from duoscope.kernel.errors import DuoscopeError

ROUTES: Final = Routes("health")

_log = logging.getLogger(__name__)
CHECK_TIMEOUT_S: Final = 3.0
_READY = "ready"
_METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(Struct, frozen=True):
    """The answer to a probe."""

    status: Annotated[str, Meta(examples=["live"])]


class Readiness(Struct, frozen=True):
    """`ready`, or `not ready` with the problem of each part."""

    status: Annotated[str, Meta(examples=[_READY])]
    parts: Annotated[dict[str, str], Meta(examples=[{"postgres": _READY, "clickhouse": _READY}])]


@ROUTES.get("/health/live", "Is the process alive?", public=True, sync_to_thread=False)
def live() -> Health:
    """Answer 200 as long as the process can answer at all."""
    return Health("live")


@ROUTES.get("/health/ready", "Can requests be served?", public=True)
async def ready(services: NamedDependency[SkipValidation[ApiServices]]) -> Response[Readiness]:
    """Answer 200 when every part is ready, 503 otherwise."""
    checks = {"postgres": services.metadata.ping, "clickhouse": services.telemetry.ping, **services.readiness}
    answers = await asyncio.gather(*(_state(check) for check in checks.values()))
    parts = dict(zip(checks, answers, strict=True))
    is_ready = set(answers) == {_READY}
    return Response(Readiness(_READY if is_ready else "not ready", parts), status_code=200 if is_ready else 503)


@ROUTES.get("/metrics", "The process's own metrics", public=True, media_type=_METRICS_MEDIA_TYPE)
async def metrics(services: NamedDependency[SkipValidation[ApiServices]]) -> bytes:
    """The process's metrics as Prometheus text."""
    return await asyncio.to_thread(generate_latest, services.registry)


async def _state(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except DuoscopeError as error:
        return error.message
    except TimeoutError:
        return f"No answer within {CHECK_TIMEOUT_S:g} s."
    except Exception:  # noqa: BLE001 - a probe is answered, whatever broke
        _log.exception("readiness check failed")
        return "The check itself failed; see the log."
    return _READY
