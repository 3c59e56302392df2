"""The secret box: AES-256-GCM for secrets that must be read again, such as those of TOTP, each bound to its row.

A sealed value reads `v1.<key version>.<nonce and ciphertext, base64url>`. Table, column and primary key are
authenticated along with it, so a value copied to another row does not open. Data keys are random and stay in PostgreSQL
(`encryption_keys`), themselves sealed with a key derived from the instance's secret, which is not in the database: a
copy of the database opens nothing, and the secret can be changed without touching a single sealed value.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import audit_logs, encryption_keys
from duoscope.metadata.encryption_keys import SEALED, EncryptionKey, SealedColumn, SealedValue
from duoscope.secrets.keys import SecretKeys
from duoscope.secrets.sealer import SealBrokenError, Sealer, new_key
from duoscope.stores.postgres import MetadataStore, Transaction

_FORMAT: Final = "v1"
RESEAL_ROWS_MAX: Final = 200
"""Values sealed again in one transaction; the next transaction continues with the rest, also after a kill."""
_PLATFORM: Final = PlatformScope(reason="the secret box's keys are the platform's")

RowKey = tuple[UUID | str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell, the only one in which a sealed value opens: one column of the row with one primary key."""

    table: str
    column: str
    key: RowKey


@dataclass(frozen=True, slots=True)
class SecretKeyRotation:
    """The result of a change of the data key.

    Attributes:
        version: of the key that now seals.
        resealed: number of values that were sealed again.
        forgotten: number of older keys that were removed for good.
    """

    version: int
    resealed: int = 0
    forgotten: int = 0


class SecretBox:
    """Seals and opens within the caller's transactions; safe for concurrent use."""

    def __init__(self, store: MetadataStore, keys: SecretKeys) -> None:
        self._store = store
        self._wrapping = {_fingerprint(key): key for key in keys.derive("encryption-key")}
        self._data_keys: dict[int, bytes] = {}

    async def prepare(self) -> None:
        """Make the first data key if there is none yet. Called at every start.

        Raises:
            DuoscopeError: INVALID `secret-key` if the newest data key was sealed by a secret that is no longer given.
        """
        async with self._store.open_platform(_PLATFORM, "secret_box.prepare") as tx:
            found = await encryption_keys.newest(tx)
            if found is None:
                await encryption_keys.lock_alone(tx)
                found = await encryption_keys.newest(tx) or await self._make(tx, 1)
            self._unwrap(found)

    async def seal(self, tx: Transaction, plaintext: bytes, cell: Cell) -> str:
        """Seal a value for one column of one row.

        Args:
            tx: the transaction that stores it; the data key does not change until it ends.
            plaintext: any bytes.
            cell: where it is stored.

        Returns:
            The sealed text.
        """
        await encryption_keys.lock_shared(tx)
        newest = await encryption_keys.newest(tx)
        if newest is None:
            raise _broken("there is no data key: `prepare` has not run")
        return _seal(newest.version, self._unwrap(newest), plaintext, cell)

    async def open(self, tx: Transaction, sealed: str, cell: Cell) -> bytes:
        """Open a sealed value.

        Raises:
            DuoscopeError: INTERNAL `secret-unreadable` for a value that was altered, moved from another row, or sealed
                with a key that is gone.
        """
        version, body = _parse(sealed)
        if version not in self._data_keys:
            for each in await encryption_keys.list_all(tx):
                if each.version == version:
                    self._unwrap(each)
        data_key = self._data_keys.get(version)
        if data_key is None:
            raise _broken(f"no data key of version {version}")
        return _decrypt(data_key, body, cell)

    async def rotate(self, actor: Actor) -> SecretKeyRotation:
        """Make a new data key and seal everything with it. If it is interrupted, `resume` finishes it."""
        async with self._store.open_platform(_PLATFORM, "secret_box.rotate") as tx:
            # Once this is granted, every writer that sealed with the old key has committed; later ones see the new key.
            await encryption_keys.lock_alone(tx)
            last = await encryption_keys.newest(tx)
            version = last.version + 1 if last else 1
            await self._make(tx, version)
            await audit_logs.record(
                tx,
                actor,
                action="encryption-key.rotated",
                resource_type="encryption-key",
                resource_id=str(version),
                organization_id=None,
            )
        return await self.resume()

    async def resume(self) -> SecretKeyRotation:
        """Seal the remaining values with the newest data key, and wrap the data keys with the instance's first
        secret.
        """
        async with self._store.open_platform(_PLATFORM, "secret_box.rewrap") as tx:
            keys = await encryption_keys.list_all(tx)
            if not keys:
                raise _broken("there is no data key: duoscope has never been started here")
            for each in keys:
                if not self._is_wrapped_by_first(each):
                    await encryption_keys.reseal(tx, each.version, self._wrap(each.version, self._unwrap(each)))
        done = SecretKeyRotation(keys[0].version)
        for column in SEALED:
            while moved := await self._reseal_some(column, done.version):
                done = replace(done, resealed=done.resealed + moved)
        async with self._store.open_platform(_PLATFORM, "secret_box.retire") as tx:
            await encryption_keys.retire_before(tx, done.version)
            return replace(done, forgotten=await encryption_keys.forget_retired(tx))

    async def abandon(self, actor: Actor) -> list[int]:
        """Give up every secret that can no longer be opened, so that an instance that lost its secret can start again.

        Users then enrol second factors again, providers stay disabled until they get their client secrets again, and
        access tokens are signed with new keys.

        Returns:
            The versions of the data keys that were given up; none if all can be opened.
        """
        async with self._store.open_platform(_PLATFORM, "secret_box.abandon") as tx:
            await encryption_keys.lock_alone(tx)
            keys = await encryption_keys.list_all(tx)
            lost = [each.version for each in keys if each.key_encrypted.partition(".")[0] not in self._wrapping]
            if not lost:
                return []
            version = keys[0].version + 1
            await self._make(tx, version)
            await encryption_keys.forget(tx, lost)
            for column in SEALED:
                for value in await encryption_keys.sealed_with(tx, column, [f"{_FORMAT}.{each}." for each in lost]):
                    await self._give_up(tx, column, value)
            await audit_logs.record(
                tx,
                actor,
                action="encryption-key.abandoned",
                resource_type="encryption-key",
                resource_id=str(version),
                organization_id=None,
                before={"versions": lost},
            )
            return lost

    async def is_unfinished(self) -> bool:
        """Whether a rotation was interrupted, or data keys wait to be wrapped with the first secret."""
        async with self._store.open_platform(_PLATFORM, "secret_box.status") as tx:
            keys = await encryption_keys.list_all(tx)
        return any(not each.is_retired for each in keys[1:]) or not all(map(self._is_wrapped_by_first, keys))

    async def _reseal_some(self, column: SealedColumn, version: int) -> int:
        async with self._store.open_platform(_PLATFORM, "secret_box.reseal") as tx:
            values = await encryption_keys.sealed_before(tx, column, f"{_FORMAT}.{version}.", RESEAL_ROWS_MAX)
            for value in values:
                cell = Cell(column.table, column.column, value.key)
                again = await self.seal(tx, await self.open(tx, value.sealed, cell), cell)
                await encryption_keys.replace_sealed(tx, column, replace(value, sealed=again))
            return len(values)

    async def _give_up(self, tx: Transaction, column: SealedColumn, value: SealedValue) -> None:
        if column.table == "identity_providers":
            cell = Cell(column.table, column.column, value.key)
            nothing = await self.seal(tx, b"", cell)
            await encryption_keys.replace_sealed(tx, column, replace(value, sealed=nothing))
            await encryption_keys.put_out_of_service(tx, column, value)
        else:
            await encryption_keys.remove_row(tx, column, value)

    async def _make(self, tx: Transaction, version: int) -> EncryptionKey:
        sealed = self._wrap(version, new_key())
        await encryption_keys.create(tx, version, sealed)
        return EncryptionKey(version, sealed, is_retired=False)

    def _wrap(self, version: int, data_key: bytes) -> str:
        fingerprint, wrapping = next(iter(self._wrapping.items()))
        return f"{fingerprint}.{_encrypt(wrapping, data_key, _cell_of_key(version))}"

    def _unwrap(self, key: EncryptionKey) -> bytes:
        if key.version not in self._data_keys:
            fingerprint, _, body = key.key_encrypted.partition(".")
            wrapping = self._wrapping.get(fingerprint)
            if wrapping is None:
                raise DuoscopeError(
                    ErrorKind.INVALID,
                    "secret-key",
                    f"The data key {key.version} of this database was sealed with another secret than the given one. "
                    "Add the old one behind it in DUOSCOPE_SECRET_KEY (or <data dir>/secret.key), after a comma. If "
                    "that is lost, `duoscope admin rotate-encryption-key --abandon` gives up what it protected.",
                )
            self._data_keys[key.version] = _decrypt(wrapping, body, _cell_of_key(key.version))
        return self._data_keys[key.version]

    def _is_wrapped_by_first(self, key: EncryptionKey) -> bool:
        return key.key_encrypted.startswith(f"{next(iter(self._wrapping))}.")


def _fingerprint(key: bytes) -> str:
    return hashlib.blake2b(key, digest_size=8, person=b"duoscope-kek").hexdigest()


def _cell_of_key(version: int) -> Cell:
    return Cell("encryption_keys", "key_encrypted", (str(version),))


def _authenticated(cell: Cell) -> bytes:
    return json.dumps([cell.table, cell.column, *map(str, cell.key)]).encode()


def _seal(version: int, data_key: bytes, plaintext: bytes, cell: Cell) -> str:
    return f"{_FORMAT}.{version}.{_encrypt(data_key, plaintext, cell)}"


def _parse(sealed: str) -> tuple[int, str]:
    try:
        form, version, body = sealed.split(".")
        if form == _FORMAT:
            return int(version), body
    except ValueError:
        pass
    raise _broken("a sealed value has an unknown form")


def _encrypt(key: bytes, plaintext: bytes, cell: Cell) -> str:
    return base64.urlsafe_b64encode(Sealer([key]).seal(plaintext, _authenticated(cell))).decode()


def _decrypt(key: bytes, body: str, cell: Cell) -> bytes:
    try:
        return Sealer([key]).open(base64.b64decode(body, altchars=b"-_", validate=True), _authenticated(cell))
    except (SealBrokenError, ValueError) as error:
        raise _broken(f"a sealed value does not open in {cell}") from error


def _broken(detail: str) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.INTERNAL, "secret-unreadable", "A stored secret cannot be read; tell your operator.", detail=detail
    )
