"""Users. An e-mail address, ignoring case, belongs to one existing user on the whole platform."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.metadata.columns import DeletedAt
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import IS_DELETED, Listing
from duoscope.stores.postgres import Record, Transaction

EMAIL_CHARS_MAX: Final = 254
# Atoms with a dot between them, as RFC 5322 has it; neither quoted names nor literal networks.
_DOT_ATOM: Final = r"""[^\s@.,:;<>()\[\]\\"]+(?:\.[^\s@.,:;<>()\[\]\\"]+)*"""
_EMAIL: Final = re.compile(f"{_DOT_ATOM}@{_DOT_ATOM}")


class User(Struct, frozen=True):
    """A user of the organization."""

    organization_id: UUID
    workspace_id: UUID | None
    tenant_id: Annotated[UUID | None, Meta(description="Home tenant of the user; null for the organization's own.")]
    user_id: UUID
    email: Annotated[str, Meta(examples=["ada@example.com"])]
    first_name: str
    last_name: str
    avatar_url: str
    timezone: str
    language: str
    email_verified: bool
    email_verified_at: datetime | None
    is_active: bool
    is_locked: bool
    locked_until: datetime | None
    last_login_at: datetime | None
    is_platform_admin: bool
    deleted_at: DeletedAt
    created_at: datetime
    updated_at: datetime

    @property
    def ref(self) -> UserRef:
        """The user as other functions take it."""
        return UserRef(self.organization_id, self.user_id)


@dataclass(frozen=True, slots=True)
class Login:
    """The stored data that a login is checked against.

    `is_open` is false for an account that is inactive or locked. `password_expires_at` is None for a password that its
    user chose. `sso_slug` names the identity provider that the organization requires in place of passwords; None if
    passwords are accepted.
    """

    organization_id: UUID
    tenant_id: UUID | None
    user_id: UUID
    password_hash: str = field(repr=False)
    password_expires_at: datetime | None
    password_has_expired: bool
    is_platform_admin: bool
    is_open: bool
    sso_slug: str | None

    @property
    def user(self) -> UserRef:
        """The user who logs in."""
        return UserRef(self.organization_id, self.user_id)


_COLUMNS = (
    "organization_id, workspace_id, tenant_id, user_id, email, first_name, last_name, avatar_url, timezone, language, "
    "email_verified, email_verified_at, is_active, is_locked, locked_until, last_login_at, is_platform_admin, "
    "deleted_at, created_at, updated_at"
)
_IS_OPEN = (
    "is_active AND NOT is_locked AND coalesce(locked_until < now(), true) AND EXISTS ("
    "SELECT FROM organizations o WHERE o.organization_id = users.organization_id AND o.is_active "
    "AND o.deleted_at IS NULL)"
)
# Platform admins cannot use an organization's provider, and an operator may let a user in for a while. A provider
# without a proven domain forbids no passwords, and neither does one for addresses outside its proven domains.
_SSO_SLUG = (
    "(SELECT min(p.slug) FROM identity_providers p JOIN organizations o USING (organization_id) "
    "WHERE p.organization_id = users.organization_id AND p.is_active AND p.deleted_at IS NULL "
    "AND o.settings -> 'sso_required' = 'true' AND NOT users.is_platform_admin "
    "AND coalesce(users.password_until < now(), true) AND EXISTS (SELECT FROM email_domains d "
    "WHERE d.organization_id = p.organization_id AND d.domain = ANY (p.allowed_email_domains) "
    "AND d.verified_at IS NOT NULL) AND (lower(split_part(users.email, '@', 2)) <> ALL (p.allowed_email_domains) "
    "OR EXISTS (SELECT FROM email_domains d WHERE d.organization_id = p.organization_id "
    "AND d.domain = lower(split_part(users.email, '@', 2)) AND d.verified_at IS NOT NULL)))"
)
_LOGIN = (
    "SELECT organization_id, tenant_id, user_id, password_hash, password_expires_at, "
    "coalesce(password_expires_at <= now(), false) AS password_has_expired, is_platform_admin, "
    f"{_IS_OPEN} AS is_open, {_SSO_SLUG} AS sso_slug FROM users"
)


LISTING: Final = Listing(
    name="users",
    select=f"SELECT {_COLUMNS} FROM users",
    key="user_id",
    sorts={"created_at": datetime, "email": str, "last_name": str, "first_name": str},
    filters={
        "deleted": IS_DELETED,
        "email": "strpos(lower(email), lower(?)) > 0",
        "name": "strpos(lower(first_name || ' ' || last_name), lower(?)) > 0",
        "is_active": "is_active = ?",
        "tenant_id": "(tenant_id = ? OR EXISTS (SELECT FROM user_roles ur WHERE ur.user_id = users.user_id "
        "AND ur.organization_id = users.organization_id AND ur.tenant_id = ?))",
        "role_id": "EXISTS (SELECT FROM user_roles ur WHERE ur.user_id = users.user_id "
        "AND ur.organization_id = users.organization_id AND ur.role_id = ?)",
    },
)


def from_row(row: Record) -> User:
    """Build a User from a row of the listing or of the table."""
    return User(**dict(row))


def is_email(email: str) -> bool:
    """Whether mail can be sent to the address."""
    return len(email) <= EMAIL_CHARS_MAX and email.isprintable() and _EMAIL.fullmatch(email) is not None


def check_email(email: str) -> str:
    """Return the address, if it is valid. Raises INVALID otherwise."""
    if not is_email(email):
        raise invalid("email must look like name@example.com.")
    return email


async def has_email(tx: Transaction, email: str) -> bool:
    """Whether an existing user that the transaction may see has this address."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL "
            "AND organization_id = app_organization_id())",
            email,
        )
    )


async def create(
    tx: Transaction,
    *,
    email: str,
    password_hash: str,
    first_name: str = "",
    last_name: str = "",
    is_platform_admin: bool = False,
    password_expires_at: datetime | None = None,
) -> User:
    """Create a user whose home is the transaction's tenant. Raises CONFLICT for an address that is taken."""
    check_email(email)
    with taken("user", "e-mail address"):
        row = await tx.fetchrow(
            "INSERT INTO users (organization_id, workspace_id, tenant_id, user_id, email, password_hash, first_name, "
            "last_name, is_platform_admin, password_expires_at) VALUES (app_organization_id(), app_workspace_id(), "
            f"app_tenant_id(), $1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}",
            *(new_id(), email, password_hash, first_name, last_name, is_platform_admin, password_expires_at),
        )
    assert row is not None
    return from_row(row)


async def get(tx: Transaction, user_id: UUID) -> User | None:
    """The user, or None if the transaction may not see them."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE user_id = $1 AND deleted_at IS NULL", user_id)
    return from_row(row) if row else None


async def list_all(tx: Transaction) -> list[User]:
    """The users that the transaction may see."""
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM users WHERE deleted_at IS NULL ORDER BY user_id")
    return [from_row(row) for row in rows]


async def find_login(tx: Transaction, email: str) -> Login | None:
    """Find a login by e-mail address, which names no tenant. Needs a platform transaction."""
    row = await tx.fetchrow(
        f"{_LOGIN} WHERE lower(email) = lower($1) AND deleted_at IS NULL",
        email,
    )
    return Login(**dict(row)) if row else None


async def find_first_admin_email(tx: Transaction, organization_id: UUID) -> str | None:
    """The current address of the organization's first user, a platform admin; None once they are deleted."""
    return await tx.fetchval(
        "SELECT email FROM (SELECT * FROM users WHERE organization_id = $1 ORDER BY user_id LIMIT 1) AS first "
        "WHERE is_platform_admin AND deleted_at IS NULL",
        organization_id,
    )


async def find_login_by_id(tx: Transaction, user: UserRef) -> Login | None:
    """Return what a login of the user is checked against, or None if there is no such living user."""
    row = await tx.fetchrow(
        f"{_LOGIN} WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL",
        *user,
    )
    return Login(**dict(row)) if row else None


async def allow_password(tx: Transaction, login: Login, *, lifetime_s: float) -> datetime:
    """Allow the password for a while although the organization requires its provider. Returns until when."""
    return await tx.fetchval(
        "UPDATE users SET password_until = now() + make_interval(secs => $3) "
        "WHERE organization_id = $1 AND user_id = $2 RETURNING password_until",
        *(login.organization_id, login.user_id, lifetime_s),
    )


async def record_login(tx: Transaction, user: UserRef) -> None:
    """Record a successful login: the time of it, and that no failures count any more."""
    await tx.execute(
        "UPDATE users SET failed_attempts = 0, locked_until = NULL, last_login_at = now() "
        "WHERE organization_id = $1 AND user_id = $2",
        *user,
    )


async def set_password(
    tx: Transaction, user_id: UUID, password_hash: str, *, expires_at: datetime | None = None
) -> bool:
    """Replace the password, and unlock an account locked by failures. Returns False if the transaction sees no such
    user.
    """
    touched = await tx.execute(
        "UPDATE users SET password_hash = $2, password_expires_at = $3, failed_attempts = 0, locked_until = NULL "
        "WHERE user_id = $1 AND deleted_at IS NULL",
        *(user_id, password_hash, expires_at),
    )
    return touched > 0


async def find(tx: Transaction, user_id: UUID) -> User | None:
    """The user, deleted or not, or None if the transaction may not see them."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE user_id = $1", user_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, user_id: UUID) -> User | None:
    """The user, deleted or not, locked for a change. None also if the transaction sees them but may not change them."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE user_id = $1 FOR UPDATE", user_id)
    return from_row(row) if row else None


async def save(tx: Transaction, user: User) -> User:
    """Save the columns that an admin may change."""
    row = await tx.fetchrow(
        "UPDATE users SET first_name = $2, last_name = $3, avatar_url = $4, timezone = $5, language = $6, "
        f"is_active = $7, is_platform_admin = $8 WHERE user_id = $1 RETURNING {_COLUMNS}",
        *(user.user_id, user.first_name, user.last_name, user.avatar_url, user.timezone, user.language),
        *(user.is_active, user.is_platform_admin),
    )
    assert row is not None
    return from_row(row)


async def get_settings(tx: Transaction, user_id: UUID) -> dict[str, Any] | None:
    """Read what the user has chosen for themselves, by name; None if the transaction may not see them."""
    return await tx.fetchval("SELECT settings FROM users WHERE user_id = $1 AND deleted_at IS NULL", user_id)


async def save_settings(tx: Transaction, user_id: UUID, settings: dict[str, Any]) -> None:
    """Save what the user has chosen for themselves, in the place of what was there."""
    await tx.execute("UPDATE users SET settings = $2 WHERE user_id = $1", user_id, settings)


async def platform_admin_is_left(tx: Transaction) -> bool:
    """Whether the platform still has an admin who can log in. Needs a platform transaction."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM users u JOIN organizations o USING (organization_id) "
            "WHERE u.is_platform_admin AND u.is_active AND NOT u.is_locked AND u.deleted_at IS NULL "
            "AND o.is_active AND o.deleted_at IS NULL)"
        )
    )


async def verify_email(tx: Transaction, user_id: UUID) -> None:
    """Record that a message to the address was read."""
    await tx.execute(
        "UPDATE users SET email_verified = true, email_verified_at = now() WHERE user_id = $1 AND NOT email_verified",
        user_id,
    )
