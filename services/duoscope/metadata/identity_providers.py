"""OpenID providers of organizations, the roles that their groups give, and the users that their subjects belong to."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.metadata.listing import IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A row of `identity_providers`."""

    organization_id: UUID
    identity_provider_id: UUID
    slug: str
    name: str
    issuer: str
    client_id: str
    client_secret_encrypted: str = field(repr=False)
    scopes: tuple[str, ...]
    allowed_email_domains: tuple[str, ...]
    group_claim: str
    acr_values: tuple[str, ...]
    is_active: bool
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class GroupRole:
    """A row of `identity_provider_roles`: members of the group hold the role in the tenant; without a tenant,
    organization-wide.
    """

    group_name: str
    role_id: UUID
    role_owner_id: UUID
    workspace_id: UUID | None
    tenant_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRole:
    """A role that a group has given a user; without a tenant it is held organization-wide."""

    user_role_id: UUID
    role_id: UUID
    tenant_id: UUID | None


_FORGETTING: Final = 0x64756F2D6F696463
EVERYBODY: Final = "*"
"""The group of all users who log in through the provider."""
_COLUMNS: Final[LiteralString] = (
    "organization_id, identity_provider_id, slug, name, issuer, client_id, client_secret_encrypted, scopes, "
    "allowed_email_domains, group_claim, acr_values, is_active, deleted_at, created_at, updated_at"
)
LISTING: Final = Listing(
    name="identity_providers",
    select=f"SELECT {_COLUMNS} FROM identity_providers",
    key="identity_provider_id",
    sorts={"name": str, "created_at": datetime},
    filters={"deleted": IS_DELETED, "name": "strpos(lower(name), lower(?)) > 0", "is_active": "is_active = ?"},
)


def from_row(row: Record) -> IdentityProvider:
    """Build an IdentityProvider from a row of the listing or of the table."""
    values: dict[str, Any] = dict(row)
    for name in ("scopes", "allowed_email_domains", "acr_values"):
        values[name] = tuple(values[name])
    return IdentityProvider(**values)


async def get(tx: Transaction, identity_provider_id: UUID) -> IdentityProvider | None:
    """The provider, deleted or not, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM identity_providers WHERE identity_provider_id = $1", identity_provider_id
    )
    return from_row(row) if row else None


async def lock(tx: Transaction, identity_provider_id: UUID) -> IdentityProvider | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM identity_providers WHERE identity_provider_id = $1 FOR UPDATE", identity_provider_id
    )
    return from_row(row) if row else None


async def find_open(tx: Transaction, slug: str) -> IdentityProvider | None:
    """The provider that a login names, if it and its organization are active. Needs a platform transaction."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM identity_providers p WHERE slug = $1 AND is_active AND deleted_at IS NULL AND EXISTS ("
        "SELECT FROM organizations o WHERE o.organization_id = p.organization_id AND o.is_active "
        "AND o.deleted_at IS NULL)",
        slug,
    )
    return from_row(row) if row else None


async def create(tx: Transaction, provider: IdentityProvider) -> IdentityProvider:
    """Store a provider with its ids and slug. The database sets its times."""
    row = await tx.fetchrow(
        "INSERT INTO identity_providers (organization_id, identity_provider_id, slug, name, issuer, client_id, "
        "client_secret_encrypted, scopes, allowed_email_domains, group_claim, is_active, acr_values) "
        f"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING {_COLUMNS}",
        *(provider.organization_id, provider.identity_provider_id, provider.slug, provider.name, provider.issuer),
        *(provider.client_id, provider.client_secret_encrypted, list(provider.scopes)),
        *(list(provider.allowed_email_domains), provider.group_claim, provider.is_active, list(provider.acr_values)),
    )
    assert row is not None
    return from_row(row)


async def save(tx: Transaction, provider: IdentityProvider) -> IdentityProvider:
    """Save the columns that may change: not the issuer, which identifies its subjects, nor the slug."""
    row = await tx.fetchrow(
        "UPDATE identity_providers SET name = $2, client_id = $3, client_secret_encrypted = $4, scopes = $5, "
        "allowed_email_domains = $6, group_claim = $7, is_active = $8, deleted_at = $9, acr_values = $10 "
        f"WHERE identity_provider_id = $1 RETURNING {_COLUMNS}",
        *(provider.identity_provider_id, provider.name, provider.client_id, provider.client_secret_encrypted),
        *(list(provider.scopes), list(provider.allowed_email_domains), provider.group_claim, provider.is_active),
        *(provider.deleted_at, list(provider.acr_values)),
    )
    assert row is not None
    return from_row(row)


async def group_roles(tx: Transaction, identity_provider_id: UUID) -> list[GroupRole]:
    """The roles that its groups give, without deleted roles and tenants."""
    rows = await tx.fetch(
        "SELECT group_name, g.role_id, g.role_owner_id, g.workspace_id, g.tenant_id FROM identity_provider_roles g "
        "JOIN roles r ON r.organization_id = g.organization_id AND r.role_id = g.role_id AND r.deleted_at IS NULL "
        "LEFT JOIN tenants t ON t.organization_id = g.organization_id AND t.tenant_id = g.tenant_id "
        "WHERE g.identity_provider_id = $1 AND (g.tenant_id IS NULL OR t.deleted_at IS NULL) "
        "ORDER BY group_name, g.identity_provider_role_id",
        identity_provider_id,
    )
    return [GroupRole(**dict(row)) for row in rows]


async def set_group_roles(tx: Transaction, provider: IdentityProvider, wanted: list[GroupRole]) -> None:
    """Replace the roles that its groups give."""
    await tx.execute(
        "DELETE FROM identity_provider_roles WHERE identity_provider_id = $1", provider.identity_provider_id
    )
    for each in wanted:
        await tx.execute(
            "INSERT INTO identity_provider_roles (organization_id, identity_provider_role_id, identity_provider_id, "
            "group_name, role_owner_id, role_id, workspace_id, tenant_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
            "ON CONFLICT DO NOTHING",
            *(provider.organization_id, new_id(), provider.identity_provider_id, each.group_name),
            *(each.role_owner_id, each.role_id, each.workspace_id, each.tenant_id),
        )


async def user_of_subject(tx: Transaction, provider: IdentityProvider, subject: str) -> UUID | None:
    """The user that the provider's subject belongs to."""
    return await tx.fetchval(
        "UPDATE user_identities SET last_login_at = now() "
        "WHERE organization_id = $1 AND identity_provider_id = $2 AND subject = $3 RETURNING user_id",
        *(provider.organization_id, provider.identity_provider_id, subject),
    )


async def link(tx: Transaction, provider: IdentityProvider, subject: str, user_id: UUID) -> bool:
    """Link the subject to the user. Returns False if the user already has another subject at the provider."""
    touched = await tx.execute(
        "INSERT INTO user_identities (organization_id, identity_provider_id, subject, user_id) "
        "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        *(provider.organization_id, provider.identity_provider_id, subject, user_id),
    )
    return touched > 0


async def use_state(tx: Transaction, provider: IdentityProvider, state_hash: str, *, lifetime_s: float) -> bool:
    """Use up the state of an authorization request. Returns False if it was used before. Also removes some expired
    states.
    """
    # Skips rows that another transaction removes at this moment.
    await tx.execute(
        "DELETE FROM oidc_used_states WHERE expires_at < now() AND (SELECT pg_try_advisory_xact_lock($1))",
        _FORGETTING,
    )
    touched = await tx.execute(
        "INSERT INTO oidc_used_states (organization_id, identity_provider_id, state_hash, expires_at) "
        "VALUES ($1, $2, $3, now() + make_interval(secs => $4)) ON CONFLICT DO NOTHING",
        *(provider.organization_id, provider.identity_provider_id, state_hash, lifetime_s),
    )
    return touched > 0


async def given_roles(tx: Transaction, provider: IdentityProvider, user_id: UUID) -> list[GivenRole]:
    """Return the roles that groups of the provider have given a user."""
    rows = await tx.fetch(
        "SELECT user_role_id, role_id, tenant_id FROM user_roles "
        "WHERE organization_id = $1 AND identity_provider_id = $2 AND user_id = $3",
        *(provider.organization_id, provider.identity_provider_id, user_id),
    )
    return [GivenRole(**dict(row)) for row in rows]


async def give_role(tx: Transaction, provider: IdentityProvider, user_id: UUID, role: GroupRole) -> GivenRole | None:
    """Give a user the role of a group. Returns None if the user holds that role there already: it stays their own."""
    user_role_id = await tx.fetchval(
        "INSERT INTO user_roles (organization_id, workspace_id, tenant_id, user_role_id, user_id, role_id, "
        "role_owner_id, identity_provider_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING "
        "RETURNING user_role_id",
        *(provider.organization_id, role.workspace_id, role.tenant_id, new_id(), user_id, role.role_id),
        *(role.role_owner_id, provider.identity_provider_id),
    )
    return (
        GivenRole(user_role_id=user_role_id, role_id=role.role_id, tenant_id=role.tenant_id) if user_role_id else None
    )
