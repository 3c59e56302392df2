"""Ends sessions within the caller's transaction, and records it. Everything here locks the organization's audit chain:
call it late.

Someone who ends a session other than by logging out does not trust it, and so not what was requested in it either: a
pending change of address is cancelled. Sessions follow one another, so this applies to requests from any of them,
except from one that stays.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication.refresh_tokens import hashed
from duoscope.identity.authorization.permissions import Claims
from duoscope.kernel.actor import Actor
from duoscope.kernel.refs import SessionRef, UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import audit_logs, email_verifications, refresh_tokens, trusted_devices, user_sessions
from duoscope.stores.postgres import MetadataStore, Transaction

LOGOUT: Final = "logout"
ANOTHER_LOGIN: Final = "another-login"
REAUTHENTICATED: Final = "reauthenticated"
_OWN_ENDS: Final = frozenset({LOGOUT, ANOTHER_LOGIN, REAUTHENTICATED})
_ANY: Final = PlatformScope(reason="a session may be of any organization")


async def presented(store: MetadataStore, claims: Claims | None, refresh_token: str | None) -> list[SessionRef]:
    """Return the sessions that a client has, by what it sends with a login: it gives them up by logging in.

    Args:
        store: finds the session of a refresh token.
        claims: of the access token that the client sent; None if it sent none.
        refresh_token: as the client sent it.
    """
    found: list[SessionRef] = []
    if claims is not None:
        found.append(claims.session)
    if refresh_token is not None:
        async with store.open_platform(_ANY, "sessions.presented") as tx:
            token = await refresh_tokens.lock(tx, hashed(refresh_token))
        if token is not None:
            found.append(token.session)
    return found


async def record_begun(
    tx: Transaction,
    actor: Actor,
    begun: SessionRef,
    *,
    after: Mapping[str, Any],
    former: Iterable[SessionRef],
    reason: str,
) -> None:
    """Write the audit entry of a new session, and end the sessions that its client had before.

    Chains are locked in the order of their organizations, so that two clients who swap places do not deadlock.
    """
    for each in sorted({begun, *former}):
        if each == begun:
            await audit.record(tx, actor, "session.created", About.session(begun), after=after)
        else:
            await end(tx, actor, each, reason=reason)


async def end(tx: Transaction, actor: Actor, session: SessionRef, *, reason: str, is_alarm: bool = False) -> bool:
    """End one session.

    Args:
        tx: a platform transaction.
        actor: who ends it.
        session: the session.
        reason: what the audit log and the row say.
        is_alarm: whether the audit log shows it as a failure, such as for a stolen token.

    Returns:
        False if the user has no such live session.
    """
    if reason not in _OWN_ENDS:
        await email_verifications.cancel_changes(tx, session.user)
    ended = await user_sessions.end(tx, session, reason=reason)
    await refresh_tokens.revoke_families(tx, session.user, session_id=session.session_id)
    if ended:
        result: audit_logs.Result = "failure" if is_alarm else "success"
        await audit.record(tx, actor, "session.ended", About.session(session), after={"reason": reason}, result=result)
    return ended


async def end_all_in(
    tx: Transaction, actor: Actor, user: UserRef, *, reason: str, except_session_id: UUID | None = None
) -> int:
    """End all sessions of a user except `except_session_id`. Returns the number ended."""
    await email_verifications.cancel_changes(tx, user, except_session_id=except_session_id)
    count = await user_sessions.end_all(tx, user, reason=reason, except_session_id=except_session_id)
    await refresh_tokens.revoke_families(tx, user, except_session_id=except_session_id)
    if count:
        about = About("session", user.user_id, organization_id=user.organization_id)
        await audit.record(tx, actor, "session.ended", about, after={"reason": reason, "sessions": count})
    return count


async def end_all_of_organization(
    tx: Transaction,
    actor: Actor,
    organization_id: UUID,
    *,
    reason: str,
    except_session_id: UUID | None = None,
    with_platform_admins: bool = False,
) -> int:
    """End the sessions of all users of an organization except `except_session_id`. Returns the number ended.

    Sessions of platform admins end only `with_platform_admins`.
    """
    await email_verifications.cancel_changes_of_organization(tx, organization_id, except_session_id=except_session_id)
    ended = await user_sessions.end_all_of_organization(
        tx,
        organization_id,
        reason=reason,
        except_session_id=except_session_id,
        with_platform_admins=with_platform_admins,
    )
    await refresh_tokens.revoke_sessions(tx, organization_id, ended)
    about = About("organization", organization_id, organization_id=organization_id)
    await audit.record(tx, actor, "session.ended", about, after={"reason": reason, "sessions": len(ended)})
    return len(ended)


async def forget_device(tx: Transaction, actor: Actor, user: UserRef, device_id: UUID) -> bool:
    """Delete a trusted device of a user, and end the sessions on it. Returns False if the user has no such device."""
    await email_verifications.cancel_changes(tx, user)
    ended = await user_sessions.end_on_device(tx, user, device_id, reason="device-removed")
    device = await trusted_devices.remove(tx, user, device_id)
    if device is None:
        return False
    for session_id in ended:
        await refresh_tokens.revoke_families(tx, user, session_id=session_id)
    await audit.record(
        tx,
        actor,
        "trusted-device.removed",
        About("trusted-device", device_id, organization_id=user.organization_id),
        before={"device_name": device.device_name},
        after={"sessions_ended": len(ended)},
    )
    return True
