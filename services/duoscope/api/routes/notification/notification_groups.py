"""Notification groups: the channels that are told together, and the groups that a rule tells."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Schema
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Description, Name, Services, given, items
from duoscope.api.listing import ActiveFilter, NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import notification_groups
from duoscope.metadata.columns import IsActive
from duoscope.metadata.notification_groups import (
    GroupBy,
    GroupInterval,
    GroupWait,
    NotificationGroup,
    RepeatInterval,
)
from duoscope.metadata.silences import Matcher
from duoscope.notification import groups

ROUTES: Final = Routes("notification-groups")


_Matchers = Annotated[
    list[Matcher] | None,
    Meta(description="It is told of alerts that others post and that meet all of these; null: of none."),
]


class NotificationGroupPage(Struct, frozen=True):
    """One page of notification groups, and the cursor of the next page."""

    items: list[NotificationGroup]
    next_cursor: str | None


class NewNotificationGroup(Struct, forbid_unknown_fields=True):
    """A notification group to be created."""

    name: Name
    description: Description = ""
    group_by: GroupBy = msgspec.field(default_factory=lambda: ["alertname"])
    group_wait_seconds: GroupWait = 0
    group_interval_seconds: GroupInterval = 0
    repeat_interval_seconds: RepeatInterval = 0
    external_matchers: _Matchers = None


class NotificationGroupChange(Change):
    """The changes of a notification group."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET
    group_by: GroupBy | UnsetType = UNSET
    group_wait_seconds: GroupWait | UnsetType = UNSET
    group_interval_seconds: GroupInterval | UnsetType = UNSET
    repeat_interval_seconds: RepeatInterval | UnsetType = UNSET
    external_matchers: _Matchers | UnsetType = UNSET


class RuleGroups(Struct, forbid_unknown_fields=True, frozen=True):
    """The groups that an alert rule tells."""

    notification_group_ids: Annotated[
        list[UUID],
        Meta(
            max_length=groups.GROUPS_OF_RULE_MAX,
            extra_json_schema=items(Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)),
        ),
    ]


@ROUTES.post("/api/v1/notification-groups", "Create a notification group", "notification:write", problems=WRITES)
async def create_notification_group(
    request: Request[Principal, Any, Any], data: JSONBody[NewNotificationGroup], services: Services
) -> NotificationGroup:
    """Create a group. Its name must be new in the tenant. How it tells alerts together applies to all its channels."""
    return await groups.create(services.metadata, request.user, **msgspec.structs.asdict(data))


@ROUTES.get("/api/v1/notification-groups", "List notification groups", "notification:read", problems=LISTS)
async def list_notification_groups(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    is_active: ActiveFilter = None,
) -> NotificationGroupPage:
    """List the tenant's groups. Sorts: name, created_at."""
    filters = {"name": name, "is_active": is_active}
    async with services.metadata.open(request.user.scope, "notification_groups.list") as tx:
        return NotificationGroupPage(
            *await listing.page(
                tx,
                notification_groups.LISTING,
                paging,
                filters,
                answer=NotificationGroup,
                read=notification_groups.from_row,
            )
        )


@ROUTES.get(
    "/api/v1/notification-groups/{group_id:uuid}", "Read a notification group", "notification:read", problems=READS
)
async def get_notification_group(
    request: Request[Principal, Any, Any], group_id: FromPath[UUID], services: Services
) -> NotificationGroup:
    """One group."""
    async with services.metadata.open(request.user.scope, "notification_groups.get") as tx:
        found = await notification_groups.get(tx, group_id)
    return require_found(found, "notification group")


@ROUTES.patch(
    "/api/v1/notification-groups/{group_id:uuid}", "Change a notification group", "notification:write", problems=WRITES
)
async def change_notification_group(
    request: Request[Principal, Any, Any],
    group_id: FromPath[UUID],
    data: JSONBody[NotificationGroupChange],
    services: Services,
) -> NotificationGroup:
    """Change a group. An inactive one is not told of what begins; of what it was told, it is told the end."""
    return await groups.change(services.metadata, request.user, group_id, given(data))


@ROUTES.delete(
    "/api/v1/notification-groups/{group_id:uuid}",
    "Delete a notification group",
    "notification:delete",
    problems=READS,
)
async def delete_notification_group(
    request: Request[Principal, Any, Any], group_id: FromPath[UUID], services: Services
) -> None:
    """Delete a group for good, with its channels, and with what they are owed and were sent."""
    await groups.delete(services.metadata, request.user, group_id)


@ROUTES.get(
    "/api/v1/alert-rules/{alert_rule_id:uuid}/notification-groups",
    "List the groups that a rule tells",
    "notification:read",
    problems=READS,
)
async def get_rule_groups(
    request: Request[Principal, Any, Any], alert_rule_id: FromPath[UUID], services: Services
) -> RuleGroups:
    """The groups that an alert rule tells."""
    return RuleGroups(await groups.of_rule(services.metadata, request.user, alert_rule_id))


@ROUTES.patch(
    "/api/v1/alert-rules/{alert_rule_id:uuid}/notification-groups",
    "Choose the groups that a rule tells",
    "alert-rule:write",
    problems=READS,
)
async def change_rule_groups(
    request: Request[Principal, Any, Any],
    alert_rule_id: FromPath[UUID],
    data: JSONBody[RuleGroups],
    services: Services,
) -> RuleGroups:
    """Replace the groups that an alert rule tells. Groups that are no longer named are still told the end of what they
    were told.
    """
    return RuleGroups(
        await groups.set_of_rule(services.metadata, request.user, alert_rule_id, data.notification_group_ids)
    )
