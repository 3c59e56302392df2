"""Identity providers: the OpenID providers of an organization, and the roles that their groups give."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Name, Services, given, items
from duoscope.api.listing import ActiveFilter, DeletedFilter, NameFilter, OrganizationParameter, PagingDependency
from duoscope.api.routing import READS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import invalid, require_found
from duoscope.metadata import identity_providers
from duoscope.metadata.columns import DeletedAt, IsActive

ROUTES: Final = Routes("identity-providers")
_TEXT: Final = r"^[^\x00]*$"

Issuer = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=_TEXT,
        description="An https URL, as the provider's discovery document names it; cannot be changed later.",
        examples=["https://login.example.com"],
    ),
]
ClientId = Annotated[str, Meta(min_length=1, max_length=500, pattern=_TEXT, examples=["duoscope"])]
ClientSecret = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        pattern=_TEXT,
        description="Stored encrypted, and never returned.",
        examples=["the provider's secret for duoscope"],
    ),
]
_SCOPE: Final = r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$"
Scopes = Annotated[
    list[Annotated[str, Meta(pattern=_SCOPE)]],
    Meta(
        max_length=20,
        examples=[["openid", "email", "profile", "groups"]],
        extra_json_schema=items(Schema(type=OpenAPIType.STRING, pattern=_SCOPE)),
    ),
]
Domains = Annotated[
    list[Annotated[str, Meta(max_length=253)]],
    Meta(
        extra_json_schema=items(Schema(type=OpenAPIType.STRING, max_length=253)),
        min_length=1,
        max_length=100,
        description="Domains for whose e-mail addresses the provider may vouch.",
        examples=[["example.com"]],
    ),
]
AcrValues = Annotated[
    list[Annotated[str, Meta(pattern=_SCOPE)]],
    Meta(
        max_length=20,
        description="Requested at each login. A login for which the provider reports one of them (`acr`) counts as "
        "more than one factor; so does one whose methods (`amr`) do.",
        examples=[["urn:example:mfa"]],
        extra_json_schema=items(Schema(type=OpenAPIType.STRING, pattern=_SCOPE)),
    ),
]
GroupClaim = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=_TEXT,
        description="The claim in which the provider names groups.",
        examples=["groups"],
    ),
]


class GroupRole(Struct, forbid_unknown_fields=True, frozen=True):
    """Members of a group hold a role; each of their logins updates it."""

    group: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=500,
            pattern=_TEXT,
            description="`*` means all users of the provider.",
            examples=["shop-developers"],
        ),
    ]
    role_id: UUID
    tenant_id: Annotated[UUID | None, Meta(description="Tenant of the role; null with organization_wide.")] = None
    organization_wide: Annotated[bool, Meta(description="In every tenant, including future ones.")] = False


GroupRoles = Annotated[list[GroupRole], Meta(max_length=500)]


class IdentityProvider(Struct, frozen=True):
    """An OpenID provider. Its users begin at /api/v1/auth/oidc/{slug}/start."""

    organization_id: UUID
    identity_provider_id: UUID
    slug: Annotated[str, Meta(examples=["login-5f3a9c1e"])]
    name: Annotated[str, Meta(examples=["Company login"])]
    issuer: str
    client_id: str
    scopes: list[str]
    allowed_email_domains: list[str]
    group_claim: str
    acr_values: list[str]
    group_roles: list[GroupRole]
    redirect_uri: Annotated[str, Meta(description="Address to register with the provider.")]
    is_active: bool
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


class IdentityProviderSummary(Struct, frozen=True):
    """An OpenID provider in a list."""

    organization_id: UUID
    identity_provider_id: UUID
    slug: str
    name: str
    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    allowed_email_domains: tuple[str, ...]
    group_claim: str
    acr_values: tuple[str, ...]
    is_active: bool
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime


class IdentityProviderPage(Struct, frozen=True):
    """One page of identity providers, and the cursor of the next page."""

    items: list[IdentityProviderSummary]
    next_cursor: str | None


class NewIdentityProvider(Struct, forbid_unknown_fields=True):
    """A provider to be created."""

    name: Name
    issuer: Issuer
    client_id: ClientId
    client_secret: ClientSecret
    allowed_email_domains: Domains
    scopes: Scopes = msgspec.field(default_factory=lambda: ["openid", "email", "profile"])
    group_claim: GroupClaim = "groups"
    acr_values: AcrValues = msgspec.field(default_factory=list[str])
    group_roles: GroupRoles = msgspec.field(default_factory=list[GroupRole])


class IdentityProviderChange(Change):
    """The changes of a provider; fields that are not given keep their values."""

    name: Name | UnsetType = UNSET
    client_id: ClientId | UnsetType = UNSET
    client_secret: ClientSecret | UnsetType = UNSET
    allowed_email_domains: Domains | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    group_claim: GroupClaim | UnsetType = UNSET
    acr_values: AcrValues | UnsetType = UNSET
    group_roles: GroupRoles | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


@ROUTES.post("/api/v1/identity-providers", "Create an identity provider", "identity-provider:write", problems=READS)
async def create_identity_provider(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewIdentityProvider],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> IdentityProvider:
    """Create a provider. It decides who logs in as whom, so you must hold everything organization-wide."""
    authority = request.user.over_organization("identity-provider:write", organization_id)
    fields = {name: getattr(data, name) for name in data.__struct_fields__}
    fields["group_roles"] = _wanted(data.group_roles)
    return _shown(services, *await services.identity_providers.create(authority, **fields))


@ROUTES.get("/api/v1/identity-providers", "List identity providers", "identity-provider:read", problems=READS)
async def list_identity_providers(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
    organization_id: OrganizationParameter = None,
) -> IdentityProviderPage:
    """List the organization's providers. Sorts: name, created_at."""
    authority = request.user.over_organization("identity-provider:read", organization_id)
    filters = {"name": name, "is_active": is_active, "deleted": deleted}
    async with services.metadata.open(authority.scope, "identity_providers.list") as tx:
        return IdentityProviderPage(
            *await listing.page(tx, identity_providers.LISTING, paging, filters, answer=IdentityProviderSummary)
        )


@ROUTES.get(
    "/api/v1/identity-providers/{identity_provider_id:uuid}",
    "Read an identity provider",
    "identity-provider:read",
    problems=READS,
)
async def get_identity_provider(
    request: Request[Principal, Any, Any],
    identity_provider_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> IdentityProvider:
    """One provider, deleted or not, with the roles that its groups give."""
    authority = request.user.over_organization("identity-provider:read", organization_id)
    async with services.metadata.open(authority.scope, "identity_providers.get") as tx:
        found = require_found(await identity_providers.get(tx, identity_provider_id), "identity provider")
        return _shown(services, found, await identity_providers.group_roles(tx, identity_provider_id))


@ROUTES.patch(
    "/api/v1/identity-providers/{identity_provider_id:uuid}",
    "Change an identity provider",
    "identity-provider:write",
    problems=READS,
)
async def change_identity_provider(
    request: Request[Principal, Any, Any],
    identity_provider_id: FromPath[UUID],
    data: JSONBody[IdentityProviderChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> IdentityProvider:
    """Change a provider; fields that are not given keep their values. `group_roles`, if given, replaces all existing
    ones.
    """
    authority = request.user.over_organization("identity-provider:write", organization_id)
    changes = given(data)
    if data.group_roles is not UNSET:
        changes["group_roles"] = _wanted(data.group_roles)
    return _shown(services, *await services.identity_providers.change(authority, identity_provider_id, changes))


@ROUTES.delete(
    "/api/v1/identity-providers/{identity_provider_id:uuid}",
    "Delete an identity provider",
    "identity-provider:delete",
    problems=READS,
)
async def delete_identity_provider(
    request: Request[Principal, Any, Any],
    identity_provider_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Delete a provider: nobody logs in through it any more. Its users and their roles stay; it can be restored for 90
    days.
    """
    authority = request.user.over_organization("identity-provider:delete", organization_id)
    await services.identity_providers.delete(authority, identity_provider_id)


@ROUTES.post(
    "/api/v1/identity-providers/{identity_provider_id:uuid}/restore",
    "Restore an identity provider",
    "identity-provider:delete",
    problems=READS,
    status_code=200,
)
async def restore_identity_provider(
    request: Request[Principal, Any, Any],
    identity_provider_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> IdentityProvider:
    """Restore a deleted provider."""
    authority = request.user.over_organization("identity-provider:delete", organization_id)
    return _shown(services, *await services.identity_providers.restore(authority, identity_provider_id))


def _wanted(given_roles: list[GroupRole]) -> list[tuple[str, UUID, UUID | None]]:
    for each in given_roles:
        if each.organization_wide == (each.tenant_id is not None):
            raise invalid("group_roles: give tenant_id or organization_wide, one of them.")
    return [(each.group, each.role_id, each.tenant_id) for each in given_roles]


def _shown(
    services: Services,
    provider: identity_providers.IdentityProvider,
    mapping: list[identity_providers.GroupRole],
) -> IdentityProvider:
    return IdentityProvider(
        provider.organization_id,
        provider.identity_provider_id,
        provider.slug,
        provider.name,
        provider.issuer,
        provider.client_id,
        list(provider.scopes),
        list(provider.allowed_email_domains),
        provider.group_claim,
        list(provider.acr_values),
        [GroupRole(each.group_name, each.role_id, each.tenant_id, each.tenant_id is None) for each in mapping],
        services.oidc.redirect_uri(provider),
        provider.is_active,
        provider.deleted_at,
        provider.created_at,
        provider.updated_at,
    )
