"""Measures of items by fields: the top groups, the others in one row, all of them together; each also by step of time.

One statement reads the rows once. It aggregates them by group and step, ranks the groups, and puts those beyond the
limit together, so that their percentiles and distinct values are those of their items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.stores.clickhouse import Indexed, TelemetryReader
from duoscope.telemetry import items
from duoscope.telemetry.aggregates.buckets import Buckets, BucketStart, StepNs
from duoscope.telemetry.aggregates.measures import Computed, Measure
from duoscope.telemetry.items import Hint
from duoscope.telemetry.language import Printer, Signal, compile_query, value_of
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.values import rfc3339

GROUP_BY_MAX: Final = 5
GROUPS_DEFAULT: Final = 20
GROUPS_MAX: Final = 1000
VALUE_CHARS_MAX: Final = 256
"""Values of a group that are equal in so many first characters are one."""
NUMBERS_MAX: Final = 500_000
"""Numbers of one answer: groups by steps by measures."""

Numbers = Annotated[
    list[float | None],
    Meta(description="In the order of `measures`; null where nothing has such a number.", examples=[[1200, 48.5]]),
]
Group = Annotated[
    list[str | None],
    Meta(
        description="The values of `group_by`; null for items without the field. Numbers and booleans as texts, lists "
        f"and maps as JSON; of longer values the first {VALUE_CHARS_MAX} characters.",
        examples=[["checkout", "500"]],
    ),
]
OverTime = Annotated[
    list[list[float | None]] | None,
    Meta(
        description="For each measure its value in each bucket; null without a `step`.",
        examples=[[[12, 0, 7]]],
    ),
]


class Row(Struct, frozen=True):
    """One group."""

    group: Group
    values: Numbers
    series: OverTime


class Others(Struct, frozen=True):
    """The groups beyond the limit, as one."""

    group_count: Annotated[int, Meta(description="How many groups these are.", examples=[12])]
    values: Numbers
    series: OverTime


class Aggregate(Struct, frozen=True):
    """Measures of the items of a range that match."""

    group_by: list[str]
    measures: Annotated[list[str], Meta(description="What the values are, in their order.", examples=[["count"]])]
    rows: Annotated[list[Row], Meta(description="The first groups by `order_by`; equal ones by their values.")]
    other: Annotated[Others | None, Meta(description="All other groups; null if there are none.")]
    total: Annotated[Numbers, Meta(description="Of all items together.")]
    start: BucketStart | None
    step_ns: StepNs | None
    bucket_count: int | None
    hint: Hint = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question over the items of one signal.

    Attributes:
        signal: whose view is read, and whose fields are meant.
        times: which items.
        query: which of them.
        measures: what of them.
        group_by: fields.
        limit: groups that are shown by themselves.
        order_by: the number of the measure by which the groups are ranked.
        order: whether the greatest or the least are shown first.
        buckets: steps of time, if they are asked for.
    """

    signal: Signal
    times: TimeRange
    query: str
    measures: Sequence[Measure]
    group_by: Sequence[str] = ()
    limit: int = GROUPS_DEFAULT
    order_by: int = 0
    order: Literal["desc", "asc"] = "desc"
    buckets: Buckets | None = None


def check(asked: Asked) -> None:
    """Raise INVALID for a field, a measure, the query, or a limit that cannot be asked."""
    _check(asked)
    _statement(asked, frozenset(), or_text=False)


async def aggregate(reader: TelemetryReader, asked: Asked, *, or_text: bool = True) -> Aggregate:
    """Answer a question.

    As a search does, it also takes terms that look like attributes for text if the query finds nothing otherwise;
    without `or_text` a query has one meaning, whatever there is.

    Raises:
        DuoscopeError: INVALID for a field, a measure, the query, or a limit; UNAVAILABLE.
    """
    _check(asked)
    statement = _statement(asked, reader.indexed, or_text=False)
    rows = await reader.query(statement.sql, statement.parameters, name=_name(asked))
    hint = None
    if or_text and _is_nothing(rows):
        wider = _statement(asked, frozenset(), or_text=True)
        plain = _statement(asked, frozenset(), or_text=False)
        if (wider.sql, wider.parameters) != (plain.sql, plain.parameters):
            rows = await reader.query(wider.sql, wider.parameters, name=f"{_name(asked)}_text")
        hint = items.hint(asked.query, asked.signal, asked.times, found=not _is_nothing(rows))
    return await items.decoded(rows, lambda found: _answer(asked, statement.computed, found, hint))


def _is_nothing(rows: list[dict[str, Any]]) -> bool:
    """Whether no item was found: there is a row of all items nevertheless."""
    return all(row["is_total"] for row in rows)


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    parameters: dict[str, object]
    computed: Computed


_OVER: Final = " OVER (PARTITION BY keys)"


def _statement(asked: Asked, indexed: Indexed, *, or_text: bool) -> _Statement:
    printer = Printer()
    computed = Computed(asked.measures, asked.signal, printer)
    keys = ", ".join(_key(name, asked.signal, printer) for name in asked.group_by)
    condition = compile_query(asked.query, asked.signal, or_text=or_text, printer=printer, indexed=indexed)
    where = TimeRange.CONDITION + (f" AND {condition.sql}" if condition else "")
    bucket = asked.buckets.SQL if asked.buckets else "0"
    first = (
        f"{computed.aliases}SELECT [{keys}]::Array(String) AS keys, {bucket} AS bucket, {', '.join(computed.inner)} "
        f"FROM @{asked.signal.name.lower()} WHERE {where} GROUP BY keys, bucket"
    )
    # `order` is one of two words.
    ranked = (
        f"SELECT *, dense_rank() OVER (ORDER BY weight {asked.order.upper()} NULLS LAST, keys) AS rank, "
        "if(rank <= {groups:UInt64}, rank, 0) AS place "
        f"FROM (SELECT *, {computed.merged(asked.order_by, _OVER)} AS weight FROM ({first}))"
    )
    sets = "(), (place), (place, bucket)" if asked.buckets else "(), (place)"
    is_whole = "grouping(bucket)" if asked.buckets else "1"
    values = ", ".join(f"{computed.merged(number)} AS v{number}" for number in range(len(asked.measures)))
    sql = (
        f"SELECT grouping(place) AS is_total, {is_whole} AS is_whole, place, "
        f"{'bucket' if asked.buckets else '0'} AS bucket_number, "
        f"if(is_whole = 1 AND place > 0, any(keys), []) AS group_keys, "
        f"if(is_whole = 1, uniqExact(rank), 0) AS group_count, {values} "
        f"FROM ({ranked}) GROUP BY GROUPING SETS ({sets}) ORDER BY is_total DESC, place, is_whole DESC, bucket_number"
    )
    of_buckets = asked.buckets.parameters if asked.buckets else {}
    parameters = printer.parameters | asked.times.parameters | of_buckets | {"groups": asked.limit}
    return _Statement(sql, parameters, computed)


def _key(name: str, signal: Signal, printer: Printer) -> str:
    """SQL of a group's value as a text; '' for none, and a sign before all others."""
    text = printer.value(value_of(name, signal).text)
    return f"ifNull(concat('=', substringUTF8({text}, 1, {VALUE_CHARS_MAX})), '')"


def _answer(asked: Asked, computed: Computed, found: list[dict[str, Any]], hint: str | None) -> Aggregate:
    total = computed.nothing()
    rows: list[Row] = []
    others: Others | None = None
    series: OverTime = None
    for row in found:
        values = computed.values(row)
        if row["is_total"]:
            total = values
        elif row["is_whole"]:
            series = [[none] * asked.buckets.count for none in computed.nothing()] if asked.buckets else None
            if row["place"]:
                rows.append(Row([key[1:] if key else None for key in row["group_keys"]], values, series))
            else:
                others = Others(row["group_count"], values, series)
        elif series is not None:
            for line, value in zip(series, values, strict=True):
                line[row["bucket_number"]] = value
    return Aggregate(
        list(asked.group_by),
        computed.names,
        rows,
        others,
        total,
        rfc3339(asked.buckets.start_ns) if asked.buckets else None,
        asked.buckets.step_ns if asked.buckets else None,
        asked.buckets.count if asked.buckets else None,
        hint,
    )


def _check(asked: Asked) -> None:
    if len(asked.group_by) > GROUP_BY_MAX or len(set(asked.group_by)) != len(asked.group_by):
        raise _invalid(f"`group_by` takes up to {GROUP_BY_MAX} different fields.")
    if not 0 <= asked.order_by < max(1, len(asked.measures)):
        raise _invalid(
            f"`order_by` is the number of a measure, from 0 to {len(asked.measures) - 1}, not {asked.order_by}."
        )
    items.checked_limit(asked.limit, GROUPS_MAX)
    groups = asked.limit + 1 if asked.group_by else 1
    numbers = groups * len(asked.measures) * (asked.buckets.count if asked.buckets else 1)
    if numbers > NUMBERS_MAX:
        raise _invalid(
            f"The answer may have {numbers} numbers, more than {NUMBERS_MAX}: take a larger `step`, a smaller `limit` "
            "or fewer measures."
        )


def _name(asked: Asked) -> str:
    return f"{asked.signal.name.lower()}.aggregate"


def _invalid(message: str) -> DuoscopeError:
    return invalid(message)
