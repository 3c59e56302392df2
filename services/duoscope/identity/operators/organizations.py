"""The operator's commands on organizations and users, with the same rules as the API."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from duoscope.identity.authorization.permissions import Authority, operator_over
from duoscope.identity.directory.invitations import Invitations, Sent
from duoscope.identity.directory.organizations import add_organization, organization_of_code
from duoscope.identity.directory.regions import REGION_CODE, find_region
from duoscope.kernel.actor import operator
from duoscope.kernel.errors import not_found, require_found
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import invitations as invitation_rows
from duoscope.metadata import roles, tenants, user_roles
from duoscope.metadata.invitations import Overview
from duoscope.metadata.organizations import Organization
from duoscope.metadata.user_roles import Assignment
from duoscope.stores.postgres import MetadataStore

_OPERATOR: Final = PlatformScope(reason="an operator's command")


@dataclass(frozen=True, slots=True)
class MadeOrganization:
    """A new organization with its first workspace and tenant."""

    organization: Organization
    workspace_id: UUID
    tenant_id: UUID


async def create_organization(
    store: MetadataStore,
    *,
    name: str,
    region: str = REGION_CODE,
    workspace: str = "Default",
    tenant: str = "Default",
    mfa_required: bool = True,
) -> MadeOrganization:
    """Create an organization. The default region is created on demand.

    Raises NOT_FOUND for another unknown region, CONFLICT for a name that is taken.
    """
    async with store.open_platform(_OPERATOR, "admin.create_organization") as tx:
        found = await find_region(tx, operator(), region)
        made = await add_organization(
            tx,
            operator(),
            region_id=found.region_id,
            name=name,
            workspace=workspace,
            tenant=tenant,
            mfa_required=mfa_required,
        )
    return MadeOrganization(made.organization, made.workspace.workspace_id, made.tenant.tenant_id)


async def invite(
    store: MetadataStore, invitations: Invitations, *, organization: str, email: str, role: str, tenant_id: UUID | None
) -> Sent:
    """Invite an address to an organization (by code), or to one of its tenants. Returns the link whether it is mailed
    or not.

    Raises:
        DuoscopeError: NOT_FOUND for organization, role or tenant; CONFLICT as in Invitations.create.
    """
    async with store.open_platform(_OPERATOR, "admin.find_organization") as tx:
        found = await organization_of_code(tx, organization)
    authority = operator_over(found.organization_id)
    async with store.open(authority.scope, "admin.find_role") as tx:
        chosen = next(
            (r for r in await roles.list_all(tx) if r.name == role and r.tenant_id in {None, tenant_id}), None
        )
    if chosen is None:
        raise not_found(f"role {role!r} in this organization")
    return await invitations.create(
        authority, email=email, role_ids=[chosen.role_id], tenant_id=tenant_id, needs_mail=False
    )


async def list_invitations(store: MetadataStore, *, organization: str | None = None) -> list[Overview]:
    """List the invitations of all organizations or of one (by code), newest first.

    Raises:
        DuoscopeError: NOT_FOUND for the organization.
    """
    async with store.open_platform(_OPERATOR, "admin.list_invitations") as tx:
        if organization is not None:
            await organization_of_code(tx, organization)
        return await invitation_rows.list_overview(tx, organization)


async def resend_invitation(store: MetadataStore, invitations: Invitations, invitation_id: UUID) -> Sent:
    """Send an invitation again with a new link, which is returned whether it is mailed or not. Raises as
    Invitations.resend does, except for missing mail.
    """
    authority = await _over_invitation(store, invitation_id)
    return await invitations.resend(authority, invitation_id, needs_mail=False)


async def revoke_invitation(store: MetadataStore, invitations: Invitations, invitation_id: UUID) -> None:
    """Revoke an invitation. Raises as Invitations.revoke does."""
    await invitations.revoke(await _over_invitation(store, invitation_id), invitation_id)


async def _over_invitation(store: MetadataStore, invitation_id: UUID) -> Authority:
    async with store.open_platform(_OPERATOR, "admin.find_invitation") as tx:
        found = await invitation_rows.get(tx, invitation_id)
    found = require_found(found, "invitation; list-invitations shows what there is")
    return operator_over(found.organization_id)


async def list_access(store: MetadataStore, *, organization: str | None = None) -> list[Assignment]:
    """List the role assignments of all organizations or of one (by code).

    Raises:
        DuoscopeError: NOT_FOUND for the organization.
    """
    async with store.open_platform(_OPERATOR, "admin.list_access") as tx:
        if organization is not None:
            await organization_of_code(tx, organization)
        return await user_roles.list_access(tx, organization)


async def list_places(store: MetadataStore) -> dict[UUID, tuple[str, str]]:
    """The organization's code and the workspace's name of each tenant."""
    async with store.open_platform(_OPERATOR, "admin.list_places") as tx:
        return await tenants.list_places(tx)
