"""What becomes of a batch: decoded, written down, inserted, answered. Each step may fail without loss or doubling.

    requests -> stored before? answer   (this process remembers, or the ledger in ClickHouse)
             -> decode                  (native; malformed requests are answered, bad items counted)
             -> journal                 (a file: from here on the death of the process changes nothing)
             -> INSERT a table, the ledger last, all under one token
             -> the file goes, the requests are answered

While ClickHouse is away the file is synced, the requests are answered all the same, and the spool inserts it later.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client import Counter

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.kernel.ids import new_id
from duoscope.receiver.batching import Request
from duoscope.receiver.decoder import Decoder, Kind, MalformedError, Outcome, TooManyItemsError
from duoscope.receiver.journal import Batch, Insert, Journal
from duoscope.receiver.signals import Signal
from duoscope.receiver.spool import Spool
from duoscope.receiver.tenant_series import TenantSeries, bounds_of
from duoscope.stores.clickhouse import IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_items = Counter("duoscope_ingest_items", "Items of requests that were answered", ["signal", "outcome"])
_again = Counter("duoscope_ingest_repeated_requests", "Requests stored before and not stored again", ["signal"])


class Recent:
    """What became of the last requests, by digest. Bounded: the ledger knows the others."""

    def __init__(self, entries_max: int = limits.INGEST_RECENT_REQUESTS_MAX) -> None:
        self._entries_max = entries_max
        self._outcomes: OrderedDict[str, tuple[int, Outcome]] = OrderedDict()

    def add(self, request: Request, outcome: Outcome) -> None:
        """Remember a request that is stored."""
        self._outcomes[request.digest] = (request.received_ns, outcome)
        if len(self._outcomes) > self._entries_max:
            self._outcomes.popitem(last=False)

    def get(self, request: Request) -> Outcome | None:
        """What became of the same request within the window in which a repetition is a retry."""
        found = self._outcomes.get(request.digest)
        if found is None or request.received_ns - found[0] > limits.INGEST_SAME_REQUEST_S * 1_000_000_000:
            return None
        return found[1]


class Committer:
    """Commits the batches of one signal."""

    def __init__(
        self, signal: Signal, writer: IngestWriter, journal: Journal, spool: Spool, threads: ThreadPoolExecutor
    ) -> None:
        self._signal = signal
        self._writer = writer
        self._journal = journal
        self._spool = spool
        self._threads = threads
        self._decoder = Decoder(signal.kind)
        self._decoding = asyncio.Lock()
        self._catalogue_due = 0.0
        self._recent = Recent()
        self._series = TenantSeries() if signal.kind is Kind.METRICS else None

    async def commit(self, requests: list[Request]) -> None:
        """Resolve every request, one way or another."""
        try:
            fresh = await self._answer_repeated(requests)
            if fresh:
                await self._store(fresh)
        except Exception as error:  # noqa: BLE001 - whatever it was, every waiting request gets an answer
            if not isinstance(error, DuoscopeError):
                _log.exception("a batch of %s failed", self._signal.name)
            for request in requests:
                request.resolve(error)

    async def _answer_repeated(self, requests: list[Request]) -> list[Request]:
        unknown: list[Request] = []
        for request in requests:
            outcome = self._recent.get(request) or self._spool.outcomes.get(request.digest)
            if outcome:
                self._repeat(request, outcome)
            else:
                unknown.append(request)
        if not unknown or self._spool.away:
            return unknown
        try:
            stored = await self._writer.stored([(r.principal.scope, r.digest) for r in unknown])
        except DuoscopeError as error:
            _log.warning("cannot ask ClickHouse which requests it has: %s", error.detail or error.message)
            return unknown
        for request in unknown:
            if request.digest in stored:
                items, kept, rejected = stored[request.digest]
                self._repeat(request, Outcome(items, kept, rejected))
        return [request for request in unknown if request.digest not in stored]

    def _repeat(self, request: Request, outcome: Outcome) -> None:
        _again.labels(self._signal.name).inc()
        request.resolve(outcome)

    async def _store(self, requests: list[Request]) -> None:
        loop = asyncio.get_running_loop()
        async with self._decoding:
            decoded = await loop.run_in_executor(self._threads, self._decode, requests)
        sound: list[tuple[Request, Outcome]] = []
        for request, outcome in zip(requests, decoded.outcomes, strict=True):
            if isinstance(outcome, Outcome):
                sound.append((request, outcome))
            else:
                request.resolve(outcome)
        if decoded.batch:
            await self._insert(decoded.batch)
        for request, outcome in sound:
            self._recent.add(request, outcome)
            _items.labels(self._signal.name, "stored").inc(outcome.stored)
            _items.labels(self._signal.name, "rejected").inc(sum(outcome.rejected.values()))
            request.resolve(outcome)

    def _decode(self, requests: list[Request]) -> "_Decoded":
        if time.monotonic() >= self._catalogue_due:
            self._catalogue_due = time.monotonic() + limits.INGEST_CATALOGUE_PERIOD_S
            self._decoder.forget()
        outcomes: list[Outcome | DuoscopeError] = []
        for request in requests:
            try:
                outcomes.append(
                    self._decoder.add(
                        request.raw,
                        request.principal.scope,
                        request.principal.retention_days,
                        now_ns=request.received_ns,
                        bounds=bounds_of(request.applied),
                        series=self._series and self._series.of(request.principal.scope.tenant_id),
                    )
                )
            except MalformedError:
                outcomes.append(self._signal.malformed())
            except TooManyItemsError:
                outcomes.append(self._signal.too_many_items())
            except MemoryError:
                outcomes.append(_no_memory())
        inserts = [Insert(block.table, "Native", block.native) for block in self._decoder.blocks()]
        self._decoder.clear()
        ledger = [(r, o) for r, o in zip(requests, outcomes, strict=True) if isinstance(o, Outcome) and o.items]
        if not ledger:
            return _Decoded(outcomes, None)
        lines = "\n".join(json.dumps(self._entry(request, outcome)) for request, outcome in ledger)
        inserts.append(Insert("ingest_ledger", "JSONEachRow", lines.encode()))
        batch = Batch(new_id().hex, tuple(inserts), {request.digest: outcome for request, outcome in ledger})
        return _Decoded(outcomes, batch)

    def _entry(self, request: Request, outcome: Outcome) -> dict[str, object]:
        scope = request.principal.scope
        return {
            "organization_id": str(scope.organization_id),
            "workspace_id": str(scope.workspace_id),
            "tenant_id": str(scope.tenant_id),
            "digest": request.digest,
            # A whole number would be taken for seconds.
            "received_at": f"{request.received_ns / 1e9:.3f}",
            "signal": self._signal.name,
            "api_key_id": str(request.principal.api_key_id),
            "bytes": len(request.raw),
            "items": outcome.items,
            "stored": outcome.stored,
            "rejected": outcome.rejected,
        }

    async def _insert(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        try:
            path = await loop.run_in_executor(self._threads, self._journal.write, batch)
        except OSError as error:
            _log.error("cannot write a batch to disk: %s", error)
            raise _disk_trouble() from error
        if self._spool.away:
            await self._keep(path, batch)
            return
        for pause_s in (*limits.INGEST_INSERT_RETRY_PAUSES_S, None):
            try:
                await self._spool.insert(batch)
            except DuoscopeError as error:
                _log.warning("a batch of %s is not stored yet: %s", self._signal.name, error.detail or error.message)
                if pause_s is None:
                    await self._keep(path, batch)
                    return
                await asyncio.sleep(pause_s)
            except RejectedByStoreError as error:
                await self._spool.set_aside(path, str(error))
                return
            else:
                self._journal.remove(path)
                return

    async def _keep(self, path: Path, batch: Batch) -> None:
        try:
            await self._spool.keep(path, batch)
        except OSError as error:
            _log.error("cannot sync a batch to disk: %s", error)
            raise _disk_trouble() from error


class _Decoded:
    """A batch, where any request was sound, and what to answer each request."""

    __slots__ = ("batch", "outcomes")

    def __init__(self, outcomes: list[Outcome | DuoscopeError], batch: Batch | None) -> None:
        self.outcomes = outcomes
        self.batch = batch


def _no_memory() -> DuoscopeError:
    return unavailable(
        "The receiver has no memory for this request now; send it again.",
        code="receiver-busy",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
    )


def _disk_trouble() -> DuoscopeError:
    return unavailable(
        "The receiver cannot write to its disk; send the same request again later.",
        code="spool-unavailable",
        retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
    )
