"""Clients that an account signed in from before: a mark that each keeps in a cookie, signed, bound to the account.

It signs nobody in. Whoever shows it is counted by itself (throttle.py), so that guesses of others, even from the same
network, do not stand in the way of the right password. To have one, somebody must have known the password.
"""

import base64
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import Final

from duoscope.secrets.keys import SecretKeys

LIFETIME_S: Final = 90 * 24 * 3600
_DAY_S: Final = 24 * 3600
_MARK: Final = re.compile(r"([0-9]{1,8})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")


class KnownClients:
    """Makes marks and knows them again, in every process of the instance. `clock` counts seconds since 1970."""

    def __init__(self, keys: SecretKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys.derive("known-client")
        self._clock = clock

    def mark(self, account: str) -> str:
        """A new one, for whoever has just signed in to the account."""
        day, client_id = str(int(self._clock() // _DAY_S)), secrets.token_urlsafe(16)
        return f"{day}.{client_id}.{_signature(self._keys[0], account, day, client_id)}"

    def identify(self, account: str, mark: str | None) -> str | None:
        """The id of the client that has the mark; None for none, one of another account, too old or made up."""
        found = _MARK.fullmatch(mark or "")
        if found is None or not 0 <= self._clock() - int(found[1]) * _DAY_S < LIFETIME_S:
            return None
        is_ours = any(hmac.compare_digest(_signature(key, account, found[1], found[2]), found[3]) for key in self._keys)
        return found[2] if is_ours else None


def _signature(key: bytes, account: str, day: str, client_id: str) -> str:
    text = "\x00".join((account.replace("İ", "i").casefold(), day, client_id))
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
