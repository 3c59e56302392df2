"""Services: their RED metrics, the signals they send, and their calls. Based on span metrics by minute and the
catalogue.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import calls, catalogue
from duoscope.telemetry.metrics.frames import second
from duoscope.telemetry.span_metrics import IN_MINUTES, IS_REQUEST, MINUTE_S, minutes_of, percentiles
from duoscope.telemetry.times import SECOND_NS, TimeRange

SERVICES_MAX: Final = 1000
EDGES_MAX: Final = 2000
POINTS_MAX: Final = 120
SERVICES_RANGE_MAX_NS: Final = 31 * 86_400 * SECOND_NS
MAP_RANGE_MAX_NS: Final = 7 * 86_400 * SECOND_NS
MAP_SPANS_MAX: Final = 2_000_000
"""Spans that one map joins; if there are more, every n-th trace is used."""

_DurationNs = Annotated[
    int | None, Meta(description="Nanoseconds, to 9%; null without requests.", examples=[12_345_678])
]


class Service(Struct, frozen=True):
    """A service over a range of whole minutes. A request is a span of kind server or consumer, or a root span."""

    name: Annotated[str, Meta(description="`service.name`; empty for telemetry without one.")]
    signals: Annotated[
        list[str],
        Meta(
            description="Signals that it sent on the days (UTC) of the range.", examples=[["logs", "metrics", "traces"]]
        ),
    ]
    request_count: int
    error_count: Annotated[int, Meta(description="Requests whose status is error.")]
    duration_p50_ns: _DurationNs
    duration_p95_ns: _DurationNs
    duration_p99_ns: _DurationNs
    request_counts: Annotated[list[int] | UnsetType, Meta(description="With `points`: of each step.")] = UNSET
    error_counts: Annotated[list[int] | UnsetType, Meta(description="With `points`: of each step.")] = UNSET


class ServiceList(Struct, frozen=True):
    """The services, ordered by name."""

    items: list[Service]
    truncated: Annotated[bool, Meta(description=f"Whether there are more than {SERVICES_MAX}.")]
    start: Annotated[str | UnsetType, Meta(description="With `points`: start of the first step.")] = UNSET
    step_s: Annotated[int | UnsetType, Meta(description="With `points`: whole minutes, in seconds.")] = UNSET


class ServiceEdge(Struct, frozen=True):
    """Calls from one service to another: spans whose parent, or the client's span of their id, belongs to the other,
    or which link to a message of the other. What sends no spans itself is named by those that call it.
    """

    caller: str
    callee: str
    call_count: Annotated[int, Meta(description="Estimated if `sampled_one_in` is above 1.")]
    error_count: Annotated[int, Meta(description="Calls whose span in the callee failed; estimated in the same way.")]
    duration_p50_ns: Annotated[int, Meta(description="Duration of the spans in the callee, to 1.6%.")]
    duration_p95_ns: int
    duration_p99_ns: int


class ServiceMap(Struct, frozen=True):
    """The calls between services, busiest first."""

    nodes: Annotated[
        list[str],
        Meta(
            description="Services, and what they call that sends no telemetry: `peer.service`, `postgresql/shop`, "
            "`kafka/orders`, the address of a server.",
            examples=[["checkout", "postgresql/shop"]],
        ),
    ]
    edges: list[ServiceEdge]
    sampled_one_in: Annotated[
        int, Meta(description=f"1, or n if only every n-th trace was read: the range has over {MAP_SPANS_MAX} spans.")
    ]
    truncated: Annotated[bool, Meta(description=f"Whether there are more edges than {EDGES_MAX}.")]


_STEP = "intDiv(toUnixTimestamp(minute) - {start_s:Int64}, {step_s:Int64})"
_REQUESTS = f"""
SELECT service_name AS name, sumIf(count, {IS_REQUEST}) AS request_count,
    sumIf(count, {IS_REQUEST} AND status_code = 'error') AS error_count,
    maxIf(duration_max, {IS_REQUEST}) AS longest, sumMapIf(duration_buckets, {IS_REQUEST}) AS buckets,
    sumMapIf([{_STEP}], [count], {IS_REQUEST}) AS requests,
    sumMapIf([{_STEP}], [count], {IS_REQUEST} AND status_code = 'error') AS errors
FROM @figures WHERE {IN_MINUTES} GROUP BY name ORDER BY name LIMIT {{rows:UInt64}}"""


async def list_services(reader: TelemetryReader, times: TimeRange, points: int | None = None) -> ServiceList:
    """List every service that sent spans in the minutes of the range, or anything on its days.

    With `points`, each has its requests and errors in that many steps at most, of whole minutes.
    """
    minutes = minutes_of(times)
    length_s = minutes["end_s"] - minutes["start_s"]
    step_s = max(1, -(-length_s // MINUTE_S // (points or 1))) * MINUTE_S
    steps = -(-length_s // step_s) if points else 0
    parameters = minutes | {"rows": SERVICES_MAX + 1, "step_s": step_s}
    requests = await reader.query(_REQUESTS, parameters, name="services.requests")
    signals = await catalogue.signals_by_service(reader, times, SERVICES_MAX + 1)
    for row in requests:
        signals.setdefault(row["name"], set()).add("traces")
    by_name = {row["name"]: row for row in requests}
    names = sorted(signals)
    return ServiceList(
        [_service(name, sorted(signals[name]), by_name.get(name), steps) for name in names[:SERVICES_MAX]],
        truncated=len(names) > SERVICES_MAX,
        start=second(minutes["start_s"]) if points else UNSET,
        step_s=step_s if points else UNSET,
    )


async def service_map(reader: TelemetryReader, times: TimeRange) -> ServiceMap:
    """Find the calls between services in the range, and of databases, brokers and others that their spans name: spans
    are joined with their callers, all spans or a sample of whole traces.
    """
    found = await calls.mapped(reader, times, MAP_SPANS_MAX)
    edges = [
        ServiceEdge(each.caller, each.callee, each.calls, each.errors, *each.durations)
        for each in found.edges[:EDGES_MAX]
    ]
    nodes = {edge.caller for edge in edges} | {edge.callee for edge in edges}
    return ServiceMap(sorted(nodes), edges, found.one_in, truncated=len(found.edges) > EDGES_MAX)


def _service(name: str, signals: list[str], row: dict[str, Any] | None, steps: int) -> Service:
    requests = row["request_count"] if row else 0
    p50, p95, p99 = percentiles(row["buckets"], row["longest"]) if row and requests else (None, None, None)
    return Service(
        name,
        signals,
        requests,
        row["error_count"] if row else 0,
        p50,
        p95,
        p99,
        _by_step(row["requests"] if row else None, steps),
        _by_step(row["errors"] if row else None, steps),
    )


def _by_step(counted: tuple[Sequence[int], Sequence[int]] | None, steps: int) -> list[int] | UnsetType:
    """The counts of all steps, from the steps that have some; without steps, none."""
    counts = dict(zip(*(counted or ([], [])), strict=True))
    return [counts.get(step, 0) for step in range(steps)] if steps else UNSET
