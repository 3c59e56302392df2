"""The fields of spans and log records, and their most frequent values: for facets, and for completing a query.

Receivers count the values by quarters of an hour (docs/adr/0029), so that nothing here reads the items themselves. The
counts are a guide and no exact answer: they are of whole quarters, and each tells a bounded number of values apart.
With a query, and of fields that are not counted, the values are counted over the items that match.
"""

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from duoscope.kernel.limits import FIELD_VALUES_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import items, language
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.aggregates.table import GROUPS_MAX, Asked, aggregate
from duoscope.telemetry.times import SECOND_NS, TimeRange

Signal = Literal["traces", "logs"]
VALUES_DEFAULT: Final = 20
_QUARTER_NS: Final = 900 * SECOND_NS
_RANGE: Final = (
    "signal = {signal:String} AND quarter >= toDateTime({first:UInt32}, 'UTC') "
    "AND quarter < toDateTime({end:UInt32}, 'UTC')"
)
_FIELDS: Final[dict[Signal, tuple[str, ...]]] = {
    "traces": ("service", "scope", "name", "kind", "status", "status_message"),
    "logs": ("service", "scope", "severity", "severity_text", "event"),
}
"""The fields that are not attributes: those of decoder/rows/traces.c and logs.c."""
_PLACES: Final = ("attributes", "resource")
_SIGNALS: Final[dict[Signal, language.Signal]] = {
    "traces": language.Signal.TRACES,
    "logs": language.Signal.LOGS,
}
_Count = Annotated[
    int,
    Meta(
        description="Items that had it, in the quarters of an hour that the range touches; of metrics series, in the "
        "half hours."
    ),
]
_Type = Literal["string", "bool", "int", "double"]


class Field(Struct, frozen=True):
    """A field of items, by the name that a query has for it."""

    name: Annotated[str, Meta(examples=["http.route"])]
    place: Annotated[
        Literal["field", "attributes", "resource"],
        Meta(description="A field of its own, or an attribute of the item or of its resource: a prefix, with a dot."),
    ]
    types: Annotated[list[_Type], Meta(description="Those of the values that are told apart.", examples=[["int"]])]
    values: Annotated[int, Meta(description="Different values that are told apart; approximate above 65,536.")]
    cardinality: Annotated[
        Literal["few", "many"],
        Meta(description="`many`: there were more values than are told apart, or longer ones."),
    ]
    count: _Count


class FieldPage(Struct, frozen=True):
    """One page of fields, ordered by name."""

    items: list[Field]
    next_cursor: str | None


class FieldValue(Struct, frozen=True):
    """A value, and how frequent it is."""

    value: Annotated[str, Meta(description="As a query names it; put it in quotes.", examples=["GET /cart"])]
    type: Annotated[_Type | None, Meta(description="Null with `query`, where values of equal text are one.")]
    count: Annotated[int, Meta(description="Items that had it; of metrics series.")]


class FieldValues(Struct, frozen=True):
    """The most frequent values of a field, in order."""

    items: list[FieldValue]
    counted: Annotated[
        Literal["quarters", "items", "series"],
        Meta(
            description="`quarters`: as items came, in the quarters of an hour that the range touches. `items`: for "
            "this answer, over the items of the range that match `query`; also without it for fields such as `body` or "
            "`duration`, whose values differ from item to item. `series`: of metrics the series that had points in the "
            "half hours that the range touches."
        ),
    ]
    is_complete: Annotated[bool, Meta(description="Whether these are all the values that are told apart.")]
    other_count: Annotated[
        int,
        Meta(
            description="Items with values that are not told apart, whatever `prefix` says; with `query`, with values "
            f"beyond the {GROUPS_MAX:,} most frequent ones, or beyond `limit` where there is no `prefix`."
        ),
    ]


async def list_fields(
    reader: TelemetryReader,
    times: TimeRange,
    signal: Signal,
    *,
    prefix: str = "",
    limit: int = LIST_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> FieldPage:
    """List the fields that items of a signal had, whose names start with `prefix`.

    Raises:
        DuoscopeError: INVALID for the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, LIST_LIMIT_MAX)
    search = ("fields", signal, prefix)
    conditions = [_RANGE, "startsWith(name, {prefix:String})"]
    parameters = _range(times) | {"signal": signal, "prefix": prefix, "rows": limit + 1}
    if cursor:
        conditions.append(AFTER)
        parameters |= after(cursor, search)
    rows = await reader.query(
        "SELECT toString(name) AS name, toString(place) AS place, "
        "arraySort(groupUniqArrayIf(toString(type), type != 'other')) AS types, uniqIf(type, value, type != 'other') "
        "AS values, if(max(type = 'other'), 'many', 'few') AS cardinality, sum(count) AS count FROM @field_counts "
        f"WHERE {' AND '.join(conditions)} GROUP BY name, place ORDER BY name, place LIMIT {{rows:UInt64}}",
        parameters,
        name="fields.list",
    )
    return page(rows, limit, search)


AFTER: Final = "(toString(name), toString(place)) > ({after_name:String}, {after_place:String})"
"""Condition on rows behind a cursor."""


def after(cursor: str, search: tuple[object, ...]) -> dict[str, object]:
    """The parameters of `AFTER`.

    Raises:
        DuoscopeError: INVALID for a cursor that is not of this search.
    """
    position = cursors.decode(cursor, search, (cursors.Text(), cursors.Text("field|attributes|resource")))
    return dict(zip(("after_name", "after_place"), position, strict=True))


def page(rows: list[dict[str, Any]], limit: int, search: tuple[object, ...]) -> FieldPage:
    """The page of rows of which one more than `limit` was asked for."""
    shown = rows[:limit]
    more = cursors.encode(search, [shown[-1]["name"], shown[-1]["place"]]) if len(rows) > limit else None
    return FieldPage([Field(**row) for row in shown], more)


async def list_values(
    reader: TelemetryReader,
    times: TimeRange,
    signal: Signal,
    name: str,
    *,
    prefix: str = "",
    query: str = "",
    limit: int = VALUES_DEFAULT,
) -> FieldValues:
    """List the most frequent values of a field that start with `prefix`, in any case.

    Args:
        reader: of the tenant.
        times: whose quarters of an hour count.
        signal: the signal of the field.
        name: a field or an attribute, as a query names it.
        prefix: the beginning of the values.
        query: counts the items that match, one by one; '' for what was counted as they came.
        limit: values at most.

    Raises:
        DuoscopeError: INVALID for the limit, the query or the field; UNAVAILABLE.
    """
    items.checked_limit(limit, FIELD_VALUES_MAX)
    language.value_of(name, _SIGNALS[signal])  # refuses what is no field
    is_counted = name in _FIELDS[signal] or not language.is_field(name, _SIGNALS[signal])
    if query.strip() or not is_counted:
        return await _among_items(reader, Asked(_SIGNALS[signal], times, query, (Measure(),), (name,)), prefix, limit)
    found = _named(signal, name)
    named = " OR ".join(
        f"(name = {{name_{n}:String}} AND place IN {{places_{n}:Array(String)}})" for n in range(len(found))
    )
    parameters = _range(times) | {"signal": signal, "prefix": prefix, "rows": limit + 2}
    for number, (of, places) in enumerate(found):
        parameters |= {f"name_{number}": of, f"places_{number}": places}
    rows = await reader.query(
        f"SELECT value, toString(type) AS type, sum(count) AS count FROM @field_counts WHERE {_RANGE} AND ({named}) "
        "AND (type = 'other' OR startsWith(lowerUTF8(value), lowerUTF8({prefix:String}))) GROUP BY value, type "
        "ORDER BY type = 'other' DESC, count DESC, value, type LIMIT {rows:UInt64}",
        parameters,
        name="fields.values",
    )
    others = sum(row["count"] for row in rows if row["type"] == "other")
    told: list[dict[str, Any]] = [row for row in rows if row["type"] != "other"]
    return FieldValues([FieldValue(**row) for row in told[:limit]], "quarters", len(told) <= limit, others)


async def _among_items(reader: TelemetryReader, asked: Asked, prefix: str, limit: int) -> FieldValues:
    # One more than is shown, and one for the items without the field.
    groups = GROUPS_MAX if prefix else min(limit + 2, GROUPS_MAX)
    found = await aggregate(reader, replace(asked, limit=groups))
    told = [
        FieldValue(value, None, int(row.values[0] or 0))
        for row in found.rows
        if (value := row.group[0]) is not None and value.lower().startswith(prefix.lower())
    ]
    beyond = 0 if prefix else sum(each.count for each in told[limit:])
    others = int(found.other.values[0] or 0) if found.other else 0
    return FieldValues(told[:limit], "items", len(told) <= limit and not others, others + beyond)


def _named(signal: Signal, name: str) -> list[tuple[str, list[str]]]:
    """What a name in a query means, as `language.resolve` has it: names, each with its places."""
    if name in _FIELDS[signal]:
        return [(name, ["field"])]
    found = [(name, [*_PLACES])]
    place, _, rest = name.partition(".")
    if rest and place in _PLACES:
        found.append((rest, [place]))
    if name in {"scope.name", "event.name"} and (name.partition(".")[0] in _FIELDS[signal]):
        found.append((name.partition(".")[0], ["field"]))
    return found


def _range(times: TimeRange) -> dict[str, object]:
    last = 2**32 - 1
    return {
        "first": min(last, times.start_ns // _QUARTER_NS * 900),
        "end": min(last, -(-times.end_ns // _QUARTER_NS) * 900),
    }
