"""The points of series, as arrays: numbers in rows of fixed width, histograms in one row each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from duoscope.kernel.limits import PROMQL_HISTOGRAMS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import plain
from duoscope.telemetry.promql.storage import meets
from duoscope.telemetry.promql.stored import series as stored_series
from duoscope.telemetry.promql.stored.series import TIME, Series
from duoscope.telemetry.promql.syntax.tree import Matcher
from duoscope.telemetry.promql.values import STALE, Bools, Floats, Ints, Objects, Points

_ROW: Final = np.dtype([("key", "<u8"), ("time", "<i8"), ("stale", "u1"), ("own", "<f8"), ("value", "<f8")])
_STALE: Final = "bitAnd(flags, 1) = 1"
_SCHEMA_MAX: Final = 8
_VALUES: Final = {
    "value": "value",
    "sum": "ifNull(toFloat64(sum), 0)",
    "count": "toFloat64(count)",
}
_JOINS: Final = {
    # A histogram without buckets gets one: all of its observations.
    "bucket": "ARRAY JOIN arrayConcat(bucket_bounds, [inf]) AS own_value, "
    "if(empty(bucket_counts), [count], arrayCumSum(bucket_counts)) AS own_count",
    "quantile": "ARRAY JOIN quantiles AS own_value, quantile_values AS own_count",
}


@dataclass(slots=True)
class Read:
    """Points that were read together, in the order of their series and times.

    Attributes:
        labels: of each series.
        is_delta: of each series.
        rows: the series of each point.
        times: in milliseconds.
        values: STALE where a series ended.
        hist: histograms in place of numbers.
    """

    labels: list[Labels]
    is_delta: list[bool]
    rows: Ints
    times: Ints
    values: Floats
    hist: Objects = None

    @property
    def count(self) -> int:
        """The number of points."""
        return len(self.times)


async def read(  # noqa: PLR0917 - what is read, and when
    reader: TelemetryReader,
    read_: stored_series.Read,
    chosen: stored_series.Chosen,
    start_ms: int,
    end_ms: int,
    most: int,
) -> Read:
    """Read the points of series after `start_ms` and up to `end_ms`, at most `most`.

    Raises:
        ExpressionError: there are more histograms than one query may read.
        DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
    """
    parameters = stored_series.bounds(start_ms, end_ms) | {"rows": most}
    if read_.part == "native":
        return await _native(reader, read_, chosen, parameters)
    if read_.part == "info":
        parameters["services"] = sorted({one.service for one in chosen.series})
        sql = (
            "SELECT cityHash64(resource) AS key, toUnixTimestamp64Milli(max(timestamp)) AS at, 0::UInt8, 0::Float64, "
            f"1::Float64 FROM ({stored_series.TARGETS}) GROUP BY resource, toStartOfMinute(timestamp) "
            "ORDER BY key, at LIMIT {rows:UInt64}"
        )
    else:
        is_own = read_.part in _JOINS
        own, value = ("own_value", "toFloat64(own_count)") if is_own else ("0::Float64", _VALUES[read_.part])
        named, values = chosen.condition()
        parameters |= values | read_.parameters
        if read_.part == "sum" and read_.view != "summaries":
            named += f" AND (isNotNull(sum) OR {_STALE})"
        sql = (
            f"SELECT {read_.key} AS key, toUnixTimestamp64Milli(timestamp) AS at, toUInt8({_STALE}), "
            f"{own} AS own, {value} AS number FROM @{read_.view} {_JOINS.get(read_.part, '')} "
            f"WHERE {read_.condition} AND {TIME}{named} "
            f"ORDER BY key, {'own, ' if is_own else ''}at LIMIT {{rows:UInt64}}"
        )
    raw = np.frombuffer(await reader.row_binary(sql, parameters, name="promql.points"), _ROW)
    return _numbers(read_, chosen.series, raw)


def _numbers(read_: stored_series.Read, series: Sequence[Series], raw: "np.ndarray[Any, Any]") -> Read:
    by_key = {one.key: one for one in series}
    changed = np.ones(len(raw), np.bool_)
    changed[1:] = raw["key"][1:] != raw["key"][:-1]
    if read_.own_label:
        changed[1:] |= raw["own"][1:] != raw["own"][:-1]
    firsts = np.flatnonzero(changed)
    run = np.cumsum(changed) - 1
    labels: list[Labels] = []
    is_delta: list[bool] = []
    number_of = np.full(len(firsts), -1, np.int64)
    for number, first in enumerate(firsts):
        found = by_key.get(int(raw["key"][first]))
        if found is None:
            continue
        number_of[number] = len(labels)
        own = read_.own_label
        labels.append(label_sets.replaced(found.labels, own, plain(float(raw["own"][first]))) if own else found.labels)
        is_delta.append(found.is_delta)
    rows = number_of[run] if len(raw) else np.zeros(0, np.int64)
    values = np.where(raw["stale"] == 1, STALE, raw["value"])
    known = rows >= 0
    found = Read(labels, is_delta, rows[known], raw["time"][known].astype(np.int64), values[known])
    return _all_ended(found, raw["key"][known], raw["stale"][known] == 1) if read_.own_label else found


def _all_ended(found: Read, keys: "np.ndarray[Any, Any]", stale: Bools) -> Read:
    """Add staleness markers to every bucket of a histogram: the point that ends it has no buckets."""
    if not stale.any():
        return found
    of_key: dict[int, list[int]] = {}
    for key, row in dict.fromkeys(zip(keys.tolist(), found.rows.tolist(), strict=True)):
        of_key.setdefault(key, []).append(row)
    ended = [
        (row, time)
        for key, time in zip(keys[stale].tolist(), found.times[stale].tolist(), strict=True)
        for row in of_key[key]
    ]
    rows, times = np.array(ended, np.int64).reshape(-1, 2).T
    return Read(
        found.labels,
        found.is_delta,
        np.concatenate([found.rows, rows]),
        np.concatenate([found.times, times]),
        np.concatenate([found.values, np.full(len(rows), STALE)]),
    )


async def _native(
    reader: TelemetryReader, read_: stored_series.Read, chosen: stored_series.Chosen, parameters: dict[str, object]
) -> Read:
    named, values = chosen.condition()
    series = chosen.series
    parameters |= values | read_.parameters | {"rows": PROMQL_HISTOGRAMS_MAX + 1}
    rows = await reader.query(
        f"SELECT {read_.key} AS key, toUnixTimestamp64Milli(timestamp) AS at, {_STALE} AS is_stale, scale, zero_count, "
        "zero_threshold, positive_offset, positive_bucket_counts, negative_offset, negative_bucket_counts, "
        f"ifNull(sum, 0) AS total, count AS observations FROM @{read_.view} "
        f"WHERE {read_.condition} AND {TIME}{named} ORDER BY key, at LIMIT {{rows:UInt64}}",
        parameters,
        name="promql.histograms",
    )
    if len(rows) > PROMQL_HISTOGRAMS_MAX:
        raise execution(
            f"the query reads more than {PROMQL_HISTOGRAMS_MAX:,} exponential histograms: take a shorter range, or "
            "fewer series"
        )
    numbers = {one.key: number for number, one in enumerate(series)}
    rows = [row for row in rows if row["key"] in numbers]
    hist = np.empty(len(rows), object)
    hist[:] = [None if row["is_stale"] else _histogram(row) for row in rows]
    return Read(
        [one.labels for one in series],
        [one.is_delta for one in series],
        np.array([numbers[row["key"]] for row in rows], np.int64),
        np.array([row["at"] for row in rows], np.int64),
        np.array([STALE if row["is_stale"] else 0.0 for row in rows], np.float64),
        hist,
    )


def _histogram(row: dict[str, Any]) -> Histogram:
    made = Histogram(
        schema=row["scale"],
        count=float(row["observations"]),
        sum=float(row["total"]),
        zero_threshold=row["zero_threshold"],
        zero_count=float(row["zero_count"]),
        # OTLP's bucket i begins where Prometheus' bucket i ends.
        positive=_buckets(row["positive_offset"] + 1, row["positive_bucket_counts"]),
        negative=_buckets(row["negative_offset"] + 1, row["negative_bucket_counts"]),
    )
    return made.to_schema(_SCHEMA_MAX) if made.schema > _SCHEMA_MAX else made


def _buckets(first: int, counts: Sequence[int]) -> dict[int, float]:
    return {first + number: float(count) for number, count in enumerate(counts) if count}


def joined(parts: Sequence[Read], groups: tuple[tuple[Matcher, ...], ...]) -> Points:
    """Join points that were read separately for one request, series ordered by their labels."""
    numbers: dict[Labels, int] = {}
    delta: dict[Labels, bool] = {}
    for part in parts:
        for labels, is_delta in zip(part.labels, part.is_delta, strict=True):
            if meets(labels, groups):
                numbers.setdefault(labels, 0)
                delta[labels] = is_delta
    ordered = sorted(numbers)
    numbers = {labels: number for number, labels in enumerate(ordered)}
    mapped = [np.array([numbers.get(labels, -1) for labels in part.labels], np.int64) for part in parts]
    rows = _concatenated([of[part.rows] for of, part in zip(mapped, parts, strict=True)], np.int64)
    times = _concatenated([part.times for part in parts], np.int64)
    values = _concatenated([part.values for part in parts], np.float64)
    hist: Objects = None
    if any(part.hist is not None for part in parts):
        hist = np.concatenate(
            [part.hist if part.hist is not None else np.full(part.count, None, object) for part in parts]
        )
    order = _order(rows, times)
    keep = order[rows[order] >= 0]
    keep = keep[_is_last(rows[keep], times[keep])]
    counts = np.bincount(rows[keep], minlength=len(ordered)) if len(keep) else np.zeros(len(ordered), np.int64)
    return Points(
        ordered,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        times[keep],
        values[keep],
        hist[keep] if hist is not None else None,
        np.array([delta[labels] for labels in ordered], np.bool_),
    )


def _concatenated(arrays: Sequence[Any], kind: Any) -> Any:
    return np.concatenate([np.zeros(0, kind), *arrays])


def _order(rows: Ints, times: Ints) -> Any:
    """The order by series and time. The store already has it, except for series that were merged, and names that sort
    differently.
    """
    if len(rows) < 2:  # noqa: PLR2004 - nothing to sort
        return np.arange(len(rows))
    by_row = np.argsort(rows, kind="stable")
    ordered_rows, ordered_times = rows[by_row], times[by_row]
    if ((ordered_times[1:] < ordered_times[:-1]) & (ordered_rows[1:] == ordered_rows[:-1])).any():
        return np.lexsort((times, rows))
    return by_row


def _is_last(rows: Ints, times: Ints) -> Bools:
    """Which points are the last of their series and moment."""
    last = np.ones(len(rows), np.bool_)
    if len(rows) > 1:
        last[:-1] = (rows[1:] != rows[:-1]) | (times[1:] != times[:-1])
    return last
