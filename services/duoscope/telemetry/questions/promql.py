"""Questions in PromQL."""

import asyncio
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.limits import PROMQL_TIMEOUT_S
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.grids import Times
from duoscope.telemetry.promql.storage import Request, Storage
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.syntax import parse, tree
from duoscope.telemetry.promql.values import Scalar, Vector
from duoscope.telemetry.questions.answers import Answered, Steps, refused

EXPRESSION_CHARS_MAX: Final = 8192
_BESIDE_NAME: Final = label_sets.SCHEMA - {label_sets.NAME}


class PromqlQuestion(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="promql"):
    """The value of a PromQL expression at each moment. Series keep their labels without the metric's name."""

    expression: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=EXPRESSION_CHARS_MAX,
            examples=["sum by (service) (rate(http_requests_total[5m]))"],
        ),
    ]

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"metric:read"})

    def check(self) -> None:
        """Raise INVALID `invalid-question` unless it is an expression with numbers for a value."""
        parsed(self.expression)

    async def read(self, reader: TelemetryReader, steps: Steps) -> Answered:
        """Ask it.

        Raises:
            DuoscopeError: INVALID; UNAVAILABLE.
        """
        return await evaluated(ClickHouseStorage(reader), self.expression, steps)


def parsed(expression: str) -> tree.Node:
    """Parse an expression. Raises INVALID `invalid-question` unless it has numbers for a value."""
    try:
        node = parse.parse(expression)
    except ExpressionError as error:
        raise refused(f"`expression`: {error.message}") from error
    kind = tree.type_of(node)
    if kind not in {"vector", "scalar"}:
        raise refused(f"`expression` is a {kind}: a rule needs a vector or a scalar, such as rate(…[5m]).")
    return node


def needs(expression: str, steps: Steps, *, lookback_ms: int = engine.LOOKBACK_MS) -> list[Request]:
    """List what is read to evaluate an expression at each moment, for storages that read for many at once.

    Raises:
        DuoscopeError: INVALID, as `evaluated`.
    """
    node, moments = parsed(expression), steps.moments_ms
    first, last = int(moments[0]), int(moments[-1])
    times = Times(moments, 0 if steps.count == 1 else steps.step_ns // 1_000_000, first, last, lookback_ms)
    try:
        return engine.requests(node, times)
    except ExpressionError as error:
        raise refused(f"`expression`: {error.message}") from error


async def evaluated(
    storage: Storage,
    expression: str,
    steps: Steps,
    *,
    lookback_ms: int = engine.LOOKBACK_MS,
    keeps_names: bool = False,
) -> Answered:
    """Evaluate an expression over some storage at each moment.

    Args:
        storage: of the series.
        expression: with numbers for a value.
        steps: the moments.
        lookback_ms: how old a value may be.
        keeps_names: whether series keep the metric's name, where the expression leaves it to them.

    Raises:
        DuoscopeError: INVALID, for histograms, and without names for series that differ in these alone; UNAVAILABLE.
    """
    node = parsed(expression)
    moments = steps.moments_ms
    try:
        async with asyncio.timeout(PROMQL_TIMEOUT_S):
            if steps.count == 1:
                answer = await engine.instant(storage, expression, node, int(moments[0]), lookback_ms)
            else:
                ends = int(moments[0]), int(moments[-1]), steps.step_ns // 1_000_000
                answer = await engine.over_range(storage, expression, node, *ends, lookback_ms)
    except ExpressionError as error:
        raise refused(f"`expression`: {error.message}") from error
    except TimeoutError:
        raise refused(f"`expression` takes longer than {PROMQL_TIMEOUT_S} s: take shorter ranges.") from None
    match answer.value:
        case Scalar(values):
            found = Answered([label_sets.NONE], values.reshape(1, -1), np.ones((1, steps.count), np.bool_))
        case Vector() as vector:
            found = _named(vector) if keeps_names else _nameless(vector)
        case other:
            raise AssertionError(other)
    found.points_read = answer.points_read
    return found


def _named(vector: Vector) -> Answered:
    if vector.is_hist.any():
        raise refused("`expression` is a histogram: take a number of it, as histogram_quantile does.")
    return Answered([label_sets.without(each, _BESIDE_NAME) for each in vector.labels], vector.values, vector.has)


def _nameless(vector: Vector) -> Answered:
    if vector.is_hist.any():
        raise refused("`expression` is a histogram: take a number of it, as histogram_quantile does.")
    labels = [label_sets.without(each, label_sets.SCHEMA) for each in vector.labels]
    if len(set(labels)) < len(labels):
        raise refused(
            "`expression` has series that differ in the metric's name alone: name one metric, or put them together "
            "with an aggregation."
        )
    return Answered(labels, vector.values, vector.has)
