"""API keys: rows and permissions. The form of a key and its verification are in identity/api_keys/."""

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from duoscope.kernel import organization_limits
from duoscope.kernel.errors import invalid
from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.net.addresses import Network, parse_networks
from duoscope.net.origins import parse_origins
from duoscope.stores.postgres import Record, Transaction

PERMISSIONS: Final = frozenset({"traces:write", "metrics:write", "logs:write", "monitors:report"})
"""The default permissions of a key: to send telemetry."""
READ_PERMISSIONS: Final = frozenset({"traces:read", "metrics:read", "logs:read"})
ALERT_PERMISSIONS: Final = frozenset({"alerts:read", "alerts:write"})
"""To read and silence alerts, and to post them, as at an Alertmanager."""
ALL_PERMISSIONS: Final = PERMISSIONS | READ_PERMISSIONS | ALERT_PERMISSIONS
BROWSER_PERMISSIONS: Final = frozenset({"traces:write", "metrics:write", "logs:write"})
"""What a key for browsers only may be permitted. Everybody who can open the page has the key."""

NAME_CHARS_MAX: Final = 200
DESCRIPTION_CHARS_MAX: Final = 2000
REASON_CHARS_MAX: Final = 500
ADDRESSES_MAX: Final = 100
ORIGINS_MAX: Final = 50
RATE_LIMIT_MAX: Final = 10_000_000
"""In requests per minute."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A row of `api_keys` with its permissions; never a hash."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    api_key_id: UUID
    key_id: str
    name: str
    description: str
    status: str
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_ip: str | None
    usage_count: int
    rate_limit: int | None
    allowed_addresses: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    is_browser_only: bool
    rotated_at: datetime | None
    grace_period_expires_at: datetime | None
    revoked_reason: str | None
    revoked_by: UUID | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """The stored data that a presented key is checked against.

    Attributes:
        is_valid: whether the key can be used now.
        valid_for_s: seconds until it expires; None for a key without expiry.
        secret_hash: of the current secret.
        previous_secret_hash: of the secret before the last rotation; None when there is none or its grace period is
            over.
        previous_valid_for_s: seconds until that one stops working.
        own_limits: the tenant's own limits, by name; for all others the instance's apply.
        organization_limits: rates of the whole organization, by name: its own, or, prefixed `largest.`, the largest
            that one of its tenants has of its own.
    """

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    api_key_id: UUID
    key_id: str
    name: str
    secret_hash: str = field(repr=False)
    previous_secret_hash: str | None = field(repr=False)
    previous_valid_for_s: float | None
    is_valid: bool
    valid_for_s: float | None
    permissions: frozenset[str]
    retention_days: int
    rate_limit: int | None
    allowed_addresses: tuple[Network, ...]
    allowed_origins: tuple[str, ...]
    is_browser_only: bool
    own_limits: tuple[tuple[str, int], ...]
    organization_limits: tuple[tuple[str, int], ...]


_STATUS: Final = "CASE WHEN status = 'active' AND expires_at <= now() THEN 'expired' ELSE status END"
_COLUMNS: Final = (
    "organization_id, workspace_id, tenant_id, api_key_id, key_id, name, description, "
    f"{_STATUS} AS status, expires_at, "
    "last_used_at, last_used_ip, usage_count, rate_limit, allowed_addresses::text[] AS allowed_addresses, "
    "allowed_origins, is_browser_only, rotated_at, grace_period_expires_at, revoked_reason, revoked_by, revoked_at, "
    "created_at, updated_at, "
    "coalesce((SELECT array_agg(p.permission ORDER BY p.permission) "
    "FROM api_key_permissions p WHERE p.tenant_id = api_keys.tenant_id AND p.api_key_id = api_keys.api_key_id), '{}') "
    "AS permissions"
)
_WITH_PLACES: Final = """
        FROM api_keys k
        JOIN tenants t USING (organization_id, workspace_id, tenant_id)
        JOIN workspaces w USING (organization_id, workspace_id)
        JOIN organizations o USING (organization_id)"""
_IS_VALID: Final = """((k.status = 'active' OR k.status = 'rotated' AND k.grace_period_expires_at > now()) IS TRUE
                AND coalesce(k.expires_at > now(), true)
                AND t.is_active AND t.deleted_at IS NULL AND w.is_active AND w.deleted_at IS NULL
                AND o.is_active AND o.deleted_at IS NULL)"""
"""Whether a key can be used now."""

LISTING: Final = Listing(
    name="api-keys",
    select=f"SELECT {_COLUMNS} FROM api_keys",
    key="api_key_id",
    sorts={"created_at": datetime, "name": str},
    filters={
        "name": CONTAINS,
        "status": f"({_STATUS}) = ?",
        "permission": "EXISTS (SELECT FROM api_key_permissions p WHERE p.tenant_id = api_keys.tenant_id "
        "AND p.api_key_id = api_keys.api_key_id AND p.permission = ?)",
    },
)
"""The sorts and filters of the list of keys."""


def from_row(row: Record) -> ApiKey:
    """Build an ApiKey from a row that LISTING selected."""
    values = dict(row)
    values["permissions"] = tuple(row["permissions"])
    values["allowed_addresses"] = tuple(row["allowed_addresses"])
    values["allowed_origins"] = tuple(row["allowed_origins"])
    return ApiKey(**values)


def check_permissions(permissions: Iterable[str]) -> tuple[str, ...]:
    """Sort the permissions and remove repetitions. Raises INVALID if there is none, or one does not exist."""
    chosen = tuple(sorted(set(permissions)))
    if not chosen or not ALL_PERMISSIONS.issuperset(chosen):
        raise invalid(f"permissions must be one or more of {', '.join(sorted(ALL_PERMISSIONS))}.")
    return chosen


def check_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """Convert to CIDR, sort, and remove repetitions. Raises INVALID for what is neither an address nor a network, or if
    there are too many.
    """
    try:
        networks = parse_networks(addresses)
    except ValueError as error:
        raise invalid(
            f"allowed_addresses: {str(error)[:60]!r} is neither an address nor a network such as 192.0.2.0/24 or "
            "2001:db8::/32, with no bits set after the prefix."
        ) from error
    if len(networks) > ADDRESSES_MAX:
        raise invalid(f"allowed_addresses may have {ADDRESSES_MAX} entries at the most.")
    return tuple(str(network) for network in networks)


def check_origins(origins: Collection[str]) -> tuple[str, ...]:
    """Bring origins into the form that browsers send, sort, and remove repetitions.

    Raises:
        DuoscopeError: INVALID for what is no origin, for `*` beside others, and for too many.
    """
    try:
        parsed = parse_origins(origins)
    except ValueError as error:
        raise invalid(
            f"allowed_origins: {error}. Write scheme://host or scheme://host:port, such as https://shop.example.com."
        ) from error
    if len(parsed) > ORIGINS_MAX:
        raise invalid(f"allowed_origins may have {ORIGINS_MAX} entries at the most.")
    return parsed


async def create(
    tx: Transaction,
    *,
    key_id: str,
    secret_hash: str,
    name: str,
    permissions: Iterable[str],
    description: str = "",
    expires_at: datetime | None = None,
    rate_limit: int | None = None,
    allowed_addresses: Iterable[str] = (),
    allowed_origins: Collection[str] = (),
    is_browser_only: bool = False,
) -> UUID:
    """Create a key in the transaction's tenant. Returns its api_key_id."""
    chosen = check_permissions(permissions)
    api_key_id = new_id()
    with taken("api-key", "key_id"):
        await tx.execute(
            "INSERT INTO api_keys (organization_id, workspace_id, tenant_id, api_key_id, key_id, secret_hash, name, "
            "description, expires_at, rate_limit, allowed_addresses, allowed_origins, is_browser_only) "
            "VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), $1, $2, $3, $4, $5, $6, $7, "
            "$8::text[]::cidr[], $9, $10)",
            *(api_key_id, key_id, secret_hash, name, description, expires_at, rate_limit),
            *(list(check_addresses(allowed_addresses)), list(check_origins(allowed_origins)), is_browser_only),
        )
    await tx.execute(
        "INSERT INTO api_key_permissions (organization_id, workspace_id, tenant_id, api_key_id, permission) "
        "SELECT app_organization_id(), app_workspace_id(), app_tenant_id(), $1, unnest($2::text[])",
        *(api_key_id, list(chosen)),
    )
    return api_key_id


async def get(tx: Transaction, api_key_id: UUID) -> ApiKey | None:
    """The key, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM api_keys WHERE api_key_id = $1", api_key_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, api_key_id: UUID) -> ApiKey | None:
    """The key, locked until the transaction ends, or None if the transaction may not see it."""
    await tx.execute("SELECT FROM api_keys WHERE api_key_id = $1 FOR UPDATE", api_key_id)
    return await get(tx, api_key_id)


async def find(tx: Transaction, key_id: str) -> ApiKey | None:
    """Find a key by `tfk-...`. Returns None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM api_keys WHERE key_id = $1", key_id)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[ApiKey]:
    """The keys that the transaction may see, newest first."""
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM api_keys ORDER BY api_key_id DESC")
    return [from_row(row) for row in rows]


async def change(tx: Transaction, key: ApiKey) -> None:
    """Save name, description, rate_limit, allowed_addresses, allowed_origins and expires_at as `key` has them."""
    await tx.execute(
        "UPDATE api_keys SET name = $3, description = $4, rate_limit = $5, allowed_addresses = $6::text[]::cidr[], "
        "expires_at = $7, allowed_origins = $8, status = CASE WHEN status = 'expired' THEN 'active' ELSE status END "
        "WHERE tenant_id = $1 AND api_key_id = $2",
        *(key.tenant_id, key.api_key_id, key.name, key.description, key.rate_limit),
        *(list(key.allowed_addresses), key.expires_at, list(key.allowed_origins)),
    )


async def rotate(tx: Transaction, key: ApiKey, *, secret_hash: str, grace_s: float) -> None:
    """Give the key a new secret. The current one keeps working for `grace_s`; an earlier one stops working."""
    await tx.execute(
        "UPDATE api_keys SET secret_hash = $3, previous_secret_hash = CASE WHEN $4 > 0 THEN secret_hash END, "
        "rotated_at = now(), grace_period_expires_at = now() + make_interval(secs => $4) "
        "WHERE tenant_id = $1 AND api_key_id = $2",
        *(key.tenant_id, key.api_key_id, secret_hash, grace_s),
    )


async def revoke(tx: Transaction, key_id: str, *, reason: str, revoked_by: UUID | None = None) -> UUID | None:
    """Revoke a key by key_id. Returns its api_key_id, or None if the transaction sees no such valid key.

    `revoked_by` is a user of the key's own organization.
    """
    return await tx.fetchval(
        "UPDATE api_keys SET status = 'revoked', revoked_at = now(), revoked_reason = $2, revoked_by = $3 "
        "WHERE key_id = $1 AND status <> 'revoked' RETURNING api_key_id",
        *(key_id, reason, revoked_by),
    )


async def find_credential(tx: Transaction, key_id: str) -> Credential | None:
    """Find a credential by key_id, which names no tenant. Needs a platform transaction."""
    return (await find_credentials(tx, [key_id])).get(key_id)


async def find_credentials(tx: Transaction, key_ids: Sequence[str]) -> dict[str, Credential]:
    """Find the credentials of many keys, by key_id. Needs a platform transaction."""
    rows = await tx.fetch(
        f"""
        SELECT k.organization_id, k.workspace_id, k.tenant_id, k.api_key_id, k.key_id, k.name, k.secret_hash,
            CASE WHEN k.grace_period_expires_at > now() THEN k.previous_secret_hash END AS previous_secret_hash,
            extract(epoch FROM k.grace_period_expires_at - now())::float8 AS previous_valid_for_s,
            {_IS_VALID} AS is_valid,
            extract(epoch FROM least(
                k.expires_at, CASE WHEN k.status = 'rotated' THEN k.grace_period_expires_at END
            ) - now())::float8 AS valid_for_s,
            ARRAY(
                SELECT p.permission FROM api_key_permissions p
                WHERE p.tenant_id = k.tenant_id AND p.api_key_id = k.api_key_id
            ) AS permissions,
            (t.settings ->> 'retention_days')::integer AS retention_days, k.rate_limit,
            k.allowed_addresses::text[] AS allowed_addresses, k.allowed_origins, k.is_browser_only,
            coalesce(t.settings -> 'limits', '{{}}') AS own_limits,
            coalesce((SELECT limits FROM organization_limits l WHERE l.organization_id = k.organization_id), '{{}}')
                AS organization_limits,
            coalesce((
                SELECT jsonb_agg(other.settings -> 'limits') FROM tenants other
                WHERE other.organization_id = k.organization_id AND other.deleted_at IS NULL
                    AND other.settings ? 'limits'
            ), '[]') AS limits_of_tenants
        {_WITH_PLACES}
        WHERE k.key_id = ANY ($1::text[])
        """,
        list(key_ids),
    )
    return {row["key_id"]: _credential(row) for row in rows}


async def find_allowed_origins(tx: Transaction) -> frozenset[str]:
    """The origins that any key which works now allows, of all tenants. Needs a platform transaction."""
    rows = await tx.fetch(
        f"SELECT DISTINCT unnest(k.allowed_origins) AS origin {_WITH_PLACES} "
        f"WHERE k.allowed_origins <> '{{}}' AND {_IS_VALID}"
    )
    return frozenset(row["origin"] for row in rows)


def _credential(row: Record) -> Credential:
    values: dict[str, Any] = dict(row)
    values["permissions"] = frozenset(row["permissions"])
    values["allowed_origins"] = tuple(row["allowed_origins"])
    values["allowed_addresses"] = tuple(ipaddress.ip_network(text) for text in row["allowed_addresses"])
    values["own_limits"] = tuple(sorted(row["own_limits"].items()))
    of_tenants = values.pop("limits_of_tenants")
    values["organization_limits"] = organization_limits.with_largest(row["organization_limits"], of_tenants)
    return Credential(**values)
