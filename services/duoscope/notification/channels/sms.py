"""Short messages, by Twilio (https://www.twilio.com/docs/messaging/api/message-resource)."""

import base64
from datetime import datetime
from typing import Annotated, ClassVar, Final
from urllib.parse import urlencode

from msgspec import Meta

from duoscope.notification.channels import words
from duoscope.notification.channels.requests import Config, Request, Token, WebUrl
from duoscope.notification.messages import Alert, Message

TEXT_CHARS_MAX: Final = 480
"""Twilio takes 1,600, and each 153 of them (67 with other characters than GSM's) cost a message."""

Phone = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{4,14}$", examples=["+4915112345678"])]


class SmsConfig(Config, frozen=True):
    """The account at Twilio, and one number that gets the messages."""

    SECRETS: ClassVar = frozenset({"auth_token"})
    account_sid: Annotated[str, Meta(pattern=r"^AC[0-9a-fA-F]{32}$")]
    auth_token: Token
    from_number: Annotated[str, Meta(pattern=r"^(\+[1-9][0-9]{4,14}|MG[0-9a-fA-F]{32}|[A-Za-z0-9 ]{1,11})$")]
    to_number: Phone
    api_url: WebUrl = "https://api.twilio.com"

    def target(self) -> str:
        """The number."""
        return self.to_number


def request(message: Message, config: SmsConfig, now: datetime) -> Request:
    """Make the request."""
    del now
    title = words.title(message, TEXT_CHARS_MAX // 3)
    text = title
    if len(message.alerts) + message.omitted > 1:
        text = f"{title}\n{words.listed(message, TEXT_CHARS_MAX - len(title) - 1, _alert, separator=chr(10))}"
    sender = "MessagingServiceSid" if config.from_number.startswith("MG") else "From"
    body = urlencode({"To": config.to_number, sender: config.from_number, "Body": text})
    credentials = base64.b64encode(f"{config.account_sid}:{config.auth_token}".encode()).decode()
    return Request(
        f"{config.api_url.rstrip('/')}/2010-04-01/Accounts/{config.account_sid}/Messages.json",
        {"content-type": "application/x-www-form-urlencoded", "authorization": f"Basic {credentials}"},
        body.encode(),
    )


def _alert(alert: Alert, chars: int) -> str:
    text = words.one_line(alert.annotations.get("summary", ""))
    return words.cut(text or words.heading(alert), min(chars, 100) or 40)
