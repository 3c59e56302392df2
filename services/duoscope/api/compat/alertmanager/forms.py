"""Alertmanager's form of alerts, silences and matchers, and of the matchers in the parameter `filter`."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from duoscope.api.api_key_auth import FOR_KEYS
from duoscope.kernel.errors import invalid
from duoscope.metadata.silences import Matcher, Operator, Silence
from duoscope.notification.silencing import MATCHERS_MAX, check_expressions

ROOT: Final = "/api/v1/alertmanager/api/v2"
"""The base path is `/api/v1/alertmanager`, to which clients append the rest."""
KEYS: Final = {"opt": FOR_KEYS}
_MATCHER: Final = re.compile(r"([^=!~\"\s]++|\"(?:[^\"\\]|\\.)*+\")\s*+(=~|!~|!=|=)\s*+(.*)", re.DOTALL)
FILTERS_MAX: Final = 20
FILTER_CHARS_MAX: Final = 2000

_Text = Annotated[str, Meta(max_length=10_000, pattern=r"^[^\x00]*$")]
_Texts = Annotated[dict[_Text, _Text], Meta(max_length=64)]
_At = Annotated[datetime, Meta(tz=True)]


_NAMES: Final = {
    "starts_at": "startsAt",
    "ends_at": "endsAt",
    "updated_at": "updatedAt",
    "generator_url": "generatorURL",
}


class AmMatcher(Struct, frozen=True, rename="camel"):
    """A condition on one label."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["alertname"])]
    value: Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*$", examples=["HighErrors"])]
    is_regex: bool
    is_equal: bool = True


class PostableAlert(Struct, frozen=True, rename=_NAMES):
    """An alert that somebody posts. Without `endsAt` it ends after five minutes, unless it is posted again."""

    labels: Annotated[dict[_Text, _Text], Meta(min_length=1, max_length=64, examples=[{"alertname": "DiskFull"}])]
    annotations: _Texts = {}
    starts_at: _At | None = None
    ends_at: _At | None = None
    generator_url: _Text = ""


class AmReceiver(Struct, frozen=True):
    """A notification group."""

    name: str


class AlertStatus(Struct, frozen=True, rename="camel"):
    """Whether somebody is told of an alert, and what holds it back if not."""

    state: Annotated[str, Meta(examples=["active", "suppressed"])]
    silenced_by: list[str]
    inhibited_by: list[str]
    muted_by: Annotated[list[str], Meta(description="Maintenance windows.")]


class GettableAlert(Struct, frozen=True, rename=_NAMES):
    """An alert that fires."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    updated_at: datetime
    ends_at: datetime
    generator_url: str
    fingerprint: str
    receivers: list[AmReceiver]
    status: AlertStatus


class AlertGroup(Struct, frozen=True):
    """The alerts that are told together to a notification group."""

    labels: dict[str, str]
    receiver: AmReceiver
    alerts: list[GettableAlert]


class SilenceStatus(Struct, frozen=True):
    """The state of a silence."""

    state: Annotated[str, Meta(examples=["active", "pending", "expired"])]


class GettableSilence(Struct, frozen=True, rename="camel"):
    """A silence."""

    id: str
    status: SilenceStatus
    updated_at: datetime
    matchers: list[AmMatcher]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str


class PostableSilence(Struct, frozen=True, rename="camel"):
    """A silence to be made, or changed if `id` names one. Who made it is who asks, whatever `createdBy` says."""

    matchers: Annotated[list[AmMatcher], Meta(min_length=1, max_length=MATCHERS_MAX)]
    starts_at: _At
    ends_at: _At
    created_by: _Text = ""
    comment: Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    id: Annotated[str, Meta(max_length=64)] | None = None


class SilenceId(Struct, frozen=True, rename={"silence_id": "silenceID"}):
    """The id of a silence that was made or changed."""

    silence_id: str


def shown(silence: Silence) -> GettableSilence:
    """A silence in Alertmanager's form."""
    return GettableSilence(
        id=str(silence.silence_id),
        status=SilenceStatus(silence.state),
        updated_at=silence.updated_at,
        matchers=[
            AmMatcher(each.name, each.value, each.operator.endswith("~"), not each.operator.startswith("!"))
            for each in silence.matchers
        ],
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        created_by=silence.created_by_email,
        comment=silence.comment,
    )


def ours(matchers: Sequence[AmMatcher]) -> list[Matcher]:
    """Our form of matchers."""
    operators: Mapping[tuple[bool, bool], Operator] = {
        (False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~",
    }  # fmt: skip
    return [Matcher(each.name, operators[each.is_regex, each.is_equal], each.value) for each in matchers]


def filters(texts: Sequence[str]) -> list[Matcher]:
    """The matchers of `filter`, such as `service=~"a|b"`. Raises INVALID."""
    if len(texts) > FILTERS_MAX:
        raise invalid(f"filter: at most {FILTERS_MAX}.")
    found: list[Matcher] = []
    for text in texts:
        match = _MATCHER.fullmatch(text.strip()) if len(text) <= FILTER_CHARS_MAX else None
        if match is None:
            raise invalid(f'filter: {text[:100]!r} is no matcher such as service=~"a|b".')
        name, operator, value = match.groups()
        found.append(Matcher(_unquoted(name), operator, _unquoted(value)))  # pyright: ignore[reportArgumentType]
    check_expressions(found, "filter")
    return found


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise invalid(f"filter: {text[:100]} is not a text in quotes.") from error
    if not isinstance(value, str):
        raise invalid(f"filter: {text[:100]} is not a text in quotes.")
    return value
