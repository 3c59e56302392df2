"""Plans, reads and evaluates an expression.

Reading is asynchronous and happens once, for all selectors together; evaluation is arithmetic on the data, in its own
thread. Every node is evaluated for all steps at once.
"""

import threading
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from duoscope.kernel.limits import METRIC_POINTS_MAX
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.evaluate import Evaluation
from duoscope.telemetry.promql.grids import Times, selected
from duoscope.telemetry.promql.storage import Request, Storage
from duoscope.telemetry.promql.syntax import tree
from duoscope.telemetry.promql.values import Ints, Notes, Points, Scalar, String, Vector, named

LOOKBACK_MS: Final = 300_000
"""How old a point may be and still be a series' value."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an expression.

    Attributes:
        value: a scalar, a string, a vector over the steps; or points, of an instant query for a range of them.
        times: of the steps, in milliseconds.
        warnings: what makes the result doubtful.
        infos: what may not be as intended.
        points_read: from the store.
    """

    value: "Scalar | String | Vector | Points"
    times: Ints
    warnings: list[str] = field(default_factory=list[str])
    infos: list[str] = field(default_factory=list[str])
    points_read: int = 0


def steps(start_ms: int, end_ms: int, step_ms: int) -> Ints:
    """The moments of a range query.

    Raises:
        ExpressionError: there are too many, or the range is empty.
    """
    if step_ms <= 0:
        raise ExpressionError("zero or negative query resolution step widths are not accepted. Try a positive integer")
    if end_ms < start_ms:
        raise ExpressionError('invalid parameter "end": end timestamp must not be before start time')
    if (end_ms - start_ms) // step_ms + 1 > METRIC_POINTS_MAX:
        raise ExpressionError(
            f"exceeded maximum resolution of {METRIC_POINTS_MAX:,} points per timeseries. Try decreasing the query "
            "resolution (?step=XX)"
        )
    return np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)


async def instant(
    storage: Storage, expression: str, node: tree.Node, at_ms: int, lookback_ms: int = LOOKBACK_MS
) -> Answer:
    """Evaluate an expression at one moment.

    Raises:
        ExpressionError: the data do not allow it.
        DuoscopeError: the store is down.
    """
    return await _evaluated(storage, expression, node, Times(np.array([at_ms], np.int64), 0, at_ms, at_ms, lookback_ms))


async def over_range(  # noqa: PLR0917 - as the API has them
    storage: Storage, expression: str, node: tree.Node, start_ms: int, end_ms: int, step_ms: int,
    lookback_ms: int = LOOKBACK_MS,
) -> Answer:  # fmt: skip
    """Evaluate an expression at each step of a range.

    Raises:
        ExpressionError: the data do not allow it.
        DuoscopeError: the store is down.
    """
    kind = tree.type_of(node)
    if kind not in ("vector", "scalar"):
        raise ExpressionError(
            f'invalid expression type "{kind if kind == "string" else "range vector"}" for range query, must be Scalar '
            "or instant Vector"
        )
    moments = steps(start_ms, end_ms, step_ms)
    return await _evaluated(storage, expression, node, Times(moments, step_ms, start_ms, end_ms, lookback_ms))


def requests(node: tree.Node, times: Times) -> list[Request]:
    """List what must be read to evaluate an expression.

    Raises:
        ExpressionError: its subqueries have too many steps.
    """
    return [Request(one.node.groups, one.start_ms, one.end_ms) for one in selected(node, times)]


async def _evaluated(storage: Storage, expression: str, node: tree.Node, times: Times) -> Answer:
    wanted = selected(node, times)
    requests = [Request(one.node.groups, one.start_ms, one.end_ms) for one in wanted]
    found = await storage.points(requests) if requests else []
    fetched = {id(one.node): points for one, points in zip(wanted, found, strict=True)}
    notes, is_unwanted = Notes(expression), threading.Event()

    def work() -> "Scalar | String | Vector | Points":
        evaluation = Evaluation(times, fetched, notes, is_unwanted)
        with np.errstate(all="ignore"):
            if tree.type_of(node) == "matrix":
                return evaluation.matrix(node)
            value = evaluation.value(node, times.moments)
            return named(value) if isinstance(value, Vector) else value

    value = await storage.compute(work, is_unwanted)
    read = sum(len(points.times) for points in found)
    return Answer(value, times.moments, list(notes.warnings), list(notes.infos), read)
