"""Regions of organizations. Platform admins manage them, everyone may read them."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Code, Description, Name, Services, given
from duoscope.api.listing import ActiveFilter, CodeFilter, DeletedFilter, NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import regions as rules
from duoscope.kernel.errors import require_found
from duoscope.metadata import regions
from duoscope.metadata.columns import IsActive
from duoscope.metadata.regions import Region

ROUTES: Final = Routes("regions")


class RegionPage(Struct, frozen=True):
    """One page of regions, and the cursor of the next page."""

    items: list[Region]
    next_cursor: str | None


class NewRegion(Struct, forbid_unknown_fields=True):
    """A region to be created."""

    name: Annotated[Name, Meta(examples=["Frankfurt"])]
    code: Annotated[Code, Meta(examples=["eu-central"])] | None = None
    description: Description = ""


class RegionChange(Change):
    """The changes of a region."""

    name: Annotated[Name, Meta(examples=["Frankfurt"])] | UnsetType = UNSET
    code: Annotated[Code, Meta(examples=["eu-central"])] | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    is_active: IsActive | UnsetType = UNSET


@ROUTES.post("/api/v1/regions", "Create a region", "region:write", problems=(400, 401, 403, 409, 503))
async def create_region(request: Request[Principal, Any, Any], data: JSONBody[NewRegion], services: Services) -> Region:
    """Create a region. For platform admins only. The code must be new."""
    return await rules.create_region(
        services.metadata, request.user, name=data.name, code=data.code or "", description=data.description
    )


@ROUTES.get("/api/v1/regions", "List regions", "region:read", problems=LISTS)
async def list_regions(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    code: CodeFilter = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
) -> RegionPage:
    """List all regions. Sorts: code, name, created_at."""
    filters = {"name": name, "code": code, "is_active": is_active, "deleted": deleted}
    async with services.metadata.open(request.user.scope, "regions.list") as tx:
        return RegionPage(*await listing.page(tx, regions.LISTING, paging, filters, answer=Region))


@ROUTES.get("/api/v1/regions/{region_id:uuid}", "Read a region", "region:read", problems=READS)
async def get_region(request: Request[Principal, Any, Any], region_id: FromPath[UUID], services: Services) -> Region:
    """One region, deleted or not."""
    async with services.metadata.open(request.user.scope, "regions.get") as tx:
        found = await regions.get(tx, region_id)
    return require_found(found, "region")


@ROUTES.patch("/api/v1/regions/{region_id:uuid}", "Change a region", "region:write", problems=WRITES)
async def change_region(
    request: Request[Principal, Any, Any], region_id: FromPath[UUID], data: JSONBody[RegionChange], services: Services
) -> Region:
    """Change a region. For platform admins only. Fields that are not given keep their values."""
    return await rules.change_region(services.metadata, request.user, region_id, given(data))


@ROUTES.delete("/api/v1/regions/{region_id:uuid}", "Delete a region", "region:delete", problems=WRITES)
async def delete_region(request: Request[Principal, Any, Any], region_id: FromPath[UUID], services: Services) -> None:
    """Delete a region. For platform admins only. Refused while it has organizations. It can be restored for 90 days."""
    await rules.delete_region(services.metadata, request.user, region_id)


@ROUTES.post(
    "/api/v1/regions/{region_id:uuid}/restore", "Restore a region", "region:delete", problems=READS, status_code=200
)
async def restore_region(
    request: Request[Principal, Any, Any], region_id: FromPath[UUID], services: Services
) -> Region:
    """Restore a deleted region."""
    return await rules.restore_region(services.metadata, request.user, region_id)
