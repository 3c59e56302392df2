"""Variables of a dashboard, the order in which they depend on each other, and the values chosen for them."""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from duoscope.dashboards.filling import ALL, Chosen, names_in
from duoscope.dashboards.widgets import ShortText
from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX
from duoscope.telemetry.questions.promql import EXPRESSION_CHARS_MAX

OPTIONS_MAX: Final = 1000
Expression = Annotated[str, Meta(max_length=EXPRESSION_CHARS_MAX)]


class LabelValues(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="label-values"):
    """The values of a label of the series that a selector names; of all without one."""

    label: Annotated[ShortText, Meta(min_length=1, examples=["job"])]
    selector: Annotated[Expression, Meta(examples=['up{cluster="$cluster"}'])] = ""


class MetricNames(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="metric-names"):
    """The names of metrics that a regular expression matches wholly."""

    pattern: ShortText = ".*"


class LabelNames(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="label-names"):
    """The names of labels of the series of metrics that a regular expression matches wholly."""

    pattern: ShortText = ".*"


class QueryResult(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="query-result"):
    """The series of a PromQL expression, each as `{label="value"} number`, of which `regex` takes a part."""

    expression: Annotated[Expression, Meta(min_length=1)]


class FieldValues(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="field-values"):
    """The values of a field of log records or spans."""

    signal: Literal["logs", "traces"]
    field: Annotated[ShortText, Meta(min_length=1, examples=["service"])]
    query: Annotated[str, Meta(max_length=QUERY_TEXT_CHARS_MAX)] = ""


Source = LabelValues | MetricNames | LabelNames | QueryResult | FieldValues


class Option(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that may be chosen, and what is shown for it: itself unless given."""

    value: ShortText
    text: ShortText = ""


class _Variable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[
        str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$", description="Texts use it as `$name`.", examples=["service"])
    ]
    label: Annotated[ShortText, Meta(description="What people see; its name unless given.")] = ""
    description: ShortText = ""
    is_hidden: bool = False


class _Choice(_Variable, frozen=True, kw_only=True):
    multi: Annotated[bool, Meta(description="Whether several values may be chosen.")] = False
    include_all: bool = False
    all_value: Annotated[
        ShortText | None, Meta(description="The regular expression that all stands for; by default all values do.")
    ] = None
    value: Annotated[
        tuple[ShortText, ...],
        Meta(max_length=OPTIONS_MAX, description=f"Chosen at first; `{ALL}` is all. By default the first value."),
    ] = ()


class QueryVariable(_Choice, frozen=True, kw_only=True, tag_field="kind", tag="query"):
    """A variable whose values are asked for."""

    source: Source
    regex: Annotated[
        ShortText, Meta(description="Only values that it matches; of these its first group, if it has one.")
    ] = ""
    sort: Literal["none", "ascending", "descending", "numeric", "numeric_descending"] = "none"


class ListVariable(_Choice, frozen=True, kw_only=True, tag_field="kind", tag="list"):
    """A variable whose values are listed."""

    options: Annotated[tuple[Option, ...], Meta(min_length=1, max_length=OPTIONS_MAX)]


class TextVariable(_Variable, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """People write its value. In a regular expression it is one."""

    value: ShortText = ""


class ConstantVariable(_Variable, frozen=True, kw_only=True, tag_field="kind", tag="constant"):
    """A variable whose value is the dashboard's. In a regular expression it is one."""

    value: ShortText = ""


class IntervalVariable(_Variable, frozen=True, kw_only=True, tag_field="kind", tag="interval"):
    """A length of time, of those listed; `auto` is a thirtieth of the range, and the step at least."""

    options: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^([1-9]\d{0,8}(ms|s|m|h|d|w|y)|auto)$")], ...],
        Meta(min_length=1, max_length=100, examples=[["1m", "5m", "1h"]]),
    ]
    value: Annotated[str, Meta(max_length=20, description="Chosen at first; the first unless given.")] = ""


Variable = QueryVariable | ListVariable | TextVariable | ConstantVariable | IntervalVariable


def needs(variable: Variable, known: Iterable[str]) -> set[str]:
    """The names of the variables that its values depend on."""
    if not isinstance(variable, QueryVariable):
        return set()
    return names_in("\n".join(_texts(variable.source))) & set(known)


def in_order(variables: Iterable[Variable]) -> list[list[str]]:
    """The names of variables, in groups: each depends on earlier groups alone.

    Raises:
        ValueError: some depend on themselves; it names them.
    """
    by_name = {variable.name: variable for variable in variables}
    sorter = TopologicalSorter({name: needs(variable, by_name) for name, variable in by_name.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(" → ".join(reversed(error.args[1]))) from error
    groups: list[list[str]] = []
    while sorter.is_active():
        ready = sorter.get_ready()
        groups.append(sorted(ready))
        sorter.done(*ready)
    return groups


def circles(variables: Iterable[Variable]) -> Iterator[list[str]]:
    """Find names of variables that depend on each other in a circle, the first one also last, until none is left.

    No variable is in two of them.
    """
    by_name = {variable.name: variable for variable in variables}
    graph = {name: needs(variable, by_name) for name, variable in by_name.items()}
    while circle := _circle(graph):
        yield circle
        graph = {name: needed.difference(circle) for name, needed in graph.items() if name not in circle}


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def chosen(variable: Variable, values: tuple[str, ...] | None) -> Chosen:
    """Find what stands for a variable in texts.

    Args:
        variable: of the dashboard.
        values: chosen by whoever looks; None for those chosen at first.

    Raises:
        ValueError: it does not take these values; it says which it takes.
    """
    match variable:
        case ConstantVariable():
            if values is not None and values != (variable.value,):
                raise ValueError("it is a constant")
            return Chosen((variable.value,), is_literal=False)
        case TextVariable():
            return Chosen((_single(values, variable.value),), is_literal=False)
        case IntervalVariable():
            value = _single(values, variable.value or variable.options[0])
            if value not in variable.options and value != variable.value:
                raise ValueError(f"it is one of {', '.join(variable.options)}")
            return Chosen((value,), is_literal=True, is_interval=True)
        case QueryVariable() | ListVariable():
            return _of_choice(variable, values if values is not None else variable.value)


def _of_choice(variable: QueryVariable | ListVariable, values: tuple[str, ...]) -> Chosen:
    values = tuple(dict.fromkeys(values))
    listed = variable.options if isinstance(variable, ListVariable) else ()
    options = tuple(dict.fromkeys(option.value for option in listed))
    if ALL in values:
        if not variable.include_all:
            raise ValueError("it does not take all values at once")
        if variable.all_value is not None or not options:
            return Chosen((variable.all_value or ".*",), is_literal=False, is_all=True)
        return Chosen(options, is_literal=True)
    if len(values) > 1 and not variable.multi:
        raise ValueError("it takes one value")
    if len(values) > OPTIONS_MAX:
        raise ValueError(f"it takes up to {OPTIONS_MAX} values")
    if wrong := [value for value in values if options and value not in options]:
        raise ValueError(f"{wrong[0][:40]!r} is not among its values")
    is_literal = isinstance(variable, QueryVariable) or variable.multi or variable.include_all
    return Chosen(values or options[:1] or ("",), is_literal=is_literal)


def _single(values: tuple[str, ...] | None, default: str) -> str:
    if values is None:
        return default
    if len(values) != 1:
        raise ValueError("it takes one value")
    return values[0]


def _texts(source: Source) -> Iterator[str]:
    for name in source.__struct_fields__:
        value: object = getattr(source, name)
        if isinstance(value, str):
            yield value


def by_name(variables: Iterable[Variable], values: Mapping[str, tuple[str, ...]]) -> dict[str, Chosen]:
    """Find what stands for each variable, with the values chosen for some by name.

    Raises:
        ValueError: there is no such variable, or it does not take these values.
    """
    found: dict[str, Chosen] = {}
    for variable in variables:
        try:
            found[variable.name] = chosen(variable, values.get(variable.name))
        except ValueError as error:
            raise ValueError(f"{variable.name}: {error}") from error
    if unknown := sorted(set(values) - set(found)):
        raise ValueError(f"{unknown[0][:64]}: the dashboard has no such variable")
    return found
