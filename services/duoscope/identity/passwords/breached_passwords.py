"""Checks whether a password was stolen elsewhere: with the built-in list (PROVENANCE.md), and a service that knows
more.

The service speaks the range protocol of Pwned Passwords (https://haveibeenpwned.com/API/v3#PwnedPasswords). The query
is for all hashes that begin with the same 20 of 160 bits as the password's SHA-1, so that the service learns next to
nothing; with padding, so that an observer of the line learns no more.

A service that is down delays nobody: the built-in list alone decides then, and the service is not asked again for some
minutes.
"""

import asyncio
import hashlib
import logging
import time
from functools import cache
from importlib.resources import files
from typing import Final

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError
from duoscope.net.outbound import Outbound

_log = logging.getLogger(__name__)

_PREFIX_CHARS: Final = 5
_BUCKETS: Final = 65536
_OK: Final = 200


class BreachedPasswords:
    """Recognizes breached passwords.

    Args:
        url: the address to which the first five hexadecimal digits are appended; empty or `off`: the built-in list
            alone decides.
    """

    def __init__(self, url: str = "") -> None:
        self.url: Final = "" if url == "off" else url.rstrip("/")
        # Only the operator can set this address: it may be anywhere.
        self._outbound = Outbound("0.0.0.0/0, ::/0") if self.url else None
        self._asked_again_s = 0.0
        if self.url:
            _log.info(
                "new passwords are compared with breached ones at %s, by five digits of their SHA-1; "
                "DUOSCOPE_BREACHED_PASSWORDS_URL=off ends that",
                self.url,
            )

    async def has(self, password: str) -> bool:
        """Whether the password is a breached one, as far as is known."""
        return is_listed(password) or is_listed(password.casefold()) or await self._service_has(password)

    async def close(self) -> None:
        """Close idle connections."""
        if self._outbound is not None:
            await self._outbound.close()

    async def _service_has(self, password: str) -> bool:
        if self._outbound is None or time.monotonic() < self._asked_again_s:
            return False
        digits = _sha1(password).hex().upper()
        prefix, rest = digits[:_PREFIX_CHARS], digits[_PREFIX_CHARS:]
        try:
            async with asyncio.timeout(limits.BREACHED_ANSWER_MAX_S):
                answer = await self._outbound.request("GET", f"{self.url}/{prefix}", headers={"add-padding": "true"})
            if answer.status != _OK:
                raise ValueError(f"it answered {answer.status}")  # noqa: TRY301 - one place for all that goes wrong
            # Padding consists of entries that were seen zero times.
            return any(
                suffix.strip().upper() == rest and int(count) > 0
                for suffix, _, count in (line.partition(":") for line in answer.body.decode("ascii").splitlines())
            )
        except (DuoscopeError, TimeoutError, ValueError) as error:
            self._asked_again_s = time.monotonic() + limits.BREACHED_PAUSE_S
            # Not the error's detail, which has the digits: together with the request's line in the log they would
            # reveal a part of a password.
            why = error.__cause__ or error
            _log.warning(
                "breached passwords cannot be asked for at %s (%s): for %d minutes new passwords are compared with the "
                "shipped list alone",
                self.url,
                f"{type(why).__name__}: {why}",
                limits.BREACHED_PAUSE_S // 60,
            )
            return False


def is_listed(password: str) -> bool:
    """Whether the built-in list contains the password. One in three thousand others matches by chance."""
    start, low = _sha1(password)[:2], _sha1(password)[2:4]
    content, bucket = _content(), int.from_bytes(start)
    first = _BUCKETS + 2 * sum(content[:bucket])
    found = content[first : first + 2 * content[bucket]]
    return any(found[at : at + 2] == low for at in range(0, len(found), 2))


@cache
def _content() -> bytes:
    """See tools/breached_passwords.py."""
    return (files("duoscope.identity.passwords") / "breached_passwords.bin").read_bytes()


def _sha1(password: str) -> bytes:
    return hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
