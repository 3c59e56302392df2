"""Whether a password was stolen elsewhere: the list that is shipped (PROVENANCE.md), and a service that knows more.

The service speaks the range protocol of Pwned Passwords (https://haveibeenpwned.com/API/v3#PwnedPasswords). It is asked
for all hashes that begin as the password's SHA-1 does, by 20 of its 160 bits, so that it learns next to nothing; with
padding, so that whoever watches the line learns no more.

Who sets a password does not wait for a service that is away: the shipped list alone decides then, and it is not asked
again for some minutes.
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
    """Knows breached passwords.

    Args:
        url: what the first five hexadecimal digits are appended to; empty or `off`: the shipped list alone decides.
    """

    def __init__(self, url: str = "") -> None:
        self.url: Final = "" if url == "off" else url.rstrip("/")
        # The operator named it, nobody else can: it may be anywhere.
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
        """Let go of idle connections."""
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
            # Padding is entries that were seen no times.
            return any(
                suffix.strip().upper() == rest and int(count) > 0
                for suffix, _, count in (line.partition(":") for line in answer.body.decode("ascii").splitlines())
            )
        except (DuoscopeError, TimeoutError, ValueError) as error:
            self._asked_again_s = time.monotonic() + limits.BREACHED_PAUSE_S
            # Not the error's detail, which has the digits: beside the request's line they would tell of a password.
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
    """Whether the shipped list has it, or, once in three thousand, something that only looks like it."""
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
