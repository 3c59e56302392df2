"""The audit log: entries written in the transaction of the change that they record.

An entry's text is canonical JSON. PostgreSQL numbers and chains it (migration 0005): entry N of an organization hashes
its own text together with the hash of entry N - 1. `record` locks the organization's chain until the transaction ends,
so call it last, after everything slow. If one transaction writes to two chains, the organization's comes first.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now, rfc3339
from duoscope.kernel.ids import new_id
from duoscope.metadata.redaction import canonical, clean, redacted
from duoscope.stores.postgres import Transaction

Result = Literal["success", "failure", "error"]

PLATFORM_CHAIN: Final = UUID("ffffffff-ffff-ffff-ffff-ffffffffffff")
"""The organization_id of entries that concern no organization, such as creating a region."""
EMAIL_CHARS_MAX: Final = 320
USER_AGENT_CHARS_MAX: Final = 512
RESOURCE_CHARS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class AuditLog:
    """An entry in a search result: without its position in the chain, which would reveal how active others are."""

    audit_log_id: UUID
    timestamp: datetime
    organization_id: UUID
    workspace_id: UUID | None
    tenant_id: UUID | None
    actor_kind: str
    user_id: UUID | None
    email: str
    ip_address: str | None
    user_agent: str | None
    request_id: UUID
    action: str
    resource_type: str
    resource_id: str
    result: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The filters of a search; None means no filter. An `action` that ends in `*` matches all that begin with the
    rest.
    """

    start: datetime | None = None
    end: datetime | None = None
    user_id: UUID | None = None
    email: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    result: Result | None = None
    request_id: UUID | None = None


async def record(
    tx: Transaction,
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
    """Write one entry, which is stored if and only if the transaction commits. Returns its id.

    Args:
        tx: a scoped transaction of the organization, or a platform one.
        actor: the author.
        action: `<resource>.<past participle>`, such as `user.created`.
        resource_type: the kind of resource, with its name in permissions: `user`, `api-key`.
        resource_id: the id of the resource.
        organization_id: the organization of the chain; None for the platform's own, which needs a platform transaction.
        workspace_id: the workspace of the change.
        tenant_id: the tenant of the change. Without one, the entry is the organization's, and no tenant's search shows
            it.
        before: the old values of the changed fields, or of all. Secrets are redacted by the names of their keys
            (metadata/redaction.py), and sizes are limited.
        after: the new values.
        result: `failure` for a refused action, `error` for one that broke.
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
    await tx.execute("INSERT INTO audit_logs (content) VALUES ($1)", content)
    return audit_log_id


_SEARCH: Final = """
    SELECT audit_log_id, recorded_at AS timestamp, organization_id, workspace_id, tenant_id, actor_kind, user_id, email,
        ip_address, user_agent, request_id, action, resource_type, resource_id, result, content
    FROM audit_logs
    WHERE organization_id = $1 AND ($2::uuid IS NULL OR audit_log_id < $2)
        AND ($3::timestamptz IS NULL OR recorded_at >= $3) AND ($4::timestamptz IS NULL OR recorded_at < $4)
        AND ($5::uuid IS NULL OR user_id = $5) AND ($6::text IS NULL OR lower(email) = lower($6))
        AND ($7::text IS NULL OR CASE WHEN right($7, 1) = '*'
            THEN starts_with(action, left($7, -1)) ELSE action = $7 END)
        AND ($8::text IS NULL OR resource_type = $8) AND ($9::text IS NULL OR resource_id = $9)
        AND ($10::text IS NULL OR result = $10) AND ($11::uuid IS NULL OR request_id = $11)
    ORDER BY audit_log_id DESC LIMIT $12
"""


async def search(
    tx: Transaction, wanted: AuditFilter, *, organization_id: UUID | None, before: UUID | None, limit: int
) -> list[AuditLog]:
    """Search the entries that the transaction may see, newest first.

    Args:
        tx: of a tenant, or of its organization for the entries of all its tenants.
        wanted: the filters.
        organization_id: the organization; None for the platform's own entries.
        before: the last audit_log_id of the previous page.
        limit: the maximum number of entries.
    """
    rows = await tx.fetch(
        _SEARCH,
        *(organization_id or PLATFORM_CHAIN, before, wanted.start, wanted.end, wanted.user_id, wanted.email),
        *(wanted.action, wanted.resource_type, wanted.resource_id, wanted.result, wanted.request_id, limit),
    )
    found: list[AuditLog] = []
    for row in rows:
        values = dict(row)
        content = json.loads(values.pop("content"))
        found.append(AuditLog(**values, before=content["before"], after=content["after"]))
    return found
