"""The history of alerts: what happened to which, and which rules make the most noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from duoscope.kernel.limits import SEARCH_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry import items, values
from duoscope.telemetry.items import Time
from duoscope.telemetry.times import TimeRange

FLAP_S: Final = 3600
"""A firing so soon after the same alert's end is a flap."""
NOISIEST_MAX: Final = 100
_UUID: Final = cursors.Text("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Channel(Struct, frozen=True):
    """A notification channel as it was then."""

    channel_id: UUID
    name: str
    channel_type: Annotated[str, Meta(examples=["slack"])]


class _More(Struct, frozen=True):
    """What a row's `metadata` has of an event."""

    notified_channels: list[Channel] = []
    held_channels: list[Channel] = []
    held_by: str = ""
    read_rows: int = 0
    read_bytes: int = 0


class Event(Struct, frozen=True):
    """One thing that happened to an alert."""

    timestamp: Time
    transition_id: UUID
    alert_rule_id: UUID
    alert_rule_name: str
    severity: str
    instance_id: UUID
    number: Annotated[
        int, Meta(description="Of the instance: 1, 2, 3, ... without a gap; of `silenced`, that of the beginning.")
    ]
    status: Annotated[str, Meta(examples=["triggered"])]
    reason: Annotated[str, Meta(examples=["breach"])]
    value: float | None
    threshold: float | None
    labels: dict[str, str]
    notified_channels: Annotated[list[Channel], Meta(description="Who was owed a message of it.")]
    held_channels: Annotated[list[Channel], Meta(description="Of `silenced`: who would have been, at that time.")]
    held_by: Annotated[
        str, Meta(description="Of `silenced`: the silence, the maintenance window, or the alert that inhibited it.")
    ]
    read_rows: Annotated[int, Meta(description="Rows that the question of this evaluation read.")]
    read_bytes: int


class EventPage(Struct, frozen=True):
    """One page of what happened, the latest first."""

    items: list[Event]
    next_cursor: str | None


class Noise(Struct, frozen=True):
    """A rule by how much it fired."""

    alert_rule_id: UUID
    alert_rule_name: str
    firings: int
    instances: Annotated[int, Meta(description="How many alerts these were of.")]
    flaps: Annotated[int, Meta(description="Firings less than an hour after the same alert's end.")]
    firings_per_day: float
    share: Annotated[float, Meta(description="Of all firings of the tenant.")]


async def events(
    reader: TelemetryReader, times: TimeRange, filters: Mapping[str, str | None], *, limit: int, cursor: str | None
) -> EventPage:
    """List the transitions of a range, the latest first.

    Args:
        reader: the tenant's.
        times: of the first page; later pages keep it.
        filters: `alert_rule_id`, `instance_id`, `severity`, `status`; None for any.
        limit: of a page.
        cursor: of the previous page.

    Raises:
        DuoscopeError: INVALID for the limit or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, SEARCH_LIMIT_MAX)
    search = ("alert-history", *sorted((name, value) for name, value in filters.items() if value is not None))
    conditions, parameters = [TimeRange.CONDITION], dict[str, object]()
    for name in _FILTERS:
        if (value := filters.get(name)) is not None:
            conditions.append(_FILTERS[name])
            parameters[name] = value
    if cursor:
        times, (at, after) = cursors.decode_in_range(cursor, search, (_UUID,))
        conditions.append(
            "(timestamp, transition_id) < (fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC'), {after_id:UUID})"
        )
        parameters |= {"after_ns": at, "after_id": after}
    rows = await reader.query(
        "SELECT toUnixTimestamp64Nano(timestamp) AS ns, transition_id, alert_rule_id, alert_rule_name, "
        "toString(severity) AS severity_, instance_id, number, toString(status) AS status_, "
        f"toString(reason) AS reason_, value, threshold, labels, metadata "
        f"FROM @alert_events WHERE {' AND '.join(conditions)} "
        "ORDER BY timestamp DESC, transition_id DESC LIMIT {rows:UInt64}",
        parameters | times.parameters | {"rows": limit + 1},
        name="alerts.history",
    )
    next_cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        next_cursor = cursors.encode(search, [times.start_ns, times.end_ns, last["ns"], str(last["transition_id"])])
    return EventPage([_event(row) for row in rows[:limit]], next_cursor)


async def noisiest(reader: TelemetryReader, times: TimeRange, *, limit: int) -> list[Noise]:
    """The rules that fired the most in a range. Raises UNAVAILABLE."""
    rows = await reader.query(
        "SELECT alert_rule_id, argMax(alert_rule_name, timestamp) AS name, count() AS firings, "
        "uniqExact(alert) AS instances, countIf(before = 'resolved' AND since < {flap_s:Int64}) AS flaps, "
        "sum(count()) OVER () AS of_all FROM (SELECT alert_rule_id, alert_rule_name, timestamp, "
        "toString(labels) AS alert, toString(status) AS now, lagInFrame(toString(status), 1, '') OVER one AS before, "
        "dateDiff('second', lagInFrame(timestamp, 1, timestamp) OVER one, timestamp) AS since "
        f"FROM @alert_events WHERE {TimeRange.CONDITION} AND toString(status) IN ('triggered', 'resolved') "
        "WINDOW one AS (PARTITION BY alert_rule_id, toString(labels) ORDER BY timestamp, number "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) WHERE now = 'triggered' GROUP BY alert_rule_id "
        "ORDER BY firings DESC, alert_rule_id LIMIT {rows:UInt64}",
        times.parameters | {"rows": limit, "flap_s": FLAP_S},
        name="alerts.noisiest",
    )
    days = times.seconds / 86_400
    return [
        Noise(row["alert_rule_id"], row["name"], row["firings"], row["instances"], row["flaps"],
              round(row["firings"] / days, 3), round(row["firings"] / row["of_all"], 4))
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fired:
    """A firing of the past, with the labels that matchers see; its end is None if it goes on."""

    instance_id: UUID
    labels: dict[str, str]
    start: datetime
    end: datetime | None


async def fired(reader: TelemetryReader, times: TimeRange, *, rows_max: int) -> list[Fired]:
    """The alerts that began to fire in a range, the latest first, at most so many. Raises UNAVAILABLE."""
    rows = await reader.query(
        "SELECT instance_id, alert_rule_name, toString(severity) AS severity_, labels, "
        "toUnixTimestamp64Milli(toDateTime64(timestamp, 3)) AS start_ms, "
        "toUnixTimestamp64Milli(toDateTime64(after, 3)) AS end_ms, following FROM (SELECT instance_id, "
        "alert_rule_name, severity, labels, timestamp, toString(status) AS now, "
        "leadInFrame(timestamp, 1, timestamp) OVER one AS after, leadInFrame(number, 1, 0) OVER one AS following "
        f"FROM @alert_events WHERE {TimeRange.CONDITION} "
        "AND toString(status) IN ('triggered', 'no_data', 'error', 'resolved') "
        "WINDOW one AS (PARTITION BY instance_id ORDER BY number ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)) "
        "WHERE now != 'resolved' ORDER BY timestamp DESC, instance_id LIMIT {rows:UInt64}",
        times.parameters | {"rows": rows_max},
        name="alerts.fired",
    )
    return [
        Fired(
            row["instance_id"],
            {"alertname": row["alert_rule_name"], "severity": row["severity_"], **dict(row["labels"])},
            datetime.fromtimestamp(row["start_ms"] / 1000, UTC),
            datetime.fromtimestamp(row["end_ms"] / 1000, UTC) if row["following"] else None,
        )
        for row in rows
    ]


_FILTERS: Final = {
    "alert_rule_id": "alert_rule_id = {alert_rule_id:UUID}",
    "instance_id": "instance_id = {instance_id:UUID}",
    "severity": "toString(severity) = {severity:String}",
    "status": "toString(status) = {status:String}",
}


def _event(row: dict[str, Any]) -> Event:
    more = msgspec.json.decode(row["metadata"] or "{}", type=_More)
    return Event(
        values.rfc3339(row["ns"]),
        row["transition_id"],
        row["alert_rule_id"],
        row["alert_rule_name"],
        row["severity_"],
        row["instance_id"],
        row["number"],
        row["status_"],
        row["reason_"],
        row["value"],
        row["threshold"],
        dict(row["labels"]),
        more.notified_channels,
        more.held_channels,
        more.held_by,
        more.read_rows,
        more.read_bytes,
    )
