"""How a panel is drawn: its field configuration and options, of all of Grafana's ages, as the options of a widget."""

import re
from collections.abc import Iterator
from typing import Any, Final

from duoscope.dashboards.grafana.reading import Json, arr, number, obj, objects, text, whole
from duoscope.dashboards.grafana.report import Notes
from duoscope.dashboards.widgets import (
    MAPPINGS_MAX,
    OVERRIDES_MAX,
    STEPS_MAX,
    Legend,
    Mapping,
    Options,
    Override,
    RangeMapping,
    RegexMapping,
    SpecialMapping,
    Threshold,
    Thresholds,
    ValueMapping,
)

_COLOR: Final = re.compile(r"[A-Za-z0-9#(),.% -]{1,64}")
_CALCULATIONS: Final[dict[str, Any]] = {
    "last": "last", "lastNotNull": "last", "current": "last", "first": "first", "firstNotNull": "first", "min": "min",
    "max": "max", "mean": "mean", "avg": "mean", "sum": "sum", "total": "sum", "count": "count", "range": "range",
    "delta": "delta", "diff": "diff",
}  # fmt: skip
_SPECIAL: Final[dict[str, Any]] = {
    "null": "null", "nan": "nan", "null+nan": "null+nan", "true": "true", "false": "false", "empty": "empty",
}  # fmt: skip


def convert(panel: Json, notes: Notes) -> Options:
    """The options of a panel's widget; what has no counterpart among what changes a number's meaning is noted."""
    config = obj(panel.get("fieldConfig"))
    defaults = obj(config.get("defaults"))
    custom, options = obj(defaults.get("custom")), obj(panel.get("options"))
    axis = obj(next(iter(arr(panel.get("yaxes"))), None))
    gauge = obj(panel.get("gauge"))
    unit = text(defaults.get("unit"), 1000) or text(axis.get("format"), 1000) or text(panel.get("format"), 1000)
    return Options(
        unit="" if unit == "none" else unit,
        decimals=whole(_first(defaults.get("decimals"), panel.get("decimals"), axis.get("decimals")), 0, 20),
        min=number(_first(defaults.get("min"), gauge.get("minValue"), axis.get("min"))),
        max=number(_first(defaults.get("max"), gauge.get("maxValue"), axis.get("max"))),
        calculation=_calculation(panel, options, notes),
        thresholds=_thresholds(panel, defaults),
        mappings=tuple(_mappings(panel, defaults))[:MAPPINGS_MAX],
        legend=_legend(panel, options),
        stacking=_stacking(panel, custom),
        fill_opacity=whole(_first(custom.get("fillOpacity"), _tens(panel.get("fill"))), 0, 100) or 0,
        line_width=_first(whole(_first(custom.get("lineWidth"), panel.get("linewidth")), 0, 10), 1),
        is_stepped=text(custom.get("lineInterpolation")).startswith("step") or panel.get("steppedLine") is True,
        is_horizontal=options.get("orientation") == "horizontal",
        axis_label=text(custom.get("axisLabel"), 1000) or text(axis.get("label"), 1000),
        overrides=tuple(_overrides(config, notes))[:OVERRIDES_MAX],
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _tens(value: object) -> float | None:
    found = number(value)
    return None if found is None else found * 10


def _calculation(panel: Json, options: Json, notes: Notes) -> Any:
    named = arr(obj(options.get("reduceOptions")).get("calcs"))
    name = text(named[0] if named else panel.get("valueName"), 100) or "last"
    if name not in _CALCULATIONS:
        notes.lose(f"the calculation {name[:40]!r}: the last value is shown")
    if obj(options.get("reduceOptions")).get("values") is True:
        notes.lose("all values, not one number of each series")
    return _CALCULATIONS.get(name, "last")


def _thresholds(panel: Json, defaults: Json) -> Thresholds:
    given = obj(defaults.get("thresholds"))
    steps = [Threshold(_color(each.get("color")), number(each.get("value"))) for _, each in objects(given.get("steps"))]
    if not given and isinstance(panel.get("thresholds"), str):  # of a singlestat: "80,90" and three colors
        bounds = [number(word) for word in text(panel.get("thresholds")).split(",") if word.strip()]
        colors = [_color(color) for color in arr(panel.get("colors"))]
        steps = (
            [Threshold(color, bound) for color, bound in zip(colors, [None, *bounds], strict=False)] if bounds else []
        )
    mode = "percentage" if given.get("mode") == "percentage" else "absolute"
    return Thresholds(tuple(steps[:STEPS_MAX]), mode)


def _color(value: object) -> str:
    found = text(value, 64)
    return found if _COLOR.fullmatch(found) else ""


def _mappings(panel: Json, defaults: Json) -> Iterator[Mapping]:
    for _, each in objects(defaults.get("mappings")):
        options = obj(each.get("options"))
        result = obj(options.get("result"))
        shown = {"text": text(result.get("text"), 1000), "color": _color(result.get("color"))}
        match each.get("type"):
            case "value":
                for value, what in options.items():
                    yield ValueMapping(
                        value=text(value, 1000),
                        text=text(obj(what).get("text"), 1000),
                        color=_color(obj(what).get("color")),
                    )
            case "range":
                yield RangeMapping(least=number(options.get("from")), most=number(options.get("to")), **shown)
            case "regex":
                yield RegexMapping(pattern=text(options.get("pattern"), 1000), **shown)
            case "special" if text(options.get("match")) in _SPECIAL:
                yield SpecialMapping(match=_SPECIAL[text(options.get("match"))], **shown)
            case _:
                yield from _old_mapping(each)
    for _, each in objects(panel.get("valueMaps")):
        yield from _old_mapping(each | {"type": 1})
    if panel.get("mappingType") != 1:
        for _, each in objects(panel.get("rangeMaps")):
            yield from _old_mapping(each | {"type": 2})


def _old_mapping(each: Json) -> Iterator[Mapping]:
    shown = text(each.get("text"), 1000)
    if each.get("type") == 1 and text(each.get("value")):
        value = text(each.get("value"), 1000)
        yield SpecialMapping(match="null", text=shown) if value == "null" else ValueMapping(value=value, text=shown)
    elif each.get("type") == 2:  # noqa: PLR2004 - Grafana's number for ranges
        yield RangeMapping(least=number(each.get("from")), most=number(each.get("to")), text=shown)


def _legend(panel: Json, options: Json) -> Legend:
    new, old = obj(options.get("legend")), obj(panel.get("legend"))
    named = [_CALCULATIONS.get(text(each)) for each in arr(new.get("calcs"))]
    named += [_CALCULATIONS[each] for each in ("min", "max", "avg", "current", "total") if old.get(each) is True]
    hides = new.get("showLegend") is False or new.get("displayMode") == "hidden" or old.get("show") is False
    is_right = new.get("placement") == "right" or old.get("rightSide") is True
    return Legend(
        is_shown=not hides,
        placement="right" if is_right else "bottom",
        is_table=new.get("displayMode") == "table" or old.get("alignAsTable") is True,
        calculations=tuple(dict.fromkeys(each for each in named if each))[:20],
    )


def _stacking(panel: Json, custom: Json) -> Any:
    mode = obj(custom.get("stacking")).get("mode")
    if mode in ("normal", "percent"):
        return mode
    if panel.get("stack") is True:
        return "percent" if panel.get("percentage") is True else "normal"
    return "none"


_MATCHERS: Final[dict[str, Any]] = {"byName": "name", "byNames": "name", "byRegexp": "regex", "byFrameRefID": "query"}
_LOOKS: Final = re.compile(
    r"custom\.(width|align|cellOptions|displayMode|fill|line|point|draw|axis|gradient|stack|inspect|minWidth|filterable).*"
)


def _overrides(config: Json, notes: Notes) -> Iterator[Override]:
    for _, each in objects(config.get("overrides")):
        matcher = obj(each.get("matcher"))
        kind, of = text(matcher.get("id"), 100), matcher.get("options")
        names = arr(obj(of).get("names")) or [of]
        found = tuple(name for name in (text(name, 1000) for name in names) if name)
        if kind == "byValue" and _is_of_nothing(each):
            continue
        if kind not in _MATCHERS or not found:
            notes.lose(f"an override of fields {kind[:40]}")
            continue
        if _MATCHERS[kind] == "regex":
            found = tuple(name[1 : name.rindex("/")] if re.fullmatch(r"/.*/\w*", name) else name for name in found)
        given: dict[str, Any] = {}
        for _, one in objects(each.get("properties")):
            given |= _property(text(one.get("id"), 100), one.get("value"), notes)
        if given:
            yield Override(_MATCHERS[kind], found[:100], **given)


def _is_of_nothing(override: Json) -> bool:
    """Whether an override hides only series without any number, which no answer has."""
    reducer = obj(obj(override.get("matcher")).get("options")).get("reducer")
    hides = (text(each.get("id"), 100) == "custom.hideFrom" for _, each in objects(override.get("properties")))
    return reducer == "allIsNull" and all(hides)


def _property(name: str, value: object, notes: Notes) -> Json:  # noqa: PLR0911 - one for each kind of property
    match name:
        case "unit":
            return {"unit": text(value, 1000)}
        case "displayName":
            return {"name": text(value, 1000)}
        case "decimals":
            return {"decimals": whole(value, 0, 20)}
        case "min" | "max":
            return {name: number(value)}
        case "color":
            color = _color(obj(value).get("fixedColor"))
            return {"color": color} if color else {}
        case "custom.transform":
            return {"is_negative": True} if value == "negative-Y" else {}
        case "custom.hidden":
            return {"is_hidden": value is True}
        case "custom.hideFrom":
            return {"is_hidden": True} if obj(value).get("viz") is True else {}
        case _:
            if not _LOOKS.fullmatch(name):
                notes.lose(f"an override of {name[:60]}")
            return {}
