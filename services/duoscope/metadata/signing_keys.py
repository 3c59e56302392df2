"""Signing keys of access tokens: rows only, for platform transactions. The rules of rotation are in
identity/authentication/signing_keys.py.
"""

from dataclasses import dataclass
from typing import Final

from duoscope.stores.postgres import Transaction

_LOCK: Final = 0x64756F2D7369676E


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A row of `signing_keys`. Ages are in seconds by the database's clock; a negative age is in the future."""

    kid: str
    key_encrypted: str
    active_for_s: float
    age_s: float
    is_superseded: bool


async def lock(tx: Transaction) -> None:
    """Prevent others from creating a key until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def list_live(tx: Transaction) -> list[SigningKey]:
    """The keys that still verify, newest first."""
    rows = await tx.fetch(
        "SELECT kid, key_encrypted, extract(epoch FROM clock_timestamp() - active_at)::float8 AS active_for_s, "
        "extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_s, expires_at IS NOT NULL AS is_superseded "
        "FROM signing_keys WHERE coalesce(expires_at > clock_timestamp(), true) ORDER BY active_at DESC, kid"
    )
    return [SigningKey(**dict(row)) for row in rows]


async def create(tx: Transaction, kid: str, key_encrypted: str, *, active_in_s: float) -> None:
    """Store the next key, which signs after `active_in_s`."""
    await tx.execute(
        "INSERT INTO signing_keys (kid, key_encrypted, active_at) "
        "VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))",
        *(kid, key_encrypted, active_in_s),
    )


async def expire_others(tx: Transaction, kid: str, *, after_s: float) -> None:
    """Make all other keys stop verifying after `after_s`, or earlier if they were to."""
    await tx.execute(
        "UPDATE signing_keys SET expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $2)) "
        "WHERE kid <> $1",
        *(kid, after_s),
    )


async def forget_expired(tx: Transaction) -> int:
    """Remove keys that no longer verify anything. Returns how many."""
    return await tx.execute("DELETE FROM signing_keys WHERE expires_at <= clock_timestamp()")
