"""The limits of organizations: checked by everything that creates resources, changed by those who run the instance.

Admins of the organization cannot raise the limits: they protect other organizations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel import organization_limits
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.organization_limits import COUNTS, OrganizationLimits
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import organization_limits as rows
from duoscope.metadata import organizations
from duoscope.stores.postgres import MetadataStore, Transaction

_LIMITS: Final = PlatformScope(reason="limits of organizations are the instance's to set")
_CALLED: Final = {
    "api_keys": "API keys that are not revoked",
    "invitations": "open invitations",
    "roles": "custom roles",
    "identity_providers": "identity providers",
}


@dataclass(frozen=True, slots=True)
class Holding:
    """An organization's own limits, its counts of resources, and its rates as in a key's credential."""

    organization_id: UUID
    own: dict[str, int]
    used: dict[str, int]
    rates: tuple[tuple[str, int], ...]


class Quota:
    """The instance's defaults, at hand where something is created."""

    def __init__(self, defaults: OrganizationLimits | None = None) -> None:
        self.defaults = defaults or OrganizationLimits()

    async def require_room(self, tx: Transaction, organization_id: UUID, name: str, *, restores: bool = False) -> None:
        """Check that the organization may create one more. Others who create one wait until the transaction ends.

        With `restores`, check that a deleted one may be restored.

        Raises:
            DuoscopeError: CONFLICT `organization-limit-reached`.
        """
        await organizations.serialise_makings(tx, organization_id)
        applied = self.defaults.with_own(await rows.own(tx, organization_id))
        found = await rows.count(tx, organization_id, name)
        if not applied.allows(name, found.living, 0 if restores else found.kept):
            most = getattr(applied, name)
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "organization-limit-reached",
                f"The organization may have {most:,} {_CALLED.get(name, name)}, and has {found.living:,}"
                + (f", and {found.kept - found.living:,} deleted ones" if found.kept > found.living else "")
                + ". Remove some, or ask those who run this instance for more.",
            )


DEFAULT_QUOTA: Final = Quota()
"""A quota with the built-in defaults."""


async def of_organization(store: MetadataStore, organization_id: UUID) -> Holding:
    """The limits of any organization, for those who run the instance. Raises NOT_FOUND."""
    async with store.open_platform(_LIMITS, "organization_limits.show") as tx:
        return await _holding(tx, organization_id)


async def of_code(
    store: MetadataStore, actor: Actor, code: str, changes: Mapping[str, int | None] | None = None
) -> Holding:
    """The limits of the organization with that code, after the changes, for those who run the instance. Raises
    NOT_FOUND, INVALID.
    """
    async with store.open_platform(_LIMITS, "organization_limits.find") as tx:
        found = await organizations.find(tx, code)
    found = require_found(found, "organization")
    if changes:
        return await change(store, actor, found.organization_id, changes)
    return await of_organization(store, found.organization_id)


async def as_seen_by(store: MetadataStore, principal: Principal, organization_id: UUID) -> Holding:
    """The limits of the principal's own organization, if they may read all of it; of any, for platform admins. Raises
    NOT_FOUND, FORBIDDEN.
    """
    authority = principal.over_organization("organization:read", organization_id)
    async with store.open(authority.scope, "organization_limits.as_seen_by") as tx:
        return await _holding(tx, organization_id)


async def change(
    store: MetadataStore, actor: Actor, organization_id: UUID, changes: Mapping[str, int | None]
) -> Holding:
    """Set an organization's own limits; None removes one, so that the instance's default applies again.

    Raises:
        DuoscopeError: NOT_FOUND; INVALID for an unknown limit, or a value out of range.
    """
    async with store.open_platform(_LIMITS, "organization_limits.change") as tx:
        organization = require_found(await organizations.lock(tx, organization_id), "organization")
        before = await rows.own(tx, organization_id)
        after = organization_limits.NAMED.changed(before, changes)
        await rows.save(tx, organization_id, after)
        await audit.record(
            tx, actor, "organization.changed", organization, before={"limits": before}, after={"limits": after}
        )
        return await _holding(tx, organization_id)


async def _holding(tx: Transaction, organization_id: UUID) -> Holding:
    require_found(await organizations.find_by_id(tx, organization_id), "organization")
    used = {name: (await rows.count(tx, organization_id, name)).living for name in COUNTS}
    own = await rows.own(tx, organization_id)
    largest = organization_limits.with_largest(own, await rows.of_tenants(tx, organization_id))
    return Holding(organization_id, own, used, largest)
