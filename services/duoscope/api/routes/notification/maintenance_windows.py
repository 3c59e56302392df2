"""Maintenance windows: when nobody is told of some alerts, again and again."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Description, Name, Services, given
from duoscope.api.listing import NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import maintenance_windows
from duoscope.metadata.maintenance_windows import MaintenanceWindow
from duoscope.metadata.silences import Matcher
from duoscope.notification import maintenance
from duoscope.notification.silencing import MATCHERS_MAX

ROUTES: Final = Routes("maintenance-windows")

_Wall = Annotated[
    str,
    Meta(
        pattern=r"^(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
        r"|^(19|20)\d\d-(0[13-9]|1[0-2])-(29|30)T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
        r"|^(19|20)\d\d-(0[13578]|1[02])-31T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
        r"|^(19|20)([02468][048]|[13579][26])-02-29T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$",
        description="Of the first time, by the clock of the time zone: without an offset.",
        examples=["2026-12-06T02:00"],
    ),
]
_Zone = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$", description="A name of IANA's.",
              examples=["Europe/Berlin"])
]  # fmt: skip
_Recurrence = Annotated[
    str,
    Meta(
        max_length=300,
        pattern=r"^[A-Z0-9=;,+-]*$",
        description="A rule of RFC 5545, by the day or longer; empty for once.",
        examples=["FREQ=WEEKLY;BYDAY=SU"],
    ),
]
_Matchers = Annotated[list[Matcher], Meta(max_length=MATCHERS_MAX, description="All must match; none for all alerts.")]


class MaintenanceWindowPage(Struct, frozen=True):
    """One page of maintenance windows, and the cursor of the next page."""

    items: list[MaintenanceWindow]
    next_cursor: str | None


class NewMaintenanceWindow(Struct, forbid_unknown_fields=True):
    """A maintenance window to be made."""

    name: Name
    starts_at: _Wall
    ends_at: _Wall
    time_zone: _Zone
    recurrence: _Recurrence = ""
    matchers: _Matchers = msgspec.field(default_factory=list[Matcher])
    comment: Description = ""
    is_enabled: bool = True


class MaintenanceWindowChange(Change):
    """The changes of a maintenance window."""

    name: Name | UnsetType = UNSET
    starts_at: _Wall | UnsetType = UNSET
    ends_at: _Wall | UnsetType = UNSET
    time_zone: _Zone | UnsetType = UNSET
    recurrence: _Recurrence | UnsetType = UNSET
    matchers: _Matchers | UnsetType = UNSET
    comment: Description | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET


@ROUTES.post("/api/v1/maintenance-windows", "Make a maintenance window", "silence:write", problems=WRITES)
async def create_maintenance_window(
    request: Request[Principal, Any, Any], data: JSONBody[NewMaintenanceWindow], services: Services
) -> MaintenanceWindow:
    """Make a maintenance window. While it is, it holds messages back as a silence does. Two hours by the clock on the
    wall may last one or three, on days on which clocks change.
    """
    return await maintenance.create(services.metadata, request.user, msgspec.structs.asdict(data))


@ROUTES.get("/api/v1/maintenance-windows", "List maintenance windows", "silence:read", problems=LISTS)
async def list_maintenance_windows(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    is_enabled: Annotated[bool | None, QueryParameter(description="Only those that are, or are not.")] = None,
) -> MaintenanceWindowPage:
    """List the tenant's maintenance windows. Sorts: name, created_at."""
    filters = {"name": name, "is_enabled": is_enabled}
    async with services.metadata.open(request.user.scope, "maintenance_windows.list") as tx:
        return MaintenanceWindowPage(
            *await listing.page(
                tx,
                maintenance_windows.LISTING,
                paging,
                filters,
                answer=MaintenanceWindow,
                read=maintenance_windows.from_row,
            )
        )


@ROUTES.get(
    "/api/v1/maintenance-windows/{maintenance_window_id:uuid}",
    "Read a maintenance window",
    "silence:read",
    problems=READS,
)
async def get_maintenance_window(
    request: Request[Principal, Any, Any], maintenance_window_id: FromPath[UUID], services: Services
) -> MaintenanceWindow:
    """One maintenance window."""
    async with services.metadata.open(request.user.scope, "maintenance_windows.get") as tx:
        found = await maintenance_windows.get(tx, maintenance_window_id)
    return require_found(found, "maintenance window")


@ROUTES.patch(
    "/api/v1/maintenance-windows/{maintenance_window_id:uuid}",
    "Change a maintenance window",
    "silence:write",
    problems=WRITES,
)
async def change_maintenance_window(
    request: Request[Principal, Any, Any],
    maintenance_window_id: FromPath[UUID],
    data: JSONBody[MaintenanceWindowChange],
    services: Services,
) -> MaintenanceWindow:
    """Change a maintenance window. What it held back and does no longer is told, if it still fires."""
    return await maintenance.change(services.metadata, request.user, maintenance_window_id, given(data))


@ROUTES.delete(
    "/api/v1/maintenance-windows/{maintenance_window_id:uuid}",
    "Delete a maintenance window",
    "silence:delete",
    problems=READS,
)
async def delete_maintenance_window(
    request: Request[Principal, Any, Any], maintenance_window_id: FromPath[UUID], services: Services
) -> None:
    """Delete a maintenance window for good. What it held back is told, if it still fires."""
    await maintenance.delete(services.metadata, request.user, maintenance_window_id)
