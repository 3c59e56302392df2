"""What may be computed of items: their number, and the distinct values, sum, average, extremes and percentiles of a
field.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX
from duoscope.telemetry.language import Printer, Signal, compile_query, value_of

MEASURES_MAX: Final = 10
_SIMPLE: Final = ("sum", "avg", "min", "max")
_PERCENTILE: Final = re.compile(r"p(\d{1,3}(?:\.\d{1,6})?)", re.ASCII)
_HUNDRED: Final = 100


class Measure(Struct, frozen=True, forbid_unknown_fields=True):
    """One number of each group, and of each step."""

    function: Annotated[
        str,
        Meta(
            description="count (of items, or of those that have the field), distinct (values of the field; above "
            "65,536 to about 1%), sum, avg, min, max, p0 to p100, also with decimals: p99.9 (over up to 8,192 numbers "
            "interpolated and exact; above that, of a sample of as many).",
            examples=["p95"],
        ),
    ] = "count"
    field: Annotated[
        str | None,
        Meta(
            description="A field or an attribute, as a query names it. But for count and distinct, of items where it "
            "is a finite number, or a text that reads as one: `severity` is its number, `duration` nanoseconds.",
            examples=["duration"],
        ),
    ] = None
    query: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="Only items that match this, too: the count of `status:error`.",
            examples=["status:error"],
        ),
    ] = ""


class Computed:
    """The SQL of the measures of one statement.

    Rows are aggregated in two steps, so that groups can be put together between them. `inner` are the columns of the
    first; `merged` makes a measure's value of them, in whichever groups; `aliases` are expressions that `inner` names.

    Attributes:
        names: what the measures are called.
        inner: columns of the first step, with their names.
    """

    def __init__(self, measures: Sequence[Measure], signal: Signal, printer: Printer) -> None:
        """Raise INVALID `invalid-measure`, `invalid-field` or `invalid-query` for what cannot be computed."""
        if not 1 <= len(measures) <= MEASURES_MAX:
            raise _invalid(f"`measures` takes 1 to {MEASURES_MAX} measures, not {len(measures)}.")
        self._signal = signal
        self._printer = printer
        self._columns: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        self._levels: dict[tuple[str | None, str], list[float]] = {}
        for measure in measures:
            self._note_level(measure)
        self._merges = [self._merge(measure) for measure in measures]
        self._of_none = [0 if measure.function in {"count", "distinct", "sum"} else None for measure in measures]
        self.names = [_name(measure) for measure in measures]

    @property
    def inner(self) -> list[str]:
        """Columns of the first step, with their names."""
        return [f"{sql} AS {name}" for sql, name in self._columns.items()]

    @property
    def aliases(self) -> str:
        """The WITH clause of the first step, '' if it needs none."""
        return f"WITH {', '.join(f'{sql} AS {name}' for sql, name in self._aliases.items())} " if self._aliases else ""

    def merged(self, number: int, over: str = "") -> str:
        """Print the value of a measure in the second step: an aggregate or, with OVER, a window function."""
        return self._merges[number](over)

    def values(self, row: dict[str, object]) -> list[float | None]:
        """Read the values of a row of the second step, whose columns are v0, v1, …, without numbers that JSON lacks."""
        return [_finite(row[f"v{number}"], none) for number, none in enumerate(self._of_none)]

    def nothing(self) -> list[float | None]:
        """Make the values of a group without items."""
        return list(self._of_none)

    def _merge(self, measure: Measure) -> Callable[[str], str]:
        function, condition = measure.function, self._condition(measure)
        if function == "count" and measure.field is None:
            return _sum_of(self._column(f"countIf({condition})" if condition else "count()"))
        if measure.field is None:
            raise _invalid(f"`measures`: {function} is of a field: give `field`, such as duration or http.route.")
        if function in {"count", "distinct"}:
            text = self._alias(self._printer.value(value_of(measure.field, self._signal).text))
            if function == "count":
                return _sum_of(self._column(_call("count", text, condition)))
            column = self._column(_call("uniqState", text, condition))
            return lambda over: f"uniqMerge({column}){over}"
        number = self._alias(self._printer.value(value_of(measure.field, self._signal).number))
        number = self._alias(f"if(isFinite({number}), {number}, NULL)")
        if function == "avg":
            column = self._column(_call("avgState", number, condition))
            return lambda over: f"avgMerge({column}){over}"
        if function not in _SIMPLE:
            level = _level(function)
            if level not in {0, 1}:
                return self._percentile(measure, number, condition, level)
            function = "max" if level else "min"
        column = self._column(_call(function, number, condition))
        return lambda over: f"{function}({column}){over}"

    def _percentile(self, measure: Measure, number: str, condition: str, level: float) -> Callable[[str], str]:
        levels = self._levels[measure.field, measure.query]
        listed = ", ".join(map(repr, levels))
        column = self._column(_call("quantilesState", number, condition, f"({listed})"))
        return lambda over: f"(quantilesMerge({listed})({column}){over})[{levels.index(level) + 1}]"

    def _note_level(self, measure: Measure) -> None:
        """Percentiles of one field are computed together."""
        function = measure.function
        if function in {"count", "distinct", *_SIMPLE} or measure.field is None:
            return
        levels = self._levels.setdefault((measure.field, measure.query), [])
        if (level := _level(function)) not in {0, 1, *levels}:
            levels.append(level)

    def _condition(self, measure: Measure) -> str:
        condition = compile_query(measure.query, self._signal, printer=self._printer)
        return condition.sql if condition else ""

    def _alias(self, sql: str) -> str:
        return self._aliases.setdefault(sql, f"field_{len(self._aliases) + 1}")

    def _column(self, sql: str) -> str:
        return self._columns.setdefault(sql, f"measure_{len(self._columns) + 1}")


def _call(function: str, value: str, condition: str, parameters: str = "") -> str:
    """A call of an aggregate function, of the rows of a condition alone if there is one."""
    if condition:
        return f"{function}If{parameters}({value}, {condition})"
    return f"{function}{parameters}({value})"


def _sum_of(column: str) -> Callable[[str], str]:
    return lambda over: f"sum({column}){over}"


def _level(function: str) -> float:
    found = _PERCENTILE.fullmatch(function)
    if not found or float(found.group(1)) > _HUNDRED:
        raise _invalid(
            f"`measures`: `function` is one of count, distinct, {', '.join(_SIMPLE)}, or p0 to p100, also with "
            f"decimals such as p99.9; not {function[:40]!r}."
        )
    return float(found.group(1)) / _HUNDRED


def _name(measure: Measure) -> str:
    of = f"({measure.field})" if measure.field is not None else ""
    return f"{measure.function}{of}" + (f" of {measure.query}" if measure.query else "")


def _finite(value: object, none: int | None) -> float | None:
    """A value as JSON has it: no number beyond all doubles."""
    if not isinstance(value, int | float) or value - value != 0:
        return none
    return value


def _invalid(message: str) -> DuoscopeError:
    return invalid(message, code="invalid-measure")
