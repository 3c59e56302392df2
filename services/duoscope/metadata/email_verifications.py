"""Links that show that a user reads the mail of an address: rows only, found by hash. Functions need platform
transactions unless noted otherwise.
"""

from dataclasses import dataclass
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class EmailVerification:
    """A usable row of `email_verifications`.

    `asked_in_session_id` is the session that requested a change to this address; None if the address is already the
    user's.
    """

    organization_id: UUID
    verification_id: UUID
    user_id: UUID
    email: str
    asked_in_session_id: UUID | None

    @property
    def user(self) -> UserRef:
        """The user whose address it is or becomes."""
        return UserRef(self.organization_id, self.user_id)


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    user_id: UUID,
    token_hash: str,
    email: str,
    lifetime_s: float,
    asked_in_session_id: UUID | None = None,
) -> None:
    """Store a link."""
    await tx.execute(
        "INSERT INTO email_verifications (organization_id, verification_id, user_id, token, email, expires_at, "
        "asked_in_session_id) VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), $7)",
        *(organization_id, new_id(), user_id, token_hash, email, lifetime_s, asked_in_session_id),
    )


async def lock(tx: Transaction, token_hash: str) -> EmailVerification | None:
    """A link that was not used and has not expired, locked until the transaction ends."""
    row = await tx.fetchrow(
        "SELECT organization_id, verification_id, user_id, email, asked_in_session_id FROM email_verifications "
        "WHERE token = $1 AND NOT is_used AND expires_at > now() FOR UPDATE",
        token_hash,
    )
    return EmailVerification(**dict(row)) if row else None


async def use_all(tx: Transaction, user: UserRef) -> None:
    """Mark all verification links of a user as used."""
    await tx.execute(
        "UPDATE email_verifications SET is_used = true WHERE organization_id = $1 AND user_id = $2 AND NOT is_used",
        *user,
    )


async def cancel_changes(tx: Transaction, user: UserRef, *, except_session_id: UUID | None = None) -> None:
    """Cancel the changes of address that a user has asked for, except those asked for in `except_session_id`.

    A scoped transaction acts as that user.
    """
    await tx.execute(
        "UPDATE email_verifications SET is_used = true WHERE organization_id = $1 AND user_id = $2 AND NOT is_used "
        "AND asked_in_session_id IS NOT NULL AND asked_in_session_id IS DISTINCT FROM $3",
        *(*user, except_session_id),
    )


async def cancel_changes_of_organization(
    tx: Transaction, organization_id: UUID, *, except_session_id: UUID | None = None
) -> None:
    """Cancel the changes of address of all users of an organization, except those asked for in one session."""
    await tx.execute(
        "UPDATE email_verifications SET is_used = true WHERE organization_id = $1 AND NOT is_used "
        "AND asked_in_session_id IS NOT NULL AND asked_in_session_id IS DISTINCT FROM $2",
        *(organization_id, except_session_id),
    )


async def purge_expired(tx: Transaction, rows_max: int) -> int:
    """Remove links that expired a day ago or more. Returns how many."""
    return await tx.execute(
        "DELETE FROM email_verifications WHERE (organization_id, verification_id) IN ("
        "SELECT organization_id, verification_id FROM email_verifications "
        "WHERE expires_at < now() - interval '1 day' LIMIT $1)",
        rows_max,
    )
