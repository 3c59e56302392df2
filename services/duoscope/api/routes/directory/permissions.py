"""The fixed list of permissions."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import PagingDependency
from duoscope.api.routing import LISTS, READS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import permissions
from duoscope.metadata.permissions import Permission

ROUTES: Final = Routes("permissions")


class PermissionPage(Struct, frozen=True):
    """One page of permissions, and the cursor of the next page."""

    items: list[Permission]
    next_cursor: str | None


@ROUTES.get("/api/v1/permissions", "List permissions", "permission:read", problems=LISTS)
async def list_permissions(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    resource: Annotated[str | None, QueryParameter(max_length=63, description="Permissions of this resource.")] = None,
    action: Annotated[str | None, QueryParameter(max_length=63, description="read, write, delete or admin.")] = None,
) -> PermissionPage:
    """List all permissions, the same for everyone. Sort: name."""
    filters = {"resource": resource, "action": action}
    async with services.metadata.open(request.user.scope, "permissions.list") as tx:
        return PermissionPage(*await listing.page(tx, permissions.LISTING, paging, filters, answer=Permission))


@ROUTES.get("/api/v1/permissions/{permission_id:uuid}", "Read a permission", "permission:read", problems=READS)
async def get_permission(
    request: Request[Principal, Any, Any], permission_id: FromPath[UUID], services: Services
) -> Permission:
    """One permission."""
    async with services.metadata.open(request.user.scope, "permissions.get") as tx:
        found = await permissions.get(tx, permission_id)
    return require_found(found, "permission")
