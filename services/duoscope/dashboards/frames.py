"""Answers as tables, which transformations change: named columns of equal length, as Grafana's data frames are."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta, Struct

from duoscope.dashboards.flights import Found
from duoscope.dashboards.planning import Planned
from duoscope.kernel.errors import DuoscopeError, invalid

TABLES_MAX: Final = 500
COLUMNS_MAX: Final = 500
ROWS_MAX: Final = 10_000
CELLS_MAX: Final = 1_000_000
"""Of all tables of a widget together, after each step."""
LEGEND_CHARS_MAX: Final = 1000
"""Of a legend with its labels; the rest is cut off."""
NAME_CHARS_MAX: Final = 1000
"""Of a column that is renamed, unless it was longer before."""
TIME: Final = "Time"
VALUE: Final = "Value"
_PLACEHOLDER: Final = re.compile(r"\{\{\s*(.+?)\s*\}\}")


class Trend(Struct, frozen=True):
    """A series in one cell: its last number, and all of them."""

    value: float | None
    values: list[float | None]


class Column(Struct):
    """A column of a table. Times are milliseconds since 1970."""

    name: str
    kind: Literal["time", "number", "text", "trend"]
    values: list[Any]
    labels: Annotated[dict[str, str], Meta(description="Of the series that it is, if it is one.")] = {}


class Table(Struct):
    """A table: what a query answered, or what transformations made of such tables."""

    name: Annotated[str, Meta(description="The query's, or the last one's that went into it.")]
    columns: list[Column]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.columns[0].values) if self.columns else 0

    def column(self, name: str) -> Column | None:
        """The first column of this name."""
        return next((each for each in self.columns if each.name == name), None)


def tables(answered: Sequence[tuple[Planned, Found]]) -> list[Table]:
    """The tables of answers; those that have an error are left out.

    Raises:
        DuoscopeError: INVALID `table-too-large`.
    """
    is_one = sum(query.format == "table" for query, _ in answered) == 1
    made: list[Table] = []
    for query, found in answered:
        if found.error is not None or query.error is not None:
            continue
        if found.items:
            made.append(_of_items(query.name, found.items))
        elif query.format == "table":
            made.append(_whole(query, found, VALUE if is_one else f"{VALUE} #{query.name}"))
        else:
            made += _by_series(query, found)
    return require_bounded(made)


def require_bounded(made: list[Table]) -> list[Table]:
    """The tables. Raises INVALID `table-too-large` if they are larger than anybody looks at."""
    cells = sum(len(each.columns) * each.rows for each in made)
    if (
        len(made) > TABLES_MAX
        or cells > CELLS_MAX
        or any(len(each.columns) > COLUMNS_MAX or each.rows > ROWS_MAX for each in made)
    ):
        raise _too_large()
    return made


def require_room(rows: int, columns: int) -> None:
    """Raise the same before a table is built that would be too large."""
    if rows > ROWS_MAX or columns > COLUMNS_MAX or rows * columns > CELLS_MAX:
        raise _too_large()


def _too_large() -> DuoscopeError:
    most = f"{ROWS_MAX} rows, {COLUMNS_MAX} columns or {CELLS_MAX} cells"
    return invalid(f"The tables have more than {most}: ask for less.", code="table-too-large")


def distinct(columns: Sequence[Column]) -> list[Column]:
    """Columns whose names differ: those of equal names are numbered, as Grafana does."""
    counts = Counter(column.name for column in columns)
    seen: Counter[str] = Counter()
    made: list[Column] = []
    for column in columns:
        seen[column.name] += 1
        is_alone = counts[column.name] == 1
        name = column.name if is_alone else f"{column.name} {seen[column.name]}"
        made.append(msgspec.structs.replace(column, name=name))
    return made


def legend(text: str, labels: dict[str, str]) -> str:
    """The name of a series: its legend with its labels, or its labels, or just that it is a value."""
    if text:
        made, at = "", 0
        for found in _PLACEHOLDER.finditer(text):
            made += text[at : found.start()] + labels.get(found[1], "")
            at = found.end()
            if len(made) > LEGEND_CHARS_MAX:
                break
        made += text[at : at + LEGEND_CHARS_MAX + 1]
        return made if len(made) <= LEGEND_CHARS_MAX else f"{made[: LEGEND_CHARS_MAX - 1]}…"
    name = labels.get("__name__", "")
    pairs = ", ".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    return f"{name}{{{pairs}}}" if pairs else name or VALUE


def _by_series(query: Planned, found: Found) -> list[Table]:
    moments = query.steps.moments_ms.tolist()
    made: list[Table] = []
    for pairs, line in zip(found.labels[: TABLES_MAX + 1], found.values.tolist(), strict=False):
        labels = dict(pairs)
        values = Column(legend(query.legend, labels), "number", _numbers(line), labels)
        made.append(Table(query.name, [Column(TIME, "time", moments), values]))
    return made


def _whole(query: Planned, found: Found, value: str) -> Table:
    names = list(dict.fromkeys(name for pairs in found.labels for name, _ in pairs if name != "__name__"))
    moments = query.steps.moments_ms.tolist()
    rows = [
        (moment, labels, number)
        for labels, line in zip(map(dict, found.labels), found.values.tolist(), strict=True)
        for moment, number in zip(moments, _numbers(line), strict=True)
        if number is not None or len(moments) == 1
    ][: ROWS_MAX + 1]
    columns = [Column(TIME, "time", [moment for moment, *_ in rows])]
    columns += [Column(name, "text", [labels.get(name, "") for _, labels, _ in rows]) for name in names]
    return Table(query.name, [*columns, Column(value, "number", [number for *_, number in rows])])


def _of_items(name: str, items: Iterable[Any]) -> Table:
    flat: list[dict[str, Any]] = []
    for each in items:
        row = cast("dict[str, Any]", msgspec.to_builtins(each))
        attributes = cast("dict[str, Any]", row.get("attributes") or {})
        flat.append(
            {key: value for key, value in row.items() if not isinstance(value, dict | list)}
            | {f"attributes.{key}": value for key, value in attributes.items()}
        )
    names = list(dict.fromkeys(key for row in flat for key in row))[:COLUMNS_MAX]
    return Table(name, [Column(key, "text", [row.get(key) for row in flat]) for key in names])


def _numbers(line: Sequence[float]) -> list[float | None]:
    return [None if number != number else number for number in line]  # noqa: PLR0124 - NaN alone is not itself
