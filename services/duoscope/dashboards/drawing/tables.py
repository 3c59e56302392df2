"""Tables: of series, of what transformations made, of log records and of alerts; and Markdown."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from markdown_it import MarkdownIt

from duoscope.dashboards.drawing import looks, units
from duoscope.dashboards.drawing.lines import spark
from duoscope.dashboards.drawing.looks import Line, escaped
from duoscope.dashboards.frames import Column, Table, Trend
from duoscope.dashboards.public import PublicQuery
from duoscope.dashboards.transforming import reduced
from duoscope.dashboards.widgets import Options

ROWS_MAX: Final = 200
_LABELS_MAX: Final = 12
_SEVERE: Final = {"fatal": "k-red", "critical": "k-red", "error": "k-red", "warn": "k-orange", "warning": "k-orange"}
_STATES: Final = {"firing": "k-red", "pending": "k-orange", "error": "k-red"}
# HTML in it is text; images, which the page may not load, are their words.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")


def markdown(text: str) -> str:
    """Markdown as HTML, with what is HTML in it as text."""
    made = _MARKDOWN.render(text)
    return f'<div class="text">{made.replace("<a ", "<a rel=noopener target=_blank ")}</div>' if text.strip() else ""


def of_series(lines: Sequence[Line], *, is_named: bool) -> str:
    """A row for each series: its name, or its labels, and the number that stands for it."""
    shown = lines[:ROWS_MAX]
    names = list(dict.fromkeys(name for line in shown for name in line.labels if name != "__name__"))
    if is_named or not names or len(names) > _LABELS_MAX:
        heads, cells = [""], [[_cell(line.name)] for line in shown]
    else:
        heads, cells = names, [[_cell(line.labels.get(name, "")) for name in names] for line in shown]
    rows = (
        [*each, _number(reduced(line.values, line.options.calculation), line.options)]
        for each, line in zip(cells, shown, strict=True)
    )
    return _rows([*heads, "Value"], rows, len(lines), numeric={len(heads)})


def of_table(table: Table, options: Options) -> str:
    """A table as it is, its numbers with their units."""
    if not table.columns:
        return ""
    named = [(column, *looks.of_series(options, column.name)) for column in table.columns]
    shown = [(column, name, own) for column, name, own, _, is_hidden, _ in named if not is_hidden]
    rows = (
        [_of_column(column, column.values[number], own) for column, _, own in shown]
        for number in range(min(table.rows, ROWS_MAX))
    )
    numeric = {number for number, (column, *_) in enumerate(shown) if column.kind == "number"}
    return _rows([name for _, name, _ in shown], rows, table.rows, numeric=numeric)


def of_records(queries: Sequence[PublicQuery]) -> str:
    """Log records, the newest first."""
    found = [each for query in queries for each in query.records]
    rows = (
        [
            _cell(_moment(each.timestamp), "when"),
            _cell(each.severity, _SEVERE.get(each.severity.lower().rstrip("0123456789"), "") + " word"),
            _cell(each.service, "word"),
            _cell(_text(each.body), "body"),
        ]
        for each in found[:ROWS_MAX]
    )
    made = _rows(("Time", "Severity", "Service", "Message"), rows, len(found))
    return f'<div class="records">{made}</div>' if made else ""


def of_alerts(queries: Sequence[PublicQuery]) -> str:
    """Alerts, the newest first."""
    found = [each for query in queries for each in query.alerts]
    rows = (
        [
            _cell(each.status.replace("_", " "), _STATES.get(each.status, "")),
            _cell(each.severity, _SEVERE.get(each.severity, "")),
            _cell(each.name),
            _cell(", ".join(f"{name}={value}" for name, value in each.labels.items())),
            _cell(each.since.astimezone(UTC).strftime("%Y-%m-%d %H:%M")),
        ]
        for each in found[:ROWS_MAX]
    )
    return _rows(("Status", "Severity", "Alert", "Labels", "Since"), rows, len(found))


_Cell = tuple[str, str]


def _rows(names: Sequence[str], rows: Iterable[Sequence[_Cell]], count: int, *, numeric: Iterable[int] = ()) -> str:
    """A table of cells, each HTML and its classes."""
    right = set(numeric)
    body = "".join(f"<tr>{''.join(_td(*cell) for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    head = "".join(
        f'<th scope="col"{" class=n" if number in right else ""}>{escaped(name)}</th>'
        for number, name in enumerate(names)
    )
    more = f'<p class="note">and {count - ROWS_MAX} more</p>' if count > ROWS_MAX else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _td(cell: str, classes: str) -> str:
    return f'<td class="{classes}">{cell}</td>' if classes else f"<td>{cell}</td>"


def _cell(text: str, classes: str = "") -> _Cell:
    return escaped(text), classes


def _number(value: float | None, options: Options) -> _Cell:
    said, color = looks.written(value, options)
    return escaped(said), f"n {color}".strip()


def _of_column(column: Column, value: Any, options: Options) -> _Cell:
    if isinstance(value, Trend):
        cell, classes = _number(value.value, options)
        return f"{spark(value.values, 'k0')} {cell}", classes
    if column.kind == "time":
        return _cell("" if value is None else units.moment(value), "when")
    if column.kind == "number":
        return _number(value, options)
    return _cell(*looks.of_text(_text(value), options))


def _moment(timestamp: str) -> str:
    """A time of RFC 3339, in UTC, to the millisecond."""
    return timestamp[:23].replace("T", " ").rstrip("Z")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
