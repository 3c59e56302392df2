"""PagerDuty, by its Events API v2: an incident is triggered and resolved under one `dedup_key`."""

import hashlib
from datetime import datetime
from typing import Any, ClassVar, Final

import msgspec

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import JSON, Config, Request, Token, WebUrl
from duoscope.notification.messages import Message

SUMMARY_CHARS_MAX: Final = 1024
KEY_CHARS_MAX: Final = 255
BODY_BYTES_MAX: Final = 500_000
"""PagerDuty takes 512,000."""
_LINKS_MAX: Final = 10


class PagerDutyConfig(Config, frozen=True):
    """The integration that gets the events."""

    SECRETS: ClassVar = frozenset({"routing_key"})
    routing_key: Token
    api_url: WebUrl = "https://events.pagerduty.com"


def request(message: Message, config: PagerDutyConfig, now: datetime) -> Request:
    """Make the request."""
    del now

    def body(shown: Message) -> bytes:
        return msgspec.json.encode({"routing_key": config.routing_key, **_event(message, shown)})

    url = f"{config.api_url.rstrip('/')}/v2/enqueue"
    return Request(url, {"content-type": JSON}, words.fitted(message, BODY_BYTES_MAX, body))


def _event(message: Message, shown: Message) -> dict[str, Any]:
    key = message.incident
    if len(key) > KEY_CHARS_MAX:
        key = hashlib.sha256(key.encode()).hexdigest()
    if message.status == "resolved":
        return {"event_action": "resolve", "dedup_key": key}
    first = shown.alerts[0]
    details: dict[str, Any] = {
        "firing": len(message.firing),
        "resolved": len(message.resolved),
        "alerts": [{"status": each.status, **each.labels, **each.annotations} for each in shown.alerts],
    }
    if shown.omitted:
        details["omitted"] = words.rest(shown.omitted)
    return {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "duoscope",
        "client_url": message.external_url,
        "links": [{"href": url, "text": name} for name, url in words.links(first)][:_LINKS_MAX],
        "payload": {
            "summary": words.title(message, SUMMARY_CHARS_MAX),
            "source": words.cut(_source(message), SUMMARY_CHARS_MAX),
            "severity": message.severity,
            "timestamp": min(each.starts_at for each in message.firing).isoformat(),
            "custom_details": details,
        },
    }


def _source(message: Message) -> str:
    common = message.common_labels
    named = (common.get(name, "") for name in ("instance", "host", "service", "job", "alertname"))
    return next((words.one_line(name) for name in named if name), "duoscope")
