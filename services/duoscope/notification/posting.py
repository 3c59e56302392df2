"""One attempt at a message: the request of its channel through the guarded client, and what its answer means."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

import msgspec

from duoscope.kernel import clock
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.metadata.notification_channels import NotificationChannel
from duoscope.net.outbound import TIMEOUT_S, Outbound
from duoscope.notification.channels import CHANNELS, ChannelType, words
from duoscope.notification.channels.requests import Config
from duoscope.notification.messages import Message

ANSWER_CHARS_MAX: Final = 500
RETRY_AFTER_MAX_S: Final = 6 * 3600.0
_BEGINS_SUCCESS: Final = 200
_ENDS_SUCCESS: Final = 300
_BEGINS_TROUBLE: Final = 500
_GONE: Final = 410
_LATER: Final = frozenset({408, 425, 429})


class Verdict(Enum):
    """The meaning of an answer."""

    SENT = "sent"
    LATER = "later"
    """Neither the message nor the channel is at fault: the same request may succeed later."""
    REFUSED = "refused"
    """The other side will never take this message."""
    GONE = "gone"
    """The other side will never take any message."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of the other side to an attempt.

    Attributes:
        status: of HTTP; None if no answer came, or for mail.
        answer: the beginning of its body, or why there is none.
        verdict: what that means.
        retry_after_s: when it wants to be asked again, if it said so.
    """

    status: int | None
    answer: str
    verdict: Verdict = Verdict.SENT
    retry_after_s: float | None = None


async def post(outbound: Outbound, channel: NotificationChannel, config: Config, message: Message) -> Outcome:
    """Send a message to a channel that takes HTTP requests, once."""
    make = CHANNELS[msgspec.convert(channel.channel_type, ChannelType)].request
    assert make is not None
    now = clock.now()
    request = make(message, config, now)
    try:
        answer = await outbound.request(
            "POST", request.url, headers=request.headers, content=request.body, share=channel.channel_id
        )
    except DuoscopeError as error:
        return _unanswered(error)
    text = words.cut(words.clean(answer.body[: 4 * ANSWER_CHARS_MAX].decode("utf-8", "replace")), ANSWER_CHARS_MAX)
    return Outcome(
        answer.status, text, _verdict(answer.status), retry_after(answer.headers.get("retry-after", ""), now)
    )


def _verdict(status: int) -> Verdict:
    if _BEGINS_SUCCESS <= status < _ENDS_SUCCESS:
        return Verdict.SENT
    if status == _GONE:
        return Verdict.GONE
    return Verdict.LATER if status in _LATER or status >= _BEGINS_TROUBLE else Verdict.REFUSED


def _unanswered(error: DuoscopeError) -> Outcome:
    """Say why no answer came. The details of the error name the address, which may be a secret."""
    if error.kind is ErrorKind.INVALID:
        return Outcome(None, error.message, Verdict.REFUSED)
    cause = error.__cause__
    if isinstance(cause, TimeoutError) or (cause is not None and "Timeout" in type(cause).__name__):
        return Outcome(None, f"It did not answer within {TIMEOUT_S:g} s.", Verdict.LATER)
    why = type(cause).__name__ if cause is not None else "too large, or too many at once"
    return Outcome(None, f"It did not answer: {why}.", Verdict.LATER)


def retry_after(text: str, now: datetime) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds from now, at most RETRY_AFTER_MAX_S; None for anything else."""
    try:
        seconds = float(text) if text[:1].isdigit() else (_date(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if math.isfinite(seconds) else None


def _date(text: str) -> datetime:
    at = parsedate_to_datetime(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
