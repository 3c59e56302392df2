"""Security headers of every answer: it loads nothing, runs nothing, is in no frame, and is of its declared type. Our
pages name their one style and one script by their digests.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

Header = tuple[bytes, bytes]

_CLOSED: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_POLICY: Final = b"content-security-policy"
HEADERS: Final[tuple[Header, ...]] = (
    (_POLICY, _CLOSED.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
HTTPS_LASTS: Final[Header] = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
"""For answers to users who connect over https: their browsers do so ever after."""


def page_policy(style: str, script: str | None = None) -> str:
    """The content security policy of a page with this style and script, and nothing from elsewhere."""
    script_source = f"script-src 'sha256-{_digest(script)}'; connect-src 'self'; " if script else ""
    return f"{_CLOSED}; {script_source}style-src 'sha256-{_digest(style)}'"


def secured(headers: Iterable[Header], policy: str | None = None, *, is_https: bool = False) -> list[Header]:
    """Add those of `HEADERS` to an answer that it does not set itself.

    Args:
        headers: as ASGI has them.
        policy: the content security policy of the page at this path, if there is one.
        is_https: whether users connect over https.
    """
    own = list(headers)
    names = {name.lower() for name, _ in own}
    wanted = ((name, policy.encode() if policy and name == _POLICY else value) for name, value in HEADERS)
    own += [HTTPS_LASTS] * is_https
    return [*own, *((name, value) for name, value in wanted if name not in names)]


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
