"""Evaluates a tree over the points that were read for it, all steps of a node at once."""

import threading
from collections.abc import Mapping

import numpy as np

from duoscope.telemetry.promql import grids
from duoscope.telemetry.promql.errors import ExpressionError, not_there
from duoscope.telemetry.promql.functions import aggregate, binary, windows
from duoscope.telemetry.promql.functions.calls import absent, called
from duoscope.telemetry.promql.functions.over_time import KEEPS_NAME, RANGE_FUNCTIONS
from duoscope.telemetry.promql.grids import Times
from duoscope.telemetry.promql.syntax import tree
from duoscope.telemetry.promql.syntax.tree import unwrapped
from duoscope.telemetry.promql.values import (
    STALE,
    Floats,
    Ints,
    Notes,
    Objects,
    Points,
    Scalar,
    String,
    Value,
    Vector,
    anywhere,
    at_any_time,
    check_cells,
    filled,
)


class Evaluation:
    """One evaluation of one expression.

    Args:
        times: the steps of the query.
        fetched: points by the id of the selector that they were read for.
        notes: collects warnings and remarks.
        is_unwanted: set when nobody waits for the value any more.
    """

    def __init__(
        self, times: Times, fetched: Mapping[int, Points], notes: Notes, is_unwanted: threading.Event | None = None
    ) -> None:
        self.times = times
        self.notes = notes
        self._fetched = fetched
        self._is_unwanted = is_unwanted

    def value(self, node: tree.Node, moments: Ints) -> Value:  # noqa: PLR0911 - a branch for each kind of node
        """The value of a node at each moment.

        Raises:
            ExpressionError: the data do not allow it.
        """
        if self._is_unwanted and self._is_unwanted.is_set():
            raise ExpressionError("the query was ended", "canceled")
        match node:
            case tree.Number():
                return Scalar(np.full(len(moments), node.value))
            case tree.Text():
                return String(node.value)
            case tree.Paren():
                return self.value(node.of, moments)
            case tree.Negative():
                return _negative(self.value(node.of, moments))
            case tree.Selector():
                return self.newest(node, moments)[0]
            case tree.Binary():
                return self._binary(node, moments)
            case tree.Aggregate():
                return self._aggregate(node, moments)
            case tree.Call():
                return self._call(node, moments)
            case _:
                raise not_there(f"a {tree.type_of(node)} in this place")

    def vector(self, node: tree.Node, moments: Ints) -> Vector:
        """The value of a node that is a vector."""
        value = self.value(node, moments)
        assert isinstance(value, Vector)
        return value

    def newest(self, node: tree.Selector, moments: Ints) -> tuple[Vector, Ints]:
        """The newest point of each series at each moment, and its time."""
        points = self._points(node)
        ends = self.times.ends(moments, node.offset_ms, node.at)
        low, high = points.windows(ends - self.times.lookback_ms, ends)
        cut = windows.Cut(points, low, high)
        values, times = cut.at(high - 1)
        has = cut.count > 0
        hist: Objects = None
        if len(points.times):
            index = np.clip(high - 1, 0, len(points.times) - 1)
            has &= ~points.is_stale[index]
            if points.hist is not None:
                hist = np.where(has, points.hist[index], None)
        vector = Vector(points.labels, values, has, hist, points.drop.copy())
        some = np.flatnonzero(at_any_time(has))
        return vector.taken(some), times[some]

    def matrix(self, node: tree.Node) -> Points:
        """The points of a range of an instant query."""
        node = unwrapped(node)
        points, starts, ends, _ = self.window(node, self.times.moments)
        low, high = points.windows(starts, ends)
        kept = np.zeros(len(points.times) + 1, np.int64)
        np.add.at(kept, low[:, 0], 1)
        np.add.at(kept, high[:, 0], -1)
        return points.kept(np.cumsum(kept)[:-1] > 0)

    def window(self, node: tree.Node, moments: Ints) -> tuple[Points, Ints, Ints, int]:
        """The points of a range, the start and the end of its window at each moment, and its position."""
        node = unwrapped(node)
        if isinstance(node, tree.Matrix):
            points = self._points(node.selector)
            ends = self.times.ends(moments, node.selector.offset_ms, node.selector.at)
            return points.kept(~points.is_stale), ends - node.range_ms, ends, node.position
        if isinstance(node, tree.Subquery):
            ends = self.times.ends(moments, node.offset_ms, node.at)
            inner = grids.inner(node, ends)
            value = self.value(node.of, inner)
            if isinstance(value, Scalar):
                value = Vector([()], value.values[None, :], np.ones((1, len(inner)), np.bool_))
            assert isinstance(value, Vector)
            return _as_points(value, inner), ends - node.range_ms, ends, node.position
        raise not_there(f"a {tree.type_of(node)} as a range")

    def _points(self, node: tree.Selector) -> Points:
        found = self._fetched.get(id(node))
        if found is None:
            nothing = np.zeros(0, np.int64)
            return Points([], np.zeros(1, np.int64), nothing, np.zeros(0))
        return found

    def _binary(self, node: tree.Binary, moments: Ints) -> Value:
        left, right = self.value(node.left, moments), self.value(node.right, moments)
        match left, right:
            case Scalar(), Scalar():
                return binary.scalars(node, left, right)
            case Vector(), Scalar():
                return binary.with_scalar(node, left, right, self.notes, is_swapped=False)
            case Scalar(), Vector():
                return binary.with_scalar(node, right, left, self.notes, is_swapped=True)
            case Vector(), Vector():
                if node.operator in binary.SETS:
                    return binary.sets(node, left, right)
                return binary.vectors(node, left, right, self.notes)
            case _:
                raise not_there("a string beside an operator")

    def _aggregate(self, node: tree.Aggregate, moments: Ints) -> Vector:
        parameter = self.value(node.parameter, moments) if node.parameter is not None else None
        vector = self.vector(node.of, moments)
        call = aggregate.Aggregation(
            node.operator,
            vector,
            aggregate.grouped(vector, node.labels, without=node.without),
            parameter,
            self.notes,
            node.of.position,
            node.parameter.position if node.parameter is not None else 0,
            is_instant=self.times.step_ms == 0 and len(moments) == 1,
        )
        if node.operator not in aggregate.AGGREGATIONS:
            raise not_there(f"the aggregation {node.operator}")
        return aggregate.AGGREGATIONS[node.operator](call)

    def _call(self, node: tree.Call, moments: Ints) -> Value:
        which = next((n for n, given in enumerate(node.arguments) if tree.type_of(given) == "matrix"), None)
        if node.function == "absent_over_time":
            return self._absent_over_time(node, moments)
        if which is None:
            return called(self, node, moments)
        function = RANGE_FUNCTIONS.get(node.function)
        if function is None:
            raise not_there(f"the function {node.function}")
        points, starts, ends, position = self.window(node.arguments[which], moments)
        before = [self.value(argument, moments) for argument in node.arguments[:which]]
        after = [self.value(argument, moments) for argument in node.arguments[which + 1 :]]
        check_cells(len(points.labels), len(moments))
        others = [*node.arguments[:which], *node.arguments[which + 1 :]]
        argument = others[0].position if others else 0
        call = windows.Call(node.function, points, moments, starts, ends, before, after, self.notes, position, argument)
        values, has, hist = function(call)
        drop = points.drop if node.function in KEEPS_NAME else np.ones(len(points.labels), np.bool_)
        return Vector(points.labels, values, has, hist, drop).present()

    def _absent_over_time(self, node: tree.Call, moments: Ints) -> Vector:
        points, starts, ends, _ = self.window(node.arguments[0], moments)
        low, high = points.windows(starts, ends)
        return absent(unwrapped(node.arguments[0]), anywhere(high > low))


def _negative(value: Value) -> Value:
    if isinstance(value, Scalar):
        return Scalar(-value.values)
    assert isinstance(value, Vector)
    hist: Objects = None
    if value.hist is not None:
        hist = value.hist.copy()
        for row, step in zip(*np.nonzero(value.is_hist), strict=True):
            hist[row, step] = hist[row, step].scaled(-1.0)
    return Vector(value.labels, -value.values, value.has, hist, np.ones(len(value.labels), np.bool_))


def _as_points(vector: Vector, moments: Ints) -> Points:
    """Turn a vector over moments into points of series."""
    rows, columns = np.nonzero(vector.has)
    bounds = np.concatenate([[0], np.cumsum(vector.has.sum(axis=1))]).astype(np.int64)
    values: Floats = vector.values[rows, columns].copy()
    hist: Objects = None
    if vector.hist is not None:
        hist = vector.hist[rows, columns]
    for place in np.flatnonzero(filled(hist)).tolist() if vector.hist is not None else []:
        if hist[place].hint in ("reset", "not_reset"):  # said of the point before, which need not be the one here
            hist[place] = hist[place].copy()
            hist[place].hint = "unknown"
    values[values.view(np.uint64) == STALE.view(np.uint64)] = np.nan
    return Points(vector.labels, bounds, moments[columns], values, hist, drop=vector.drop)
