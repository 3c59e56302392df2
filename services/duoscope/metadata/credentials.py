"""The columns of a user's row that signing in reads and changes. Needs platform transactions: nobody is signed in
yet.
"""

from dataclasses import dataclass
from uuid import UUID

from duoscope.kernel.refs import UserRef
from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class Addressee:
    """An existing user of an existing organization, whom mail can reach."""

    organization_id: UUID
    user_id: UUID
    tenant_id: UUID | None
    email: str
    first_name: str
    last_name: str
    email_verified: bool

    @property
    def user(self) -> UserRef:
        """The reference of the user."""
        return UserRef(self.organization_id, self.user_id)


_ADDRESSEE = (
    "SELECT u.organization_id, u.user_id, u.tenant_id, u.email, u.first_name, u.last_name, u.email_verified "
    "FROM users u JOIN organizations o USING (organization_id) "
    "WHERE u.is_active AND NOT u.is_locked AND u.deleted_at IS NULL AND o.is_active AND o.deleted_at IS NULL"
)


async def find_addressee(tx: Transaction, email: str) -> Addressee | None:
    """Find a user by address, ignoring case."""
    row = await tx.fetchrow(f"{_ADDRESSEE} AND lower(u.email) = lower($1)", email)
    return Addressee(**dict(row)) if row else None


async def get_addressee(tx: Transaction, user: UserRef) -> Addressee | None:
    """Return the user, if both the user and the organization are active."""
    row = await tx.fetchrow(f"{_ADDRESSEE} AND u.organization_id = $1 AND u.user_id = $2", *user)
    return Addressee(**dict(row)) if row else None


async def count_failure(tx: Transaction, user: UserRef) -> None:
    """Count one more wrong password since the last right one. People see the number; it locks nobody out."""
    await tx.execute(
        "UPDATE users SET failed_attempts = least(failed_attempts, 1000000) + 1 "
        "WHERE organization_id = $1 AND user_id = $2",
        *user,
    )


async def replace_password(
    tx: Transaction, user: UserRef, password_hash: str, *, instead_of: str | None = None
) -> bool:
    """Set the hash of a password that the user chose. Returns False if the hash is no longer `instead_of`."""
    touched = await tx.execute(
        "UPDATE users SET password_hash = $3, password_expires_at = NULL, failed_attempts = 0, locked_until = NULL "
        "WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL "
        "AND password_hash = coalesce($4, password_hash)",
        *(*user, password_hash, instead_of),
    )
    return touched > 0


async def rehash_password(tx: Transaction, user: UserRef, password_hash: str) -> None:
    """Set another hash of the same password, which keeps its expiry if it has one."""
    await tx.execute(
        "UPDATE users SET password_hash = $3 WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL",
        *(*user, password_hash),
    )


async def verify_email(tx: Transaction, user: UserRef, email: str) -> bool:
    """Record that the user reads the mail of an address. Returns False if the user has another address by now."""
    touched = await tx.execute(
        "UPDATE users SET email_verified = true, email_verified_at = coalesce(email_verified_at, now()) "
        "WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL AND lower(email) = lower($3)",
        *(*user, email),
    )
    return touched > 0


async def replace_email(tx: Transaction, user: UserRef, email: str) -> None:
    """Give the user another address, whose mail they read. Raises CONFLICT if it is another user's by now."""
    with taken("user", "e-mail address"):
        await tx.execute(
            "UPDATE users SET email = $3, email_verified = true, email_verified_at = now() "
            "WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL",
            *(*user, email),
        )
