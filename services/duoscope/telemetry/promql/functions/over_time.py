"""Functions over the points of a window: sums, extremes, quantiles, trends, counts of changes."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from duoscope.telemetry.promql.accumulators import Mean, Regression, Sum, Variance, quantiles, ranks, require_affordable
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.functions import rates
from duoscope.telemetry.promql.functions.windows import SECOND_MS, Call, Cut, Function, Result
from duoscope.telemetry.promql.histograms import Histogram, compatible
from duoscope.telemetry.promql.numerals import formatted
from duoscope.telemetry.promql.values import Bools, Floats, Ints, Objects, filled

_LINE_MIN: Final = 2
"""The least number of points for a line."""
_PADDED_MAX: Final = 2_000_000
"""Values of windows that are laid out side by side at once."""


def _sum(call: Call) -> Result:
    cut = call.floats()
    sums = Sum(cut.runs)
    for runs, index in ranks(cut.low, cut.high):
        sums.add(runs, cut.points.values[index])
    return _with_histograms(call, cut, sums.result(), is_mean=False)


def _avg(call: Call) -> Result:
    cut = call.floats()
    means = Mean(cut.runs)
    for runs, index in ranks(cut.low, cut.high):
        means.add(runs, cut.points.values[index])
    return _with_histograms(call, cut, means.result(), is_mean=True)


def _with_histograms(call: Call, cut: Cut, numbers: Floats, *, is_mean: bool) -> Result:
    values, has = numbers.reshape(cut.low.shape), cut.count > 0
    if not call.has_histograms:
        return values, has, None
    histograms = call.histograms()
    mixed = has & (histograms.count > 0)
    call.warn_of_mix(mixed)
    has = has & ~mixed
    hist = np.full(has.shape, None, object)
    for series, step in zip(*np.nonzero((histograms.count > 0) & ~mixed), strict=True):
        low, high = int(histograms.low[series, step]), int(histograms.high[series, step])
        total = _added(call, int(series), list(histograms.points.hist[low:high]))
        if total is not None:
            hist[series, step] = total.divided(high - low) if is_mean else total
            has[series, step] = True
    return values, has, hist


def _added(call: Call, series: int, points: list[Histogram]) -> Histogram | None:
    total, reconciled = points[0].copy(), False
    if len({"reset", "not_reset"} & {point.hint for point in points}) > 1:
        call.notes.warn("conflicting counter resets during histogram aggregation", call.position)
    for point in points[1:]:
        if not compatible(total, point):
            call.notes.warn(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name "
                f'"{call.name(series)}"',
                call.position,
            )
            return None
        total, differed = total.plus(point)
        reconciled |= differed
    if reconciled:
        call.notes.inform("mismatched custom buckets were reconciled during aggregation", call.position)
    return total


def _min(call: Call) -> Result:
    return _extreme(call, is_better=np.less)[0]


def _max(call: Call) -> Result:
    return _extreme(call, is_better=np.greater)[0]


def _extreme(call: Call, is_better: "np.ufunc") -> tuple[Result, Ints]:
    cut = call.floats()
    call.inform_of_ignored(cut)
    best = np.full(cut.runs, np.nan)
    times = np.zeros(cut.runs, np.int64)
    for runs, index in ranks(cut.low, cut.high):
        numbers = cut.points.values[index]
        takes = is_better(numbers, best[runs]) | np.isnan(best[runs])
        best[runs] = np.where(takes, numbers, best[runs])
        times[runs] = np.where(takes, cut.points.times[index], times[runs])
    return (best.reshape(cut.low.shape), cut.count > 0, None), times.reshape(cut.low.shape)


def _time_of_min(call: Call) -> Result:
    (_, has, _), times = _extreme(call, is_better=np.less_equal)
    return times / SECOND_MS, has, None


def _time_of_max(call: Call) -> Result:
    (_, has, _), times = _extreme(call, is_better=np.greater_equal)
    return times / SECOND_MS, has, None


def _count(call: Call) -> Result:
    count = call.all().count
    return count.astype(np.float64), count > 0, None


def _present(call: Call) -> Result:
    count = call.all().count
    return np.ones(count.shape), count > 0, None


def _last(call: Call) -> Result:
    cut = call.all()
    return _picked(cut, cut.high - 1)


def _first(call: Call) -> Result:
    cut = call.all()
    return _picked(cut, cut.low)


def _picked(cut: Cut, index: Ints) -> Result:
    has = cut.count > 0
    values, _ = cut.at(index)
    hist: Objects = None
    if cut.points.hist is not None and len(cut.points.hist):
        hist = np.where(has, cut.points.hist[np.clip(index, 0, len(cut.points.hist) - 1)], None)
    return values, has, hist


def _time_of_last(call: Call) -> Result:
    cut = call.all()
    return cut.at(cut.high - 1)[1] / SECOND_MS, cut.count > 0, None


def _time_of_first(call: Call) -> Result:
    cut = call.all()
    return cut.at(cut.low)[1] / SECOND_MS, cut.count > 0, None


def _variance(call: Call) -> Result:
    cut = call.floats()
    call.inform_of_ignored(cut)
    variances = Variance(cut.runs)
    for runs, index in ranks(cut.low, cut.high):
        variances.add(runs, cut.points.values[index])
    return variances.result().reshape(cut.low.shape), cut.count > 0, None


def _deviation(call: Call) -> Result:
    values, has, _ = _variance(call)
    return np.sqrt(values), has, None


def _padded(cut: Cut) -> Iterator[tuple[Ints, Floats, Bools]]:
    """Lay out windows side by side, some at a time: which windows, their values, and where there is one."""
    low, count = cut.low.ravel(), cut.count.ravel()
    require_affordable(count)
    order = np.argsort(count, kind="stable")
    order = order[count[order] > 0]
    start = 0
    while start < len(order):
        end = start + 1
        width = int(count[order[start]])
        while end < len(order) and (end - start + 1) * int(count[order[end]]) <= _PADDED_MAX:
            end = min(len(order), end + max(1, (end - start) // 2))
        chosen = order[start:end]
        width = int(count[chosen[-1]])
        places = np.arange(width)[None, :]
        has = places < count[chosen][:, None]
        index = np.where(has, low[chosen][:, None] + places, 0)
        yield chosen, cut.points.values[index], has
        start = end


def _quantile(call: Call) -> Result:
    cut = call.floats()
    call.inform_of_ignored(cut)
    wanted = call.number(call.before[0])
    for q in np.unique(wanted[np.isnan(wanted) | (wanted < 0) | (wanted > 1)]):
        call.notes.warn(f"quantile value should be between 0 and 1, got {formatted(float(q))}", call.argument)
    each = np.broadcast_to(wanted[None, :], cut.low.shape).ravel()
    answers = np.full(cut.runs, np.nan)
    for chosen, numbers, has in _padded(cut):
        answers[chosen] = quantiles(numbers, has, each[chosen])
    return answers.reshape(cut.low.shape), cut.count > 0, None


def _median_deviation(call: Call) -> Result:
    cut = call.floats()
    call.inform_of_ignored(cut)
    answers = np.full(cut.runs, np.nan)
    for chosen, numbers, has in _padded(cut):
        half = np.full(len(chosen), 0.5)
        middle = quantiles(numbers, has, half)
        answers[chosen] = quantiles(np.abs(numbers - middle[:, None]), has, half)
    return answers.reshape(cut.low.shape), cut.count > 0, None


def _changes(call: Call) -> Result:
    return _flagged(call, is_reset=False)


def _resets(call: Call) -> Result:
    return _flagged(call, is_reset=True)


def _flagged(call: Call, *, is_reset: bool) -> Result:
    """The number of points of each window that differ from (or are a reset after) the previous one in the window."""
    cut = call.all()
    values = cut.points.values
    flags = np.zeros(len(values) + 1, np.bool_)
    if len(values):
        new, old = values[1:], values[:-1]
        flags[1:-1] = new < old if is_reset else (new != old) & ~(np.isnan(new) & np.isnan(old))
    hist = cut.points.hist
    if hist is not None:
        is_hist = filled(hist)
        for place in np.flatnonzero(is_hist[1:] | is_hist[:-1]) + 1:
            now, before = hist[place], hist[place - 1]
            if now is None or before is None:
                flags[place] = True
            else:
                flags[place] = now.is_reset_after(before) if is_reset else not now.equals(before)
    before = np.concatenate([[0], np.cumsum(flags)])
    counts = before[np.maximum(cut.high, cut.low + 1)] - before[np.minimum(cut.low + 1, len(before) - 1)]
    return np.where(cut.count > 0, counts, 0).astype(np.float64), cut.count > 0, None


def _deriv(call: Call) -> Result:
    cut = call.floats()
    call.inform_of_ignored(cut)
    _, first = cut.at(cut.low)
    slope, _ = _line(cut, first)
    return slope, cut.count >= _LINE_MIN, None


def _predict(call: Call) -> Result:
    cut = call.floats()
    call.inform_of_ignored(cut)
    slope, intercept = _line(cut, np.broadcast_to(call.times[None, :], cut.low.shape))
    return slope * call.number(call.after[0])[None, :] + intercept, cut.count >= _LINE_MIN, None


def _line(cut: Cut, origin: Ints) -> tuple[Floats, Floats]:
    lines = Regression(cut.runs)
    origin = origin.ravel()
    for runs, index in ranks(cut.low, cut.high):
        lines.add(runs, (cut.points.times[index] - origin[runs]) / SECOND_MS, cut.points.values[index])
    slope, intercept = lines.result()
    return slope.reshape(cut.low.shape), intercept.reshape(cut.low.shape)


def _smoothed(call: Call) -> Result:
    cut = call.floats()
    call.inform_of_ignored(cut)
    factors: list[Floats] = []
    for value, what in zip(call.after, ("smoothing", "trend"), strict=True):
        each = call.number(value)
        outside = each[~((each > 0) & (each < 1))]
        if len(outside):
            letter = what[0] + "f"
            raise execution(f"invalid {what} factor. Expected: 0 < {letter} < 1, got: {float(outside[0]):f}")
        factors.append(np.broadcast_to(each[None, :], cut.low.shape).ravel())
    by_value, by_trend = factors
    level, before, trend = np.zeros(cut.runs), np.zeros(cut.runs), np.zeros(cut.runs)
    for number, (runs, index) in enumerate(ranks(cut.low, cut.high)):
        values = cut.points.values[index]
        if number == 0:
            level[runs] = values
            continue
        if number == 1:
            trend[runs] = values - level[runs]
        else:
            trend[runs] = by_trend[runs] * (level[runs] - before[runs]) + (1 - by_trend[runs]) * trend[runs]
        new = by_value[runs] * values + (1 - by_value[runs]) * (level[runs] + trend[runs])
        before[runs] = level[runs]
        level[runs] = new
    return level.reshape(cut.low.shape), cut.count >= _LINE_MIN, None


RANGE_FUNCTIONS: Final[dict[str, Function]] = {
    "rate": rates.rate,
    "increase": rates.increase,
    "delta": rates.delta,
    "irate": rates.irate,
    "idelta": rates.idelta,
    "sum_over_time": _sum,
    "avg_over_time": _avg,
    "min_over_time": _min,
    "max_over_time": _max,
    "count_over_time": _count,
    "present_over_time": _present,
    "last_over_time": _last,
    "first_over_time": _first,
    "stdvar_over_time": _variance,
    "stddev_over_time": _deviation,
    "quantile_over_time": _quantile,
    "mad_over_time": _median_deviation,
    "changes": _changes,
    "resets": _resets,
    "deriv": _deriv,
    "predict_linear": _predict,
    "double_exponential_smoothing": _smoothed,
    "ts_of_min_over_time": _time_of_min,
    "ts_of_max_over_time": _time_of_max,
    "ts_of_last_over_time": _time_of_last,
    "ts_of_first_over_time": _time_of_first,
}
KEEPS_NAME: Final = frozenset({"last_over_time", "first_over_time"})
