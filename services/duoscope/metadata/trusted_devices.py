"""Trusted devices of users: rows only, found by the hash of the token that a device keeps."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import UserRef
from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Record, Transaction


@dataclass(frozen=True, slots=True)
class TrustedDevice:
    """A row of `trusted_devices`, without the fingerprint. `mfa_at` is when a second factor was last shown on it."""

    organization_id: UUID
    device_id: UUID
    user_id: UUID
    device_name: str
    mfa_at: datetime | None
    expires_at: datetime
    last_used_at: datetime
    created_at: datetime


_COLUMNS = "organization_id, device_id, user_id, device_name, mfa_at, expires_at, last_used_at, created_at"


LISTING: Final = Listing(
    name="devices",
    select=f"SELECT {_COLUMNS} FROM trusted_devices",
    key="device_id",
    sorts={"created_at": datetime, "last_used_at": datetime, "device_name": str},
    filters={"is_live": "(expires_at > now()) = ?"},
)
"""Of the user that the transaction acts as."""


def _device(row: Record) -> TrustedDevice:
    return TrustedDevice(**dict(row))


async def create(
    tx: Transaction,
    *,
    organization_id: UUID,
    user_id: UUID,
    device_fingerprint: str,
    device_name: str,
    lifetime_s: float,
) -> TrustedDevice:
    """Store a trusted device. Needs a platform transaction."""
    row = await tx.fetchrow(
        "INSERT INTO trusted_devices (organization_id, device_id, user_id, device_fingerprint, device_name, "
        "expires_at) VALUES ($1, $2, $3, $4, left($5, 200), now() + make_interval(secs => $6)) "
        f"RETURNING {_COLUMNS}",
        *(organization_id, new_id(), user_id, device_fingerprint, device_name, lifetime_s),
    )
    assert row is not None
    return _device(row)


async def find(tx: Transaction, device_fingerprint: str) -> TrustedDevice | None:
    """A device that is still trusted. Needs a platform transaction."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM trusted_devices WHERE device_fingerprint = $1 AND expires_at > now()",
        device_fingerprint,
    )
    return _device(row) if row else None


async def get(tx: Transaction, user: UserRef, device_id: UUID) -> TrustedDevice | None:
    """Return a device of the user, or None if the user has no such device or its trust has expired."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM trusted_devices "
        "WHERE organization_id = $1 AND user_id = $2 AND device_id = $3 AND expires_at > now()",
        *(*user, device_id),
    )
    return _device(row) if row else None


async def record_use(tx: Transaction, device: TrustedDevice, *, with_mfa: bool) -> None:
    """Record a login on it, with a second factor or without."""
    await tx.execute(
        "UPDATE trusted_devices SET last_used_at = now(), mfa_at = CASE WHEN $3 THEN now() ELSE mfa_at END "
        "WHERE organization_id = $1 AND device_id = $2",
        *(device.organization_id, device.device_id, with_mfa),
    )


async def remove(tx: Transaction, user: UserRef, device_id: UUID) -> TrustedDevice | None:
    """Delete a device of the user. Returns it as it was, or None if the user has no such device."""
    row = await tx.fetchrow(
        f"DELETE FROM trusted_devices WHERE organization_id = $1 AND user_id = $2 AND device_id = $3 "
        f"RETURNING {_COLUMNS}",
        *(*user, device_id),
    )
    return _device(row) if row else None


async def remove_all(tx: Transaction, user: UserRef) -> int:
    """Delete all devices of a user. Returns the number deleted."""
    return await tx.execute("DELETE FROM trusted_devices WHERE organization_id = $1 AND user_id = $2", *user)


async def purge_expired(tx: Transaction, rows_max: int) -> int:
    """Remove devices that are no longer trusted. Needs a platform transaction. Returns how many."""
    return await tx.execute(
        "DELETE FROM trusted_devices WHERE (organization_id, device_id) IN ("
        "SELECT organization_id, device_id FROM trusted_devices WHERE expires_at < now() LIMIT $1)",
        rows_max,
    )
