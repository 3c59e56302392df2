"""The data keys of the secret box, and the sealed columns that are sealed again when the key changes."""

from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from duoscope.stores.postgres import Transaction

_LOCK: Final = 0x64756F2D7365616C
"""Held shared by transactions that seal, until they end; held exclusively while the next key is made."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A row of `encryption_keys`."""

    version: int
    key_encrypted: str
    is_retired: bool


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column whose values the secret box sealed, with the columns of its primary key in order."""

    table: LiteralString
    column: LiteralString
    key: tuple[LiteralString, ...]


SEALED: Final = (
    SealedColumn("mfa_secrets", "secret_encrypted", ("organization_id", "mfa_id")),
    SealedColumn("mfa_secrets", "backup_codes_encrypted", ("organization_id", "mfa_id")),
    SealedColumn("identity_providers", "client_secret_encrypted", ("organization_id", "identity_provider_id")),
    SealedColumn("notification_channels", "config_encrypted", ("tenant_id", "channel_id")),
    SealedColumn("signing_keys", "key_encrypted", ("kid",)),
)
"""Every sealed column: a test compares the list with the catalogue."""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A sealed value and the primary key of its row."""

    key: tuple[UUID | str, ...]
    sealed: str


async def lock_shared(tx: Transaction) -> None:
    """Keep the newest key the newest until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock_shared($1)", _LOCK)


async def lock_alone(tx: Transaction) -> None:
    """Wait until no transaction seals, and make later ones wait until this transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def list_all(tx: Transaction) -> list[EncryptionKey]:
    """All data keys, newest first."""
    rows = await tx.fetch(
        "SELECT version, key_encrypted, retired_at IS NOT NULL AS is_retired FROM encryption_keys ORDER BY version DESC"
    )
    return [EncryptionKey(**dict(row)) for row in rows]


async def newest(tx: Transaction) -> EncryptionKey | None:
    """The data key that seals."""
    row = await tx.fetchrow(
        "SELECT version, key_encrypted, retired_at IS NOT NULL AS is_retired FROM encryption_keys "
        "ORDER BY version DESC LIMIT 1"
    )
    return EncryptionKey(**dict(row)) if row else None


async def create(tx: Transaction, version: int, key_encrypted: str) -> None:
    """Store the next key. Needs a platform transaction."""
    await tx.execute("INSERT INTO encryption_keys (version, key_encrypted) VALUES ($1, $2)", version, key_encrypted)


async def reseal(tx: Transaction, version: int, key_encrypted: str) -> None:
    """Store the same key, sealed by another secret of the instance."""
    await tx.execute("UPDATE encryption_keys SET key_encrypted = $2 WHERE version = $1", version, key_encrypted)


async def retire_before(tx: Transaction, version: int) -> None:
    """Mark older keys as retired: nothing is sealed with them any more."""
    await tx.execute("UPDATE encryption_keys SET retired_at = now() WHERE version < $1 AND retired_at IS NULL", version)


async def forget_retired(tx: Transaction) -> int:
    """Remove keys retired a day ago or more, when no reader can still hold what they sealed. Returns how many."""
    return await tx.execute("DELETE FROM encryption_keys WHERE retired_at < now() - interval '1 day'")


async def sealed_before(tx: Transaction, column: SealedColumn, prefix: str, rows_max: int) -> list[SealedValue]:
    """Lock up to `rows_max` values of a column that do not begin with `prefix`. Needs a platform transaction."""
    key: LiteralString = ", ".join(column.key)
    rows = await tx.fetch(
        f"SELECT {key}, {column.column} AS sealed FROM {column.table} "
        f"WHERE {column.column} IS NOT NULL AND NOT starts_with({column.column}, $1) LIMIT $2 FOR UPDATE",
        *(prefix, rows_max),
    )
    return [SealedValue(tuple(row[name] for name in column.key), row["sealed"]) for row in rows]


async def sealed_with(tx: Transaction, column: SealedColumn, prefixes: list[str]) -> list[SealedValue]:
    """Lock all values of a column that begin with one of `prefixes`. Needs a platform transaction."""
    key: LiteralString = ", ".join(column.key)
    rows = await tx.fetch(
        f"SELECT {key}, {column.column} AS sealed FROM {column.table} "
        f"WHERE EXISTS (SELECT FROM unnest($1::text[]) AS p WHERE starts_with({column.column}, p)) FOR UPDATE",
        prefixes,
    )
    return [SealedValue(tuple(row[name] for name in column.key), row["sealed"]) for row in rows]


async def forget(tx: Transaction, versions: list[int]) -> None:
    """Remove keys for good."""
    await tx.execute("DELETE FROM encryption_keys WHERE version = ANY ($1)", versions)


async def remove_row(tx: Transaction, column: SealedColumn, value: SealedValue) -> None:
    """Remove the row of a value that can no longer be opened."""
    await tx.execute(f"DELETE FROM {column.table} WHERE {_row(column, 1)}", *value.key)


async def put_out_of_service(tx: Transaction, column: SealedColumn, value: SealedValue) -> None:
    """Deactivate the row of a value that can no longer be opened."""
    await tx.execute(f"UPDATE {column.table} SET is_active = false WHERE {_row(column, 1)}", *value.key)


async def replace_sealed(tx: Transaction, column: SealedColumn, value: SealedValue) -> None:
    """Store the value sealed again."""
    await tx.execute(
        f"UPDATE {column.table} SET {column.column} = $1 WHERE {_row(column, 2)}", value.sealed, *value.key
    )


def _row(column: SealedColumn, first: int) -> LiteralString:
    """The condition that selects one row by its key, with parameters from `first` on."""
    return " AND ".join(name + " = " + place for name, place in zip(column.key, _BINDS[first - 1 :], strict=False))


_BINDS: Final[tuple[LiteralString, ...]] = ("$1", "$2", "$3", "$4")
