"""Answers requests that were taken before: by this receiver, in ClickHouse's ledger, or by another receiver."""

import asyncio
import logging

from prometheus_client import Counter

from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.receiver.decoder import Outcome
from duoscope.receiver.durability.inserter import Inserter
from duoscope.receiver.durability.known import KnownRequests
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.storing import Storing
from duoscope.receiver.requests import Request
from duoscope.receiver.status import disk_trouble, elsewhere
from duoscope.stores.clickhouse import IngestWriter

_log = logging.getLogger(__name__)

_again = Counter("duoscope_ingest_repeated_requests", "Requests stored before and not stored again", ["signal"])
_unasked = Counter("duoscope_ingest_unasked_requests", "Requests taken while the ledger could not be asked", ["signal"])


class Repeats:
    """Knows whom to ask whether a request was taken before."""

    def __init__(
        self,
        known: KnownRequests,
        storing: Storing,
        inserter: Inserter,
        writer: IngestWriter,
        claims: IngestLeases | None,
    ) -> None:
        """Create it; with `claims` if there may be other receivers."""
        self._known = known
        self._storing = storing
        self._inserter = inserter
        self._writer = writer
        self._claims = claims

    async def answered(self, requests: list[Request]) -> tuple[list[Request], bool]:
        """Answer requests that were taken before. Returns the others, and whether that is sure."""
        unknown, asked = await self._answer_known(requests)
        return await self._claimed(unknown), asked

    async def _answer_known(self, requests: list[Request]) -> tuple[list[Request], bool]:
        unknown: list[Request] = []
        for request in requests:
            if outcome := self._known.get(request.digest, request.received_ns):
                _repeat(request, outcome)
            elif request.key in self._storing.undecided:
                request.resolve(disk_trouble())
            else:
                unknown.append(request)
        if not unknown or (self._claims is None and self._known.covers(now_unix_nano())):
            return unknown, True
        if not self._inserter.is_away:
            try:
                return await self._answer_stored(unknown), True
            except (DuoscopeError, TimeoutError) as error:
                detail = error.detail if isinstance(error, DuoscopeError) else "no answer in time"
                _log.warning("cannot ask ClickHouse which requests it has: %s", detail)
        for request in unknown:
            _unasked.labels(request.signal.name).inc()
        return unknown, False

    async def _answer_stored(self, requests: list[Request]) -> list[Request]:
        """Answer the requests that the ledger has. Returns the others."""
        since_ns = min(request.received_ns for request in requests) - limits.INGEST_SAME_REQUEST_S * 1_000_000_000
        ask = [
            (str(request.principal.scope.workspace_id), str(request.principal.scope.tenant_id), request.digest)
            for request in requests
        ]
        async with asyncio.timeout(limits.INGEST_LEDGER_MAX_S):
            stored = await self._writer.stored(ask, since_ns=since_ns)
        unknown: list[Request] = []
        for request in requests:
            found = stored.get((str(request.principal.scope.tenant_id), request.digest))
            if found:
                _repeat(request, Outcome(*found[:3]))
            else:
                unknown.append(request)
        return unknown

    async def _claimed(self, requests: list[Request]) -> list[Request]:
        """The requests that no other receiver has; the others are answered."""
        if not requests or not self._claims:
            return requests
        others = await self._claims.take([request.key for request in requests])
        for request in requests:
            if outcome := others.get(request.key):
                _repeat(request, outcome)
            elif request.key in others:
                request.resolve(elsewhere())
        return [request for request in requests if request.key not in others]


def _repeat(request: Request, outcome: Outcome) -> None:
    _again.labels(request.signal.name).inc()
    request.resolve(outcome)
