"""Composite rules: a boolean expression over the states of other rules, never over telemetry.

A name stands for "that rule fires". A rule that could not be evaluated lately is neither firing nor not: the expression
decides if it can without it, and is inconclusive otherwise.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import numpy as np
from msgspec import Meta, Struct

from duoscope.alerting.comparing import Judged, refused
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.questions.answers import Steps
from duoscope.telemetry.times import SECOND_NS

RULES_MAX: Final = 10
DEPTH_MAX: Final = 2
"""A composite rule may be of composite rules, which are of others."""
LABELS_MAX: Final = 5
_EXPRESSION_CHARS_MAX: Final = 500
_Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,31}$")]


class WatchedRules(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="rules"):
    """Other rules of the tenant, by names for the expression."""

    of: Annotated[dict[_Name, UUID], Meta(min_length=1, max_length=RULES_MAX, description="Ids of rules by name.")]

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that reading their states needs."""
        return frozenset({"alert:read"})

    def check(self) -> None:
        """Raise INVALID for a name that is a word of expressions."""
        for name in self.of:
            if name in _WORDS:
                raise invalid(f"`of`: {name} is a word of expressions; take another name.")


class Composite(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="composite"):
    """A boolean expression over other rules: `errors and (latency or not traffic)`."""

    expression: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=_EXPRESSION_CHARS_MAX,
            description="Names of `query_config.of`, each true while that rule fires, with and, or, not and brackets.",
            examples=["errors and not maintenance"],
        ),
    ]
    by: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(
            max_length=LABELS_MAX,
            description="Labels: alerts of the rules are put together where these agree, each set an instance of its "
            "own. Without any, a rule fires if any of its instances does.",
        ),
    ] = ()

    @property
    def threshold(self) -> None:
        """Nothing is compared."""

    def check(self) -> None:
        """Raise INVALID for an expression that cannot be read."""
        parsed(self.expression)

    def steps(self, end_ns: int, interval_s: int) -> Steps:
        """The moment whose states are read."""
        return Steps(end_ns, interval_s * SECOND_NS)

    def names(self) -> frozenset[str]:
        """The names in the expression. Raises INVALID."""
        return frozenset(node.id for node in ast.walk(parsed(self.expression)) if isinstance(node, ast.Name))


@dataclass(frozen=True, slots=True)
class RuleState:
    """The state of a watched rule.

    Attributes:
        alerting: the labels of its instances that fire.
        is_known: whether it was evaluated, and lately.
    """

    alerting: Sequence[Labels]
    is_known: bool = True


def judged(condition: Composite, states: Mapping[str, RuleState | None]) -> Judged:
    """The verdict on the states of rules by their names.

    Raises:
        DuoscopeError: INVALID `watched-rule-gone` for a rule that is deleted or disabled (None).
    """
    if gone := sorted(name for name, state in states.items() if state is None):
        raise invalid(f"The rule {gone[0]} of `query_config.of` is deleted or disabled.", code="watched-rule-gone")
    firing = {
        name: {label_sets.only(each, condition.by) for each in state.alerting}
        for name, state in states.items()
        if state is not None
    }
    unknown = {name for name, state in states.items() if state is not None and not state.is_known}
    places = sorted(set[Labels]().union(*firing.values())) if condition.by else [label_sets.NONE]
    expression = parsed(condition.expression)
    verdicts = [
        _value(expression, {name: None if name in unknown else place in held for name, held in firing.items()})
        for place in places
    ]
    breach = np.array([verdict is True for verdict in verdicts], np.bool_)
    known = np.array([verdict is not None for verdict in verdicts], np.bool_)
    return Judged(places, breach.astype(np.float64), breach, ~breach, known, is_filter=bool(condition.by))


def require_acyclic(alert_rule_id: UUID, watched: Iterable[UUID], of_others: Mapping[UUID, frozenset[UUID]]) -> None:
    """Raise INVALID if the rules would watch each other in a circle, or be deeper than DEPTH_MAX.

    Args:
        alert_rule_id: of the composite rule that is made or changed.
        watched: the rules that it is to watch.
        of_others: the rules that each other composite rule of the tenant watches.
    """
    edges = {**of_others, alert_rule_id: frozenset(watched)}

    def depth(rule: UUID, above: frozenset[UUID]) -> int:
        if rule in above:
            raise invalid("`query_config.of`: these rules watch each other in a circle.", code="watched-in-a-circle")
        if rule not in edges:
            return 0
        return 1 + max((depth(each, above | {rule}) for each in edges[rule]), default=0)

    if max(depth(rule, frozenset()) for rule in edges) > DEPTH_MAX:
        raise invalid(
            f"`query_config.of`: composite rules are at most {DEPTH_MAX} deep: one of others, which watch no further "
            "composite rules.",
            code="watched-too-deep",
        )


def not_found(alert_rule_id: UUID) -> DuoscopeError:
    """The error for a rule to be watched that is not there."""
    return DuoscopeError(
        ErrorKind.INVALID, "watched-rule-gone", f"`query_config.of`: there is no rule {alert_rule_id}."
    )


_WORDS: Final = frozenset({"and", "or", "not"})


def parsed(expression: str) -> ast.expr:
    """Parse an expression, by Python's own parser: the words are the same. Raises INVALID."""
    try:
        node = ast.parse(" ".join(expression.split()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise refused("`expression` takes names with and, or, not and brackets.") from None
    for part in ast.walk(node):
        if not isinstance(part, ast.BoolOp | ast.UnaryOp | ast.Name | ast.And | ast.Or | ast.Not | ast.Load):
            raise refused("`expression` takes names with and, or, not and brackets.")
    return node


def _value(node: ast.expr, states: Mapping[str, bool | None]) -> bool | None:
    """The value of an expression in three-valued logic: None is unknown."""
    match node:
        case ast.Name():
            return states.get(node.id)
        case ast.UnaryOp():
            inner = _value(node.operand, states)
            return None if inner is None else not inner
        case ast.BoolOp():
            values = [_value(each, states) for each in node.values]
            decisive = isinstance(node.op, ast.Or)
            if decisive in values:
                return decisive
            return None if None in values else not decisive
        case _:
            raise AssertionError(node)
