"""Tenants: created, changed, deleted and restored, each change with its audit entry.

Managing them needs the permission organization-wide; a tenant's own admins may change some of its fields.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Authority
from duoscope.identity.directory import soft_deletion
from duoscope.identity.directory.codes import code_of
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.directory.organizations import require_organization, require_place
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.limits import RETENTION_DEFAULT_DAYS
from duoscope.metadata import organizations, tenants, workspaces
from duoscope.metadata.tenants import Tenant
from duoscope.stores.postgres import MetadataStore, Transaction


async def create_tenant(
    store: MetadataStore,
    authority: Authority,
    *,
    workspace_id: UUID,
    name: str,
    code: str,
    domain: str,
    retention_days: int = RETENTION_DEFAULT_DAYS,
    quota: Quota = DEFAULT_QUOTA,
) -> Tenant:
    """Create a tenant. Raises CONFLICT for a code taken in the workspace, or `organization-limit-reached`; NOT_FOUND
    for the workspace.
    """
    async with store.open(authority.scope, "tenants.create") as tx:
        await require_organization(tx, authority.organization_id)
        require_found(await workspaces.get(tx, workspace_id), "workspace")
        await quota.require_room(tx, authority.organization_id, "tenants")
        return await add_tenant(
            tx,
            authority.actor,
            organization_id=authority.organization_id,
            workspace_id=workspace_id,
            name=name,
            code=code,
            domain=domain,
            retention_days=retention_days,
        )


async def add_tenant(
    tx: Transaction,
    actor: Actor,
    *,
    organization_id: UUID,
    workspace_id: UUID,
    name: str,
    code: str = "",
    domain: str = "",
    retention_days: int = RETENTION_DEFAULT_DAYS,
) -> Tenant:
    """Create a tenant within the caller's transaction, with its audit entry. Its code is made from its name."""
    made = await tenants.create(
        tx,
        organization_id=organization_id,
        workspace_id=workspace_id,
        name=name,
        code=code or code_of(name),
        domain=domain,
        retention_days=retention_days,
    )
    await audit.created(tx, actor, made)
    return made


async def change_tenant(store: MetadataStore, authority: Authority, tenant_id: UUID, changes: dict[str, Any]) -> Tenant:
    """Change a tenant. Its own admins may change name, domain and retention, the organization also code and activity.

    Raises:
        DuoscopeError: NOT_FOUND; FORBIDDEN; CONFLICT for a code that is taken, or `last-tenant`.
    """
    if {"code", "is_active"} & changes.keys() and not authority.is_organization_wide:
        raise DuoscopeError(
            ErrorKind.FORBIDDEN, "permission-denied", "code and is_active are changed by the organization's admins."
        )
    retention = changes.pop("retention_days", None)
    async with store.open(authority.scope, "tenants.change") as tx:
        if authority.is_organization_wide:
            await organizations.serialise(tx, authority.organization_id)
        before = require_living(await tenants.lock(tx, tenant_id), "tenant")
        wanted = replace(before, **changes)
        if retention is not None:
            wanted = replace(wanted, settings=before.settings | {"retention_days": tenants.check_retention(retention)})
        after = await tenants.save(tx, wanted)
        if authority.is_organization_wide:
            after = await tenants.save_place(tx, wanted)
        if before.is_active and not after.is_active:
            await require_place(tx, authority)
        await audit.changed(tx, authority.actor, before, after)
    return after


async def delete_tenant(store: MetadataStore, authority: Authority, tenant_id: UUID) -> None:
    """Delete a tenant. Raises NOT_FOUND, or CONFLICT `last-tenant`."""
    async with store.open(authority.scope, "tenants.delete") as tx:
        await organizations.serialise(tx, authority.organization_id)
        tenant = await soft_deletion.delete(tx, "tenants", await tenants.lock(tx, tenant_id), tenant_id)
        await require_place(tx, authority)
        await audit.deleted(tx, authority.actor, tenant)


async def restore_tenant(
    store: MetadataStore, authority: Authority, tenant_id: UUID, *, quota: Quota = DEFAULT_QUOTA
) -> Tenant:
    """Restore a tenant. Raises NOT_FOUND if it is not deleted; CONFLICT `parent-deleted`, or
    `organization-limit-reached`.
    """
    async with store.open(authority.scope, "tenants.restore") as tx:
        await quota.require_room(tx, authority.organization_id, "tenants", restores=True)
        found = await soft_deletion.restore(tx, "tenants", tenant_id, tenants.get)
        if await workspaces.get(tx, found.workspace_id) is None:
            raise soft_deletion.parent_deleted("workspace")
        await audit.restored(tx, authority.actor, found)
    return found
