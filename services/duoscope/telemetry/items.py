"""What log records, spans and lists of them share in the API: resource, scope, page limit."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.telemetry import cutting, values
from duoscope.telemetry.language import Signal, hint_at_nothing, hint_at_text
from duoscope.telemetry.times import TimeRange

Time = Annotated[str, Meta(description="RFC 3339, UTC, nanoseconds.", examples=["2026-01-31T12:00:00.123456789Z"])]
Attributes = Annotated[
    dict[str, Any],
    Meta(
        description='Typed values; bytes are `{"bytes_value": "<base64>"}`; nan, inf and -inf are texts.',
        examples=[{"http.route": "/api/orders/{id}", "http.response.status_code": 500}],
    ),
]
TraceId = Annotated[str, Meta(description="32 hexadecimal digits.", examples=["5b8efff798038103d269b633813fc60c"])]
SpanId = Annotated[str, Meta(description="16 hexadecimal digits.", examples=["eee19b7ec3c1b174"])]


Hint = Annotated[
    str | None,
    Meta(
        description="Only on a first page. Without items: what was searched, and where. With items: how the query was "
        "read to find them, where that is not the usual way.",
        examples=["No log records from 2026-11-21T08:00:00Z to 2026-11-21T09:00:00Z match. Looked for: …"],
    ),
]


class Resource(Struct, frozen=True):
    """The entity that sent an item."""

    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


class InstrumentationScope(Struct, frozen=True):
    """The library that recorded an item."""

    name: str
    version: str
    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


Made = TypeVar("Made")

COLUMNS = (
    "resource, resource_dropped_attributes_count, resource_schema_url, scope_name, scope_version, "
    "scope_attributes, scope_dropped_attributes_count, scope_schema_url"
)
"""All columns of a row's resource and scope."""

SHOWN: Final = (
    f"{cutting.json_object('resource')} AS shown_resource, resource_dropped_attributes_count, resource_schema_url, "
    f"scope_name, scope_version, {cutting.json_object('scope_attributes')} AS shown_scope_attributes, "
    "scope_dropped_attributes_count, scope_schema_url"
)
"""The columns that `Origins` reads of a row of logs or traces."""

STORED: Final = (
    "resource AS shown_resource, resource_dropped_attributes_count, resource_schema_url, scope_name, scope_version, "
    "scope_attributes AS shown_scope_attributes, scope_dropped_attributes_count, scope_schema_url"
)
"""The same, as they are stored."""

TEXT_BYTES: Final = (
    "length(service_name) + length(resource_schema_url) + length(scope_name) + length(scope_version) "
    "+ length(scope_schema_url)"
)
"""The size of a row's other texts: short as a rule, and as long as a sender likes."""


class Origins:
    """Resources and scopes of the rows of one answer; a repeated one is decoded once."""

    def __init__(self) -> None:
        self._resources: dict[tuple[Any, ...], Resource] = {}
        self._scopes: dict[tuple[Any, ...], InstrumentationScope] = {}

    def resource(self, row: dict[str, Any]) -> Resource:
        """The row's resource."""
        key = (row["shown_resource"], row["resource_dropped_attributes_count"], row["resource_schema_url"])
        if key not in self._resources:
            self._resources[key] = Resource(values.attributes(key[0]), key[1], key[2])
        return self._resources[key]

    def scope(self, row: dict[str, Any]) -> InstrumentationScope:
        """The row's scope."""
        key = (
            row["scope_name"],
            row["scope_version"],
            row["shown_scope_attributes"],
            row["scope_dropped_attributes_count"],
            row["scope_schema_url"],
        )
        if key not in self._scopes:
            name, version, attributes, dropped, schema_url = key
            self._scopes[key] = InstrumentationScope(name, version, values.attributes(attributes), dropped, schema_url)
        return self._scopes[key]


def checked_limit(limit: int, maximum: int) -> int:
    """Check the limit of a page. Raises INVALID outside 1 to `maximum`."""
    if not 1 <= limit <= maximum:
        raise invalid(f"`limit` must be from 1 to {maximum}, not {limit}.")
    return limit


def hint(query: str, signal: Signal, times: TimeRange, *, found: bool) -> str:
    """The hint for a query that found nothing, or only something with `or_text`."""
    if found:
        return hint_at_text(query, signal)
    return hint_at_nothing(query, signal, values.rfc3339(times.start_ns), values.rfc3339(times.end_ns))


async def decoded(rows: list[dict[str, Any]], decode: Callable[[list[dict[str, Any]]], Made]) -> Made:
    """Run `decode` in a thread: a large page takes milliseconds, too long for the event loop."""
    return await asyncio.to_thread(decode, rows)
