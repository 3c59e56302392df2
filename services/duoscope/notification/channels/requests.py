"""What channels make of a message: an HTTP request; and the types that their configurations share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from duoscope.net.urls import URL_CHARS_MAX, parse_url

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that is a POST. Address and headers may hold secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def json_request(url: str, body: Any, headers: Mapping[str, str] | None = None) -> Request:
    """Make a request of a JSON body."""
    return Request(url, {"content-type": JSON, **(headers or {})}, msgspec.json.encode(body))


class Config(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The configuration of a channel. The members that `SECRETS` names are sealed and never answered."""

    SECRETS: ClassVar[frozenset[str]] = frozenset()

    def urls(self) -> tuple[str, ...]:
        """The addresses that it names, which must be those of web servers."""
        url = getattr(self, "url", None) or getattr(self, "api_url", None)
        return (url,) if isinstance(url, str) else ()

    def target(self) -> str:
        """Say where its messages go, without secrets: for people who look at a list."""
        return urlsplit(self.urls()[0]).netloc


def check_urls(config: Config) -> None:
    """Raise ValueError for an address that is none of a web server. It is checked again when it is connected to."""
    for url in config.urls():
        parse_url(url)


Text = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A name or key on one line."""
Token = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]
"""A secret that goes into a header, an address or a body."""
WebUrl = Annotated[str, Meta(max_length=URL_CHARS_MAX, pattern=r"^https?://")]
