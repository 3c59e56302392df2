"""Sessions: listing and ending them, which takes effect at the next request; for admins, also those of other users."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import OrganizationParameter, PagingDependency
from duoscope.api.routing import LISTS, READS, Routes
from duoscope.identity.authentication import session_admin
from duoscope.identity.authorization.permissions import Principal
from duoscope.metadata import user_sessions
from duoscope.stores.postgres import Record

ROUTES: Final = Routes("sessions")
_METHODS: Final = (
    "How you showed who you are: password, otp, backup-code, device (a trusted one); oidc, and mfa where the identity "
    "provider said that it asked for more than one factor."
)


class Session(Struct, frozen=True):
    """One login and its refreshed tokens."""

    session_id: UUID
    is_current: Annotated[bool, Meta(description="Whether it is the current session.")]
    workspace_id: UUID
    tenant_id: Annotated[UUID, Meta(description="The tenant where it began.")]
    methods: Annotated[list[str], Meta(description=_METHODS, examples=[["password", "otp"]])]
    device_id: Annotated[UUID | None, Meta(description="The trusted device of the session.")]
    ip_address: Annotated[str | None, Meta(examples=["192.0.2.7"])]
    user_agent: Annotated[str | None, Meta(examples=["curl/8.5.0"])]
    created_at: datetime
    updated_at: Annotated[datetime, Meta(description="When it was last refreshed.")]
    authenticated_at: Annotated[
        datetime | None,
        Meta(description="When you last authenticated; null if your identity provider did not report it."),
    ]
    expires_at: Annotated[datetime, Meta(description="When it ends in any case.")]


class SessionPage(Struct, frozen=True):
    """One page of sessions, and the cursor of the next page."""

    items: list[Session]
    next_cursor: str | None


class Ended(Struct, frozen=True):
    """The number of ended sessions."""

    sessions: Annotated[int, Meta(description="Number of ended sessions.", examples=[3])]


@ROUTES.get("/api/v1/sessions", "List your sessions", problems=(400, 401, 503))
async def list_sessions(
    request: Request[Principal, Any, Any], services: Services, paging: PagingDependency
) -> SessionPage:
    """List your active sessions, in all tenants of your organization. Sorts: created_at, updated_at."""
    principal = request.user

    def read(row: Record) -> dict[str, Any]:
        return {**row, "is_current": row["session_id"] == principal.session_id}

    async with services.metadata.open(principal.scope, "sessions.list") as tx:
        await user_sessions.act_as(tx, principal.user_id)
        return SessionPage(
            *await listing.page(tx, user_sessions.LISTING, paging, {"is_live": True}, answer=Session, read=read)
        )


@ROUTES.delete("/api/v1/sessions/{session_id:uuid}", "End one of your sessions", problems=(401, 403, 404, 503))
async def end_session(request: Request[Principal, Any, Any], session_id: FromPath[UUID], services: Services) -> None:
    """End a session: its access tokens stop at once, and its refresh token stops working. 404 for a session that is not
    yours.

    For any session but your current one, 403 `reauthentication-required` unless you authenticated recently.
    """
    principal = request.user
    if session_id != principal.session_id:
        principal.require_recent()
    await services.sessions.end(principal.actor, principal.user.session(session_id))


@ROUTES.delete("/api/v1/sessions", "Log out everywhere", problems=LISTS)
async def end_sessions(
    request: Request[Principal, Any, Any],
    services: Services,
    *,
    keep_current: Annotated[bool, QueryParameter(description="End all sessions except the current one.")] = False,
) -> None:
    """End all your sessions, this one too unless `keep_current` is true.

    403 `reauthentication-required` unless you authenticated recently; POST /api/v1/auth/logout ends this one alone.
    """
    principal = request.user
    principal.require_recent()
    await services.sessions.end_all(
        principal.actor,
        principal.user,
        except_session_id=principal.session_id if keep_current else None,
    )


@ROUTES.delete(
    "/api/v1/users/{user_id:uuid}/sessions", "End the sessions of a user", "user:admin", problems=READS, status_code=200
)
async def end_sessions_of_user(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Ended:
    """End all sessions of a user at once. You must hold everything that the user holds. They may log in again."""
    authority = request.user.over("user:admin", organization_id)
    return Ended(await session_admin.end_of_user(services.metadata, authority, user_id))


@ROUTES.delete(
    "/api/v1/organizations/{organization_id:uuid}/sessions",
    "End the sessions of an organization",
    "user:admin",
    problems=READS,
    status_code=200,
)
async def end_sessions_of_organization(
    request: Request[Principal, Any, Any],
    organization_id: FromPath[UUID],
    services: Services,
    *,
    keep_current: Annotated[bool, QueryParameter(description="End all sessions except the current one.")] = False,
) -> Ended:
    """End the sessions of all users of the organization at once; platform admins' only if you are one. You must hold
    everything organization-wide.
    """
    authority = request.user.over_organization("user:admin", organization_id)
    kept = request.user.session_id if keep_current else None
    return Ended(await session_admin.end_of_organization(services.metadata, authority, except_session_id=kept))
