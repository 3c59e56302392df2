"""The rules for passwords: NIST SP 800-63B, section 3.1.1.2. Long enough, and not a common one; there are no rules
about kinds of characters, a chosen password does not expire, and it is used exactly as typed.

Common passwords are those in the list (PROVENANCE.md), those that only add digits and punctuation to an entry of it or
to a word that anyone would try here (the address, the product), and repeated or counted characters.
breached_passwords.py recognizes breached ones.
"""

import gzip
import re
import secrets
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Final

from duoscope.identity.passwords.breached_passwords import BreachedPasswords
from duoscope.kernel import limits
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, invalid

PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 512
_DISTINCT_MIN: Final = 5
_PRODUCT: Final = ("duoscope", "telemetryflow", "observability", "administrator")
_TRIMMED: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_ROWS: Final = tuple(
    row + row[::-1]
    for row in ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")
)


class PasswordRules:
    """All checks of a new password. The creator of `breached` closes it."""

    def __init__(self, breached: BreachedPasswords | None = None) -> None:
        self._breached = breached or BreachedPasswords()

    async def check(self, password: str, *, email: str = "", names: tuple[str, ...] = ()) -> None:
        """Do `check_password`, and raise INVALID `password-breached`. May query a service: not within a transaction."""
        check_password(password, email=email, names=names)
        if await self._breached.has(password):
            raise invalid(
                "This password was stolen elsewhere and is in the lists of attackers. Choose one that is used "
                "nowhere else; a few words that do not belong together make a good one.",
                code="password-breached",
            )


def check_password(password: str, *, email: str = "", names: tuple[str, ...] = ()) -> None:
    """Check a password by itself.

    Args:
        password: as the user chose it.
        email: of its user.
        names: further words that anyone would try for this user.

    Raises:
        DuoscopeError: INVALID `password-length` or `password-common`.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise invalid(
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters of any kind.",
            code="password-length",
        )
    folded = password.casefold()
    local, _, domain = email.casefold().partition("@")
    words = {*_PRODUCT, local, email.casefold(), domain.partition(".")[0], *(name.casefold() for name in names)} - {""}
    core = _TRIMMED.sub("", folded)
    if (
        len(set(folded)) < _DISTINCT_MIN
        or folded in common()
        or core in common()
        or core in words
        or _TRIMMED.sub("", _unit(folded)) in words | common()
        or _counts(folded)
    ):
        raise _common()


def generated() -> tuple[str, datetime]:
    """Generate a password of 144 random bits. Also returns its expiry, before which users set their own."""
    return secrets.token_urlsafe(18), now() + timedelta(seconds=limits.GENERATED_PASSWORD_S)


@cache
def common() -> frozenset[str]:
    """The list of common passwords, in lower case."""
    packed = (files("duoscope.identity.passwords") / "common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split())


def _unit(text: str) -> str:
    """The unit whose repetition makes the text: `abcabc` repeats `abc`; otherwise the text itself."""
    return text[: (text + text).find(text, 1)]


def _counts(text: str) -> bool:
    """Whether the text is made of runs along a row of the keyboard, the alphabet or the digits."""
    run = rest = 0
    for start in range(1, len(text)):
        if any(text[start - 1 : start + 1] in row for row in _ROWS):
            run += 1
        else:
            rest += 1
    return run > 0 and rest * 4 <= run


def _common() -> DuoscopeError:
    return invalid(
        "This password is too common. A few words that do not belong together make a good one.",
        code="password-common",
    )
