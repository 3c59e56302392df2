"""Recognizes retries, of requests whose items have exact times and of those whose items do not.

A request is identified by its bytes. If an item of it has a time with a fraction of a second, or is a span, the same
bytes are the same items, whenever they come. Otherwise two events that look alike are as likely as a retry, and the
second must not be dropped. Then it matters whether the first was answered: a sender that got a success does not send
again. So such a request gets an identity of its own, which the same bytes inherit only while nobody got a success.
"""

import time
from collections import OrderedDict

import xxhash

from duoscope.kernel import limits
from duoscope.kernel.ids import new_id


class Unheard:
    """Attempts at undated requests whose senders did not get a success. Safe within one event loop."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._latest: dict[str, list[str]] = {}

    def identity(self, digest: str) -> str:
        """The identity for a request with this digest: that of an unheard attempt, which it repeats, or a new one."""
        self._forget()
        known = self._latest.get(digest)
        if not known:
            return xxhash.xxh3_128_hexdigest(digest.encode() + new_id().bytes)
        found = known[0]
        self._drop(digest, found)
        return found

    def keep(self, digest: str, identity: str) -> None:
        """Record that the sender of this attempt got no answer, or a failure."""
        self._attempts[digest, identity] = time.monotonic() + limits.INGEST_SAME_REQUEST_S
        self._latest.setdefault(digest, []).append(identity)
        while len(self._attempts) > limits.INGEST_RECENT_REQUESTS_MAX:
            self._drop(*next(iter(self._attempts)))

    def _forget(self) -> None:
        while self._attempts:
            oldest, until = next(iter(self._attempts.items()))
            if until > time.monotonic():
                return
            self._drop(*oldest)

    def _drop(self, digest: str, identity: str) -> None:
        del self._attempts[digest, identity]
        known = self._latest[digest]
        known.remove(identity)
        if not known:
            del self._latest[digest]
