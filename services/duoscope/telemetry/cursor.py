"""Opaque cursors: the end of a page and the search it belongs to, so that any other search refuses it."""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final, cast

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.times import RANGE_MAX_NS, TimeRange

TEXT_BYTES_MAX: Final = 8192
CURSOR_CHARS_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Whole:
    """A part of a position: an integer from `low` to `high`, both included."""

    low: int
    high: int

    def admits(self, part: object) -> bool:
        """Whether a part is such an integer."""
        return type(part) is int and self.low <= part <= self.high


@dataclass(frozen=True, slots=True)
class Text:
    """A part of a position: a text that a store accepts, matching `pattern`."""

    pattern: str = "(?s:.*)"

    def admits(self, part: object) -> bool:
        """Whether a part is such a text."""
        if not isinstance(part, str) or not re.fullmatch(self.pattern, part):
            return False
        try:
            return len(part.encode()) <= TEXT_BYTES_MAX
        except UnicodeEncodeError:  # half of a surrogate pair
            return False


NANOSECONDS: Final = Whole(0, 2**63 - 1)
UINT64: Final = Whole(0, 2**64 - 1)


def encode(search: tuple[object, ...], position: list[str | int]) -> str | None:
    """Make a cursor for the page after `position` of `search`, whose parts identify it by their text.

    Returns None if the position's texts are too long for a cursor that `decode` would accept.
    """
    if any(isinstance(part, str) and not Text().admits(part) for part in position):
        return None
    content = json.dumps([_fingerprint(search), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def decode(cursor: str, search: tuple[object, ...], parts: tuple[Whole | Text, ...]) -> list[Any]:
    """Decode a cursor into its position, whose parts must match `parts`. Anyone can forge a cursor, so every part is
    checked.

    Raises:
        DuoscopeError: INVALID `invalid-cursor`, for an invalid cursor and for that of another search alike.
    """
    if len(cursor) > CURSOR_CHARS_MAX:
        raise refused()
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise refused() from error
    if not isinstance(content, list):
        raise refused()
    fingerprint, *position = cast("list[Any]", content) or [None]
    if fingerprint != _fingerprint(search) or len(position) != len(parts):
        raise refused()
    if not all(part.admits(value) for part, value in zip(parts, position, strict=True)):
        raise refused()
    return position


def decode_in_range(
    cursor: str, search: tuple[object, ...], parts: tuple[Whole | Text, ...]
) -> tuple[TimeRange, list[Any]]:
    """Decode a cursor into the first page's range, no longer than a request may ask for, and the position: a time in
    it, and `parts`.

    Raises:
        DuoscopeError: INVALID `invalid-cursor`.
    """
    start_ns, end_ns, *position = decode(cursor, search, (NANOSECONDS, NANOSECONDS, NANOSECONDS, *parts))
    if not start_ns <= position[0] < end_ns or end_ns - start_ns > RANGE_MAX_NS:
        raise refused()
    return TimeRange(start_ns, end_ns), position


def _fingerprint(search: tuple[object, ...]) -> str:
    return hashlib.blake2b(repr(search).encode(), digest_size=6).hexdigest()


def refused() -> DuoscopeError:
    """The error for a cursor that no page of this search returned."""
    return invalid(
        "The cursor does not belong to this search. Repeat it unchanged, or leave the cursor out to start again.",
        code="invalid-cursor",
    )
