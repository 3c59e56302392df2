"""Your trusted devices: each keeps a token that a login returned because it was told to trust the device."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import PagingDependency
from duoscope.api.routing import Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.metadata import trusted_devices, user_sessions

ROUTES: Final = Routes("devices")


class Device(Struct, frozen=True):
    """A device that the user trusts."""

    device_id: UUID
    device_name: Annotated[str, Meta(examples=["Ada's laptop"])]
    created_at: datetime
    last_used_at: datetime
    mfa_at: Annotated[datetime | None, Meta(description="When a second factor was last used on it.")]
    expires_at: datetime


class DevicePage(Struct, frozen=True):
    """One page of devices, and the cursor of the next page."""

    items: list[Device]
    next_cursor: str | None


@ROUTES.get("/api/v1/devices", "List your trusted devices", problems=(400, 401, 503))
async def list_devices(
    request: Request[Principal, Any, Any], services: Services, paging: PagingDependency
) -> DevicePage:
    """List your trusted devices. Sorts: created_at, last_used_at, device_name."""
    async with services.metadata.open(request.user.scope, "devices.list") as tx:
        await user_sessions.act_as(tx, request.user.user_id)
        return DevicePage(*await listing.page(tx, trusted_devices.LISTING, paging, {"is_live": True}, answer=Device))


@ROUTES.delete("/api/v1/devices/{device_id:uuid}", "Stop trusting a device", problems=(401, 403, 404, 503))
async def remove_device(request: Request[Principal, Any, Any], device_id: FromPath[UUID], services: Services) -> None:
    """Stop trusting a device: its token stops working, and its sessions end. 404 for a device that is not yours.

    403 `reauthentication-required` unless you authenticated recently.
    """
    principal = request.user
    principal.require_recent()
    await services.sessions.forget_device(principal.actor, principal.user, device_id)
