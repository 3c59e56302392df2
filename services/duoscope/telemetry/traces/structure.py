"""What a search asks of a trace beyond one matching span: what is below that, what is not there, and sums over all."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from duoscope.kernel.errors import DuoscopeError, invalid, invalid_in
from duoscope.kernel.limits import QUERY_CONDITION_CHARS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.language import Condition, Printer, Signal, compile_query
from duoscope.telemetry.times import SECOND_NS, TimeRange
from duoscope.telemetry.traces import shape
from duoscope.telemetry.traces.sums import COLUMNS, compile_sums

REACH_NS: Final = 900 * SECOND_NS
"""How far outside the range the other spans of a trace are looked for."""
SPANS_AT_ONCE_MAX: Final = 300_000
"""Spans of traces whose structure is looked at in one go; of a larger trace, the first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Queries about other spans of a trace with a matching span, each '' for none, and one about the trace.

    Attributes:
        child: one of them has the matching span as its parent.
        descendant: one of them is below the matching span.
        without_child: none has the matching span as its parent.
        without_descendant: none is below the matching span.
        without: none is in the trace.
        trace: of sums over the trace.
    """

    child: str = ""
    descendant: str = ""
    without_child: str = ""
    without_descendant: str = ""
    without: str = ""
    trace: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """All queries."""
        return (self.child, self.descendant, self.without_child, self.without_descendant, self.without, self.trace)

    @property
    def is_anything(self) -> bool:
        """Whether anything is asked for."""
        return any(map(str.strip, self.texts))

    @property
    def is_structure(self) -> bool:
        """Whether anything is asked for but sums."""
        return any(map(str.strip, self.texts[:-1]))

    def check(self, query: str) -> None:
        """Compile every query, and that of the matching span, beside which they stand in one statement.

        Raises:
            DuoscopeError: INVALID `invalid-query`, naming the parameter.
        """
        compiled = [compile_query(query, Signal.TRACES)]
        compiled += [_named(name, compile_query, getattr(self, name), Signal.TRACES) for name in _RELATIONS]
        _named("trace", compile_sums, self.trace)
        if sum(len(condition.sql) for condition in compiled if condition) > QUERY_CONDITION_CHARS_MAX:
            raise invalid("The queries together are too long: use fewer conditions.", code="invalid-query")


_RELATIONS: Final = ("child", "descendant", "without_child", "without_descendant", "without")
_AROUND: Final = (
    "timestamp >= fromUnixTimestamp64Nano({around_start_ns:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Nano({around_end_ns:Int64}, 'UTC')"
)
_AMONG: Final = "trace_id IN (SELECT toFixedString(unhex(arrayJoin({trace_ids:Array(String)})), 16))"


def restricts(wanted: Wanted) -> bool:
    """Whether traces can be kept out before they are looked at."""
    return any(map(str.strip, (wanted.child, wanted.descendant)))


def restricted(times: TimeRange, wanted: Wanted, printer: Printer) -> tuple[str, dict[str, object]]:
    """A condition, '' for none, that keeps out traces in which nothing can be below a span as wanted: it is cheap, and
    it matters where that is rare. Also returns its parameters besides those of the printer.
    """
    found = [compile_query(text, Signal.TRACES, printer=printer) for text in (wanted.child, wanted.descendant)]
    conditions = [
        f"trace_id IN (SELECT trace_id FROM @traces WHERE {_AROUND} AND {one.sql})" for one in found if one is not None
    ]
    return " AND ".join(conditions), {**_around(times)} if conditions else {}


async def meeting(
    reader: TelemetryReader, times: TimeRange, query: str, wanted: Wanted, trace_ids: list[str], *, or_text: bool
) -> set[str]:
    """Find out which of some traces with a matching span have what is wanted of them.

    Raises:
        DuoscopeError: UNAVAILABLE, or INVALID for a question that is too expensive.
    """
    condition = compile_sums(wanted.trace)
    meets = condition.sql if condition else "true"
    rows = await reader.query(
        f"SELECT lower(hex(id)) AS trace_id, span_count, first_ns, last_ns FROM (SELECT trace_id AS id, {COLUMNS} "
        f"FROM @trace_summaries AS s WHERE {_AMONG} GROUP BY trace_id) WHERE {meets}",
        (condition.parameters if condition else {}) | {"trace_ids": trace_ids},
        name="traces.sums",
    )
    if not wanted.is_structure:
        return {row["trace_id"] for row in rows}
    found: set[str] = set()
    for some in _portions(rows):
        statement, parameters = _related(times, query, wanted, some, or_text=or_text)
        (row,) = await reader.query(statement, parameters, name="traces.structure")
        found |= await asyncio.to_thread(_meeting, row, wanted)
    return found


def _portions(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """The traces in their order, cut where they have too many spans together."""
    some: list[dict[str, Any]] = []
    spans = 0
    for row in rows:
        if some and spans + row["span_count"] > SPANS_AT_ONCE_MAX:
            yield some
            some, spans = [], 0
        some.append(row)
        spans += row["span_count"]
    if some:
        yield some


def _related(
    times: TimeRange, query: str, wanted: Wanted, traces: list[dict[str, Any]], *, or_text: bool
) -> tuple[str, dict[str, object]]:
    """The statement that reads the spans of traces, what each is to the others, and which queries it matches."""
    printer = Printer()
    above = compile_query(query, Signal.TRACES, or_text=or_text, printer=printer)
    matches = [f"({TimeRange.CONDITION}{f' AND ifNull({above.sql}, 0)' if above else ''}) = 1 AS matches"]
    for name in _RELATIONS:
        condition = compile_query(getattr(wanted, name), Signal.TRACES, printer=printer)
        matches.append(f"{f'ifNull({condition.sql}, 0) = 1' if condition else 'false'} AS is_{name}")
    around = _around(times)
    first = max(around["around_start_ns"], min(row["first_ns"] for row in traces))
    last = min(around["around_end_ns"], max(row["last_ns"] for row in traces) + 1)
    parameters = printer.parameters | times.parameters | {
        "around_start_ns": first, "around_end_ns": last, "trace_ids": [row["trace_id"] for row in traces],
        "spans": SPANS_AT_ONCE_MAX,
    }  # fmt: skip
    arrays = ", ".join(f"groupArray({name}) AS {name}s" for name in _READ)
    statement = f"""
SELECT {arrays}, groupUniqArray((trace_key, lower(hex(trace_id)))) AS traces
FROM (
    SELECT trace_id, sipHash64(trace_id) AS trace_key, sipHash64(trace_id, span_id) AS id,
        if(parent_span_id = toFixedString('', 8), 0, sipHash64(trace_id, parent_span_id)) AS parent_id,
        toInt8(span_kind) AS kind, sipHash64(toString(service_name)) AS service, {", ".join(matches)}
    FROM @traces WHERE {_AROUND} AND {_AMONG} ORDER BY timestamp LIMIT {{spans:UInt64}}
)"""
    return statement, parameters


_READ: Final = ("trace_key", "id", "parent_id", "kind", "service", "matches", *(f"is_{name}" for name in _RELATIONS))


def _meeting(row: dict[str, Any], wanted: Wanted) -> set[str]:
    keys, ids, parent_ids, services = (
        np.array(row[f"{name}s"], np.uint64) for name in ("trace_key", "id", "parent_id", "service")
    )
    count = len(ids)
    _, service = np.unique(services, return_inverse=True)
    spans = shape.Spans(
        span_id=ids,
        parent_id=parent_ids,
        start_ns=np.arange(count),
        duration_ns=np.zeros(count, np.uint64),
        kind=np.array(row["kinds"], np.int64),
        service=service,
        clock=services,
    )
    parent, _ = shape.parents(spans)
    matches, *related = (np.array(row[f"{name}s"], np.bool_) for name in ("matches", *(f"is_{r}" for r in _RELATIONS)))
    child, descendant, no_child, no_descendant, without = related
    if wanted.child.strip():
        matches &= shape.have_child(parent, child)
    if wanted.descendant.strip():
        matches &= shape.have_descendant(parent, descendant)
    if wanted.without_child.strip():
        matches &= ~shape.have_child(parent, no_child)
    if wanted.without_descendant.strip():
        matches &= ~shape.have_descendant(parent, no_descendant)
    found = set(keys[matches].tolist()) - set(keys[without].tolist())
    return {trace_id for key, trace_id in row["traces"] if key in found}


def _around(times: TimeRange) -> dict[str, int]:
    return {
        "around_start_ns": max(0, times.start_ns - REACH_NS),
        "around_end_ns": min(2**63 - 1, times.end_ns + REACH_NS),
    }


def _named(name: str, compiled: Callable[..., Condition | None], *args: Any) -> Condition | None:
    """Compile a query whose mistakes are those of a parameter."""
    try:
        return compiled(*args)
    except DuoscopeError as error:
        raise invalid_in(name, error) from error
