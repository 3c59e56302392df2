"""The form of an API key: `tfk-<16 of a-z2-7>.<43 letters and digits><6 checksum>`, made and parsed without a store.

The part before the dot is the key_id, which is not secret. The checksum catches typing mistakes.
"""

import re
import secrets
import zlib
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_FORM = re.compile(r"(tfk-[a-z2-7]{16})\.([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key. `presented` is shown once and stored nowhere; `secret` is the part that gets hashed."""

    key_id: str
    secret: str
    presented: str


def generate(key_id: str | None = None) -> NewKey:
    """Make a key with 80 random bits of id and 256 of secret; with `key_id`, make another secret of that key."""
    key_id = key_id or "tfk-" + "".join(secrets.choice(_BASE32) for _ in range(16))
    secret = _base62(secrets.randbits(256), 43)
    return NewKey(key_id, secret, f"{key_id}.{secret}{checksum(key_id, secret)}")


def parse(presented: str) -> tuple[str, str] | None:
    """Split a key into key_id and secret. Returns None for a text that cannot be a key."""
    found = _FORM.fullmatch(presented)
    if found is None or found[3] != checksum(found[1], found[2]):
        return None
    return found[1], found[2]


def checksum(key_id: str, secret: str) -> str:
    """Six characters that change with every typing mistake."""
    return _base62(zlib.crc32(f"{key_id}.{secret}".encode()), 6)


def _base62(number: int, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
