"""Transformations of a widget's answers: those that real dashboards use, by the names that they have there."""

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.patterns import compiled

TRANSFORMATIONS_MAX: Final = 20
_NAMES_MAX: Final = 500
_GROUP: Final = re.compile(r"\$(\d)", re.ASCII)
Name = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*$")]
_Names = Annotated[tuple[Name, ...], Meta(max_length=_NAMES_MAX)]
Reducer = Literal["last", "first", "min", "max", "mean", "sum", "count", "range", "delta", "diff", "unique"]
Operator = Literal["+", "-", "*", "/", "%", "**"]


class Organize(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="organize"):
    """Leave out, order and rename columns by their names."""

    exclude: _Names = ()
    include: Annotated[_Names, Meta(description="Only these, if there are any.")] = ()
    order: Annotated[_Names, Meta(description="These come first.")] = ()
    rename: Annotated[dict[Name, Name], Meta(max_length=_NAMES_MAX)] = {}


class Merge(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="merge"):
    """Put all tables into one: rows that agree in the columns that all tables have become one row."""


class Join(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="join-by-field"):
    """Put all tables side by side, by the values of one column; by time unless a field is given."""

    field: Name = "Time"
    mode: Literal["outer", "inner"] = "outer"


class Rename(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="rename"):
    """Rename columns by a regular expression (RE2)."""

    regex: Name
    pattern: Annotated[Name, Meta(description="`$1` is the first group, `$0` the whole match.")] = ""


class Filter(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="filter"):
    """Keep some columns, by their names or a regular expression (RE2)."""

    include: _Names = ()
    include_regex: Name = ""
    exclude: _Names = ()
    exclude_regex: Name = ""


class Aggregate(Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers that a column becomes where rows are put together."""

    column: Name
    reducers: Annotated[tuple[Reducer, ...], Meta(min_length=1, max_length=20)]


class GroupBy(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="group-by"):
    """Put the rows together that agree in some columns. Others are left out unless they are aggregated."""

    by: Annotated[_Names, Meta(min_length=1)]
    aggregate: Annotated[tuple[Aggregate, ...], Meta(max_length=_NAMES_MAX)] = ()


class SortBy(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sort-by"):
    """Order rows by a column."""

    column: Name
    is_descending: bool = False


class Calculate(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="calculate-field"):
    """Add a column of numbers: of two columns with an operator, or of several with a reducer."""

    name: Annotated[Name, Meta(description="Of the new column; by default what is calculated.")] = ""
    left: Annotated[Name, Meta(description="A column, or a number.")] = ""
    operator: Operator | None = None
    right: Annotated[Name, Meta(description="A column, or a number.")] = ""
    reducer: Reducer = "sum"
    columns: Annotated[_Names, Meta(description="Without an operator: those reduced; all numbers unless given.")] = ()
    replaces: Annotated[bool, Meta(description="Whether only the new column and the times are kept.")] = False


class SeriesToTable(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="series-to-table"):
    """Make one table of all series of a query: a row each, with its labels and, as `Trend #A`, its values."""


class Reduce(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="reduce"):
    """Make one number of each column."""

    reducers: Annotated[tuple[Reducer, ...], Meta(min_length=1, max_length=20)] = ("last",)
    mode: Annotated[
        Literal["rows", "columns"], Meta(description="A row for each column, or each column with one row.")
    ] = "rows"
    with_labels: Annotated[bool, Meta(description="Whether labels become columns, of rows.")] = False


Transformation = Organize | Merge | Join | Rename | Filter | GroupBy | SortBy | Calculate | SeriesToTable | Reduce


def problem_of(step: Transformation) -> str:
    """The mistake in a transformation; empty if there is none."""
    match step:
        case Rename():
            texts = (step.regex,)
        case Filter():
            texts = (step.include_regex, step.exclude_regex)
        case _:
            texts = ()
    for text in texts:
        try:
            regex = compiled(text)
            if isinstance(step, Rename):
                parts_of(step.pattern, regex)
        except ExpressionError as error:
            return error.message
    return ""


def parts_of(pattern: str, regex: Any) -> list[str | int]:
    """The texts of a pattern, and the numbers of the groups between them; 0 is the whole match.

    Raises:
        ExpressionError: the expression does not have one of these groups.
    """
    split = _GROUP.split(pattern)
    parts: list[str | int] = [int(each) if number % 2 else each for number, each in enumerate(split)]
    for each in parts:
        if isinstance(each, int) and each > regex.groups:
            raise ExpressionError(f"the pattern names the group ${each}, and the expression has {regex.groups}")
    return parts
