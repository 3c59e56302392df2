"""Opaque cursors: where a page ended, and of which search, so that a cursor is refused by any other."""

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
    """A part that is a whole number from `low` to `high`, both included."""

    low: int
    high: int

    def admits(self, part: object) -> bool:
        """Whether a part is such a number."""
        return type(part) is int and self.low <= part <= self.high


@dataclass(frozen=True, slots=True)
class Text:
    """A part that is a text which a store takes, of the form of `pattern`."""

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
    """A cursor for the page after `position` of `search`, whose parts identify it by their text.

    None where the position's texts are too long for a cursor that `decode` would take.
    """
    if any(isinstance(part, str) and not Text().admits(part) for part in position):
        return None
    content = json.dumps([_fingerprint(search), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def decode(cursor: str, search: tuple[object, ...], parts: tuple[Whole | Text, ...]) -> list[Any]:
    """The position, whose parts are as `parts` say. Anyone can make up a cursor, so nothing in it is believed.

    Raises:
        DuoscopeError: INVALID `invalid-cursor`, the same for what is no cursor and for that of another search.
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
    """The first page's range, which is no longer than a request may ask for, and the position: a time in it, `parts`.

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
    """What is said to a cursor that no page of this search gave."""
    return invalid(
        "The cursor does not belong to this search. Repeat it unchanged, or leave the cursor out to start again.",
        code="invalid-cursor",
    )
