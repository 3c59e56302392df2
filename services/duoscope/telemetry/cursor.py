"""Opaque cursors: where a page ended, and of which search, so that a cursor is refused by any other."""

import base64
import binascii
import hashlib
import json
from typing import Any, cast

from duoscope.kernel.errors import DuoscopeError, invalid


def encode(search: tuple[object, ...], position: list[str | int]) -> str:
    """A cursor for the page after `position` of `search`, whose parts identify it by their text."""
    content = json.dumps([_fingerprint(search), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def decode(cursor: str, search: tuple[object, ...], types: tuple[type[str] | type[int], ...]) -> list[Any]:
    """The position, whose parts are of `types`.

    Raises:
        DuoscopeError: INVALID `invalid-cursor`, the same for what is no cursor and for that of another search.
    """
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _refused() from error
    if not isinstance(content, list):
        raise _refused()
    fingerprint, *position = cast("list[Any]", content) or [None]
    if fingerprint != _fingerprint(search) or [type(part) for part in position] != list(types):
        raise _refused()
    if any(isinstance(part, int) and not -(2**63) <= part < 2**64 for part in position):
        raise _refused()
    return position


def _fingerprint(search: tuple[object, ...]) -> str:
    return hashlib.blake2b(repr(search).encode(), digest_size=6).hexdigest()


def _refused() -> DuoscopeError:
    return invalid(
        "The cursor does not belong to this search. Repeat it unchanged, or leave the cursor out to start again.",
        code="invalid-cursor",
    )
