"""Regular expressions of a query: RE2, as ClickHouse has it, and where in one a mistake is.

RE2 takes time linear in the text for every expression. What passes here ClickHouse compiles, too: it has more memory.
"""

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any, Final, cast

import re2

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = True
_OPTIONS.max_mem = 1024 * 1024
_PLACES_MAX: Final = 64
"""Places of the part that RE2 complains about which are tried."""
_PIECES: Final = re.compile(r"\\(?s:.)|\[\^?\]?(?:\\(?s:.)|\[:|[^\]\\])*\]?|[()]")
"""What matters for which parenthesis closes which: escapes and classes of characters hide some."""


@functools.lru_cache(maxsize=1024)
def mistake(expression: str) -> tuple[int, str] | None:
    """Find what is wrong with an expression: the offset of the character, and why. Returns None if it is right."""
    told = _told(expression)
    if told is None:
        return None
    what, _, part = told.partition(": ")
    match what:
        case "missing )" | "unexpected )":
            return _parenthesis(expression, closes=what.startswith("unexpected")), what
        case "trailing \\":
            return len(expression) - 1, what
        case _:
            return _place(expression, told, part), told


def _told(expression: str) -> str | None:
    try:
        cast("Any", re2).compile(expression, _OPTIONS)
    except cast("type[Exception]", re2.error) as error:
        told: object = error.args[0] if error.args else "it is not valid"
        return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    return None


def _place(expression: str, told: str, part: str) -> int:
    """The first place of the part up to which the expression has the same mistake."""
    places = list(itertools.islice(_places(expression, part), _PLACES_MAX)) if part else []
    for place in places:
        if _told(expression[: place + len(part)]) == told:
            return place
    return places[-1] if places else 0


def _places(expression: str, part: str) -> Iterator[int]:
    at = expression.find(part)
    while at >= 0:
        yield at
        at = expression.find(part, at + 1)


def _parenthesis(expression: str, *, closes: bool) -> int:
    open_at: list[int] = []
    for piece in _PIECES.finditer(expression):
        if piece.group() == "(":
            open_at.append(piece.start())
        elif piece.group() == ")":
            if not open_at:
                return piece.start() if closes else 0
            open_at.pop()
    return open_at[-1] if open_at else 0
