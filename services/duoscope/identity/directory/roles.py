"""Custom roles and role assignments: nobody gives, takes or changes more than they hold themselves."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import NOW, ROLE_PERMISSIONS, Authority
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.directory.soft_deletion import require_deleted, require_living
from duoscope.identity.directory.users import require_another_admin
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, not_found, require_found
from duoscope.kernel.refs import UserRef
from duoscope.metadata import removal, roles, tenants, user_roles, users
from duoscope.metadata.roles import Role
from duoscope.metadata.user_roles import UserRole
from duoscope.stores.postgres import MetadataStore, Transaction

EXPIRY_YEAR_MAX: Final = 9000
"""Later dates do not fit into every time zone."""


def check_permissions(names: list[str]) -> frozenset[str]:
    """The permissions of a role. Raises INVALID for one that no role can hold."""
    unknown = sorted(set(names) - ROLE_PERMISSIONS)
    if unknown:
        raise invalid(f"permissions: no role can hold {unknown[0]!r}; GET /api/v1/permissions lists what there is.")
    return frozenset(names)


async def create(
    store: MetadataStore,
    authority: Authority,
    *,
    tenant_id: UUID | None,
    name: str,
    description: str,
    permissions: frozenset[str],
    quota: Quota = DEFAULT_QUOTA,
) -> Role:
    """Create a custom role of the organization, or, with a tenant, of that one alone.

    A role has no expiry, so its creator must hold its permissions without one.

    Raises:
        DuoscopeError: FORBIDDEN `beyond-own-permissions`; NOT_FOUND for the tenant; CONFLICT for the name, or
            `organization-limit-reached`.
    """
    owner = tenant_id or authority.tenant_id
    authority.require_place(owner)
    authority.require_held(permissions, owner)
    async with store.open(authority.scope, "roles.create") as tx:
        workspace_id = await workspace_of(tx, owner)
        await quota.require_room(tx, authority.organization_id, "roles")
        role = await roles.create(
            tx,
            organization_id=authority.organization_id,
            workspace_id=workspace_id,
            tenant_id=owner,
            name=name,
            description=description,
            permissions=permissions,
        )
        await audit.created(tx, authority.actor, role)
    return role


async def change(store: MetadataStore, authority: Authority, role_id: UUID, changes: dict[str, Any]) -> Role:
    """Change a custom role's name, description or permissions, at once for everyone who holds it.

    The author must hold added permissions without an expiry, since others may hold the role so.

    Raises:
        DuoscopeError: NOT_FOUND; CONFLICT `built-in-role` or for the name; FORBIDDEN `role-of-organization` or
            `beyond-own-permissions`.
    """
    async with store.open(authority.scope, "roles.change") as tx:
        before = await _lock(tx, role_id)
        wanted = replace(before, **changes)
        authority.require_held((*before.permissions, *wanted.permissions), before.tenant_id, until=NOW)
        authority.require_held({*wanted.permissions} - {*before.permissions}, before.tenant_id)
        after = await roles.save(tx, wanted)
        await audit.changed(tx, authority.actor, before, after)
    return after


async def delete(store: MetadataStore, authority: Authority, role_id: UUID) -> None:
    """Soft-delete a custom role, which then gives nothing. Raises as `change` does."""
    async with store.open(authority.scope, "roles.delete") as tx:
        role = await _lock(tx, role_id)
        authority.require_held(role.permissions, role.tenant_id, until=NOW)
        await removal.delete(tx, "roles", role_id)
        await audit.deleted(tx, authority.actor, role)


async def restore(store: MetadataStore, authority: Authority, role_id: UUID, *, quota: Quota = DEFAULT_QUOTA) -> Role:
    """Restore a role: everyone who held it holds it again. Raises as `change` does."""
    async with store.open(authority.scope, "roles.restore") as tx:
        role = require_deleted(await roles.lock(tx, role_id), "role")
        authority.require_held(role.permissions, role.tenant_id)
        await quota.require_room(tx, authority.organization_id, "roles", restores=True)
        await removal.restore(tx, "roles", role_id)
        await audit.restored(tx, authority.actor, role)
    return replace(role, deleted_at=None)


async def assign(
    store: MetadataStore,
    authority: Authority,
    user_id: UUID,
    *,
    role_id: UUID,
    tenant_id: UUID | None,
    expires_at: datetime | None,
) -> UserRole:
    """Give a user a role in a tenant, or, without one, organization-wide.

    Raises:
        DuoscopeError: NOT_FOUND for user, role or tenant; FORBIDDEN `beyond-own-permissions`; CONFLICT if they have it;
            INVALID for an expiry in the past.
    """
    check_expiry(expires_at)
    authority.require_place(tenant_id)
    async with store.open(authority.scope, "user_roles.assign") as tx:
        require_found(await users.get(tx, user_id), "user")
        role = await assignable(tx, authority, role_id, tenant_id=tenant_id, until=expires_at)
        workspace_id = await workspace_of(tx, tenant_id)
        made = await user_roles.create(
            tx,
            organization_id=authority.organization_id,
            workspace_id=workspace_id,
            tenant_id=tenant_id,
            user_id=user_id,
            role=role,
            expires_at=expires_at,
        )
        await audit.record(tx, authority.actor, "user-role.assigned", made, after=_summary(made))
    return made


async def assignable(
    tx: Transaction, authority: Authority, role_id: UUID, *, tenant_id: UUID | None, until: datetime | None
) -> Role:
    """Return a role that belongs in that tenant (or, for None, organization-wide) and that the authority may give.

    Raises:
        DuoscopeError: NOT_FOUND; FORBIDDEN `beyond-own-permissions` for more than the authority holds there until then.
    """
    role = await roles.get(tx, role_id)
    if role is None or role.deleted_at is not None or role.tenant_id not in {None, tenant_id}:
        raise not_found("role")
    authority.require_held(role.permissions, tenant_id, until=until)
    return role


async def set_expiry(
    store: MetadataStore, authority: Authority, *, user_id: UUID, user_role_id: UUID, expires_at: datetime | None
) -> UserRole:
    """Change the expiry of an assignment, one's own included. A later expiry is checked like a grant.

    Raises:
        DuoscopeError: NOT_FOUND; FORBIDDEN as for `take`; CONFLICT `last-admin`, as an expiry for the last admin is a
            removal; INVALID for an expiry in the past.
    """
    check_expiry(expires_at)
    async with store.open(authority.scope, "user_roles.change") as tx:
        before = await _assignment(tx, authority, user_id=user_id, user_role_id=user_role_id)
        if before.expires_at is not None and (expires_at is None or expires_at > before.expires_at):
            authority.require_held(before.permissions, before.tenant_id, until=expires_at)
        if expires_at is not None:
            await require_another_admin(tx, UserRef(authority.organization_id, user_id), before)
        if not await user_roles.set_expiry(tx, user_role_id, expires_at):
            raise not_yours()
        after = replace(before, expires_at=expires_at)
        await audit.changed(tx, authority.actor, before, after)
    return after


async def take(store: MetadataStore, authority: Authority, *, user_id: UUID, user_role_id: UUID) -> None:
    """Take a role away from a user.

    Raises:
        DuoscopeError: NOT_FOUND; FORBIDDEN `beyond-own-permissions` or `role-of-organization`; CONFLICT `last-admin`.
    """
    async with store.open(authority.scope, "user_roles.take") as tx:
        before = await _assignment(tx, authority, user_id=user_id, user_role_id=user_role_id)
        await require_another_admin(tx, UserRef(authority.organization_id, user_id), before)
        if not await user_roles.delete(tx, user_role_id):
            raise not_yours()
        await audit.record(tx, authority.actor, "user-role.taken", before, before=_summary(before))


async def workspace_of(tx: Transaction, tenant_id: UUID | None) -> UUID | None:
    """The workspace of an existing tenant that the transaction sees; None without a tenant. Raises NOT_FOUND."""
    if tenant_id is None:
        return None
    tenant = require_found(await tenants.get(tx, tenant_id), "tenant")
    return tenant.workspace_id


def check_expiry(expires_at: datetime | None) -> None:
    """Raise INVALID for an expiry in the past, or one without a time zone."""
    if expires_at is not None and (
        expires_at.tzinfo is None or expires_at <= now() or expires_at.year > EXPIRY_YEAR_MAX
    ):
        raise invalid(f"expires_at must be a time to come, up to the year {EXPIRY_YEAR_MAX}, with its time zone.")


def not_yours() -> DuoscopeError:
    """The error for what a tenant sees but only the organization may change."""
    return DuoscopeError(
        ErrorKind.FORBIDDEN,
        "role-of-organization",
        "This belongs to the organization: only its own admins can change it.",
    )


async def _lock(tx: Transaction, role_id: UUID) -> Role:
    seen = require_living(await roles.get(tx, role_id), "role")
    if seen.role_type is not None:
        raise DuoscopeError(
            ErrorKind.CONFLICT, "built-in-role", "Built-in roles cannot be changed; create a custom role instead."
        )
    role = await roles.lock(tx, role_id)
    if role is None:
        raise not_yours()
    return role


async def _assignment(tx: Transaction, authority: Authority, *, user_id: UUID, user_role_id: UUID) -> UserRole:
    found = require_found(await user_roles.get(tx, user_id=user_id, user_role_id=user_role_id), "user role")
    authority.require_held(found.permissions, found.tenant_id, until=NOW)
    return found


def _summary(role: UserRole) -> dict[str, Any]:
    return {
        "user_id": role.user_id,
        "role_id": role.role_id,
        "role_name": role.role_name,
        "expires_at": role.expires_at,
    }
