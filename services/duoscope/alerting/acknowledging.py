"""Taking note of an alert, with a comment: it tells others that somebody is at it, and ends with the firing."""

from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.metadata import alert_acknowledgements
from duoscope.stores.postgres import MetadataStore


async def acknowledge(store: MetadataStore, principal: Principal, instance_id: UUID, comment: str) -> None:
    """Take note of an alert that fires.

    Raises:
        DuoscopeError: NOT_FOUND; CONFLICT `alert-not-firing` for one that is pending.
    """
    async with store.open(principal.scope, "alerts.acknowledge") as tx:
        alert = require_found(await alert_acknowledgements.lock(tx, instance_id), "alert")
        if alert.status == "pending" or alert.fired_at is None:
            raise DuoscopeError(ErrorKind.CONFLICT, "alert-not-firing", "This alert does not fire (yet).")
        actor = principal.actor
        await alert_acknowledgements.put(tx, alert, comment=comment, by=actor.user_id, email=actor.email)
        await audit.record(
            tx,
            actor,
            "alert.acknowledged",
            audit.About.row(alert),
            after={"comment": comment, "fired_at": alert.fired_at},
        )
