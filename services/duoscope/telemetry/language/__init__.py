"""The search language: text compiled to a condition over one view, in three stages.

`parse` makes a tree of the text, `resolve` decides what each name means for a signal, `printer` writes SQL in which
every value from the user is a bound parameter. docs/search.md describes the language.
"""

from collections.abc import Iterator

from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import QUERY_CONDITION_CHARS_MAX
from duoscope.stores.clickhouse import Indexed
from duoscope.telemetry.language.hints import hint_at_nothing, hint_at_text
from duoscope.telemetry.language.parse import parse
from duoscope.telemetry.language.printer import Condition, Printer, printed
from duoscope.telemetry.language.pruning import necessary
from duoscope.telemetry.language.resolve import Signal, Value, is_field, resolve, value_of
from duoscope.telemetry.language.tree import And, Not, Or, Term, Tree


def compile_query(
    text: str,
    signal: Signal,
    *,
    or_text: bool = False,
    printer: Printer | None = None,
    indexed: Indexed = frozenset(),
) -> Condition | None:
    """Compile a query to a condition. Returns None for an empty text, which matches every row.

    Args:
        text: the query.
        signal: what is searched.
        or_text: whether a term such as `name=value` also matches that text in the body, if that is not too long.
        printer: of the statement that the condition becomes a part of.
        indexed: the columns of attributes with an index. Only for a statement whose items are all within its
            `TimeRange.CONDITION`.

    Raises:
        DuoscopeError: INVALID `invalid-query`: the position in the text, what was found, what to write instead.
    """
    tree = parse(text)
    if tree is None:
        return None
    resolved = resolve(tree, signal, or_text=or_text)
    if indexed and not or_text and (needed := tuple(necessary(tree, signal, indexed))):
        resolved = And((*needed, resolved))
    condition = printed(resolved, printer)
    if len(condition.sql) > QUERY_CONDITION_CHARS_MAX:
        if or_text:
            return compile_query(text, signal, printer=printer)
        raise invalid(
            "The query is too long: written out for the store, its conditions have more than "
            f"{QUERY_CONDITION_CHARS_MAX:,} characters. Use fewer conditions, or fewer `*` in one pattern.",
            code="invalid-query",
        )
    return condition


def fields_of(text: str) -> frozenset[str]:
    """The names of the fields that a query mentions; '' stands for words."""
    tree = parse(text)
    return frozenset() if tree is None else frozenset(_fields(tree))


def _fields(tree: Tree[Term]) -> Iterator[str]:
    match tree:
        case Term():
            yield tree.field
        case Not():
            yield from _fields(tree.part)
        case And() | Or():
            for part in tree.parts:
                yield from _fields(part)


__all__ = [
    "Condition",
    "Printer",
    "Signal",
    "Value",
    "compile_query",
    "fields_of",
    "hint_at_nothing",
    "hint_at_text",
    "is_field",
    "value_of",
]
