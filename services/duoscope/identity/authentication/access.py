"""The permissions of an access token's user: one scoped read per request, so that changes take effect at once."""

import dataclasses
from typing import Literal
from uuid import UUID

from duoscope.identity.authentication.second_factor import SECOND_FACTORS
from duoscope.identity.authorization.permissions import PLATFORM_PERMISSIONS, Claims, Principal, scopes_of
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import Scope
from duoscope.metadata import mfa_secrets, permissions, tenants, user_sessions
from duoscope.metadata.permissions import Grant, Place
from duoscope.metadata.user_sessions import LiveSession
from duoscope.stores.postgres import MetadataStore


class Access:
    """Looks up the permissions of users."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    async def principal(self, claims: Claims, actor: Actor) -> Principal:
        """The user of the claims, at work in their tenant.

        Args:
            claims: of a verified access token.
            actor: where the request comes from; its user is filled in here.

        Raises:
            DuoscopeError: UNAUTHENTICATED `token-invalid` for a session that has ended, and for a user, tenant or
                organization that is inactive or deleted.
        """
        async with self._store.open(claims.scope, "access.principal") as tx:
            held = await permissions.held(tx, claims.user_id)
            session = await user_sessions.get_live(tx, claims.session)
            is_required = await mfa_secrets.is_required(tx, claims.scope.organization_id)
            is_enrolled = await mfa_secrets.is_enabled(tx, claims.session.user)
        if held is None or session is None:
            raise _refused(claims.user_id)
        platform = PLATFORM_PERMISSIONS if held.is_platform_admin else frozenset[str]()
        return Principal(
            scope=claims.scope,
            user_id=claims.user_id,
            session_id=claims.session_id,
            permissions=held.permissions | platform,
            organization_permissions=held.organization_permissions,
            ends=held.ends,
            organization_ends=held.organization_ends,
            own_limits=held.own_limits,
            is_platform_admin=held.is_platform_admin,
            actor=dataclasses.replace(actor, user_id=claims.user_id, email=held.email, kind="user"),
            lacks_mfa=_lacking(session, is_required=is_required, is_enrolled=is_enrolled),
            authenticated_s_ago=session.authenticated_s_ago,
        )

    async def places(self, principal: Principal) -> list[Place]:
        """The active tenants of the organization in which the principal's user holds a role."""
        async with self._store.open(principal.organization, "access.places") as tx:
            return await permissions.places_of(tx, principal.user)

    async def reach(self, principal: Principal, permission: str, organization_id: UUID | None = None) -> list[Scope]:
        """The tenants in which the principal holds the permission, for queries of usage.

        If it is held organization-wide, these are all tenants that the organization ever had; else the active ones with
        a role.

        Raises:
            DuoscopeError: FORBIDDEN; NOT_FOUND for an organization that is not the principal's, unless it is a platform
                admin.
        """
        authority = principal.over(permission, organization_id)
        async with self._store.open(authority.whole, "access.reach") as tx:
            if authority.is_organization_wide:
                return scopes_of(authority.organization_id, await tenants.list_with_deleted(tx))
            grants = await permissions.grants_of(tx, UserRef(authority.organization_id, principal.user_id))
        return scopes_of(authority.organization_id, [grant for grant in grants if permission in grant.permissions])

    async def grant(self, principal: Principal, tenant_id: UUID) -> Grant:
        """The permissions of the principal's user in another tenant of the organization. Raises NOT_FOUND if there are
        none.
        """
        async with self._store.open(principal.organization, "access.grant") as tx:
            grants = await permissions.grants_of(tx, principal.user)
        for grant in grants:
            if grant.tenant_id == tenant_id:
                return grant
        raise not_found("tenant in which you hold a role")


def _lacking(session: LiveSession, *, is_required: bool, is_enrolled: bool) -> Literal["enrol", "show"] | None:
    """What the user must do first. A provider that does not report several factors is taken to have asked for one.

    A login with a password asks for an enrolled second factor; a login through a provider does not.
    """
    if session.methods & SECOND_FACTORS:
        return None
    if is_enrolled:
        return "show" if "oidc" in session.methods else None
    return "enrol" if is_required else None


def _refused(user_id: UUID) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.UNAUTHENTICATED,
        "token-invalid",
        "The access token is not valid.",
        detail=f"user {user_id} is inactive or gone, or the tenant is, or the session has ended",
    )
