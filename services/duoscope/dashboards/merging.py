"""Puts tables into one. It takes time that is linear in their rows: each finds its like by what both have."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from duoscope.dashboards.frames import Column, Table, require_room
from duoscope.kernel.errors import invalid

WORK_MAX: Final = 2_000_000
"""How many values are compared: about a second's work, which more tables of rows of many shapes would exceed."""

_Key = tuple[Any, ...]


def merged(found: list[Table]) -> list[Table]:
    """One table: a row joins the first that has the same values wherever both have a column.

    Raises:
        DuoscopeError: INVALID `table-too-large`, also for what would take too long.
    """
    found = [each for each in found if each.columns]
    if len(found) < 2:  # noqa: PLR2004 - there is nothing to merge
        return found
    columns: dict[str, Column] = {}
    for table in found:
        for column in table.columns:
            columns.setdefault(column.name, column)
    require_room(0, len(columns))
    shared = [name for name in columns if all(table.column(name) is not None for table in found)]
    merging = _Merging()
    for table in found:
        merging.add(table)
        require_room(len(merging.rows), len(columns))
    groups: dict[_Key, list[dict[str, Any]]] = {}
    for row in merging.rows:
        groups.setdefault(tuple(hashable(row[name]) for name in shared), []).append(row)
    listed = [row for alike in groups.values() for row in alike]
    made = [Column(name, column.kind, [row.get(name) for row in listed], {}) for name, column in columns.items()]
    return [Table(found[-1].name, made)]


def hashable(value: Any) -> Any:
    """Make what stands for a value where values are told apart."""
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


class _Merging:
    """The rows so far, and for each the number of the names of its columns."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._shapes: list[int] = []
        self._names: list[frozenset[str]] = []
        self._known: dict[frozenset[str], int] = {}
        self._work = 0

    def add(self, table: Table) -> None:
        names = tuple(dict.fromkeys(column.name for column in table.columns))
        shape = self._shape(frozenset(names))
        grown: dict[int, int] = {}
        # By the columns that rows have in common with the table: the numbers of the rows of each of their values.
        common: dict[int, tuple[str, ...]] = {}
        places: dict[tuple[str, ...], dict[_Key, deque[int]]] = {names: {}}
        for number, row in enumerate(self.rows):
            has = self._shapes[number]
            if has not in common:
                self._count(len(names))
                common[has] = tuple(name for name in names if name in self._names[has])
            by = common[has]
            places.setdefault(by, {}).setdefault(self._key(row, by), deque()).append(number)
        for row in _rows(table):
            keys = {by: self._key(row, by) for by in places}
            first: tuple[int, tuple[str, ...]] | None = None
            for by, key in keys.items():
                alike = places[by].get(key)
                if alike and (first is None or alike[0] < first[0]):
                    first = alike[0], by
            if first is None:
                number = len(self.rows)
                self.rows.append(row)
                self._shapes.append(shape)
            else:
                number, by = first
                if by == names:
                    continue
                places[by][keys[by]].popleft()
                self.rows[number].update(row)
                has = self._shapes[number]
                if has not in grown:
                    self._count(len(self._names[has]))
                    grown[has] = self._shape(self._names[has].union(names))
                self._shapes[number] = grown[has]
            # Whoever is the same as this row finds the first of those that have all its columns.
            whole = places[names].setdefault(keys[names], deque())
            if not whole or number < whole[0]:
                whole.appendleft(number)

    def _shape(self, names: frozenset[str]) -> int:
        if names not in self._known:
            self._known[names] = len(self._names)
            self._names.append(names)
        return self._known[names]

    def _key(self, row: dict[str, Any], names: tuple[str, ...]) -> _Key:
        self._count(1 + len(names))
        return tuple(hashable(row[name]) for name in names)

    def _count(self, work: int) -> None:
        self._work += work
        if self._work > WORK_MAX:
            raise invalid("To merge the tables would take too long: ask for less.", code="table-too-large")


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for number in range(table.rows):
        yield {column.name: column.values[number] for column in table.columns}
