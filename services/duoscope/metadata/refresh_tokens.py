"""Refresh tokens: rows only, found by hash. The rules of rotation are in identity/authentication/refresh_tokens.py."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import SessionRef, UserRef
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A row of `refresh_tokens`. `rotated_s_ago` is None for a token that was not used yet."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    token_id: UUID
    user_id: UUID
    family_id: UUID
    expires_at: datetime
    is_expired: bool
    is_revoked: bool
    rotated_s_ago: float | None

    @property
    def session(self) -> SessionRef:
        """The session that the token keeps alive."""
        return SessionRef(self.organization_id, self.user_id, self.family_id)


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    workspace_id: UUID,
    tenant_id: UUID,
    user_id: UUID,
    family_id: UUID,
    token_hash: str,
    lifetime_s: float,
    device_fingerprint: str | None = None,
) -> None:
    """Store a token. Needs a platform transaction, because a user who logs in has no scope yet."""
    await tx.execute(
        "INSERT INTO refresh_tokens (organization_id, workspace_id, tenant_id, token_id, user_id, family_id, "
        "token_hash, device_fingerprint, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))",
        *(organization_id, workspace_id, tenant_id, new_id(), user_id, family_id),
        *(token_hash, device_fingerprint, lifetime_s),
    )


async def lock(tx: Transaction, token_hash: str) -> RefreshToken | None:
    """Find a token by hash and lock it until the transaction ends."""
    row = await tx.fetchrow(
        "SELECT organization_id, workspace_id, tenant_id, token_id, user_id, family_id, expires_at, "
        "expires_at <= now() AS is_expired, is_revoked, "
        "extract(epoch FROM clock_timestamp() - rotated_at)::float8 AS rotated_s_ago "
        "FROM refresh_tokens WHERE token_hash = $1 FOR UPDATE",
        token_hash,
    )
    return RefreshToken(**dict(row)) if row else None


async def mark_rotated(tx: Transaction, token: RefreshToken) -> None:
    """Record that its successor has been issued."""
    await tx.execute(
        "UPDATE refresh_tokens SET rotated_at = clock_timestamp() WHERE tenant_id = $1 AND token_id = $2",
        *(token.tenant_id, token.token_id),
    )


async def revoke_families(
    tx: Transaction,
    user: UserRef,
    *,
    session_id: UUID | None = None,
    except_session_id: UUID | None = None,
) -> None:
    """Revoke the tokens of one session of a user, or of all their sessions except `except_session_id`."""
    await tx.execute(
        "UPDATE refresh_tokens SET is_revoked = true, revoked_at = now() "
        "WHERE organization_id = $1 AND user_id = $2 AND NOT is_revoked "
        "AND family_id = coalesce($3, family_id) AND family_id IS DISTINCT FROM $4",
        *(*user, session_id, except_session_id),
    )


async def revoke_sessions(tx: Transaction, organization_id: UUID, session_ids: list[UUID]) -> None:
    """Revoke the tokens of these sessions."""
    await tx.execute(
        "UPDATE refresh_tokens SET is_revoked = true, revoked_at = now() "
        "WHERE organization_id = $1 AND family_id = ANY ($2) AND NOT is_revoked",
        *(organization_id, session_ids),
    )


async def purge_expired(tx: Transaction, rows_max: int) -> int:
    """Remove up to `rows_max` tokens that expired a day ago or more. Returns how many."""
    return await tx.execute(
        "DELETE FROM refresh_tokens WHERE (tenant_id, token_id) IN (SELECT tenant_id, token_id FROM refresh_tokens "
        "WHERE expires_at < now() - interval '1 day' LIMIT $1)",
        rows_max,
    )
