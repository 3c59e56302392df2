"""The tree of an expression, as the engine evaluates it. Times are milliseconds."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

ValueType = Literal["scalar", "vector", "matrix", "string"]
MatchType = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; a missing label has the empty text."""

    name: str
    type: MatchType
    value: str
    pattern: "re.Pattern[str] | None" = field(default=None, compare=False)

    def matches(self, text: str) -> bool:
        """Whether a value of the label matches."""
        match self.type:
            case "=":
                return text == self.value
            case "!=":
                return text != self.value
            case _:
                found = self.pattern is not None and self.pattern.fullmatch(text) is not None
                return found is (self.type == "=~")


@dataclass(frozen=True, slots=True)
class At:
    """The modifier `@`: a moment, or the start or the end of the query."""

    moment_ms: int | None
    of_query: Literal["start", "end"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A part of an expression; `position` is the character where it begins."""

    position: int


@dataclass(frozen=True, slots=True, eq=False)
class Number(Node):
    """A number."""

    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Text(Node):
    """A string."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Selector(Node):
    """A selector of series, which gives the newest value of each.

    Attributes:
        name: the metric's, where the expression says it.
        groups: alternatives, of matchers that must all match; the name is among them.
        offset_ms: how far back.
        at: the moment, instead of the step's.
    """

    name: str | None
    groups: tuple[tuple[Matcher, ...], ...]
    offset_ms: int
    at: At | None


@dataclass(frozen=True, slots=True, eq=False)
class Matrix(Node):
    """Points of series in a window."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Subquery(Node):
    """Values of an expression in a window, at multiples of the step."""

    of: Node
    range_ms: int
    step_ms: int | None
    offset_ms: int
    at: At | None


@dataclass(frozen=True, slots=True, eq=False)
class Paren(Node):
    """An expression in parentheses."""

    of: Node


@dataclass(frozen=True, slots=True, eq=False)
class Negative(Node):
    """The negated value of an expression."""

    of: Node


@dataclass(frozen=True, slots=True)
class Matching:
    """How samples of two vectors are matched.

    Attributes:
        cardinality: how many may be on each side.
        on: whether `labels` are those that count, or those that do not.
        labels: of `on` or `ignoring`.
        include: of `group_left` and `group_right`: copied from the "one" side.
        fill_left: the value of missing samples on the left.
        fill_right: the same on the right.
    """

    cardinality: Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]
    on: bool
    labels: tuple[str, ...]
    include: tuple[str, ...]
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """An operator between two values."""

    operator: str
    left: Node
    right: Node
    matching: Matching
    returns_bool: bool


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Node):
    """An aggregation over series."""

    operator: str
    of: Node
    parameter: Node | None
    without: bool
    labels: tuple[str, ...]
    is_grouped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A call of a function."""

    function: str
    arguments: Sequence[Node]
    returns: ValueType


def unwrapped(node: Node) -> Node:
    """The node within its parentheses."""
    while isinstance(node, Paren):
        node = node.of
    return node


def children(node: Node) -> Sequence[Node]:
    """The nodes right below a node; the selector of a range is a part of it."""
    match node:
        case Subquery() | Paren() | Negative():
            return (node.of,)
        case Binary():
            return (node.left, node.right)
        case Aggregate():
            return (node.of,) if node.parameter is None else (node.parameter, node.of)
        case Call():
            return node.arguments
        case _:
            return ()


def selectors(node: Node) -> Iterator[Selector]:
    """All selectors of a tree, also those of ranges."""
    match node:
        case Selector():
            yield node
        case Matrix():
            yield node.selector
        case _:
            for child in children(node):
                yield from selectors(child)


def type_of(node: Node) -> ValueType:  # noqa: PLR0911 - a branch for each kind of node
    """The type of a node's value."""
    match node:
        case Number():
            return "scalar"
        case Text():
            return "string"
        case Matrix() | Subquery():
            return "matrix"
        case Paren() | Negative():
            return type_of(node.of)
        case Binary():
            return "scalar" if type_of(node.left) == "scalar" == type_of(node.right) else "vector"
        case Call():
            return node.returns
        case _:
            return "vector"
