"""API keys: rows and permissions. What a key looks like and how one is verified is identity's business."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from duoscope.kernel.errors import invalid
from duoscope.kernel.ids import new_id
from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Record, Transaction

PERMISSIONS = frozenset({"traces:write", "metrics:write", "logs:write", "monitors:report"})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A row of `api_keys` with its permissions; never the hash."""

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
    grace_period_expires_at: datetime | None
    revoked_reason: str | None
    revoked_by: UUID | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """What a presented key is checked against. `valid_for_s` is None for one without an end."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    api_key_id: UUID
    secret_hash: str = field(repr=False)
    is_valid: bool
    valid_for_s: float | None
    permissions: frozenset[str]
    retention_days: int


_COLUMNS = (
    "organization_id, workspace_id, tenant_id, api_key_id, key_id, name, description, status, expires_at, "
    "last_used_at, last_used_ip, usage_count, rate_limit, grace_period_expires_at, revoked_reason, revoked_by, "
    "revoked_at, created_at, updated_at, coalesce((SELECT array_agg(p.permission ORDER BY p.permission) "
    "FROM api_key_permissions p WHERE p.tenant_id = api_keys.tenant_id AND p.api_key_id = api_keys.api_key_id), '{}') "
    "AS permissions"
)


def _api_key(row: Record) -> ApiKey:
    values = dict(row)
    values["permissions"] = tuple(row["permissions"])
    return ApiKey(**values)


def check_permissions(permissions: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without repetition; INVALID for none at all or one that does not exist."""
    chosen = tuple(sorted(set(permissions)))
    if not chosen or not PERMISSIONS.issuperset(chosen):
        raise invalid(f"permissions must be one or more of {', '.join(sorted(PERMISSIONS))}.")
    return chosen


async def create(
    m: Transaction,
    *,
    key_id: str,
    secret_hash: str,
    name: str,
    permissions: Iterable[str],
    description: str = "",
    expires_at: datetime | None = None,
    rate_limit: int | None = None,
) -> UUID:
    """Make one in the transaction's tenant; answers its api_key_id."""
    chosen = check_permissions(permissions)
    api_key_id = new_id()
    with taken("api-key", "key_id"):
        await m.execute(
            "INSERT INTO api_keys (organization_id, workspace_id, tenant_id, api_key_id, key_id, secret_hash, name, "
            "description, expires_at, rate_limit) VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), "
            "$1, $2, $3, $4, $5, $6, $7)",
            *(api_key_id, key_id, secret_hash, name, description, expires_at, rate_limit),
        )
    await m.execute(
        "INSERT INTO api_key_permissions (organization_id, workspace_id, tenant_id, api_key_id, permission) "
        "SELECT app_organization_id(), app_workspace_id(), app_tenant_id(), $1, unnest($2::text[])",
        *(api_key_id, list(chosen)),
    )
    return api_key_id


async def get(m: Transaction, api_key_id: UUID) -> ApiKey | None:
    """The key, if the transaction may see it."""
    row = await m.fetchrow(f"SELECT {_COLUMNS} FROM api_keys WHERE api_key_id = $1", api_key_id)
    return _api_key(row) if row else None


async def list_all(m: Transaction) -> list[ApiKey]:
    """Those the transaction may see, newest first."""
    rows = await m.fetch(f"SELECT {_COLUMNS} FROM api_keys ORDER BY api_key_id DESC")
    return [_api_key(row) for row in rows]


async def revoke(m: Transaction, key_id: str, *, reason: str, revoked_by: UUID | None = None) -> UUID | None:
    """Revoke by key_id; its api_key_id, or None if the transaction sees no such key that still works."""
    return await m.fetchval(
        "UPDATE api_keys SET status = 'revoked', revoked_at = now(), revoked_reason = $2, revoked_by = $3 "
        "WHERE key_id = $1 AND status <> 'revoked' RETURNING api_key_id",
        *(key_id, reason, revoked_by),
    )


async def find_credential(m: Transaction, key_id: str) -> Credential | None:
    """By key_id, which names no tenant: a platform transaction."""
    row = await m.fetchrow(
        """
        SELECT k.organization_id, k.workspace_id, k.tenant_id, k.api_key_id, k.secret_hash,
            (k.status = 'active' OR k.status = 'rotated' AND k.grace_period_expires_at > now()) IS TRUE
                AND coalesce(k.expires_at > now(), true)
                AND t.is_active AND t.deleted_at IS NULL AND w.is_active AND w.deleted_at IS NULL
                AND o.is_active AND o.deleted_at IS NULL AS is_valid,
            extract(epoch FROM least(
                k.expires_at, CASE WHEN k.status = 'rotated' THEN k.grace_period_expires_at END
            ) - now())::float8 AS valid_for_s,
            ARRAY(
                SELECT p.permission FROM api_key_permissions p
                WHERE p.tenant_id = k.tenant_id AND p.api_key_id = k.api_key_id
            ) AS permissions,
            (t.settings ->> 'retention_days')::integer AS retention_days
        FROM api_keys k
        JOIN tenants t USING (organization_id, workspace_id, tenant_id)
        JOIN workspaces w USING (organization_id, workspace_id)
        JOIN organizations o USING (organization_id)
        WHERE k.key_id = $1
        """,
        key_id,
    )
    if row is None:
        return None
    values = dict(row)
    values["permissions"] = frozenset(row["permissions"])
    return Credential(**values)


async def record_use(m: Transaction, tenant_id: UUID, api_key_id: UUID, uses: int) -> None:
    """Add to the count of requests, which stops at its type's largest value."""
    await m.execute(
        "UPDATE api_keys SET last_used_at = now(), usage_count = least(usage_count::bigint + $3, 2147483647) "
        "WHERE tenant_id = $1 AND api_key_id = $2",
        *(tenant_id, api_key_id, uses),
    )
