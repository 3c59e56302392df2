"""API keys in web pages: from which origins a key may be used, and which origins any key allows.

`Origin` is a header that browsers set and other programs choose: it authenticates nobody. It keeps a key that was
copied from one page from working in another page, and it tells a browser whether a page may send here and read the
answer. What a stranger can do with a key that a page shows is bounded by the key itself: it only sends, at a limited
rate.

A browser asks before it sends (a preflight), without the key. That is answered from the origins of all keys that work,
which every process keeps in memory.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from typing import Final

from duoscope.identity.api_keys.entries import IngestPrincipal
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import api_keys
from duoscope.net.origins import is_among
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)

RELOAD_S: Final = 30.0
"""How old the known origins may become. A notification of a change makes them due at once."""
LOAD_TIMEOUT_S: Final = 5.0
LOAD_RETRY_S: Final = 5.0
"""How long to answer from what is known after PostgreSQL did not say."""

_ACROSS = PlatformScope(reason="a preflight carries no key, and so names no tenant")


class WrongOriginError(DuoscopeError):
    """The key is valid, but may not be used by a page of this origin, or by none."""

    def __init__(self, principal: IngestPrincipal, code: str, text: str) -> None:
        super().__init__(ErrorKind.FORBIDDEN, code, text)
        self.principal = principal


def require_origin(principal: IngestPrincipal, origin: str | None) -> None:
    """Check that a key may be used from where it was sent. A key without origins may be used from everywhere.

    Args:
        principal: the key's.
        origin: the request's `Origin`; None if it has none, as over gRPC and from everything but browsers.

    Raises:
        WrongOriginError: FORBIDDEN `origin-not-allowed`, or `origin-missing` for a key that is for browsers only.
    """
    if not principal.allowed_origins or (origin is not None and is_among(origin, principal.allowed_origins)):
        return
    if origin is not None:
        text = "This API key may not be used by pages of your origin; its allowed_origins name others."
        raise WrongOriginError(principal, "origin-not-allowed", text)
    if principal.is_browser_only:
        text = (
            "This API key is for browsers only, which send an Origin over OTLP/HTTP; "
            "make another key for collectors and servers."
        )
        raise WrongOriginError(principal, "origin-missing", text)


def may_read(principal: IngestPrincipal, origin: str) -> bool:
    """Whether a page of `origin` may read what is answered to the key."""
    return is_among(origin, principal.allowed_origins)


class AllowedOrigins:
    """The origins that any key which works allows, of all tenants. Safe for concurrent use within one event loop."""

    def __init__(self, store: MetadataStore, clock: Callable[[], float]) -> None:
        """Create it empty; the first question loads it. `clock` counts seconds and never goes back."""
        self._store = store
        self._clock = clock
        self._known: frozenset[str] = frozenset()
        self._due_at = -math.inf
        self._loading = asyncio.Lock()
        self._notices = 0

    def assume(self, origins: Iterable[str]) -> None:
        """Take what was known before a restart, until PostgreSQL answers."""
        self._known |= frozenset(origins)

    def doubt(self) -> None:
        """Ask PostgreSQL before the next answer, because a key changed."""
        self._notices += 1
        self._due_at = -math.inf

    async def allows(self, origin: str) -> bool:
        """Whether any key allows pages of `origin`, as a browser sent it.

        What is due is loaded once for all that ask meanwhile; of these, known origins do not wait. While PostgreSQL is
        down, what was known last counts.
        """
        if self._clock() >= self._due_at and not (self._loading.locked() and self.knows(origin)):
            async with self._loading:
                if self._clock() >= self._due_at:
                    await self._load()
        return self.knows(origin)

    def knows(self, origin: str) -> bool:
        """As `allows`, from memory alone."""
        return is_among(origin, self._known)

    async def _load(self) -> None:
        before = self._notices
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S), self._store.open_platform(_ACROSS, "api_keys.origins") as tx:
                self._known = await api_keys.find_allowed_origins(tx)
            pause_s = RELOAD_S
        except (DuoscopeError, TimeoutError) as error:
            _log.warning("the origins that API keys allow are not known anew", extra={"detail": str(error)})
            pause_s = LOAD_RETRY_S
        if before == self._notices:
            self._due_at = self._clock() + pause_s
