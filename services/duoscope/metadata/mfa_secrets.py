"""Second factors: one row per user. The secret box seals TOTP secret and backup codes.

The rules are in identity/authentication/mfa.py.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.kernel.refs import UserRef
from duoscope.stores.postgres import Record, Transaction

ATTEMPTS_FREE: Final = 5
"""Wrong codes in a row after which each further one causes a pause."""
LOCK_S: Final = 30.0
LOCK_MAX_S: Final = 900.0
"""The first pause after a wrong code, which doubles with every further one, and its maximum."""


@dataclass(frozen=True, slots=True)
class MfaSecret:
    """A row of `mfa_secrets`. `locked_for_s` is None unless codes are refused for that many more seconds.

    The authenticator's clock is `clock_offset_steps` ahead of ours; `stray_step` and `stray_offset_steps` belong to the
    last code that was correct for another offset.
    """

    organization_id: UUID
    mfa_id: UUID
    user_id: UUID
    secret_encrypted: str = field(repr=False)
    backup_codes_encrypted: str | None = field(repr=False)
    is_enabled: bool
    enabled_at: datetime | None
    last_step: int
    clock_offset_steps: int
    stray_step: int | None
    stray_offset_steps: int | None
    locked_for_s: float | None

    @property
    def user(self) -> UserRef:
        """The user whose factor it is."""
        return UserRef(self.organization_id, self.user_id)


_COLUMNS: Final = (
    "organization_id, mfa_id, user_id, secret_encrypted, backup_codes_encrypted, is_enabled, enabled_at, last_step, "
    "clock_offset_steps, stray_step, stray_offset_steps, "
    "CASE WHEN locked_until > clock_timestamp() THEN extract(epoch FROM locked_until - clock_timestamp())::float8 END "
    "AS locked_for_s"
)


def _secret(row: Record | None) -> MfaSecret | None:
    return MfaSecret(**dict(row)) if row else None


async def get(tx: Transaction, user: UserRef) -> MfaSecret | None:
    """Return the second factor of a user, or None if there is none that the transaction may see."""
    return _secret(
        await tx.fetchrow(
            f"SELECT {_COLUMNS} FROM mfa_secrets WHERE organization_id = $1 AND user_id = $2",
            *user,
        )
    )


async def lock(tx: Transaction, user: UserRef) -> MfaSecret | None:
    """Return the second factor like `get`, and lock it: no other code of the user is checked until the commit."""
    return _secret(
        await tx.fetchrow(
            f"SELECT {_COLUMNS} FROM mfa_secrets WHERE organization_id = $1 AND user_id = $2 FOR UPDATE",
            *user,
        )
    )


async def is_required(tx: Transaction, organization_id: UUID) -> bool:
    """Whether the organization requires a second factor of all its users."""
    return bool(
        await tx.fetchval(
            "SELECT settings -> 'mfa_required' = 'true' FROM organizations WHERE organization_id = $1", organization_id
        )
    )


async def is_enabled(tx: Transaction, user: UserRef) -> bool:
    """Whether the user has a second factor."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM mfa_secrets WHERE organization_id = $1 AND user_id = $2 AND is_enabled)",
            *user,
        )
    )


async def replace(
    tx: Transaction, *, organization_id: UUID, mfa_id: UUID, user_id: UUID, secret_encrypted: str
) -> bool:
    """Begin an enrolment in place of an unconfirmed one. Returns False if the user already has a second factor."""
    touched = await tx.execute(
        "INSERT INTO mfa_secrets AS old (organization_id, mfa_id, user_id, secret_encrypted) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (organization_id, user_id) DO UPDATE SET mfa_id = excluded.mfa_id, "
        "secret_encrypted = excluded.secret_encrypted, last_step = 0, clock_offset_steps = 0, stray_step = NULL, "
        "stray_offset_steps = NULL WHERE NOT old.is_enabled",
        *(organization_id, mfa_id, user_id, secret_encrypted),
    )
    return touched > 0


async def enable(tx: Transaction, secret: MfaSecret, *, backup_codes_encrypted: str) -> bool:
    """Confirm an enrolment. Returns False if it is no longer the user's current one, or is already confirmed."""
    touched = await tx.execute(
        "UPDATE mfa_secrets SET is_enabled = true, enabled_at = now(), backup_codes_encrypted = $3, "
        "failed_attempts = 0, locked_until = NULL WHERE organization_id = $1 AND mfa_id = $2 AND NOT is_enabled",
        *(secret.organization_id, secret.mfa_id, backup_codes_encrypted),
    )
    return touched > 0


async def charge(tx: Transaction, secret: MfaSecret) -> None:
    """Count an attempt before it is checked; `accept_step` and `set_backup_codes` undo the count."""
    await tx.execute(
        "UPDATE mfa_secrets SET failed_attempts = failed_attempts + 1, "
        "locked_until = CASE WHEN failed_attempts + 1 >= $3 THEN clock_timestamp() + make_interval(secs => "
        "least($5, $4 * power(2, least(failed_attempts + 1 - $3, 30)))) END "
        "WHERE organization_id = $1 AND mfa_id = $2",
        *(secret.organization_id, secret.mfa_id, ATTEMPTS_FREE, LOCK_S, LOCK_MAX_S),
    )


async def accept_step(tx: Transaction, secret: MfaSecret, step: int, *, offset_steps: int) -> None:
    """Record that the code of a time step was correct: it and all earlier ones are used up, and the clock's offset is
    known.
    """
    await tx.execute(
        "UPDATE mfa_secrets SET last_step = $3, clock_offset_steps = $4, stray_step = NULL, stray_offset_steps = NULL, "
        "failed_attempts = 0, locked_until = NULL WHERE organization_id = $1 AND mfa_id = $2",
        *(secret.organization_id, secret.mfa_id, step, offset_steps),
    )


async def note_stray(tx: Transaction, secret: MfaSecret, step: int, *, offset_steps: int) -> None:
    """Record a code that would be correct if the clock had another offset."""
    await tx.execute(
        "UPDATE mfa_secrets SET stray_step = $3, stray_offset_steps = $4 WHERE organization_id = $1 AND mfa_id = $2",
        *(secret.organization_id, secret.mfa_id, step, offset_steps),
    )


async def set_backup_codes(tx: Transaction, secret: MfaSecret, backup_codes_encrypted: str) -> None:
    """Store new codes, or the remaining ones after one was used."""
    await tx.execute(
        "UPDATE mfa_secrets SET backup_codes_encrypted = $3, failed_attempts = 0, locked_until = NULL "
        "WHERE organization_id = $1 AND mfa_id = $2 AND is_enabled",
        *(secret.organization_id, secret.mfa_id, backup_codes_encrypted),
    )


async def delete(tx: Transaction, user: UserRef) -> bool:
    """Delete the second factor of a user, confirmed or not. Returns False if the transaction may touch none."""
    touched = await tx.execute("DELETE FROM mfa_secrets WHERE organization_id = $1 AND user_id = $2", *user)
    return touched > 0
