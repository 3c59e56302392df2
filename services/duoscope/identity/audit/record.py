"""What a change looks like in the audit log: the fields that differ, before and after."""

from dataclasses import asdict
from typing import Any, ClassVar, Protocol
from uuid import UUID

from duoscope.kernel.actor import Actor
from duoscope.metadata import audit_logs
from duoscope.stores.postgres import Transaction

_UNTOLD = frozenset({"created_at", "updated_at"})


class _Row(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def told(row: _Row) -> dict[str, Any]:
    """A row as the audit log tells it."""
    return {name: value for name, value in asdict(row).items() if name not in _UNTOLD}


def difference(before: _Row, after: _Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ: as they were, and as they are."""
    old, new = told(before), told(after)
    changed = [name for name in new if new[name] != old.get(name)]
    return {name: old.get(name) for name in changed}, {name: new[name] for name in changed}


async def tell(
    tx: Transaction,
    actor: Actor,
    action: str,
    resource_id: UUID,
    *,
    organization_id: UUID | None,
    workspace_id: UUID | None = None,
    tenant_id: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write the audit entry of a change that succeeds when `m` does: its action names the resource, `user.created`."""
    await audit_logs.record(
        tx,
        actor,
        action=action,
        resource_type=action.partition(".")[0],
        resource_id=resource_id,
        organization_id=organization_id,
        workspace_id=workspace_id,
        tenant_id=tenant_id,
        before=before,
        after=after,
    )
