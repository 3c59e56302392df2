"""Who has taken note of an alert: of one episode, which began at `fired_at`."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from duoscope.stores.postgres import Transaction


class Alert(Struct, frozen=True):
    """An instance that fires, as an acknowledgement is about it."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    alert_id: UUID
    alert_rule_id: UUID
    fired_at: datetime | None
    status: str


async def lock(tx: Transaction, instance_id: UUID) -> Alert | None:
    """The instance, locked so that its episode does not end meanwhile; None if the transaction may not see it."""
    row = await tx.fetchrow(
        "SELECT organization_id, workspace_id, tenant_id, instance_id AS alert_id, alert_rule_id, fired_at, status "
        "FROM alert_instances WHERE instance_id = $1 AND status <> 'inactive' FOR UPDATE",
        instance_id,
    )
    return Alert(**dict(row)) if row else None


async def put(tx: Transaction, alert: Alert, *, comment: str, by: UUID | None, email: str) -> None:
    """Note who has taken note of an alert, in place of who had before."""
    await tx.execute(
        "INSERT INTO alert_acknowledgements (organization_id, workspace_id, tenant_id, instance_id, fired_at, comment, "
        "acknowledged_by, acknowledged_by_email) VALUES (app_organization_id(), app_workspace_id(), app_tenant_id(), "
        "$1, $2, $3, $4, $5) ON CONFLICT (tenant_id, instance_id) DO UPDATE SET fired_at = excluded.fired_at, "
        "comment = excluded.comment, acknowledged_by = excluded.acknowledged_by, "
        "acknowledged_by_email = excluded.acknowledged_by_email, acknowledged_at = now()",
        *(alert.alert_id, alert.fired_at, comment, by, email),
    )
