"""Verified API keys on disk, so that a receiver that restarts while PostgreSQL is down keeps accepting their telemetry.

The file holds, for each key, a keyed hash of the presented text and the key's permissions: never a secret, and not
PostgreSQL's Argon2id hash of one either. It is encrypted and authenticated as a whole (AES-256-GCM, with a key derived
from the instance's secret) and has the mode 0600.

This protects against anyone without the instance's secret: from a copied file or backup they cannot read who sends for
which tenant, and they cannot add or change an entry. It does not protect against someone who has both the file and the
secret (such as the account that the receiver runs as). Nor does it protect against replacing the file by an older one
of the same instance: a key that was revoked in between works again until PostgreSQL answers, and no longer than the
outage time since its last check. A file that cannot be decrypted, for example after a change of the secret, is ignored.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from duoscope.secrets.keys import SecretKeys
from duoscope.secrets.sealer import SealBrokenError

_log = logging.getLogger(__name__)

FILE: Final = "api-keys.cache"
BYTES_MAX: Final = 64 * 1024 * 1024
_PURPOSE: Final = "api-key-offline"
_FORM: Final = b"duoscope api keys 1"


@dataclass(frozen=True, slots=True)
class OfflineKey:
    """A verified key. `digest` is the keyed hash of the presented text; `proof` identifies the stored hash that it
    matched.
    """

    digest: bytes
    proof: bytes
    checked_at_unix_s: float
    ends_at_unix_s: float | None
    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    api_key_id: UUID
    key_id: str
    name: str
    signals: tuple[str, ...]
    retention_days: int
    rate_limit: int | None
    allowed_addresses: tuple[str, ...]
    allowed_origins: tuple[str, ...] = ()
    is_browser_only: bool = False
    own_limits: tuple[tuple[str, int], ...] = ()
    organization_limits: tuple[tuple[str, int], ...] = ()


class OfflineKeys:
    """The file `api-keys.cache` of a data directory."""

    def __init__(self, data_dir: Path, keys: SecretKeys) -> None:
        self._path = data_dir / FILE
        self._sealer = keys.sealer(_PURPOSE)

    def read(self) -> list[OfflineKey]:
        """Read the entries that were written last; none if there is no file, or not one of this instance."""
        try:
            with self._path.open("rb") as file:
                sealed = file.read(BYTES_MAX)  # cut short, it does not pass its authentication
            return [_key(entry) for entry in json.loads(self._sealer.open(sealed, _FORM))]
        except FileNotFoundError:
            return []
        except (OSError, SealBrokenError, ValueError, TypeError, KeyError) as error:
            _log.warning("%s is not used", self._path, extra={"detail": f"{type(error).__name__}: {error}"})
            return []

    def write(self, entries: Sequence[OfflineKey]) -> None:
        """Replace the file atomically. A failure to write is logged."""
        plain = json.dumps([_shown(entry) for entry in entries]).encode()
        sealed = self._sealer.seal(plain, _FORM)
        fresh = self._path.with_name(f"{FILE}.{os.getpid()}.new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(sealed)
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("%s cannot be written", self._path, extra={"detail": str(error)})


_IDS: Final = ("organization_id", "workspace_id", "tenant_id", "api_key_id")


def _shown(key: OfflineKey) -> dict[str, Any]:
    shown = dataclasses.asdict(key) | {"digest": key.digest.hex(), "proof": key.proof.hex()}
    return shown | {name: str(shown[name]) for name in _IDS}


def _key(entry: dict[str, Any]) -> OfflineKey:
    values: dict[str, Any] = dict(entry)
    values.update({name: UUID(entry[name]) for name in _IDS})
    values.update(digest=bytes.fromhex(entry["digest"]), proof=bytes.fromhex(entry["proof"]))
    values.update(signals=tuple(entry["signals"]), allowed_addresses=tuple(entry["allowed_addresses"]))
    values.update(allowed_origins=tuple(entry.get("allowed_origins", ())))
    for limits in ("own_limits", "organization_limits"):
        values[limits] = tuple((str(name), int(value)) for name, value in entry.get(limits, ()))
    return OfflineKey(**values)
