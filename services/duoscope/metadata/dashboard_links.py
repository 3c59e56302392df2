"""Links by which strangers see dashboards: managed by their ids, found by the hash of their tokens."""

from datetime import datetime
from typing import Annotated, Any, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct, convert

from duoscope.kernel.ids import new_id
from duoscope.stores.postgres import Record, Transaction


class DashboardLink(Struct, frozen=True):
    """A row of `dashboard_links` without the hash of its token."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    dashboard_id: UUID
    dashboard_link_id: UUID
    name: str
    permissions: Annotated[list[str], Meta(description="What its questions may read.")]
    variables: Annotated[dict[str, list[str]], Meta(description="The values that may be chosen, by variable.")]
    range_seconds_max: int
    embed_origins: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_by: UUID | None
    created_at: datetime


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, dashboard_id, dashboard_link_id, name, permissions, variables, "
    "range_seconds_max, embed_origins, expires_at, revoked_at, created_by, created_at"
)


def _from_row(row: Record) -> DashboardLink:
    return convert(dict(row), DashboardLink)


async def create(
    tx: Transaction,
    dashboard_id: UUID,
    *,
    name: str,
    token_hash: str,
    permissions: list[str],
    variables: dict[str, list[str]],
    range_seconds_max: int,
    embed_origins: list[str],
    expires_at: datetime | None,
    created_by: UUID | None,
) -> DashboardLink:
    """Store a link to a dashboard that the transaction has locked."""
    row = await tx.fetchrow(
        "INSERT INTO dashboard_links (organization_id, workspace_id, tenant_id, dashboard_id, dashboard_link_id, name, "
        "token_hash, permissions, variables, range_seconds_max, embed_origins, expires_at, created_by) "
        "VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        f"RETURNING {_COLUMNS}",
        *(dashboard_id, new_id(), name, token_hash, permissions, variables, range_seconds_max, embed_origins),
        *(expires_at, created_by),
    )
    assert row is not None
    return _from_row(row)


async def of_dashboard(tx: Transaction, dashboard_id: UUID) -> list[DashboardLink]:
    """The links of a dashboard, the newest first, with those that are over."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM dashboard_links WHERE dashboard_id = $1 ORDER BY created_at DESC, dashboard_link_id",
        dashboard_id,
    )
    return [_from_row(row) for row in rows]


async def revoke(tx: Transaction, *, dashboard_id: UUID, dashboard_link_id: UUID) -> DashboardLink | None:
    """Revoke a link; None if there is none that could be used."""
    row = await tx.fetchrow(
        "UPDATE dashboard_links SET revoked_at = now() WHERE dashboard_id = $1 AND dashboard_link_id = $2 "
        f"AND revoked_at IS NULL RETURNING {_COLUMNS}",
        *(dashboard_id, dashboard_link_id),
    )
    return _from_row(row) if row else None


async def mark(tx: Transaction, dashboard_id: UUID) -> None:
    """Note on the dashboard whether it has a link that was not revoked."""
    await tx.execute(
        "UPDATE dashboards SET is_public = EXISTS (SELECT FROM dashboard_links l WHERE l.dashboard_id = $1 "
        "AND l.revoked_at IS NULL) WHERE dashboard_id = $1",
        dashboard_id,
    )


async def find(tx: Transaction, token_hash: str) -> tuple[DashboardLink, dict[str, Any]] | None:
    """The link with this token that can be used now, and its tenant's own limits; needs a platform transaction."""
    row = await tx.fetchrow(
        f"SELECT {', '.join('l.' + column for column in _COLUMNS.split(', '))}, "
        "coalesce(t.settings -> 'limits', '{}') AS own_limits FROM dashboard_links l "
        "JOIN tenants t USING (organization_id, workspace_id, tenant_id) "
        "JOIN workspaces w USING (organization_id, workspace_id) JOIN organizations o USING (organization_id) "
        "WHERE l.token_hash = $1 AND l.revoked_at IS NULL AND coalesce(l.expires_at > now(), true) "
        "AND t.is_active AND t.deleted_at IS NULL AND w.is_active AND w.deleted_at IS NULL "
        "AND o.is_active AND o.deleted_at IS NULL",
        token_hash,
    )
    if row is None:
        return None
    fields = dict(row)
    own_limits = fields.pop("own_limits")
    return convert(fields, DashboardLink), own_limits
