"""Releases: when a service was first seen in a version (`service.version` of its resource), from its spans."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.metrics.frames import second
from duoscope.telemetry.times import SECOND_NS, TimeRange, within

RELEASES_MAX: Final = 500
RELEASES_RANGE_MAX_NS: Final = 31 * 86_400 * SECOND_NS
LOOK_BACK_NS: Final = 86_400 * SECOND_NS
"""How long before the range all spans are looked at."""
_VERSIONS_MAX: Final = 20_000
_QUARTER_S: Final = 900
_QUARTERS_MAX: Final = 32
"""Of the quarters of an hour before that which had a version, so many are looked at, the newest."""


class Release(Struct, frozen=True):
    """The first sight of a version of a service."""

    service: str
    version: Annotated[str, Meta(examples=["1.4.0"])]
    first_seen: Annotated[str, Meta(description="To the second.", examples=["2026-01-31T12:00:00Z"])]
    before: Annotated[
        str | None,
        Meta(description="The version of the service that came before; null if none was seen.", examples=["1.3.7"]),
    ]


class ReleaseList(Struct, frozen=True):
    """Releases in the range, oldest first."""

    items: list[Release]
    truncated: Annotated[bool, Meta(description=f"Whether there are more than {RELEASES_MAX}.")]


_FIRST = """
SELECT service, version, toInt64(toUnixTimestamp(min(first))) AS seen
FROM (
    SELECT toString(service_name) AS service, JSONExtractString(toString(resource), 'service.version') AS version,
        min(timestamp) AS first
    FROM @traces_plain WHERE {times} AND {of} GROUP BY service_name, resource
)
WHERE version != '' GROUP BY service, version ORDER BY seen, service, version LIMIT {{rows:UInt64}}"""


_FORMER_QUARTERS: Final = """
SELECT toInt64(toUnixTimestamp(quarter)) AS quarter FROM @field_counts
WHERE signal = 'traces' AND name = 'service.version' AND place = 'resource' AND value IN {versions:Array(String)}
    AND quarter < toDateTime({until_s:UInt32}, 'UTC')
GROUP BY quarter ORDER BY quarter DESC LIMIT {quarters:UInt64}"""
_FORMER: Final = """
SELECT DISTINCT toString(service_name) AS service, JSONExtractString(toString(resource), 'service.version') AS version
FROM @traces_plain WHERE {times} AND service_name IN {services:Array(String)}"""


async def list_releases(reader: TelemetryReader, times: TimeRange, service: str | None = None) -> ReleaseList:
    """List the versions that were first seen in the range: of all services, or of one.

    A version counts as new if no span of the service had it in the range before that moment, nor in the day before,
    nor as long ago as spans are kept, as far as its values are counted (docs/adr/0029).
    """
    looked = TimeRange(max(0, times.start_ns - LOOK_BACK_NS), times.end_ns)
    parameters = looked.parameters | {"rows": _VERSIONS_MAX}
    if service is not None:
        parameters["service"] = service
    of = "1" if service is None else "service_name = {service:String}"
    rows = await reader.query(_FIRST.format(times=TimeRange.CONDITION, of=of), parameters, name="releases")
    former: dict[str, str] = {}
    found: list[Release] = []
    for row in rows:
        if row["seen"] * SECOND_NS + SECOND_NS > times.start_ns:
            found.append(Release(row["service"], row["version"], second(row["seen"]), former.get(row["service"])))
        former[row["service"]] = row["version"]
    seen = await _seen_before(reader, looked.start_ns // SECOND_NS, found)
    found = [one for one in found if (one.service, one.version) not in seen]
    return ReleaseList(found[:RELEASES_MAX], truncated=len(found) > RELEASES_MAX)


async def _seen_before(reader: TelemetryReader, until_s: int, found: list[Release]) -> set[tuple[str, str]]:
    """Which services had which versions before that: looked for where any service had one of them."""
    if not found:
        return set()
    versions = sorted({one.version for one in found[: 2 * RELEASES_MAX]})
    quarters = await reader.query(
        _FORMER_QUARTERS,
        {"versions": versions, "until_s": min(until_s, 2**32 - 1), "quarters": _QUARTERS_MAX},
        name="releases.quarters",
    )
    if not quarters:
        return set()
    times, parameters = within(
        [TimeRange(row["quarter"] * SECOND_NS, (row["quarter"] + _QUARTER_S) * SECOND_NS) for row in quarters]
    )
    rows = await reader.query(
        _FORMER.replace("{times}", times),
        parameters | {"services": sorted({one.service for one in found[: 2 * RELEASES_MAX]})},
        name="releases.former",
    )
    return {(row["service"], row["version"]) for row in rows}
