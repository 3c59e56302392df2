"""Cuts a template into text and actions, and actions into tokens (Go text/template)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from duoscope.notification.templates.errors import TemplateError

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
    |(?P<field>\.[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|[=|(),.])""",
    re.VERBOSE,
)
_COMMENT: Final = re.compile(r"\{\{(?:-[ \t\r\n]+)?/\*.*?\*/(?P<trims>[ \t\r\n]+-)?\}\}", re.DOTALL)
_TRIMS: Final = re.compile(r"\{\{-(?=[ \t\r\n])")
_SPACE: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an action. `kind` is `string`, `number`, `field`, `variable`, `word`, `mark`, or `end` for `}}`."""

    kind: str
    text: str
    at: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.at + len(self.text)


Piece = str | list[Token]
"""Text, or the tokens of an action, which end with one of kind `end`."""


def pieces(text: str) -> Iterator[Piece]:
    """Cut a template. Raises TemplateError for an action that is not closed, or a character that has no meaning."""
    at, trims_next = 0, False
    while True:
        opening = text.find("{{", at)
        literal = text[at:] if opening < 0 else text[at:opening]
        if trims_next:
            literal = literal.lstrip(_SPACE)
        if opening < 0:
            if literal:
                yield literal
            return
        trims_before = _TRIMS.match(text, opening) is not None
        if trims_before:
            literal = literal.rstrip(_SPACE)
        if literal:
            yield literal
        comment = _COMMENT.match(text, opening)
        if comment is not None:
            at, trims_next = comment.end(), comment["trims"] is not None
            continue
        inside = opening + (3 if trims_before else 2)
        if text.startswith("/*", inside):
            raise TemplateError("the comment is not closed with */}}", text, opening)
        tokens, at, trims_next = _action(text, opening, inside)
        yield tokens


def _action(text: str, opening: int, at: int) -> tuple[list[Token], int, bool]:
    tokens: list[Token] = []
    while True:
        if text.startswith("}}", at):
            return [*tokens, Token("end", "}}", at)], at + 2, False
        if text.startswith("-}}", at) and text[at - 1] in _SPACE:
            return [*tokens, Token("end", "-}}", at)], at + 3, True
        if at >= len(text) or text.startswith("{{", at):
            raise TemplateError("the action is not closed with }}", text, opening)
        found = _TOKEN.match(text, at)
        if found is None:
            what = "the string is not closed" if text[at] in '"`' else f"unexpected {text[at]!r}"
            raise TemplateError(what, text, at)
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found[0], at))
        at = found.end()
