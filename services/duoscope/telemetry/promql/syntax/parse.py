"""Text to tree, by promql-parser (whose grammar is Prometheus'), with the positions of errors and parts."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, cast

import promql_parser as library

from duoscope.telemetry.promql import patterns
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.syntax import text, tree

NAME: Final = "__name__"
DURATION_S_MAX: Final = 1e11
"""Thousands of years; the parser panics at more than it can count."""
_PREFIXES_TRIED_MAX: Final = 200
_CARDINALITY: Final[dict[str, Any]] = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}
_TYPES: Final[dict[str, Any]] = {"Vector": "vector", "Scalar": "scalar", "Matrix": "matrix", "String": "string"}
_MATCH: Final[dict[str, Any]] = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_KINDS_OF_HEADS: Final = {
    "NumberLiteral": "number",
    "StringLiteral": "string",
    "VectorSelector": "selector",
    "ParenExpr": "paren",
    "UnaryExpr": "unary",
    "Call": "call",
    "AggregateExpr": "call",
}


def parse(expression: str) -> tree.Node:
    """Parse an expression into its tree.

    Raises:
        ExpressionError: it is invalid; the message begins with line and column.
    """
    scanned = text.scan(expression)
    parsed = _parsed(expression, scanned)
    try:
        return _Converter(scanned).node(parsed)
    except (ValueError, OverflowError) as error:  # of the library's own numbers, as for an offset of a million years
        raise ExpressionError("1:1: parse error: a duration is out of range") from error


def pretty(expression: str) -> str:
    """Format an expression in the layout of Prometheus' formatter.

    Raises:
        ExpressionError: it is invalid.
    """
    return str(_parsed(expression, text.scan(expression)).prettify())


def selector(expression: str) -> tree.Selector:
    """Parse a text that must be a plain selector of series, such as the value of `match[]`.

    Raises:
        ExpressionError: it is invalid.
    """
    found = parse(expression)
    if not isinstance(found, tree.Selector) or found.at or found.offset_ms:
        raise ExpressionError(f"1:1: parse error: {expression[:100]!r} is no selector of series")
    return found


def _parsed(expression: str, scanned: text.Scanned) -> Any:
    _refuse_long_durations(expression, scanned)
    try:
        return library.parse(scanned.text)
    except ValueError as error:
        message = str(error)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        message = "a number is out of range"
    position = _place(message, scanned)
    if message == "invalid promql query":
        found = next((token for token in scanned.tokens if token.start == position), None)
        message = f"unexpected {found.text[:40]!r}" if found else "unexpected end of input"
    raise ExpressionError(f"{text.place(expression, position)}: parse error: {message}", position=position)


def _refuse_long_durations(expression: str, scanned: text.Scanned) -> None:
    for before, token in zip(scanned.tokens, scanned.tokens[1:], strict=False):
        if token.kind != "number" or not (before.text in "[:-+@" or before.text.lower() == "offset"):
            continue
        plain = re.fullmatch(r"[\d._]+(?:[eE][+-]?\d+)?", token.text)
        if plain and abs(float(token.text.replace("_", ""))) > DURATION_S_MAX and before.text not in "-+":
            raise ExpressionError(
                f"{text.place(expression, token.start)}: parse error: duration out of range", position=token.start
            )


def _place(message: str, scanned: text.Scanned) -> int:
    """The position of an error: the word it names, or the end of the longest part that can be parsed by itself."""
    for quoted in re.findall(r"'([^']+)'|name \"([^\"]+)\"", message):
        word = quoted[0] or quoted[1]
        if found := next((token for token in scanned.tokens if token.text == word), None):
            return found.start
    tokens = scanned.tokens
    if not tokens:
        return 0
    plain = scanned.text
    if message != "invalid promql query" or len(plain) != tokens[-1].end:
        return 0
    for number in range(len(tokens) - 1, max(0, len(tokens) - _PREFIXES_TRIED_MAX), -1):
        try:
            library.parse(plain[: tokens[number - 1].end] + _closing(tokens[:number]))
        except BaseException as error:
            if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
                raise
            continue
        after = tokens[number]
        joins = after.kind == "operator" or after.text.lower() in ("and", "or", "unless", "atan2", "offset")
        if joins and number + 1 < len(tokens):
            return tokens[number + 1].start
        return after.end if joins else after.start
    return tokens[0].start


def _closing(tokens: Sequence[text.Token]) -> str:
    """The brackets that close the open ones."""
    missing: list[str] = []
    for token in tokens:
        if token.kind == "open":
            missing.append(_CLOSES[token.text])
        elif token.kind == "close":
            missing.pop()
    return "".join(reversed(missing))


class _Converter:
    """Walks the parser's tree in the order of the text, so that positions and moments are found by counting."""

    def __init__(self, scanned: text.Scanned) -> None:
        self._heads: Iterator[text.Head] = iter(scanned.heads)
        self._moments = iter(scanned.moments)

    def node(self, found: Any) -> tree.Node:  # noqa: C901, PLR0911 - a branch for each kind of node
        kind = type(found).__name__
        position = self._position(_KINDS_OF_HEADS[kind]) if kind in _KINDS_OF_HEADS else 0
        match kind:
            case "NumberLiteral":
                return tree.Number(position, float(found.val))
            case "StringLiteral":
                return tree.Text(position, str(found.val))
            case "VectorSelector":
                return self._selector(found, position)
            case "MatrixSelector":
                of = self._selector(found.vector_selector, self._position("selector"))
                return tree.Matrix(of.position, of, _milliseconds(found.range))
            case "SubqueryExpr":
                inner = self.node(found.expr)
                step = _milliseconds(found.step) if found.step is not None else None
                at, offset = self._at(found.at), _milliseconds(found.offset)
                return tree.Subquery(inner.position, inner, _milliseconds(found.range), step, offset, at)
            case "ParenExpr":
                return tree.Paren(position, self.node(found.expr))
            case "UnaryExpr":
                return tree.Negative(position, self.node(found.expr))
            case "BinaryExpr":
                return self._binary(found)
            case "AggregateExpr":
                return self._aggregate(found, position)
            case "Call":
                arguments = [self.node(argument) for argument in found.args]
                if found.func.name == "info":
                    arguments = _with_target_info(arguments)
                returns = _TYPES[_member(found.func.return_type)]
                return tree.Call(position, str(found.func.name), arguments, returns)
            case _:
                raise ExpressionError(f"1:1: parse error: {kind} is not supported")

    def _position(self, kind: str) -> int:
        for head in self._heads:
            if head.kind == kind:
                return head.start
        return 0

    def _at(self, found: Any) -> tree.At | None:
        if found is None:
            return None
        moment = next(self._moments, None)
        match _member(found.type):
            case "Start":
                return tree.At(None, "start")
            case "End":
                return tree.At(None, "end")
            case _:
                seconds = moment if moment is not None else found.at.timestamp()
                if not abs(seconds) < DURATION_S_MAX:
                    raise ExpressionError("1:1: parse error: timestamp out of bounds for @ modifier")
                return tree.At(round(seconds * 1000))

    def _selector(self, found: Any, position: int) -> tree.Selector:
        shared = [_matcher(matcher) for matcher in found.matchers.matchers]
        name = cast("str | None", found.name)
        if name is not None:
            shared.insert(0, tree.Matcher(NAME, "=", name))
        else:
            name = next((m.value for m in shared if m.name == NAME and m.type == "="), None)
        alternatives = [[_matcher(matcher) for matcher in group] for group in found.matchers.or_matchers]
        groups = [tuple(shared + group) for group in alternatives] or [tuple(shared)]
        return tree.Selector(position, name, tuple(groups), _milliseconds(found.offset), self._at(found.at))

    def _binary(self, found: Any) -> tree.Binary:
        left = self.node(found.lhs)
        modifier = found.modifier
        right = self.node(found.rhs)
        operator = str(found.op)
        matching = tree.Matching("one-to-one", on=False, labels=(), include=())
        returns_bool = False
        if modifier is not None:
            labels = modifier.matching
            returns_bool = bool(modifier.return_bool)
            fills = modifier.fill_values
            matching = tree.Matching(
                _CARDINALITY[_member(modifier.card)],
                on=labels is not None and _member(labels.type) == "Include",
                labels=tuple(labels.labels) if labels is not None else (),
                include=tuple(modifier.group_labels or ()),
                fill_left=fills.lhs if fills is not None else None,
                fill_right=fills.rhs if fills is not None else None,
            )
        return tree.Binary(left.position, operator, left, right, matching, returns_bool)

    def _aggregate(self, found: Any, position: int) -> tree.Aggregate:
        parameter = self.node(found.param) if found.param is not None else None
        of = self.node(found.expr)
        modifier = found.modifier
        without = modifier is not None and _member(modifier.type) == "Without"
        labels = tuple(modifier.labels) if modifier is not None else ()
        return tree.Aggregate(position, str(found.op), of, parameter, without, labels, modifier is not None)


def _with_target_info(arguments: list[tree.Node]) -> list[tree.Node]:
    """The arguments of `info`, with its default selector of info metrics if it has none."""
    name = tree.Matcher(NAME, "=", "target_info")
    if len(arguments) == 1:
        return [*arguments, tree.Selector(arguments[0].position, "target_info", ((name,),), 0, None)]
    given = arguments[1]
    if not isinstance(given, tree.Selector):
        raise ExpressionError("1:1: parse error: the second argument of info must be a selector")
    any_info = tree.Matcher(NAME, "=~", ".+_info", patterns.compiled(".+_info"))
    groups = tuple(
        g
        if any(m.name == NAME and not m.type.startswith("!") for m in g)
        else ((any_info if any(m.name == NAME for m in g) else name), *g)
        for g in given.groups
    )
    return [arguments[0], dataclasses.replace(given, groups=groups)]


def _member(value: Any) -> str:
    return str(value).rpartition(".")[2]


def _matcher(found: Any) -> tree.Matcher:
    kind = _MATCH[_member(found.op)]
    value = str(found.value)
    pattern = patterns.compiled(value) if kind in ("=~", "!~") else None
    return tree.Matcher(str(found.name), kind, value, pattern)


def _milliseconds(found: timedelta | None) -> int:
    return round(found / timedelta(milliseconds=1)) if found is not None else 0
