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


def printed(tree: Tree[Predicate]) -> Condition:
    """Print a resolved tree as a condition, whose parameters are called q1, q2, ..., and attribute_1, ...

    The latter name attributes, and the views have their values in columns of the same names.
    """
    parameters: dict[str, object] = {}

    def bind(kind: str, value: Bound) -> str:
        name = f"{PARAMETER_PREFIX}{len(parameters) - len(attributes) + 1}"
        # The client writes lists as arrays, and tuples as tuples.
        parameters[name] = (
            [list(each) if isinstance(each, tuple) else each for each in value] if isinstance(value, tuple) else value
        )
        return f"{{{name}:{kind}}}"

    attributes: dict[str, int] = {}

    def column(of: AttributeColumn) -> str:
        escaped = of.name.replace(".", "%2E")
        if of.name not in attributes and len(attributes) == ATTRIBUTE_COLUMNS:
            # Reads the values of all names, as few queries do that name this many.
            return f"getSubcolumn({of.column}, {bind('String', f'{escaped}.:`{of.type}`' if of.type else escaped)})"
        name = f"attribute_{attributes.setdefault(of.name, len(attributes) + 1)}"
        parameters[name] = escaped
        return name + _SUFFIXES[of.type]

    def shown(value: tuple[str, Bound] | AttributeColumn) -> str:
        return column(value) if isinstance(value, AttributeColumn) else bind(*value)

    def show(node: Tree[Predicate], *, is_negated: bool = False) -> str:
        match node:
            case Predicate():
                condition = node.sql.format(*map(shown, node.values))
                # Null is no match, and so a match of the opposite. Where nothing is negated ClickHouse sees to that.
                return f"ifNull({condition}, 0)" if is_negated and node.is_nullable else condition
            case Not():
                return f"NOT ({show(node.part, is_negated=True)})"
            case And():
                return "(" + " AND ".join(show(part, is_negated=is_negated) for part in node.parts) + ")"
            case Or():
                return "(" + " OR ".join(show(part, is_negated=is_negated) for part in node.parts) + ")"

    return Condition(show(tree), parameters)
