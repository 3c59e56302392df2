"""API keys of machines that send telemetry: their form, and their verification at ingest speed.

A key is `tfk-<16 of a-z2-7>.<43 letters and digits><6 checksum>`. The checksum catches typing mistakes without a store.
Argon2id runs once for a key and process; afterwards the presented text is looked up by a keyed hash, and PostgreSQL is
asked again for the key's standing every RECHECK_S, behind the request that finds it due: a database that hangs delays
no verified key. While PostgreSQL is away, verified keys keep working for OUTAGE_S and an unknown key gets UNAVAILABLE
within LOOKUP_TIMEOUT_S, never UNAUTHENTICATED: collectors would drop the data.

This is where the scope of ingest is made.
"""

import asyncio
import hashlib
import math
import re
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from duoscope.identity.passwords import SlowHasher
from duoscope.identity.secret_keys import SecretKeys
from duoscope.kernel.errors import DuoscopeError, ErrorKind, unavailable
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import api_keys
from duoscope.metadata.api_keys import Credential
from duoscope.stores.postgres import MetadataStore

RECHECK_S = 30.0
"""The first use after this long has PostgreSQL asked whether the key was revoked or its retention changed."""
RECHECKS_MAX = 8
"""Rechecks at once; further keys that are due wait for their next use."""
LOOKUP_TIMEOUT_S = 5.0
"""How long PostgreSQL may take to tell about a key before it counts as away."""
OUTAGE_S = 3600.0
"""How long PostgreSQL may be away before keys that were verified stop working."""
OUTAGE_RETRY_S = 5.0
"""How often an outage is looked at again for one key."""
REFUSED_S = 10.0
"""How long a key that was refused is refused without another look."""
VERIFIED_MAX = 10_000
REFUSED_MAX = 10_000
WRONG_SECRETS_MAX = 10
WRONG_SECRETS_WINDOW_S = 60.0
"""Argon2id runs this often for wrong secrets of one key_id in a window; then newcomers wait. Verified ones do not."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_FORM = re.compile(r"(tfk-[a-z2-7]{16})\.([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_LOOKUP = PlatformScope(reason="a presented API key names no tenant")


@dataclass(frozen=True, slots=True)
class IngestPrincipal:
    """A key that may send: for which tenant, what, and how long it is kept.

    Attributes:
        scope: the tenant.
        api_key_id: the key.
        signals: its permissions: `traces:write`, `metrics:write`, `logs:write`, `monitors:report`.
        retention_days: the tenant's retention class.
    """

    scope: Scope
    api_key_id: UUID
    signals: frozenset[str]
    retention_days: int


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `presented` is shown once and stored nowhere; `secret` is what gets hashed."""

    key_id: str
    secret: str
    presented: str


def generate() -> NewKey:
    """A fresh key with 80 random bits of id and 256 of secret."""
    key_id = "tfk-" + "".join(secrets.choice(_BASE32) for _ in range(16))
    secret = _base62(secrets.randbits(256), 43)
    return NewKey(key_id, secret, f"{key_id}.{secret}{_checksum(key_id, secret)}")


def parse(presented: str) -> tuple[str, str] | None:
    """The key_id and the secret, or None for what cannot be a key."""
    found = _FORM.fullmatch(presented)
    if found is None or found[3] != _checksum(found[1], found[2]):
        return None
    return found[1], found[2]


@dataclass(slots=True)
class _Verified:
    principal: IngestPrincipal
    secret_hash: str
    fresh_until: float
    checked_at: float
    ends_at: float
    uses: int = 0
    is_doubted: bool = False


class ApiKeyVerifier:
    """Safe for concurrent use within one event loop. `clock` counts seconds and never goes back."""

    def __init__(
        self, store: MetadataStore, hasher: SlowHasher, keys: SecretKeys, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._digest_key = keys.derive("api-key-cache")[0]
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[IngestPrincipal]] = {}
        self._rechecks = 0
        self._lookups: set[asyncio.Task[Credential | None]] = set()

    def verify_cached(self, presented: str) -> IngestPrincipal | None:
        """The principal of a key verified lately, in about 2 us; None means: await `verify`."""
        entry = self._verified.get(self._digest(presented))
        if entry is None or self._clock() >= entry.fresh_until:
            return None
        entry.uses += 1
        return entry.principal

    async def verify(self, presented: str) -> IngestPrincipal:
        """The principal of any key.

        Raises:
            DuoscopeError: UNAUTHENTICATED `api-key-invalid`, the same for unknown, wrong, expired and revoked;
                UNAVAILABLE while that cannot be known.
        """
        cached = self.verify_cached(presented)
        if cached is not None:
            return cached
        digest = self._digest(presented)
        if self._refused.get(digest, 0.0) > self._clock():
            raise _refused()
        parsed = parse(presented)
        if parsed is None:
            raise _refused()
        known = self._verified.get(digest)
        if known is not None:
            known.uses += 1
            if self._is_good_for_now(known):
                self._recheck(digest, *parsed)
                return known.principal
        # A collector that gives up takes nobody else's answer with it.
        return await asyncio.shield(self._checking(digest, *parsed))

    def forget(self, api_key_id: UUID) -> None:
        """Ask PostgreSQL again at the key's next use, such as after it was revoked by this very process."""
        for entry in self._verified.values():
            if entry.principal.api_key_id == api_key_id:
                entry.fresh_until = 0.0
                entry.is_doubted = True

    def _is_good_for_now(self, known: _Verified) -> bool:
        now = self._clock()
        return not known.is_doubted and now < known.ends_at and now - known.checked_at <= OUTAGE_S

    def _recheck(self, digest: bytes, key_id: str, secret: str) -> None:
        if digest in self._running or self._rechecks >= RECHECKS_MAX:
            return
        self._rechecks += 1
        self._checking(digest, key_id, secret).add_done_callback(self._rechecked)

    def _rechecked(self, _: asyncio.Task[IngestPrincipal]) -> None:
        self._rechecks -= 1

    def _checking(self, digest: bytes, key_id: str, secret: str) -> asyncio.Task[IngestPrincipal]:
        task = self._running.get(digest)
        if task is None:
            task = asyncio.create_task(self._check(digest, key_id, secret), name="verify API key")
            self._running[digest] = task
            task.add_done_callback(lambda done: self._finished(digest, done))
        return task

    async def _check(self, digest: bytes, key_id: str, secret: str) -> IngestPrincipal:
        known = self._verified.get(digest)
        try:
            credential = await self._looked_up(key_id, known)
        except DuoscopeError as error:
            if error.kind is not ErrorKind.UNAVAILABLE or known is None:
                raise
            now = self._clock()
            if now - known.checked_at > OUTAGE_S:
                raise
            if now >= known.ends_at:
                raise self._refuse(digest) from error
            known.fresh_until = min(now + OUTAGE_RETRY_S, known.ends_at)
            return known.principal
        if credential is None or not credential.is_valid:
            raise self._refuse(digest)
        if known is None or known.secret_hash != credential.secret_hash:
            self._limit_guessing(key_id)
            if not await self._hasher.verify(credential.secret_hash, secret):
                self._count_wrong(key_id)
                raise self._refuse(digest)
        return self._accept(digest, credential)

    async def _looked_up(self, key_id: str, known: _Verified | None) -> Credential | None:
        lookup = asyncio.create_task(self._credential(key_id, known), name="look up API key")
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

    async def _credential(self, key_id: str, known: _Verified | None) -> Credential | None:
        async with self._store.open_platform(_LOOKUP, "api_keys.verify") as m:
            credential = await api_keys.find_credential(m, key_id)
            if credential and known and known.uses:
                uses, known.uses = known.uses, 0
                await api_keys.record_use(m, credential.tenant_id, credential.api_key_id, uses)
            return credential

    def _accept(self, digest: bytes, credential: Credential) -> IngestPrincipal:
        principal = IngestPrincipal(
            Scope(credential.organization_id, credential.workspace_id, credential.tenant_id),
            credential.api_key_id,
            credential.permissions,
            credential.retention_days,
        )
        now = self._clock()
        ends_at = math.inf if credential.valid_for_s is None else now + credential.valid_for_s
        former = self._verified.get(digest)
        self._verified[digest] = _Verified(
            principal,
            credential.secret_hash,
            fresh_until=min(now + RECHECK_S, ends_at),
            checked_at=now,
            ends_at=ends_at,
            uses=former.uses if former else 1,
        )
        self._verified.move_to_end(digest)
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        return principal

    def _refuse(self, digest: bytes) -> DuoscopeError:
        self._verified.pop(digest, None)
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

    def _digest(self, presented: str) -> bytes:
        return hashlib.blake2b(presented.encode("utf-8", "replace"), digest_size=16, key=self._digest_key).digest()

    def _finished(self, digest: bytes, task: asyncio.Task[IngestPrincipal]) -> None:
        self._running.pop(digest, None)
        if not task.cancelled():
            task.exception()  # looked at, even when every waiter has left


def _checksum(key_id: str, secret: str) -> str:
    return _base62(zlib.crc32(f"{key_id}.{secret}".encode()), 6)


def _base62(number: int, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _refused() -> DuoscopeError:
    return DuoscopeError(ErrorKind.UNAUTHENTICATED, "api-key-invalid", "The API key is not valid.")
