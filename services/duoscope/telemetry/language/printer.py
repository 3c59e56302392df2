"""Last stage: SQL. Every value becomes a parameter that ClickHouse binds; the SQL contains no text from the user."""

from dataclasses import dataclass

from duoscope.telemetry.language.tree import And, Not, Or, Predicate, Tree

PARAMETER_PREFIX = "q"


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean expression over the columns of one view, with its bound parameters."""

    sql: str
    parameters: dict[str, object]


def printed(tree: Tree[Predicate]) -> Condition:
    """Print a resolved tree as a condition, whose parameters are called q1, q2, ..."""
    parameters: dict[str, object] = {}

    def bind(kind: str, value: str | float | tuple[str, ...]) -> str:
        name = f"{PARAMETER_PREFIX}{len(parameters) + 1}"
        parameters[name] = list(value) if isinstance(value, tuple) else value
        return f"{{{name}:{kind}}}"

    def show(node: Tree[Predicate]) -> str:
        match node:
            case Predicate():
                return node.sql.format(*(bind(kind, value) for kind, value in node.values))
            case Not():
                return f"NOT ({show(node.part)})"
            case And():
                return "(" + " AND ".join(show(part) for part in node.parts) + ")"
            case Or():
                return "(" + " OR ".join(show(part) for part in node.parts) + ")"

    return Condition(show(tree), parameters)
