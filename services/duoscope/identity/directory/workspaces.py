"""Workspaces: created, changed, deleted and restored, each change with its audit entry.

Managing them needs the permission organization-wide.
"""

from typing import Any
from uuid import UUID

from msgspec.structs import replace

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Authority
from duoscope.identity.directory import soft_deletion
from duoscope.identity.directory.codes import code_of
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.directory.organizations import require_organization, require_place
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.actor import Actor
from duoscope.metadata import organizations, workspaces
from duoscope.metadata.workspaces import Workspace
from duoscope.stores.postgres import MetadataStore, Transaction


async def create_workspace(
    store: MetadataStore,
    authority: Authority,
    *,
    name: str,
    code: str,
    description: str,
    quota: Quota = DEFAULT_QUOTA,
) -> Workspace:
    """Create a workspace. Raises CONFLICT for a code taken in the organization, or `organization-limit-reached`."""
    async with store.open(authority.scope, "workspaces.create") as tx:
        await require_organization(tx, authority.organization_id)
        await quota.require_room(tx, authority.organization_id, "workspaces")
        return await add_workspace(
            tx,
            authority.actor,
            organization_id=authority.organization_id,
            name=name,
            code=code,
            description=description,
        )


async def add_workspace(
    tx: Transaction, actor: Actor, *, organization_id: UUID, name: str, code: str = "", description: str = ""
) -> Workspace:
    """Create a workspace within the caller's transaction, with its audit entry. Its code is made from its name."""
    made = await workspaces.create(
        tx, organization_id=organization_id, name=name, code=code or code_of(name), description=description
    )
    await audit.created(tx, actor, made)
    return made


async def change_workspace(
    store: MetadataStore, authority: Authority, workspace_id: UUID, changes: dict[str, Any]
) -> Workspace:
    """Change a workspace. Raises NOT_FOUND; CONFLICT for a code that is taken, or `last-tenant`."""
    async with store.open(authority.scope, "workspaces.change") as tx:
        await organizations.serialise(tx, authority.organization_id)
        before = require_living(await workspaces.lock(tx, workspace_id), "workspace")
        after = await workspaces.save(tx, replace(before, **changes))
        if before.is_active and not after.is_active:
            await require_place(tx, authority)
        await audit.changed(tx, authority.actor, before, after)
    return after


async def delete_workspace(store: MetadataStore, authority: Authority, workspace_id: UUID) -> None:
    """Delete a workspace with its tenants, which are restored with it. Raises NOT_FOUND, or CONFLICT `last-tenant`."""
    async with store.open(authority.scope, "workspaces.delete") as tx:
        await organizations.serialise(tx, authority.organization_id)
        workspace = await soft_deletion.delete(tx, "workspaces", await workspaces.lock(tx, workspace_id), workspace_id)
        await require_place(tx, authority)
        await audit.deleted(tx, authority.actor, workspace)


async def restore_workspace(
    store: MetadataStore, authority: Authority, workspace_id: UUID, *, quota: Quota = DEFAULT_QUOTA
) -> Workspace:
    """Restore a workspace. Raises NOT_FOUND if it is not deleted; CONFLICT `organization-limit-reached`."""
    async with store.open(authority.scope, "workspaces.restore") as tx:
        await quota.require_room(tx, authority.organization_id, "workspaces", restores=True)
        found = await soft_deletion.restore(tx, "workspaces", workspace_id, workspaces.get)
        await audit.restored(tx, authority.actor, found)
    return found
