"""Widgets as HTML and SVG without scripts: what the public page of a dashboard draws."""

import html
import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from duoscope.dashboards.flights import Series
from duoscope.dashboards.frames import Table, Trend, legend
from duoscope.dashboards.public import PublicQuery, PublicWidget, PublicWidgetData
from duoscope.dashboards.transforming import reduced

WIDTH: Final = 600
HEIGHT: Final = 160
LINES_MAX: Final = 40
ROWS_MAX: Final = 200
_COLORS: Final = ("#1b5e9b", "#b8461b", "#2f7d32", "#7a3e9d", "#8a6d00", "#00798c", "#a3195b", "#5b6b7a")
_HEADING: Final = re.compile(r"(#{1,4})\s+(.*)")
_BYTES: Final = frozenset({"bytes", "decbytes", "Bps", "binBps"})


def drawn(widget: PublicWidget, data: PublicWidgetData | None) -> str:
    """The inside of a widget; every text in it is escaped."""
    if widget.type == "text":
        return _text(widget.text)
    if data is None:
        return '<p class="note">Nothing was asked for it.</p>'
    series = _series(data)
    if data.tables is not None:
        body = "".join(_table(table) for table in data.tables[:LINES_MAX])
    elif any(query.alerts for query in data.queries):
        body = _alerts(data.queries)
    elif widget.type == "logs" or any(query.records for query in data.queries):
        body = _records(data.queries)
    elif widget.type in ("stat", "gauge"):
        body = _numbers(widget, series)
    elif widget.type == "table":
        body = _rows(("", "value"), ((name, _number(_last(one, widget), widget)) for name, one in series))
    else:
        body = _lines(widget, series)
    if any(query.has_failed for query in data.queries):
        body += '<p class="note">A part of it could not be answered.</p>'
    return body or '<p class="note">No data.</p>'


def _series(data: PublicWidgetData) -> list[tuple[str, list[float | None]]]:
    found: list[tuple[str, list[float | None]]] = []
    for query in data.queries:
        raw: Any = query.series
        made = msgspec.json.decode(raw, type=list[Series]) if isinstance(raw, msgspec.Raw) else query.series
        found += [(legend(query.legend, each.labels), each.values) for each in made]
    return found


def _text(text: str) -> str:
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        heading = _HEADING.fullmatch(block.strip())
        if heading:
            parts.append(f"<h4>{html.escape(heading[2])}</h4>")
        elif block.strip():
            parts.append(f"<p>{html.escape(block.strip())}</p>")
    return "".join(parts)


def _last(values: Sequence[float | None], widget: PublicWidget) -> float | None:
    return reduced(values, widget.options.calculation)


def _numbers(widget: PublicWidget, series: Sequence[tuple[str, list[float | None]]]) -> str:
    shown = [
        f'<p class="stat">{html.escape(_number(_last(values, widget), widget))}'
        f"{f' <small>{html.escape(name)}</small>' if len(series) > 1 else ''}</p>"
        for name, values in series[:LINES_MAX]
    ]
    return "".join(shown)


def _lines(widget: PublicWidget, series: Sequence[tuple[str, list[float | None]]]) -> str:
    shown = series[:LINES_MAX]
    numbers = [value for _, values in shown for value in values if value is not None and math.isfinite(value)]
    if not numbers:
        return ""
    low, high = min(0.0, *numbers), max(numbers)
    if widget.options.min is not None:
        low = min(low, widget.options.min) if low < widget.options.min else widget.options.min
    span = (high - low) or 1.0
    paths: list[str] = []
    for number, (name, values) in enumerate(shown):
        color = _COLORS[number % len(_COLORS)]
        title = f"<title>{html.escape(name)}</title>"
        style = f'fill="none" stroke="{color}" stroke-width="1.5"'
        paths += [f'<path d="{path}" {style}>{title}</path>' for path in _paths(values, low, span)]
    keys = "".join(
        f'<li><svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" '
        f'fill="{_COLORS[number % len(_COLORS)]}"/></svg> {html.escape(name)} '
        f"{html.escape(_number(_last(values, widget), widget))}</li>"
        for number, (name, values) in enumerate(shown)
    )
    more = f"<li>and {len(series) - LINES_MAX} more</li>" if len(series) > LINES_MAX else ""
    top, bottom = html.escape(_number(high, widget)), html.escape(_number(low, widget))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(widget.title, quote=True)}">'
        f'<line x1="0" y1="{HEIGHT - 1}" x2="{WIDTH}" y2="{HEIGHT - 1}" stroke="#8a97a3"/>{"".join(paths)}'
        f'<text x="2" y="12" font-size="11" fill="#5b6b7a">{top}</text>'
        f'<text x="2" y="{HEIGHT - 4}" font-size="11" fill="#5b6b7a">{bottom}</text></svg>'
        f'<ul class="legend">{keys}{more}</ul>'
    )


def _paths(values: Sequence[float | None], low: float, span: float) -> Iterable[str]:
    step = WIDTH / max(1, len(values) - 1)
    points: list[str] = []
    for number, value in enumerate([*values, None]):
        if value is not None and math.isfinite(value):
            points.append(f"{number * step:.1f},{(HEIGHT - 4) - (value - low) / span * (HEIGHT - 20):.1f}")
        elif points:
            # A single point is a short line: nothing else would show it.
            yield "M" + (" L".join(points) if len(points) > 1 else f"{points[0]} h2")
            points = []


def _records(queries: Sequence[PublicQuery]) -> str:
    rows = ((each.timestamp, each.severity, each.service, _cell(each.body)) for query in queries
            for each in query.records[:ROWS_MAX])  # fmt: skip
    return _rows(("time", "severity", "service", ""), rows)


def _alerts(queries: Sequence[PublicQuery]) -> str:
    rows = ((each.status, each.severity, each.name, _cell(each.labels)) for query in queries
            for each in query.alerts[:ROWS_MAX])  # fmt: skip
    return _rows(("status", "severity", "alert", "labels"), rows)


def _table(table: Table) -> str:
    if not table.columns:
        return ""
    names = [column.name for column in table.columns]
    rows = (
        [_cell(column.values[number], is_time=column.kind == "time") for column in table.columns]
        for number in range(min(table.rows, ROWS_MAX))
    )
    return _rows(names, rows)


def _rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _cell(value: Any, *, is_time: bool = False) -> str:
    value = value.value if isinstance(value, Trend) else value
    if value is None:
        return ""
    if is_time:
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _number(value: float | None, widget: PublicWidget) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    unit = widget.options.unit
    if unit in _BYTES:
        power = min(5, int(math.log(abs(value), 1024))) if abs(value) >= 1 else 0
        return f"{value / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[power]}"
    if unit in ("percentunit", "percent"):
        return f"{value * 100 if unit == 'percentunit' else value:.4g} %"
    decimals = widget.options.decimals
    shown = f"{value:.{decimals}f}" if decimals is not None else f"{value:.4g}"
    return f"{shown} {unit}" if unit in ("s", "ms") else shown
