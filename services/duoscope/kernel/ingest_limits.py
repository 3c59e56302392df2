"""The ingest limits of a tenant: rates, number of series, sizes of items.

The instance has defaults (`DUOSCOPE_INGEST_LIMITS`); a tenant may have its own values in its settings, under `limits`.
They apply to all receivers together: each admits its share of the rates (receiver/admission/receivers.py).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from duoscope.kernel import limits
from duoscope.kernel.errors import invalid


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """The limits that apply to a tenant. Where noted, 0 means no limit.

    Attributes:
        items_per_second, bytes_per_second: of the tenant: spans, log records and points; request bytes after
        decompression. 0: no limit.
        key_items_per_second, key_bytes_per_second: the same for each of its API keys. 0: no limit.
        burst_seconds: how many seconds' worth may come at once. A larger request is refused permanently.
        requests_in_flight: requests of the tenant that are being read or not answered yet.
        active_series: metric series seen in the last 30 to 60 minutes, by each receiver. 0: no limit.
        attributes: of one resource, scope or item, and events, links or exemplars of one item.
        attribute_bytes, body_bytes: one attribute's value and one log body, as stored.
    """

    items_per_second: int = 1_000_000
    bytes_per_second: int = 512 * 1024 * 1024
    key_items_per_second: int = 0
    key_bytes_per_second: int = 0
    burst_seconds: int = 10
    requests_in_flight: int = 1000
    active_series: int = 1_000_000
    attributes: int = limits.INGEST_ATTRIBUTES_MAX
    attribute_bytes: int = limits.INGEST_ATTRIBUTE_BYTES_MAX
    body_bytes: int = limits.INGEST_BODY_BYTES_MAX

    @classmethod
    def parse(cls, text: str) -> Self:
        """The defaults, with values from a text such as `items_per_second=50000,burst_seconds=20`.

        Raises:
            DuoscopeError: INVALID.
        """
        values: dict[str, int] = {}
        for part in filter(None, text.replace(",", " ").split()):
            name, _, value = part.partition("=")
            values[name] = check(name, int(value) if value.isascii() and value.isdigit() else value)
        return cls(**values)

    def with_own(self, own: Mapping[str, object]) -> Self:
        """Replace some of these limits by a tenant's own values.

        Values that another version of duoscope wrote and this one does not know are ignored.
        """
        known = {name: value for name, value in own.items() if _is_valid(name, value)}
        return dataclasses.replace(self, **known) if known else self


NAMES: Final = tuple(field.name for field in dataclasses.fields(IngestLimits))

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "items_per_second": (0, 10**9),
    "bytes_per_second": (0, 2**40),
    "key_items_per_second": (0, 10**9),
    "key_bytes_per_second": (0, 2**40),
    "burst_seconds": (1, 3600),
    "requests_in_flight": (1, 100_000),
    "active_series": (0, 50_000_000),
    "attributes": (1, 10_000),
    "attribute_bytes": (1, limits.INGEST_REQUEST_BYTES_MAX),
    "body_bytes": (1, limits.INGEST_REQUEST_BYTES_MAX),
}


def check(name: str, value: object) -> int:
    """Return the value, if it is a valid one for the limit `name`. Raises INVALID for an unknown limit or a value out
    of range.
    """
    if name not in _RANGES:
        raise invalid(f"There is no limit {name!r}; the limits are {', '.join(NAMES)}.")
    if not _is_valid(name, value):
        low, high = _RANGES[name]
        raise invalid(f"{name} is a whole number from {low} to {high:,}" + (", 0 for no limit." if not low else "."))
    assert isinstance(value, int)
    return value


def changed(own: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, int]:
    """A tenant's own values after `changes`. None in `changes` removes a value, so that the instance's applies again.

    Raises:
        DuoscopeError: INVALID.
    """
    after = {name: value for name, value in own.items() if _is_valid(name, value)}
    for name, value in changes.items():
        if value is None and name in _RANGES:
            after.pop(name, None)
        else:
            after[name] = check(name, value)
    return after


def _is_valid(name: str, value: object) -> bool:
    if name not in _RANGES or type(value) is not int:
        return False
    low, high = _RANGES[name]
    return low <= value <= high
