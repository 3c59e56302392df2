"""The ingest limits of a tenant: rates, number of series, sizes of items.

The instance has defaults (`DUOSCOPE_INGEST_LIMITS`); a tenant may have its own values in its settings, under `limits`.
They apply to all receivers together: each admits its share of the rates (receiver/admission/receivers.py).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from duoscope.kernel import limits
from duoscope.kernel.named_limits import NamedLimits


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
        return cls(**NAMED.parse(text))

    def with_own(self, own: Mapping[str, object]) -> Self:
        """Replace some of these limits by a tenant's own values.

        Values that another version of duoscope wrote and this one does not know are ignored.
        """
        known = NAMED.known(own)
        return dataclasses.replace(self, **known) if known else self


RANGES: Final = {
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
UNLIMITED_AT_ZERO: Final = (
    "items_per_second",
    "bytes_per_second",
    "key_items_per_second",
    "key_bytes_per_second",
    "active_series",
)
NAMED: Final = NamedLimits("A tenant", RANGES, unlimited_at_zero=UNLIMITED_AT_ZERO)
