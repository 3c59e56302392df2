"""Variables of Grafana's `templating`."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from duoscope.dashboards.filling import ALL
from duoscope.dashboards.grafana.reading import Json, arr, obj, objects, text
from duoscope.dashboards.grafana.report import Line, NotConvertedError, Notes
from duoscope.dashboards.model import VARIABLES_MAX
from duoscope.dashboards.variables import (
    OPTIONS_MAX,
    ConstantVariable,
    IntervalVariable,
    LabelNames,
    LabelValues,
    ListVariable,
    MetricNames,
    Option,
    QueryResult,
    QueryVariable,
    Source,
    TextVariable,
    Variable,
)

_LABEL_VALUES: Final = re.compile(
    r"\s*label_values\((?:(?P<selector>.+),)?\s*(?P<label>[A-Za-z_]\w*)\s*\)\s*", re.DOTALL
)
_CALL: Final = re.compile(r"\s*(?P<name>metrics|label_names|query_result)\((?P<of>.*)\)\s*", re.DOTALL)
_DURATION: Final = re.compile(r"[1-9]\d{0,8}(?:ms|s|m|h|d|w|y)")
_SORTS: Final[dict[object, Any]] = {
    1: "ascending", 2: "descending", 3: "numeric", 4: "numeric_descending", 5: "ascending", 6: "descending",
}  # fmt: skip
_HIDES: Final = 2


def convert(templating: object) -> tuple[list[Variable], list[Line]]:
    """The variables that have a counterpart, up to VARIABLES_MAX, and a line for each."""
    made: list[Variable] = []
    lines: list[Line] = []
    for number, source in objects(obj(templating).get("list")):
        pointer = f"/templating/list/{number}"
        kind, name = text(source.get("type"), 100) or "query", text(source.get("name"), 200)
        notes = Notes()
        if len(made) == VARIABLES_MAX:
            why = f"a dashboard has up to {VARIABLES_MAX} variables"
            lines.append(Line("variable", kind, name, pointer, "left-out", [why]))
            continue
        try:
            made.append(_new(_variable(kind, name, source, notes), made))
            lines.append(notes.line("variable", kind, name, pointer))
        except NotConvertedError as error:
            lines.append(Line("variable", kind, name, pointer, "left-out", [str(error)]))
    return made, lines


def _variable(kind: str, name: str, source: Json, notes: Notes) -> Variable:
    about: dict[str, Any] = {
        "name": name,
        "label": text(source.get("label"), 1000),
        "description": text(source.get("description"), 1000),
        "is_hidden": source.get("hide") == _HIDES,
    }
    match kind:
        case "query":
            return _of_query(about, source, notes)
        case "custom":
            return _of_list(about, source)
        case "textbox":
            return TextVariable(**about, value=_current(source) or text(source.get("query"), 1000))
        case "constant":
            return ConstantVariable(**about, value=text(source.get("query"), 1000) or _current(source))
        case "interval":
            return _of_interval(about, source)
        case "datasource":
            raise NotConvertedError("there is one source of data here, the tenant's telemetry")
        case "adhoc":
            raise NotConvertedError("filters beside the questions are not supported")
        case _:
            raise NotConvertedError(f"there is no kind of variable {kind[:40]!r}")


def _of_list(about: dict[str, Any], source: Json) -> ListVariable:
    options = _options(source)
    if not options:
        raise NotConvertedError("it has no values")
    found = ListVariable(**about, **_choice(source), options=options)
    values = {option.value for option in options} | {ALL}
    return msgspec.structs.replace(found, value=tuple(value for value in found.value if value in values))


def _of_interval(about: dict[str, Any], source: Json) -> IntervalVariable:
    words = [word.strip(" \"'") for word in text(source.get("query")).split(",")]
    lengths = [word for word in words if _DURATION.fullmatch(word)][:99]
    if source.get("auto") is True or "auto" in words:
        lengths.insert(0, "auto")
    if not lengths:
        raise NotConvertedError("it has no lengths of time")
    current = _current(source)
    current = "auto" if current.startswith("$__auto") and lengths[0] == "auto" else current
    return IntervalVariable(**about, options=tuple(lengths), value=current if current in lengths else "")


def _of_query(about: dict[str, Any], source: Json, notes: Notes) -> QueryVariable:
    asked = source.get("query")
    query = text(obj(asked).get("query")) or text(asked) or text(source.get("definition"))
    of = text(obj(source.get("datasource")).get("type")) or "prometheus"
    is_loki_label = of == "loki" and obj(asked).get("label")
    if of not in ("prometheus", "loki"):
        raise NotConvertedError(f"it asks a source of type {of[:40]}")
    if of == "loki":
        notes.lose("values of Loki's labels are asked of the labels of metrics")
    if is_loki_label:
        query = f"label_values({text(obj(asked).get('stream')) or '{}'}, {text(obj(asked).get('label'))})"
    regex = text(source.get("regex"), 1000)
    if len(regex) > 1 and regex.startswith("/") and regex.rstrip("gim").endswith("/"):
        regex = regex[1 : regex.rindex("/")]
    return QueryVariable(
        **about,
        **_choice(source),
        source=_source(query),
        regex=regex,
        sort=_SORTS.get(source.get("sort") if isinstance(source.get("sort"), int) else 0, "none"),
    )


def _source(query: str) -> Source:
    if found := _LABEL_VALUES.fullmatch(query):
        selector = (found["selector"] or "").strip()
        return LabelValues(found["label"], "" if selector == "{}" else selector)
    if found := _CALL.fullmatch(query):
        of = found["of"].strip()
        if found["name"] == "query_result":
            return QueryResult(of)
        return MetricNames(of or ".*") if found["name"] == "metrics" else LabelNames(of or ".*")
    if not query.strip():
        raise NotConvertedError("it asks nothing")
    # Grafana takes any other text as a selector, whose series are the values.
    return QueryResult(query.strip())


def _choice(source: Json) -> dict[str, Any]:
    includes_all = source.get("includeAll") is True
    current = obj(source.get("current")).get("value")
    values = [text(each, 1000) for each in arr(current) or [current]]
    values = [value for value in values if value][:OPTIONS_MAX]
    if ALL in values:
        values = [ALL] if includes_all else []
    if source.get("multi") is not True:
        values = values[:1]
    return {
        "multi": source.get("multi") is True,
        "include_all": includes_all,
        "all_value": text(source.get("allValue"), 1000) or None,
        "value": tuple(values),
    }


def _options(source: Json) -> tuple[Option, ...]:
    query = text(source.get("query"))
    if not query:
        listed = [
            (text(each.get("value"), 1000), text(each.get("text"), 1000)) for _, each in objects(source.get("options"))
        ]
        return tuple(Option(value, shown if shown != value else "") for value, shown in listed if value != ALL)[
            :OPTIONS_MAX
        ]
    return tuple(_split(query))[:OPTIONS_MAX]


def _split(query: str) -> Iterator[Option]:
    r"""Values with commas between them, `\,` for one within; `text : value` shows another text."""
    for part in re.findall(r"(?:\\,|[^,])+", query):
        word = part.replace("\\,", ",").strip()
        shown, colon, value = word.partition(" : ")
        if word:
            yield Option(value.strip()[:1000], shown.strip()[:1000]) if colon else Option(word[:1000])


def _current(source: Json) -> str:
    value = obj(source.get("current")).get("value")
    return text((arr(value) or [value])[0], 1000)


def _new(variable: Variable, others: list[Variable]) -> Variable:
    """The variable, if it may stand in a dashboard beside others."""
    if any(variable.name == other.name for other in others):
        raise NotConvertedError("another variable has its name")
    try:
        return msgspec.convert(msgspec.to_builtins(variable), Variable)
    except msgspec.ValidationError as error:
        raise NotConvertedError(f"it cannot be here: {error}") from error
