"""Limits of an organization: its admins see them, platform admins change them."""

import dataclasses
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api.bodies import Change, Services, given
from duoscope.api.routing import READS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import organization_limits
from duoscope.identity.directory.organization_limits import Holding
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.organization_limits import RATES, rates

ROUTES: Final = Routes("organizations")

_Count = Annotated[int, Meta(description="Maximum number.", examples=[50])]
_Rate = Annotated[
    int, Meta(description="Per second, of all its tenants together; 0 means no limit.", examples=[1_000_000])
]
_InFlight = Annotated[
    int, Meta(description="Requests of all of its tenants that are not answered yet.", examples=[1000])
]


class OrganizationLimits(Struct, frozen=True):
    """The limits of an organization."""

    workspaces: _Count
    tenants: _Count
    users: _Count
    invitations: _Count
    api_keys: _Count
    roles: _Count
    identity_providers: _Count
    items_per_second: _Rate
    bytes_per_second: _Rate
    requests_in_flight: _InFlight


class OrganizationLimitsChange(Change):
    """Limits of the organization's own. Null restores the instance's value."""

    workspaces: _Count | UnsetType | None = UNSET
    tenants: _Count | UnsetType | None = UNSET
    users: _Count | UnsetType | None = UNSET
    invitations: _Count | UnsetType | None = UNSET
    api_keys: _Count | UnsetType | None = UNSET
    roles: _Count | UnsetType | None = UNSET
    identity_providers: _Count | UnsetType | None = UNSET
    items_per_second: _Rate | UnsetType | None = UNSET
    bytes_per_second: _Rate | UnsetType | None = UNSET
    requests_in_flight: _InFlight | UnsetType | None = UNSET


class LimitsOfOrganization(Struct, frozen=True):
    """The limits of an organization, which of them are its own, and how many resources it has."""

    organization_id: UUID
    limits: Annotated[OrganizationLimits, Meta(description="The limits that apply.")]
    own: Annotated[
        dict[str, int],
        Meta(description="The limits of its own; the others are the instance's.", examples=[{"tenants": 200}]),
    ]
    used: Annotated[dict[str, int], Meta(description="Existing number.", examples=[{"tenants": 3}])]


@ROUTES.get(
    "/api/v1/organizations/{organization_id:uuid}/limits",
    "Read an organization's limits",
    "organization:read",
    problems=READS,
)
async def get_organization_limits(
    request: Request[Principal, Any, Any], organization_id: FromPath[UUID], services: Services
) -> LimitsOfOrganization:
    """The limits of your organization, if you hold organization:read organization-wide; of any, for platform admins.

    A rate that is not the organization's own is that of its largest tenant.
    """
    return _shown(services, await organization_limits.as_seen_by(services.metadata, request.user, organization_id))


@ROUTES.patch(
    "/api/v1/organizations/{organization_id:uuid}/limits",
    "Change an organization's limits",
    "organization:admin",
    problems=READS,
)
async def change_organization_limits(
    request: Request[Principal, Any, Any],
    organization_id: FromPath[UUID],
    data: JSONBody[OrganizationLimitsChange],
    services: Services,
) -> LimitsOfOrganization:
    """Change an organization's limits. For platform admins only: limits protect others. Receivers apply them at once.

    If a limit is lowered, what exists beyond it stays; only no more is created.
    """
    request.user.require_platform_admin()
    return _shown(
        services,
        await organization_limits.change(services.metadata, request.user.actor, organization_id, given(data)),
    )


def _shown(services: Services, holding: Holding) -> LimitsOfOrganization:
    applied = services.quota.defaults.with_own(holding.own)
    in_force = rates(holding.rates, IngestLimits.parse(services.settings.ingest_limits))
    fields = dataclasses.asdict(applied) | dict(zip(RATES, in_force, strict=True))
    return LimitsOfOrganization(
        holding.organization_id,
        OrganizationLimits(**{name: fields[name] for name in OrganizationLimits.__struct_fields__}),
        holding.own,
        holding.used,
    )
