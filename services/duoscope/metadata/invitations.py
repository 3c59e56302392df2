"""Invitations to an organization, or to one of its tenants, with the roles that they give when they are accepted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import Listing
from duoscope.metadata.roles import Role
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class Invitation:
    """A row of `invitations`, without the token's hash. `status` is open, accepted, revoked or expired.

    `expires_at` is the invitation's own end, `roles_expire_at` that of the roles it gives.
    """

    organization_id: UUID
    invitation_id: UUID
    workspace_id: UUID | None
    tenant_id: UUID | None
    email: str
    invited_by: UUID | None
    invited_by_organization_id: UUID | None
    status: str
    expires_at: datetime
    roles_expire_at: datetime | None
    accepted_at: datetime | None
    accepted_by: UUID | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    role_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """An invitation as shown in a list; no tenant for one to the whole organization."""

    invitation_id: UUID
    organization: str
    email: str
    roles: str
    workspace: str | None
    tenant: str | None
    status: str
    expires_at: datetime


_STATUS: Final[LiteralString] = (
    "CASE WHEN accepted_at IS NOT NULL THEN 'accepted' WHEN revoked_at IS NOT NULL THEN 'revoked' "
    "WHEN expires_at <= now() THEN 'expired' ELSE 'open' END"
)
_COLUMNS: Final[LiteralString] = (
    "organization_id, invitation_id, workspace_id, tenant_id, email, invited_by, invited_by_organization_id, "
    f"{_STATUS} AS status, expires_at, roles_expire_at, accepted_at, accepted_by, revoked_at, created_at, updated_at, "
    "ARRAY(SELECT ir.role_id FROM invitation_roles ir WHERE ir.organization_id = invitations.organization_id "
    "AND ir.invitation_id = invitations.invitation_id ORDER BY ir.role_id) AS role_ids"
)
LISTING: Final = Listing(
    name="invitations",
    select=f"SELECT {_COLUMNS} FROM invitations",
    key="invitation_id",
    sorts={"created_at": datetime, "email": str, "expires_at": datetime},
    filters={
        "email": "strpos(lower(email), lower(?)) > 0",
        "tenant_id": "tenant_id = ?",
        "status": f"{_STATUS} = ?",
    },
)


def from_row(row: Record) -> Invitation:
    """Build an Invitation from a row of the listing or of the table."""
    values: dict[str, Any] = dict(row)
    values["role_ids"] = tuple(values["role_ids"])
    return Invitation(**values)


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    workspace_id: UUID | None,
    tenant_id: UUID | None,
    email: str,
    roles: list[Role],
    token_hash: str,
    lifetime_s: float,
    invited_by: UserRef | None,
    roles_expire_at: datetime | None,
) -> Invitation:
    """Create an invitation. Raises CONFLICT if the address has an open one. `invited_by` is None for an operator."""
    invitation_id = new_id()
    inviter_organization, inviter = invited_by or (None, None)
    remedy = "send its link again (POST /api/v1/invitations/{id}/resend), or revoke it first (DELETE)"
    with taken("invitation", "e-mail address", remedy):
        await tx.execute(
            "INSERT INTO invitations (organization_id, invitation_id, workspace_id, tenant_id, email, token_hash, "
            "invited_by, invited_by_organization_id, expires_at, roles_expire_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9), $10)",
            *(organization_id, invitation_id, workspace_id, tenant_id, email, token_hash),
            *(inviter, inviter_organization, lifetime_s, roles_expire_at),
        )
    for role in roles:
        await tx.execute(
            "INSERT INTO invitation_roles (organization_id, invitation_id, role_owner_id, role_id) "
            "VALUES ($1, $2, $3, $4)",
            *(organization_id, invitation_id, role.owner_id, role.role_id),
        )
    made = await get(tx, invitation_id)
    assert made is not None
    return made


async def get(tx: Transaction, invitation_id: UUID) -> Invitation | None:
    """The invitation, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM invitations WHERE invitation_id = $1", invitation_id)
    return from_row(row) if row else None


async def list_overview(tx: Transaction, organization: str | None) -> list[Overview]:
    """Invitations of all organizations, or of the one with that code, newest first. Needs a platform transaction."""
    rows = await tx.fetch(
        f"""
        SELECT i.invitation_id, o.code AS organization, i.email, w.name AS workspace, t.name AS tenant, i.status,
            i.expires_at,
            (SELECT coalesce(string_agg(r.name, ', ' ORDER BY r.name), '') FROM roles r
                WHERE r.role_id = ANY(i.role_ids)) AS roles
        FROM (SELECT {_COLUMNS} FROM invitations) i
        JOIN organizations o ON o.organization_id = i.organization_id AND o.deleted_at IS NULL
        LEFT JOIN tenants t ON t.organization_id = i.organization_id AND t.tenant_id = i.tenant_id
        LEFT JOIN workspaces w ON w.organization_id = t.organization_id AND w.workspace_id = t.workspace_id
        WHERE ($1::text IS NULL OR o.code = $1)
        ORDER BY i.created_at DESC, i.invitation_id
        """,
        organization,
    )
    return [Overview(**dict(row)) for row in rows]


async def lock(tx: Transaction, invitation_id: UUID) -> Invitation | None:
    """The invitation, locked for a change until the transaction ends."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM invitations WHERE invitation_id = $1 FOR UPDATE", invitation_id)
    return from_row(row) if row else None


async def lock_open(tx: Transaction, token_hash: str) -> Invitation | None:
    """The open invitation of a token, which names no organization. Needs a platform transaction."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM invitations WHERE token_hash = $1 AND accepted_at IS NULL AND revoked_at IS NULL "
        "AND expires_at > now() FOR UPDATE",
        token_hash,
    )
    return from_row(row) if row else None


async def renew(
    tx: Transaction, invitation_id: UUID, *, token_hash: str, lifetime_s: float, invited_by: UserRef | None
) -> Invitation:
    """Replace the token of an invitation and start its lifetime anew. From now on its sender answers for it."""
    inviter_organization, inviter = invited_by or (None, None)
    row = await tx.fetchrow(
        "UPDATE invitations SET token_hash = $2, expires_at = now() + make_interval(secs => $3), invited_by = $4, "
        f"invited_by_organization_id = $5 WHERE invitation_id = $1 RETURNING {_COLUMNS}",
        *(invitation_id, token_hash, lifetime_s, inviter, inviter_organization),
    )
    assert row is not None
    return from_row(row)


async def revoke(tx: Transaction, invitation_id: UUID) -> None:
    """Revoke the invitation."""
    await tx.execute("UPDATE invitations SET revoked_at = now() WHERE invitation_id = $1", invitation_id)


async def accept(tx: Transaction, invitation_id: UUID, *, user_id: UUID) -> None:
    """Record that an invitation was used, and by whom."""
    await tx.execute(
        "UPDATE invitations SET accepted_at = now(), accepted_by = $2 WHERE invitation_id = $1", invitation_id, user_id
    )
