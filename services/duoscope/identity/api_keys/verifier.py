"""Verification of API keys at ingest speed. The form of keys is in form.py.

Argon2id runs once per secret and process; afterwards the presented text is looked up by a keyed hash. All known keys
are checked with PostgreSQL again every RECHECK_S, and at once when it notifies of a change (upkeep.py does both);
without upkeep, a request whose key is due starts a check in the background. A database that hangs delays no verified
key. While PostgreSQL is down, verified keys keep working for a set time, also after a restart (offline.py). An unknown
key then gets UNAVAILABLE within LOOKUP_TIMEOUT_S, never UNAUTHENTICATED: collectors would drop the data.

The scope of ingest is made here.
"""

import asyncio
import dataclasses
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from duoscope.identity.api_keys.entries import IngestPrincipal, Uses, Verified
from duoscope.identity.api_keys.form import NewKey, generate, parse
from duoscope.identity.api_keys.offline import OfflineKey, OfflineKeys
from duoscope.identity.api_keys.origins import AllowedOrigins
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import api_keys
from duoscope.metadata.api_key_usage_logs import Use
from duoscope.metadata.api_keys import Credential
from duoscope.net.addresses import parse_networks
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore

RECHECK_S = 30.0
"""A key is due for a check when PostgreSQL was not asked about it for this long."""
RECHECKS_MAX = 8
"""Checks at once; other keys that are due wait for their next use."""
RECHECK_KEYS_MAX: Final = 500
"""Keys per query."""
LOOKUP_TIMEOUT_S = 5.0
"""How long PostgreSQL may take to look up a key before it counts as down."""
OUTAGE_S = 3600.0
"""How long PostgreSQL may be down before verified keys stop working, unless settings say otherwise."""
OUTAGE_RETRY_S = 5.0
"""How often one key is looked up again during an outage."""
REFUSED_S = 10.0
"""How long a refused key is refused without another check."""
VERIFIED_MAX = 10_000
REFUSED_MAX = 10_000
HEARD_MAX: Final = 10_000
USES_MAX: Final = 20_000
"""Counts of uses that could not be written and wait for the next write."""
WRONG_SECRETS_MAX = 10
WRONG_SECRETS_WINDOW_S = 60.0
"""How often Argon2id runs for wrong secrets of one key_id in a window; then further ones wait. Verified ones do not."""
OTLP: Final = "POST otlp"
"""The default endpoint, method and path, for a key from a wrong address."""

_LOOKUP = PlatformScope(reason="a presented API key names no tenant")


class WrongAddressError(DuoscopeError):
    """The key is valid, but may not be used from this address."""

    def __init__(self, principal: IngestPrincipal) -> None:
        text = "This API key may not be used from the address you send from."
        super().__init__(ErrorKind.FORBIDDEN, "address-not-allowed", text)
        self.principal = principal


class ApiKeyVerifier:
    """Verifies API keys. Safe for concurrent use within one event loop. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        store: MetadataStore,
        hasher: SlowHasher,
        keys: SecretKeys,
        *,
        offline: OfflineKeys | None = None,
        outage_s: float = OUTAGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._digest_key = keys.derive("api-key-cache")[0]
        self._outage_s = outage_s
        self._clock = clock
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[IngestPrincipal]] = {}
        self._rechecks = 0
        self._lookups: set[asyncio.Task[Credential | None]] = set()
        self._uses: dict[UUID, Uses] = {}
        self._unwritten: list[Use] = []
        # The result of a lookup that began before a notification of a change is not used after it.
        self._notices = 0
        self._heard: OrderedDict[UUID, int] = OrderedDict()
        self.on_removal: Callable[[], object] = lambda: None
        """Called when a key stopped working: what is kept for a restart is out of date."""
        self.origins = AllowedOrigins(store, clock)
        self.offline = offline
        if offline is not None:
            self._restore(offline)

    def verify_cached(self, presented: str, address: str | None = None) -> IngestPrincipal | None:
        """The principal of a recently verified key, in about 2 us. None means: await `verify`.

        Args:
            presented: the key as it was sent.
            address: the client's, numeric; None if unknown, which a key with allowed addresses refuses.
        """
        entry = self._verified.get(self._digest(presented))
        if entry is None or self._clock() >= entry.fresh_until:
            return None
        if entry.principal.allowed_addresses and not entry.admits(address):
            return None
        return entry.principal

    async def verify(self, presented: str, address: str | None = None, endpoint: str = OTLP) -> IngestPrincipal:
        """The principal of any key. The caller counts the use when the request is answered.

        Args:
            presented: the key as it was sent.
            address: as for `verify_cached`.
            endpoint: method and path, for the usage log if the address is a wrong one.

        Raises:
            DuoscopeError: UNAUTHENTICATED `api-key-invalid`, the same for unknown, wrong, expired and revoked;
                FORBIDDEN `address-not-allowed`; UNAVAILABLE if the key cannot be checked.
        """
        cached = self.verify_cached(presented, address)
        if cached is not None:
            return cached
        digest = self._digest(presented)
        if self._refused.get(digest, 0.0) > self._clock():
            raise _refused()
        parsed = parse(presented)
        if parsed is None:
            raise _refused()
        known = self._verified.get(digest)
        if known is None or not self._is_good_for_now(known):
            # A collector that disconnects must not cancel the lookup that others wait for.
            principal = await asyncio.shield(self._checking(digest, *parsed))
            known = self._verified.get(digest)
            if known is None:  # dropped while we woke up
                raise _refused()
        else:
            principal = known.principal
            if self._clock() >= known.fresh_until:
                self._recheck(digest, *parsed)
        if principal.allowed_addresses and not known.admits(address):
            self.count(principal, endpoint, address, 403)
            raise WrongAddressError(principal)
        return principal

    def count(self, principal: IngestPrincipal, endpoint: str, address: str | None, status: int) -> None:
        """Count a use for the usage log, with the answer's status; `endpoint` is method and path."""
        uses = self._uses.get(principal.api_key_id)
        if uses is None:
            uses = self._uses[principal.api_key_id] = Uses(principal)
        uses.count(endpoint, address, status)

    def forget(self, api_key_id: UUID) -> None:
        """Check with PostgreSQL before the key's next use, because something about it changed."""
        self.doubt(lambda principal: principal.api_key_id == api_key_id)
        self._note(api_key_id)

    def drop(self, api_key_id: UUID) -> None:
        """Refuse the key from now on, whether PostgreSQL answers or not: it was revoked."""
        for digest, entry in list(self._verified.items()):
            if entry.principal.api_key_id == api_key_id:
                self._refuse(digest)
        self._note(api_key_id)

    def doubt(self, is_meant: Callable[[IngestPrincipal], bool]) -> None:
        """Check with PostgreSQL before the next use of the matching keys."""
        for entry in self._verified.values():
            if is_meant(entry.principal):
                entry.fresh_until = 0.0
                entry.is_doubted = True
                self._note(entry.principal.api_key_id)

    async def recheck(self) -> None:
        """Check every verified key with PostgreSQL, and drop those that no longer work.

        Raises:
            DuoscopeError: UNAVAILABLE; every key stays as it was.
        """
        entries = list(self._verified.items())
        for start in range(0, len(entries), RECHECK_KEYS_MAX):
            part = entries[start : start + RECHECK_KEYS_MAX]
            before = self._notices
            async with self._store.open_platform(_LOOKUP, "api_keys.recheck") as tx:
                found = await api_keys.find_credentials(tx, sorted({entry.principal.key_id for _, entry in part}))
            for digest, entry in part:
                if self._verified.get(digest) is entry and not self._is_outdated(entry.principal.api_key_id, before):
                    self._rechecked(digest, entry, found.get(entry.principal.key_id))

    def _rechecked(self, digest: bytes, entry: Verified, credential: Credential | None) -> None:
        match = _match(credential, entry.proof) if credential and credential.is_valid else None
        if credential is None or match is None:
            self._refuse(digest)
        else:
            self._accept(digest, credential, entry.proof, match)

    def take_uses(self) -> list[Use]:
        """The uses of the keys since the last call, each use once."""
        taken, self._unwritten = self._unwritten, []
        for uses in self._uses.values():
            taken += uses.listed()
        self._uses = {}
        return taken

    def put_back_uses(self, uses: Iterable[Use]) -> None:
        """Keep uses that could not be written. If there are too many kinds, the newest are given up."""
        counts: dict[Use, int] = {}
        for use in (*self._unwritten, *uses):
            kind = dataclasses.replace(use, request_count=0)
            if kind in counts or len(counts) < USES_MAX:
                counts[kind] = counts.get(kind, 0) + use.request_count
        self._unwritten = [dataclasses.replace(kind, request_count=count) for kind, count in counts.items()]

    def offline_keys(self) -> list[OfflineKey]:
        """The verified keys in the form for the disk."""
        now, unix_now = self._clock(), time.time()
        return [
            OfflineKey(
                digest=digest,
                proof=entry.proof,
                checked_at_unix_s=unix_now - (now - entry.checked_at),
                ends_at_unix_s=None if math.isinf(entry.ends_at) else unix_now + (entry.ends_at - now),
                organization_id=entry.principal.scope.organization_id,
                workspace_id=entry.principal.scope.workspace_id,
                tenant_id=entry.principal.scope.tenant_id,
                api_key_id=entry.principal.api_key_id,
                key_id=entry.principal.key_id,
                name=entry.principal.name,
                signals=tuple(sorted(entry.principal.signals)),
                retention_days=entry.principal.retention_days,
                rate_limit=entry.principal.rate_limit,
                allowed_addresses=tuple(str(network) for network in entry.principal.allowed_addresses),
                allowed_origins=entry.principal.allowed_origins,
                is_browser_only=entry.principal.is_browser_only,
                own_limits=entry.principal.own_limits,
                organization_limits=entry.principal.organization_limits,
            )
            for digest, entry in self._verified.items()
        ]

    def _restore(self, offline: OfflineKeys) -> None:
        """Restore keys from disk. Each is checked before its first use; the stored entry counts only during an
        outage.
        """
        now, unix_now = self._clock(), time.time()
        for key in offline.read()[-VERIFIED_MAX:]:
            age_s = unix_now - key.checked_at_unix_s
            left_s = math.inf if key.ends_at_unix_s is None else key.ends_at_unix_s - unix_now
            # A clock that was set back makes no key younger than it is.
            if not 0 <= age_s <= self._outage_s or left_s <= 0:
                continue
            self._verified[key.digest] = Verified(
                IngestPrincipal(
                    Scope(key.organization_id, key.workspace_id, key.tenant_id),
                    key.api_key_id,
                    frozenset(key.signals),
                    key.retention_days,
                    key.key_id,
                    key.name,
                    key.rate_limit,
                    parse_networks(key.allowed_addresses),
                    key.allowed_origins,
                    key.is_browser_only,
                    key.own_limits,
                    key.organization_limits,
                ),
                key.proof,
                fresh_until=-math.inf,
                checked_at=now - age_s,
                ends_at=now + left_s,
                is_doubted=True,
            )
        self.origins.assume(origin for known in self._verified.values() for origin in known.principal.allowed_origins)

    def _is_good_for_now(self, known: Verified) -> bool:
        now = self._clock()
        return not known.is_doubted and now < known.ends_at and now - known.checked_at <= self._outage_s

    def _recheck(self, digest: bytes, key_id: str, secret: str) -> None:
        if digest in self._running or self._rechecks >= RECHECKS_MAX:
            return
        self._rechecks += 1
        self._checking(digest, key_id, secret).add_done_callback(self._recheck_ended)

    def _recheck_ended(self, _: asyncio.Task[IngestPrincipal]) -> None:
        self._rechecks -= 1

    def _checking(self, digest: bytes, key_id: str, secret: str) -> asyncio.Task[IngestPrincipal]:
        task = self._running.get(digest)
        if task is None:
            task = asyncio.create_task(self._check(digest, key_id, secret), name="verify API key")
            self._running[digest] = task
            task.add_done_callback(lambda done: self._finished(digest, done))
        return task

    async def _check(self, digest: bytes, key_id: str, secret: str) -> IngestPrincipal:
        while True:
            before = self._notices
            known = self._verified.get(digest)
            try:
                credential = await self._looked_up(key_id)
            except DuoscopeError as error:
                known = self._verified.get(digest)
                if error.kind is not ErrorKind.UNAVAILABLE or known is None:
                    raise
                return self._kept(digest, known, error)
            if credential is None or not credential.is_valid:
                raise self._refuse(digest)
            proof = known.proof if known else b""
            match = _match(credential, proof)
            if match is None:
                self._limit_guessing(key_id)
                proof = await self._matching(credential, secret)
                match = _match(credential, proof)
            if self._is_outdated(credential.api_key_id, before):
                continue
            if match is None:
                self._count_wrong(key_id)
                raise self._refuse(digest)
            return self._accept(digest, credential, proof, match)

    def _kept(self, digest: bytes, known: Verified, error: DuoscopeError) -> IngestPrincipal:
        """The key's principal while PostgreSQL is down, as long as that is allowed."""
        now = self._clock()
        if now - known.checked_at > self._outage_s:
            raise error
        if now >= known.ends_at:
            raise self._refuse(digest) from error
        known.fresh_until = min(now + OUTAGE_RETRY_S, known.ends_at)
        known.is_doubted = False
        return known.principal

    async def _matching(self, credential: Credential, secret: str) -> bytes:
        for stored in (credential.secret_hash, credential.previous_secret_hash):
            if stored is not None and await self._hasher.verify(stored, secret):
                return _proof(stored)
        return b""

    async def _looked_up(self, key_id: str) -> Credential | None:
        lookup = asyncio.create_task(self._credential(key_id), name="look up API key")
        self._lookups.add(lookup)
        lookup.add_done_callback(self._lookup_ended)
        done, _ = await asyncio.wait({lookup}, timeout=LOOKUP_TIMEOUT_S)
        if not done:
            lookup.cancel()  # and not awaited: a connection that hangs takes its time to be given up
            raise unavailable(
                "The metadata store is not available; try again shortly.",
                code="metadata-store-unavailable",
                retry_after_s=OUTAGE_RETRY_S,
                detail=f"no answer about an API key within {LOOKUP_TIMEOUT_S} s",
            )
        return lookup.result()

    def _lookup_ended(self, lookup: asyncio.Task[Credential | None]) -> None:
        self._lookups.discard(lookup)
        if not lookup.cancelled():
            lookup.exception()  # looked at, even when nobody waited

    async def _credential(self, key_id: str) -> Credential | None:
        async with self._store.open_platform(_LOOKUP, "api_keys.verify") as tx:
            return await api_keys.find_credential(tx, key_id)

    def _accept(self, digest: bytes, credential: Credential, proof: bytes, left_s: float) -> IngestPrincipal:
        principal = IngestPrincipal(
            Scope(credential.organization_id, credential.workspace_id, credential.tenant_id),
            credential.api_key_id,
            credential.permissions,
            credential.retention_days,
            credential.key_id,
            credential.name,
            credential.rate_limit,
            credential.allowed_addresses,
            credential.allowed_origins,
            credential.is_browser_only,
            credential.own_limits,
            credential.organization_limits,
        )
        now = self._clock()
        self._verified[digest] = Verified(
            principal,
            proof,
            fresh_until=now + min(RECHECK_S, left_s),
            checked_at=now,
            ends_at=now + left_s,
        )
        self._verified.move_to_end(digest)
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        return principal

    def _refuse(self, digest: bytes) -> DuoscopeError:
        if self._verified.pop(digest, None) is not None:
            self.on_removal()
        self._refused[digest] = self._clock() + REFUSED_S
        self._refused.move_to_end(digest)
        if len(self._refused) > REFUSED_MAX:
            self._refused.popitem(last=False)
        return _refused()

    def _limit_guessing(self, key_id: str) -> None:
        since, count = self._wrong.get(key_id, (0.0, 0))
        left_s = since + WRONG_SECRETS_WINDOW_S - self._clock()
        if count >= WRONG_SECRETS_MAX and left_s > 0:
            raise unavailable(
                "Too many wrong secrets were presented for this API key; try again later.",
                code="api-key-guessing",
                retry_after_s=left_s,
            )

    def _count_wrong(self, key_id: str) -> None:
        now = self._clock()
        since, count = self._wrong.get(key_id, (now, 0))
        if now - since > WRONG_SECRETS_WINDOW_S:
            since, count = now, 0
        self._wrong[key_id] = since, count + 1
        self._wrong.move_to_end(key_id)
        if len(self._wrong) > REFUSED_MAX:
            self._wrong.popitem(last=False)

    def _note(self, api_key_id: UUID) -> None:
        self._notices += 1
        self._heard[api_key_id] = self._notices
        self._heard.move_to_end(api_key_id)
        if len(self._heard) > HEARD_MAX:
            self._heard.popitem(last=False)

    def _is_outdated(self, api_key_id: UUID, before: int) -> bool:
        return self._heard.get(api_key_id, 0) > before

    def _digest(self, presented: str) -> bytes:
        return hashlib.blake2b(presented.encode("utf-8", "replace"), digest_size=16, key=self._digest_key).digest()

    def _finished(self, digest: bytes, task: asyncio.Task[IngestPrincipal]) -> None:
        self._running.pop(digest, None)
        if not task.cancelled():
            task.exception()  # looked at, even when every waiter has left


def _proof(secret_hash: str) -> bytes:
    return hashlib.blake2b(secret_hash.encode(), digest_size=16).digest()


def _match(credential: Credential, proof: bytes) -> float | None:
    """How many more seconds the secret that matched a stored hash works; None if that hash is no longer valid."""
    left_s = math.inf if credential.valid_for_s is None else credential.valid_for_s
    if proof == _proof(credential.secret_hash):
        return left_s
    if credential.previous_secret_hash is not None and proof == _proof(credential.previous_secret_hash):
        return min(left_s, credential.previous_valid_for_s or 0.0)
    return None


def _refused() -> DuoscopeError:
    return DuoscopeError(ErrorKind.UNAUTHENTICATED, "api-key-invalid", "The API key is not valid.")


__all__ = ["ApiKeyVerifier", "IngestPrincipal", "NewKey", "WrongAddressError", "generate", "parse"]
