"""Ends sessions of other users: by an admin, for one user or a whole organization, or by an operator."""

from typing import Final
from uuid import UUID

from duoscope.identity.authentication import session_ends
from duoscope.identity.authorization.permissions import NOW, ROLE_PERMISSIONS, Authority
from duoscope.identity.directory import users as people
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import no_such_user, not_found
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import organizations, users
from duoscope.stores.postgres import MetadataStore

BY_ADMIN: Final = "ended-by-admin"
BY_OPERATOR: Final = "ended-by-operator"
_SESSIONS: Final = PlatformScope(reason="a session is its user's, and works in several tenants")


async def end_of_user(store: MetadataStore, authority: Authority, user_id: UUID) -> int:
    """End all sessions of a user. Returns how many.

    Raises:
        DuoscopeError: NOT_FOUND; FORBIDDEN `beyond-own-permissions` or `user-not-at-home`.
    """
    await people.require_manageable(store, authority, user_id)
    async with store.open_platform(_SESSIONS, "session_admin.end_of_user") as tx:
        return await session_ends.end_all_in(tx, authority.actor, authority.organization_id, user_id, reason=BY_ADMIN)


async def end_of_organization(store: MetadataStore, authority: Authority, *, except_session_id: UUID | None) -> int:
    """End the sessions of all users of the organization, except `except_session_id`. Returns how many.

    Sessions of platform admins end only if the authority is one.

    Raises:
        DuoscopeError: NOT_FOUND for an unknown organization; FORBIDDEN `beyond-own-permissions` without all its
            permissions.
    """
    authority.require_held(ROLE_PERMISSIONS, None, until=NOW)
    async with store.open_platform(_SESSIONS, "session_admin.end_of_organization") as tx:
        if await organizations.get(tx, authority.organization_id) is None:
            raise not_found("organization")
        return await session_ends.end_all_of_organization(
            tx,
            authority.actor,
            authority.organization_id,
            reason=BY_ADMIN,
            except_session_id=except_session_id,
            with_platform_admins=authority.is_platform_admin,
        )


async def end_by_operator(store: MetadataStore, actor: Actor, *, email: str | None, organization: str | None) -> int:
    """End the sessions of the user with that address, or of all users of the organization with that code. Raises
    NOT_FOUND.
    """
    async with store.open_platform(_SESSIONS, "session_admin.end_by_operator") as tx:
        if email is not None:
            login = await users.find_login(tx, email)
            if login is None:
                raise no_such_user()
            ids = login.organization_id, login.user_id
            return await session_ends.end_all_in(tx, actor, *ids, reason=BY_OPERATOR)
        found = await organizations.find(tx, organization or "")
        if found is None:
            raise not_found(f"organization with the code {organization!r}")
        return await session_ends.end_all_of_organization(
            tx, actor, found.organization_id, reason=BY_OPERATOR, with_platform_admins=True
        )
