"""The limits of what a tenant may ask: queries at once, and what each may cost.

The instance has defaults (`DUOSCOPE_QUERY_LIMITS`); a tenant may have its own values in its settings, under `limits`,
beside its ingest limits. Each API process applies them by itself.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from duoscope.kernel import alert_limits, ingest_limits, limits
from duoscope.kernel.named_limits import NamedLimits


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """The limits that apply to what a tenant asks.

    Attributes:
        queries_at_once: statements at work, of all its users and API keys together.
        key_queries_at_once: the same of each of its API keys. 0: no limit of its own.
        queries_waiting: requests that wait for a place, before the next one is refused.
        query_seconds: how long one statement may take.
        query_rows, query_bytes: that one request may read, in all its statements.
        query_result_bytes: size of the result of one statement.
    """

    queries_at_once: int = limits.READS_TENANT_MAX
    key_queries_at_once: int = 0
    queries_waiting: int = limits.READS_WAITING_TENANT_MAX
    query_seconds: int = limits.TELEMETRY_QUERY_TIMEOUT_S
    query_rows: int = limits.TELEMETRY_QUERY_ROWS_MAX
    query_bytes: int = limits.TELEMETRY_QUERY_BYTES_MAX
    query_result_bytes: int = limits.TELEMETRY_QUERY_RESULT_BYTES_MAX

    @classmethod
    def parse(cls, text: str) -> Self:
        """The defaults, with values from a text such as `query_seconds=10,queries_at_once=1`.

        Raises:
            DuoscopeError: INVALID.
        """
        return cls(**NAMED.parse(text))

    def with_own(self, own: Mapping[str, object]) -> Self:
        """Replace some of these limits by a tenant's own values. Other names are ignored."""
        known = NAMED.known(own) if own else None
        return dataclasses.replace(self, **known) if known else self


_RANGES: Final = {
    "queries_at_once": (1, limits.READS_MAX),
    "key_queries_at_once": (0, limits.READS_MAX),
    "queries_waiting": (1, 1000),
    "query_seconds": (1, 60),
    "query_rows": (1, 10**12),
    "query_bytes": (1, 2**48),
    "query_result_bytes": (2**20, limits.TELEMETRY_QUERY_RESULT_BYTES_MAX),
}
_UNLIMITED_AT_ZERO: Final = ("key_queries_at_once",)
NAMED: Final = NamedLimits("A tenant", _RANGES, unlimited_at_zero=_UNLIMITED_AT_ZERO)
OF_TENANT: Final = NamedLimits(
    "A tenant",
    ingest_limits.RANGES | _RANGES | alert_limits.RANGES,
    unlimited_at_zero=(*ingest_limits.UNLIMITED_AT_ZERO, *_UNLIMITED_AT_ZERO),
)
"""All limits of a tenant, as its settings hold them."""
