"""Ends sessions within a transaction of the caller's, and writes that down. All of it locks the organization's audit
chain: call it late.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from duoscope.kernel.actor import Actor
from duoscope.metadata import audit_logs, refresh_tokens, trusted_devices, user_sessions
from duoscope.stores.postgres import Transaction


async def end(
    m: Transaction,
    actor: Actor,
    organization_id: UUID,
    user_id: UUID,
    session_id: UUID,
    *,
    reason: str,
    is_alarm: bool = False,
) -> bool:
    """End one session; False if the user has no such session that goes on."""
    ended = await user_sessions.end(m, organization_id, user_id, session_id, reason=reason)
    await refresh_tokens.revoke_families(m, organization_id, user_id, session_id=session_id)
    if ended:
        result: audit_logs.Result = "failure" if is_alarm else "success"
        await record(m, actor, "session.ended", organization_id, session_id, after={"reason": reason}, result=result)
    return ended


async def end_all_in(
    m: Transaction,
    actor: Actor,
    organization_id: UUID,
    user_id: UUID,
    *,
    reason: str,
    except_session_id: UUID | None = None,
) -> int:
    """End a user's sessions, but one where told, such as when their account is closed; answers how many."""
    count = await user_sessions.end_all(m, organization_id, user_id, reason=reason, except_session_id=except_session_id)
    await refresh_tokens.revoke_families(m, organization_id, user_id, except_session_id=except_session_id)
    if count:
        after = {"reason": reason, "sessions": count}
        await record(m, actor, "session.ended", organization_id, user_id, after=after)
    return count


async def forget_device(m: Transaction, actor: Actor, organization_id: UUID, user_id: UUID, device_id: UUID) -> bool:
    """Trust a device no more, and end the sessions on it; False if the user has no such device."""
    ended = await user_sessions.end_on_device(m, organization_id, user_id, device_id, reason="device-removed")
    device = await trusted_devices.remove(m, organization_id, user_id, device_id)
    if device is None:
        return False
    for session_id in ended:
        await refresh_tokens.revoke_families(m, organization_id, user_id, session_id=session_id)
    await audit_logs.record(
        m,
        actor,
        action="trusted-device.removed",
        resource_type="trusted-device",
        resource_id=device_id,
        organization_id=organization_id,
        before={"device_name": device.device_name},
        after={"sessions_ended": len(ended)},
    )
    return True


async def record(
    m: Transaction,
    actor: Actor,
    action: str,
    organization_id: UUID,
    resource_id: UUID,
    *,
    after: Mapping[str, Any],
    result: audit_logs.Result = "success",
) -> None:
    """Write a session's entry in the audit log."""
    await audit_logs.record(
        m,
        actor,
        action=action,
        resource_type="session",
        resource_id=resource_id,
        organization_id=organization_id,
        after=after,
        result=result,
    )
