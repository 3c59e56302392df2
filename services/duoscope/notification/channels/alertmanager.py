"""An Alertmanager of the user's own, by its API v2: it groups, silences and sends."""

from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import JSON, Config, Request, Token, WebUrl
from duoscope.notification.messages import Alert, Message

BODY_BYTES_MAX: Final = 4_000_000
FIRES_ON: Final = timedelta(days=365)
"""An alert without an end would end after Alertmanager's `resolve_timeout`. Ours ends when we say so."""
_TEXTS: Final = (20_000, 2000, 200, 0)


class AlertmanagerConfig(Config, frozen=True):
    """The address of the Alertmanager, and what it wants to see."""

    SECRETS: ClassVar = frozenset({"bearer_token"})
    url: Annotated[WebUrl, Meta(examples=["https://alertmanager.example.com"])]
    bearer_token: Token | None = None


def request(message: Message, config: AlertmanagerConfig, now: datetime) -> Request:
    """Make the request: no alert is left out, since each would stay as it is there; long texts are cut."""
    headers = {"content-type": JSON}
    if config.bearer_token:
        headers["authorization"] = f"Bearer {config.bearer_token}"
    body = b""
    for chars in _TEXTS:
        body = msgspec.json.encode([_alert(each, now, chars) for each in message.alerts])
        if len(body) <= BODY_BYTES_MAX:
            break
    return Request(f"{config.url.rstrip('/')}/api/v2/alerts", headers, body)


def _alert(alert: Alert, now: datetime, chars: int) -> dict[str, Any]:
    return {
        "labels": {name: words.clean(value) for name, value in alert.labels.items() if value},
        "annotations": {
            name: words.cut(words.clean(value[: chars + 1]), chars)
            for name, value in alert.annotations.items()
            if chars
        },
        "startsAt": alert.starts_at,
        "endsAt": alert.ends_at if alert.status == "resolved" else now + FIRES_ON,
        "generatorURL": alert.url,
    }
