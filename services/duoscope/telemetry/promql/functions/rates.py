"""rate, increase, delta, irate and idelta: how much a series changed in a window.

For delta series (whose points are increments) rate and increase are what was counted in the window, without
extrapolation; a cumulative series is extrapolated to the window's ends as in Prometheus.
"""

from typing import Final

import numpy as np

from duoscope.telemetry.promql.accumulators import Sum, ranks
from duoscope.telemetry.promql.functions.windows import SECOND_MS, Call, Cut, Result
from duoscope.telemetry.promql.histograms import Histogram, compatible
from duoscope.telemetry.promql.values import Bools, Floats, Ints, Objects, at_any_time

_COUNTER_ENDS: Final = ("_total", "_sum", "_count", "_bucket")
_CHANGE_MIN: Final = 2
"""The least number of points for a change."""
_THRESHOLD: Final = 1.1
"""Factor of the average distance of points: a gap up to that at a window's end counts as covered."""


def rate(call: Call) -> Result:
    """The increase per second of a counter."""
    return _extrapolated(call, is_counter=True, is_rate=True)


def increase(call: Call) -> Result:
    """The increase of a counter in the window."""
    return _extrapolated(call, is_counter=True, is_rate=False)


def delta(call: Call) -> Result:
    """The change of a gauge in the window."""
    return _extrapolated(call, is_counter=False, is_rate=False)


def irate(call: Call) -> Result:
    """The increase per second of a counter between the last two points."""
    return _instant(call, is_rate=True)


def idelta(call: Call) -> Result:
    """The change of a gauge between the last two points."""
    return _instant(call, is_rate=False)


def _extrapolated(call: Call, *, is_counter: bool, is_rate: bool) -> Result:
    floats = call.floats()
    values, has = _of_floats(call, floats, is_counter=is_counter, is_rate=is_rate)
    if is_counter:
        for series in np.flatnonzero(at_any_time(has)).tolist():
            name = call.name(series)
            if name and not name.endswith(_COUNTER_ENDS):
                call.notes.inform(
                    f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{name}"',
                    call.position,
                )
    if not call.has_histograms:
        return values, has, None
    histograms = call.histograms()
    mixed = (floats.count > 0) & (histograms.count > 0)
    call.warn_of_mix(mixed)
    has &= ~mixed
    hist = np.full(has.shape, None, object)
    least = np.where(call.points.is_delta[:, None] & is_counter, 1, _CHANGE_MIN)
    for series, step in zip(*np.nonzero((histograms.count >= least) & ~mixed), strict=True):
        low, high = int(histograms.low[series, step]), int(histograms.high[series, step])
        found = _of_histograms(call, histograms, int(series), low, high, is_counter=is_counter)
        if found is None:
            continue
        factor = 1.0
        if not (call.points.is_delta[series] and is_counter):
            times = histograms.points.times
            first: Histogram = histograms.points.hist[low]
            factor = float(
                _factor(
                    np.array(times[low] - call.starts[step]), np.array(call.ends[step] - times[high - 1]),
                    np.array(times[high - 1] - times[low]), np.array(high - low), np.array(found.count),
                    np.array(first.count), is_counter=is_counter,
                )
            )  # fmt: skip
        hist[series, step] = found.scaled(factor / call.seconds if is_rate else factor)
        has[series, step] = True
    return values, has, hist


def _of_floats(call: Call, cut: Cut, *, is_counter: bool, is_rate: bool) -> tuple[Floats, Bools]:
    count = cut.count
    has = count >= _CHANGE_MIN
    first, first_time = cut.at(cut.low)
    last, last_time = cut.at(cut.high - 1)
    changed = last - first
    if is_counter:
        _add_resets(cut, changed)
    factor = _factor(
        first_time - call.starts[None, :], call.ends[None, :] - last_time, last_time - first_time, count, changed,
        first, is_counter=is_counter,
    )  # fmt: skip
    if is_rate:
        factor = factor / call.seconds
    values = changed * factor
    if is_counter and call.points.is_delta.any():
        rows = call.points.is_delta
        counted = Sum(cut.runs)
        low = np.where(rows[:, None], cut.low, cut.high)
        for runs, index in ranks(low, cut.high):
            counted.add(runs, cut.points.values[index])
        sums = counted.result().reshape(count.shape)
        values = np.where(rows[:, None], sums / call.seconds if is_rate else sums, values)
        has = np.where(rows[:, None], count >= 1, has)
    return values, has


def _add_resets(cut: Cut, changed: Floats) -> None:
    """Add the value of a counter before each of its resets in a window."""
    values = cut.points.values
    falls = np.zeros(len(values), np.bool_)
    falls[1:] = values[1:] < values[:-1]
    falls[cut.points.bounds[:-1][cut.points.bounds[:-1] < len(values)]] = False
    places = np.flatnonzero(falls).astype(np.int64)
    if not len(places):
        return
    low = np.searchsorted(places, cut.low + 1).astype(np.int64)
    high = np.maximum(low, np.searchsorted(places, cut.high).astype(np.int64))
    flat = changed.reshape(-1)
    for runs, index in ranks(low, high):
        flat[runs] += values[places[index] - 1]


def _factor(  # noqa: PLR0917 - what the formula takes
    to_start: Ints, to_end: Ints, sampled: Ints, count: Ints, changed: Floats, first: Floats, *, is_counter: bool
) -> Floats:
    """The factor that extends the change between the first and the last point to the window.

    Args:
        to_start: milliseconds from the window's start to the first point.
        to_end: from the last point to the window's end.
        sampled: from the first point to the last.
        count: points.
        changed: between the first and the last.
        first: value of the first.
        is_counter: whether the value cannot have been below zero.
    """
    seconds = sampled / SECOND_MS
    average = seconds / (count - 1)
    threshold = average * _THRESHOLD
    before = to_start / SECOND_MS
    before = np.where(before >= threshold, average / 2, before)
    if is_counter:
        to_zero = np.where((changed > 0) & (first >= 0), seconds * (first / changed), before)
        before = np.where(to_zero < before, to_zero, before)
    after = to_end / SECOND_MS
    after = np.where(after >= threshold, average / 2, after)
    return (seconds + before + after) / seconds


def _of_histograms(  # noqa: C901 - as many cases as there are
    call: Call, cut: Cut, series: int, low: int, high: int, *, is_counter: bool
) -> Histogram | None:
    hist: Objects = cut.points.hist
    points: list[Histogram] = list(hist[low:high])
    name = call.name(series)
    is_delta = bool(call.points.is_delta[series]) and is_counter
    if not is_delta and is_counter and any(point.hint == "gauge" for point in points):
        call.notes.warn(f'this native histogram metric is not a counter: "{name}"', call.position)
    if not is_counter and not (points[0].hint == points[-1].hint == "gauge"):
        call.notes.warn(f'this native histogram metric is not a gauge: "{name}"', call.position)
    first = points[0]
    if is_counter and not is_delta and points[1].is_reset_after(first):
        first = Histogram(schema=points[1].schema, bounds=points[1].bounds)
    relevant = [first, *points[1:]] if is_counter else [first, points[-1]]
    if any(not compatible(first, point) for point in relevant):
        call.notes.warn(
            f'vector contains a mix of histograms with exponential and custom buckets schemas for metric name "{name}"',
            call.position,
        )
        return None
    reconciled = False
    if is_delta:
        total = points[0].copy()
        for point in points[1:]:
            total, differed = total.plus(point)
            reconciled |= differed
    else:
        if not first.is_custom:
            least = min(point.schema for point in relevant)
            total = points[-1].to_schema(least)
        else:
            total = points[-1].copy()
        total, reconciled = total.plus(first, -1.0)
        before = first
        for point in points[1:] if is_counter else ():
            if point.is_reset_after(before):
                total, differed = total.plus(before)
                reconciled |= differed
            before = point
    if reconciled:
        call.notes.inform("mismatched custom buckets were reconciled during subtraction", call.position)
    total.hint = "gauge"
    return total.compact()


def _instant(call: Call, *, is_rate: bool) -> Result:
    cut = call.all()
    has = cut.count >= _CHANGE_MIN
    last, last_time = cut.at(cut.high - 1)
    before, before_time = cut.at(cut.high - 2)
    interval = (last_time - before_time) / SECOND_MS
    changed = np.where(is_rate & (last < before), last, last - before)
    if is_rate:
        changed = np.where(call.points.is_delta[:, None], last, changed)
    has &= interval > 0
    values = changed / interval if is_rate else changed
    if not call.has_histograms:
        return values, has, None
    points: Objects = cut.points.hist
    hist = np.full(has.shape, None, object)
    mixed = np.zeros(has.shape, np.bool_)
    for series, step in zip(*np.nonzero(has), strict=True):
        place = int(cut.high[series, step]) - 1
        new: Histogram | None = points[place]
        old: Histogram | None = points[place - 1]
        if new is None and old is None:
            continue
        if new is None or old is None:
            mixed[series, step] = True
            continue
        made = _instant_of(call, int(series), old, new, float(interval[series, step]), is_rate=is_rate)
        hist[series, step] = made
        has[series, step] = made is not None
    call.warn_of_mix(mixed)
    return values, has & ~mixed, hist


def _instant_of(
    call: Call, series: int, old: Histogram, new: Histogram, interval: float, *, is_rate: bool
) -> Histogram | None:
    name = call.name(series)
    if is_rate and "gauge" in (old.hint, new.hint):
        call.notes.warn(f'this native histogram metric is not a counter: "{name}"', call.position)
    if not is_rate and not (old.hint == new.hint == "gauge"):
        call.notes.warn(f'this native histogram metric is not a gauge: "{name}"', call.position)
    if is_rate and (call.points.is_delta[series] or new.is_reset_after(old)):
        made = new.copy()
    elif not compatible(old, new):
        call.notes.warn(
            f'vector contains a mix of histograms with exponential and custom buckets schemas for metric name "{name}"',
            call.position,
        )
        return None
    else:
        made, reconciled = new.plus(old, -1.0)
        if reconciled:
            call.notes.inform("mismatched custom buckets were reconciled during subtraction", call.position)
    made.hint = "gauge"
    made = made.compact()
    return made.scaled(1 / interval) if is_rate else made
