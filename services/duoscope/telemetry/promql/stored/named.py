"""Named expressions as series: computed when an expression selects their name, at the moments they would be recorded.

A value stands at each multiple of the interval, as a recording rule would have written it, and a marker ends a series
that has none. Over more than MOMENTS_MAX of them, every second (third, ...) is computed.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from duoscope.kernel.limits import METRIC_POINTS_MAX
from duoscope.kernel.named_expressions import NamedExpression
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError, execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.storage import Request, Storage, meets
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.promql.values import STALE, Floats, Ints, Points, Scalar, Vector, at_any_time

MOMENTS_MAX: Final = METRIC_POINTS_MAX - 1
NESTING_MAX: Final = 8
"""Named expressions in named expressions."""


def name_of(request: Request) -> str | None:
    """The one name that a request's series have, if it says one."""
    names = {
        next((each.value for each in group if each.name == label_sets.NAME and each.type == "="), None)
        for group in request.groups
    }
    return names.pop() if len(names) == 1 else None


async def points(storage: Storage, expressions: Sequence[NamedExpression], request: Request) -> Points:
    """The series of named expressions of one name, in the time range of a request.

    Args:
        storage: to evaluate them over.
        expressions: of that name.
        request: which of their series, and when.

    Raises:
        ExpressionError: one cannot be evaluated.
        DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
    """
    found: dict[Labels, tuple[Ints, Floats]] = {}
    for each in expressions:
        moments = _moments(each.interval_s * 1000, request)
        if not len(moments):
            continue
        try:
            vector = await _evaluated(storage, each, moments)
        except ExpressionError as error:
            raise execution(f"in the named expression {each.name}: {error.message}") from error
        for labels, times, values in _lines(vector, moments, each):
            if meets(labels, request.groups):
                found.setdefault(labels, (times, values))
    ordered = sorted(found)
    bounds = np.cumsum([0, *(len(found[labels][0]) for labels in ordered)]).astype(np.int64)
    times = np.concatenate([np.zeros(0, np.int64), *(found[labels][0] for labels in ordered)])
    return Points(ordered, bounds, times, np.concatenate([np.zeros(0), *(found[labels][1] for labels in ordered)]))


def _moments(interval_ms: int, request: Request) -> Ints:
    count = max(0, request.end_ms // interval_ms - request.start_ms // interval_ms)
    step_ms = interval_ms * max(1, math.ceil(count / MOMENTS_MAX))
    return np.arange(request.start_ms // step_ms + 1, request.end_ms // step_ms + 1, dtype=np.int64) * step_ms


async def _evaluated(storage: Storage, named: NamedExpression, moments: Ints) -> Vector:
    step_ms = int(moments[1] - moments[0]) if len(moments) > 1 else named.interval_s * 1000
    ends = int(moments[0]), int(moments[-1]), step_ms
    answer = await engine.over_range(storage, named.expression, parse(named.expression), *ends)
    match answer.value:
        case Scalar(values):
            return Vector([label_sets.NONE], values.reshape(1, -1), np.ones((1, len(moments)), np.bool_))
        case Vector() as vector if not vector.is_hist.any():
            return vector
        case _:
            raise ExpressionError("it is a histogram: take a number of it")


def _lines(vector: Vector, moments: Ints, named: NamedExpression) -> Iterable[tuple[Labels, Ints, Floats]]:
    """Each series with its times and values, and a marker where it ends."""
    has = vector.has
    ended = np.zeros_like(has)
    ended[:, 1:] = has[:, :-1] & ~has[:, 1:]
    values = np.where(ended, STALE, vector.values)
    for row in np.flatnonzero(at_any_time(has)).tolist():
        labels = label_sets.of({**dict(vector.labels[row]), label_sets.NAME: named.name, **named.labels})
        there = has[row] | ended[row]
        yield labels, moments[there], values[row][there]
