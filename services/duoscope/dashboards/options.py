"""The values that can be chosen for variables, all of them in one call, each asked once those that it depends on are
known.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.dashboards.filling import ALL, Chosen, Values, plain, promql, search
from duoscope.dashboards.flights import Failure
from duoscope.dashboards.model import Dashboard
from duoscope.dashboards.planning import step_of
from duoscope.dashboards.variables import (
    OPTIONS_MAX,
    ConstantVariable,
    FieldValues,
    IntervalVariable,
    LabelNames,
    LabelValues,
    ListVariable,
    MetricNames,
    Option,
    QueryResult,
    QueryVariable,
    TextVariable,
    Variable,
    chosen,
    in_order,
    needs,
)
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.kernel.limits import FIELD_VALUES_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import fields
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.numerals import plain as printed
from duoscope.telemetry.promql.patterns import compiled
from duoscope.telemetry.promql.storage import Request
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.stored.naming import families
from duoscope.telemetry.promql.stored.seen_labels import seen_labels
from duoscope.telemetry.promql.syntax import parse, tree
from duoscope.telemetry.questions.answers import Steps
from duoscope.telemetry.questions.promql import evaluated
from duoscope.telemetry.times import SECOND_NS, TimeRange

TIMEOUT_S: Final = 30.0
_GROUPS: Final = re.compile(r"\(\?P?<(text|value)>")
_PERMISSIONS: Final = {"logs": "log:read", "traces": "trace:read"}


class VariableValues(Struct, frozen=True, kw_only=True):
    """The values of a variable that can be chosen, and those that are."""

    name: str
    options: Annotated[list[Option], Meta(description=f"Up to {OPTIONS_MAX}, without `{ALL}`.")] = []
    value: Annotated[
        list[str],
        Meta(description=f"As chosen, where that can still be; otherwise as at first, or the first. `{ALL}` is all."),
    ] = []
    is_complete: bool = True
    error: Failure | None = None


def affected(variables: Sequence[Variable], changed: Collection[str]) -> set[str]:
    """The variables whose values depend on one of those that changed, also by way of others, without these.

    Raises:
        DuoscopeError: INVALID `invalid-variable` for one that is not there.
    """
    names = [variable.name for variable in variables]
    if unknown := sorted(set(changed) - set(names)):
        raise invalid(f"`changed`: the dashboard has no variable {unknown[0][:64]!r}.", code="invalid-variable")
    reached = set(changed)
    for group in in_order(variables):
        reached |= {each.name for each in variables if each.name in group and needs(each, names) & reached}
    return reached - set(changed)


async def asked_options(
    reader: TelemetryReader,
    permissions: frozenset[str],
    dashboard: Dashboard,
    times: TimeRange,
    *,
    chosen: Mapping[str, tuple[str, ...]],
    only: Collection[str] | None = None,
) -> list[VariableValues]:
    """Ask for the values of variables.

    Args:
        reader: of the tenant.
        permissions: of who asks.
        dashboard: whose variables.
        times: the range.
        chosen: values, by name; others have those of the dashboard. What can no longer be chosen is not.
        only: the variables that are asked; None for all. Of others the chosen values are taken as they are.

    Raises:
        DuoscopeError: INVALID `invalid-variable` for a name that is no variable's.
    """
    by_name = {variable.name: variable for variable in dashboard.variables}
    if unknown := sorted(set(chosen) - set(by_name)):
        raise invalid(f"{unknown[0][:64]}: the dashboard has no such variable.", code="invalid-variable")
    asking = _Asking(reader, permissions, times)
    known: dict[str, Chosen] = {}
    found: dict[str, VariableValues] = {}
    for group in in_order(dashboard.variables):
        wanted = [name for name in group if only is None or name in only]
        for name in (name for name in group if name not in wanted):
            known[name] = _taken(by_name[name], chosen.get(name))
        answers = await asyncio.gather(*(asking.values(by_name[name], chosen.get(name), known) for name in wanted))
        for answered in answers:
            found[answered.name] = answered
            known[answered.name] = _taken(by_name[answered.name], tuple(answered.value) or None)
    return [found[variable.name] for variable in dashboard.variables if variable.name in found]


def _taken(variable: Variable, values: tuple[str, ...] | None) -> Chosen:
    try:
        return chosen(variable, values)
    except ValueError:
        try:
            return chosen(variable, None)
        except ValueError:
            return Chosen(("",), is_literal=True)


class _Asking:
    def __init__(self, reader: TelemetryReader, permissions: frozenset[str], times: TimeRange) -> None:
        self._reader = reader
        self._permissions = permissions
        range_s = max(1, (times.end_ns - times.start_ns) // SECOND_NS)
        self._range_s, self._step_s = range_s, step_of(range_s, 1)
        step_ns = self._step_s * SECOND_NS
        self._times = TimeRange(times.start_ns // step_ns * step_ns, -(-times.end_ns // step_ns) * step_ns)
        self._storage = ClickHouseStorage(reader)

    async def values(
        self, variable: Variable, wanted: tuple[str, ...] | None, known: Mapping[str, Chosen]
    ) -> VariableValues:
        match variable:
            case TextVariable() | ConstantVariable():
                value = variable.value if isinstance(variable, ConstantVariable) or not wanted else wanted[0]
                return VariableValues(name=variable.name, value=[value])
            case IntervalVariable():
                value = wanted[0] if wanted and wanted[0] in variable.options else variable.value
                options = [Option(each) for each in variable.options]
                return VariableValues(name=variable.name, options=options, value=[value or variable.options[0]])
            case ListVariable():
                return _settled(variable, list(variable.options), wanted)
            case QueryVariable():
                return await self._of_query(variable, wanted, known)

    async def _of_query(
        self, variable: QueryVariable, wanted: tuple[str, ...] | None, known: Mapping[str, Chosen]
    ) -> VariableValues:
        source = variable.source
        needed = _PERMISSIONS[source.signal] if isinstance(source, FieldValues) else "metric:read"
        if needed not in self._permissions:
            return _failed(variable, "forbidden", f"It needs the permission {needed}.")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                texts, is_complete = await self._texts(source, Values(known, self._step_s, self._range_s))
            options = await asyncio.to_thread(_options, texts, variable)
        except ExpressionError as error:
            return _failed(variable, "invalid-question", error.message)
        except DuoscopeError as error:
            return _failed(variable, error.code, error.message)
        except TimeoutError:
            return _failed(variable, "timeout", f"Its values take longer than {TIMEOUT_S:g} s.")
        return _settled(variable, options, wanted, is_complete=is_complete)

    async def _texts(self, source: Any, values: Values) -> tuple[Iterable[str], bool]:
        match source:
            case LabelValues(label, selector):
                return await self._label_values(plain(label, values), promql(selector, values)), True
            case MetricNames(pattern):
                names = await self._metric_names()
                regex = compiled(plain(pattern, values))
                return [name for name in names if regex.fullmatch(name)], True
            case LabelNames(pattern):
                return await self._label_names(plain(pattern, values)), True
            case QueryResult(expression):
                return await self._results(promql(expression, values)), True
            case FieldValues():
                found = await fields.list_values(
                    self._reader,
                    self._times,
                    source.signal,
                    plain(source.field, values),
                    query=search(source.query, values),
                    limit=FIELD_VALUES_MAX,
                )
                return [each.value for each in found.items], found.is_complete
            case other:
                raise AssertionError(other)

    async def _label_values(self, label: str, selector: str) -> Iterable[str]:
        if not selector:
            if label == label_sets.NAME:
                return await self._metric_names()
            seen = await seen_labels(self._reader, *self._bounds())
            if (values := seen.values(label)) is not None:
                return values
        found = await self._series(selector)
        return {value for labels in found if (value := label_sets.get(labels, label))}

    async def _label_names(self, pattern: str) -> Iterable[str]:
        if pattern in ("", ".*"):
            return (await seen_labels(self._reader, *self._bounds())).names
        regex = compiled(pattern)
        names = {name for name in await self._metric_names() if regex.fullmatch(name)}
        found = await asyncio.gather(*(self._series(name) for name in sorted(names)[:100]))
        return {name for series in found for labels in series for name, _ in labels}

    async def _metric_names(self) -> list[str]:
        described = await self._storage.described()
        return sorted({each.name for one in described for each in families(one.shape) if not each.is_plain})

    async def _series(self, selector: str) -> list[label_sets.Labels]:
        groups: tuple[Any, ...] = ((),)
        if selector:
            node = tree.unwrapped(parse.parse(selector))
            if not isinstance(node, tree.Selector):
                raise ExpressionError('it is no selector of series, such as up{job="x"}')
            groups = node.groups
        start_ms, end_ms = self._bounds()
        (found,) = await self._storage.series([Request(groups, start_ms, end_ms)])
        return found

    async def _results(self, expression: str) -> Iterable[str]:
        steps = Steps(self._times.end_ns, self._range_s * SECOND_NS)
        found = await evaluated(self._storage, expression, steps, keeps_names=True)
        last = zip(found.labels, found.values[:, -1:].ravel(), found.has[:, -1:].ravel(), strict=True)
        at = self._times.end_ns // 1_000_000
        return [
            f"{label_sets.get(labels, label_sets.NAME)}"
            f"{_shown(label_sets.without(labels, label_sets.SCHEMA))} {printed(float(number))} {at}"
            for labels, number, is_there in last
            if is_there
        ]

    def _bounds(self) -> tuple[int, int]:
        return self._times.start_ns // 1_000_000 - 1, self._times.end_ns // 1_000_000


def _shown(labels: label_sets.Labels) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{pairs}}}"


def _failed(variable: Variable, code: str, message: str) -> VariableValues:
    at_first = list(variable.value) if isinstance(variable, QueryVariable) else []
    return VariableValues(name=variable.name, value=at_first, error=Failure(code, message))


def _options(texts: Iterable[str], variable: QueryVariable) -> list[Option]:
    """The values that the regular expression takes of texts, in order, each once."""
    found: dict[str, Option] = {}
    if not variable.regex:
        found = {text: Option(text[:1000]) for text in texts if text}
    else:
        regex = compiled(_GROUPS.sub(r"(?P<\1>", variable.regex))
        named = regex.groupindex
        for text in texts:
            match = regex.search(text)
            if match is None:
                continue
            value = match["value"] if "value" in named else match[1] if regex.groups else match[0]
            shown = match["text"] if "text" in named else value
            if value or shown:
                value = value or shown
                found.setdefault(value, Option(value[:1000], shown[:1000] if shown != value else ""))
    options = list(found.values())
    match variable.sort:
        case "none":
            # What a store answers has no order of its own.
            options.sort(key=lambda each: each.value)
        case "ascending" | "descending":
            options.sort(key=lambda each: (each.text or each.value).lower(), reverse=variable.sort == "descending")
        case _:
            options.sort(key=_number, reverse=variable.sort == "numeric_descending")
    return options


def _number(option: Option) -> tuple[float, str]:
    found = re.search(r"-?\d+(?:\.\d+)?", option.value)
    return (float(found[0]) if found else float("inf")), option.value


def _settled(
    variable: QueryVariable | ListVariable,
    options: list[Option],
    wanted: tuple[str, ...] | None,
    *,
    is_complete: bool = True,
) -> VariableValues:
    """The options, and of what was chosen what still can be."""
    values = [option.value for option in options]
    there = set(values)
    for choice in (wanted, variable.value):
        if choice and ALL in choice and variable.include_all:
            value = [ALL]
            break
        kept = [each for each in choice or () if each in there or (not is_complete and each)]
        if kept:
            value = kept if variable.multi else kept[:1]
            break
    else:
        # Nothing that was chosen is there: the first, or all where that is one of the choices and there is no other.
        value = values[:1] or ([ALL] if variable.include_all else [])
    is_cut = len(options) > OPTIONS_MAX
    return VariableValues(
        name=variable.name, options=options[:OPTIONS_MAX], value=value, is_complete=is_complete and not is_cut
    )
