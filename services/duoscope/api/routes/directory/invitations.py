"""Invitations, by which users join. Only the message contains the link; its reader chooses name and password."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from duoscope.api import listing
from duoscope.api.authentication import caller
from duoscope.api.bodies import Email, LastName, PersonName, Services, shown
from duoscope.api.listing import OrganizationParameter, PagingDependency
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory.invitations import ROLES_MAX, NewMember
from duoscope.kernel.errors import invalid, require_found
from duoscope.metadata import invitations

ROUTES: Final = Routes("invitations")


class Invitation(Struct, frozen=True):
    """An invitation by e-mail. Only the message contains its link."""

    organization_id: UUID
    invitation_id: UUID
    workspace_id: UUID | None
    tenant_id: Annotated[UUID | None, Meta(description="Tenant of the roles; null for organization-wide.")]
    email: Annotated[str, Meta(examples=["ada@example.com"])]
    role_ids: tuple[UUID, ...]
    invited_by: Annotated[UUID | None, Meta(description="Null for an operator at the command line.")]
    status: Annotated[str, Meta(description="open, accepted, revoked or expired.", examples=["open"])]
    expires_at: Annotated[datetime, Meta(description="When the invitation expires.")]
    roles_expire_at: Annotated[datetime | None, Meta(description="When the given roles expire; null: never.")]
    accepted_at: datetime | None
    accepted_by: UUID | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class InvitationPage(Struct, frozen=True):
    """One page of invitations, and the cursor of the next page."""

    items: list[Invitation]
    next_cursor: str | None


class NewInvitation(Struct, forbid_unknown_fields=True):
    """The address to invite, and the roles to give."""

    email: Email
    role_ids: Annotated[list[UUID], Meta(min_length=1, max_length=ROLES_MAX)]
    tenant_id: Annotated[UUID | None, Meta(description="Tenant of the roles; by default that of the access token.")] = (
        None
    )
    organization_wide: Annotated[
        bool, Meta(description="Invite to the organization: the roles apply in all tenants.")
    ] = False
    roles_expire_at: (
        Annotated[datetime, Meta(tz=True, description="When the roles expire: no later than the sender's own.")] | None
    ) = None


class Acceptance(Struct, forbid_unknown_fields=True):
    """The token of the message, and the new user's name and password."""

    token: Annotated[str, Meta(max_length=200, description="The part of the link after the #.")]
    first_name: PersonName
    last_name: LastName
    password: Annotated[str, Meta(max_length=1024, examples=["correct horse battery staple"])]


@ROUTES.post("/api/v1/invitations", "Invite a user", "user:admin", problems=WRITES)
async def create_invitation(
    request: Request[Principal, Any, Any],
    data: JSONBody[NewInvitation],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Invitation:
    """Send a link that works once, for seven days. You must hold everything that it gives, for as long."""
    if data.organization_wide and data.tenant_id is not None:
        raise invalid("Give tenant_id or organization_wide, not both.")
    authority = request.user.over("user:admin", organization_id)
    place = None if data.organization_wide else data.tenant_id or request.user.scope.tenant_id
    sent = await services.invitations.create(
        authority,
        email=data.email,
        role_ids=data.role_ids,
        tenant_id=place,
        roles_expire_at=data.roles_expire_at,
    )
    return shown(sent.invitation, Invitation)


@ROUTES.get("/api/v1/invitations", "List invitations", "user:read", problems=READS)
async def list_invitations(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    email: Annotated[str | None, QueryParameter(max_length=254, description="Part of the address.")] = None,
    status: Annotated[
        Literal["open", "accepted", "revoked", "expired"] | None, QueryParameter(description="State of the invitation.")
    ] = None,
    tenant_id: Annotated[UUID | None, QueryParameter(description="Invitations to this tenant.")] = None,
    organization_id: OrganizationParameter = None,
) -> InvitationPage:
    """List the invitations to the tenant; all, if you hold user:read organization-wide. Sorts: created_at, email,
    expires_at.
    """
    authority = request.user.over("user:read", organization_id)
    filters = {"email": email, "status": status, "tenant_id": tenant_id}
    async with services.metadata.open(authority.scope, "invitations.list") as tx:
        return InvitationPage(*await listing.page(tx, invitations.LISTING, paging, filters, answer=Invitation))


@ROUTES.get("/api/v1/invitations/{invitation_id:uuid}", "Read an invitation", "user:read", problems=READS)
async def get_invitation(
    request: Request[Principal, Any, Any],
    invitation_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Invitation:
    """One invitation, without its link."""
    authority = request.user.over("user:read", organization_id)
    async with services.metadata.open(authority.scope, "invitations.get") as tx:
        found = await invitations.get(tx, invitation_id)
    found = require_found(found, "invitation")
    return shown(found, Invitation)


@ROUTES.post(
    "/api/v1/invitations/{invitation_id:uuid}/resend",
    "Send an invitation again",
    "user:admin",
    problems=WRITES,
    status_code=200,
)
async def resend_invitation(
    request: Request[Principal, Any, Any],
    invitation_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> Invitation:
    """Send an invitation again with a new link, valid for seven days from now; the previous link stops working."""
    authority = request.user.over("user:admin", organization_id)
    return shown((await services.invitations.resend(authority, invitation_id)).invitation, Invitation)


@ROUTES.delete("/api/v1/invitations/{invitation_id:uuid}", "Revoke an invitation", "user:admin", problems=WRITES)
async def revoke_invitation(
    request: Request[Principal, Any, Any],
    invitation_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Revoke an invitation: its link stops working."""
    authority = request.user.over("user:admin", organization_id)
    await services.invitations.revoke(authority, invitation_id)


@ROUTES.post(
    "/api/v1/invitations/accept", "Accept an invitation", problems=(400, 409, 503), public=True, status_code=200
)
async def accept_invitation(
    request: Request[Any, Any, Any], data: JSONBody[Acceptance], services: Services
) -> NewMember:
    """Create your account with a name and password of your own. Unknown, used, revoked and expired tokens get the same
    answer.
    """
    return await services.invitations.accept(
        caller(request),
        data.token,
        first_name=data.first_name,
        last_name=data.last_name,
        password=data.password,
    )
