"""Users: changed, deactivated, deleted and restored. Invitations create them (identity/directory/invitations.py).

Whoever changes a user must hold everything that the user holds, everywhere: otherwise a helper could take over an
admin's account. The last admin of a tenant or an organization, and the last platform admin, cannot be removed.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final, LiteralString
from uuid import UUID

from msgspec.structs import replace

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import NOW, Authority, Principal, lacking
from duoscope.identity.directory import soft_deletion
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.directory.organizations import require_platform_admin_left
from duoscope.identity.directory.regions import PLATFORM
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, not_found, require_found
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.kernel.time_zones import time_zone
from duoscope.metadata import email_verifications, organizations, user_roles, user_sessions, users
from duoscope.metadata.user_roles import UserRole
from duoscope.metadata.users import User
from duoscope.net.urls import parse_url
from duoscope.stores.postgres import MetadataStore, Transaction

_ONESELF: Final = PlatformScope(reason="people change their own profile wherever they are at home")
PROFILE: Final = frozenset({"first_name", "last_name", "avatar_url", "timezone", "language"})


async def change(store: MetadataStore, authority: Authority, user_id: UUID, changes: dict[str, Any]) -> User:
    """Change a user's profile or activity, and, for platform admins, whether they are one.

    Raises:
        DuoscopeError: NOT_FOUND; FORBIDDEN `permission-denied`, `user-not-at-home` or `beyond-own-permissions`;
            CONFLICT `last-admin` or `last-platform-admin`.
    """
    _check_profile(changes)
    if "is_platform_admin" in changes and not authority.is_platform_admin:
        raise DuoscopeError(
            ErrorKind.FORBIDDEN, "permission-denied", "Only platform admins can appoint or remove platform admins."
        )
    await require_over(store, authority, user_id, gives=changes.get("is_active") is True)
    async with _opened(store, authority, "users.change") as tx:
        before = await _lock(tx, authority, user_id)
        wanted = replace(before, **changes)
        if before.is_active and not wanted.is_active:
            await require_another_admin(tx, UserRef(authority.organization_id, user_id))
        after = await users.save(tx, wanted)
        if before.is_active and not after.is_active:
            await _end_sessions(tx, after, "deactivated")
        if before.is_platform_admin and not (after.is_platform_admin and after.is_active):
            await require_platform_admin_left(tx)
        await audit.changed(tx, authority.actor, before, after)
    return after


async def own_profile(store: MetadataStore, principal: Principal) -> tuple[User, dict[str, Any]]:
    """Read the user themselves, and what they have chosen for themselves."""
    async with store.open_platform(_ONESELF, "users.own_profile") as tx:
        user = await users.find(tx, principal.user_id)
        settings = await users.get_settings(tx, principal.user_id)
    if user is None or settings is None or user.organization_id != principal.scope.organization_id:
        raise not_found("user")
    return user, settings


async def change_own_profile(
    store: MetadataStore, principal: Principal, changes: dict[str, Any], chosen: dict[str, Any]
) -> tuple[User, dict[str, Any]]:
    """Change the fields that all users may change of themselves: PROFILE. `chosen` are settings; others stay.

    Returns:
        The user, and all their settings.
    """
    assert changes.keys() <= PROFILE
    _check_profile(changes)
    async with store.open_platform(_ONESELF, "users.change_own_profile") as tx:
        before = await users.lock(tx, principal.user_id)
        if before is None or before.organization_id != principal.scope.organization_id:
            raise not_found("user")
        settings = await users.get_settings(tx, principal.user_id) or {}
        wanted = settings | chosen
        after = await users.save(tx, replace(before, **changes))
        await users.save_settings(tx, principal.user_id, wanted)
        former = {name: settings.get(name) for name in chosen}
        await audit.changed(tx, principal.actor, before, after, former, chosen)
    return after, wanted


async def delete(store: MetadataStore, authority: Authority, user_id: UUID) -> None:
    """Soft-delete a user and end their sessions. Raises as `change` does."""
    await require_over(store, authority, user_id)
    async with _opened(store, authority, "users.delete") as tx:
        user = await _lock(tx, authority, user_id)
        await require_another_admin(tx, UserRef(authority.organization_id, user_id))
        await soft_deletion.delete(tx, "users", user, user_id)
        await _end_sessions(tx, user, "deleted")
        if user.is_platform_admin:
            await require_platform_admin_left(tx)
        await audit.deleted(tx, authority.actor, user)


async def restore(store: MetadataStore, authority: Authority, user_id: UUID, *, quota: Quota = DEFAULT_QUOTA) -> User:
    """Restore a user, who then holds the same roles again; this is checked like giving the roles.

    Raises CONFLICT if the address belongs to another user by now, or `organization-limit-reached`.
    """
    await require_over(store, authority, user_id, gives=True)
    async with _opened(store, authority, "users.restore") as tx:
        await quota.require_room(tx, authority.organization_id, "users", restores=True)
        if not await _is_of_organization(tx, authority, user_id):
            raise not_found("deleted user")
        user = await soft_deletion.restore(tx, "users", user_id, users.get)
        await audit.restored(tx, authority.actor, user)
    return user


async def require_over(store: MetadataStore, authority: Authority, user_id: UUID, *, gives: bool = False) -> None:
    """Check that the authority holds everything that the user holds, also outside the authority's own place.

    With `gives`, it must hold it for as long as the user does: the action lets a user in again.

    Raises:
        DuoscopeError: NOT_FOUND for a user that the authority does not see; FORBIDDEN `beyond-own-permissions`.
    """
    async with store.open(authority.scope, "users.see") as tx:
        seen = await users.find(tx, user_id)
    seen = require_found(seen, "user")
    if authority.is_platform_admin:
        return
    # Read only to compare, and in the whole organization: a role in a sister tenant counts as well.
    async with store.open(authority.whole, "users.powers") as tx:
        held = await user_roles.of_user(tx, user_id)
    if seen.is_platform_admin or any(
        lacking(authority.held_at(role.tenant_id), role.permissions, role.expires_at if gives else NOW) for role in held
    ):
        raise DuoscopeError(
            ErrorKind.FORBIDDEN,
            "beyond-own-permissions",
            "This user holds permissions that you do not, here or elsewhere.",
        )


async def require_manageable(store: MetadataStore, authority: Authority, user_id: UUID) -> None:
    """Check that the authority may change how the user logs in. Raises as `change` does."""
    await require_over(store, authority, user_id)
    async with _opened(store, authority, "users.manageable") as tx:
        await _lock(tx, authority, user_id)


async def require_another_admin(tx: Transaction, user: UserRef, role: UserRole | None = None) -> None:
    """Raise CONFLICT `last-admin` if a place would be without an admin, were the user (or only this role) gone.

    Two admins who remove each other at the same time wait for each other here.
    """
    await organizations.serialise(tx, user.organization_id)
    if await user_roles.leaves_no_admin(tx, user.user_id, user_role_id=role.user_role_id if role else None):
        raise DuoscopeError(
            ErrorKind.CONFLICT,
            "last-admin",
            "A tenant or the organization would be left without an admin; make another first.",
        )


def _check_profile(changes: dict[str, Any]) -> None:
    """Raise INVALID for a time zone that is not IANA's, or a picture whose address a browser might take for something
    else than one on a web server.
    """
    if (zone := changes.get("timezone")) is not None:
        time_zone(zone, "timezone")
    if not (url := changes.get("avatar_url")):
        return
    try:
        parse_url(url)
    except ValueError as error:
        raise invalid(f"avatar_url is the address of a picture, or empty: {error}.") from error


def _opened(
    store: MetadataStore, authority: Authority, name: LiteralString
) -> AbstractAsyncContextManager[Transaction]:
    """A platform admin may change platform admins, whom row level security hides from everyone else."""
    return store.open_platform(PLATFORM, name) if authority.is_platform_admin else store.open(authority.scope, name)


async def _lock(tx: Transaction, authority: Authority, user_id: UUID) -> User:
    """Lock an existing user, who has been read before, for a change."""
    user = await users.lock(tx, user_id)
    if user is None:
        require_found(await users.get(tx, user_id), "user")
        raise DuoscopeError(
            ErrorKind.FORBIDDEN,
            "user-not-at-home",
            "This user's home is another tenant: remove their roles here, or ask the organization's admins.",
        )
    if user.deleted_at is not None or user.organization_id != authority.organization_id:
        raise not_found("user")
    return user


async def _is_of_organization(tx: Transaction, authority: Authority, user_id: UUID) -> bool:
    user = await users.lock(tx, user_id)
    return user is not None and user.organization_id == authority.organization_id


async def _end_sessions(tx: Transaction, user: User, reason: str) -> None:
    """End the sessions, so that they do not continue when the user comes back, nor what was requested in them."""
    await user_sessions.act_as(tx, user.user_id)
    await email_verifications.cancel_changes(tx, user.ref)
    await user_sessions.end_all(tx, user.ref, reason=reason)
