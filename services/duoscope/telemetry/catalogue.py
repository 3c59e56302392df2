"""The services, operations and attributes of a tenant, for writing searches. Stored by day: one row per name and
day.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import items
from duoscope.telemetry.times import SECOND_NS, TimeRange

Signal = Literal["traces", "logs", "metrics"]
_DAY_NS: Final = 86_400 * SECOND_NS
_DAYS = "date >= toDate({first_day:UInt16}) AND date <= toDate({last_day:UInt16})"
_Day = Annotated[str, Meta(description="The last day (UTC) on which it was sent.", examples=["2026-01-31"])]


class Attribute(Struct, frozen=True):
    """An attribute's name, in the form that searches take as `field`."""

    name: Annotated[str, Meta(examples=["http.route"])]
    place: Annotated[
        Literal["attributes", "resource"],
        Meta(description="Whether it belongs to the item itself or to its resource. Usable as a prefix, with a dot."),
    ]
    types: Annotated[
        list[str], Meta(description="string, bool, int, double, array, kvlist, bytes or none.", examples=[["int"]])
    ]
    last_day: _Day


class AttributePage(Struct, frozen=True):
    """One page of attributes, ordered by name."""

    items: list[Attribute]
    next_cursor: str | None


class Operation(Struct, frozen=True):
    """A span name of a service."""

    service: str
    name: Annotated[str, Meta(examples=["GET /api/orders/{id}"])]
    last_day: _Day


class OperationPage(Struct, frozen=True):
    """One page of operations, ordered by service and name."""

    items: list[Operation]
    next_cursor: str | None


async def list_attributes(
    reader: TelemetryReader,
    times: TimeRange,
    signal: Signal,
    *,
    service: str | None = None,
    prefix: str = "",
    limit: int = LIST_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> AttributePage:
    """List the attributes of a signal, or of one service, on the days of the range, whose names start with `prefix`.

    Raises:
        DuoscopeError: INVALID for the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, LIST_LIMIT_MAX)
    search = ("attributes", signal, service, prefix)
    conditions = ["signal = {signal:String}", "entry IN ('attribute', 'resource_attribute')"]
    conditions.append("startsWith(name, {prefix:String})")
    parameters = _days(times) | {"signal": signal, "prefix": prefix, "rows": limit + 1}
    if service is not None:
        conditions.append("service_name = {service:String}")
        parameters["service"] = service
    if cursor:
        position = cursors.decode(cursor, search, (cursors.Text(), cursors.Text("attributes|resource")))
        conditions.append("(name, place) > ({after_name:String}, {after_place:String})")
        parameters |= dict(zip(("after_name", "after_place"), position, strict=True))
    rows = await reader.query(
        "SELECT name, if(entry = 'attribute', 'attributes', 'resource') AS place, "
        "arraySort(groupUniqArray(toString(type))) AS types, toString(max(date)) AS last_day FROM @catalogue "
        f"WHERE {_DAYS} AND {' AND '.join(conditions)} GROUP BY name, place ORDER BY name, place LIMIT {{rows:UInt64}}",
        parameters,
        name="catalogue.attributes",
    )
    shown, next_cursor = _page(rows, limit, search, ("name", "place"))
    return AttributePage([Attribute(**row) for row in shown], next_cursor)


async def list_operations(
    reader: TelemetryReader,
    times: TimeRange,
    *,
    service: str | None = None,
    prefix: str = "",
    limit: int = LIST_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> OperationPage:
    """List the operations of all services, or of one, on the days of the range, whose names start with `prefix`.

    Raises:
        DuoscopeError: INVALID for the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, LIST_LIMIT_MAX)
    search = ("operations", service, prefix)
    conditions = ["signal = 'traces'", "entry = 'operation'", "startsWith(name, {prefix:String})"]
    parameters = _days(times) | {"prefix": prefix, "rows": limit + 1}
    if service is not None:
        conditions.append("service_name = {service:String}")
        parameters["service"] = service
    if cursor:
        position = cursors.decode(cursor, search, (cursors.Text(), cursors.Text()))
        conditions.append("(toString(service_name), name) > ({after_service:String}, {after_name:String})")
        parameters |= dict(zip(("after_service", "after_name"), position, strict=True))
    rows = await reader.query(
        "SELECT toString(service_name) AS service, name, toString(max(date)) AS last_day FROM @catalogue "
        f"WHERE {_DAYS} AND {' AND '.join(conditions)} GROUP BY service, name ORDER BY service, name "
        "LIMIT {rows:UInt64}",
        parameters,
        name="catalogue.operations",
    )
    shown, next_cursor = _page(rows, limit, search, ("service", "name"))
    return OperationPage([Operation(**row) for row in shown], next_cursor)


async def attributes_among(reader: TelemetryReader, times: TimeRange, names: tuple[str, ...]) -> frozenset[str]:
    """Find which of some names attributes of spans had on the days of the range, or on the days around them."""
    days = _days(TimeRange(max(0, times.start_ns - _DAY_NS), min(2**63 - 1, times.end_ns + _DAY_NS)))
    rows = await reader.query(
        f"SELECT DISTINCT name FROM @catalogue WHERE {_DAYS} AND signal = 'traces' AND entry = 'attribute' "
        "AND name IN {names:Array(String)}",
        days | {"names": list(names)},
        name="catalogue.among",
    )
    return frozenset(row["name"] for row in rows)


async def signals_by_service(reader: TelemetryReader, times: TimeRange, services_max: int) -> dict[str, set[str]]:
    """The services that sent logs or metrics on the days of the range, with these signals; the first `services_max` by
    name.

    Spans are left to the RED metrics, which are exact to the minute.
    """
    rows = await reader.query(
        "SELECT toString(service_name) AS name, groupUniqArray(toString(signal)) AS signals FROM @catalogue "
        f"WHERE {_DAYS} AND entry = 'service' AND signal IN ('logs', 'metrics') GROUP BY name ORDER BY name "
        "LIMIT {rows:UInt64}",
        _days(times) | {"rows": services_max},
        name="catalogue.services",
    )
    return {row["name"]: set(row["signals"]) for row in rows}


def _days(times: TimeRange) -> dict[str, object]:
    last = 2**16 - 1
    return {
        "first_day": min(last, times.start_ns // _DAY_NS),
        "last_day": min(last, (times.end_ns - 1) // _DAY_NS),
    }


def _page(
    rows: list[dict[str, Any]], limit: int, search: tuple[object, ...], key: tuple[str, ...]
) -> tuple[list[dict[str, Any]], str | None]:
    if len(rows) <= limit:
        return rows, None
    shown = rows[:limit]
    return shown, cursors.encode(search, [shown[-1][name] for name in key])
