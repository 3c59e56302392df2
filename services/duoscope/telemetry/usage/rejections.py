"""Rejections of a tenant's telemetry, by minute, hour or day, signal, API key and reason."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry.cursor import Text, Whole
from duoscope.telemetry.times import SECOND_NS, TimeRange, time_range
from duoscope.telemetry.usage.metering import Signal, rfc3339
from duoscope.telemetry.usage.reasons import CUTS, explanation

Per = Literal["minute", "hour", "day"]

RANGE_MAX_NS: Final = 31 * 86_400 * SECOND_NS
_BUCKETS: Final[dict[Per, str]] = {"minute": "minute", "hour": "toStartOfHour(minute)", "day": "toStartOfDay(minute)"}
_STEP_S: Final[dict[Per, int]] = {"minute": 60, "hour": 3600, "day": 86_400}
_SECONDS: Final = Whole(0, 2**32 - 1)
_POSITION: Final = (_SECONDS, _SECONDS, _SECONDS, Text("[a-z]{1,16}"), Text("[0-9a-f-]{36}"), Text("[a-z0-9-]{1,64}"))


class Rejection(Struct, frozen=True):
    """Rejections and cuts of one key, signal and reason: of items, or of whole requests."""

    start: Annotated[str, Meta(description="Start of the minute, hour or day, UTC.", examples=["2026-11-21T08:15:00Z"])]
    signal: Annotated[str, Meta(examples=["metrics"])]
    api_key_id: UUID
    reason: Annotated[str, Meta(description="Stable; programs may match on it.", examples=["invalid-histogram"])]
    explanation: Annotated[str, Meta(description="The reason in words, with the tenant's current limits.")]
    requests: Annotated[int, Meta(description="Requests that had such items, or were refused whole.")]
    items: Annotated[
        int,
        Meta(description="Items that were left out of requests; 0 if the requests were refused whole."),
    ]
    items_cut: Annotated[
        int,
        Meta(
            description="Items that were stored incompletely, for reasons that end in `-cut`; an item cut "
            "for two reasons counts with each."
        ),
    ]


class RejectionPage(Struct, frozen=True):
    """One page of rejections, newest first."""

    items: list[Rejection]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class RejectionQuestion:
    """The parameters of a query of rejections. `signal`, `api_key_id` and `reason` are filters."""

    start: str | None
    end: str | None
    per: Per
    signal: Signal | None
    api_key_id: UUID | None
    reason: str | None
    limit: int
    cursor: str | None


async def rejections(reader: TelemetryReader, applied: IngestLimits, asked: RejectionQuestion) -> RejectionPage:
    """Read the rejections in the minutes, hours or days that overlap the range; by default the last 24 hours.

    Args:
        reader: of the tenant.
        applied: the tenant's limits, for the explanations.
        asked: the time, filters and page.

    Raises:
        DuoscopeError: INVALID for the range or the cursor.
    """
    per = asked.per
    identity = ("rejections", asked.start, asked.end, per, asked.signal, asked.api_key_id, asked.reason)
    conditions = ["minute >= toDateTime({first:UInt32}, 'UTC')", "minute < toDateTime({last:UInt32}, 'UTC')"]
    parameters: dict[str, object] = {"rows": asked.limit + 1}
    having = "1"
    if asked.cursor is None:
        first, last = _buckets(asked.start, asked.end, per)
    else:
        first, last, at, after_signal, after_key, after_reason = cursors.decode(asked.cursor, identity, _POSITION)
        if not first <= at < last or last - first > RANGE_MAX_NS // SECOND_NS + 2 * _STEP_S[per]:
            raise cursors.refused()
        having = (
            "at < {at:UInt32} OR at = {at:UInt32} AND (by_signal, by_key, by_reason) > "
            "({after_signal:String}, {after_key:String}, {after_reason:String})"
        )
        parameters |= {"at": at, "after_signal": after_signal, "after_key": after_key, "after_reason": after_reason}
    parameters |= {"first": first, "last": last}
    for name, value in (("signal", asked.signal), ("reason", asked.reason)):
        if value is not None:
            conditions.append(f"{name} = {{{name}:String}}")
            parameters[name] = value
    if asked.api_key_id is not None:
        conditions.append("api_key_id = {api_key_id:UUID}")
        parameters["api_key_id"] = str(asked.api_key_id)
    rows = await reader.query(
        f"SELECT toUInt32(toUnixTimestamp({_BUCKETS[per]})) AS at, toString(signal) AS by_signal, "
        "toString(api_key_id) AS by_key, toString(reason) AS by_reason, sum(requests) AS sum_requests, "
        f"sum(items) AS sum_items FROM @rejections WHERE {' AND '.join(conditions)} "
        f"GROUP BY at, by_signal, by_key, by_reason HAVING {having} "
        "ORDER BY at DESC, by_signal, by_key, by_reason LIMIT {rows:UInt64}",
        parameters,
        name="rejections",
    )
    shown = rows[: asked.limit]
    next_cursor = None
    if len(rows) > asked.limit:
        end_of_page = shown[-1]
        position = [end_of_page[name] for name in ("at", "by_signal", "by_key", "by_reason")]
        next_cursor = cursors.encode(identity, [first, last, *position])
    return RejectionPage(
        [
            Rejection(
                rfc3339(row["at"]),
                row["by_signal"],
                UUID(row["by_key"]),
                row["by_reason"],
                explanation(row["by_reason"], applied),
                int(row["sum_requests"]),
                *_left_out_or_cut(row["by_reason"], int(row["sum_items"])),
            )
            for row in shown
        ],
        next_cursor,
    )


def _left_out_or_cut(reason: str, items: int) -> tuple[int, int]:
    """The ledger counts both in one column: a reason is of one or the other."""
    return (0, items) if reason in CUTS else (items, 0)


def _buckets(start: str | None, end: str | None, per: Per) -> tuple[int, int]:
    times = time_range(start, end, max_ns=RANGE_MAX_NS)
    if start is None:
        times = TimeRange(max(0, times.end_ns - 86_400 * SECOND_NS), times.end_ns)
    step_ns = _STEP_S[per] * SECOND_NS
    return times.start_ns // step_ns * _STEP_S[per], -(-times.end_ns // step_ns) * _STEP_S[per]
