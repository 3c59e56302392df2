"""Regions, which platform admins manage, each change with its audit entry."""

from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import soft_deletion
from duoscope.identity.directory.codes import code_of
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import regions
from duoscope.metadata.regions import Region
from duoscope.stores.postgres import MetadataStore, Transaction

PLATFORM: Final = PlatformScope(reason="platform admins manage regions and organizations")
REGION_CODE: Final = "default"


async def create_region(
    store: MetadataStore, principal: Principal, *, name: str, code: str, description: str
) -> Region:
    """Create a region. Raises CONFLICT for a code that is taken."""
    principal.require("region:write")
    async with store.open_platform(PLATFORM, "regions.create") as tx:
        region = await regions.create(tx, name=name, code=code or code_of(name), description=description)
        await audit.created(tx, principal.actor, region)
    return region


async def change_region(store: MetadataStore, principal: Principal, region_id: UUID, changes: dict[str, Any]) -> Region:
    """Change a region. Raises NOT_FOUND, or CONFLICT for a code that is taken."""
    principal.require("region:write")
    async with store.open_platform(PLATFORM, "regions.change") as tx:
        before = require_living(await regions.lock(tx, region_id), "region")
        after = await regions.save(tx, replace(before, **changes))
        await audit.changed(tx, principal.actor, before, after)
    return after


async def delete_region(store: MetadataStore, principal: Principal, region_id: UUID) -> None:
    """Delete a region. Raises NOT_FOUND, or CONFLICT `region-in-use` while it has organizations."""
    principal.require("region:delete")
    async with store.open_platform(PLATFORM, "regions.delete") as tx:
        region = await soft_deletion.delete(tx, "regions", await regions.lock(tx, region_id), region_id)
        if await regions.has_organizations(tx, region_id):
            raise DuoscopeError(ErrorKind.CONFLICT, "region-in-use", "Organizations are in it; move them first.")
        await audit.deleted(tx, principal.actor, region)


async def restore_region(store: MetadataStore, principal: Principal, region_id: UUID) -> Region:
    """Restore a region. Raises NOT_FOUND if it is not deleted."""
    principal.require("region:delete")
    async with store.open_platform(PLATFORM, "regions.restore") as tx:
        region = await soft_deletion.restore(tx, "regions", region_id, regions.get)
        await audit.restored(tx, principal.actor, region)
    return region


async def find_region(tx: Transaction, actor: Actor, code: str) -> Region:
    """Find a region by its code. The default region is created on demand; raises NOT_FOUND for any other."""
    found = await regions.find(tx, code)
    if found is None:
        if code != REGION_CODE:
            raise not_found(f"region {code!r}")
        found = await regions.create(tx, name="Default", code=REGION_CODE)
        # Comes before the entry of the organization that is created next: nobody else can lock the chain of a new one.
        await audit.created(tx, actor, found)
    return found


async def require_region(tx: Transaction, region_id: UUID) -> None:
    """Raise NOT_FOUND unless the region exists and is not deleted. It cannot be deleted until the transaction ends."""
    require_living(await regions.lock(tx, region_id), "region")
