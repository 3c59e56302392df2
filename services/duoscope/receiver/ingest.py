"""The way of an OTLP request, the same for every signal and transport.

Authenticate the key, check that it may send the signal, reserve memory, parse once to know that the bytes are sound,
wrap them, and wait until the INSERT has committed. Nothing here looks at single items: ClickHouse decodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import Counter

from duoscope.identity.api_keys import ApiKeyVerifier, IngestPrincipal
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.receiver.batching import Batcher, Budget
from duoscope.receiver.envelope import wrap
from duoscope.receiver.signals import Signal
from duoscope.stores.clickhouse import Inlet, TelemetryStore

_requests = Counter("duoscope_ingest_requests", "OTLP requests by outcome", ["signal", "outcome"])
_bytes = Counter("duoscope_ingest_request_bytes", "Bytes of accepted OTLP requests after decompression", ["signal"])

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request that was taken.

    Attributes:
        rejected: items that were left out; spans, log records or data points.
        message: why, in English, for the developer at the other end; empty when there is nothing to say.
    """

    rejected: int = 0
    message: str = ""


class Ingest:
    """What both transports hand their requests to. Make it inside the event loop that will serve."""

    def __init__(self, store: TelemetryStore, keys: ApiKeyVerifier) -> None:
        self._keys = keys
        self._budget = Budget()
        writer = store.ingest()
        self._batchers = {inlet: Batcher(writer, inlet) for inlet in Inlet}

    @property
    def budget(self) -> Budget:
        """The memory that a transport reserves while it reads; `accept` reserves for itself."""
        return self._budget

    async def authenticate(self, headers: Mapping[str, str], signal: Signal) -> IngestPrincipal:
        """Who sends, from `authorization: Bearer <key>` or `x-api-key: <key>`, header names in lower case.

        Raises:
            DuoscopeError: UNAUTHENTICATED without a key or with a wrong one, FORBIDDEN for a key without the signal,
                UNAVAILABLE while the key cannot be checked.
        """
        try:
            presented = _presented_key(headers)
            principal = self._keys.verify_cached(presented) or await self._keys.verify(presented)
            _require(principal, signal)
        except DuoscopeError as error:
            _requests.labels(signal.name, error.code).inc()
            raise
        return principal

    async def accept(self, principal: IngestPrincipal, signal: Signal, raw: bytes) -> Accepted:
        """Return when everything sound in `raw`, a serialized request of `signal`, is committed.

        Raises:
            DuoscopeError: INVALID for bytes that cannot be taken, UNAVAILABLE for now.
        """
        size = len(raw)
        try:
            self._budget.take(size)
            try:
                if signal.check(raw):
                    pieces = wrap(principal.scope, principal.retention_days, raw)
                    for inlet in signal.inlets(raw):
                        await self._batchers[inlet].submit(pieces)
            finally:
                self._budget.give_back(size)
        except DuoscopeError as error:
            _requests.labels(signal.name, error.code).inc()
            raise
        _requests.labels(signal.name, "accepted").inc()
        _bytes.labels(signal.name).inc(size)
        return Accepted()

    async def close(self) -> None:
        """Insert what waits; everything accepted is answered."""
        for batcher in self._batchers.values():
            await batcher.close()


def _require(principal: IngestPrincipal, signal: Signal) -> None:
    if signal.permission not in principal.signals:
        raise DuoscopeError(
            ErrorKind.FORBIDDEN,
            "signal-not-permitted",
            f"This API key may not send {signal.name}: it lacks the permission {signal.permission}.",
        )


def _presented_key(headers: Mapping[str, str]) -> str:
    if key := headers.get("x-api-key"):
        return key
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER and (key := authorization[len(_BEARER) :].strip()):
        return key
    raise DuoscopeError(
        ErrorKind.UNAUTHENTICATED,
        "api-key-missing",
        "No API key: send it as 'authorization: Bearer <api key>' or 'x-api-key: <api key>'.",
    )
