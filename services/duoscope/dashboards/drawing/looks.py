"""What a widget's options make of a value: its color, its text, and what is different for some series."""

import functools
import html
import math
import re
from typing import Any, Final, NamedTuple

from msgspec import structs

from duoscope.dashboards.drawing import units
from duoscope.dashboards.widgets import Options, RangeMapping, RegexMapping, SpecialMapping, ValueMapping
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.patterns import compiled

COLORS: Final = 8
"""Colors of series: the classes `k0` to `k7`."""
_NAMED: Final = ("red", "orange", "yellow", "green", "blue", "purple")
_HEX: Final = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?")
_RGB: Final = re.compile(r"rgba?\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})")
_HUES: Final = ((18, "red"), (42, "orange"), (68, "yellow"), (170, "green"), (255, "blue"), (330, "purple"))
_GREY: Final = 0.12


class Line(NamedTuple):
    """A series as it is drawn."""

    name: str
    labels: dict[str, str]
    values: list[float | None]
    options: Options
    color: str
    is_negative: bool = False


def color_class(color: str, otherwise: str = "") -> str:
    """The class of a color that people named, the nearest of those that the page has; `otherwise` for none."""
    text = color.lower()
    if found := next((name for name in _NAMED if name in text), None):
        return f"k-{found}"
    if found := _HEX.fullmatch(color.strip()):
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])  # noqa: PLR2004
        return _nearest(*(int(digits[at : at + 2], 16) for at in (0, 2, 4)))
    if found := _RGB.match(text):
        return _nearest(*(min(255, int(found[part])) for part in (1, 2, 3)))
    return otherwise


def _nearest(red: int, green: int, blue: int) -> str:
    most, least = max(red, green, blue), min(red, green, blue)
    if not most or (most - least) / most < _GREY:
        return "k-grey"
    span = most - least
    if most == red:
        hue = 60 * ((green - blue) / span % 6)
    else:
        hue = 60 * ((blue - red) / span + 2) if most == green else 60 * ((red - green) / span + 4)
    return f"k-{next((name for bound, name in _HUES if hue < bound), 'red')}"


def of_series(options: Options, name: str) -> tuple[str, Options, str, bool, bool]:
    """Apply the overrides to a series: its name, options, color, whether it is hidden, and drawn below the axis."""
    color, is_hidden, is_negative = "", False, False
    for each in options.overrides:
        if not _meets(each.match, each.of, name):
            continue
        given = {key: getattr(each, key) for key in ("unit", "decimals", "min", "max")}
        options = structs.replace(options, **{key: value for key, value in given.items() if value is not None})
        color = each.color or color
        name = name if each.name is None else each.name
        is_hidden = is_hidden if each.is_hidden is None else each.is_hidden
        is_negative = is_negative if each.is_negative is None else each.is_negative
    return name, options, color, is_hidden, is_negative


def _meets(match: str, names: tuple[str, ...], name: str) -> bool:
    if match == "name":
        return name in names
    return match == "regex" and any(pattern.search(name) is not None for pattern in _patterns(names))


@functools.lru_cache(maxsize=256)
def _patterns(texts: tuple[str, ...]) -> list[Any]:
    """Those expressions that are valid, as one where that is not too large: a hundred may be asked of each series."""
    valid = [text for text in texts if _is_valid(text)]
    try:
        return [compiled("|".join(f"(?:{text})" for text in valid))] if valid else []
    except ExpressionError:
        return [compiled(text) for text in valid]


def _is_valid(pattern: str) -> bool:
    try:
        compiled(pattern)
    except ExpressionError:
        return False
    return True


def _matches(pattern: str, text: str) -> bool:
    try:
        return compiled(pattern).search(text) is not None
    except ExpressionError:
        return False


def written(value: float | None, options: Options) -> tuple[str, str]:
    """A number as it is shown, and the class of its color; neither is escaped."""
    said, color = _mapped(value, options)
    return said or units.shown(value, options.unit, options.decimals), color or threshold(value, options)


def of_text(text: str, options: Options) -> tuple[str, str]:
    """A text as it is shown, and the class of its color; neither is escaped."""
    for each in options.mappings:
        is_met = isinstance(each, ValueMapping) and each.value == text
        if is_met or (isinstance(each, RegexMapping) and _matches(each.pattern, text)):
            return each.text or text, color_class(each.color)
    return text, ""


def _mapped(value: float | None, options: Options) -> tuple[str, str]:
    for each in options.mappings:
        match each:
            case ValueMapping():
                is_met = value is not None and _number(each.value) == value
            case RangeMapping():
                is_met = (
                    value is not None
                    and (each.least is None or value >= each.least)
                    and (each.most is None or value <= each.most)
                )
            case SpecialMapping():
                is_met = value is None and "n" in each.match and each.match not in ("nan", "empty")
            case RegexMapping():
                is_met = value is not None and _matches(each.pattern, f"{value:g}")
        if is_met:
            return each.text, color_class(each.color)
    return "", ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def threshold(value: float | None, options: Options) -> str:
    """The class of the color that thresholds give a number; empty without any."""
    found = ""
    if value is None:
        return found
    for each in options.thresholds.steps:
        bound = each.value
        if bound is not None and options.thresholds.mode == "percentage":
            low, high = bounds(options)
            bound = low + (high - low) * bound / 100
        if bound is None or value >= bound:
            found = color_class(each.color)
    return found


def bounds(options: Options) -> tuple[float, float]:
    """The ends of a gauge: those given, or all of the unit, or 0 to 100."""
    low = 0.0 if options.min is None else options.min
    whole = 1.0 if options.unit == "percentunit" else 100.0
    high = whole if options.max is None else options.max
    return low, high if high > low else max(low + 1, math.nextafter(low, math.inf))


def escaped(text: str) -> str:
    """A text within HTML, also within a quoted attribute."""
    return html.escape(text, quote=True)
