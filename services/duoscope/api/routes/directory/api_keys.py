"""API keys, with which collectors and SDKs send telemetry, and programs read it."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import shown
from duoscope.api.dependencies import ApiServices
from duoscope.api.listing import NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.api_keys.management import (
    BROWSER_RATE_LIMIT_DEFAULT,
    GRACE_DEFAULT_S,
    GRACE_MAX_S,
    ApiKeyManagement,
    KeyWish,
    Made,
)
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import invalid, require_found
from duoscope.metadata import api_key_usage_logs, api_keys
from duoscope.metadata.api_key_usage_logs import UsageLog
from duoscope.metadata.api_keys import (
    ADDRESSES_MAX,
    DESCRIPTION_CHARS_MAX,
    NAME_CHARS_MAX,
    ORIGINS_MAX,
    RATE_LIMIT_MAX,
)
from duoscope.net.origins import ORIGIN_CHARS_MAX

Services = NamedDependency[SkipValidation[ApiServices]]
Permission = Literal[
    "traces:write",
    "metrics:write",
    "logs:write",
    "monitors:report",
    "traces:read",
    "metrics:read",
    "logs:read",
    "alerts:read",
    "alerts:write",
]
Status = Literal["active", "rotated", "revoked", "expired"]
ROUTES: Final = Routes("api-keys")

# PostgreSQL keeps no NUL in a text.
_TEXT: Final = r"^[^\x00]*$"
_Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX, pattern=_TEXT, examples=["collector eu-1"])]
_Description = Annotated[str, Meta(max_length=DESCRIPTION_CHARS_MAX, pattern=_TEXT)]
_ExpiresAt = Annotated[datetime, Meta(tz=True, description="The key works until then.")]
_RateLimit = Annotated[
    int, Meta(ge=1, le=RATE_LIMIT_MAX, description="Requests per minute; null for no limit.", examples=[6000])
]
_Addresses = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(
        max_length=ADDRESSES_MAX,
        description="Addresses and networks from which it may be used; empty for everywhere.",
        examples=[["192.0.2.0/24", "2001:db8::1"]],
    ),
]


_Origins = Annotated[
    list[Annotated[str, Meta(max_length=ORIGIN_CHARS_MAX)]],
    Meta(
        max_length=ORIGINS_MAX,
        description="Origins of the pages that may send with it over OTLP/HTTP, `scheme://host` or "
        "`scheme://host:port`, or `*` alone for all; empty if it is not for pages. Not with a read permission.",
        examples=[["https://shop.example.com"]],
    ),
]
_IsBrowserOnly = Annotated[
    bool,
    Meta(
        description="For pages, where everybody can read it: it needs `allowed_origins`, only sends telemetry, and has "
        f"a `rate_limit`, {BROWSER_RATE_LIMIT_DEFAULT} if none is given. Requests without an Origin are refused. "
        "Cannot be changed."
    ),
]


class ApiKey(Struct, frozen=True, kw_only=True):
    """An API key, without its secret."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    api_key_id: UUID
    key_id: Annotated[str, Meta(description="The part of the key before the dot; not secret.")]
    name: str
    description: str
    status: Status
    permissions: list[str]
    expires_at: datetime | None
    last_used_at: Annotated[datetime | None, Meta(description="Updated with a delay of a few seconds.")]
    last_used_ip: str | None
    usage_count: int
    rate_limit: int | None
    allowed_addresses: list[str]
    allowed_origins: list[str]
    is_browser_only: bool
    rotated_at: datetime | None
    grace_period_expires_at: Annotated[
        datetime | None, Meta(description="Until when the previous secret works as well.")
    ]
    revoked_reason: str | None
    revoked_by: UUID | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ApiKeyWithSecret(ApiKey, frozen=True, kw_only=True):
    """An API key with its secret, which is shown only in this answer."""

    api_key: Annotated[
        str,
        Meta(description="Send it as `Authorization: Bearer <api key>` or `x-api-key: <api key>`. Not shown again."),
    ]


class ApiKeyPage(Struct, frozen=True):
    """One page of keys, and the cursor of the next page."""

    items: list[ApiKey]
    next_cursor: str | None


class ApiKeyUsagePage(Struct, frozen=True):
    """One page of a key's uses, and the cursor of the next page."""

    items: list[UsageLog]
    next_cursor: str | None


class NewApiKey(Struct, forbid_unknown_fields=True):
    """A key to be created."""

    name: _Name
    permissions: Annotated[
        list[Permission], Meta(min_length=1, max_length=20, examples=[["traces:write", "logs:write", "metrics:write"]])
    ]
    description: _Description = ""
    expires_at: _ExpiresAt | None = None
    rate_limit: _RateLimit | None = None
    allowed_addresses: _Addresses = []
    allowed_origins: _Origins = []
    is_browser_only: _IsBrowserOnly = False


class ApiKeyChange(Struct, forbid_unknown_fields=True):
    """The changes of a key; fields that are not given keep their values."""

    name: _Name | UnsetType = UNSET
    description: _Description | UnsetType = UNSET
    expires_at: _ExpiresAt | UnsetType | None = UNSET
    rate_limit: _RateLimit | UnsetType | None = UNSET
    allowed_addresses: _Addresses | UnsetType = UNSET
    allowed_origins: _Origins | UnsetType = UNSET


class Rotation(Struct, forbid_unknown_fields=True):
    """The grace period of a rotation."""

    grace_period_s: Annotated[
        int, Meta(ge=0, le=GRACE_MAX_S, description="Seconds for which the current secret keeps working.")
    ] = GRACE_DEFAULT_S


class Revocation(Struct, forbid_unknown_fields=True):
    """The reason of a revocation."""

    reason: Annotated[
        str, Meta(min_length=1, max_length=api_keys.REASON_CHARS_MAX, pattern=_TEXT, examples=["found in a log"])
    ]


@ROUTES.post("/api/v1/api-keys", "Create an API key", "api-key:write", problems=LISTS)
async def create_api_key(
    request: Request[Principal, Any, Any], data: JSONBody[NewApiKey], services: Services
) -> ApiKeyWithSecret:
    """Create a key. Only this answer contains the secret. A key cannot do more than its maker."""
    wish = KeyWish(
        name=data.name,
        permissions=tuple(data.permissions),
        description=data.description,
        expires_at=data.expires_at,
        rate_limit=data.rate_limit,
        allowed_addresses=tuple(data.allowed_addresses),
        allowed_origins=tuple(data.allowed_origins),
        is_browser_only=data.is_browser_only,
    )
    return _with_secret(await _management(services).create(request.user, wish))


@ROUTES.get("/api/v1/api-keys", "List API keys", "api-key:read", problems=LISTS)
async def list_api_keys(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    status: Annotated[Status | None, QueryParameter(description="Keys in this state.")] = None,
    permission: Annotated[Permission | None, QueryParameter(description="Keys with this permission.")] = None,
) -> ApiKeyPage:
    """List the tenant's keys, including revoked ones. Sorts: created_at, name."""
    filters = {"name": name, "status": status, "permission": permission}
    async with services.metadata.open(request.user.scope, "api_keys.list") as tx:
        return ApiKeyPage(*await listing.page(tx, api_keys.LISTING, paging, filters, answer=ApiKey))


@ROUTES.get("/api/v1/api-keys/{api_key_id:uuid}", "Read an API key", "api-key:read", problems=READS)
async def get_api_key(request: Request[Principal, Any, Any], api_key_id: FromPath[UUID], services: Services) -> ApiKey:
    """One key, without its secret."""
    async with services.metadata.open(request.user.scope, "api_keys.get") as tx:
        key = await api_keys.get(tx, api_key_id)
    key = require_found(key, "API key")
    return shown(key, ApiKey)


@ROUTES.patch("/api/v1/api-keys/{api_key_id:uuid}", "Change an API key", "api-key:write", problems=WRITES)
async def change_api_key(
    request: Request[Principal, Any, Any], api_key_id: FromPath[UUID], data: JSONBody[ApiKeyChange], services: Services
) -> ApiKey:
    """Change a key. Its permissions, and whether it is for browsers only, cannot be changed: create another key for
    that.
    """
    fields = {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
    if not fields:
        raise invalid(f"Give at least one of {', '.join(data.__struct_fields__)}.")
    return shown(await _management(services).change(request.user, api_key_id, fields), ApiKey)


@ROUTES.post(
    "/api/v1/api-keys/{api_key_id:uuid}/rotate",
    "Give an API key another secret",
    "api-key:write",
    problems=WRITES,
    status_code=200,
)
async def rotate_api_key(
    request: Request[Principal, Any, Any], api_key_id: FromPath[UUID], data: JSONBody[Rotation], services: Services
) -> ApiKeyWithSecret:
    """Give a key a new secret. Both secrets work until the grace period is over. If the key is rotated again before,
    the oldest stops at once.

    Of several such requests at one moment one succeeds; 409 `api-key-rotated` for the others.
    """
    made = await _management(services).rotate(request.user, api_key_id, grace_s=data.grace_period_s)
    return _with_secret(made)


@ROUTES.post(
    "/api/v1/api-keys/{api_key_id:uuid}/revoke", "Revoke an API key", "api-key:delete", problems=READS, status_code=200
)
async def revoke_api_key(
    request: Request[Principal, Any, Any], api_key_id: FromPath[UUID], data: JSONBody[Revocation], services: Services
) -> ApiKey:
    """Revoke a key for good: every receiver refuses it within 2 seconds, and it cannot be undone."""
    return shown(await _management(services).revoke(request.user, api_key_id, reason=data.reason), ApiKey)


@ROUTES.get(
    "/api/v1/api-keys/{api_key_id:uuid}/usage", "Look at what an API key was used for", "api-key:read", problems=READS
)
async def list_api_key_usage(
    request: Request[Principal, Any, Any], api_key_id: FromPath[UUID], services: Services, paging: PagingDependency
) -> ApiKeyUsagePage:
    """List the key's requests of the last 30 days, added up over a few seconds by endpoint and address. 403 means a
    wrong address.
    """
    async with services.metadata.open(request.user.scope, "api_keys.usage") as tx:
        require_found(await api_keys.get(tx, api_key_id), "API key")
        filters = {"api_key_id": api_key_id}
        return ApiKeyUsagePage(*await listing.page(tx, api_key_usage_logs.LISTING, paging, filters, answer=UsageLog))


def _management(services: ApiServices) -> ApiKeyManagement:
    return ApiKeyManagement(services.metadata, services.hasher, services.quota)


def _with_secret(made: Made) -> ApiKeyWithSecret:
    return ApiKeyWithSecret(**msgspec.structs.asdict(shown(made.key, ApiKey)), api_key=made.presented)
