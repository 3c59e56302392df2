"""Microsoft Teams, by a workflow of Power Automate: an Adaptive Card (https://adaptivecards.io/explorer)."""

import re
from datetime import datetime
from typing import Any, ClassVar, Final

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, WebUrl, json_request
from duoscope.notification.messages import Alert, Message

TEXT_BYTES_MAX: Final = 20_000
"""Teams takes about 28 kB; as JSON the text can grow, and the card's frame needs some."""
_COLOURS: Final = {"critical": "attention", "error": "attention", "warning": "warning", "info": "accent"}
_MARKUP: Final = re.compile(r"[\\`*_{}\[\]()#+\-!|<>~]")


class MsTeamsConfig(Config, frozen=True):
    """The address where the workflow takes messages, which is the secret."""

    SECRETS: ClassVar = frozenset({"url"})
    url: WebUrl


def request(message: Message, config: MsTeamsConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    colour = _COLOURS[message.severity] if message.status == "firing" else "good"
    title = {"type": "TextBlock", "size": "large", "weight": "bolder", "wrap": True, "color": colour}
    actions = [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in words.links(message.alerts[0])]
    text = words.listed(message, TEXT_BYTES_MAX, _alert, measure=_json_bytes)
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {**title, "text": escaped(words.title(message))},
            {"type": "TextBlock", "wrap": True, "text": text},
        ],
        "actions": actions,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json_request(config.url, {"type": "message", "attachments": [attachment]})


def escaped(text: str) -> str:
    """Escape Markdown."""
    return _MARKUP.sub(r"\\\g<0>", text)


def _json_bytes(text: str) -> int:
    return len(text.encode()) + sum(each in '"\\\n\t' for each in text)


def _alert(alert: Alert, chars: int) -> str:
    lines = [f"**{escaped(words.heading(alert))}**"]
    if chars:
        lines += escaped(words.texts(alert, chars)).split("\n")
        lines.append(escaped(", ".join(f"{name}: {value}" for name, value in words.facts(alert))))
    return "\n\n".join(line for line in lines if line)
