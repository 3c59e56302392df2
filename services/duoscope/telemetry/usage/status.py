"""What a tenant has sent lately, by signal: how much, from which services, when the last of it came, and what of it was
rejected and why.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.times import SECOND_NS
from duoscope.telemetry.usage.metering import Signal, rfc3339
from duoscope.telemetry.usage.reasons import explanation

WINDOW_S: Final = 86_400
SERVICES_MAX: Final = 5
REASONS_MAX: Final = 5
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs", "metrics")


class RejectedLately(Struct, frozen=True):
    """Rejections of one signal for one reason."""

    reason: Annotated[str, Meta(examples=["invalid-id"])]
    explanation: Annotated[str, Meta(description="The reason in words, with the tenant's current limits.")]
    items: Annotated[int, Meta(description="Items left out or cut; 0 if whole requests were refused.")]
    requests: int
    last_minute: Annotated[str, Meta(description="The last minute, UTC.", examples=["2026-01-31T12:00:00Z"])]


class SignalStatus(Struct, frozen=True):
    """The arrivals of one signal in the last 24 hours."""

    signal: Signal
    items: Annotated[int, Meta(description="Spans, log records or points that were stored. The first hour is whole.")]
    last_received_at: Annotated[
        str | None,
        Meta(
            description="When the last request arrived that was stored; null if none did in the window.",
            examples=["2026-01-31T12:00:00.250Z"],
        ),
    ]
    services: Annotated[
        list[str],
        Meta(description=f"The first {SERVICES_MAX} by name that sent it on these days; none if you may not read it."),
    ]
    service_count: int
    rejected: Annotated[list[RejectedLately], Meta(description=f"At most {REASONS_MAX}, the latest first.")]


class IngestStatus(Struct, frozen=True):
    """The arrivals of a tenant in the last 24 hours, by signal."""

    signals: list[SignalStatus]
    first_ever: Annotated[
        bool, Meta(description="Whether nothing was ever stored before the window: the tenant is new, or silent.")
    ]
    newest_at: Annotated[
        str | None,
        Meta(description="The hour, UTC, in which anything was last stored; null if nothing ever was."),
    ]


async def status(reader: TelemetryReader, applied: IngestLimits, readable: Collection[Signal]) -> IngestStatus:
    """Read the status of the reader's tenant.

    Args:
        reader: of the tenant.
        applied: the tenant's limits, for the explanations.
        readable: signals whose services may be named.
    """
    now_s = now_unix_nano() // SECOND_NS
    since = {"since": now_s - WINDOW_S, "since_hour": (now_s - WINDOW_S) // _HOUR_S * _HOUR_S}
    counted = await reader.query(
        "SELECT toString(signal) AS of, sumIf(stored, hour >= toDateTime({since_hour:UInt32}, 'UTC')) AS items, "
        "sumIf(stored, hour < toDateTime({since_hour:UInt32}, 'UTC')) AS former, "
        "toUInt32(maxIf(toUnixTimestamp(hour), stored > 0)) AS newest FROM @usage_hourly GROUP BY of",
        since,
        name="ingest_status.items",
    )
    arrived = await reader.query(
        "SELECT toString(signal) AS of, toUnixTimestamp64Milli(max(received_at)) AS last FROM @arrivals "
        "WHERE received_at >= toDateTime({since:UInt32}, 'UTC') AND stored > 0 GROUP BY of",
        since,
        name="ingest_status.arrivals",
    )
    rejected = await reader.query(
        "SELECT toString(signal) AS of, toString(reason) AS why, sum(items) AS sum_items, "
        "sum(requests) AS sum_requests, toUInt32(max(toUnixTimestamp(minute))) AS last FROM @rejections "
        "WHERE minute >= toDateTime({since:UInt32}, 'UTC') GROUP BY of, why ORDER BY last DESC, sum_items DESC, why "
        "LIMIT {most:UInt64} BY of",
        since | {"most": REASONS_MAX},
        name="ingest_status.rejections",
    )
    services = await reader.query(
        "SELECT toString(signal) AS of, arraySlice(arraySort(groupUniqArray(toString(service_name))), 1, "
        "{most:UInt64}) AS names, uniq(service_name) AS different FROM @catalogue WHERE entry = 'service' "
        "AND date >= toDate({first_day:UInt16}) GROUP BY of",
        {"most": SERVICES_MAX, "first_day": since["since"] // _DAY_S},
        name="ingest_status.services",
    )
    by_signal: defaultdict[str, list[RejectedLately]] = defaultdict(list)
    for row in rejected:
        by_signal[row["of"]].append(_rejected(row, applied))
    items = {row["of"]: row for row in counted}
    last = {row["of"]: row["last"] for row in arrived}
    names = {row["of"]: row for row in services if row["of"] in readable}
    newest = max((row["newest"] for row in counted), default=0)
    return IngestStatus(
        [
            SignalStatus(
                signal,
                int(items[signal]["items"]) if signal in items else 0,
                _moment(last.get(signal)),
                names[signal]["names"] if signal in names else [],
                int(names[signal]["different"]) if signal in names else 0,
                by_signal[signal],
            )
            for signal in _SIGNALS
        ],
        first_ever=not any(row["former"] for row in counted),
        newest_at=rfc3339(newest) if newest else None,
    )


def _rejected(row: dict[str, Any], applied: IngestLimits) -> RejectedLately:
    return RejectedLately(
        row["why"],
        explanation(row["why"], applied),
        int(row["sum_items"]),
        int(row["sum_requests"]),
        rfc3339(row["last"]),
    )


def _moment(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else f"{rfc3339(unix_ms // 1000)[:-1]}.{unix_ms % 1000:03}Z"
