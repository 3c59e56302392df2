"""Which values of which fields differ between two sets of spans: those selected, and the rest or another query's.

Both sets are sampled evenly over the whole range, by a hash of the span, so that time itself makes no difference that
is none. Pairs of a name and a value are made, counted and ranked in the store.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import QUERY_CONDITION_CHARS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.language import Printer, Signal, compile_query
from duoscope.telemetry.times import TimeRange

SAMPLE_SPANS_MAX: Final = 20_000
"""Spans of each set whose fields are compared, nearly."""
FIELDS_DEFAULT: Final = 30
FIELDS_MAX: Final = 200
VALUES_MAX: Final = 10
"""Values of one field that are shown."""
VALUE_CHARS_MAX: Final = 256
UNIQUE_FIELDS_MAX: Final = 100
_UNIQUE_SPANS_MIN: Final = 20
_EXPLAINED: Final = 0.2
"""What a difference counts for, among others, that the operations of the spans explain."""
_PAIRS_MAX: Final = 200
"""Attributes of a span, and of its resource, that are compared."""
_FIELDS_READ_MAX: Final = 1000

Count = Annotated[int, Meta(description="Spans of the sample.")]


class ComparedValue(Struct, frozen=True):
    """A value of a field, and how frequent it is in both sets."""

    value: Annotated[
        str | None,
        Meta(description=f"As text, {VALUE_CHARS_MAX} characters at most; null stands for spans without the field."),
    ]
    inside_count: Count
    outside_count: Count
    inside_share: Annotated[float, Meta(description="Of all spans of the sample, from 0 to 1.")]
    outside_share: float


class ComparedField(Struct, frozen=True):
    """A field, with its values whose shares differ most."""

    name: Annotated[
        str,
        Meta(
            description="As a query names it: service, name, kind, status, status_message, scope, `attributes.x` of "
            "the span, `resource.x`.",
            examples=["attributes.http.route"],
        ),
    ]
    difference: Annotated[float, Meta(description="The greatest difference of a value's two shares.")]
    inside_count: Annotated[int, Meta(description="Spans of the sample that have the field.")]
    outside_count: int
    value_count: Annotated[int, Meta(description="How many different values both samples have.")]
    values: Annotated[
        list[ComparedValue],
        Meta(description=f"At most {VALUES_MAX}: those first whose shares differ most within operations."),
    ]


class ComparedSet(Struct, frozen=True):
    """One of the two sets of spans."""

    span_count: Annotated[int, Meta(description="Spans in the set.")]
    sampled_count: Annotated[int, Meta(description="Those of them whose fields were compared.")]


class Comparison(Struct, frozen=True):
    """The fields whose values differ between two sets of spans: those first that differ most within operations of one
    service, name and kind, then those whose difference the operations explain.
    """

    inside: ComparedSet
    outside: ComparedSet
    fields: list[ComparedField]
    unique_fields: Annotated[
        list[str],
        Meta(
            description="Fields that are left out because most spans have a value of their own, as with ids.",
            examples=[["attributes.request.id"]],
        ),
    ]
    hint: Annotated[str | None, Meta(description="Why there is nothing to compare.")] = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The spans inside: all of it must hold.

    Attributes:
        query: '' for every span.
        times: None for the whole range.
        min_duration_ns: included.
        max_duration_ns: excluded; None for no bound.
    """

    query: str = ""
    times: TimeRange | None = None
    min_duration_ns: int = 0
    max_duration_ns: int | None = None

    @property
    def is_anything(self) -> bool:
        """Whether it selects at all."""
        is_duration = self.min_duration_ns > 0 or self.max_duration_ns is not None
        return bool(self.query.strip()) or self.times is not None or is_duration

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the box."""
        bound: dict[str, object] = {"box_min": self.min_duration_ns, "box_max": self.max_duration_ns or 0}
        return bound | ({"box_start_ns": self.times.start_ns, "box_end_ns": self.times.end_ns} if self.times else {})


async def compare(
    reader: TelemetryReader,
    times: TimeRange,
    query: str,
    selection: Selection,
    against: str = "",
    *,
    limit: int = FIELDS_DEFAULT,
) -> Comparison:
    """Compare the spans of a range that match a query and the selection with those that match the query, and `against`,
    and are not selected.

    Raises:
        DuoscopeError: INVALID for a query or a selection of everything; UNAVAILABLE.
    """
    if not selection.is_anything:
        raise invalid("`selection` needs a query, a time range or a duration: what differs from what?")
    is_inside, of_both, parameters = _sets(times, query, selection, against)
    counted = await reader.query(
        f"SELECT {is_inside}, count() AS spans {of_both} GROUP BY is_inside", parameters, name="traces.compare_count"
    )
    counts = {bool(row["is_inside"]): row["spans"] for row in counted}
    inside, outside = counts.get(True, 0), counts.get(False, 0)
    if not inside or not outside:
        return Comparison(ComparedSet(inside, 0), ComparedSet(outside, 0), [], [], _nothing(inside, outside))
    sampled = {
        "one_in_inside": -(-inside // SAMPLE_SPANS_MAX), "one_in_outside": -(-outside // SAMPLE_SPANS_MAX),
        "rows": 4 * SAMPLE_SPANS_MAX, "fields": _FIELDS_READ_MAX,
    }  # fmt: skip
    rows = await reader.query(_ranked(is_inside, of_both), parameters | sampled, name="traces.compare")
    total = next((row for row in rows if not row["field"]), None)
    sizes = (total["inside"], total["outside"]) if total else (0, 0)
    fields = [row for row in rows if row["field"]]
    return Comparison(
        ComparedSet(inside, sizes[0]),
        ComparedSet(outside, sizes[1]),
        [_field(row, *sizes) for row in fields if not row["is_unique"]][:limit],
        sorted(row["field"] for row in fields if row["is_unique"])[:UNIQUE_FIELDS_MAX],
    )


def _sets(times: TimeRange, query: str, selection: Selection, against: str) -> tuple[str, str, dict[str, object]]:
    """The column that tells both sets apart, what reads their spans, and the parameters of both."""
    printer = Printer()
    compiled = [compile_query(text, Signal.TRACES, printer=printer) for text in (query, selection.query, against)]
    if sum(len(one.sql) for one in compiled if one) > QUERY_CONDITION_CHARS_MAX:
        raise invalid("The queries together are too long: use fewer conditions.", code="invalid-query")
    matching, selected, other = compiled
    inside = [f"ifNull({selected.sql}, 0)"] if selected else []
    if selection.times:
        inside.append(
            "timestamp >= fromUnixTimestamp64Nano({box_start_ns:Int64}, 'UTC') "
            "AND timestamp < fromUnixTimestamp64Nano({box_end_ns:Int64}, 'UTC')"
        )
    if selection.min_duration_ns:
        inside.append("duration_nano >= {box_min:UInt64}")
    if selection.max_duration_ns is not None:
        inside.append("duration_nano < {box_max:UInt64}")
    where = TimeRange.CONDITION + (f" AND {matching.sql}" if matching else "")
    if other:
        where += f" AND (is_inside OR {other.sql})"
    parameters = times.parameters | selection.parameters | printer.parameters
    return f"({' AND '.join(inside)}) = 1 AS is_inside", f"FROM @traces WHERE {where}", parameters


_PARTS: Final = """service_name, span_name, span_kind, status_code, status_message, scope_name, span_attributes,
                resource_attributes"""
_SAMPLE: Final = (
    "cityHash64(trace_id, span_id) % if(is_inside, {one_in_inside:UInt64}, {one_in_outside:UInt64}) = 0 "
    "LIMIT {rows:UInt64}"
)


def _pairs(prefix: str, attributes: str) -> str:
    return (
        f"arrayMap((name, value) -> (concat('{prefix}', name), leftUTF8(value, {VALUE_CHARS_MAX})), "
        f"arraySlice(mapKeys({attributes}), 1, {_PAIRS_MAX}), arraySlice(mapValues({attributes}), 1, {_PAIRS_MAX}))"
    )


# Every span has a pair of empty texts: their count is the size of the sample.
_ALL_PAIRS: Final = f"""arrayConcat(
        [('', ''), ('service', leftUTF8(toString(service_name), {VALUE_CHARS_MAX})),
        ('name', leftUTF8(toString(span_name), {VALUE_CHARS_MAX})),
        ('kind', toString(span_kind)), ('status', toString(status_code)),
        ('scope', leftUTF8(toString(scope_name), {VALUE_CHARS_MAX}))],
        if(status_message = '', [], [('status_message', leftUTF8(toString(status_message), {VALUE_CHARS_MAX}))]),
        {_pairs("attributes.", "span_attributes")},
        arrayFilter(pair -> pair.1 != 'resource.service.name', {_pairs("resource.", "resource_attributes")}))"""


def _ranked(is_inside: str, of_both: str) -> str:
    """The statement that ranks the fields of samples of both sets.

    Slow spans are often of other operations than the rest, and then every field that an operation always has differs:
    true, and no cause. So values, and fields by their best value, rank by how far their share inside is from what the
    operations inside would lead one to expect, if each of them had the value as often as outside (direct
    standardisation): the geometric mean of that distance among all spans inside, and among those whose operations have
    the value at all, since a release of one service is a small part of all that it made slow. A difference that
    operations explain counts for a part of itself, so that it comes first where there is no other.
    """
    return f"""
SELECT field, sum(is_in) AS inside, sum(is_out) AS outside, count() AS value_count,
    inside + outside > {_UNIQUE_SPANS_MIN} AND value_count * 2 > inside + outside AS is_unique,
    groupArraySorted({VALUES_MAX})((-greatest(unexplained, {_EXPLAINED} * difference), value, is_in, is_out)) AS values,
    greatest(max(difference), abs(inside / any(all_in) - outside / any(all_out))) AS score,
    greatest(max(unexplained), {_EXPLAINED} * score) AS ranking
FROM (
    SELECT field, value, sum(own_in) AS is_in, sum(own_out) AS is_out,
        any(of_all_in) AS all_in, any(of_all_out) AS all_out,
        abs(is_in / all_in - is_out / all_out) AS difference,
        abs(sum(own_in - if(of_out = 0, toFloat64(own_in), of_in * own_out / of_out)))
            / sqrt(all_in * greatest(1, sum(of_in))) AS unexplained
    FROM (
        SELECT pair.1 AS field, pair.2 AS value, operation, countIf(is_inside) AS own_in, countIf(NOT is_inside) AS
            own_out, max(if(field = '', own_in, 0)) OVER (PARTITION BY operation) AS of_in,
            max(if(field = '', own_out, 0)) OVER (PARTITION BY operation) AS of_out,
            greatest(1, sum(if(field = '', own_in, 0)) OVER ()) AS of_all_in,
            greatest(1, sum(if(field = '', own_out, 0)) OVER ()) AS of_all_out
        FROM (
            SELECT is_inside, cityHash64(service_name, span_name, span_kind) AS operation, arrayJoin({_ALL_PAIRS}) AS
                pair
            FROM (SELECT {is_inside}, {_PARTS} {of_both} AND {_SAMPLE})
        )
        GROUP BY field, value, operation
    )
    GROUP BY field, value
)
GROUP BY field ORDER BY field != '', is_unique, ranking DESC, score DESC, field LIMIT {{fields:UInt64}}"""


def _field(row: dict[str, Any], all_inside: int, all_outside: int) -> ComparedField:
    def value(text: str | None, inside: int, outside: int) -> ComparedValue:
        return ComparedValue(text, inside, outside, inside / max(1, all_inside), outside / max(1, all_outside))

    ranked = [(rank, value(text, inside, outside)) for rank, text, inside, outside in row["values"]]
    if row["inside"] < all_inside or row["outside"] < all_outside:
        none = value(None, all_inside - row["inside"], all_outside - row["outside"])
        ranked.append((-_EXPLAINED * abs(none.inside_share - none.outside_share), none))
        ranked.sort(key=lambda one: one[0])
    values = [one for _, one in ranked[:VALUES_MAX]]
    return ComparedField(row["field"], row["score"], row["inside"], row["outside"], row["value_count"], values)


def _nothing(inside: int, outside: int) -> str:
    if not inside and not outside:
        return "No span of the time range matches the query."
    if not inside:
        return "No span is selected: widen `selection`, or the time range."
    return "Every span that matches the query is selected, so there is nothing to compare with: narrow `selection`."
