"""Usage: requests, bytes and items by hour or day, of one tenant or summed over several.

The INSERT that stores the items also counts them, so usage is exact. Each tenant is read through its own reader; sums
over tenants are made here.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.kernel.scope import Scope
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry.cursor import Text, Whole
from duoscope.telemetry.times import SECOND_NS, TimeRange, time_range

Per = Literal["hour", "day"]
Grouping = Literal["workspace", "tenant", "signal", "api_key"]
Signal = Literal["traces", "logs", "metrics"]

TENANTS_MAX: Final = 2000
"""Tenants that one request may sum over."""
_READS_AT_ONCE: Final = 2
"""How many of the store's few readers one request uses: sums over many tenants must not delay others' searches."""
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_BUCKET_S: Final[dict[Per, int]] = {"hour": _HOUR_S, "day": _DAY_S}
_RANGE_DEFAULT_NS: Final[dict[Per, int]] = {"hour": _DAY_S * SECOND_NS, "day": 30 * _DAY_S * SECOND_NS}
_RANGE_MAX_NS: Final[dict[Per, int]] = {"hour": 31 * _DAY_S * SECOND_NS, "day": 400 * _DAY_S * SECOND_NS}
_SECONDS: Final = Whole(0, 2**32 - 1)
_IDENTIFIER: Final = Text("(?:[0-9a-f-]{36})?")
_NAME: Final = Text("[a-z]{0,16}")


class Usage(Struct, frozen=True):
    """The usage in one hour or day. Columns that are not grouped by are null."""

    start: Annotated[str, Meta(description="Start of the hour or day, UTC.", examples=["2026-11-21T08:00:00Z"])]
    workspace_id: UUID | None
    tenant_id: UUID | None
    signal: Annotated[str | None, Meta(examples=["traces"])]
    api_key_id: UUID | None
    requests: Annotated[int, Meta(description="Requests that were stored; a retry is not counted again.")]
    bytes: Annotated[int, Meta(description="Bytes of these requests, after decompression, as protobuf.")]
    items: Annotated[int, Meta(description="Spans, log records and points in them.")]
    stored: Annotated[
        int, Meta(description="Items that were stored; the others were rejected, or flagged as having no value.")
    ]


class UsagePage(Struct, frozen=True):
    """One page of usage, ordered by time, oldest first."""

    items: list[Usage]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """The parameters of a usage query. `signal` and `api_key_id` are filters."""

    start: str | None
    end: str | None
    per: Per
    group_by: frozenset[Grouping]
    signal: Signal | None
    api_key_id: UUID | None
    limit: int
    cursor: str | None


_Key = tuple[int, str, str, str, str]
"""The key of a sum: the bucket in Unix seconds, workspace, tenant, signal, key; empty where not grouped by."""


async def usage(readers: Sequence[tuple[Scope, TelemetryReader]], asked: UsageQuestion) -> UsagePage:
    """Sum the usage of the tenants of `readers`, which the caller may see.

    The hours or days that contain `start` and `end` count whole. Without `start`, the last 24 hours or 30 days.

    Raises:
        DuoscopeError: INVALID for the range, the cursor, or more than TENANTS_MAX tenants.
    """
    if len(readers) > TENANTS_MAX:
        raise invalid(f"Usage is summed over at most {TENANTS_MAX} tenants; ask for each workspace.")
    # Without times of its own a page uses the range of the first one.
    identity = (
        "usage",
        *(asked.start, asked.end, asked.per, sorted(asked.group_by), asked.signal, asked.api_key_id),
        sorted(str(scope.tenant_id) for scope, _ in readers),
    )
    after: _Key | None = None
    if asked.cursor is None:
        first, last = _buckets(_range(asked), asked.per)
    else:
        parts = (_SECONDS, _SECONDS, _SECONDS, _IDENTIFIER, _IDENTIFIER, _NAME, _IDENTIFIER)
        first, last, *position = cursors.decode(asked.cursor, identity, parts)
        if not first <= position[0] < last or last - first > _RANGE_MAX_NS[asked.per] // SECOND_NS + 2 * _DAY_S:
            raise cursors.refused()
        after = (position[0], position[1], position[2], position[3], position[4])
    sums: dict[_Key, list[int]] = {}
    gate = asyncio.Semaphore(_READS_AT_ONCE)

    async def add(scope: Scope, reader: TelemetryReader) -> None:
        async with gate:
            for key, figures in await _of_tenant(scope, reader, asked, first, last, after):
                known = sums.setdefault(key, [0] * len(_FIGURES))
                sums[key] = [a + b for a, b in zip(known, figures, strict=True)]

    await asyncio.gather(*(add(scope, reader) for scope, reader in readers))
    keys = sorted(sums)
    shown = keys[: asked.limit]
    more = len(keys) > asked.limit
    next_cursor = cursors.encode(identity, [first, last, *shown[-1]]) if more else None
    return UsagePage([_usage(key, sums[key]) for key in shown], next_cursor)


_FIGURES: Final = ("requests", "bytes", "items", "stored")


async def _of_tenant(  # noqa: PLR0917 - one query and what it is about
    scope: Scope, reader: TelemetryReader, asked: UsageQuestion, first: int, last: int, after: _Key | None
) -> Iterable[tuple[_Key, list[int]]]:
    workspace = str(scope.workspace_id) if "workspace" in asked.group_by else ""
    tenant = str(scope.tenant_id) if "tenant" in asked.group_by else ""
    bucket = "toStartOfDay(hour)" if asked.per == "day" else "hour"
    signal = "toString(signal)" if "signal" in asked.group_by else "''"
    api_key = "toString(api_key_id)" if "api_key" in asked.group_by else "''"
    conditions = ["hour >= toDateTime({first:UInt32}, 'UTC')", "hour < toDateTime({last:UInt32}, 'UTC')"]
    parameters: dict[str, object] = {"first": first, "last": last, "rows": asked.limit + 1}
    if asked.signal is not None:
        conditions.append("signal = {signal:String}")
        parameters["signal"] = asked.signal
    if asked.api_key_id is not None:
        conditions.append("api_key_id = {api_key_id:UUID}")
        parameters["api_key_id"] = str(asked.api_key_id)
    having = "1"
    if after is not None:
        at, *place, after_signal, after_key = after
        parameters |= {"at": at, "after_signal": after_signal, "after_key": after_key}
        if [workspace, tenant] == place:
            having = "(at, by_signal, by_key) > ({at:UInt32}, {after_signal:String}, {after_key:String})"
        else:
            having = "at >= {at:UInt32}" if [workspace, tenant] > place else "at > {at:UInt32}"
    rows = await reader.query(
        f"SELECT toUInt32(toUnixTimestamp({bucket})) AS at, {signal} AS by_signal, {api_key} AS by_key, "
        f"{', '.join(f'sum({name}) AS sum_{name}' for name in _FIGURES)} FROM @usage_hourly "
        f"WHERE {' AND '.join(conditions)} GROUP BY at, by_signal, by_key HAVING {having} "
        "ORDER BY at, by_signal, by_key LIMIT {rows:UInt64}",
        parameters,
        name="usage",
    )
    return [
        (
            (row["at"], workspace, tenant, row["by_signal"], row["by_key"]),
            [int(row[f"sum_{name}"]) for name in _FIGURES],
        )
        for row in rows
    ]


def _range(asked: UsageQuestion) -> TimeRange:
    times = time_range(asked.start, asked.end, max_ns=_RANGE_MAX_NS[asked.per])
    if asked.start is None:
        return TimeRange(max(0, times.end_ns - _RANGE_DEFAULT_NS[asked.per]), times.end_ns)
    return times


def _buckets(times: TimeRange, per: Per) -> tuple[int, int]:
    """The whole hours or days that overlap the range, in Unix seconds; the last one excluded."""
    step_ns = _BUCKET_S[per] * SECOND_NS
    first, last = times.start_ns // step_ns, -(-times.end_ns // step_ns)
    return first * _BUCKET_S[per], last * _BUCKET_S[per]


def _usage(key: _Key, figures: list[int]) -> Usage:
    at, workspace, tenant, signal, api_key = key
    return Usage(
        rfc3339(at),
        UUID(workspace) if workspace else None,
        UUID(tenant) if tenant else None,
        signal or None,
        UUID(api_key) if api_key else None,
        *figures,
    )


def rfc3339(unix_seconds: int) -> str:
    """A whole second in the API's form."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
