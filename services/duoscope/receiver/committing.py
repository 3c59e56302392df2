"""What becomes of a batch: decoded, written down, inserted, answered. Each step may fail without loss or doubling.

    requests -> stored before? answer   (this process remembers, the ledger in ClickHouse, or another receiver has it)
             -> decode                  (native; malformed requests are answered, bad items counted)
             -> journal                 (a file: from here on the death of the process changes nothing)
             -> INSERT a table, the ledger last, all under one token
             -> the file goes, the requests are answered

When ClickHouse does not commit in time the file is synced, the requests are answered all the same, and the spool
inserts it later, under the same token: the INSERT whose outcome nobody knows may still commit.
"""

import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client import Counter

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.kernel.ids import new_id
from duoscope.receiver.admission.tenant_series import TenantSeries, bounds_of
from duoscope.receiver.batching import Request
from duoscope.receiver.decoder import Decoder, Kind, MalformedError, Outcome, TooManyItemsError
from duoscope.receiver.durability.batch import Batch, Insert, Part
from duoscope.receiver.durability.inserter import Inserter
from duoscope.receiver.durability.journal import Journal
from duoscope.receiver.durability.known import KnownRequests
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.spool import Spool
from duoscope.receiver.signals import Signal
from duoscope.stores.clickhouse import CATALOGUES, LEDGER, IngestWriter, RejectedByStoreError

_log = logging.getLogger(__name__)

_items = Counter("duoscope_ingest_items", "Items of requests that were answered", ["signal", "outcome"])
_cut = Counter("duoscope_ingest_cut_items", "Items stored with less than was sent, at least so many", ["signal"])
_again = Counter("duoscope_ingest_repeated_requests", "Requests stored before and not stored again", ["signal"])
_unasked = Counter("duoscope_ingest_unasked_requests", "Requests taken while the ledger could not be asked", ["signal"])


class Committer:
    """Commits the batches of one signal."""

    def __init__(
        self,
        signal: Signal,
        writer: IngestWriter,
        inserter: Inserter,
        journal: Journal,
        spool: Spool,
        *,
        threads: ThreadPoolExecutor,
        claims: IngestLeases | None = None,
    ) -> None:
        """Create it; with `claims` if there may be other receivers."""
        self._claims = claims
        self._signal = signal
        self._writer = writer
        self._inserter = inserter
        self._journal = journal
        self._spool = spool
        self._threads = threads
        self._decoder = Decoder(signal.kind)
        self._decoding = asyncio.Lock()
        self._catalogue_due = 0.0
        self._recent = KnownRequests(limits.INGEST_RECENT_REQUESTS_MAX)
        self._late: set[asyncio.Task[Batch | None]] = set()
        self._series = TenantSeries() if signal.kind is Kind.METRICS else None

    async def commit(self, requests: list[Request]) -> None:
        """Resolve every request, one way or another."""
        try:
            unknown, asked = await self._answer_repeated(requests)
            fresh = await self._claimed(unknown)
            if fresh:
                await self._store(fresh, asked=asked)
        except Exception as error:  # noqa: BLE001 - whatever it was, every waiting request gets an answer
            if not isinstance(error, DuoscopeError):
                _log.exception("a batch of %s failed", self._signal.name)
            for request in requests:
                request.resolve(error)

    async def _answer_repeated(self, requests: list[Request]) -> tuple[list[Request], bool]:
        """Answer requests that are already stored. Returns the others, and whether ClickHouse was asked."""
        unknown: list[Request] = []
        for request in requests:
            key, at = _key(request), request.received_ns
            if outcome := self._recent.get(key, at) or self._spool.outcomes.get(key, at):
                self._repeat(request, outcome)
            elif key in self._spool.undecided:
                request.resolve(_disk_trouble())
            else:
                unknown.append(request)
        if unknown and not self._inserter.is_away:
            try:
                return await self._answer_stored(unknown), True
            except (DuoscopeError, TimeoutError) as error:
                detail = error.detail if isinstance(error, DuoscopeError) else "no answer in time"
                _log.warning("cannot ask ClickHouse which requests it has: %s", detail)
        _unasked.labels(self._signal.name).inc(len(unknown))
        return unknown, False

    async def _answer_stored(self, requests: list[Request]) -> list[Request]:
        """Answer the requests that the ledger has. Returns the others."""
        since_ns = min(request.received_ns for request in requests) - limits.INGEST_SAME_REQUEST_S * 1_000_000_000
        ask = [(*_place(request), request.digest) for request in requests]
        async with asyncio.timeout(limits.INGEST_LEDGER_MAX_S):
            stored = await self._writer.stored(ask, since_ns=since_ns)
        unknown: list[Request] = []
        for request in requests:
            found = stored.get((str(request.principal.scope.tenant_id), request.digest))
            if found:
                self._repeat(request, Outcome(*found[:3]))
            else:
                unknown.append(request)
        return unknown

    async def _claimed(self, requests: list[Request]) -> list[Request]:
        """The requests that no other receiver has; the others are answered."""
        if not requests or not self._claims:
            return requests
        others = await self._claims.take([_key(request) for request in requests])
        for request in requests:
            if outcome := others.get(_key(request)):
                self._repeat(request, outcome)
            elif _key(request) in others:
                request.resolve(_elsewhere())
        return [request for request in requests if _key(request) not in others]

    def _repeat(self, request: Request, outcome: Outcome) -> None:
        _again.labels(self._signal.name).inc()
        request.resolve(outcome)

    async def _store(self, requests: list[Request], *, asked: bool) -> None:
        loop = asyncio.get_running_loop()
        remaining: list[Request] = requests
        while remaining:
            async with self._decoding:
                decoded = await loop.run_in_executor(self._threads, self._decode, remaining)
            taken, remaining = remaining[: len(decoded.outcomes)], remaining[len(decoded.outcomes) :]
            sound: list[tuple[Request, Outcome]] = []
            unrecorded: list[Request] = []
            for request, outcome in zip(taken, decoded.outcomes, strict=True):
                if isinstance(outcome, Outcome):
                    sound.append((request, outcome))
                else:
                    request.resolve(outcome)
                if not isinstance(outcome, Outcome) or not outcome.items:
                    unrecorded.append(request)
            await self._release(unrecorded)
            stored: Batch | None = None
            try:
                stored = await self._insert(decoded.batch, asked=asked) if decoded.batch else None
            except DuoscopeError as error:
                self._catalogue_due = 0.0  # the catalogue's rows went with the batch
                await self._release([request for request, _ in sound if _key(request) not in self._spool.undecided])
                for request, _ in sound:
                    request.resolve(error)
                continue
            self._answer(_as_stored(sound, stored))

    async def _release(self, requests: list[Request]) -> None:
        if requests and self._claims:
            await self._claims.release([_key(request) for request in requests])

    def _answer(self, sound: list[tuple[Request, Outcome]]) -> None:
        for request, outcome in sound:
            self._recent.add(_key(request), request.received_ns, outcome)
            _items.labels(self._signal.name, "stored").inc(outcome.stored)
            _items.labels(self._signal.name, "rejected").inc(sum(outcome.rejected.values()))
            _cut.labels(self._signal.name).inc(max(outcome.cut.values(), default=0))
            request.resolve(outcome)

    def _decode(self, requests: list[Request]) -> "_Decoded":
        """Decode as many requests as one batch may hold, at least the first."""
        if time.monotonic() >= self._catalogue_due:
            self._catalogue_due = time.monotonic() + limits.INGEST_CATALOGUE_PERIOD_S
            self._decoder.forget()
        outcomes: list[Outcome | DuoscopeError] = []
        parts: list[tuple[Request, Part]] = []
        try:
            rows = self._decoder.rows()
            for request in requests:
                if sum(rows.values()) > limits.INGEST_BATCH_ROWS_MAX:
                    break
                outcome = self._decode_one(request)
                outcomes.append(outcome)
                before, rows = rows, self._decoder.rows()
                if isinstance(outcome, Outcome) and outcome.items:
                    own = {t: (before[t], end) for t, end in rows.items() if t not in CATALOGUES and end > before[t]}
                    parts.append((request, Part(*_place(request), request.digest, outcome, own)))
            inserts = [Insert(block.table, "Native", block.native) for block in self._decoder.blocks()]
        finally:
            self._decoder.clear()
        if not parts:
            return _Decoded(outcomes, None)
        lines = "\n".join(json.dumps(self._entry(request, part.outcome)) for request, part in parts)
        inserts.append(Insert(LEDGER, "JSONEachRow", lines.encode()))
        received_ns = min(request.received_ns for request, _ in parts)
        return _Decoded(outcomes, Batch(new_id().hex, received_ns, tuple(part for _, part in parts), tuple(inserts)))

    def _decode_one(self, request: Request) -> Outcome | DuoscopeError:
        try:
            return self._decoder.add(
                request.raw,
                request.principal.scope,
                request.principal.retention_days,
                now_ns=request.received_ns,
                bounds=bounds_of(request.applied),
                series=self._series and self._series.of(request.principal.scope.tenant_id),
            )
        except MalformedError:
            return self._signal.malformed()
        except TooManyItemsError:
            return self._signal.too_many_items()
        except MemoryError:
            return _no_memory()

    def _entry(self, request: Request, outcome: Outcome) -> dict[str, object]:
        scope = request.principal.scope
        return {
            "organization_id": str(scope.organization_id),
            "workspace_id": str(scope.workspace_id),
            "tenant_id": str(scope.tenant_id),
            "digest": request.digest,
            # An integer would be taken for seconds.
            "received_at": f"{request.received_ns / 1e9:.3f}",
            "signal": self._signal.name,
            "api_key_id": str(request.principal.api_key_id),
            "bytes": len(request.raw),
            "items": outcome.items,
            "stored": outcome.stored,
            "rejected": outcome.reasons,
        }

    async def _insert(self, batch: Batch, *, asked: bool) -> Batch:
        """Commit the batch to ClickHouse or to the disk. The returned batch may be acknowledged.

        If the ledger was not `asked`, the batch may contain what is already stored: the spool asks before it inserts
        anything.
        """
        loop = asyncio.get_running_loop()
        try:
            path = await loop.run_in_executor(self._threads, self._journal.write, batch)
        except OSError as error:
            _log.error("cannot write a batch to disk: %s", error)
            raise _disk_trouble() from error
        if self._inserter.is_away or not asked:
            await self._keep(path, batch)
            return batch
        inserting = asyncio.create_task(self._try_to_insert(path, batch), name="insert a batch")
        done, _ = await asyncio.wait({inserting}, timeout=limits.INGEST_COMMIT_MAX_S)
        if not done:
            # The outcome of this INSERT is unknown. It continues, and the spool repeats it.
            _log.warning("a batch of %s takes too long to store; it goes to disk", self._signal.name)
            self._late.add(inserting)
            inserting.add_done_callback(self._late.discard)
        elif stored := inserting.result():
            return stored
        await self._keep(path, batch)
        return batch

    async def _try_to_insert(self, path: Path, batch: Batch) -> Batch | None:
        """The result of the batch, if nothing more is needed: it is stored, or set aside."""
        for pause_s in (*limits.INGEST_INSERT_RETRY_PAUSES_S, None):
            try:
                stored = await self._inserter.insert(batch)
            except DuoscopeError as error:
                _log.warning("a batch of %s is not stored yet: %s", self._signal.name, error.detail or error.message)
                if pause_s is None or self._inserter.is_away:
                    return None
                await asyncio.sleep(pause_s)
            except RejectedByStoreError as error:
                await self._set_aside(path, batch, str(error))
                return batch
            except Exception:  # noqa: BLE001 - it may have come far; the spool goes on under the same token
                _log.exception("a batch of %s is not stored yet", self._signal.name)
                return None
            else:
                # By its first name: a batch that took too long has another by now, and the spool handles it.
                self._journal.remove(path)
                return stored
        return None

    async def _set_aside(self, path: Path, batch: Batch, why: str) -> None:
        try:
            await self._spool.set_aside(path, why)
        except OSError:
            await self._keep(path, batch)

    async def _keep(self, path: Path, batch: Batch) -> None:
        try:
            await self._spool.keep(path, batch)
        except FileNotFoundError:
            return  # the INSERT that took too long has committed just now
        except OSError as error:
            _log.error("cannot sync a batch to disk: %s", error)
            raise _disk_trouble() from error


class _Decoded:
    """A batch, if any request was valid, and the answer to each request."""

    __slots__ = ("batch", "outcomes")

    def __init__(self, outcomes: list[Outcome | DuoscopeError], batch: Batch | None) -> None:
        self.outcomes = outcomes
        self.batch = batch


def _as_stored(sound: "list[tuple[Request, Outcome]]", stored: Batch | None) -> "list[tuple[Request, Outcome]]":
    """The requests with their outcomes where the store judged otherwise than the decoder."""
    judged = {part.key: part.outcome for part in stored.parts} if stored else dict[str, Outcome]()
    return [(request, judged.get(_key(request), outcome)) for request, outcome in sound]


def _place(request: Request) -> tuple[str, str]:
    scope = request.principal.scope
    return str(scope.workspace_id), str(scope.tenant_id)


def _key(request: Request) -> str:
    """The key of a request, as `Part.key`."""
    return f"{request.principal.scope.tenant_id}/{request.digest}"


def _no_memory() -> DuoscopeError:
    return unavailable(
        "The receiver has no memory for this request now; send it again.",
        code="receiver-busy",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
    )


def _elsewhere() -> DuoscopeError:
    return unavailable(
        "Another receiver is storing the same request; send it again shortly.",
        code="request-elsewhere",
        retry_after_s=limits.INGEST_RETRY_AFTER_S,
    )


def _disk_trouble() -> DuoscopeError:
    return unavailable(
        "The receiver cannot write to its disk; send the same request again later.",
        code="spool-unavailable",
        retry_after_s=limits.INGEST_SPOOL_RETRY_AFTER_S,
    )
