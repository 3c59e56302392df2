"""Last stage: SQL. Every value becomes a parameter that ClickHouse binds; the SQL contains no text from the user."""

from dataclasses import dataclass

from duoscope.stores.clickhouse.schema import ATTRIBUTE_COLUMNS
from duoscope.telemetry.language.tree import And, AttributeColumn, Bound, Not, Or, Predicate, Tree

PARAMETER_PREFIX = "q"
_SUFFIXES = {"": "", "Bool": "_bool", "Int64": "_int", "Float64": "_double", "String": "_text"}
"""Of the names that the views give to the columns of an attribute (`duoscope.stores.clickhouse.schema`)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean expression over the columns of one view, with its bound parameters."""

    sql: str
    parameters: dict[str, object]


class Printer:
    """Prints trees and values of one statement, whose parameters are called q1, q2, ..., and attribute_1, ...

    The latter name attributes, and the views have their values in columns of the same names.

    Attributes:
        parameters: of all that was printed.
    """

    def __init__(self) -> None:
        self.parameters: dict[str, object] = {}
        self._attributes: dict[str, int] = {}

    def condition(self, tree: Tree[Predicate], *, is_negated: bool = False) -> str:
        """Print a resolved tree."""
        match tree:
            case Predicate():
                condition = self.value(tree)
                # Null is no match, and so a match of the opposite. Where nothing is negated ClickHouse sees to that.
                return f"ifNull({condition}, 0)" if is_negated and tree.is_nullable else condition
            case Not():
                return f"NOT ({self.condition(tree.part, is_negated=True)})"
            case And():
                return "(" + " AND ".join(self.condition(part, is_negated=is_negated) for part in tree.parts) + ")"
            case Or():
                return "(" + " OR ".join(self.condition(part, is_negated=is_negated) for part in tree.parts) + ")"

    def value(self, of: Predicate) -> str:
        """Print an expression, which need not be a condition."""
        return of.sql.format(*map(self._shown, of.values))

    def _shown(self, value: tuple[str, Bound] | AttributeColumn) -> str:
        return self._column(value) if isinstance(value, AttributeColumn) else self._bind(*value)

    def _bind(self, kind: str, value: Bound) -> str:
        name = f"{PARAMETER_PREFIX}{len(self.parameters) - len(self._attributes) + 1}"
        # The client writes lists as arrays, and tuples as tuples.
        self.parameters[name] = (
            [list(each) if isinstance(each, tuple) else each for each in value] if isinstance(value, tuple) else value
        )
        return f"{{{name}:{kind}}}"

    def _column(self, of: AttributeColumn) -> str:
        escaped = of.name.replace(".", "%2E")
        if of.name not in self._attributes and len(self._attributes) == ATTRIBUTE_COLUMNS:
            # Reads the values of all names, as few queries do that name this many.
            path = f"{escaped}.:`{of.type}`" if of.type else escaped
            return f"getSubcolumn({of.column}, {self._bind('String', path)})"
        name = f"attribute_{self._attributes.setdefault(of.name, len(self._attributes) + 1)}"
        self.parameters[name] = escaped
        return name + _SUFFIXES[of.type]


def printed(tree: Tree[Predicate], printer: Printer | None = None) -> Condition:
    """Print a resolved tree as a condition, as a part of a printer's statement if one is given."""
    printer = printer or Printer()
    return Condition(printer.condition(tree), printer.parameters)
