"""Charts over time: lines, areas and bars, stacked or not, with both axes and a legend; and heat maps."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeGuard

from duoscope.dashboards.drawing import looks, units
from duoscope.dashboards.drawing.looks import Line, escaped
from duoscope.dashboards.public import PublicWidget
from duoscope.dashboards.transforming import reduced
from duoscope.dashboards.widgets import Calculation, Options

LINES_MAX: Final = 40
SIDE: Final = 1000
"""Units of a chart's drawing in each direction, whatever its size."""
_ROW_MARKS: Final = 4
_TIME_MARKS: Final = 5
_ROWS_MAX: Final = 60
_COLUMNS_MAX: Final = 120
_TIME_STEPS_S: Final = (
    *(1, 5, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000),
)
_DAY_S: Final = 86_400
_DOT: Final = 8
"""How far a dot stays from the ends, in units of the drawing."""


class Times(NamedTuple):
    """The moments of a chart: the first, how far apart they are, in seconds, and how many."""

    start_s: int
    step_s: int
    steps: int

    @property
    def span_s(self) -> int:
        """The time from the first to the last, one step at least."""
        return max(self.step_s, self.step_s * (self.steps - 1))


def chart(widget: PublicWidget, lines: Sequence[Line], times: Times, *, is_bars: bool) -> str:
    """A chart of series over time; empty if there is nothing to draw."""
    options = widget.options
    drawn = list(_stacked(lines[:LINES_MAX], options))
    numbers = [value for tops, *_ in drawn for value in tops if _is_there(value)]
    if not numbers:
        return ""
    from_zero = is_bars or options.stacking != "none" or options.fill_opacity > 0
    low = min(numbers) if options.min is None else options.min
    high = max(numbers) if options.max is None else options.max
    if from_zero or (0 <= low < high / 2):
        low, high = min(0.0, low), max(0.0, high)
    if low == high:
        low, high = min(0.0, low), max(high, low + 1, 0.0)
    unit = "percentunit" if options.stacking == "percent" else options.unit
    marks = units.axis(low, high, unit, _ROW_MARKS)
    scale = _Scale(marks[0][0], marks[-1][0])
    zero = scale.y(min(max(0.0, marks[0][0]), marks[-1][0]))
    count = len(drawn)
    paths: list[str] = []
    for number, (tops, lows, line) in enumerate(drawn):
        title = f"<title>{escaped(line.name)}</title>"
        if is_bars:
            is_apart = options.stacking == "none" and count <= looks.COLORS
            part = (number, count) if is_apart else (0, 1)
            path = "".join(_bars(scale, tops, lows, part))
            paths.append(f'<path class="bar {line.color}" d="{path}">{title}</path>')
            continue
        if options.fill_opacity or options.stacking != "none":
            opacity = max(options.fill_opacity, 15 if options.stacking != "none" else 0) / 100
            area = "".join(_areas(scale, tops, lows, is_stepped=options.is_stepped))
            paths.append(f'<path class="area {line.color}" fill-opacity="{opacity:g}" d="{area}"/>')
        width = max(1, min(options.line_width or 1, 4)) + 0.5
        paths.append(_traced(scale, tops, line.color, width, is_stepped=options.is_stepped, inside=title))
    rows = [(scale.y(value), label) for value, label in marks]
    base = f'<path class="base" d="M0 {zero:g}H{SIDE}"/>'
    return _framed(widget, rows, times, f"{''.join(paths)}{base}", is_bars=is_bars) + _legend(
        options, lines[:LINES_MAX], len(lines)
    )


def heat_map(widget: PublicWidget, lines: Sequence[Line], times: Times) -> str:
    """A map of series as rows, the darker the more; empty if there is nothing to draw. Buckets count for themselves."""
    rows = _buckets(lines) or [(line.name, line.values) for line in lines]
    rows = rows[:_ROWS_MAX]
    numbers = [value for _, values in rows for value in values if _is_there(value)]
    if not numbers:
        return ""
    most = max(numbers) or 1.0
    together = -(-times.steps // _COLUMNS_MAX)
    height = SIDE / len(rows)
    width = SIDE / -(-times.steps // together)
    cells: list[str] = []
    for row, (_, values) in enumerate(rows):
        top = SIDE - (row + 1) * height
        for column, at in enumerate(range(0, times.steps, together)):
            there = [value for value in values[at : at + together] if _is_there(value)]
            if there and (of := max(there)) > 0:
                cells.append(
                    f'<rect x="{column * width:.1f}" y="{top:.1f}" width="{width + 0.3:.1f}" '
                    f'height="{height + 0.3:.1f}" fill-opacity="{0.08 + 0.92 * math.sqrt(of / most):.2f}"/>'
                )
    every = -(-len(rows) // 8)
    labels = [(SIDE - (number + 0.5) * height, name) for number, (name, _) in enumerate(rows) if number % every == 0]
    key = f'<p class="note">The darkest is {escaped(units.shown(most, ""))}.</p>'
    return _framed(widget, labels, times, f'<g class="heat">{"".join(cells)}</g>', is_bars=True, has_grid=False) + key


def spark(values: Sequence[float | None], color: str) -> str:
    """A small line without axes; empty unless there are two numbers."""
    numbers = [value for value in values if _is_there(value)]
    if len(numbers) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    scale = _Scale(min(numbers), max(numbers))
    return (
        f'<svg class="spark" viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" aria-hidden="true">'
        f"{_traced(scale, values, color, 1.5, is_stepped=False)}</svg>"
    )


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self._whole = (high / 2 - low / 2) or 1.0  # halves, for the whole of two large numbers may be none

    def y(self, value: float) -> float:
        """The height of a value, from the top; what is beyond the axis is at its end."""
        return round(SIDE - (min(max(value, self.low), self.high) / 2 - self.low / 2) / self._whole * SIDE, 1)


def _is_there(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


_Drawn = tuple[Sequence[float | None], Sequence[float | None], Line]


def _stacked(lines: Sequence[Line], options: Options) -> Iterator[_Drawn]:
    """Each line with its tops and its bottoms: zero, or the tops of the line below it."""
    if options.stacking == "none":
        for line in lines:
            values = [None if value is None else -value for value in line.values] if line.is_negative else line.values
            yield values, [0.0] * len(values), line
        return
    count = max((len(line.values) for line in lines), default=0)
    whole = [1.0] * count
    if options.stacking == "percent":
        whole = [sum(abs(_at(line.values, at)) for line in lines) or 1.0 for at in range(count)]
    above, below = [0.0] * count, [0.0] * count
    for line in lines:
        base = below if line.is_negative else above
        lows = [*base]
        for at in range(count):
            base[at] += (-1 if line.is_negative else 1) * _at(line.values, at) / whole[at]
        yield [*base], lows, line


def _at(values: Sequence[float | None], at: int) -> float:
    value = values[at] if at < len(values) else None
    return value if value is not None and math.isfinite(value) else 0.0


def _runs(values: Sequence[float | None], scale: _Scale) -> Iterator[list[tuple[float, float, int]]]:
    """Points that stand beside each other, with their numbers."""
    step = SIDE / max(1, len(values) - 1)
    run: list[tuple[float, float, int]] = []
    for number, value in enumerate(values):
        if value is not None and math.isfinite(value):
            run.append((round(number * step, 1), scale.y(value), number))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _traced(
    scale: _Scale, values: Sequence[float | None], color: str, width: float, *, is_stepped: bool, inside: str = ""
) -> str:
    """The line through points that stand beside each other, and a dot for each that stands alone."""
    runs = list(_runs(values, scale))
    line = "".join(
        f"M{run[0][0]:g} {run[0][1]:g}{''.join(_onward(run[1:], is_stepped=is_stepped))}"
        for run in runs
        if len(run) > 1
    )
    # Round ends make a dot of no length, and stay round however the drawing is stretched.
    dots = "".join(f"M{min(max(x, _DOT), SIDE - _DOT):g} {y:g}h.01" for (x, y, _), *others in runs if not others)
    return "".join(
        f'<path class="{name} {color}" stroke-width="{of:g}" d="{path}">{inside}</path>'
        for name, of, path in (("line", width, line), ("line dot", width + 4, dots))
        if path
    )


def _onward(points: Iterable[tuple[float, float, int]], *, is_stepped: bool) -> Iterator[str]:
    for x, y, _ in points:
        yield f"H{x:g}V{y:g}" if is_stepped else f"L{x:g} {y:g}"


def _areas(
    scale: _Scale, tops: Sequence[float | None], lows: Sequence[float | None], *, is_stepped: bool
) -> Iterator[str]:
    for run in _runs(tops, scale):
        back = [(x, scale.y(_at(lows, number)), number) for x, _, number in run]
        x, y, _ = run[0]
        yield f"M{x:g} {y:g}" + "".join(_onward(run[1:], is_stepped=is_stepped))
        yield f"L{back[-1][0]:g} {back[-1][1]:g}"
        yield "".join(f"{f'V{y:g}H{x:g}' if is_stepped else f'L{x:g} {y:g}'}" for x, y, _ in reversed(back)) + "Z"


def _bars(
    scale: _Scale, tops: Sequence[float | None], lows: Sequence[float | None], part: tuple[int, int]
) -> Iterator[str]:
    number, count = part
    slot = SIDE / max(1, len(tops))
    width = slot * 0.86 / count
    for at, value in enumerate(tops):
        if value is not None and math.isfinite(value):
            left = at * slot + slot * 0.07 + number * width
            base = scale.y(_at(lows, at))
            yield f"M{left:.1f} {base:g}V{scale.y(value):g}h{width:.2f}V{base:g}Z"


def _framed(
    widget: PublicWidget,
    rows: Sequence[tuple[float, str]],
    times: Times,
    inside: str,
    *,
    is_bars: bool,
    has_grid: bool = True,
) -> str:
    """What is drawn, between the labels of its rows and those of its times."""
    wide = max((len(label) for _, label in rows), default=0)
    labels = "".join(
        f'<text x="100%" y="{_percent(y)}" dy="0.35em" text-anchor="end">{escaped(_cut(label))}</text>'
        for y, label in rows
    )
    grid = "".join(f'<path class="grid" d="M0 {y:g}H{SIDE}"/>' for y, _ in rows) if has_grid else ""
    moments = "".join(
        f'<text x="{_percent(x)}" y="12" text-anchor="{_anchor(x)}">{label}</text>'
        for x, label in _moments(times, is_bars=is_bars)
    )
    name = f'<p class="axis">{escaped(widget.options.axis_label)}</p>' if widget.options.axis_label else ""
    size = "narrow" if wide < 6 else "middle" if wide < 12 else "broad"  # noqa: PLR2004 - characters
    return (
        f'{name}<div class="chart {size}"><svg class="rows" aria-hidden="true">{labels}</svg>'
        f'<svg class="plot" viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escaped(widget.title or "chart")}">{grid}{inside}</svg>'
        f'<svg class="times" aria-hidden="true">{moments}</svg></div>'
    )


def _cut(label: str) -> str:
    return label if len(label) <= 16 else f"{label[:15]}…"  # noqa: PLR2004 - there is no more room


def _percent(of: float) -> str:
    return f"{of / SIDE * 100:.2f}%"


def _anchor(x: float) -> str:
    return "start" if x < 30 else "end" if x > SIDE - 30 else "middle"  # noqa: PLR2004


def _moments(times: Times, *, is_bars: bool) -> Iterator[tuple[float, str]]:
    """Round times of the range, each with its label."""
    span_s = times.step_s * times.steps if is_bars else times.span_s
    every = next((step for step in _TIME_STEPS_S if span_s / step <= _TIME_MARKS), _TIME_STEPS_S[-1])
    first = -(-times.start_s // every) * every
    for at_s in range(first, times.start_s + span_s + 1, every):
        at = datetime.fromtimestamp(at_s, UTC)
        if every >= _DAY_S or (span_s > _DAY_S and at_s % _DAY_S == 0):
            label = f"{at:%b} {at.day}"
        else:
            label = f"{at:%H:%M:%S}" if every < 60 else f"{at:%H:%M}"  # noqa: PLR2004 - seconds
        yield (at_s - times.start_s) / span_s * SIDE, label


def _buckets(lines: Sequence[Line]) -> list[tuple[str, list[float | None]]]:
    """The rows of a histogram's buckets, from the lowest, each with what is in it alone; empty unless they are such."""
    bounds = [_bound(line.labels.get("le", "")) for line in lines]
    if len(lines) < 2 or any(bound is None for bound in bounds):  # noqa: PLR2004 - one bucket is no histogram
        return []
    merged: dict[float, list[float | None]] = {}
    for bound, line in zip(bounds, lines, strict=True):
        assert bound is not None
        known = merged.get(bound)
        merged[bound] = (
            line.values if known is None else [_at(known, at) + _at(line.values, at) for at in range(len(known))]
        )
    rows: list[tuple[str, list[float | None]]] = []
    before: list[float | None] = []
    for bound, values in sorted(merged.items()):
        own = [None if value is None else max(0.0, value - _at(before, at)) for at, value in enumerate(values)]
        rows.append(("∞" if math.isinf(bound) else f"{bound:g}", own))
        before = values
    return rows


def _bound(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return None if math.isnan(found) else found


_NAMES: Final[dict[str, str]] = {"last": "last", "first": "first", "min": "min", "max": "max", "mean": "mean",
                                 "sum": "total", "count": "count", "range": "range", "delta": "growth",
                                 "diff": "change"}  # fmt: skip


def _legend(options: Options, lines: Sequence[Line], count: int) -> str:
    """The names of series and the numbers beside them, as a list or as a table."""
    if not options.legend.is_shown:
        return ""
    more = f'<p class="note">and {count - len(lines)} more</p>' if count > len(lines) else ""
    wanted: tuple[Calculation, ...] = options.legend.calculations
    if options.legend.is_table and wanted:
        head = "".join(f'<th scope="col" class="n">{_NAMES[each]}</th>' for each in wanted)
        body = "".join(
            f'<tr><th scope="row">{_key(line)}</th>'
            f"{''.join(f'<td class=n>{escaped(_told(line, each))}</td>' for each in wanted)}</tr>"
            for line in lines
        )
        return f'<table class="legend"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>{more}'
    shown = wanted or (options.calculation,)
    items = "".join(
        f"<li>{_key(line)} <b>{escaped(' / '.join(_told(line, each) for each in shown))}</b></li>" for line in lines
    )
    return f'<ul class="legend">{items}</ul>{more}'


def _key(line: Line) -> str:
    return f'<svg class="key {line.color}" aria-hidden="true"><rect width="10" height="10"/></svg> {escaped(line.name)}'


def _told(line: Line, calculation: Calculation) -> str:
    value = reduced(line.values, calculation)
    return units.shown(value, "" if calculation == "count" else line.options.unit, line.options.decimals)
