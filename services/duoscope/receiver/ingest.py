"""The path of an OTLP request, the same for every signal and transport.

Authenticate the key, check that it may send the signal, reserve memory, and wait until the request is in the log on the
disk. Python never looks at single items: the native decoder does. A request that equals a waiting one gets the same
answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import xxhash
from prometheus_client import Counter

from duoscope.background.driver import Driver, Running
from duoscope.identity.api_keys.origins import AllowedOrigins, WrongOriginError, require_origin
from duoscope.identity.api_keys.verifier import OTLP, ApiKeyVerifier, IngestPrincipal, WrongAddressError
from duoscope.kernel import limits
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.receiver import answering
from duoscope.receiver.admission.limits import Admission, InFlightRequest
from duoscope.receiver.admission.memory import Budget
from duoscope.receiver.answering import RequestOutcome
from duoscope.receiver.appending import Acknowledge, Appender
from duoscope.receiver.decoder import Kind, MalformedError, Outcome, count_items, is_dated
from duoscope.receiver.durability.inserter import Inserter
from duoscope.receiver.durability.known import KnownRequests
from duoscope.receiver.durability.leases import IngestLeases
from duoscope.receiver.durability.request_log import RequestLog
from duoscope.receiver.durability.retries import Unheard
from duoscope.receiver.durability.storing import Storing
from duoscope.receiver.refusals import RejectionCounter
from duoscope.receiver.requests import Request
from duoscope.receiver.signals import Signal
from duoscope.receiver.status import STATUSES, Accepted
from duoscope.stores.clickhouse import TelemetryStore
from duoscope.telemetry.usage.reasons import explanation

_log = logging.getLogger(__name__)
_bytes = Counter("duoscope_ingest_request_bytes", "Bytes of accepted OTLP requests after decompression", ["signal"])

_T = TypeVar("_T")

_BEARER = "bearer "

_COUNTED_INLINE_BYTES_MAX: Final = 1024 * 1024
"""Larger requests are counted in a thread; this size takes 50 us."""


async def _stays() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a request, as far as the transport knows.

    Attributes:
        key: the request's name, from the header `idempotency-key`: the same name and bytes are the same request, and
            another name is another one. Empty without.
        is_gone: whether the client has disconnected.
    """

    key: str = ""
    is_gone: Callable[[], Awaitable[bool]] = _stays


_SOMEONE: Final = Sender()
IDEMPOTENCY_KEY: Final = "idempotency-key"


class Ingest:
    """Takes the requests of both transports. Create it inside the event loop that will serve."""

    def __init__(
        self,
        store: TelemetryStore,
        keys: ApiKeyVerifier,
        log: RequestLog,
        defaults: IngestLimits | None = None,
        claims: IngestLeases | None = None,
        *,
        driver: Driver,
        acknowledge: Acknowledge = "stored",
        sync_store: Callable[[], None] | None = None,
        readers_wait: bool = False,
        receivers: Callable[[], int] = lambda: 1,
    ) -> None:
        """`defaults` hold for tenants that have no limits of their own.

        Where there may be other receivers: `claims`, and `receivers` to say how many there are. `driver` is the
        process's. `acknowledge` says when requests are answered: once they are on the disk, or in ClickHouse.
        `sync_store` is that of `Inserter`, `readers_wait` that of `Appender`.
        """
        self._driver = driver
        self._claims = claims
        self._jobs: list[Running] = []
        self._keys = keys
        self._budget = Budget()
        self._admission = Admission(self._budget, defaults or IngestLimits(), receivers=receivers)
        self._log = log
        self._writer = store.ingest()
        self._inserter = Inserter(self._writer, sync_store)
        self._known = KnownRequests()
        self._storing = Storing(log, self._inserter, self._writer, self._known, claims)
        self._refusals = RejectionCounter(self._writer, lambda: self._inserter.is_away)
        self._threads = ThreadPoolExecutor(limits.INGEST_DECODE_THREADS_MAX, thread_name_prefix="decode")
        self._appender = Appender(
            log,
            self._storing,
            self._known,
            self._inserter,
            self._writer,
            threads=self._threads,
            driver=driver,
            acknowledge=acknowledge,
            claims=claims,
            readers_wait=readers_wait,
        )
        self._waiting: dict[str, Request] = {}
        self._unheard = Unheard()

    async def start(self) -> None:
        """Load what is known of earlier requests, before the first one."""
        if not self._claims:
            await self._learn()
        await self._storing.start(self._driver)
        self._refusals.start(self._driver)
        if self._claims:
            self._jobs.append(self._claims.start(self._driver))

    async def _learn(self) -> None:
        """Learn from the ledger which requests were stored lately, so that it need not be asked again."""
        now = now_unix_nano()
        since = now - limits.INGEST_SAME_REQUEST_S * 1_000_000_000
        try:
            found = await self._writer.stored_since(since, limits.INGEST_KNOWN_REQUESTS_MAX)
        except DuoscopeError as error:
            _log.warning("cannot learn from ClickHouse which requests it has: %s", error.detail or error.message)
            self._known.complete_from(now)
            return
        for digest, received_ms, outcome in found:
            self._known.add(digest, received_ms * 1_000_000, Outcome(*outcome))
        is_all = len(found) < limits.INGEST_KNOWN_REQUESTS_MAX
        self._known.complete_from(since if is_all else found[0][1] * 1_000_000)

    async def ready(self) -> None:
        """Raise UNAVAILABLE, with what waits, while telemetry stays on the disk because the store is down."""
        await self._storing.ready()

    def waiting_since(self) -> datetime | None:
        """The time when the oldest request came that is on the disk, and not in ClickHouse; None if none is."""
        return self._storing.waiting_since()

    async def settled(self, tenant_id: UUID) -> None:
        """Wait, not long, until the requests that the tenant got answers for can be read."""
        await self._appender.settled(tenant_id)

    def background_problems(self) -> list[str]:
        """A sentence for each failing background job; requests are accepted nevertheless."""
        return self._driver.problems()

    @property
    def budget(self) -> Budget:
        """The memory for requests, over all tenants."""
        return self._budget

    @property
    def origins(self) -> AllowedOrigins:
        """The origins of pages that any key allows."""
        return self._keys.origins

    async def authenticate(
        self, headers: Mapping[str, str], signal: Signal, address: str | None = None, endpoint: str = OTLP
    ) -> IngestPrincipal:
        """The principal of `authorization: Bearer <key>` or `x-api-key: <key>`, with header names in lower case.

        Args:
            headers: of the request; for gRPC, its metadata.
            signal: the signal.
            address: the client's, numeric; if unknown, keys with allowed addresses are refused.
            endpoint: method and path, for the key's usage log.

        Raises:
            DuoscopeError: UNAUTHENTICATED without a key or with a wrong one, FORBIDDEN for a key that is not allowed
                from the address or from a page of the `origin`, UNAVAILABLE while the key cannot be checked.
        """
        try:
            presented = _presented_key(headers)
            principal = self._keys.verify_cached(presented, address)
            principal = principal or await self._keys.verify(presented, address, endpoint)
            require_origin(principal, headers.get("origin"))
        except DuoscopeError as error:
            if isinstance(error, WrongOriginError):
                self._keys.count(error.principal, endpoint, address, STATUSES[error.kind][1])
            if isinstance(error, (WrongAddressError, WrongOriginError)):
                self._refusals.count(error.principal, signal, error.code)
            answering.requests.labels(signal.name, error.code).inc()
            raise
        return principal

    def answering(
        self, principal: IngestPrincipal, signal: Signal, address: str | None = None, endpoint: str = OTLP
    ) -> RequestOutcome:
        """A context for everything after `authenticate`, with the same arguments: it records the answer."""
        return RequestOutcome(self._keys, self._refusals, principal, signal, address, endpoint)

    def enter(self, principal: IngestPrincipal, signal: Signal) -> InFlightRequest:
        """Admit a request to be read. The result is a context that ends with the answer.

        The transport reserves memory with it while it reads, and settles it before `accept`, which reserves and charges
        for itself.

        Raises:
            DuoscopeError: FORBIDDEN: the key may not send the signal. RATE_LIMITED: its tenant or key has used up a
                limit for now.
        """
        _require(principal, signal)
        return self._admission.enter(principal)

    async def accept(
        self, principal: IngestPrincipal, signal: Signal, raw: bytes, sender: Sender = _SOMEONE
    ) -> Accepted:
        """Return when all valid items in `raw`, a serialized request of `signal`, are on the disk, or stored.

        `sender` distinguishes a retry from a new event if the items do not: see durability/retries.py.

        Raises:
            DuoscopeError: INVALID for bytes that cannot be accepted, RATE_LIMITED or UNAVAILABLE for now, TOO_LARGE for
                more than the tenant may ever send at once.
        """
        if not raw:
            return Accepted()
        size = len(raw)
        self._storing.admit()
        room = self._admission.room(principal)
        room.take(size)
        held: Request | None = None
        unheard = digest = ""
        try:
            items = await self._count(signal, raw)
            self._admission.charge(principal, items, size)
            digest = _digest(principal, signal, raw, sender.key)
            if not sender.key and not await self._in_reach(len(raw), is_dated, signal.kind, raw):
                unheard = digest
                digest = self._unheard.identity(unheard)
            try:
                held = self._submit(principal, signal, raw, digest)
            except DuoscopeError:
                self._admission.give_back(principal, items, size)
                raise
            outcome = await self._answer(principal, held, items)
            if unheard and not await sender.is_gone():
                unheard = ""
        finally:
            if unheard:
                self._unheard.keep(unheard, digest)
            if held is None or held.raw is not raw or held.done.done():
                room.give_back(size)
            else:  # the client went away, and its request is still here
                held.done.add_done_callback(lambda _: room.give_back(size))
        _bytes.labels(signal.name).inc(size)
        return Accepted(sum(outcome.rejected.values()), explain(outcome, self._admission.limits_of(principal)))

    async def _count(self, signal: Signal, raw: bytes) -> int:
        try:
            return await self._in_reach(len(raw), count_items, signal.kind, raw)
        except MalformedError:
            raise signal.malformed() from None

    async def _in_reach(self, size: int, look: Callable[[Kind, bytes], _T], kind: Kind, raw: bytes) -> _T:
        """The result of a quick check of a request: here, or in a thread if it is large."""
        if size <= _COUNTED_INLINE_BYTES_MAX:
            return look(kind, raw)
        return await asyncio.get_running_loop().run_in_executor(self._threads, look, kind, raw)

    def _submit(self, principal: IngestPrincipal, signal: Signal, raw: bytes, digest: str) -> Request:
        """The request to wait for: a new one, or an equal one that waits already."""
        request = self._waiting.get(digest)
        if request is None:
            done = asyncio.get_running_loop().create_future()
            applied = self._admission.limits_of(principal)
            request = Request(principal, signal, raw, digest, now_unix_nano(), done, applied)
            self._appender.submit(request)
            self._waiting[digest] = request
            done.add_done_callback(lambda _: self._waiting.pop(digest, None))
        return request

    async def _answer(self, principal: IngestPrincipal, request: Request, items: int) -> Outcome:
        try:
            # Shielded: a client that disconnects does not cancel the answer of others that sent the same.
            return await asyncio.shield(request.done)
        except DuoscopeError as error:
            if error.kind is ErrorKind.UNAVAILABLE:
                self._admission.give_back(principal, items, len(request.raw))
            raise

    async def close(self) -> None:
        """Append and store what waits; everything accepted is answered."""
        await self._appender.close()
        for job in self._jobs:
            await job.stop()
        await self._refusals.close()
        await self._storing.close()
        self._threads.shutdown()
        self._log.close()


def _digest(principal: IngestPrincipal, signal: Signal, raw: bytes, key: str) -> str:
    of = principal.scope.tenant_id.bytes + signal.name.encode() + xxhash.xxh3_128_digest(raw)
    return xxhash.xxh3_128_hexdigest(of + key.encode())


def explain(outcome: Outcome, applied: IngestLimits) -> str:
    """The reasons why items were rejected or cut, for the sender's developer; empty when none was."""
    told = [("rejected", outcome.rejected), ("kept, but cut", outcome.cut)]
    return "; ".join(
        f"{count} {became}: {explanation(reason, applied)}"
        for became, reasons in told
        for reason, count in reasons.items()
    )


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
