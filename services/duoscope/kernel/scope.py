"""The tenant that a piece of work acts for.

A `Scope` names one tenant with its whole ancestry. It is built in three places only: API authentication, ingest
authentication, and the worker's fan-out over tenants; a tidy test enforces this. There is no default and no "None means
all". Work that crosses tenants takes a `PlatformScope`, which states a reason and which few functions accept.
"""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Scope:
    """One tenant: every scoped handle of either store is opened for exactly one of these."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class OrganizationScope:
    """One organization as a whole: for managing its users and its hierarchy, never its telemetry.

    Built in one place: identity/authorization/permissions.py, when a request holds a permission organization-wide.
    """

    organization_id: UUID


@dataclass(frozen=True, slots=True)
class PlatformScope:
    """Permission to work across tenants. `reason` is a short constant phrase and shows in the stores' logs."""

    reason: str

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("PlatformScope needs a reason")
