"""The text of an expression before it is parsed: its limits, its tokens, where its parts begin.

The parser is recursive, and a text with deep nesting would crash the process. So length, nesting and the number of
chained operators are checked here first. The parser also reports no positions: the tokens provide them, for errors and
warnings.
"""

import re
import sys
from dataclasses import dataclass
from typing import Final

from duoscope.kernel.limits import PROMQL_CHAINED_MAX, PROMQL_NESTING_MAX, QUERY_TEXT_CHARS_MAX
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.labels import RAW_BYTE

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
  | (?P<number>0[xX][0-9a-fA-F_]+|(?:\d+(?:ms|[smhdwy]))+(?![\w.])|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[^\W\d][\w:.]*|:[\w:]+)
  | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^<>=@,:])
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
    """,
    re.VERBOSE,
)
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_WORD_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2"})
_GROUPING: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_FILLS: Final = frozenset({"fill", "fill_left", "fill_right"})
_OPERAND_AFTER: Final = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">=", "<=", "<", ">", ",", "(", "bool"})
AGGREGATIONS: Final = frozenset(
    {
        "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile",
        "limitk", "limit_ratio",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A word, sign or literal, and its position."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The character after it."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a part of the expression: `paren`, `call`, `selector`, `number`, `string` or `unary`."""

    kind: str
    start: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """A text that is safe to parse.

    Attributes:
        text: as the parser takes it, with strings written plainly.
        tokens: of the text as it was written.
        heads: of its parts, in order.
        moments: the numbers after each `@`, in order; None for `start()` and `end()`.
    """

    text: str
    tokens: tuple[Token, ...]
    heads: tuple[Head, ...]
    moments: tuple[float | None, ...]


def scan(text: str) -> Scanned:
    """Check a text's limits and scan it.

    Raises:
        ExpressionError: it is too long or too deep, or has an invalid character or bracket.
    """
    if len(text) > QUERY_TEXT_CHARS_MAX:
        raise ExpressionError(f"the expression has {len(text)} characters; {QUERY_TEXT_CHARS_MAX} are the most")
    tokens = _tokens(text)
    _bound(text, tokens)
    rewritten = "".join(_plain(token) for token in tokens)
    words = tuple(token for token in tokens if token.kind != "space")
    return Scanned(rewritten, words, _heads(words), _moments(words))


def place(text: str, position: int) -> str:
    """Line and column of a character, as Prometheus writes them."""
    before = text[:position]
    return f"{before.count(chr(10)) + 1}:{position - (before.rfind(chr(10)) + 1) + 1}"


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or not match.group():
            what = "unterminated quoted string" if text[position] in "\"'`" else "unexpected character"
            shown = "" if text[position] in "\"'`" else f": {text[position]!r}"
            if text[position] == "!":
                what, shown = "unexpected character after '!'", ""
            raise _at(text, position, what + shown)
        found.append(Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    return found


def _bound(text: str, tokens: list[Token]) -> None:
    depth: list[Token] = []
    chained = 0
    for token in tokens:
        if token.kind == "open":
            depth.append(token)
            if len(depth) > PROMQL_NESTING_MAX:
                raise _at(text, token.start, f"more than {PROMQL_NESTING_MAX} brackets within each other")
        elif token.kind == "close":
            if not depth:
                raise _at(text, token.start, f"unexpected right bracket {token.text!r}")
            opened = depth.pop()
            if opened.text != _PAIRS[token.text]:
                raise _at(text, token.start, f"{token.text!r} closes {opened.text!r}")
        elif (token.kind == "operator" and token.text not in "=,:@") or token.text.lower() in _WORD_OPERATORS:
            chained += 1
            if chained > PROMQL_CHAINED_MAX:
                raise _at(text, token.start, f"more than {PROMQL_CHAINED_MAX} operators")
    if depth:
        raise _at(text, depth[-1].start, f"{depth[-1].text!r} is never closed")


def _at(text: str, position: int, what: str) -> ExpressionError:
    return ExpressionError(f"{place(text, position)}: parse error: {what}", position=position)


def _plain(token: Token) -> str:
    # The parser would look for escapes in a raw string too.
    if token.kind != "string" or "\\" not in token.text:
        return token.text
    return _quoted(decoded(token.text))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


_ESCAPE: Final = re.compile(rb"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_SIMPLE: Final = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11}


def decoded(literal: str) -> str:
    """The text of a string literal, by Go's rules; bytes that are not UTF-8 become characters from RAW_BYTE on."""
    inner = literal[1:-1]
    if literal[0] == "`":
        return inner
    raw = _ESCAPE.sub(_escaped, inner.encode())
    return "".join(
        chr(RAW_BYTE + ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c
        for c in raw.decode("utf-8", "surrogateescape")
    )


def _escaped(match: re.Match[bytes]) -> bytes:
    simple, byte, octal, short, long = match.groups()
    if simple is not None:
        return bytes([_SIMPLE.get(simple, simple[0])])
    if byte is not None:
        return bytes([int(byte, 16)])
    if octal is not None:
        return bytes([int(octal, 8) & 0xFF])
    code = int(short or long, 16)
    return chr(code).encode("utf-8", "replace") if code <= sys.maxunicode else b"\xef\xbf\xbd"


def shown(text: str) -> str:
    """A text in quotes as Go prints it, with raw bytes as escapes."""
    return '"' + "".join(f"\\x{ord(c) - RAW_BYTE:02x}" if ord(c) >= RAW_BYTE else c for c in text) + '"'


def _heads(tokens: tuple[Token, ...]) -> tuple[Head, ...]:  # noqa: C901, PLR0912 - a branch for each kind of token
    heads: list[Head] = []
    skip_until: list[str] = []  # closing brackets of what holds no expressions
    number = 0
    while number < len(tokens):
        token = tokens[number]
        before = tokens[number - 1].text if number else "("
        after = tokens[number + 1].text if number + 1 < len(tokens) else ""
        word = token.text.lower()
        if skip_until:
            if token.text in "[{(":
                skip_until.append({"[": "]", "{": "}", "(": ")"}[token.text])
            elif token.text == skip_until[-1]:
                skip_until.pop()
        elif word in _GROUPING | _FILLS and after == "(" and token.kind == "name":
            skip_until.append(")")
            number += 1
        elif token.text == "[":
            skip_until.append("]")
        elif token.text == "{":
            heads.append(Head("selector", token.start))
            skip_until.append("}")
        elif word == "offset" or token.text == "@":
            number += 1 + (after in ("-", "+"))
            if number + 2 < len(tokens) and tokens[number + 1].text == "(":
                number += 2
        elif token.text == "(":
            heads.append(Head("paren", token.start))
        elif token.kind == "name" and word not in _WORD_OPERATORS and word not in _GROUPING and word != "bool":
            if word in ("inf", "nan"):
                heads.append(Head("number", token.start))
            elif after == "(" or (word in AGGREGATIONS and after.lower() in ("by", "without")):
                heads.append(Head("call", token.start))
                if after == "(":
                    number += 1  # its own bracket is no parenthesis
                elif number + 2 < len(tokens):
                    number = _past_grouping(tokens, number + 2)
            else:
                heads.append(Head("selector", token.start))
                if after == "{":
                    skip_until.append("}")
                    number += 1
        elif token.kind in ("number", "string"):
            heads.append(Head(token.kind, token.start))
        elif token.text in "+-" and (before in _OPERAND_AFTER or before.lower() in _WORD_OPERATORS):
            heads.append(Head("unary", token.start))
        number += 1
    return tuple(heads)


def _past_grouping(tokens: tuple[Token, ...], number: int) -> int:
    """The number of the second opening bracket in `sum by (…) (`."""
    while number < len(tokens) and tokens[number].text != ")":
        number += 1
    return number + 1


def _moments(tokens: tuple[Token, ...]) -> tuple[float | None, ...]:
    found: list[float | None] = []
    for number, token in enumerate(tokens):
        if token.text != "@" or token.kind != "operator" or number + 1 >= len(tokens):
            continue
        sign = 1.0
        number += 1  # noqa: PLW2901 - the sign is part of the number
        while tokens[number].text in ("-", "+") and number + 1 < len(tokens):
            sign = -sign if tokens[number].text == "-" else sign
            number += 1  # noqa: PLW2901
        found.append(_number(tokens[number].text, sign))
    return tuple(found)


def _number(text: str, sign: float) -> float | None:
    try:
        return sign * (float(int(text, 16)) if text[:2].lower() == "0x" else float(text))
    except ValueError:
        return None
