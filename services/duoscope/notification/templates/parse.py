"""Reads a template into its tree, and says at which line and column it is wrong."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from duoscope.notification.templates import tree
from duoscope.notification.templates.errors import TemplateError
from duoscope.notification.templates.lexer import Piece, Token, pieces

TEXT_CHARS_MAX: Final = 32_768
NESTING_MAX: Final = 32
"""Of blocks and parentheses together."""
NUMBER_CHARS_MAX: Final = 18
"""An integer of so many digits is one of 64 bits."""

_UNSUPPORTED: Final = {"define", "template", "block"}
_FOLLOW_ELSE: Final = {"if": ("if", "with"), "with": ("with",), "range": ()}
_REFUSALS: Final = {
    "number": "the number {} has too many digits",
    "variable": "there is no variable {}",
    "word": "there is no function {}",
}
_CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "nil": None}
_ESCAPE: Final = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|)")
_ESCAPES: Final = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read: its text and its parts."""

    text: str
    nodes: tuple[tree.Node, ...]


def parse(text: str, *, functions: Collection[str], variables: Collection[str]) -> Template:
    """Read a template.

    Args:
        text: of the template.
        functions: the names that it may call.
        variables: those that it may use without declaring them, with `$`.

    Raises:
        TemplateError: it is malformed, calls or uses what there is not, or is beyond TEXT_CHARS_MAX or NESTING_MAX.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise TemplateError(f"a template has at most {TEXT_CHARS_MAX} characters", text, TEXT_CHARS_MAX)
    return Template(text, _Parser(text, functions, variables).template())


class _Parser:
    """Keeps the variables in scope, and how deep it is."""

    def __init__(self, text: str, functions: Collection[str], variables: Collection[str]) -> None:
        self._text = text
        self._functions = functions
        self._variables = ["$", *variables]
        self._pieces: Iterator[Piece] = pieces(text)
        self._depth = 0
        self._loops = 0

    def template(self) -> tuple[tree.Node, ...]:
        nodes, end = self._list()
        if end is not None:
            raise self._wrong(f"unexpected {{{{{end.head()}}}}}", end.first)
        return nodes

    def _wrong(self, what: str, token: Token) -> TemplateError:
        return TemplateError(what, self._text, token.at)

    def _list(self) -> tuple[tuple[tree.Node, ...], "_Action | None"]:
        """The nodes up to `end` or `else`, which is returned, or up to the end of the text."""
        nodes: list[tree.Node] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                nodes.append(tree.Text(piece))
                continue
            action = _Action(piece)
            match action.head():
                case "end" | "else":
                    return tuple(nodes), action
                case "if" | "with" | "range":
                    nodes.append(self._block(action))
                case "break" | "continue":
                    if not self._loops:
                        raise self._wrong(f"{action.head()} outside of range", action.first)
                    nodes.append(tree.Jump(action.take().text))
                    self._close(action)
                case head if head in _UNSUPPORTED:
                    raise self._wrong(f"{head} is not supported", action.first)
                case _:
                    nodes.append(tree.Action(self._pipeline(action, "end")))
        return tuple(nodes), None

    def _block(self, action: "_Action") -> tree.Block:
        keyword = action.take()
        self._enter(keyword)
        declared = len(self._variables)
        pipeline = self._pipeline(action, "end", is_range=keyword.text == "range")
        self._loops += keyword.text == "range"
        body, end = self._list()
        self._loops -= keyword.text == "range"
        otherwise: tuple[tree.Node, ...] = ()
        if end is not None and end.head() == "else":
            end.take()
            if end.head() in _FOLLOW_ELSE[keyword.text]:
                otherwise, end = (self._block(end),), None
                self._leave(declared)
                return tree.Block(keyword.text, pipeline, body, otherwise)
            self._close(end)
            otherwise, end = self._list()
            if end is not None and end.head() == "else":
                raise self._wrong("a second {{else}}", end.first)
        if end is None:
            raise self._wrong(f"{{{{{keyword.text}}}}} has no {{{{end}}}}", keyword)
        end.take()
        self._close(end)
        self._leave(declared)
        return tree.Block(keyword.text, pipeline, body, otherwise)

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise self._wrong(f"nested more than {NESTING_MAX} deep", token)

    def _leave(self, declared: int) -> None:
        self._depth -= 1
        del self._variables[declared:]

    def _close(self, action: "_Action") -> None:
        if action.first.kind != "end":
            raise self._wrong(f"unexpected {action.first.text}", action.first)

    def _pipeline(self, action: "_Action", closing: str, *, is_range: bool = False) -> tree.Pipeline:
        at = action.first.at
        names, declares = self._declaration(action, is_range=is_range)
        commands: list[tuple[tree.Operand, ...]] = []
        while True:
            operands = self._command(action)
            if not operands:
                raise self._wrong("a value or a function is missing here", action.first)
            if commands and not isinstance(operands[0], tree.Function):
                raise TemplateError("only a function can follow |", self._text, operands[0].at)
            if len(operands) > 1 and not isinstance(operands[0], tree.Function):
                raise TemplateError("only a function takes arguments", self._text, operands[1].at)
            commands.append(operands)
            token = action.take()
            if token.text == "|":
                continue
            if closing not in (token.kind, token.text):
                raise self._wrong(f"unexpected {token.text}", token)
            # Known from here on, not in the value that it is given.
            if declares:
                self._variables += names
            return tree.Pipeline(at, names, declares, tuple(commands))

    def _declaration(self, action: "_Action", *, is_range: bool) -> tuple[tuple[str, ...], bool]:
        head = action.tokens[action.next : action.next + 4]
        kinds = [token.text if token.kind == "mark" else token.kind for token in head]
        count = 1
        if is_range and kinds[:3] == ["variable", ",", "variable"]:
            count = 3
        if kinds[:1] != ["variable"] or len(kinds) <= count or kinds[count] not in (":=", "="):
            return (), False
        action.next += count + 1
        names = tuple(token.text for token in head[:count:2])
        declares = kinds[count] == ":="
        for token in head[:count:2]:
            if not declares and token.text not in self._variables:
                raise self._wrong(f"there is no variable {token.text}", token)
        return names, declares

    def _command(self, action: "_Action") -> tuple[tree.Operand, ...]:
        operands: list[tree.Operand] = []
        while (operand := self._operand(action)) is not None:
            operands.append(operand)
        return tuple(operands)

    def _operand(self, action: "_Action") -> tree.Operand | None:
        token = action.first
        if token.kind == "end" or token.text in ("|", ")"):
            return None
        if token.text == "(":
            self._enter(action.take())
            group = tree.Group(token.at, self._pipeline(action, ")"))
            self._depth -= 1
            return self._chain(action, group, action.tokens[action.next - 1].end)
        if token.kind == "field":
            return self._chain(action, tree.Dot(token.at), token.at)
        operand = self._simple(token)
        action.take()
        return self._chain(action, operand, token.end) if token.kind == "variable" else operand

    def _simple(self, token: Token) -> tree.Operand:
        """An operand of one token."""
        match token.kind, token.text:
            case "string", text:
                return tree.Constant(token.at, self._string(token, text))
            case "number", text if len(text) <= NUMBER_CHARS_MAX:
                return tree.Constant(token.at, _number(text))
            case "variable", name if name in self._variables:
                return tree.Variable(token.at, name)
            case "word", name if name in _CONSTANTS:
                return tree.Constant(token.at, _CONSTANTS[name])
            case "word", name if name in self._functions:
                return tree.Function(token.at, name)
            case "mark", ".":
                return tree.Dot(token.at)
            case kind, text:
                raise self._wrong(_REFUSALS.get(kind, "unexpected {}").format(text), token)

    @staticmethod
    def _chain(action: "_Action", operand: tree.Operand, end: int) -> tree.Operand:
        """The fields that follow an operand without a space."""
        names: list[str] = []
        while action.first.kind == "field" and action.first.at == end:
            token = action.take()
            names.append(token.text[1:])
            end = token.end
        return tree.Chain(operand.at, operand, tuple(names)) if names else operand

    def _string(self, token: Token, text: str) -> str:
        if text[0] == "`":
            return text[1:-1].replace("\r", "")

        def escaped(found: re.Match[str]) -> str:
            simple, *codes, octal = found.groups()
            if simple:
                return _ESCAPES[simple]
            code = next((int(each, 16) for each in codes if each), int(octal, 8) if octal else -1)
            if not 0 <= code <= 0x10FFFF or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - Unicode's own bounds
                raise TemplateError("unknown escape in the string", self._text, token.at + 1 + found.start())
            return chr(code)

        return _ESCAPE.sub(escaped, text[1:-1])


class _Action:
    """The tokens of an action, and which is next."""

    __slots__ = ("next", "tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.next = 0

    @property
    def first(self) -> Token:
        return self.tokens[self.next]

    def head(self) -> str:
        """The word that it begins with, or ""."""
        return self.first.text if self.first.kind == "word" else ""

    def take(self) -> Token:
        token = self.first
        self.next = min(self.next + 1, len(self.tokens) - 1)
        return token


def _number(text: str) -> int | float:
    if any(each in text for each in ".eE") and "x" not in text.lower():
        return float(text)
    return int(text, 16 if "x" in text.lower() else 10)
