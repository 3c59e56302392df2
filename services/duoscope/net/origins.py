"""Origins of web pages (RFC 6454): how they are written in settings, and how browsers send them.

A browser writes an origin in one way only: scheme and host in lower case, no default port, an international name in its
`xn--` form. `parse_origin` brings what a person writes into that form, so that a comparison of texts decides.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from duoscope.net.urls import parse_url

ANY: Final = "*"
"""Stands for every origin, `null` included, which is what sandboxed pages and local files send."""
ORIGIN_CHARS_MAX: Final = 300

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SENT: Final = re.compile(rf"(?=.{{1,{ORIGIN_CHARS_MAX}}}$)(null|[a-z][a-z0-9+.-]*://[!-+\--~]+)", re.ASCII)
"""What may be sent back in a header: a single origin, without spaces and commas."""


def parse_origin(text: str) -> str:
    """The origin in the form in which browsers send it, or ANY.

    Raises:
        ValueError: says what is wrong with the text.
    """
    text = text.strip()
    if text == ANY:
        return ANY
    if ANY in text:
        raise ValueError(f"{ANY} stands for every origin, alone; parts of a name have no wildcard: name each origin")
    if text.lower() == "null":
        raise ValueError(f"many unrelated pages send null; only {ANY} takes them")
    found = _SCHEME.match(text)
    if len(text) > ORIGIN_CHARS_MAX or found is None:
        raise ValueError(f"it begins with a scheme such as https:// and takes up to {ORIGIN_CHARS_MAX} characters")
    scheme = found[1].lower()
    url = parse_url(text, (scheme,))
    host = f"[{ipaddress.IPv6Address(url.host).compressed}]" if ":" in url.host else url.host
    port = "" if url.port in (None, _DEFAULT_PORTS.get(scheme)) else f":{url.port}"
    origin = f"{scheme}://{host}{port}"
    if url.path or url.query or "?" in text or url.has_fragment:
        raise ValueError(f"it ends after host and port, without a path: {origin}")
    return origin


def parse_origins(texts: Collection[str]) -> tuple[str, ...]:
    """Parse origins. Returns them sorted, without repetition.

    Raises:
        ValueError: names the text that is none, and says why; or ANY stands beside others.
    """
    found: set[str] = set()
    for text in texts:
        try:
            found.add(parse_origin(text))
        except ValueError as error:
            raise ValueError(f"{text[:60]!r} is not an origin: {error}") from None
    if ANY in found and len(found) > 1:
        raise ValueError(f"{ANY} stands for every origin, alone: leave out the others, or {ANY}")
    return tuple(sorted(found))


def is_among(origin: str, allowed: Collection[str]) -> bool:
    """Whether pages of an origin, as a browser sent it, are meant by `allowed`. False for what no browser sends."""
    if ANY in allowed:
        return _SENT.fullmatch(origin) is not None
    return origin in allowed
