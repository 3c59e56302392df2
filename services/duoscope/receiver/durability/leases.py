"""Leases on requests, by which receivers over the same stores agree on who stores a request.

A client that gets no answer sends the same bytes to another receiver while the first still works on them, or has them
on its disk. So before it decodes a batch, each receiver claims the batch's requests in PostgreSQL, with one statement.
A request that another receiver has claimed is refused for now; one that the other has acknowledged and keeps on disk is
acknowledged again.

A claim expires: a receiver that died for good must not block its clients until they give up. While PostgreSQL is down,
requests are accepted without a claim, and counted. An embedded ClickHouse has one receiver, which needs no claims.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter

from duoscope.background.driver import Driver, Job, Running
from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import ingest_claims
from duoscope.receiver.decoder import Outcome
from duoscope.stores.postgres import MetadataStore, Transaction

_log = logging.getLogger(__name__)
_unclaimed = Counter("duoscope_ingest_unclaimed_requests", "Requests taken without a claim: PostgreSQL was away")

FORGET_LEASES: Final = Job("forget-ingest-leases", period_s=limits.INGEST_CLAIM_S)
_SCOPE: Final = PlatformScope(reason="receivers agree on who stores a request")


class IngestLeases:
    """The claims of one receiver."""

    def __init__(self, metadata: MetadataStore, receiver_id: UUID) -> None:
        """Create the object. `receiver_id` survives the process: the claims from before a crash belong to it."""
        self._metadata = metadata
        self._receiver_id = receiver_id
        self._away_until = 0.0

    def start(self, driver: Driver) -> Running:
        """Start the job that removes expired claims."""

        async def forget() -> None:
            async with self._metadata.open_platform(_SCOPE, "receiver.forget_claims") as tx:
                await ingest_claims.forget_expired(tx)

        return driver.start(FORGET_LEASES, forget)

    async def take(self, keys: Sequence[str]) -> dict[str, Outcome | None]:
        """Claim requests by `Part.key`. Returns those that another receiver has, with the outcome it acknowledged."""
        hashed = {_hash(key): key for key in keys}

        others = await self._try(
            lambda tx: ingest_claims.take(tx, self._receiver_id, list(hashed), lease_s=limits.INGEST_CLAIM_S)
        )
        if others is None:
            _unclaimed.inc(len(keys))
            return {}
        return {hashed[key]: Outcome(*told) if told else None for key, told in others.items()}

    async def hold(self, outcomes: Mapping[str, Outcome]) -> None:
        """Let other receivers answer for requests that this one has on its disk."""
        told = {_hash(key): (o.items, o.stored, o.reasons) for key, o in outcomes.items()}
        await self._try(lambda tx: ingest_claims.hold(tx, self._receiver_id, told, for_s=limits.INGEST_SAME_REQUEST_S))

    async def release(self, keys: Sequence[str]) -> None:
        """Let other receivers accept requests that this one refused."""
        await self._try(lambda tx: ingest_claims.release(tx, self._receiver_id, [_hash(key) for key in keys]))

    async def _try(self, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
        if time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(limits.INGEST_CLAIM_WAIT_S):
                async with self._metadata.open_platform(_SCOPE, "receiver.claims") as tx:
                    result = await work(tx)
        except (DuoscopeError, TimeoutError) as error:
            _log.warning("cannot claim requests, and go on without: %r", error)
            self._away_until = time.monotonic() + limits.INGEST_CLAIM_PAUSE_S
            return None
        return result


def _hash(key: str) -> UUID:
    return UUID(bytes=hashlib.blake2b(key.encode(), digest_size=16).digest())
