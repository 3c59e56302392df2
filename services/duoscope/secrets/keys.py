"""The process's key material, and the keys derived from it for one purpose each (HKDF, RFC 5869).

`DUOSCOPE_SECRET_KEY` holds it, or else `<data_dir>/secret.key`, which the first start makes. Several secrets, separated
by commas or white space, are a rotation in progress: the first signs, all verify.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.settings import Settings
from duoscope.secrets.sealer import Sealer

SECRET_BYTES_MIN = 32
SECRET_FILE = "secret.key"  # noqa: S105 - the name of a file


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """One or more secrets, the current one first."""

    secrets: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Load the secrets from the settings, or from the file, which is made if it does not exist.

        Raises:
            DuoscopeError: INVALID `secret-key` for a secret that is too short.
        """
        source = "DUOSCOPE_SECRET_KEY"
        text = settings.secret_key
        if not text:
            path = settings.data_dir / SECRET_FILE
            source, text = str(path), _read_or_make(path)
        values = tuple(part.encode() for part in text.replace(",", " ").split())
        if not values or any(len(value) < SECRET_BYTES_MIN for value in values):
            raise DuoscopeError(
                ErrorKind.INVALID,
                "secret-key",
                f"{source} needs {SECRET_BYTES_MIN} characters or more; `openssl rand -hex 32` makes a good one.",
            )
        return cls(values)

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """Derive a 32-byte key for one purpose from each secret, the current one first. Keys of different purposes
        reveal nothing about each other.
        """
        return tuple(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=f"duoscope/{purpose}".encode()).derive(secret)
            for secret in self.secrets
        )

    def sealer(self, purpose: str) -> Sealer:
        """The `Sealer` for one purpose: it encrypts with the current secret's key and decrypts with all."""
        return Sealer(self.derive(purpose))


def _read_or_make(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        pass
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(32).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, path)  # unlike a rename, it never replaces the key of a process that was quicker
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text("ascii")
