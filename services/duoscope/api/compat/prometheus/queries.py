"""Expressions: evaluated at a moment and over a range, parsed, formatted; and the exemplars of their metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar import Response

from duoscope.api.compat.prometheus.answers import of_answer, of_values
from duoscope.api.compat.prometheus.handlers import get_and_post
from duoscope.api.compat.prometheus.parameters import Parameters
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.limits import PROMQL_TIMEOUT_S
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql.engine import Answer
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.stored import exemplars
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.syntax import parse, tree_json

_MS: Final = 1000
_NS_PER_MS: Final = 1_000_000


async def _in_time(parameters: Parameters, work: Callable[[], Awaitable[Answer]]) -> Answer:
    seconds = min(parameters.duration_ms("timeout", PROMQL_TIMEOUT_S * _MS) / _MS, PROMQL_TIMEOUT_S)
    if seconds <= 0:
        raise ExpressionError('invalid parameter "timeout": it must be above 0')
    try:
        return await asyncio.wait_for(work(), seconds)
    except TimeoutError:
        raise ExpressionError(
            f"query timed out after {seconds:g} s: ask for less time, or fewer series", "timeout"
        ) from None


def _stats(parameters: Parameters, began: float, answer: Answer) -> dict[str, Any] | None:
    if not parameters.text("stats"):
        return None
    seconds = time.perf_counter() - began
    return {
        "timings": {
            "evalTotalTime": seconds,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": seconds,
            "execQueueTime": 0,
            "execTotalTime": seconds,
        },
        "samples": {"totalQueryableSamples": answer.points_read, "peakSamples": answer.points_read},
    }


async def _instant(parameters: Parameters, reader: TelemetryReader) -> Response[bytes]:
    began = time.perf_counter()
    expression = parameters.required("query")
    at_ms = parameters.moment_ms("time", now_unix_nano() // _NS_PER_MS)
    lookback_ms = parameters.duration_ms("lookback_delta", engine.LOOKBACK_MS)
    limit = parameters.number("limit")
    node = parse.parse(expression)
    storage = ClickHouseStorage(reader)
    answer = await _in_time(parameters, lambda: engine.instant(storage, expression, node, at_ms, lookback_ms))
    stats = _stats(parameters, began, answer)
    return await asyncio.to_thread(of_answer, answer, is_range=False, limit=limit, stats=stats)


async def _range(parameters: Parameters, reader: TelemetryReader) -> Response[bytes]:
    began = time.perf_counter()
    expression = parameters.required("query")
    start, end, step = parameters.moment_ms("start"), parameters.moment_ms("end"), parameters.duration_ms("step")
    lookback_ms = parameters.duration_ms("lookback_delta", engine.LOOKBACK_MS)
    limit = parameters.number("limit")
    engine.steps(start, end, step)
    node = parse.parse(expression)
    storage = ClickHouseStorage(reader)
    answer = await _in_time(
        parameters, lambda: engine.over_range(storage, expression, node, start, end, step, lookback_ms)
    )
    stats = _stats(parameters, began, answer)
    return await asyncio.to_thread(of_answer, answer, is_range=True, limit=limit, stats=stats)


async def _exemplars(parameters: Parameters, reader: TelemetryReader) -> Response[bytes]:
    node = parse.parse(parameters.required("query"))
    start, end = parameters.range_ms()
    return of_values(await exemplars.of_expression(ClickHouseStorage(reader), node, start, end))


async def _parsed(parameters: Parameters, _: TelemetryReader) -> Response[bytes]:
    return of_values(tree_json.of_tree(parse.parse(parameters.required("query"))))


async def _formatted(parameters: Parameters, _: TelemetryReader) -> Response[bytes]:
    return of_values(parse.pretty(parameters.required("query")))


ROUTES: Final = (
    *get_and_post(
        "query", _instant, ("query", "time", "timeout", "limit", "lookback_delta", "stats"),
        summary="Evaluate PromQL at a moment", description="The value of an expression at one moment.",
    ),
    *get_and_post(
        "query_range", _range, ("query", "start", "end", "step", "timeout", "limit", "lookback_delta", "stats"),
        summary="Evaluate PromQL over a range", description="The value of an expression at each step of a range.",
    ),
    *get_and_post(
        "query_exemplars", _exemplars, ("query", "start", "end"),
        summary="List exemplars of an expression",
        description="Exemplars of the metrics in an expression, with their traces.",
    ),
    *get_and_post(
        "parse_query", _parsed, ("query",), summary="Parse PromQL", description="The tree of an expression.",
    ),
    *get_and_post(
        "format_query", _formatted, ("query",), summary="Lay out PromQL",
        description="The expression in Prometheus' standard layout.",
    ),
)  # fmt: skip
