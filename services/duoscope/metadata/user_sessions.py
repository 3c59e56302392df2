"""Sessions: rows only. A session begins with a login; `session_id` is also the family of its refresh tokens.

Row level security shows a scoped transaction the sessions of one user, which `act_as` sets.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.kernel.refs import SessionRef, UserRef
from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class LiveSession:
    """An active session. `authenticated_s_ago` is None if it is not known when the user last authenticated."""

    methods: frozenset[str]
    authenticated_s_ago: float | None
    device_id: UUID | None


_COLUMNS = (
    "organization_id, session_id, user_id, workspace_id, tenant_id, methods, device_id, ip_address, user_agent, "
    "is_active, ended_at, ended_reason, authenticated_at, expires_at, created_at, updated_at"
)


LISTING: Final = Listing(
    name="sessions",
    select=f"SELECT {_COLUMNS} FROM user_sessions",
    key="session_id",
    sorts={"created_at": datetime, "updated_at": datetime},
    filters={"is_live": "(is_active AND expires_at > now()) = ?"},
)
"""Of the user that the transaction acts as."""


async def act_as(tx: Transaction, user_id: UUID) -> None:
    """Let the rest of a scoped transaction see the user's own rows: sessions, devices, links."""
    await tx.execute("SELECT set_config('app.user_id', $1, true)", str(user_id))


async def create(
    tx: Transaction,
    session: SessionRef,
    *,
    workspace_id: UUID,
    tenant_id: UUID,
    token_hash: str,
    methods: tuple[str, ...],
    device_id: UUID | None,
    ip_address: str | None,
    user_agent: str | None,
    lifetime_s: float,
    authenticated_s_ago: float | None = 0.0,
) -> None:
    """Store a new session. Needs a platform transaction, because a user who logs in has no scope yet."""
    await tx.execute(
        "INSERT INTO user_sessions (organization_id, session_id, user_id, workspace_id, tenant_id, session_token, "
        "methods, device_id, ip_address, user_agent, expires_at, authenticated_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, left($10, 400), now() + make_interval(secs => $11), "
        "now() - make_interval(secs => $12))",
        *(session.organization_id, session.session_id, session.user_id, workspace_id, tenant_id, token_hash),
        *(list(methods), device_id, ip_address, user_agent, lifetime_s, authenticated_s_ago),
    )


async def get_live(tx: Transaction, session: SessionRef) -> LiveSession | None:
    """Return a session, or None if it has ended. A scoped transaction acts as its user from here on."""
    await act_as(tx, session.user_id)
    row = await tx.fetchrow(
        "SELECT methods, extract(epoch FROM now() - authenticated_at)::float8 AS authenticated_s_ago, device_id "
        "FROM user_sessions "
        "WHERE organization_id = $1 AND user_id = $2 AND session_id = $3 AND is_active AND expires_at > now()",
        *session,
    )
    return LiveSession(frozenset(row["methods"]), row["authenticated_s_ago"], row["device_id"]) if row else None


async def add_method(tx: Transaction, session: SessionRef, method: str) -> None:
    """Record that the user of a session has authenticated by another method too."""
    await tx.execute(
        "UPDATE user_sessions SET methods = methods || $3::text "
        "WHERE organization_id = $1 AND session_id = $2 AND NOT $3 = ANY (methods)",
        *(session.organization_id, session.session_id, method),
    )


async def lock_live(tx: Transaction, session: SessionRef) -> float | None:
    """Lock a live session until the commit. Returns the seconds that it has left, or None if it has ended."""
    return await tx.fetchval(
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM user_sessions "
        "WHERE organization_id = $1 AND user_id = $2 AND session_id = $3 AND is_active AND expires_at > now() "
        "FOR UPDATE",
        *session,
    )


async def touch(tx: Transaction, session: SessionRef) -> None:
    """Record that a session was refreshed now."""
    await tx.execute(
        "UPDATE user_sessions SET updated_at = now() WHERE organization_id = $1 AND session_id = $2",
        *(session.organization_id, session.session_id),
    )


async def origins(tx: Transaction, user: UserRef, *, rows_max: int) -> set[tuple[str, str]]:
    """Return address and user agent of the latest sessions of a user, ended ones included."""
    rows = await tx.fetch(
        "SELECT coalesce(ip_address, '') AS ip_address, coalesce(user_agent, '') AS user_agent FROM user_sessions "
        "WHERE organization_id = $1 AND user_id = $2 ORDER BY created_at DESC LIMIT $3",
        *(*user, rows_max),
    )
    return {(row["ip_address"], row["user_agent"]) for row in rows}


async def end(tx: Transaction, session: SessionRef, *, reason: str) -> bool:
    """End a session. Returns False if the user has no such live session."""
    touched = await tx.execute(
        "UPDATE user_sessions SET is_active = false, ended_at = now(), ended_reason = $4 "
        "WHERE organization_id = $1 AND user_id = $2 AND session_id = $3 AND is_active",
        *(*session, reason),
    )
    return touched > 0


async def end_on_device(tx: Transaction, user: UserRef, device_id: UUID, *, reason: str) -> list[UUID]:
    """End the sessions of a user on one device. Returns the ids of those that were ended."""
    rows = await tx.fetch(
        "UPDATE user_sessions SET is_active = false, ended_at = now(), ended_reason = $4 "
        "WHERE organization_id = $1 AND user_id = $2 AND device_id = $3 AND is_active RETURNING session_id",
        *(*user, device_id, reason),
    )
    return [row["session_id"] for row in rows]


async def end_all(tx: Transaction, user: UserRef, *, reason: str, except_session_id: UUID | None = None) -> int:
    """End all sessions of a user except `except_session_id`. Returns the number ended."""
    return await tx.execute(
        "UPDATE user_sessions SET is_active = false, ended_at = now(), ended_reason = $3 "
        "WHERE organization_id = $1 AND user_id = $2 AND is_active AND session_id IS DISTINCT FROM $4",
        *(*user, reason, except_session_id),
    )


async def end_all_of_organization(
    tx: Transaction,
    organization_id: UUID,
    *,
    reason: str,
    except_session_id: UUID | None = None,
    with_platform_admins: bool = False,
) -> list[UUID]:
    """End all sessions of an organization except `except_session_id`; needs a platform transaction.

    Returns:
        The ids of the sessions that were ended.
    """
    rows = await tx.fetch(
        "UPDATE user_sessions s SET is_active = false, ended_at = now(), ended_reason = $2 FROM users u "
        "WHERE s.organization_id = $1 AND s.is_active AND s.session_id IS DISTINCT FROM $3 "
        "AND u.organization_id = s.organization_id AND u.user_id = s.user_id AND ($4 OR NOT u.is_platform_admin) "
        "RETURNING session_id",
        *(organization_id, reason, except_session_id, with_platform_admins),
    )
    return [row["session_id"] for row in rows]


async def purge_ended(tx: Transaction, *, older_than_s: float, rows_max: int) -> int:
    """Remove sessions that ended that long ago. Needs a platform transaction. Returns how many."""
    return await tx.execute(
        "DELETE FROM user_sessions WHERE (organization_id, session_id) IN ("
        "SELECT organization_id, session_id FROM user_sessions "
        "WHERE expires_at < now() - make_interval(secs => $1) OR ended_at < now() - make_interval(secs => $1) "
        "LIMIT $2)",
        *(older_than_s, rows_max),
    )
