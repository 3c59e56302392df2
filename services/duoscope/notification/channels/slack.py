"""Slack, by an incoming webhook: a header and the alerts as mrkdwn (https://docs.slack.dev/reference/block-kit)."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, WebUrl, json_request
from duoscope.notification.messages import Alert, Message

HEADER_CHARS_MAX: Final = 150
SECTION_CHARS_MAX: Final = 3000
_COLOURS: Final = {"critical": "#c62828", "error": "#ef6c00", "warning": "#f9a825", "info": "#1565c0"}
_RESOLVED: Final = "#2e7d32"


class SlackConfig(Config, frozen=True):
    """The address where Slack takes messages, which is the secret."""

    SECRETS: ClassVar = frozenset({"url"})
    url: Annotated[WebUrl, Meta(examples=["https://hooks.slack.com/services/T0/B0/x"])]


def request(message: Message, config: SlackConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    title = words.title(message, HEADER_CHARS_MAX)
    shown = words.listed(message, SECTION_CHARS_MAX, _alert)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}},
        # Verbatim: what looks like an address or a name is not made a link or a mention.
        {"type": "section", "text": {"type": "mrkdwn", "text": shown, "verbatim": True}},
    ]
    colour = _COLOURS[message.severity] if message.status == "firing" else _RESOLVED
    return json_request(
        config.url, {"text": escaped(title), "attachments": [{"color": colour, "fallback": title, "blocks": blocks}]}
    )


def escaped(text: str) -> str:
    """Escape what begins a link, a mention or an entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _alert(alert: Alert, chars: int) -> str:
    lines = [escaped(words.heading(alert))]
    if chars:
        lines.append(escaped(words.texts(alert, chars)))
        lines.append(escaped(", ".join(f"{name}: {value}" for name, value in words.facts(alert))))
        lines.append(" ".join(f"<{escaped(url).replace('|', '%7C')}|{name}>" for name, url in words.links(alert)))
    return "\n".join(line for line in lines if line)
