"""The whole page: its head with the choices, its sections, and the style, which is named by its digest."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode

from duoscope.dashboards.drawing import units, widgets
from duoscope.dashboards.drawing.looks import escaped
from duoscope.dashboards.model import Place
from duoscope.dashboards.public import PublicDashboard, PublicData, PublicSection, PublicWidget, PublicWidgetData

RANGES_S: Final = (900, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
_ROWS_MAX: Final = 400
"""Of a section with places; a longer one is set as text is."""
_ROWS_SHOWN: Final = 4
"""Of a choice of several values; one scrolls to the others."""

STYLE: Final = Path(__file__).with_name("page.css").read_text("utf-8")


class Made(NamedTuple):
    """A page, and the style that it has, by whose digest its policy names it."""

    html: str
    style: str


def page(
    shown: PublicDashboard, answered: PublicData, variables: Mapping[str, Sequence[str]], opened: Collection[int]
) -> Made:
    """Draw a dashboard.

    Args:
        shown: the dashboard as its link shows it.
        answered: the data of those widgets that are shown.
        variables: the values that are chosen, by name.
        opened: the numbers of those collapsed sections that are open.
    """
    by_key: dict[str, list[PublicWidgetData]] = {}
    for each in answered.widgets:
        by_key.setdefault(each.key, []).append(each)
    known = {each.key: each for each in shown.widgets}
    parts: list[str] = []
    rules: list[str] = []
    for number, section in enumerate(shown.sections):
        title = escaped(section.title)
        if section.is_collapsed and number not in opened:
            pairs = [*(("open", str(each)) for each in sorted({*opened, number})), ("range", str(shown.range_seconds))]
            pairs += [(f"var-{name}", value) for name, values in variables.items() for value in values]
            parts.append(f'<h2><a href="?{escaped(urlencode(pairs))}">{title or "More"}</a></h2>')
            continue
        made, placed = _section(number, section, known, by_key)
        rules += placed
        parts.append((f"<h2>{title}</h2>" if title else "") + made)
    style = STYLE + (f"@media(min-width:50rem){{{''.join(dict.fromkeys(rules))}}}" if rules else "")
    refresh = f'<meta http-equiv="refresh" content="{shown.refresh_seconds}">' if shown.refresh_seconds else ""
    about = f"<p>{escaped(shown.description)}</p>" if shown.description else ""
    return Made(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escaped(shown.name)}</title>'
        '<meta name="robots" content="noindex"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{refresh}<style>{style}</style></head><body><header><h1>{escaped(shown.name)}</h1>{about}"
        f"{_form(shown, opened)}</header><main>{''.join(parts)}</main>"
        f"<footer>The last {units.duration(shown.range_seconds)}. Times are in UTC.</footer></body></html>",
        style,
    )


def _section(
    number: int,
    section: PublicSection,
    known: Mapping[str, PublicWidget],
    by_key: Mapping[str, Sequence[PublicWidgetData]],
) -> tuple[str, list[str]]:
    """The widgets of a section, and the rules of the style that put each in its place.

    Where a widget stands more than once, or two would stand over each other, they follow each other instead.
    """
    places = sorted(section.places, key=lambda each: (each.y, each.x))
    is_set = all(len(by_key.get(place.widget, ())) <= 1 for place in places) and not _overlap(places)
    cells: list[str] = []
    rules: list[str] = []
    for order, place in enumerate(places):
        name = f"w{number}-{order}"
        if is_set:
            rules.append(f"#{name}{{grid-area:{place.y + 1}/{place.x + 1}/span {place.height}/span {place.width}}}")
        else:
            rules.append(f".c{place.width}{{grid-column:span {place.width}}}")
        mark = f'class="w" id="{name}"' if is_set else f'class="w c{place.width}"'
        cells += _cells(known[place.widget], by_key.get(place.widget) or [None], mark)
    return f'<div class="g">{"".join(cells)}</div>', rules


def _cells(widget: PublicWidget, copies: Sequence[PublicWidgetData | None], mark: str) -> Iterator[str]:
    for data in copies:
        values = ", ".join(data.repeated.values()) if data else ""
        title = escaped(f"{widget.title} ({values})" if values else widget.title)
        about = f' title="{escaped(widget.description[:1000])}"' if widget.description else ""
        head = f"<h3{about}>{title}</h3>" if title else ""
        yield f"<section {mark}>{head}{widgets.drawn(widget, data)}</section>"


def _overlap(places: Sequence[Place]) -> bool:
    if any(place.y + place.height > _ROWS_MAX for place in places):
        return True
    taken: set[tuple[int, int]] = set()
    for place in places:
        own = {(x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)}
        if own & taken:
            return True
        taken |= own
    return False


def _form(shown: PublicDashboard, opened: Collection[int]) -> str:
    choices = sorted({*(each for each in RANGES_S if each <= shown.range_seconds_max), shown.range_seconds})
    ranges = "".join(_option(str(each), f"Last {units.duration(each)}", is_chosen=each == shown.range_seconds)
                     for each in choices)  # fmt: skip
    made = f'<label>Time<select name="range">{ranges}</select></label>'
    for each in shown.variables:
        options = "".join(
            _option(value, "All" if value == "$__all" else value, is_chosen=value in each.chosen)
            for value in each.values
        )
        multiple = f' multiple size="{min(max(len(each.values), 1), _ROWS_SHOWN)}"' if each.multi else ""
        name = escaped(f"var-{each.name}")
        made += f'<label>{escaped(each.label)}<select name="{name}"{multiple}>{options}</select></label>'
    made += "".join(f'<input type="hidden" name="open" value="{each}">' for each in sorted(opened))
    return f"<form>{made}<button>Show</button></form>"


def _option(value: str, text: str, *, is_chosen: bool) -> str:
    return f'<option value="{escaped(value)}"{" selected" if is_chosen else ""}>{escaped(text)}</option>'
