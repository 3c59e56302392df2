"""A tree in the JSON of Prometheus' `parse_query`."""

from typing import Any

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.numerals import plain
from duoscope.telemetry.promql.syntax import tree


def of_tree(node: tree.Node) -> dict[str, Any]:  # noqa: C901, PLR0911 - a branch for each kind of node
    """The answer of `parse_query` for an expression."""
    match node:
        case tree.Number():
            return {"type": "numberLiteral", "val": plain(node.value)}
        case tree.Text():
            return {"type": "stringLiteral", "val": node.value}
        case tree.Selector():
            return {"type": "vectorSelector"} | _selector(node)
        case tree.Matrix():
            return {"type": "matrixSelector", "range": node.range_ms} | _selector(node.selector)
        case tree.Subquery():
            return {
                "type": "subquery",
                "expr": of_tree(node.of),
                "range": node.range_ms,
                "step": node.step_ms or 0,
            } | _moved(node.offset_ms, node.at)
        case tree.Paren():
            return {"type": "parenExpr", "expr": of_tree(node.of)}
        case tree.Negative():
            return {"type": "unaryExpr", "op": "-", "expr": of_tree(node.of)}
        case tree.Binary():
            return _binary(node)
        case tree.Aggregate():
            return {
                "type": "aggregation",
                "op": node.operator,
                "expr": of_tree(node.of),
                "param": of_tree(node.parameter) if node.parameter is not None else None,
                "grouping": list(node.labels),
                "without": node.without,
            }
        case tree.Call():
            function = {
                "name": node.function,
                "argTypes": [tree.type_of(argument) for argument in node.arguments],
                "variadic": 0,
                "returnType": node.returns,
            }
            return {"type": "call", "func": function, "args": [of_tree(argument) for argument in node.arguments]}
        case _:
            raise TypeError(node)


def _selector(node: tree.Selector) -> dict[str, Any]:
    matchers = [
        {"name": matcher.name, "type": matcher.type, "value": matcher.value}
        for group in node.groups
        for matcher in group
    ]
    name = node.name or ""
    if not any(m["name"] == label_sets.NAME for m in matchers):
        name = ""
    return {"name": name, "matchers": matchers} | _moved(node.offset_ms, node.at)


def _moved(offset_ms: int, at: tree.At | None) -> dict[str, Any]:
    return {
        "offset": offset_ms,
        "timestamp": at.moment_ms if at is not None else None,
        "startOrEnd": at.of_query if at is not None else None,
    }


def _binary(node: tree.Binary) -> dict[str, Any]:
    matching = node.matching
    is_of_vectors = "scalar" not in (tree.type_of(node.left), tree.type_of(node.right))
    return {
        "type": "binaryExpr",
        "op": node.operator,
        "lhs": of_tree(node.left),
        "rhs": of_tree(node.right),
        "matching": {
            "card": matching.cardinality,
            "labels": list(matching.labels),
            "on": matching.on,
            "include": list(matching.include),
        }
        if is_of_vectors
        else None,
        "bool": node.returns_bool,
    }
