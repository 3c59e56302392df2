"""The one place that encrypts: AES-256-GCM with a random nonce, which stands in front of the ciphertext.

A sealed value opens only together with the bytes to which it was bound when it was sealed, such as the id of its row.
"""

import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
"""The nonce is random: a key may seal 2**32 values (NIST SP 800-38D, section 8.3)."""


class SealBrokenError(Exception):
    """A sealed value was altered, is bound to something else, or was sealed with a key that is not here."""


class Sealer:
    """Seals with the first of its keys and opens with any of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [AESGCM(key) for key in keys]

    def seal(self, plaintext: bytes, bound_to: bytes) -> bytes:
        """Encrypts `plaintext`, and authenticates it together with `bound_to`, which is not part of the result."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plaintext, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Decrypt a value. Returns its plaintext.

        Raises:
            SealBrokenError: no key opens the value together with `bound_to`.
        """
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, ciphertext, bound_to)
            except (InvalidTag, ValueError):
                continue
        raise SealBrokenError


def new_key() -> bytes:
    """Make a random key for a `Sealer`."""
    return AESGCM.generate_key(KEY_BYTES * 8)
