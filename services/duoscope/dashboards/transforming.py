"""Carries transformations out: pure functions from tables to tables, all of them bounded."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from duoscope.dashboards.flights import Found
from duoscope.dashboards.frames import (
    NAME_CHARS_MAX,
    TIME,
    Column,
    Table,
    Trend,
    distinct,
    require_bounded,
    require_room,
    tables,
)
from duoscope.dashboards.merging import hashable, merged
from duoscope.dashboards.planning import Planned
from duoscope.dashboards.transformations import (
    Calculate,
    Filter,
    GroupBy,
    Join,
    Merge,
    Organize,
    Reduce,
    Reducer,
    Rename,
    SeriesToTable,
    SortBy,
    Transformation,
    parts_of,
)
from duoscope.kernel.errors import invalid
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.patterns import compiled

REDUCED_NAMES: Final[dict[Reducer, str]] = {
    "last": "Last *", "first": "First *", "min": "Min", "max": "Max", "mean": "Mean", "sum": "Total",
    "count": "Count", "range": "Range", "delta": "Delta", "diff": "Difference", "unique": "All unique values",
}  # fmt: skip
"""Grafana's names of the columns that `reduce` makes, which overrides may name."""
GROUPED_NAMES: Final[dict[Reducer, str]] = {
    "last": "lastNotNull", "first": "firstNotNull", "min": "min", "max": "max", "mean": "mean", "sum": "sum",
    "count": "count", "range": "range", "delta": "delta", "diff": "diff", "unique": "uniqueValues",
}  # fmt: skip
REDUCED_MAX: Final = 2_000_000
"""How many values `group-by` reduces, each as often as there are reducers."""
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)


def transformed(steps: Sequence[Transformation], answered: Sequence[tuple[Planned, Found]]) -> list[Table]:
    """Carry out the transformations of a widget on its answers, one after the other.

    Raises:
        DuoscopeError: INVALID `table-too-large`; `invalid-transformation` for a regular expression that is none, a
            group that it does not have, and a name that becomes too long.
    """
    found = tables(answered)
    for number, step in enumerate(steps, 1):
        try:
            found = require_bounded(_transformed(step, found))
        except ExpressionError as error:
            message = f"Transformation {number}: {error.message}."
            raise invalid(message, code="invalid-transformation") from error
    return found


def _transformed(  # noqa: C901, PLR0911 - one for each kind
    step: Transformation, found: list[Table]
) -> list[Table]:
    match step:
        case Organize():
            return [_organized(each, step) for each in found]
        case Merge():
            return merged(found)
        case Join():
            return _joined(found, step)
        case Rename():
            return [_renamed(each, step) for each in found]
        case Filter():
            kept = (_filtered(each, step) for each in found)
            return [each for each in kept if each.columns]
        case GroupBy():
            _require_short(found, step)
            return [_grouped(each, step) for each in found]
        case SortBy():
            return [_sorted(each, step) for each in found]
        case Calculate():
            return [_calculated(each, step) for each in found]
        case SeriesToTable():
            return _trends(found)
        case Reduce():
            return _reduced(found, step) if step.mode == "rows" else [_in_one_row(each, step) for each in found]


def _organized(table: Table, step: Organize) -> Table:
    places = {name: number for number, name in enumerate(step.order)}
    kept = [
        column
        for column in table.columns
        if column.name not in step.exclude and (not step.include or column.name in step.include)
    ]
    kept.sort(key=lambda column: places.get(column.name, len(places)))
    return Table(
        table.name,
        [msgspec.structs.replace(each, name=step.rename.get(each.name) or each.name) for each in kept],
    )


def _joined(found: list[Table], step: Join) -> list[Table]:
    able = [each for each in found if each.column(step.field) is not None]
    if not able:
        return found
    order: dict[Any, Any] = {}
    places: list[dict[Any, int]] = []
    for table in able:
        by = _column(table, step.field)
        places.append({})
        for number, value in enumerate(by.values):
            order.setdefault(hashable(value), value)
            places[-1].setdefault(hashable(value), number)
    keys = [key for key in order if step.mode == "outer" or all(key in each for each in places)]
    if _column(able[0], step.field).kind == "time":
        keys.sort(key=_rank)
    require_room(len(keys), 1 + sum(len(table.columns) - 1 for table in able))
    columns: list[Column] = []
    for table, place in zip(able, places, strict=True):
        for column in table.columns:
            if column.name != step.field:
                values = [column.values[place[key]] if key in place else None for key in keys]
                columns.append(Column(column.name, column.kind, values, column.labels))
    by = Column(step.field, _column(able[0], step.field).kind, [order[key] for key in keys])
    return [Table(able[-1].name, distinct([by, *columns]))]


def _renamed(table: Table, step: Rename) -> Table:
    regex = compiled(step.regex)
    parts = parts_of(step.pattern, regex)

    def renamed(name: str) -> str:
        left = max(NAME_CHARS_MAX, len(name))

        def replacement(found: Any) -> str:
            nonlocal left
            made = [(found[part] or "") if isinstance(part, int) else part for part in parts]
            left -= sum(map(len, made))
            if left < 0:
                raise ExpressionError(f"{name[:60]!r} would get a name of more than {NAME_CHARS_MAX} characters")
            return "".join(made)

        made = regex.sub(replacement, name)
        if len(made) > max(NAME_CHARS_MAX, len(name)):
            raise ExpressionError(f"{name[:60]!r} would get a name of more than {NAME_CHARS_MAX} characters")
        return made

    return Table(
        table.name,
        [
            each if each.kind == "time" else msgspec.structs.replace(each, name=renamed(each.name))
            for each in table.columns
        ],
    )


def _filtered(table: Table, step: Filter) -> Table:
    include = compiled(step.include_regex) if step.include_regex else None
    exclude = compiled(step.exclude_regex) if step.exclude_regex else None
    has_include = bool(step.include or include)

    def is_kept(name: str) -> bool:
        is_in = not has_include or name in step.include or (include is not None and include.search(name) is not None)
        is_out = name in step.exclude or (exclude is not None and exclude.search(name) is not None)
        return is_in and not is_out

    return Table(table.name, [each for each in table.columns if is_kept(each.name)])


def _require_short(found: list[Table], step: GroupBy) -> None:
    work = sum(
        table.rows * sum(len(each.reducers) for each in step.aggregate if table.column(each.column) is not None)
        for table in found
    )
    if work > REDUCED_MAX:
        raise invalid("To group the rows would take too long: ask for less.", code="table-too-large")


def _grouped(table: Table, step: GroupBy) -> Table:
    by = [column for name in step.by if (column := table.column(name)) is not None]
    if not by:
        return table
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number in range(table.rows):
        groups.setdefault(tuple(hashable(column.values[number]) for column in by), []).append(number)
    firsts = [numbers[0] for numbers in groups.values()]
    made = [Column(column.name, column.kind, [column.values[first] for first in firsts]) for column in by]
    for wanted in step.aggregate:
        column = table.column(wanted.column)
        if column is None:
            continue
        for reducer in wanted.reducers:
            values = [reduced([column.values[number] for number in numbers], reducer) for numbers in groups.values()]
            kind = column.kind if reducer in ("last", "first") else "text" if reducer == "unique" else "number"
            made.append(Column(f"{column.name} ({GROUPED_NAMES[reducer]})", kind, values))
    return Table(table.name, made)


def _sorted(table: Table, step: SortBy) -> Table:
    by = table.column(step.column)
    if by is None:
        return table
    order = sorted(range(table.rows), key=lambda number: _rank(by.values[number]), reverse=step.is_descending)
    return Table(
        table.name,
        [msgspec.structs.replace(each, values=[each.values[number] for number in order]) for each in table.columns],
    )


def _calculated(table: Table, step: Calculate) -> Table:
    if not table.columns:
        return table
    if step.operator is not None:
        left, right = _operand(table, step.left), _operand(table, step.right)
        if left is None or right is None:
            return table
        compute = _OPERATORS[step.operator]
        values = [_computed(compute, one, other) for one, other in zip(left, right, strict=True)]
        name = step.name or f"{step.left} {step.operator} {step.right}"
    else:
        of = [
            each
            for each in table.columns
            if each.kind in ("number", "trend") and (not step.columns or each.name in step.columns)
        ]
        values = [reduced([each.values[row] for each in of], step.reducer) for row in range(table.rows)]
        name = step.name or REDUCED_NAMES[step.reducer]
    kept = [each for each in table.columns if each.kind == "time"] if step.replaces else table.columns
    return Table(table.name, [*kept, Column(name, "number", values)])


def _trends(found: list[Table]) -> list[Table]:
    by_query: dict[str, list[Column]] = {}
    made: list[Table] = []
    for table in found:
        numbers = [each for each in table.columns if each.kind == "number"]
        if table.column(TIME) is None or any(each.kind == "text" for each in table.columns):
            made.append(table)
        else:
            by_query.setdefault(table.name, []).extend(numbers)
    for name, columns in by_query.items():
        labels = list(dict.fromkeys(label for each in columns for label in each.labels if label != "__name__"))
        require_room(len(columns), len(labels) + 1)
        of_labels = [Column(label, "text", [each.labels.get(label, "") for each in columns]) for label in labels]
        trends = [Trend(reduced(each.values, "last"), each.values) for each in columns]
        made.append(Table(name, [*of_labels, Column(f"Trend #{name}", "trend", trends)]))
    return made


def _reduced(found: list[Table], step: Reduce) -> list[Table]:
    of = [each for table in found for each in table.columns if each.kind in ("number", "trend")]
    columns = [Column("Field", "text", [each.name for each in of])]
    if step.with_labels:
        labels = list(dict.fromkeys(label for each in of for label in each.labels))
        require_room(len(of), len(labels) + 1)
        columns += [Column(label, "text", [each.labels.get(label, "") for each in of]) for label in labels]
    columns += [
        Column(REDUCED_NAMES[reducer], "number", [reduced(each.values, reducer) for each in of])
        for reducer in step.reducers
    ]
    return [Table(found[-1].name if found else "", columns)]


def _in_one_row(table: Table, step: Reduce) -> Table:
    reducer = step.reducers[0]
    return Table(
        table.name,
        [
            msgspec.structs.replace(each, kind="number", values=[reduced(each.values, reducer)])
            for each in table.columns
            if each.kind in ("number", "trend")
        ],
    )


def reduced(values: Iterable[Any], reducer: Reducer) -> Any:
    """One value of many; those that are missing do not count. None if none is left, but for `count`."""
    flat = [value.value if isinstance(value, Trend) else value for value in values]
    there = [value for value in flat if value is not None]
    if reducer == "count":
        return len(there)
    if reducer in ("last", "first"):
        return (there[-1] if reducer == "last" else there[0]) if there else None
    if reducer == "unique":
        return ", ".join(dict.fromkeys(str(value) for value in there))
    numbers = [float(value) for value in there if isinstance(value, int | float)]
    return _OF_NUMBERS[reducer](numbers) if numbers else None


def _sum(numbers: Iterable[float]) -> float:
    """The exact sum, or what IEEE 754 says of one that has no float."""
    there = list(numbers)
    try:
        return math.fsum(there)
    except (OverflowError, ValueError):
        return sum(there)


def _delta(numbers: list[float]) -> float:
    """How much a counter grew, over its resets."""
    return _sum(later - earlier if later >= earlier else later for earlier, later in itertools.pairwise(numbers))


_OF_NUMBERS: Final[dict[str, Callable[[list[float]], float]]] = {
    "min": min,
    "max": max,
    "mean": lambda numbers: _sum(numbers) / len(numbers),
    "sum": _sum,
    "range": lambda numbers: max(numbers) - min(numbers),
    "diff": lambda numbers: numbers[-1] - numbers[0],
    "delta": _delta,
}
_OPERATORS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other,
    "%": math.fmod,
    "**": math.pow,
}


def _computed(compute: Callable[[float, float], float], one: Any, other: Any) -> float | None:
    one, other = (each.value if isinstance(each, Trend) else each for each in (one, other))
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return None
    try:
        return compute(float(one), float(other))
    except (ArithmeticError, ValueError):
        return None


def _operand(table: Table, name: str) -> list[Any] | None:
    column = table.column(name)
    if column is not None:
        return column.values
    return [float(name)] * table.rows if _NUMBER.fullmatch(name) else None


def _column(table: Table, name: str) -> Column:
    found = table.column(name)
    assert found is not None
    return found


def _rank(value: Any) -> tuple[int, float, str]:
    """Numbers before texts, and what is missing first."""
    value = value.value if isinstance(value, Trend) else value
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))
