"""What the routes of dashboards answer and take, and the version that a change is based on."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import HeaderParameter
from msgspec import Meta, Struct

from duoscope.dashboards.management import Kept
from duoscope.dashboards.model import Dashboard
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.metadata.columns import DeletedAt, Visibility

Version = Annotated[int, Meta(ge=1, description="It grows with every change.")]
ViewCount = Annotated[int, Meta(description="How often it was read, as of some seconds ago.")]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="if-match", description="`ETag` of the dashboard that the change is based on, or `*`.", max_length=100
    ),
]
Patch = Annotated[
    dict[str, Any],
    Meta(
        description="A JSON merge patch (RFC 7396): members replace, null puts the default back, lists are whole.",
        examples=[{"title": "Requests", "options": {"unit": "reqps"}}],
    ),
]


class StoredDashboard(Struct, frozen=True):
    """A dashboard: its document, and what is known of it."""

    dashboard_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    version: Version
    is_public: bool
    visibility: Visibility
    view_count: ViewCount
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt
    dashboard: Dashboard


def shown(kept: Kept) -> StoredDashboard:
    """A dashboard as the API answers it."""
    row, document = kept
    return StoredDashboard(
        dashboard_id=row.dashboard_id,
        workspace_id=row.workspace_id,
        tenant_id=row.tenant_id,
        version=row.version,
        is_public=row.is_public,
        visibility=row.visibility,
        view_count=row.view_count,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        dashboard=document,
    )


def tagged(kept: Kept) -> Response[StoredDashboard]:
    """The same, with its version as `ETag`."""
    return Response(shown(kept), headers={"etag": f'"{kept[0].version}"'})


def matching(if_match: str | None) -> Callable[[int], None]:
    """A check of a dashboard's version against `If-Match`.

    It raises INVALID if the header is missing or no version, and OUTDATED `dashboard-changed` for another version.
    """

    def check(version: int) -> None:
        if if_match is None:
            raise invalid('Send `If-Match` with the ETag of the dashboard that you change, such as "3", or with *.')
        if if_match.strip() == "*":
            return
        found = re.fullmatch(r'(?:W/)?"?([1-9]\d{0,8})"?', if_match.strip(), re.ASCII)
        if found is None:
            raise invalid('`If-Match` is the ETag of a dashboard, such as "3", or *.')
        if int(found[1]) != version:
            raise DuoscopeError(
                ErrorKind.OUTDATED,
                "dashboard-changed",
                f"The dashboard is at version {version} by now: read it again, and change that.",
            )

    return check
