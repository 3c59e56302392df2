"""The audit log: entries written in the transaction of the change that they tell of.

An entry's text is canonical JSON. PostgreSQL numbers and chains it (migration 0005): entry N of an organization hashes
its own text together with the hash of entry N - 1. `record` locks the organization's chain until the transaction ends,
so call it last, after everything slow; where one transaction writes to two chains, the organization's comes first.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal
from uuid import UUID

from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now, rfc3339
from duoscope.kernel.ids import new_id
from duoscope.metadata.redaction import canonical, clean, redacted
from duoscope.stores.postgres import Transaction

Result = Literal["success", "failure", "error"]

PLATFORM_CHAIN: Final = UUID("ffffffff-ffff-ffff-ffff-ffffffffffff")
"""Stands in organization_id for what concerns no organization, such as making a region."""
EMAIL_CHARS_MAX: Final = 320
USER_AGENT_CHARS_MAX: Final = 512
RESOURCE_CHARS_MAX: Final = 256


async def record(
    m: Transaction,
    actor: Actor,
    *,
    action: str,
    resource_type: str,
    resource_id: UUID | str,
    organization_id: UUID | None,
    workspace_id: UUID | None = None,
    tenant_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    result: Result = "success",
) -> UUID:
    """Write one entry; answers its id. It is there when, and only when, the transaction commits.

    Args:
        m: a scoped transaction of the organization, or a platform one.
        actor: who did it.
        action: `<resource>.<past participle>`, such as `user.created`.
        resource_type: what kind of thing it was done to, as permissions call it: `user`, `api-key`.
        resource_id: which one.
        organization_id: whose chain; None for the platform's own, which only a platform transaction may write to.
        workspace_id: where it happened.
        tenant_id: where it happened. Without one, the entry is the organization's, and no tenant's search shows it.
        before: the fields that changed, or all of them, as they were. Secrets are taken out by the names of their keys
            (metadata/redaction.py), and sizes are bounded.
        after: as they are now.
        result: `failure` for what was refused, `error` for what broke.
    """
    audit_log_id = new_id()
    content = canonical(
        {
            "action": action,
            "actor_kind": actor.kind,
            "after": redacted(after),
            "audit_log_id": str(audit_log_id),
            "before": redacted(before),
            "email": clean(actor.email, EMAIL_CHARS_MAX),
            "ip_address": actor.ip_address and clean(actor.ip_address, 64),
            "organization_id": str(organization_id or PLATFORM_CHAIN),
            "recorded_at": rfc3339(now()),
            "request_id": str(actor.request_id),
            "resource_id": clean(str(resource_id), RESOURCE_CHARS_MAX),
            "resource_type": resource_type,
            "result": result,
            "tenant_id": tenant_id and str(tenant_id),
            "user_agent": actor.user_agent and clean(actor.user_agent, USER_AGENT_CHARS_MAX),
            "user_id": actor.user_id and str(actor.user_id),
            "workspace_id": workspace_id and str(workspace_id),
        }
    )
    await m.execute("INSERT INTO audit_logs (content) VALUES ($1)", content)
    return audit_log_id
