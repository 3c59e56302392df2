"""What signing in reads and changes of a user's row. Platform transactions: nobody is signed in yet."""

from dataclasses import dataclass
from uuid import UUID

from duoscope.metadata.conflicts import taken
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class Addressee:
    """A living user of a living organization, whom mail can reach."""

    organization_id: UUID
    user_id: UUID
    tenant_id: UUID | None
    email: str
    first_name: str
    last_name: str
    email_verified: bool


_ADDRESSEE = (
    "SELECT u.organization_id, u.user_id, u.tenant_id, u.email, u.first_name, u.last_name, u.email_verified "
    "FROM users u JOIN organizations o USING (organization_id) "
    "WHERE u.is_active AND NOT u.is_locked AND u.deleted_at IS NULL AND o.is_active AND o.deleted_at IS NULL"
)


async def find_addressee(tx: Transaction, email: str) -> Addressee | None:
    """By address, without regard to case."""
    row = await tx.fetchrow(f"{_ADDRESSEE} AND lower(u.email) = lower($1)", email)
    return Addressee(**dict(row)) if row else None


async def get_addressee(tx: Transaction, organization_id: UUID, user_id: UUID) -> Addressee | None:
    """By id."""
    row = await tx.fetchrow(f"{_ADDRESSEE} AND u.organization_id = $1 AND u.user_id = $2", organization_id, user_id)
    return Addressee(**dict(row)) if row else None


async def count_failure(tx: Transaction, organization_id: UUID, user_id: UUID) -> None:
    """One more wrong password since the last right one: for people to see, it locks nobody out."""
    await tx.execute(
        "UPDATE users SET failed_attempts = least(failed_attempts, 1000000) + 1 "
        "WHERE organization_id = $1 AND user_id = $2",
        *(organization_id, user_id),
    )


async def replace_password(
    tx: Transaction, organization_id: UUID, user_id: UUID, password_hash: str, *, instead_of: str | None = None
) -> bool:
    """Set the hash of one that its user chose; False if `instead_of` is not the hash any more: somebody was quicker."""
    touched = await tx.execute(
        "UPDATE users SET password_hash = $3, password_expires_at = NULL, failed_attempts = 0, locked_until = NULL "
        "WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL "
        "AND password_hash = coalesce($4, password_hash)",
        *(organization_id, user_id, password_hash, instead_of),
    )
    return touched > 0


async def rehash_password(tx: Transaction, organization_id: UUID, user_id: UUID, password_hash: str) -> None:
    """Set another hash of the same password, which keeps its end if it has one."""
    await tx.execute(
        "UPDATE users SET password_hash = $3 WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL",
        *(organization_id, user_id, password_hash),
    )


async def verify_email(tx: Transaction, organization_id: UUID, user_id: UUID, email: str) -> bool:
    """The user reads the mail of this address; False if theirs is another one by now."""
    touched = await tx.execute(
        "UPDATE users SET email_verified = true, email_verified_at = coalesce(email_verified_at, now()) "
        "WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL AND lower(email) = lower($3)",
        *(organization_id, user_id, email),
    )
    return touched > 0


async def replace_email(tx: Transaction, organization_id: UUID, user_id: UUID, email: str) -> None:
    """Another address, whose mail the user reads. CONFLICT for one that is another user's by now."""
    with taken("user", "e-mail address"):
        await tx.execute(
            "UPDATE users SET email = $3, email_verified = true, email_verified_at = now() "
            "WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL",
            *(organization_id, user_id, email),
        )
