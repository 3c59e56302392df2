"""Ends sessions within the caller's transaction, and records it. Everything here locks the organization's audit chain:
call it late.

Someone who ends a session other than by logging out does not trust it, and so not what was requested in it either: a
pending change of address is cancelled. Sessions follow one another, so this applies to requests from any of them,
except from one that stays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication.refresh_tokens import hashed
from duoscope.identity.authorization.permissions import Claims
from duoscope.kernel.actor import Actor
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import audit_logs, email_verifications, refresh_tokens, trusted_devices, user_sessions
from duoscope.stores.postgres import MetadataStore, Transaction

LOGOUT: Final = "logout"
ANOTHER_LOGIN: Final = "another-login"
REAUTHENTICATED: Final = "reauthenticated"
_OWN_ENDS: Final = frozenset({LOGOUT, ANOTHER_LOGIN, REAUTHENTICATED})
_ANY: Final = PlatformScope(reason="a session may be of any organization")


@dataclass(frozen=True, slots=True, order=True)
class SessionId:
    """A session and its user."""

    organization_id: UUID
    user_id: UUID
    session_id: UUID


async def presented(store: MetadataStore, claims: Claims | None, refresh_token: str | None) -> list[SessionId]:
    """The sessions of a client, from what it sends with a login: logging in ends them."""
    found: list[SessionId] = []
    if claims is not None:
        found.append(SessionId(claims.scope.organization_id, claims.user_id, claims.session_id))
    if refresh_token is not None:
        async with store.open_platform(_ANY, "sessions.presented") as tx:
            token = await refresh_tokens.lock(tx, hashed(refresh_token))
        if token is not None:
            found.append(SessionId(token.organization_id, token.user_id, token.family_id))
    return found


async def record_begun(
    tx: Transaction,
    actor: Actor,
    begun: SessionId,
    *,
    after: Mapping[str, Any],
    former: Iterable[SessionId],
    reason: str,
) -> None:
    """Write the entry of a new session, and end the client's previous ones.

    Chains are locked in the order of their organizations, so that two clients who swap places do not deadlock.
    """
    for each in sorted({begun, *former}):
        if each == begun:
            await audit.record(
                tx, actor, "session.created", About("session", begun.session_id, begun.organization_id), after=after
            )
        else:
            await end(tx, actor, each.organization_id, each.user_id, each.session_id, reason=reason)


async def end(
    tx: Transaction,
    actor: Actor,
    organization_id: UUID,
    user_id: UUID,
    session_id: UUID,
    *,
    reason: str,
    is_alarm: bool = False,
) -> bool:
    """End one session. Returns False if the user has no such active session."""
    if reason not in _OWN_ENDS:
        await email_verifications.cancel_changes(tx, organization_id, user_id)
    ended = await user_sessions.end(tx, organization_id, user_id, session_id, reason=reason)
    await refresh_tokens.revoke_families(tx, organization_id, user_id, session_id=session_id)
    if ended:
        result: audit_logs.Result = "failure" if is_alarm else "success"
        about = About("session", session_id, organization_id)
        await audit.record(tx, actor, "session.ended", about, after={"reason": reason}, result=result)
    return ended


async def end_all_in(
    tx: Transaction,
    actor: Actor,
    organization_id: UUID,
    user_id: UUID,
    *,
    reason: str,
    except_session_id: UUID | None = None,
) -> int:
    """End a user's sessions except `except_session_id`, for example when their account is closed. Returns how many."""
    await email_verifications.cancel_changes(tx, organization_id, user_id, except_session_id=except_session_id)
    count = await user_sessions.end_all(
        tx, organization_id, user_id, reason=reason, except_session_id=except_session_id
    )
    await refresh_tokens.revoke_families(tx, organization_id, user_id, except_session_id=except_session_id)
    if count:
        after = {"reason": reason, "sessions": count}
        await audit.record(tx, actor, "session.ended", About("session", user_id, organization_id), after=after)
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
    """End the sessions of all users of an organization, optionally also platform admins'. Returns how many."""
    await email_verifications.cancel_changes(tx, organization_id, None, except_session_id=except_session_id)
    ended = await user_sessions.end_all_of_organization(
        tx,
        organization_id,
        reason=reason,
        except_session_id=except_session_id,
        with_platform_admins=with_platform_admins,
    )
    await refresh_tokens.revoke_sessions(tx, organization_id, ended)
    about = About("organization", organization_id, organization_id)
    await audit.record(tx, actor, "session.ended", about, after={"reason": reason, "sessions": len(ended)})
    return len(ended)


async def forget_device(tx: Transaction, actor: Actor, organization_id: UUID, user_id: UUID, device_id: UUID) -> bool:
    """Stop trusting a device, and end the sessions on it. Returns False if the user has no such device."""
    await email_verifications.cancel_changes(tx, organization_id, user_id)
    ended = await user_sessions.end_on_device(tx, organization_id, user_id, device_id, reason="device-removed")
    device = await trusted_devices.remove(tx, organization_id, user_id, device_id)
    if device is None:
        return False
    for session_id in ended:
        await refresh_tokens.revoke_families(tx, organization_id, user_id, session_id=session_id)
    await audit.record(
        tx,
        actor,
        "trusted-device.removed",
        About("trusted-device", device_id, organization_id),
        before={"device_name": device.device_name},
        after={"sessions_ended": len(ended)},
    )
    return True
