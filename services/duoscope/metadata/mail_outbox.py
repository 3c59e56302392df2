"""Mail that waits to be sent: rows only. delivery/mail.py writes it, worker/mail.py sends it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from duoscope.stores.postgres import Transaction


@dataclass(frozen=True, slots=True)
class LeasedMail:
    """A mail that was leased to be sent. `attempts` includes this one."""

    organization_id: UUID | None
    mail_id: UUID
    kind: str
    recipient: str
    subject: str
    sealed_text: bytes = field(repr=False)
    context: dict[str, Any]
    attempts: int
    age_s: float


async def add(
    tx: Transaction,
    *,
    mail_id: UUID,
    organization_id: UUID | None,
    recipient: str,
    kind: str = "text",
    subject: str = "",
    sealed_text: bytes = b"",
    context: dict[str, Any] | None = None,
) -> None:
    """Add a mail, which is sent if and when the transaction commits. Without an organization it needs a platform
    transaction.
    """
    await tx.execute(
        "INSERT INTO mail_outbox (organization_id, mail_id, kind, recipient, subject, sealed_text, context) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *(organization_id, mail_id, kind, recipient, subject, sealed_text, context or {}),
    )


async def lease(tx: Transaction, *, rows_max: int, lease_s: float) -> list[LeasedMail]:
    """Lease due mails, each to one sender. A mail whose sender reports nothing within `lease_s` is due again."""
    rows = await tx.fetch(
        """
        UPDATE mail_outbox SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
        WHERE mail_id IN (
            SELECT mail_id FROM mail_outbox WHERE failed_at IS NULL AND next_attempt_at <= now()
            ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        RETURNING organization_id, mail_id, kind, recipient, subject, sealed_text, context, attempts,
            extract(epoch FROM now() - created_at)::float8 AS age_s
        """,
        *(rows_max, lease_s),
    )
    return [LeasedMail(**dict(row)) for row in rows]


async def remove(tx: Transaction, mail_id: UUID) -> None:
    """Remove a mail that was sent, or that is no longer needed."""
    await tx.execute("DELETE FROM mail_outbox WHERE mail_id = $1", mail_id)


async def postpone(tx: Transaction, mail_id: UUID, *, delay_s: float, error: str) -> None:
    """Try a mail again later."""
    await tx.execute(
        "UPDATE mail_outbox SET next_attempt_at = now() + make_interval(secs => $2), last_error = $3 "
        "WHERE mail_id = $1",
        *(mail_id, delay_s, error),
    )


async def give_up(tx: Transaction, mail_id: UUID, *, error: str) -> None:
    """Mark a mail as undeliverable: the row stays for a while, its text does not."""
    await tx.execute(
        "UPDATE mail_outbox SET failed_at = now(), last_error = $2, sealed_text = '' WHERE mail_id = $1",
        *(mail_id, error),
    )


async def purge_failed(tx: Transaction, *, older_than_s: float) -> int:
    """Remove mails that were given up that long ago. Returns how many."""
    return await tx.execute("DELETE FROM mail_outbox WHERE failed_at < now() - make_interval(secs => $1)", older_than_s)
