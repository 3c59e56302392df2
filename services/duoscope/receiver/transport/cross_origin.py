"""OTLP/HTTP from web pages: what a browser asks before a page may send, and what lets the page read the answer.

This is the CORS protocol of the Fetch standard. A browser sends a preflight first, without the key, which is answered
from the origins that any key allows. The request itself is judged by its own key (`identity/api_keys/origins.py`). The
answer, also an error, may be read by pages that the key allows; where the key is unknown or refused, by those to whom
the preflight said yes. Cookies play no part, so `Access-Control-Allow-Credentials` is never sent.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter

from duoscope.identity.api_keys.origins import AllowedOrigins, may_read
from duoscope.identity.api_keys.verifier import IngestPrincipal
from duoscope.kernel.errors import DuoscopeError, ErrorKind

_preflights: Final = Counter("duoscope_ingest_preflights", "CORS preflights by answer", ["outcome"])

Headers = list[tuple[bytes, bytes]]

PREFLIGHT_AGE_S: Final = 7200
"""How long a browser need not ask again; Chromium's maximum. The key is judged at every request all the same."""
REQUEST_HEADERS: Final = (
    *("content-type", "content-encoding", "authorization", "x-api-key", "idempotency-key"),
    # Instrumentation adds these to every request of a page, also to the exporter's.
    *("traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid"),
    *("x-b3-sampled", "x-b3-flags", "uber-trace-id", "x-requested-with"),
)
_VARY: Final = (b"vary", b"origin")
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
    (b"access-control-max-age", str(PREFLIGHT_AGE_S).encode()),
]


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks what a page may send."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


class Asker:
    """The page, if any, that a request comes from.

    Attributes:
        principal: of the request's key, once it is accepted.
    """

    __slots__ = ("_origin", "_origins", "principal")

    def __init__(self, origins: AllowedOrigins, headers: Mapping[str, str]) -> None:
        self._origins = origins
        self._origin = headers.get("origin")
        self.principal: IngestPrincipal | None = None

    async def preflight(self) -> Headers:
        """The headers of the answer to a preflight.

        Raises:
            DuoscopeError: FORBIDDEN `origin-not-allowed` if no key of any tenant allows the page's origin.
        """
        if self._origin is None or not await self._origins.allows(self._origin):
            _preflights.labels("refused").inc()
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "origin-not-allowed",
                "No API key allows pages of this origin: name it in the allowed_origins of the key that they use.",
            )
        _preflights.labels("allowed").inc()
        return [*self._allowed(self._origin), *_PREFLIGHT]

    async def headers(self) -> Headers:
        """The headers that let the page read the answer, if it may; none if no page asks."""
        if self._origin is None:
            return []
        if self.principal is not None:
            may = may_read(self.principal, self._origin)
        else:
            may = await self._origins.allows(self._origin)
        return self._readable(self._origin) if may else [_VARY]

    def headers_at_once(self) -> Headers:
        """As `headers` before the key is known, from memory alone."""
        if self._origin is None:
            return []
        return self._readable(self._origin) if self._origins.knows(self._origin) else [_VARY]

    @staticmethod
    def _allowed(origin: str) -> Headers:
        return [(b"access-control-allow-origin", origin.encode("latin-1")), _VARY]

    def _readable(self, origin: str) -> Headers:
        return [*self._allowed(origin), (b"access-control-expose-headers", b"retry-after")]
