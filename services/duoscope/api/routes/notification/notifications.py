"""Notifications: what channels are owed of alerts, what they were sent, and what was given up."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.bodies import Services, shown
from duoscope.api.listing import PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import notifications
from duoscope.notification import outbox

ROUTES: Final = Routes("notifications")

State = Literal["queued", "failed", "muted", "sent", "given_up", "needless"]


class Notification(Struct, frozen=True, kw_only=True):
    """The beginning or the end of an alert, owed to one channel."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    notification_id: UUID
    channel_id: UUID
    alert_rule_id: Annotated[UUID | None, Meta(description="Null for an alert that others posted.")]
    alert_rule_name: str
    instance_id: UUID
    transition_id: UUID
    number: Annotated[int, Meta(description="Of the transition, among those of its instance.")]
    status: Literal["firing", "resolved"]
    alert: Annotated[dict[str, Any], Meta(description="What the message says of it.")]
    state: Annotated[
        State,
        Meta(
            description="`failed` is tried again; `muted` is held back by a silence, maintenance or another alert; "
            "`given_up` can be replayed; `needless` is an end whose beginning was given up, or a beginning that ended "
            "while it was held back."
        ),
    ]
    key: Annotated[UUID | None, Meta(description="Of the message, the same in every attempt.")]
    attempts: Annotated[int, Meta(ge=0)]
    next_attempt_at: datetime
    last_status: Annotated[int | None, Meta(description="Of the last answer over HTTP.")]
    last_answer: Annotated[str, Meta(description="What the other side, or what kept us from it, said last.")]
    settled_at: datetime | None
    silence_id: Annotated[UUID | None, Meta(description="Of the silence that holds it back, or did last.")]
    maintenance_window_id: Annotated[UUID | None, Meta(description="Or of the maintenance window.")]
    inhibition_rule_id: Annotated[UUID | None, Meta(description="Or of the inhibition rule.")]
    inhibited_by: Annotated[UUID | None, Meta(description="The instance that inhibits it by this rule.")]
    is_repeat: Annotated[bool, Meta(description="Whether it tells again what still fires.")]
    created_at: datetime


class NotificationPage(Struct, frozen=True):
    """One page of notifications, and the cursor of the next page."""

    items: list[Notification]
    next_cursor: str | None


@ROUTES.get("/api/v1/notifications", "List notifications", "notification:read", problems=LISTS)
async def list_notifications(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    status: Annotated[State | None, QueryParameter(name="state", description="Those in this state.")] = None,
    channel_id: Annotated[UUID | None, QueryParameter(description="Those of this channel.")] = None,
    alert_rule_id: Annotated[UUID | None, QueryParameter(description="Those of this alert rule.")] = None,
    instance_id: Annotated[UUID | None, QueryParameter(description="Those of this instance.")] = None,
) -> NotificationPage:
    """List what the tenant's channels are owed and were sent in the last 30 days. Sorts: created_at."""
    filters = {
        "state": status,
        "channel_id": channel_id,
        "alert_rule_id": alert_rule_id,
        "instance_id": instance_id,
    }
    async with services.metadata.open(request.user.scope, "notifications.list") as tx:
        return NotificationPage(*await listing.page(tx, notifications.LISTING, paging, filters, answer=Notification))


@ROUTES.get("/api/v1/notifications/{notification_id:uuid}", "Read a notification", "notification:read", problems=READS)
async def get_notification(
    request: Request[Principal, Any, Any], notification_id: FromPath[UUID], services: Services
) -> Notification:
    """One notification."""
    async with services.metadata.open(request.user.scope, "notifications.get") as tx:
        found = await notifications.get(tx, notification_id)
    return shown(require_found(found, "notification"), Notification)


@ROUTES.post(
    "/api/v1/notifications/{notification_id:uuid}/replay",
    "Replay a notification",
    "notification:write",
    problems=WRITES,
    status_code=200,
)
async def replay_notification(
    request: Request[Principal, Any, Any], notification_id: FromPath[UUID], services: Services
) -> Notification:
    """Try a notification that was given up again, under its key, and with it the end that was needless without it."""
    return shown(await outbox.replay(services.metadata, request.user, notification_id), Notification)
