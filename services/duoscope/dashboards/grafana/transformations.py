"""Transformations of a panel as those of a widget, and back."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from duoscope.dashboards import transformations as ours
from duoscope.dashboards.grafana.reading import Json, arr, number, obj, objects, text
from duoscope.dashboards.grafana.report import Line, NotConvertedError, Notes
from duoscope.dashboards.transformations import TRANSFORMATIONS_MAX, Transformation, problem_of

_REDUCERS: Final[dict[str, Any]] = {
    "last": "last", "lastNotNull": "last", "first": "first", "firstNotNull": "first", "min": "min", "max": "max",
    "mean": "mean", "sum": "sum", "count": "count", "range": "range", "delta": "delta", "diff": "diff",
    "uniqueValues": "unique", "allValues": "unique",
}  # fmt: skip
_NAMES: Final = {
    "last": "lastNotNull", "first": "firstNotNull", "unique": "uniqueValues",
}  # fmt: skip
_REGEX: Final = re.compile(r"/(.*)/[a-z]*", re.DOTALL)


def convert(panel: Json, pointer: str, notes: Notes) -> tuple[tuple[Transformation, ...], list[Line]]:
    """The transformations that can be carried out, and a line for each; what is lost is noted for the panel."""
    made: list[Transformation] = []
    lines: list[Line] = []
    for position, each in objects(panel.get("transformations")):
        name, at = text(each.get("id"), 100), f"{pointer}/transformations/{position}"
        if each.get("disabled") is True:
            lines.append(Line("transformation", name, "", at, "left-out", ["it is disabled"]))
            continue
        own = Notes()
        try:
            if obj(each.get("filter")):
                own.lose("a filter of the frames that it is for")
            step = list(_converted(name, obj(each.get("options")), own))
            made += _valid(step, room=TRANSFORMATIONS_MAX - len(made))
            lines.append(own.line("transformation", name, "", at))
            for lost in own.lost:
                notes.lose(f"of the transformation {name[:60]}: {lost}")
        except NotConvertedError as error:
            lines.append(Line("transformation", name, "", at, "left-out", [str(error)]))
            notes.lose(f"the transformation {name[:60]}")
    return tuple(made), lines


def _valid(steps: list[Transformation], *, room: int) -> list[Transformation]:
    if len(steps) > room:
        raise NotConvertedError(f"a widget has up to {TRANSFORMATIONS_MAX} transformations")
    try:
        found = msgspec.convert(msgspec.to_builtins(steps), list[Transformation])
    except msgspec.ValidationError as error:
        raise NotConvertedError(f"it cannot be here: {error}") from error
    for problem in filter(None, map(problem_of, found)):
        raise NotConvertedError(problem)
    return found


def _converted(name: str, options: Json, notes: Notes) -> Iterator[Transformation]:
    if name not in _KINDS:
        raise NotConvertedError("there is no counterpart of it")
    yield from _KINDS[name](options, notes)


def _names(value: object) -> tuple[str, ...]:
    return tuple(text(each, 1000) for each in arr(value) if text(each, 1000))


def _organize(options: Json, notes: Notes) -> Iterator[Transformation]:
    del notes
    order = {text(name, 1000): number(place) for name, place in obj(options.get("indexByName")).items()}
    listed = sorted((name for name, place in order.items() if place is not None), key=lambda name: order[name] or 0)
    rename = {text(name, 1000): text(to, 1000) for name, to in obj(options.get("renameByName")).items()}
    yield ours.Organize(
        exclude=tuple(text(name, 1000) for name, on in obj(options.get("excludeByName")).items() if on is True),
        include=tuple(text(name, 1000) for name, on in obj(options.get("includeByName")).items() if on is True),
        order=tuple(listed),
        rename={name: to for name, to in rename.items() if to and to != name},
    )


def _merge(options: Json, notes: Notes) -> Iterator[Transformation]:
    del options, notes
    yield ours.Merge()


def _join(options: Json, notes: Notes) -> Iterator[Transformation]:
    mode = text(options.get("mode"), 40) or "outer"
    if mode == "outerTabular":
        notes.lose("rows with equal values are one")
    elif mode not in ("outer", "inner"):
        raise NotConvertedError(f"there is no mode {mode!r}")
    yield ours.Join(text(options.get("byField"), 1000) or "Time", "inner" if mode == "inner" else "outer")


def _rename(options: Json, notes: Notes) -> Iterator[Transformation]:
    del notes
    yield ours.Rename(_regex(options.get("regex")), text(options.get("renamePattern"), 1000))


def _filter(options: Json, notes: Notes) -> Iterator[Transformation]:
    include, exclude = obj(options.get("include")), obj(options.get("exclude"))
    if options.get("byVariable") is True:
        notes.lose("names that a variable gives")
    yield ours.Filter(
        _names(include.get("names")),
        _regex(include.get("pattern")),
        _names(exclude.get("names")),
        _regex(exclude.get("pattern")),
    )


def _group(options: Json, notes: Notes) -> Iterator[Transformation]:
    by: list[str] = []
    aggregate: list[ours.Aggregate] = []
    for name, how in obj(options.get("fields")).items():
        if obj(how).get("operation") == "groupby":
            by.append(text(name, 1000))
        elif obj(how).get("operation") == "aggregate":
            reducers = _reducers(obj(how).get("aggregations"), notes)
            if reducers:
                aggregate.append(ours.Aggregate(text(name, 1000), reducers))
    if not by:
        raise NotConvertedError("it groups by nothing")
    yield ours.GroupBy(tuple(by), tuple(aggregate))


def _reducers(value: object, notes: Notes) -> tuple[Any, ...]:
    found: list[Any] = []
    for each in arr(value):
        name = text(each, 100)
        if name not in _REDUCERS:
            notes.lose(f"the calculation {name[:40]!r}")
        elif _REDUCERS[name] not in found:
            found.append(_REDUCERS[name])
    return tuple(found)


def _sort(options: Json, notes: Notes) -> Iterator[Transformation]:
    del notes
    # The last one that sorts decides, and those before it where it finds no difference.
    for _, each in reversed(list(objects(options.get("sort")))):
        if column := text(each.get("field"), 1000):
            yield ours.SortBy(column, each.get("desc") is True)


def _calculate(options: Json, notes: Notes) -> Iterator[Transformation]:
    mode = text(options.get("mode"), 40) or "reduceRow"
    name, replaces = text(options.get("alias"), 1000), options.get("replaceFields") is True
    if mode == "binary":
        binary = obj(options.get("binary"))
        operator = text(binary.get("operator"), 4) or "+"
        if operator not in ("+", "-", "*", "/", "%", "**"):
            raise NotConvertedError(f"there is no operator {operator!r}")
        left, right = _operand(binary.get("left")), _operand(binary.get("right"))
        yield ours.Calculate(name, left, operator, right, replaces=replaces)
    elif mode == "reduceRow":
        reduce = obj(options.get("reduce"))
        reducers = _reducers([reduce.get("reducer") or "sum"], notes)
        if not reducers:
            raise NotConvertedError("there is no counterpart of its calculation")
        yield ours.Calculate(name, reducer=reducers[0], columns=_names(reduce.get("include")), replaces=replaces)
    else:
        raise NotConvertedError(f"there is no mode {mode!r}")


def _operand(value: object) -> str:
    matcher = obj(obj(value).get("matcher"))
    if matcher:
        if matcher.get("id") != "byName":
            raise NotConvertedError("it calculates with other fields than those of a name")
        return text(matcher.get("options"), 1000)
    return text(obj(value).get("fixed"), 1000) or text(value, 1000)


def _trends(options: Json, notes: Notes) -> Iterator[Transformation]:
    if any(text(obj(each).get("stat"), 40) not in ("", "lastNotNull", "last") for each in options.values()):
        notes.lose("the number beside a series is its last")
    yield ours.SeriesToTable()


def _reduce(options: Json, notes: Notes) -> Iterator[Transformation]:
    reducers = _reducers(options.get("reducers") or ["max"], notes)
    if not reducers:
        raise NotConvertedError("there is no counterpart of its calculations")
    mode = "columns" if options.get("mode") == "reduceFields" else "rows"
    yield ours.Reduce(reducers, mode, options.get("labelsToFields") is True)


def _columns(options: Json, notes: Notes) -> Iterator[Transformation]:
    yield from _join({"byField": options.get("byField"), "mode": "outer"}, notes)


def _regex(value: object) -> str:
    found = text(value, 1000)
    slashed = _REGEX.fullmatch(found)
    return slashed[1] if slashed else found


_KINDS: Final[dict[str, Callable[[Json, Notes], Iterator[Transformation]]]] = {
    "organize": _organize, "merge": _merge, "joinByField": _join, "seriesToColumns": _columns,
    "renameByRegex": _rename, "filterFieldsByName": _filter, "groupBy": _group, "sortBy": _sort,
    "calculateField": _calculate, "timeSeriesTable": _trends, "reduce": _reduce,
}  # fmt: skip


def export(step: Transformation) -> Json:  # noqa: C901, PLR0911 - one for each kind
    """A transformation as Grafana writes it."""
    match step:
        case ours.Organize():
            return _as(
                "organize",
                excludeByName=dict.fromkeys(step.exclude, True),
                includeByName=dict.fromkeys(step.include, True),
                indexByName={name: place for place, name in enumerate(step.order)},
                renameByName=step.rename,
            )
        case ours.Merge():
            return _as("merge")
        case ours.Join():
            return _as("joinByField", byField=step.field, mode=step.mode)
        case ours.Rename():
            return _as("renameByRegex", regex=step.regex, renamePattern=step.pattern)
        case ours.Filter():
            include = {"names": list(step.include), "pattern": step.include_regex}
            exclude = {"names": list(step.exclude), "pattern": step.exclude_regex}
            return _as("filterFieldsByName", include=include, exclude=exclude)
        case ours.GroupBy():
            fields: Json = {name: {"operation": "groupby", "aggregations": []} for name in step.by}
            fields |= {
                each.column: {"operation": "aggregate", "aggregations": [_name(one) for one in each.reducers]}
                for each in step.aggregate
            }
            return _as("groupBy", fields=fields)
        case ours.SortBy():
            return _as("sortBy", sort=[{"field": step.column, "desc": step.is_descending}])
        case ours.Calculate():
            return _as("calculateField", **_calculation(step))
        case ours.SeriesToTable():
            return _as("timeSeriesTable")
        case ours.Reduce():
            mode = "reduceFields" if step.mode == "columns" else "seriesToRows"
            reducers = [_name(each) for each in step.reducers]
            return _as("reduce", reducers=reducers, mode=mode, labelsToFields=step.with_labels)


def _calculation(step: ours.Calculate) -> Json:
    how: Json = {"alias": step.name, "replaceFields": step.replaces}
    if step.operator is not None:
        return how | {
            "mode": "binary",
            "binary": {"left": step.left, "operator": step.operator, "right": step.right},
        }
    return how | {"mode": "reduceRow", "reduce": {"reducer": _name(step.reducer), "include": list(step.columns)}}


def _as(name: str, **options: Any) -> Json:
    return {"id": name, "options": options}


def _name(reducer: str) -> str:
    return _NAMES.get(reducer, reducer)
