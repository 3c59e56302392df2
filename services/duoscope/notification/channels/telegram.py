"""Telegram, by a bot: a message in HTML (https://core.telegram.org/bots/api#sendmessage)."""

from datetime import datetime
from html import escape
from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, WebUrl, json_request
from duoscope.notification.messages import Alert, Message

TEXT_CHARS_MAX: Final = 4096
"""In units of UTF-16. Telegram counts after it has read the markup; we count with it."""


class TelegramConfig(Config, frozen=True):
    """The bot, and the chat that it writes to."""

    SECRETS: ClassVar = frozenset({"bot_token"})
    bot_token: Annotated[str, Meta(pattern=r"^[0-9]{1,20}:[A-Za-z0-9_-]{1,100}$")]
    chat_id: Annotated[str, Meta(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64})$", examples=["-1001234567890"])]
    message_thread_id: int | None = None
    api_url: WebUrl = "https://api.telegram.org"

    def target(self) -> str:
        """The chat."""
        return self.chat_id


def request(message: Message, config: TelegramConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    title = f"<b>{escape(words.title(message))}</b>\n\n"
    text = title + words.listed(message, TEXT_CHARS_MAX - words.utf16(title), _alert, measure=words.utf16)
    body: dict[str, Any] = {"chat_id": config.chat_id, "text": text, "parse_mode": "HTML"}
    body["link_preview_options"] = {"is_disabled": True}
    if config.message_thread_id is not None:
        body["message_thread_id"] = config.message_thread_id
    return json_request(f"{config.api_url.rstrip('/')}/bot{config.bot_token}/sendMessage", body)


def _alert(alert: Alert, chars: int) -> str:
    lines = [f"<b>{escape(words.heading(alert))}</b>"]
    if chars:
        lines.append(escape(words.texts(alert, chars)))
        lines.append(escape(", ".join(f"{name}: {value}" for name, value in words.facts(alert))))
        lines.append(" ".join(f'<a href="{escape(url)}">{name}</a>' for name, url in words.links(alert)))
    return "\n".join(line for line in lines if line)
