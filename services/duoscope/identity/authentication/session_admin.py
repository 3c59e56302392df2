"""Ends sessions of other users: by an admin, for one user or a whole organization, or by an operator."""

from typing import Final
from uuid import UUID

from duoscope.identity.authentication import session_ends
from duoscope.identity.authorization.permissions import NOW, ROLE_PERMISSIONS, Authority
from duoscope.identity.directory import users as people
from duoscope.identity.directory.organizations import organization_of_code
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import no_such_user, require_found
from duoscope.kernel.refs import UserRef
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
        user = UserRef(authority.organization_id, user_id)
        return await session_ends.end_all_in(tx, authority.actor, user, reason=BY_ADMIN)


async def end_of_organization(store: MetadataStore, authority: Authority, *, except_session_id: UUID | None) -> int:
    """End the sessions of all users of the organization except `except_session_id`. Returns the number ended.

    Sessions of platform admins end only if the authority is one.

    Raises:
        DuoscopeError: NOT_FOUND for an unknown organization; FORBIDDEN `beyond-own-permissions` without all its
            permissions.
    """
    authority.require_held(ROLE_PERMISSIONS, None, until=NOW)
    async with store.open_platform(_SESSIONS, "session_admin.end_of_organization") as tx:
        require_found(await organizations.get(tx, authority.organization_id), "organization")
        return await session_ends.end_all_of_organization(
            tx,
            authority.actor,
            authority.organization_id,
            reason=BY_ADMIN,
            except_session_id=except_session_id,
            with_platform_admins=authority.is_platform_admin,
        )


async def end_by_operator(store: MetadataStore, actor: Actor, *, email: str | None, organization: str | None) -> int:
    """End the sessions of the user with that address or, without one, of all users of an organization.

    Args:
        store: the metadata store.
        actor: the operator.
        email: the address of the user.
        organization: the code of the organization, where no address is given.

    Returns:
        The number of sessions ended.

    Raises:
        DuoscopeError: NOT_FOUND for the user or the organization.
    """
    async with store.open_platform(_SESSIONS, "session_admin.end_by_operator") as tx:
        if email is not None:
            login = await users.find_login(tx, email)
            if login is None:
                raise no_such_user()
            return await session_ends.end_all_in(tx, actor, login.user, reason=BY_OPERATOR)
        found = await organization_of_code(tx, organization or "")
        return await session_ends.end_all_of_organization(
            tx, actor, found.organization_id, reason=BY_OPERATOR, with_platform_admins=True
        )
