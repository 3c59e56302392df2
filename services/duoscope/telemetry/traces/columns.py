"""A trace as columns: what a waterfall of many spans needs, in a tenth of the bytes, without attributes."""

import asyncio
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import not_found
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import values
from duoscope.telemetry.items import SpanId, Time, TraceId
from duoscope.telemetry.traces import shape
from duoscope.telemetry.traces.whole import Found, find

COLUMN_SPANS_MAX: Final = 100_000
"""Spans of one trace that have a place in the columns: the first by their start."""
NAME_CHARS_MAX: Final = 200
"""Of a name or a service, so much is shown."""
KINDS: Final = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUSES: Final = ["unset", "ok", "error"]


class SpanColumns(Struct, frozen=True):
    """Columns of one length: the n-th element of each is of the n-th span.

    Spans are in the order of a waterfall: a parent before its children, siblings by their start.
    """

    span_id: list[SpanId]
    parent: Annotated[
        list[int],
        Meta(
            description="Place of the parent in these columns, from 0; -1 for a root. Where several spans have the "
            "parent's id, it is one of the same service, or else the serving one; where both sides of a call share "
            "an id, the calling side."
        ),
    ]
    depth: Annotated[list[int], Meta(description="How many ancestors the span has.")]
    service: Annotated[list[int], Meta(description="Place in `services`.")]
    name: Annotated[list[int], Meta(description="Place in `names`.")]
    kind: Annotated[list[int], Meta(description="Place in `kinds`.")]
    status: Annotated[list[int], Meta(description="Place in `statuses`.")]
    offset_ns: Annotated[
        list[int], Meta(description="When it started, after `start`. Contains `shift_ns`: less that, it is as sent.")
    ]
    duration_ns: list[int]
    self_ns: Annotated[
        list[int], Meta(description="What of the duration no child covers; children that overlap count once.")
    ]
    shift_ns: Annotated[
        list[int],
        Meta(
            description="What was added to the start because the clock of the span is not that of its parent: a call "
            "cannot begin before its caller, and the server's side of one lies within the client's unless it is longer."
        ),
    ]
    flags: Annotated[
        list[int],
        Meta(
            description=f"Sum of: {shape.ORPHAN} its parent is not there; {shape.MOVED} its start was corrected; "
            f"{shape.CRITICAL} it is on the critical path; {shape.REPEATED} an earlier span of the service has its id; "
            f"{shape.CYCLE} it was its own ancestor."
        ),
    ]


class TraceColumns(Struct, frozen=True):
    """A trace as columns, without attributes, events and links."""

    trace_id: TraceId
    start: Annotated[Time, Meta(description="Of the first span as shown: corrected, if its clock is wrong.")]
    duration_ns: Annotated[int, Meta(description="From there to the last end.")]
    span_count: Annotated[int, Meta(description="Spans of the whole trace.")]
    error_count: int
    truncated: Annotated[bool, Meta(description=f"Whether only the first {COLUMN_SPANS_MAX} spans are shown.")]
    services: Annotated[list[str], Meta(description=f"Their beginnings: {NAME_CHARS_MAX} characters.")]
    names: Annotated[list[str], Meta(description=f"Of spans; their beginnings: {NAME_CHARS_MAX} characters.")]
    kinds: Annotated[list[str], Meta(examples=[KINDS])]
    statuses: Annotated[list[str], Meta(examples=[STATUSES])]
    spans: SpanColumns


_COLUMNS: Final = f"""
SELECT groupArray(start) AS starts, groupArray(duration_nano) AS durations, groupArray(id) AS ids,
    groupArray(parent_id) AS parent_ids, groupArray(kind) AS kinds, groupArray(status) AS statuses,
    groupArray(service_key) AS service_keys, groupArray(name_key) AS name_keys, groupArray(clock) AS clocks,
    groupUniqArray((service_key, leftUTF8(service, {NAME_CHARS_MAX}))) AS services,
    groupUniqArray((name_key, leftUTF8(name, {NAME_CHARS_MAX}))) AS names
FROM (
    SELECT toUnixTimestamp64Nano(timestamp) AS start, duration_nano, reinterpretAsUInt64(span_id) AS id,
        reinterpretAsUInt64(parent_span_id) AS parent_id, toInt8(span_kind) AS kind, toInt8(status_code) AS status,
        toString(service_name) AS service, sipHash64(service) AS service_key, toString(span_name) AS name,
        sipHash64(name) AS name_key, cityHash64(resource) AS clock
    FROM @traces WHERE """
_FIRST: Final = " ORDER BY timestamp, span_id, duration_nano LIMIT {spans:UInt64})"


async def get_columns(reader: TelemetryReader, trace_id: str) -> TraceColumns:
    """Read a trace as columns.

    Raises:
        DuoscopeError: INVALID for an invalid trace id; NOT_FOUND; UNAVAILABLE.
    """
    trace = await find(reader, trace_id)
    parameters = trace.parameters | {"spans": COLUMN_SPANS_MAX}
    (row,) = await reader.query(f"{_COLUMNS}{trace.where}{_FIRST}", parameters, name="traces.columns")
    if not row["starts"]:
        raise not_found("trace")
    return await asyncio.to_thread(_columns, trace, row)


def _columns(trace: Found, row: dict[str, Any]) -> TraceColumns:
    start = np.array(row["starts"], np.int64)
    by_start = np.argsort(start, kind="stable")
    start = start[by_start]
    duration, ids, parent_ids, service_keys, name_keys, clocks = (
        np.array(row[name], np.uint64)[by_start]
        for name in ("durations", "ids", "parent_ids", "service_keys", "name_keys", "clocks")
    )
    kind, status = (np.array(row[name], np.int64)[by_start] for name in ("kinds", "statuses"))
    services, service = _dictionary(row["services"], service_keys)
    names, name = _dictionary(row["names"], name_keys)
    found = shape.shape_of(
        shape.Spans(
            span_id=ids,
            parent_id=parent_ids,
            start_ns=start - start[0],
            duration_ns=duration,
            kind=kind,
            service=service,
            clock=clocks,
        )
    )
    order = found.order
    place = np.empty(len(order) + 1, np.int64)
    place[order], place[-1] = np.arange(len(order)), -1
    begin = start - start[0] + found.shift_ns
    first = int(begin.min())
    last = max(map(int.__add__, begin.tolist(), duration.tolist()))
    # As numbers the ids are little-endian, whatever the machine is.
    digits = ids[order].astype("<u8").tobytes().hex()
    columns = SpanColumns(
        span_id=[digits[at : at + 16] for at in range(0, len(digits), 16)],
        parent=place[found.parent[order]].tolist(),
        depth=found.depth[order].tolist(),
        service=service[order].tolist(),
        name=name[order].tolist(),
        kind=kind[order].tolist(),
        status=status[order].tolist(),
        offset_ns=(begin - first)[order].tolist(),
        duration_ns=duration[order].tolist(),
        self_ns=found.self_ns[order].tolist(),
        shift_ns=found.shift_ns[order].tolist(),
        flags=found.flags[order].tolist(),
    )
    return TraceColumns(
        trace_id=trace.trace_id,
        start=values.rfc3339(max(0, int(start[0]) + first)),
        duration_ns=min(last - first, 2**64 - 1),
        span_count=max(trace.summary["span_count"], len(order)),
        error_count=trace.summary["error_count"],
        truncated=trace.summary["span_count"] > len(order),
        services=services,
        names=names,
        kinds=KINDS,
        statuses=STATUSES,
        spans=columns,
    )


def _dictionary(entries: list[tuple[int, str]], keys: shape.Ids) -> tuple[list[str], shape.Ints]:
    """The texts of a dictionary, and for each key the place of its text."""
    entries = sorted(entries, key=lambda entry: entry[1])
    known = np.array([key for key, _ in entries], np.uint64)
    by_key = np.argsort(known)
    return [text for _, text in entries], by_key[np.searchsorted(known[by_key], keys)]
