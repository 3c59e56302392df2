"""In-memory data about verified API keys: their tenant, allowed addresses and uses."""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from duoscope.kernel.scope import Scope
from duoscope.metadata.api_key_usage_logs import Use
from duoscope.net.addresses import Network, is_within, parse_address

ADDRESSES_MAX: Final = 1000
"""Addresses that are counted separately for one key between two writes."""


@dataclass(frozen=True, slots=True)
class IngestPrincipal:
    """A verified API key: its tenant, permissions and limits.

    Attributes:
        scope: the tenant.
        api_key_id: the key.
        signals: its permissions: `traces:write`, `metrics:write`, `logs:write`, `monitors:report`, and `traces:read`,
            `metrics:read`, `logs:read`.
        retention_days: the tenant's retention class.
        key_id: `tfk-...`, which is not secret.
        name: the key's.
        rate_limit: requests per minute; None for no limit of its own. Admission enforces it.
        allowed_addresses: from which it may be used; empty for everywhere. Verification has checked that.
        allowed_origins: of the pages that may send with it; empty if it is not for pages. `origins.require_origin`
            checks that.
        is_browser_only: whether only pages may send with it.
        own_limits: of the tenant, by name (kernel/ingest_limits.py). Admission enforces them.
        organization_limits: of all tenants of the organization together (kernel/organization_limits.py). Admission
            enforces them.
    """

    scope: Scope
    api_key_id: UUID
    signals: frozenset[str]
    retention_days: int
    key_id: str = ""
    name: str = ""
    rate_limit: int | None = None
    allowed_addresses: tuple[Network, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    is_browser_only: bool = False
    own_limits: tuple[tuple[str, int], ...] = ()
    organization_limits: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Verified:
    """A secret that was correct. `proof` identifies the stored hash that it matched, without being it."""

    principal: IngestPrincipal
    proof: bytes
    fresh_until: float
    checked_at: float
    ends_at: float
    admitted: dict[str | None, bool] = field(default_factory=dict[str | None, bool])
    is_doubted: bool = False

    def admits(self, address: str | None) -> bool:
        """Whether the key may be used from the address."""
        known = self.admitted.get(address)
        if known is None:
            known = is_within(parse_address(address), self.principal.allowed_addresses)
            if len(self.admitted) < ADDRESSES_MAX:
                self.admitted[address] = known
        return known


class Uses:
    """The uses of one key, with the status of the answers, since the last write."""

    __slots__ = ("_counts", "_principal")

    def __init__(self, principal: IngestPrincipal) -> None:
        self._principal = principal
        self._counts: dict[tuple[str, str | None, int], int] = {}

    def count(self, endpoint: str, address: str | None, status: int) -> None:
        """Count a use. Uses from too many addresses are counted together."""
        use = endpoint, address, status
        if use not in self._counts and len(self._counts) >= ADDRESSES_MAX:
            use = endpoint, None, status
        self._counts[use] = self._counts.get(use, 0) + 1

    def listed(self) -> list[Use]:
        """The uses in the form in which they are written."""
        principal = self._principal
        return [
            Use(
                principal.scope.tenant_id,
                principal.api_key_id,
                endpoint.partition(" ")[2],
                endpoint.partition(" ")[0],
                address,
                status,
                count,
            )
            for (endpoint, address, status), count in self._counts.items()
        ]
