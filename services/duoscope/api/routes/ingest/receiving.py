"""Ingest as its tenant sees it: rejections with their reasons, number of series, limits."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api.bodies import Change, Services, given
from duoscope.api.routing import LISTS, READS, Routes
from duoscope.api.searching import Reader
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import ingest_limits
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.kernel.query_limits import QueryLimits
from duoscope.metadata.tenants import Tenant
from duoscope.telemetry.usage import cardinality, rejections, status
from duoscope.telemetry.usage.cardinality import Cardinality
from duoscope.telemetry.usage.metering import Signal
from duoscope.telemetry.usage.rejections import Per, RejectionPage, RejectionQuestion

ROUTES: Final = Routes("ingest")
_WORST_DEFAULT: Final = 20

_ItemsRate = Annotated[
    int, Meta(description="Spans, log records and points per second; 0 means no limit.", examples=[20_000])
]
_BytesRate = Annotated[
    int, Meta(description="Request bytes per second, after decompression; 0 means no limit.", examples=[10_000_000])
]
_KeyItemsRate = Annotated[int, Meta(description="`items_per_second` of each API key; 0 means no limit.", examples=[0])]
_KeyBytesRate = Annotated[int, Meta(description="`bytes_per_second` of each API key; 0 means no limit.", examples=[0])]
_BurstSeconds = Annotated[
    int,
    Meta(
        description="Seconds' worth of the rates that may come at once; a larger request is refused permanently.",
        examples=[10],
    ),
]
_InFlight = Annotated[int, Meta(description="Requests that are being read or not answered yet.", examples=[1000])]
_ActiveSeries = Annotated[
    int, Meta(description="Metric series seen in the last 30 to 60 minutes; 0 means no limit.", examples=[200_000])
]
_Attributes = Annotated[
    int,
    Meta(description="Of one resource, scope or item; and events, links or exemplars of one item.", examples=[1000]),
]
_AttributeBytes = Annotated[int, Meta(description="One attribute's value, as stored.", examples=[262_144])]
_BodyBytes = Annotated[int, Meta(description="One log body, as stored.", examples=[1_048_576])]
_AtOnce = Annotated[int, Meta(description="Queries at work at one time, of all users and API keys.", examples=[2])]
_KeyAtOnce = Annotated[int, Meta(description="The same of each API key; 0 means no limit of its own.", examples=[0])]
_Waiting = Annotated[int, Meta(description="Requests that wait, before the next one is refused.", examples=[32])]
_QuerySeconds = Annotated[int, Meta(description="How long one query may take.", examples=[30])]
_QueryRows = Annotated[int, Meta(description="Rows that one request may read.", examples=[2_000_000_000])]
_QueryBytes = Annotated[int, Meta(description="Bytes that one request may read.", examples=[274_877_906_944])]
_ResultBytes = Annotated[int, Meta(description="Size of the result of one query.", examples=[67_108_864])]


class Limits(Struct, frozen=True):
    """The limits of a tenant: of what it sends, and of what it asks."""

    items_per_second: _ItemsRate
    bytes_per_second: _BytesRate
    key_items_per_second: _KeyItemsRate
    key_bytes_per_second: _KeyBytesRate
    burst_seconds: _BurstSeconds
    requests_in_flight: _InFlight
    active_series: _ActiveSeries
    attributes: _Attributes
    attribute_bytes: _AttributeBytes
    body_bytes: _BodyBytes
    queries_at_once: _AtOnce
    key_queries_at_once: _KeyAtOnce
    queries_waiting: _Waiting
    query_seconds: _QuerySeconds
    query_rows: _QueryRows
    query_bytes: _QueryBytes
    query_result_bytes: _ResultBytes


class LimitsChange(Change):
    """Limits of the tenant's own. 0 means no limit where the limit says so; null restores the instance's value."""

    items_per_second: _ItemsRate | UnsetType | None = UNSET
    bytes_per_second: _BytesRate | UnsetType | None = UNSET
    key_items_per_second: _KeyItemsRate | UnsetType | None = UNSET
    key_bytes_per_second: _KeyBytesRate | UnsetType | None = UNSET
    burst_seconds: _BurstSeconds | UnsetType | None = UNSET
    requests_in_flight: _InFlight | UnsetType | None = UNSET
    active_series: _ActiveSeries | UnsetType | None = UNSET
    attributes: _Attributes | UnsetType | None = UNSET
    attribute_bytes: _AttributeBytes | UnsetType | None = UNSET
    body_bytes: _BodyBytes | UnsetType | None = UNSET
    queries_at_once: _AtOnce | UnsetType | None = UNSET
    key_queries_at_once: _KeyAtOnce | UnsetType | None = UNSET
    queries_waiting: _Waiting | UnsetType | None = UNSET
    query_seconds: _QuerySeconds | UnsetType | None = UNSET
    query_rows: _QueryRows | UnsetType | None = UNSET
    query_bytes: _QueryBytes | UnsetType | None = UNSET
    query_result_bytes: _ResultBytes | UnsetType | None = UNSET


class TenantLimits(Struct, frozen=True):
    """The limits of a tenant, and which of them are its own."""

    tenant_id: UUID
    limits: Annotated[Limits, Meta(description="The limits that apply.")]
    own: Annotated[
        dict[str, int],
        Meta(
            description="The limits of the tenant's own; the others are the instance's.",
            examples=[{"items_per_second": 20_000}],
        ),
    ]


@ROUTES.get("/api/v1/ingest/limits", "Read your tenant's limits", "tenant:read", problems=(401, 403, 503))
async def get_limits(request: Request[Principal, Any, Any], services: Services) -> Limits:
    """The limits that apply to your tenant. The operators of the instance set them."""
    own = request.user.own_limits
    return _shown(_defaults(services).with_own(own), _query_limits(services, own))


@ROUTES.get("/api/v1/tenants/{tenant_id:uuid}/limits", "Read a tenant's limits", "tenant:read", problems=READS)
async def get_tenant_limits(
    request: Request[Principal, Any, Any], tenant_id: FromPath[UUID], services: Services
) -> TenantLimits:
    """The limits of a tenant that you may read; for platform admins, of any."""
    tenant = await ingest_limits.as_seen_by(services.metadata, request.user, tenant_id)
    return _of_tenant(services, tenant)


@ROUTES.patch(
    "/api/v1/tenants/{tenant_id:uuid}/limits", "Change a tenant's limits", "organization:admin", problems=READS
)
async def change_tenant_limits(
    request: Request[Principal, Any, Any], tenant_id: FromPath[UUID], data: JSONBody[LimitsChange], services: Services
) -> TenantLimits:
    """Change a tenant's limits. For platform admins only: limits protect other tenants.

    Receivers apply the change at once, and so do queries from the next request on.
    """
    request.user.require_platform_admin()
    tenant = await ingest_limits.change(services.metadata, request.user.actor, tenant_id, given(data))
    return _of_tenant(services, tenant)


@ROUTES.get("/api/v1/ingest/rejections", "List rejections", "tenant:read", problems=LISTS)
async def list_rejections(  # noqa: PLR0917 - each is a parameter of the query
    request: Request[Principal, Any, Any],
    reader: Reader,
    services: Services,
    start: Annotated[
        str | None, QueryParameter(description="Start; by default 24 hours before `end`. Its minute counts whole.")
    ] = None,
    end: Annotated[str | None, QueryParameter(description="End; by default now.")] = None,
    per: Annotated[Per, QueryParameter(description="Sum by UTC minute, hour or day.")] = "minute",
    signal: Annotated[Signal | None, QueryParameter(description="Only this signal.")] = None,
    api_key_id: Annotated[UUID | None, QueryParameter(description="Only rejections of this key.")] = None,
    reason: Annotated[
        str | None,
        QueryParameter(max_length=64, pattern="^[a-z0-9-]+$", description="Only rejections for this reason."),
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")] = None,
) -> RejectionPage:
    """Items that were left out of requests whose other items were stored, items that were cut, and requests that were
    refused whole.

    Newest first. Kept for 30 days. Requests refused whole appear within seconds.
    """
    asked = RejectionQuestion(start, end, per, signal, api_key_id, reason, limit, cursor)
    return await rejections.rejections(reader, await _limits(request, services), asked)


@ROUTES.get("/api/v1/ingest/cardinality", "Active series and their causes", "metric:read", problems=LISTS)
async def get_cardinality(
    request: Request[Principal, Any, Any],
    reader: Reader,
    services: Services,
    metric: Annotated[
        str | None,
        QueryParameter(max_length=1024, description="Only this metric, to find the label with the most values."),
    ] = None,
    limit: Annotated[
        int, QueryParameter(ge=1, le=LIST_LIMIT_MAX, description="Maximum number of metrics, and of labels.")
    ] = _WORST_DEFAULT,
) -> Cardinality:
    """The metrics with the most series in the last hour, and the attributes with the most different values."""
    return await cardinality.cardinality(reader, await _limits(request, services), metric=metric, limit=limit)


async def _limits(request: Request[Principal, Any, Any], services: Services) -> IngestLimits:
    return await ingest_limits.of_scope(services.metadata, request.user.scope, _defaults(services))


def _defaults(services: Services) -> IngestLimits:
    return IngestLimits.parse(services.settings.ingest_limits)


def _of_tenant(services: Services, tenant: Tenant) -> TenantLimits:
    applied = _defaults(services).with_own(tenant.own_limits)
    shown = _shown(applied, _query_limits(services, tenant.own_limits))
    return TenantLimits(tenant.tenant_id, shown, tenant.own_limits)


def _query_limits(services: Services, own: Mapping[str, int]) -> QueryLimits:
    return QueryLimits.parse(services.settings.query_limits).with_own(own)


def _shown(ingest: IngestLimits, query: QueryLimits) -> Limits:
    return Limits(**asdict(ingest), **asdict(query))


_READ_BY: Final[Mapping[Signal, str]] = {"traces": "trace:read", "logs": "log:read", "metrics": "metric:read"}


@ROUTES.get("/api/v1/ingest/status", "What arrived lately, by signal", "tenant:read", problems=(401, 403, 429, 503))
async def get_status(request: Request[Principal, Any, Any], reader: Reader, services: Services) -> status.IngestStatus:
    """The arrivals of your tenant in the last 24 hours: how much of each signal, from which services, when the last
    of it arrived, and what was rejected and why. Seconds after it was sent. Services are named to those who may read
    the signal.
    """
    readable: list[Signal] = [signal for signal, permission in _READ_BY.items() if request.user.has(permission)]
    return await status.status(reader, await _limits(request, services), readable)


class Endpoints(Struct, frozen=True):
    """The addresses to which collectors and SDKs send telemetry."""

    otlp_grpc_endpoint: Annotated[
        str, Meta(description="OTLP over gRPC; https if the port speaks TLS.", examples=["http://127.0.0.1:4317"])
    ]
    otlp_http_endpoint: Annotated[
        str, Meta(description="OTLP over HTTP, without `/v1/traces`.", examples=["http://127.0.0.1:4318"])
    ]


@ROUTES.get("/api/v1/ingest/endpoints", "Where to send telemetry", problems=(401, 503))
async def endpoints(request: Request[Principal, Any, Any], services: Services) -> Endpoints:
    """The addresses for collectors and SDKs. The host is the one of the public address, or else the one that this
    request was sent to; behind proxies of their own the OTLP ports may have other addresses.
    """
    settings = services.settings
    try:
        host = urlsplit(settings.public_url or f"//{request.headers.get('host', '')}").hostname or settings.host
    except ValueError:  # what the client calls us is no address
        host = settings.host
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.otlp_tls_cert else "http"
    return Endpoints(f"{scheme}://{host}:{settings.otlp_grpc_port}", f"{scheme}://{host}:{settings.otlp_http_port}")
