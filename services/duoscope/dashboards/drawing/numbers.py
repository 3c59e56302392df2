"""Single numbers: stats with their trend, gauges, and bars beside each other."""

import math
from collections.abc import Sequence
from typing import Final

from duoscope.dashboards.drawing import looks
from duoscope.dashboards.drawing.lines import spark
from duoscope.dashboards.drawing.looks import Line, escaped
from duoscope.dashboards.transforming import reduced

SHOWN_MAX: Final = 60
_RADIUS: Final = 40


def stats(lines: Sequence[Line]) -> str:
    """A number for each series, in the color of its threshold, over the line of how it came to be."""
    tiles: list[str] = []
    for line in lines[:SHOWN_MAX]:
        said, color = looks.written(reduced(line.values, line.options.calculation), line.options)
        name = f"<small>{escaped(line.name)}</small>" if len(lines) > 1 else ""
        tiles.append(
            f'<div class="stat"><span class="v {color}">{escaped(said)}</span>{name}{spark(line.values, color or "k0")}'
            "</div>"
        )
    return f'<div class="stats">{"".join(tiles)}</div>' if tiles else ""


def gauges(lines: Sequence[Line]) -> str:
    """A dial for each series, from one end of its range to the other."""
    tiles: list[str] = []
    for line in lines[:SHOWN_MAX]:
        value = reduced(line.values, line.options.calculation)
        said, color = looks.written(value, line.options)
        name = f"<small>{escaped(line.name)}</small>" if len(lines) > 1 else ""
        track, arc = _arc(1.0), _arc(_share(value, line))
        tiles.append(
            f'<div class="gauge"><svg viewBox="0 0 100 58" role="img" aria-label="{escaped(f"{line.name} {said}")}">'
            f'<path class="track" d="{track}"/><path class="dial {color or "k0"}" d="{arc}"/>'
            f'<text x="50" y="50" text-anchor="middle" class="{color}">{escaped(said)}</text></svg>{name}</div>'
        )
    return f'<div class="stats">{"".join(tiles)}</div>' if tiles else ""


def bars(lines: Sequence[Line]) -> str:
    """A bar for each series, as long as its number is against the largest."""
    found = [(line, reduced(line.values, line.options.calculation)) for line in lines[:SHOWN_MAX]]
    most = max((abs(value) for _, value in found if value is not None and math.isfinite(value)), default=0.0) or 1.0
    rows: list[str] = []
    for line, value in found:
        said, color = looks.written(value, line.options)
        has_range = line.options.max is not None or line.options.unit in ("percent", "percentunit")
        share = _share(value, line) if has_range else 0.0 if value is None else min(1.0, abs(value) / most)
        rows.append(
            f'<tr><th scope="row">{escaped(line.name)}</th><td class="bar"><svg class="track" aria-hidden="true">'
            f'<rect class="{color or line.color}" width="{share * 100:.2f}%" height="100%"/></svg></td>'
            f'<td class="n">{escaped(said)}</td></tr>'
        )
    more = f'<p class="note">and {len(lines) - SHOWN_MAX} more</p>' if len(lines) > SHOWN_MAX else ""
    return f'<table class="bars"><tbody>{"".join(rows)}</tbody></table>{more}' if rows else ""


def _share(value: float | None, line: Line) -> float:
    if value is None or not math.isfinite(value):
        return 0.0
    low, high = looks.bounds(line.options)
    # Halves, for the whole of two large numbers may be none.
    return min(1.0, max(0.0, (value / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)))


def _arc(share: float) -> str:
    """A part of a half circle, from the left."""
    angle = math.pi * (1 - share)
    x, y = 50 + _RADIUS * math.cos(angle), 50 - _RADIUS * math.sin(angle)
    return f"M{50 - _RADIUS} 50A{_RADIUS} {_RADIUS} 0 0 1 {x:.2f} {y:.2f}"
