"""When each part of an expression is evaluated, and what must be read for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from duoscope.kernel.limits import PROMQL_CELLS_MAX
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.syntax import tree
from duoscope.telemetry.promql.values import Ints

SUBQUERY_STEP_MS: Final = 60_000
"""The step of subqueries that name none."""


@dataclass(frozen=True, slots=True)
class Times:
    """The steps of a query.

    Attributes:
        moments: in milliseconds.
        step_ms: between them; 0 for an instant query.
        start_ms: of the query.
        end_ms: of the query.
        lookback_ms: how old a point may be and still be a value.
    """

    moments: Ints
    step_ms: int
    start_ms: int
    end_ms: int
    lookback_ms: int

    def ends(self, moments: Ints, offset_ms: int, at: tree.At | None) -> Ints:
        """The ends of the windows at these moments."""
        if at is not None:
            of_query = self.start_ms if at.of_query == "start" else self.end_ms
            fixed = of_query if at.moment_ms is None else at.moment_ms
            return np.full(len(moments), fixed - offset_ms, np.int64)
        return moments - offset_ms


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selector and the time range of the points it needs, start exclusive."""

    node: tree.Selector
    start_ms: int
    end_ms: int


def inner(node: tree.Subquery, ends: Ints) -> Ints:
    """The moments at which the content of a subquery is evaluated: multiples of its step in all of its windows.

    Raises:
        ExpressionError: there are too many.
    """
    step = node.step_ms or SUBQUERY_STEP_MS
    if not len(ends):
        return np.zeros(0, np.int64)
    first, last = int(ends.min()) - node.range_ms, int(ends.max())
    start = (first // step + 1) * step
    if (last - start) // step + 1 > PROMQL_CELLS_MAX:
        raise ExpressionError("the subquery has too many steps: take a larger one, or a shorter range")
    return np.arange(start, last + 1, step, dtype=np.int64)


def selected(node: tree.Node, times: Times) -> list[Wanted]:
    """The selectors and times that must be read to evaluate an expression.

    Raises:
        ExpressionError: its subqueries have too many steps, together.
    """
    if not len(times.moments):
        return []
    return list(_selected(node, _Span(int(times.moments.min()), int(times.moments.max()), PROMQL_CELLS_MAX), times))


class _Span(NamedTuple):
    """The first and the last of the moments of a node, and how many more steps subqueries in it may have.

    Moments themselves may be millions in each of many subqueries, one in the other.
    """

    first: int
    last: int
    room: int

    def ended(self, times: Times, offset_ms: int, at: tree.At | None) -> "_Span":
        """The first and the last end of windows."""
        first, last = times.ends(np.array([self.first, self.last], np.int64), offset_ms, at)
        return _Span(int(first), int(last), self.room)

    def inside(self, node: tree.Subquery, times: Times) -> "_Span | None":
        """The first and the last moment of a subquery's content; None if it has none."""
        ends, step = self.ended(times, node.offset_ms, node.at), node.step_ms or SUBQUERY_STEP_MS
        first, last = ((ends.first - node.range_ms) // step + 1) * step, ends.last // step * step
        count = (last - first) // step + 1
        if count > self.room:
            raise ExpressionError("the subquery has too many steps: take a larger one, or a shorter range")
        return _Span(first, last, self.room - count) if count > 0 else None


def _selected(node: tree.Node, span: _Span, times: Times) -> Iterator[Wanted]:
    match node:
        case tree.Selector():
            ends = span.ended(times, node.offset_ms, node.at)
            yield Wanted(node, ends.first - times.lookback_ms, ends.last)
        case tree.Matrix():
            ends = span.ended(times, node.selector.offset_ms, node.selector.at)
            yield Wanted(node.selector, ends.first - node.range_ms, ends.last)
        case tree.Subquery():
            if inside := span.inside(node, times):
                yield from _selected(node.of, inside, times)
        case _:
            for child in tree.children(node):
                yield from _selected(child, span, times)
