"""Notification channels: created, changed, deleted and tried, each change with its audit entry.

A configuration is sealed as a whole; what it shows is what `channels.without_secrets` leaves.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from duoscope.delivery.mail import Mailer
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel import clock
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import notification_channels, notification_groups, notifications
from duoscope.metadata.notification_channels import NotificationChannel
from duoscope.net.outbound import Outbound
from duoscope.notification import channels
from duoscope.notification.channels import ChannelType
from duoscope.notification.channels.email import EmailConfig, mail
from duoscope.notification.channels.requests import Config
from duoscope.notification.messages import Alert, Message
from duoscope.notification.posting import Outcome, post
from duoscope.secrets.box import Cell, SecretBox
from duoscope.stores.postgres import MetadataStore, Transaction

CHANNELS_MAX: Final = 500
"""Of one tenant."""
_FOR: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A channel, and the members of its configuration that are no secrets."""

    channel: NotificationChannel
    config: dict[str, Any]


def cell_of(channel: NotificationChannel) -> Cell:
    """Name the cell in which the configuration of a channel is sealed."""
    return Cell("notification_channels", "config_encrypted", (channel.tenant_id, channel.channel_id))


async def opened(tx: Transaction, box: SecretBox, channel: NotificationChannel) -> Config:
    """The configuration of a channel. Raises INTERNAL `secret-unreadable`."""
    text = await box.open(tx, channel.config_encrypted, cell_of(channel))
    channel_type: ChannelType = msgspec.convert(channel.channel_type, ChannelType)
    return msgspec.json.decode(text, type=channels.CHANNELS[channel_type].config)


class ChannelManagement:
    """Manages channels for users, in the tenant they work in."""

    def __init__(
        self, store: MetadataStore, box: SecretBox, outbound: Outbound, mailer: Mailer, *, public_url: str
    ) -> None:
        self._store = store
        self._box = box
        self._outbound = outbound
        self._mailer = mailer
        self._public_url = public_url

    async def create(
        self,
        principal: Principal,
        *,
        notification_group_id: UUID,
        name: str,
        channel_type: ChannelType,
        config: dict[str, Any],
    ) -> ShownChannel:
        """Create a channel. Raises INVALID, NOT_FOUND for the group, CONFLICT for its name or `too-many-channels`."""
        checked = channels.checked(channel_type, config)
        self._require_mail(checked)
        async with self._store.open(principal.scope, "notification_channels.create") as tx:
            require_found(await notification_groups.get(tx, notification_group_id), "notification group")
            if await notification_channels.count(tx) >= CHANNELS_MAX:
                raise DuoscopeError(
                    ErrorKind.CONFLICT, "too-many-channels", f"A tenant has at most {CHANNELS_MAX} channels."
                )
            channel_id = new_id()
            cell = Cell("notification_channels", "config_encrypted", (principal.scope.tenant_id, channel_id))
            made = await notification_channels.create(
                tx,
                channel_id=channel_id,
                notification_group_id=notification_group_id,
                name=name,
                channel_type=channel_type,
                config_encrypted=await self._box.seal(tx, msgspec.json.encode(checked), cell),
                target=checked.target(),
            )
            await audit.created(tx, principal.actor, made)
        return ShownChannel(made, channels.without_secrets(checked))

    async def show(self, tx: Transaction, channel: NotificationChannel) -> ShownChannel:
        """Show a channel that `tx` sees."""
        return ShownChannel(channel, channels.without_secrets(await opened(tx, self._box, channel)))

    async def change(self, principal: Principal, channel_id: UUID, changes: dict[str, Any]) -> ShownChannel:
        """Change a channel. Members of `config` that are not given keep their values, also secret ones; null removes
        one. What a channel is owed that is switched off is given up. Raises as `create` does.
        """
        members: dict[str, Any] | None = changes.pop("config", None)
        async with self._store.open(principal.scope, "notification_channels.change") as tx:
            before = require_found(await notification_channels.lock(tx, channel_id), "notification channel")
            config = await opened(tx, self._box, before)
            if members is not None:
                stored: dict[str, Any] = msgspec.to_builtins(config)
                merged = {name: value for name, value in (stored | members).items() if value is not None}
                config = channels.checked(msgspec.convert(before.channel_type, ChannelType), merged)
                self._require_mail(config)
                sealed = await self._box.seal(tx, msgspec.json.encode(config), cell_of(before))
                changes |= {"config_encrypted": sealed, "target": config.target()}
            after = await notification_channels.save(tx, replace(before, **changes))
            if before.is_active and not after.is_active:
                await notifications.give_up_queued(tx, tenant_id=after.tenant_id, channel_id=after.channel_id)
            await audit.changed(tx, principal.actor, before, after)
        return ShownChannel(after, channels.without_secrets(config))

    async def delete(self, principal: Principal, channel_id: UUID) -> None:
        """Delete a channel. What it is owed is sent to nobody. Raises NOT_FOUND."""
        async with self._store.open(principal.scope, "notification_channels.delete") as tx:
            found = require_found(await notification_channels.lock(tx, channel_id), "notification channel")
            await notification_channels.delete(tx, channel_id)
            await audit.deleted(tx, principal.actor, found)

    async def test(self, principal: Principal, channel_id: UUID) -> Outcome:
        """Send a message that says that it is a test, at once, also to a channel that is switched off.

        Raises:
            DuoscopeError: NOT_FOUND; CONFLICT `mail-not-configured`.
        """
        async with self._store.open(principal.scope, "notification_channels.test") as tx:
            channel = require_found(await notification_channels.get(tx, channel_id), "notification channel")
            config = await opened(tx, self._box, channel)
            self._require_mail(config)
            group = require_found(
                await notification_groups.get(tx, channel.notification_group_id), "notification group"
            )
            message = self._message(channel, group.name, principal.actor.email)
            if isinstance(config, EmailConfig):
                made = mail(message)
                for to in config.to:
                    await self._mailer.queue(
                        tx, organization_id=channel.organization_id, to=to, subject=made.subject, text=made.text
                    )
            await audit.record(tx, principal.actor, "notification-channel.tested", channel)
        if isinstance(config, EmailConfig):
            return Outcome(None, "The mail was handed to the outbox.")
        return await post(self._outbound, channel, config, message)

    def _require_mail(self, config: Config) -> None:
        if isinstance(config, EmailConfig):
            self._mailer.require()

    def _message(self, channel: NotificationChannel, receiver: str, asked_by: str) -> Message:
        now, key = clock.now(), new_id()
        # Resolved, so that it opens nothing that nobody closes.
        alert = Alert(
            status="resolved",
            labels={"alertname": "Test of a notification channel", "severity": "info"},
            annotations={"summary": f"{asked_by} tries the channel {channel.name}. Nothing is wrong."},
            starts_at=now - _FOR,
            ends_at=now,
            fingerprint=channel.channel_id.hex,
        )
        return Message(
            key=f"msg_{key.hex}",
            incident=f"test/{channel.channel_id}",
            alerts=(alert,),
            group_labels={},
            receiver=receiver,
            external_url=self._public_url,
        )
