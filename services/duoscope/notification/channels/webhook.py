"""A web server of the user's own: our body or Alertmanager's version 4, signed by Standard Webhooks."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import JSON, Config, Request, WebUrl
from duoscope.notification.channels.signing import key_of, signed
from duoscope.notification.messages import Alert, Message

BODY_BYTES_MAX: Final = 20_000
"""What Standard Webhooks recommends."""
ALERTMANAGER_BYTES_MAX: Final = 500_000
_NEVER: Final = "0001-01-01T00:00:00Z"
_RESERVED: Final = ("content-", "webhook-", "host", "transfer-", "connection", "accept-encoding", "user-agent")


class WebhookConfig(Config, frozen=True):
    """The web server, the form of the body, and its proof.

    Attributes:
        url: of the web server.
        format: of the body: ours, or `alertmanager` for what takes Alertmanager's webhooks.
        secrets: `whsec_…`; while one replaces another, both sign.
        headers: in addition, such as `authorization`.
    """

    SECRETS: ClassVar = frozenset({"url", "secrets", "headers"})
    url: WebUrl
    format: Literal["duoscope", "alertmanager"] = "duoscope"
    secrets: Annotated[tuple[str, ...], Meta(max_length=2)] = ()
    headers: Annotated[
        dict[
            Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z0-9-]+$")],
            Annotated[str, Meta(max_length=2000, pattern=r"^[\x20-\x7e]*$")],
        ],
        Meta(max_length=20),
    ] = msgspec.field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for secret in self.secrets:
            key_of(secret)
        for name in self.headers:
            if name.lower().startswith(_RESERVED):
                raise ValueError(f"the header {name} is ours to set")


def request(message: Message, config: WebhookConfig, now: datetime) -> Request:
    """Make the request."""
    if config.format == "duoscope":
        body = words.fitted(message, BODY_BYTES_MAX, lambda shown: msgspec.json.encode(ours(shown, message)))
    else:
        body = words.fitted(
            message, ALERTMANAGER_BYTES_MAX, lambda shown: msgspec.json.encode(alertmanagers(shown, message))
        )
    headers = {**config.headers, "content-type": JSON, **signed(message.key, body, config.secrets, now)}
    return Request(config.url, headers, body)


def ours(shown: Message, whole: Message) -> dict[str, Any]:
    """Our body. The alerts are those of `shown`; their counts are those of the whole message."""
    return {
        "type": f"alert.{whole.status}",
        "timestamp": max(each.ends_at or each.starts_at for each in whole.alerts),
        "data": {
            "status": whole.status,
            "severity": whole.severity,
            "title": words.title(shown),
            "incident": whole.incident,
            "receiver": whole.receiver,
            "firing": len(whole.firing),
            "resolved": len(whole.resolved),
            "omitted": shown.omitted,
            "group_labels": shown.group_labels,
            "common_labels": shown.common_labels,
            "common_annotations": shown.common_annotations,
            "url": whole.external_url,
            "alerts": [
                {
                    "status": each.status,
                    "severity": each.severity,
                    "labels": each.labels,
                    "annotations": each.annotations,
                    "value": each.value,
                    "starts_at": each.starts_at,
                    "ends_at": each.ends_at,
                    "fingerprint": each.fingerprint,
                    "url": each.url,
                }
                for each in shown.alerts
            ],
        },
    }


def alertmanagers(shown: Message, whole: Message) -> dict[str, Any]:
    """Alertmanager's body, version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config)."""
    return {
        "version": "4",
        "groupKey": whole.incident,
        "truncatedAlerts": shown.omitted,
        "status": whole.status,
        "receiver": whole.receiver,
        "groupLabels": shown.group_labels,
        "commonLabels": shown.common_labels,
        "commonAnnotations": shown.common_annotations,
        "externalURL": whole.external_url,
        "alerts": [_alert(each) for each in shown.alerts],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        "endsAt": alert.ends_at or _NEVER,
        "generatorURL": alert.url,
        "fingerprint": alert.fingerprint,
    }
