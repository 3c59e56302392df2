"""The tree of a parsed query, and the error that every stage raises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from duoscope.kernel.errors import DuoscopeError, Place, invalid


@dataclass(frozen=True, slots=True)
class Term:
    """`field op value`, or a word or phrase by itself when `field` is ''.

    Attributes:
        position: of the term's first character, counted from 1.
        field: as written.
        op: one of `= != > >= < <=`; `:` was read as `=`.
        value: without its quotes.
        quoted: written in quotes: a phrase, and `*` means itself.
        raw: the whole term as written.
        value_at: where in it the value begins.
        is_regex: written between slashes: a regular expression.
        is_listed: one of the values in parentheses behind a field.
        others: terms of the same field and operator, of which any will do as well.
    """

    position: int
    field: str
    op: str
    value: str
    quoted: bool
    raw: str
    value_at: int = 0
    is_regex: bool = False
    is_listed: bool = False
    others: "tuple[Term, ...]" = ()

    @property
    def all(self) -> "tuple[Term, ...]":
        """The term, and the others."""
        return (self, *self.others)


@dataclass(frozen=True, slots=True)
class AttributeColumn:
    """The values of one attribute, and of one type.

    Attributes:
        column: of type JSON, which they are in.
        name: of the attribute, of characters that need no more than their dots escaped.
        type: of `Bool`, `Int64`, `Float64` and `String`; '' for all.
    """

    column: str
    name: str
    type: str = ""


Bound: TypeAlias = str | float | tuple[str, ...] | tuple[float, ...] | tuple[tuple[str, ...], ...]
"""A value that ClickHouse binds; a tuple is an array."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A resolved term: SQL of ours with `{}` for each value and each attribute's column.

    Attributes:
        sql: the condition.
        values: of each the ClickHouse type and the value, or the column.
        is_nullable: whether the condition may be null, which means that it does not hold.
    """

    sql: str
    values: tuple[tuple[str, Bound] | AttributeColumn, ...] = ()
    is_nullable: bool = False


Leaf = TypeVar("Leaf")


@dataclass(frozen=True, slots=True)
class Not(Generic[Leaf]):
    """The negation of a tree."""

    part: "Tree[Leaf]"


@dataclass(frozen=True, slots=True)
class And(Generic[Leaf]):
    """The conjunction of two or more trees."""

    parts: "tuple[Tree[Leaf], ...]"


@dataclass(frozen=True, slots=True)
class Or(Generic[Leaf]):
    """The disjunction of two or more trees."""

    parts: "tuple[Tree[Leaf], ...]"


Tree: TypeAlias = Leaf | Not[Leaf] | And[Leaf] | Or[Leaf]


Part: TypeAlias = Literal["term", "field", "op", "value"]


def query_error(position: int, message: str, *, length: int = 1) -> DuoscopeError:
    """The error INVALID `invalid-query`; `position` counts characters from 1, `length` those that are wrong."""
    place = Place(position - 1, length)
    return invalid(f"Query, character {position}: {message}", code="invalid-query", place=place)


def term_error(term: Term, message: str, of: Part = "term", choices: Sequence[str] = ()) -> DuoscopeError:
    """The error of a part of a term, with what may stand in place of that part."""
    behind_op = term.value_at
    behind_field = behind_op - (len(term.op) if behind_op else 0)
    start, end = {
        "term": (0, len(term.raw)),
        "field": (0, behind_field),
        "op": (behind_field, behind_op),
        "value": (behind_op, len(term.raw)),
    }[of]
    place = Place(term.position - 1 + start, end - start, tuple(choices))
    return invalid(f"Query, character {term.position}: {message}", code="invalid-query", place=place)
