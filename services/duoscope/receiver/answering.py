"""Records the answer to a request with a known key: in the metrics, the key's usage log, and the tenant's
rejections.
"""

from types import TracebackType
from typing import Final, Self

from prometheus_client import Counter

from duoscope.identity.api_keys.verifier import ApiKeyVerifier, IngestPrincipal
from duoscope.kernel.errors import DuoscopeError
from duoscope.net.bodies import GoneError
from duoscope.receiver.refusals import RejectionCounter
from duoscope.receiver.signals import Signal
from duoscope.receiver.status import STATUSES, unexpected

requests: Final = Counter("duoscope_ingest_requests", "OTLP requests by outcome", ["signal", "outcome"])

CLIENT_GONE: Final = 499
"""The status in the usage log when the client disconnected first; the same as in nginx."""


class RequestOutcome:
    """A context around everything that may answer a request: what leaves it is the transport's answer."""

    __slots__ = ("_address", "_endpoint", "_keys", "_principal", "_refusals", "_signal")

    def __init__(  # noqa: PLR0917 - who, what, and where it is noted
        self,
        keys: ApiKeyVerifier,
        refusals: RejectionCounter,
        principal: IngestPrincipal,
        signal: Signal,
        address: str | None,
        endpoint: str,
    ) -> None:
        self._keys = keys
        self._refusals = refusals
        self._principal = principal
        self._signal = signal
        self._address = address
        self._endpoint = endpoint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            status, outcome = 200, "accepted"
        elif isinstance(error, GoneError) or not isinstance(error, Exception):
            status, outcome = CLIENT_GONE, "client-gone"
        else:
            told = error if isinstance(error, DuoscopeError) else unexpected()
            status, outcome = STATUSES[told.kind][1], told.code
            self._refusals.count(self._principal, self._signal, outcome)
        requests.labels(self._signal.name, outcome).inc()
        self._keys.count(self._principal, self._endpoint, self._address, status)
