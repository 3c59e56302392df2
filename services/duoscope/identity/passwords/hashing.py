"""Argon2id off the event loop: few threads, a short queue, and a clear error when both are full.

One verification costs about 18 ms of a core: a flood of wrong passwords uses the cores that the threads may have, and
delays only logins. A login with an unknown e-mail address is verified against a dummy, so that known and unknown ones
take the same time.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from duoscope.identity.passwords.rules import PASSWORD_CHARS_MAX
from duoscope.kernel.errors import DuoscopeError, unavailable

MEMORY_KIB = 19456
TIME_COST = 2
PARALLELISM = 1
"""OWASP's first recommendation for Argon2id."""
THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Half of the cores at most. Not threads of a lower priority: one that is suspended while it holds the interpreter's
lock blocks everything else."""
WAITING_MAX = 32
"""Verifications that wait or run: at the limit the last waits about 0.6 s for one thread."""
WAITING_KNOWN_MAX = 40
"""The same for trusted devices: strangers cannot fill the queue for them."""
RETRY_AFTER_S = 1.0

_T = TypeVar("_T")


class SlowHasher:
    """Hashes and verifies secrets. Logins and API keys have one each, so that neither can starve the other."""

    def __init__(self, *, threads: int = THREADS, waiting_max: int = WAITING_MAX) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM, type=argon2.Type.ID
        )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._waiting_max = waiting_max
        self._waiting = 0
        # A real hash, so that it costs as much to verify as any other.
        self._dummy = self._argon2.hash(secrets.token_hex(16))

    async def hash(self, secret: str) -> str:
        """Hash a secret. Returns the PHC string. Raises UNAVAILABLE `too-many-logins` when the queue is full."""
        return await self._run(lambda: self._argon2.hash(secret))

    async def verify(self, stored: str | None, presented: str, *, is_known: bool = False) -> bool:
        """Whether the hash belongs to the secret; None is a dummy and never matches. Raises UNAVAILABLE as `hash` does.

        `is_known`: for a known client the queue is a little longer.
        """
        if len(presented) > PASSWORD_CHARS_MAX:
            presented, stored = "", None
        right = await self._run(lambda: self._verify(stored or self._dummy, presented), is_known=is_known)
        return right and stored is not None

    def require_place(self, *, is_known: bool = False) -> None:
        """Raise UNAVAILABLE `too-many-logins` if the queue is full, before work is done in vain."""
        if self._waiting >= self._waiting_max + (WAITING_KNOWN_MAX - WAITING_MAX if is_known else 0):
            raise too_many_logins()

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(stored)

    def close(self) -> None:
        """Release the threads; running work ends on its own within milliseconds."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str, presented: str) -> bool:
        try:
            return self._argon2.verify(stored, presented)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _run(self, work: Callable[[], _T], *, is_known: bool = False) -> _T:
        self.require_place(is_known=is_known)
        future = self._executor.submit(work)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        # Counted until it has run, not only until its caller gives up.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._finished) if not loop.is_closed() else None)
        return await asyncio.wrap_future(future)

    def _finished(self) -> None:
        self._waiting -= 1


def too_many_logins() -> DuoscopeError:
    """The error when secrets cannot be verified as fast as they come."""
    return unavailable(
        "Too many credentials are being verified; try again.", code="too-many-logins", retry_after_s=RETRY_AFTER_S
    )
