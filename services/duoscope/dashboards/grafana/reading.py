"""Parts of JSON from strangers: each of the type that is asked for, or empty."""

import math
from collections.abc import Iterator
from typing import Any, Final, cast

Json = dict[str, Any]
_TEXT_CHARS_MAX: Final = 50_000


def obj(value: object) -> Json:
    """The value, if it is an object; else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def arr(value: object) -> list[Any]:
    """The value, if it is a list; else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def objects(value: object) -> Iterator[tuple[int, Json]]:
    """The objects of a list, each with its index."""
    for number, each in enumerate(arr(value)):
        if isinstance(each, dict):
            yield number, cast("Json", each)


def text(value: object, chars_max: int = _TEXT_CHARS_MAX) -> str:
    """The value, if it is a text or a number, without NULs and not too long; else an empty text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    shown = value if isinstance(value, str) else _printed(value)
    return shown.replace("\0", "").encode("utf-8", "replace").decode()[:chars_max]


def _printed(value: float) -> str:
    try:
        return f"{value:.17g}"
    except OverflowError:
        return ""


def number(value: object) -> float | None:
    """The value, if it is a finite number or a text of one; else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and abs(found) <= 1e300 else None  # noqa: PLR2004 - what a Number holds


def whole(value: object, least: int, most: int) -> int | None:
    """The value as a whole number of a range, the nearest if it is outside; None if it is no number."""
    found = number(value)
    return None if found is None else int(min(max(found, least), most))
