"""Notification channels: where messages of alerts go. Secrets are sealed, and never answered."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Name, Services, check_settings, given, shown
from duoscope.api.listing import ActiveFilter, NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import notification_channels
from duoscope.metadata.columns import IsActive
from duoscope.notification.channels import ChannelType
from duoscope.notification.management import ShownChannel

ROUTES: Final = Routes("notification-channels")

_Config = Annotated[
    dict[str, Any],
    Meta(
        description="What this type of channel has to know; docs/notifications.md lists the members.",
        examples=[{"url": "https://hooks.slack.com/services/T00/B00/secret"}],
    ),
]


class NotificationChannelSummary(Struct, frozen=True, kw_only=True):
    """A channel in a list."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    channel_id: UUID
    notification_group_id: UUID
    name: Annotated[str, Meta(examples=["#shop-alerts"])]
    channel_type: ChannelType
    target: Annotated[str, Meta(description="Where messages go, without secrets.", examples=["hooks.slack.com"])]
    is_active: IsActive
    version: Annotated[int, Meta(ge=1)]
    last_problem: Annotated[
        str,
        Meta(description="What the other side said when it last refused; empty once it takes a message."),
    ]
    created_at: datetime
    updated_at: datetime


class NotificationChannel(NotificationChannelSummary, frozen=True, kw_only=True):
    """A channel, with the members of its configuration that are no secrets."""

    config: Annotated[dict[str, Any], Meta(description="Without its secret members.")]


class NotificationChannelPage(Struct, frozen=True):
    """One page of channels, and the cursor of the next page."""

    items: list[NotificationChannelSummary]
    next_cursor: str | None


class NewNotificationChannel(Struct, forbid_unknown_fields=True):
    """A channel to be created."""

    notification_group_id: UUID
    name: Name
    channel_type: ChannelType
    config: _Config


class NotificationChannelChange(Change):
    """The changes of a channel. Members of `config` that are not given keep their values; null removes one."""

    name: Name | UnsetType = UNSET
    config: _Config | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


class TestAnswer(Struct, frozen=True):
    """The answer of the other side to a test."""

    verdict: Annotated[
        Literal["sent", "later", "refused", "gone"],
        Meta(description="`later`: the same may succeed later; `gone`: it will never take anything again."),
    ]
    status: Annotated[int | None, Meta(description="Of HTTP; null without an answer, and for mail.", examples=[200])]
    answer: Annotated[str, Meta(description="The beginning of its body, or why there is none.", examples=["ok"])]


@ROUTES.post("/api/v1/notification-channels", "Create a notification channel", "notification:write", problems=WRITES)
async def create_notification_channel(
    request: Request[Principal, Any, Any], data: JSONBody[NewNotificationChannel], services: Services
) -> NotificationChannel:
    """Create a channel of a group. Its name must be new in the group. Nothing is sent: try it with `/test`."""
    check_settings(data.config)
    made = await services.channels.create(
        request.user,
        notification_group_id=data.notification_group_id,
        name=data.name,
        channel_type=data.channel_type,
        config=data.config,
    )
    return _answer(made)


@ROUTES.get("/api/v1/notification-channels", "List notification channels", "notification:read", problems=LISTS)
async def list_notification_channels(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    is_active: ActiveFilter = None,
    channel_type: Annotated[ChannelType | None, QueryParameter(description="Channels of this type.")] = None,
    notification_group_id: Annotated[UUID | None, QueryParameter(description="Channels of this group.")] = None,
) -> NotificationChannelPage:
    """List the tenant's channels. Sorts: name, created_at."""
    filters = {
        "name": name,
        "is_active": is_active,
        "channel_type": channel_type,
        "notification_group_id": notification_group_id,
    }
    async with services.metadata.open(request.user.scope, "notification_channels.list") as tx:
        return NotificationChannelPage(
            *await listing.page(tx, notification_channels.LISTING, paging, filters, answer=NotificationChannelSummary)
        )


@ROUTES.get(
    "/api/v1/notification-channels/{channel_id:uuid}",
    "Read a notification channel",
    "notification:read",
    problems=READS,
)
async def get_notification_channel(
    request: Request[Principal, Any, Any], channel_id: FromPath[UUID], services: Services
) -> NotificationChannel:
    """One channel, without its secrets."""
    async with services.metadata.open(request.user.scope, "notification_channels.get") as tx:
        found = require_found(await notification_channels.get(tx, channel_id), "notification channel")
        return _answer(await services.channels.show(tx, found))


@ROUTES.patch(
    "/api/v1/notification-channels/{channel_id:uuid}",
    "Change a notification channel",
    "notification:write",
    problems=WRITES,
)
async def change_notification_channel(
    request: Request[Principal, Any, Any],
    channel_id: FromPath[UUID],
    data: JSONBody[NotificationChannelChange],
    services: Services,
) -> NotificationChannel:
    """Change a channel; what waits for it is tried at once. One that is switched off is not told of what begins."""
    changes = given(data)
    check_settings(changes.get("config"))
    return _answer(await services.channels.change(request.user, channel_id, changes))


@ROUTES.delete(
    "/api/v1/notification-channels/{channel_id:uuid}",
    "Delete a notification channel",
    "notification:delete",
    problems=READS,
)
async def delete_notification_channel(
    request: Request[Principal, Any, Any], channel_id: FromPath[UUID], services: Services
) -> None:
    """Delete a channel for good, with what it is owed and was sent."""
    await services.channels.delete(request.user, channel_id)


@ROUTES.post(
    "/api/v1/notification-channels/{channel_id:uuid}/test",
    "Test a notification channel",
    "notification:write",
    problems=WRITES,
    status_code=200,
)
async def test_notification_channel(
    request: Request[Principal, Any, Any], channel_id: FromPath[UUID], services: Services
) -> TestAnswer:
    """Send a message that says that it is a test, and answer what the other side said. It takes up to 20 s."""
    said = await services.channels.test(request.user, channel_id)
    return TestAnswer(said.verdict.value, said.status, said.answer)


def _answer(made: ShownChannel) -> NotificationChannel:
    summary = shown(made.channel, NotificationChannelSummary)
    members = {name: getattr(summary, name) for name in summary.__struct_fields__}
    return NotificationChannel(**members, config=made.config)
