"""Several queries of metrics in one frame, and formulas over their results.

A formula is PromQL over the results by their names: `100 * errors / requests`, `topk(5, a)`, `max_over_time(a[1h])`. It
is evaluated at each step, and sees nothing but these results.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError, ErrorKind, Place, invalid
from duoscope.kernel.limits import METRIC_SERIES_MAX, PROMQL_TIMEOUT_S
from duoscope.stores.clickhouse import TOO_EXPENSIVE, TelemetryReader
from duoscope.telemetry.metrics import query as metrics
from duoscope.telemetry.metrics.frames import second, step_seconds
from duoscope.telemetry.metrics.tables import Fill, NamedSeries, Table, numbered, table_of
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.syntax import parse, tree
from duoscope.telemetry.promql.values import Floats, Scalar, Vector
from duoscope.telemetry.times import SECOND_NS, TimeRange

QUERIES_MAX: Final = 6
FORMULAS_MAX: Final = 6
FORMULA_CHARS_MAX: Final = 1000
AT_STEP: Final = "1m"
CELLS_MAX: Final = 4_000_000
"""Values of all queries, series by steps, in 32 MB."""
_MS: Final = 1000
_EXACTLY_MS: Final = 1
"""How old a value may be: a formula sees the values of its step and no earlier ones."""

Rank = Literal["avg", "max", "min", "sum", "last"]
_Head: TypeAlias = tuple[str, bool, str | None, str, str]
"""The first members of a `Result`."""


class Result(Struct, frozen=True):
    """The series of a query or of a formula, as columns."""

    name: Annotated[str, Meta(description="The query's name, or the formula.", examples=["errors"])]
    is_formula: bool
    type: Annotated[str | None, Meta(description="Of the metric; null of one never seen, and of a formula.")]
    unit: Annotated[str, Meta(description="Of the values; empty for a formula.", examples=["s"])]
    aggregation: Annotated[str, Meta(description="Empty for a formula.", examples=["rate"])]
    labels: Annotated[list[dict[str, str]], Meta(description="Of each series.", examples=[[{"service": "checkout"}]])]
    values: Annotated[
        list[list[float | None]],
        Meta(description="Of each series one value a step; null where there is none.", examples=[[[1.5, None]]]),
    ]
    series_count: Annotated[int, Meta(description="With those that are not shown.")]
    warnings: Annotated[list[str], Meta(description="What makes the values of a formula doubtful.")] = []


class Results(Struct, frozen=True):
    """The results of queries, then of formulas, in their order."""

    start: Annotated[str, Meta(description="Of the first step.", examples=["2026-01-31T12:00:00Z"])]
    step_s: Annotated[int, Meta(description="Seconds.", examples=[60])]
    step_count: int
    results: list[Result]


@dataclass(frozen=True, slots=True)
class Query:
    """One query: the metric, how it is read, and what stands where it has no value."""

    metric: str
    how: metrics.How
    fill: Fill = "null"


@dataclass(frozen=True, slots=True)
class Shown:
    """The number of series of a result that are shown, and their order: by one number of each series over all steps."""

    series: int = METRIC_SERIES_MAX
    rank: Rank | None = None
    is_descending: bool = True


async def evaluate(
    reader: TelemetryReader,
    times: TimeRange,
    queries: Mapping[str, Query],
    formulas: Sequence[str],
    *,
    step: str | int | None = None,
    shown: Shown | None = None,
) -> Results:
    """Run queries one after the other, and evaluate formulas over what they found.

    Args:
        reader: the tenant's.
        times: the range, which is widened to whole steps.
        queries: by name, at most `QUERIES_MAX`.
        formulas: over these names, at most `FORMULAS_MAX`.
        step: as of `query.query`.
        shown: of each result; all up to `METRIC_SERIES_MAX` unless given.

    Raises:
        DuoscopeError: INVALID, naming the query or the formula; UNAVAILABLE.
    """
    shown = shown or Shown()
    if any(len(formula) > FORMULA_CHARS_MAX for formula in formulas):
        raise invalid(f"`formulas`: at most {FORMULA_CHARS_MAX} characters each.", code="invalid-formula")
    nodes = [parsed(formula, queries) for formula in formulas]
    found = await _found(reader, times, queries, step)
    frame = next(iter(found.values())).frame
    steps, room = (frame.end_s - frame.start_s) // frame.step_s, CELLS_MAX
    tables: dict[str, Table] = {}
    results: list[Result] = []
    for name, one in found.items():
        keys = await asyncio.to_thread(numbered, one)
        room -= len(keys) * steps
        if room < 0:
            raise invalid(
                f"The queries have more than {CELLS_MAX:,} values, series by steps: take a larger `step`, or group by "
                "less.",
                code=TOO_EXPENSIVE,
            )
        reader.hold(8 * len(keys) * steps)
        tables[name] = await asyncio.to_thread(table_of, one, keys, queries[name].fill)
        head = (name, False, one.kind, one.unit, one.aggregation)
        results.append(await asyncio.to_thread(_result, head, tables[name], shown))
    moments = np.arange(frame.start_s, frame.end_s, frame.step_s, dtype=np.int64) * _MS
    named = await asyncio.to_thread(NamedSeries, reader, tables, moments)
    for number, (formula, node) in enumerate(zip(formulas, nodes, strict=True), 1):
        try:
            async with asyncio.timeout(PROMQL_TIMEOUT_S):
                answer = await engine.over_range(
                    named, formula, node, frame.start_s * _MS, (frame.end_s - frame.step_s) * _MS, frame.step_s * _MS,
                    _EXACTLY_MS,
                )  # fmt: skip
        except ExpressionError as error:
            reader.require_wanted()
            raise _of_formula(number, error) from error
        except TimeoutError:
            raise invalid(f"`formulas`: number {number} takes longer than {PROMQL_TIMEOUT_S} s.") from None
        reader.require_wanted()
        head = (formula, True, None, "", "")
        results.append(await asyncio.to_thread(_answered, head, answer, shown))
    return Results(second(frame.start_s), frame.step_s, steps, results)


def is_name(name: str) -> bool:
    """Whether formulas can name a query so: PromQL has words of its own, such as `on` and `inf`."""
    try:
        node = parse.parse(name)
    except ExpressionError:
        return False
    return isinstance(node, tree.Selector) and node.name == name and bool(re.fullmatch("[a-z][a-z0-9_]*", name))


def newest_step(at_ns: int, step: str | int) -> TimeRange:
    """The newest whole step that had ended at a moment.

    Raises:
        DuoscopeError: INVALID for a step that is none.
    """
    step_ns = step_seconds(step) * SECOND_NS
    end_ns = at_ns // step_ns * step_ns
    if end_ns < step_ns:
        raise invalid("`at` is before the end of the first step since 1970.")
    return TimeRange(end_ns - step_ns, end_ns)


def parsed(formula: str, queries: Collection[str]) -> tree.Node:
    """Parse a formula over queries of these names.

    Raises:
        DuoscopeError: INVALID `invalid-formula`.
    """
    try:
        node = parse.parse(formula)
    except ExpressionError as error:
        place = None if error.position is None else Place(error.position, field="formulas")
        message = f"`formulas`: {formula[:100]!r}: {error.message}"
        raise invalid(message, code="invalid-formula", place=place) from error
    for selector in tree.selectors(node):
        for group in selector.groups:
            names = [matcher.value for matcher in group if matcher.name == label_sets.NAME and matcher.type == "="]
            if not names or names[0] not in queries:
                what = f"there is no query {names[0][:40]!r}" if names else "each selector names a query"
                raise invalid(
                    f"`formulas`: {formula[:100]!r}: {what}; queries are {', '.join(queries)}.", code="invalid-formula"
                )
    return node


def _of_formula(number: int, error: ExpressionError) -> DuoscopeError:
    return invalid(f"`formulas`: number {number}: {error.message}", code="invalid-formula")


async def _found(
    reader: TelemetryReader, times: TimeRange, queries: Mapping[str, Query], step: str | int | None
) -> dict[str, metrics.Found]:
    async def read(name: str, query: Query) -> metrics.Found:
        try:
            return await metrics.read(reader, times, query.metric, step=step, **query.how)
        except DuoscopeError as error:
            if error.kind is not ErrorKind.INVALID or len(queries) == 1:
                raise
            raise invalid(f"Query {name}: {error}", code=error.code) from error

    # One after the other: a tenant has few places, and all at once would wait for one another.
    return {name: await read(name, query) for name, query in queries.items()}


def _answered(head: _Head, answer: engine.Answer, shown: Shown) -> Result:
    match answer.value:
        case Scalar(values):
            table = Table([label_sets.NONE], values.reshape(1, -1))
        case Vector() as vector:
            table = Table(vector.labels, np.where(vector.has, vector.values, np.nan))
        case other:
            raise AssertionError(other)
    return _result(head, table, shown, [*answer.warnings, *answer.infos])


def _result(head: _Head, table: Table, shown: Shown, warnings: Sequence[str] = ()) -> Result:
    rows = _order(table.values, shown)
    values = table.values[rows]
    finite = np.where(np.isfinite(values), values, np.nan).astype(object)
    finite[~np.isfinite(values)] = None
    labels = [dict(table.labels[row]) for row in rows]
    return Result(*head, labels, finite.tolist(), len(table.labels), list(warnings))


def _order(values: Floats, shown: Shown) -> list[int]:
    rows = np.arange(len(values))
    if shown.rank is not None and len(values):
        some = ~np.isnan(values)
        known = np.where(some, values, 0.0)
        count = np.maximum(some.sum(axis=1), 1)
        match shown.rank:
            case "avg":
                ranks = known.sum(axis=1) / count
            case "sum":
                ranks = known.sum(axis=1)
            case "max":
                ranks = np.where(some, values, -np.inf).max(axis=1)
            case "min":
                ranks = np.where(some, values, np.inf).min(axis=1)
            case "last":
                latest = values.shape[1] - 1 - np.argmax(some[:, ::-1], axis=1)
                ranks = known[rows, latest]
        # Series without any value are the last ones either way.
        ranks = np.where(some.any(axis=1), -ranks if shown.is_descending else ranks, np.inf)
        rows = np.argsort(ranks, kind="stable")
    return [int(row) for row in rows[: shown.series]]
