"""Google Chat, by a webhook: a card in the thread of the incident (https://developers.google.com/workspace/chat)."""

import hashlib
from datetime import datetime
from html import escape
from typing import Any, ClassVar, Final

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, WebUrl, json_request
from duoscope.notification.messages import Alert, Message

TEXT_BYTES_MAX: Final = 16_000
"""A message has at most 32,000, and as JSON the text can grow."""


class GoogleChatConfig(Config, frozen=True):
    """The address where the space takes messages, which is the secret."""

    SECRETS: ClassVar = frozenset({"url"})
    url: WebUrl


def request(message: Message, config: GoogleChatConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    widgets: list[dict[str, Any]] = [
        {"textParagraph": {"text": words.listed(message, TEXT_BYTES_MAX, _alert, measure=_bytes, separator="<br><br>")}}
    ]
    links = words.links(message.alerts[0])
    if links:
        buttons = [{"text": name, "onClick": {"openLink": {"url": url}}} for name, url in links]
        widgets.append({"buttonList": {"buttons": buttons}})
    thread = hashlib.sha256(message.incident.encode()).hexdigest()
    card = {"header": {"title": words.title(message)}, "sections": [{"widgets": widgets}]}
    joint = "&" if "?" in config.url else "?"
    return json_request(
        f"{config.url}{joint}messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
        {"cardsV2": [{"cardId": "alert", "card": card}], "thread": {"threadKey": thread}},
    )


def _bytes(text: str) -> int:
    return len(text.encode())


def _alert(alert: Alert, chars: int) -> str:
    lines = [f"<b>{escape(words.heading(alert))}</b>"]
    if chars:
        lines.append(escape(words.texts(alert, chars)).replace("\n", "<br>"))
        lines.append(escape(", ".join(f"{name}: {value}" for name, value in words.facts(alert))))
    return "<br>".join(line for line in lines if line)
