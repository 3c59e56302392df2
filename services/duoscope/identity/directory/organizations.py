"""Organizations: created and deleted by platform admins, changed by their own admins too, each with its audit entry.

No change may leave an organization without a tenant to log in to, nor the platform without an admin.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Authority, Principal
from duoscope.identity.directory import soft_deletion
from duoscope.identity.directory.codes import code_of
from duoscope.identity.directory.regions import PLATFORM, require_region
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, require_found
from duoscope.kernel.limits import RETENTION_DEFAULT_DAYS
from duoscope.metadata import organizations, regions, tenants, users, workspaces
from duoscope.metadata.organizations import Organization
from duoscope.metadata.tenants import Tenant
from duoscope.metadata.workspaces import Workspace
from duoscope.stores.postgres import MetadataStore, Transaction

_POLICIES: Final = ("mfa_required", "sso_required")


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """An organization with its first workspace and tenant: without a tenant nobody could log in."""

    organization: Organization
    workspace: Workspace
    tenant: Tenant


def organizations_of(store: MetadataStore, principal: Principal) -> AbstractAsyncContextManager[Transaction]:
    """A transaction that sees the organizations that the principal may see: its own, or, for platform admins, all."""
    if principal.is_platform_admin:
        return store.open_platform(PLATFORM, "organizations.read")
    return store.open(principal.scope, "organizations.read")


async def create_organization(
    store: MetadataStore,
    principal: Principal,
    *,
    region_id: UUID,
    name: str,
    code: str,
    description: str,
    workspace: str,
    tenant: str,
    mfa_required: bool,
) -> NewOrganization:
    """Create an organization. Raises CONFLICT for a code that is taken, NOT_FOUND for the region."""
    principal.require("organization:admin")
    async with store.open_platform(PLATFORM, "organizations.create") as tx:
        await require_region(tx, region_id)
        return await add_organization(
            tx,
            principal.actor,
            region_id=region_id,
            name=name,
            code=code,
            description=description,
            workspace=workspace,
            tenant=tenant,
            mfa_required=mfa_required,
        )


async def add_organization(
    tx: Transaction,
    actor: Actor,
    *,
    region_id: UUID,
    name: str,
    code: str = "",
    description: str = "",
    workspace: str,
    tenant: str,
    mfa_required: bool,
    retention_days: int = RETENTION_DEFAULT_DAYS,
) -> NewOrganization:
    """Create an organization, its first workspace and tenant, within a platform transaction, with one audit entry."""
    made = await organizations.create(
        tx,
        region_id=region_id,
        name=name,
        code=code or code_of(name),
        description=description,
        mfa_required=mfa_required,
    )
    place = await workspaces.create(tx, organization_id=made.organization_id, name=workspace, code=code_of(workspace))
    first = await tenants.create(
        tx,
        organization_id=made.organization_id,
        workspace_id=place.workspace_id,
        name=tenant,
        code=code_of(tenant),
        retention_days=retention_days,
    )
    await audit.created(tx, actor, made, workspace=audit.audited_fields(place), tenant=audit.audited_fields(first))
    return NewOrganization(made, place, first)


async def change_organization(
    store: MetadataStore, principal: Principal, organization_id: UUID, changes: dict[str, Any]
) -> Organization:
    """Change an organization. Its own admins may change name, description and settings, the platform also region, code
    and activity.
    """
    authority = principal.over_organization("organization:write", organization_id)
    if {"region_id", "code", "is_active"} & changes.keys():
        principal.require_platform_admin()
    opened = (
        store.open_platform(PLATFORM, "organizations.change")
        if principal.is_platform_admin
        else store.open(authority.scope, "organizations.change")
    )
    async with opened as tx:
        before = require_living(await organizations.lock(tx, organization_id), "organization")
        if "region_id" in changes:
            await require_region(tx, changes["region_id"])
        after = await organizations.save(tx, replace(before, **_with_policy(before, changes)))
        if before.is_active and not after.is_active:
            await require_platform_admin_left(tx)
        await audit.changed(tx, principal.actor, before, after)
    return after


def _with_policy(before: Organization, changes: dict[str, Any]) -> dict[str, Any]:
    """Replace the settings; those that increase security are switched off only if they are named."""
    if "settings" not in changes:
        return changes
    settings = {name: before.settings[name] for name in _POLICIES if name in before.settings} | changes["settings"]
    for name in _POLICIES:
        if not isinstance(settings.get(name, False), bool):
            raise invalid(f"The setting {name} is true or false.")
    return changes | {"settings": settings}


async def delete_organization(store: MetadataStore, principal: Principal, organization_id: UUID) -> None:
    """Delete an organization. Raises NOT_FOUND, or CONFLICT `last-platform-admin`."""
    principal.require("organization:delete")
    async with store.open_platform(PLATFORM, "organizations.delete") as tx:
        found = await soft_deletion.delete(
            tx, "organizations", await organizations.lock(tx, organization_id), organization_id
        )
        await require_platform_admin_left(tx)
        await audit.deleted(tx, principal.actor, found)


async def restore_organization(store: MetadataStore, principal: Principal, organization_id: UUID) -> Organization:
    """Restore an organization. Raises NOT_FOUND if it is not deleted, CONFLICT `parent-deleted` while its region is."""
    principal.require("organization:delete")
    async with store.open_platform(PLATFORM, "organizations.restore") as tx:
        found = await soft_deletion.restore(tx, "organizations", organization_id, organizations.get)
        region = await regions.get(tx, found.region_id)
        if region is None or region.deleted_at is not None:
            raise soft_deletion.parent_deleted("region")
        await audit.restored(tx, principal.actor, found)
    return found


async def require_platform_admin_left(tx: Transaction) -> None:
    """Raise CONFLICT `last-platform-admin` unless one is left. Two calls at once wait for each other here."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('platform admins', 0))")
    if not await users.platform_admin_is_left(tx):
        raise DuoscopeError(
            ErrorKind.CONFLICT,
            "last-platform-admin",
            "The platform would be left without an admin.",
        )


async def require_organization(tx: Transaction, organization_id: UUID) -> None:
    """Raise NOT_FOUND unless there is such an organization that is not deleted."""
    require_found(await organizations.get(tx, organization_id), "organization")


async def organization_of_code(tx: Transaction, code: str) -> Organization:
    """Return the organization of a code that an operator typed. Raises NOT_FOUND."""
    return require_found(await organizations.find(tx, code), f"organization with the code {code!r}")


async def require_place(tx: Transaction, authority: Authority) -> None:
    """Raise CONFLICT `last-tenant` unless an active tenant is left to log in to."""
    if not await organizations.has_a_place_to_work(tx, authority.organization_id):
        raise DuoscopeError(
            ErrorKind.CONFLICT,
            "last-tenant",
            "The organization would be left without an active tenant, and nobody could log in; make another first.",
        )
