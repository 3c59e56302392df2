"""The operator's commands on tenants, their users and API keys, for anyone who can reach the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from duoscope.identity.api_keys import form, management
from duoscope.identity.api_keys.management import GRACE_DEFAULT_S, KeyWish, Made
from duoscope.identity.audit import record as audit
from duoscope.identity.authentication import recovery
from duoscope.identity.authorization.permissions import operator_over
from duoscope.identity.directory.codes import code_of
from duoscope.identity.directory.organizations import add_organization
from duoscope.identity.directory.regions import REGION_CODE, find_region
from duoscope.identity.directory.tenants import add_tenant, change_tenant
from duoscope.identity.directory.workspaces import add_workspace
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.identity.passwords.rules import PasswordRules
from duoscope.kernel.actor import Actor, operator
from duoscope.kernel.errors import DuoscopeError, ErrorKind, no_such_user, not_found, require_found
from duoscope.kernel.limits import RETENTION_DEFAULT_DAYS
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import (
    api_keys,
    organizations,
    roles,
    tenants,
    user_roles,
    users,
    workspaces,
)
from duoscope.metadata.api_keys import ApiKey
from duoscope.metadata.tenants import Tenant
from duoscope.metadata.users import User
from duoscope.stores.postgres import MetadataStore, Transaction

_OPERATOR = PlatformScope(reason="an operator's command")


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key. `api_key` is shown once and stored nowhere."""

    api_key_id: UUID
    key_id: str
    tenant_id: UUID
    permissions: tuple[str, ...]
    api_key: str = field(repr=False)


async def create_tenant(
    store: MetadataStore,
    *,
    organization: str,
    workspace: str,
    tenant: str,
    retention_days: int = RETENTION_DEFAULT_DAYS,
    mfa_required: bool = True,
) -> Tenant:
    """Create a tenant, and its organization and workspace if these names do not exist yet.

    `mfa_required` applies to an organization that is created: whether its users need a second factor.

    Raises:
        DuoscopeError: CONFLICT `tenant-exists` if the workspace has one of that name.
    """
    async with store.open_platform(_OPERATOR, "admin.create_tenant") as tx:
        return await make_tenant(
            tx,
            operator(),
            organization=organization,
            workspace=workspace,
            tenant=tenant,
            retention_days=retention_days,
            mfa_required=mfa_required,
        )


async def make_tenant(
    tx: Transaction,
    actor: Actor,
    *,
    organization: str,
    workspace: str,
    tenant: str,
    mfa_required: bool,
    retention_days: int = RETENTION_DEFAULT_DAYS,
) -> Tenant:
    """Do `create_tenant` within the caller's platform transaction."""
    found = await organizations.find(tx, code_of(organization))
    if found is None:
        region = await find_region(tx, actor, REGION_CODE)
        made = await add_organization(
            tx,
            actor,
            region_id=region.region_id,
            name=organization,
            workspace=workspace,
            tenant=tenant,
            mfa_required=mfa_required,
            retention_days=retention_days,
        )
        return made.tenant
    place = await workspaces.find(tx, found.organization_id, code_of(workspace)) or await add_workspace(
        tx, actor, organization_id=found.organization_id, name=workspace
    )
    try:
        return await add_tenant(
            tx,
            actor,
            organization_id=found.organization_id,
            workspace_id=place.workspace_id,
            name=tenant,
            retention_days=retention_days,
        )
    except DuoscopeError as error:
        if error.code != "tenant-exists":
            raise
        raise DuoscopeError(
            ErrorKind.CONFLICT,
            error.code,
            f"The workspace {workspace!r} has a tenant {code_of(tenant)!r} already, which the name {tenant!r} would "
            "make again. Choose another name; `duoscope admin list-tenants` lists those there are.",
        ) from error


async def create_user(
    store: MetadataStore,
    hasher: SlowHasher,
    *,
    tenant_id: UUID,
    email: str,
    password: str,
    password_expires_at: datetime | None = None,
    role: str = "viewer",
    rules: PasswordRules | None = None,
) -> User:
    """Create a user whose home is a tenant, with a role there (built-in or the tenant's own, by name).

    `password_expires_at` is for a generated password, to which the rules do not apply.

    Raises:
        DuoscopeError: NOT_FOUND for the tenant or role, CONFLICT `user-exists` for the address, INVALID.
    """
    if password_expires_at is None:
        await (rules or PasswordRules()).check(password, email=email)
    password_hash = await hasher.hash(password)
    async with store.open_platform(_OPERATOR, "admin.create_user") as tx:
        await _enter(tx, tenant_id)
        return await make_user(
            tx, operator(), email=email, password_hash=password_hash, password_expires_at=password_expires_at, role=role
        )


async def make_user(
    tx: Transaction,
    actor: Actor,
    *,
    email: str,
    password_hash: str,
    password_expires_at: datetime | None,
    role: str,
    is_platform_admin: bool = False,
) -> User:
    """Do `create_user` within a platform transaction that has entered the tenant, with its audit entry."""
    chosen = require_found(
        await roles.find(tx, role), f"role {role!r}; the built-in ones are {', '.join(roles.BUILT_IN)}"
    )
    user = await users.create(
        tx,
        email=email,
        password_hash=password_hash,
        password_expires_at=password_expires_at,
        is_platform_admin=is_platform_admin,
    )
    if is_platform_admin:
        # A platform admin's role covers their whole organization, with its future tenants.
        await user_roles.create(
            tx,
            organization_id=user.organization_id,
            workspace_id=None,
            tenant_id=None,
            user_id=user.user_id,
            role=chosen,
        )
    else:
        await roles.assign(tx, user.user_id, chosen)
    await audit.created(tx, actor, user, role=role)
    return user


async def create_api_key(
    store: MetadataStore,
    hasher: SlowHasher,
    *,
    tenant_id: UUID,
    name: str,
    permissions: Iterable[str] | None = None,
    expires_at: datetime | None = None,
    rate_limit: int | None = None,
    allowed_origins: tuple[str, ...] = (),
    is_browser_only: bool = False,
) -> CreatedApiKey:
    """Create a key for a tenant. By default it may send all that a key of its kind may.

    Raises:
        DuoscopeError: NOT_FOUND for the tenant, INVALID for what a key cannot have.
    """
    default = api_keys.BROWSER_PERMISSIONS if is_browser_only else api_keys.PERMISSIONS
    wish = KeyWish(
        name=name,
        permissions=api_keys.check_permissions(permissions or default),
        expires_at=expires_at,
        rate_limit=rate_limit,
        allowed_origins=allowed_origins,
        is_browser_only=is_browser_only,
    )
    new = form.generate()
    secret_hash = await hasher.hash(new.secret)
    async with store.open_platform(_OPERATOR, "admin.create_api_key") as tx:
        await _enter(tx, tenant_id)
        made = await management.create(tx, operator(), new, secret_hash, wish)
    return _created(made)


async def rotate_api_key(
    store: MetadataStore, hasher: SlowHasher, key_id: str, *, grace_s: int = GRACE_DEFAULT_S
) -> CreatedApiKey:
    """Give a key, by its `tfk-...` id, a new secret; the current one works for `grace_s` more.

    Raises:
        DuoscopeError: NOT_FOUND, CONFLICT `api-key-revoked`, INVALID for the grace period.
    """
    new = form.generate(key_id)
    secret_hash = await hasher.hash(new.secret)
    async with store.open_platform(_OPERATOR, "admin.rotate_api_key") as tx:
        key = await api_keys.find(tx, key_id)
        if key is None:
            raise _no_key()
        made = await management.rotate(tx, operator(), key.api_key_id, new, secret_hash, grace_s=grace_s)
    return _created(made)


def _created(made: Made) -> CreatedApiKey:
    key = made.key
    return CreatedApiKey(key.api_key_id, key.key_id, key.tenant_id, key.permissions, made.presented)


async def list_tenants(store: MetadataStore) -> list[Tenant]:
    """All tenants of the platform."""
    async with store.open_platform(_OPERATOR, "admin.list_tenants") as tx:
        return await tenants.list_all(tx)


async def list_api_keys(store: MetadataStore, *, tenant_id: UUID | None = None) -> list[ApiKey]:
    """The keys of a tenant, or of all."""
    async with store.open_platform(_OPERATOR, "admin.list_api_keys") as tx:
        return [key for key in await api_keys.list_all(tx) if tenant_id is None or key.tenant_id == tenant_id]


async def revoke_api_key(store: MetadataStore, key_id: str, *, reason: str = "revoked by an operator") -> None:
    """Revoke a key by its `tfk-...` id; receivers refuse it within 2 s. Raises NOT_FOUND if there is no such valid
    key.
    """
    async with store.open_platform(_OPERATOR, "admin.revoke_api_key") as tx:
        key = await api_keys.find(tx, key_id)
        if key is None or key.status == "revoked":
            raise _no_key()
        await management.revoke(tx, operator(), key.api_key_id, reason=reason)


def _no_key() -> DuoscopeError:
    return not_found("API key that still works; `duoscope admin list-api-keys` lists them")


async def reset_password(
    store: MetadataStore,
    hasher: SlowHasher,
    *,
    email: str,
    password: str,
    password_expires_at: datetime | None = None,
    rules: PasswordRules | None = None,
) -> None:
    """Set a new password for a user, unlock their account if failures locked it, and end their sessions."""
    if password_expires_at is None:
        await (rules or PasswordRules()).check(password, email=email)
    password_hash = await hasher.hash(password)
    async with store.open_platform(_OPERATOR, "admin.reset_password") as tx:
        login = await users.find_login(tx, email)
        if login is None:
            raise no_such_user()
        await recovery.reset_password(tx, operator(), login.user, password_hash, expires_at=password_expires_at)


async def set_retention(store: MetadataStore, *, tenant_id: UUID, retention_days: int) -> None:
    """Set the retention of telemetry that arrives from now on; receivers apply it within 30 s."""
    async with store.open_platform(_OPERATOR, "admin.find_tenant") as tx:
        tenant = await tenants.get(tx, tenant_id)
    if tenant is None:
        raise _no_tenant()
    changes = {"retention_days": retention_days}
    await change_tenant(store, operator_over(tenant.organization_id), tenant_id, changes)


async def _enter(tx: Transaction, tenant_id: UUID) -> Tenant:
    tenant = await tenants.get(tx, tenant_id)
    if tenant is None:
        raise _no_tenant()
    await tenants.enter(tx, tenant)
    return tenant


def _no_tenant() -> DuoscopeError:
    return not_found("tenant; `duoscope admin list-tenants` lists those there are")
