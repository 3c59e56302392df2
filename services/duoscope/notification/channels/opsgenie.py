"""Opsgenie: an alert is created and closed by its alias (https://docs.opsgenie.com/docs/alert-api)."""

import hashlib
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import quote

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, Token, WebUrl, json_request
from duoscope.notification.messages import Alert, Message

MESSAGE_CHARS_MAX: Final = 130
DESCRIPTION_CHARS_MAX: Final = 15_000
ALIAS_CHARS_MAX: Final = 512
_PRIORITIES: Final = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


class OpsgenieConfig(Config, frozen=True):
    """The integration that gets the alerts; the European service is at https://api.eu.opsgenie.com."""

    SECRETS: ClassVar = frozenset({"api_key"})
    api_key: Token
    api_url: WebUrl = "https://api.opsgenie.com"


def request(message: Message, config: OpsgenieConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    alias = message.incident
    if len(alias) > ALIAS_CHARS_MAX:
        alias = hashlib.sha256(alias.encode()).hexdigest()
    url = f"{config.api_url.rstrip('/')}/v2/alerts"
    headers = {"authorization": f"GenieKey {config.api_key}"}
    if message.status == "resolved":
        closing = f"{url}/{quote(alias, safe='')}/close?identifierType=alias"
        return json_request(closing, {"source": "duoscope"}, headers)
    labels = {name: words.cut(words.one_line(value), 200) for name, value in message.common_labels.items()}
    body = {
        "message": words.title(message, MESSAGE_CHARS_MAX),
        "alias": alias,
        "description": words.listed(message, DESCRIPTION_CHARS_MAX, _alert),
        "details": dict([*labels.items()][: words.LABELS_MAX]),
        "priority": _PRIORITIES[message.severity],
        "source": "duoscope",
    }
    return json_request(url, body, headers)


def _alert(alert: Alert, chars: int) -> str:
    lines = [words.heading(alert)]
    if chars:
        lines.append(words.texts(alert, chars))
        lines += [f"{name}: {value}" for name, value in words.facts(alert)]
        lines += [f"{name}: {url}" for name, url in words.links(alert)]
    return "\n".join(line for line in lines if line)
