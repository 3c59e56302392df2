"""The channels: for each a type of configuration and a pure function from a message to a request.

The request stays within what the other side takes, with whole markup and the count of what did not fit. See ADR 35.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from duoscope.kernel.errors import invalid
from duoscope.notification.channels import (
    alertmanager,
    discord,
    email,
    google_chat,
    msteams,
    opsgenie,
    pagerduty,
    slack,
    sms,
    telegram,
    webhook,
)
from duoscope.notification.channels.requests import Config, Request, check_urls
from duoscope.notification.messages import Message

ChannelType: TypeAlias = Literal[
    "email", "slack", "pagerduty", "webhook", "msteams", "discord", "telegram", "sms",
    "opsgenie", "google_chat", "alertmanager",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Channel:
    """A kind of channel. `request` is None for mail, which goes through its own outbox."""

    config: type[Config]
    request: Callable[[Message, Any, datetime], Request] | None


CHANNELS: Final[dict[ChannelType, Channel]] = {
    "email": Channel(email.EmailConfig, None),
    "slack": Channel(slack.SlackConfig, slack.request),
    "pagerduty": Channel(pagerduty.PagerDutyConfig, pagerduty.request),
    "webhook": Channel(webhook.WebhookConfig, webhook.request),
    "msteams": Channel(msteams.MsTeamsConfig, msteams.request),
    "discord": Channel(discord.DiscordConfig, discord.request),
    "telegram": Channel(telegram.TelegramConfig, telegram.request),
    "sms": Channel(sms.SmsConfig, sms.request),
    "opsgenie": Channel(opsgenie.OpsgenieConfig, opsgenie.request),
    "google_chat": Channel(google_chat.GoogleChatConfig, google_chat.request),
    "alertmanager": Channel(alertmanager.AlertmanagerConfig, alertmanager.request),
}
assert set(CHANNELS) == set(get_args(ChannelType))


def checked(channel_type: ChannelType, members: dict[str, Any]) -> Config:
    """The configuration that a user gave.

    Raises:
        DuoscopeError: INVALID, which names the member and never its value.
    """
    try:
        config = msgspec.convert(members, CHANNELS[channel_type].config)
        check_urls(config)
    except (msgspec.ValidationError, ValueError) as error:
        raise invalid(f"config of a channel of type {channel_type}: {error}.") from error
    return config


def without_secrets(config: Config) -> dict[str, Any]:
    """The members that may be shown."""
    members: dict[str, Any] = msgspec.to_builtins(config)
    return {name: value for name, value in members.items() if name not in config.SECRETS}
