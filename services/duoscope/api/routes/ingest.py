"""Ingest as its tenant sees it: what was rejected and why, how many series there are, what may be sent."""

from dataclasses import asdict
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from duoscope.api.authentication import requires
from duoscope.api.bodies import Services
from duoscope.api.problems import documented
from duoscope.api.searching import Reader
from duoscope.identity import ingest_limits
from duoscope.identity.permissions import Principal
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.telemetry import cardinality, ingest_rejections
from duoscope.telemetry.cardinality import Cardinality
from duoscope.telemetry.ingest_rejections import Per, RejectionPage, RejectionQuestion
from duoscope.telemetry.ingest_usage import Signal

TAGS: Final = ["ingest"]
_WORST_DEFAULT: Final = 20

_Rate = Annotated[int | None, Meta(description="A second; null for no limit.", examples=[20_000])]


class Limits(Struct, frozen=True):
    """What the tenant may send to one receiver. With several receivers each counts for itself."""

    items_per_second: _Rate
    bytes_per_second: _Rate
    key_items_per_second: Annotated[int | None, Meta(description="For each API key; null for no limit.")]
    key_bytes_per_second: Annotated[int | None, Meta(description="For each API key; null for no limit.")]
    burst_seconds: Annotated[
        int,
        Meta(description="Seconds' worth of the rates that may come at once; a larger request is refused for good."),
    ]
    requests_in_flight: int
    active_series: Annotated[int | None, Meta(description="Seen in the last 30 to 60 minutes; null for no limit.")]
    attributes: Annotated[
        int, Meta(description="Of one resource, scope or item; and events, links or exemplars of one item.")
    ]
    attribute_bytes: int
    body_bytes: int


@get(
    "/api/v1/ingest/limits",
    guards=[requires("tenant:read")],
    tags=TAGS,
    summary="What the tenant may send",
    responses=documented(401, 403, 503),
)
async def get_limits(request: Request[Principal, Any, Any], services: Services) -> Limits:
    """The limits that hold for the tenant. Those who run the instance set them."""
    applied = await _limits(request, services)
    shown: dict[str, Any] = asdict(applied)
    for name in (
        "items_per_second",
        "bytes_per_second",
        "key_items_per_second",
        "key_bytes_per_second",
        "active_series",
    ):
        shown[name] = shown[name] or None
    return Limits(**shown)


@get(
    "/api/v1/ingest/rejections",
    guards=[requires("tenant:read")],
    tags=TAGS,
    summary="What was rejected, and why",
    responses=documented(400, 401, 403, 503),
)
async def list_rejections(  # noqa: PLR0917 - each is a parameter of the query
    request: Request[Principal, Any, Any],
    reader: Reader,
    services: Services,
    start: Annotated[
        str | None, QueryParameter(description="From; 24 hours before `end` unless given. Its minute counts whole.")
    ] = None,
    end: Annotated[str | None, QueryParameter(description="To; now unless given.")] = None,
    per: Annotated[Per, QueryParameter(description="Sums by UTC minute, hour or day.")] = "minute",
    signal: Annotated[Signal | None, QueryParameter(description="Only of this one.")] = None,
    api_key_id: Annotated[UUID | None, QueryParameter(description="Only of this key.")] = None,
    reason: Annotated[
        str | None, QueryParameter(max_length=64, pattern="^[a-z0-9-]+$", description="Only for this reason.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
) -> RejectionPage:
    """Items that were left out of requests whose other items were stored, newest first. Kept for 30 days."""
    asked = RejectionQuestion(start, end, per, signal, api_key_id, reason, limit, cursor)
    return await ingest_rejections.rejections(reader, await _limits(request, services), asked)


@get(
    "/api/v1/ingest/cardinality",
    guards=[requires("metric:read")],
    tags=TAGS,
    summary="Active series and what makes them so many",
    responses=documented(400, 401, 403, 503),
)
async def get_cardinality(
    request: Request[Principal, Any, Any],
    reader: Reader,
    services: Services,
    metric: Annotated[
        str | None, QueryParameter(max_length=1024, description="Only of this metric: which label is it?")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX, description="Metrics, and labels.")] = _WORST_DEFAULT,
) -> Cardinality:
    """The metrics with the most series in the last hour, and the attributes with the most different values."""
    return await cardinality.cardinality(reader, await _limits(request, services), metric=metric, limit=limit)


async def _limits(request: Request[Principal, Any, Any], services: Services) -> IngestLimits:
    defaults = IngestLimits.parse(services.settings.ingest_limits)
    return await ingest_limits.of_scope(services.metadata, request.user.scope, defaults)


ROUTES: Final = (get_limits, list_rejections, get_cardinality)
