"""What counts as the address of a web server, wherever one is accepted: from users, providers and settings.

RFC 3986 allows ASCII only, and so does this module: an international name is written in its `xn--` form. Resolvers and
HTTP clients differ in how they read letters and digits of other scripts that resemble ASCII, and so may disagree with
the code that checked the address.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

URL_CHARS_MAX: Final = 2048
_PORT_MAX: Final = 65535
_PLAIN: Final = re.compile(r"[!#-;=?-\[\]_a-z~]+", re.ASCII | re.IGNORECASE)
"""Printable ASCII without what RFC 3986 excludes: space, quotes, angle brackets, backslash, caret, braces."""
_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Url:
    """A checked address. `netloc` is host and port as they were written; `host` has no brackets."""

    scheme: str
    netloc: str
    host: str
    port: int | None
    path: str
    query: str
    has_fragment: bool


def parse_url(text: str, schemes: Collection[str] = ("https", "http")) -> Url:
    """Parse an absolute address with a host.

    Raises:
        ValueError: says what is wrong with the text, without repeating it.
    """
    if len(text) > URL_CHARS_MAX or not _PLAIN.fullmatch(text):
        raise ValueError(f"it takes up to {URL_CHARS_MAX} characters of ASCII; write other names in their xn-- form")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("it is no address such as https://host/path") from None
    if parts.scheme not in schemes:
        raise ValueError(f"it begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if "@" in parts.netloc:
        raise ValueError("it takes no name and password")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"a port is a number from 1 to {_PORT_MAX}")
    host = parts.hostname or ""
    if not (_is_ipv6(host) if "[" in parts.netloc else _NAME.fullmatch(host)):
        raise ValueError("it names no host such as login.example.com")
    return Url(parts.scheme, parts.netloc, host, port, parts.path, parts.query, "#" in text)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
