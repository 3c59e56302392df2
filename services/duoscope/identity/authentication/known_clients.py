"""Clients from which an account has logged in before: each keeps a signed mark in a cookie, bound to the account.

The mark does not authenticate. A client that sends it has its own failure count (throttle.py), so that others' guesses,
even from the same network, do not block the correct password. Only someone who knew the password can have a mark.
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
    """Makes and recognizes marks, in every process of the instance. `clock` counts seconds since 1970."""

    def __init__(self, keys: SecretKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys.derive("known-client")
        self._clock = clock

    def mark(self, account: str) -> str:
        """Make a mark for a client that has just logged in to the account."""
        day, client_id = str(int(self._clock() // _DAY_S)), secrets.token_urlsafe(16)
        return f"{day}.{client_id}.{_signature(self._keys[0], account, day, client_id)}"

    def identify(self, account: str, mark: str | None) -> str | None:
        """The id of the client with this mark. None without a mark, or for one that is forged, too old or of another
        account.
        """
        found = _MARK.fullmatch(mark or "")
        if found is None or not 0 <= self._clock() - int(found[1]) * _DAY_S < LIFETIME_S:
            return None
        is_ours = any(hmac.compare_digest(_signature(key, account, found[1], found[2]), found[3]) for key in self._keys)
        return found[2] if is_ours else None


def _signature(key: bytes, account: str, day: str, client_id: str) -> str:
    text = "\x00".join((account.replace("İ", "i").casefold(), day, client_id))
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
