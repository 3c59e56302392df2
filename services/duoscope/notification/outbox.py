"""What people do to the outbox of alerts: replay what was given up."""

from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.metadata import notifications
from duoscope.metadata.notifications import Notification
from duoscope.stores.postgres import MetadataStore


async def replay(store: MetadataStore, principal: Principal, notification_id: UUID) -> Notification:
    """Queue a notification again that was given up. Raises NOT_FOUND, CONFLICT `not-given-up`."""
    async with store.open(principal.scope, "notifications.replay") as tx:
        found = require_found(await notifications.lock(tx, notification_id), "notification")
        if found.state != "given_up":
            raise DuoscopeError(
                ErrorKind.CONFLICT, "not-given-up", "Only a notification that was given up can be replayed."
            )
        after = await notifications.replay(tx, found)
        await audit.record(tx, principal.actor, "notification.replayed", found)
    return after
