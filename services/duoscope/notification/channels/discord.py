"""Discord, by a webhook: an embed (https://discord.com/developers/docs/resources/webhook#execute-webhook)."""

import re
from datetime import datetime
from typing import Any, ClassVar, Final

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, WebUrl, json_request
from duoscope.notification.messages import Alert, Message

TITLE_CHARS_MAX: Final = 256
DESCRIPTION_CHARS_MAX: Final = 4096
_COLOURS: Final = {"critical": 0xC62828, "error": 0xEF6C00, "warning": 0xF9A825, "info": 0x1565C0}
_RESOLVED: Final = 0x2E7D32
_MARKUP: Final = re.compile(r"[\\`*_~|>\[\]()#<@:-]")


class DiscordConfig(Config, frozen=True):
    """The address where Discord takes messages, which is the secret."""

    SECRETS: ClassVar = frozenset({"url"})
    url: WebUrl


def request(message: Message, config: DiscordConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    embed: dict[str, Any] = {
        "title": words.cut(words.title(message, TITLE_CHARS_MAX), TITLE_CHARS_MAX, words.utf16),
        "description": words.listed(message, DESCRIPTION_CHARS_MAX, _alert, measure=words.utf16),
        "color": _COLOURS[message.severity] if message.status == "firing" else _RESOLVED,
        "timestamp": min(each.starts_at for each in message.alerts).isoformat(),
    }
    if links := words.links(message.alerts[0]):
        embed["url"] = links[0][1]
    # Names in an alert wake nobody up by a mention.
    return json_request(config.url, {"embeds": [embed], "allowed_mentions": {"parse": []}})


def escaped(text: str) -> str:
    """Escape Markdown and mentions."""
    return _MARKUP.sub(r"\\\g<0>", text)


def _alert(alert: Alert, chars: int) -> str:
    lines = [f"**{escaped(words.heading(alert))}**"]
    if chars:
        lines.append(escaped(words.texts(alert, chars)))
        lines.append(escaped(", ".join(f"{name}: {value}" for name, value in words.facts(alert))))
        lines.append(" ".join(f"[{name}](<{url}>)" for name, url in words.links(alert) if ">" not in url))
    return "\n".join(line for line in lines if line)
