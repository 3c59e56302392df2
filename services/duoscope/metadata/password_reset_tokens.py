"""Links for a forgotten password: rows only, found by hash. Needs platform transactions, as nobody is signed in."""

from dataclasses import dataclass
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class PasswordResetToken:
    """A usable row of `password_reset_tokens`."""

    organization_id: UUID
    reset_id: UUID
    user_id: UUID
    email: str

    @property
    def user(self) -> UserRef:
        """The user whose password it sets."""
        return UserRef(self.organization_id, self.user_id)


async def create(
    tx: Transaction, *, organization_id: UUID, user_id: UUID, token_hash: str, email: str, lifetime_s: float
) -> None:
    """Store a link."""
    await tx.execute(
        "INSERT INTO password_reset_tokens (organization_id, reset_id, user_id, token, email, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
        *(organization_id, new_id(), user_id, token_hash, email, lifetime_s),
    )


async def lock(tx: Transaction, token_hash: str) -> PasswordResetToken | None:
    """A link that was not used and has not expired, locked until the transaction ends."""
    row = await tx.fetchrow(
        "SELECT organization_id, reset_id, user_id, email FROM password_reset_tokens "
        "WHERE token = $1 AND NOT is_used AND expires_at > now() FOR UPDATE",
        token_hash,
    )
    return PasswordResetToken(**dict(row)) if row else None


async def use_all(tx: Transaction, user: UserRef) -> None:
    """Mark all password reset links of a user as used."""
    await tx.execute(
        "UPDATE password_reset_tokens SET is_used = true WHERE organization_id = $1 AND user_id = $2 AND NOT is_used",
        *user,
    )


async def purge_expired(tx: Transaction, rows_max: int) -> int:
    """Remove links that expired a day ago or more. Returns how many."""
    return await tx.execute(
        "DELETE FROM password_reset_tokens WHERE (organization_id, reset_id) IN ("
        "SELECT organization_id, reset_id FROM password_reset_tokens "
        "WHERE expires_at < now() - interval '1 day' LIMIT $1)",
        rows_max,
    )
