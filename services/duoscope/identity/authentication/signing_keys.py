"""The signing keys of access tokens: two live at a time, rotated by time and by command, shared by all API processes.

They are random and sealed in PostgreSQL. A new key signs only PUBLISH_S after it was stored, when every process has
read it; the previous one verifies until the last token it signed has expired. Every process reads the keys every
POLL_S, and at once when a token names an unknown key. While PostgreSQL is down, it continues with the keys it has.
"""

import asyncio
import os
import secrets
import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from duoscope.background.driver import Driver, Job, Running
from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.kernel.actor import Actor, system
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import signing_keys
from duoscope.secrets.box import Cell, SecretBox
from duoscope.stores.postgres import MetadataStore, Transaction

KEY_BYTES: Final = 32
KEY_LIFETIME_S: Final = 7 * 24 * 3600
"""How long a key signs before the next one is made."""
PUBLISH_S: Final = 10.0
READ_SIGNING_KEYS: Final = Job("read-signing-keys", period_s=2.0)
VERIFIES_AFTER_S: Final = 900 + 60
"""How long a key verifies after it last signed: the lifetime of a token, and some time for clocks."""
_UNKNOWN_LOOK_S: Final = 0.5
"""Tokens with forged key ids cause at most one query in this time."""
_PLATFORM: Final = PlatformScope(reason="access tokens are signed with the platform's keys")


@dataclass(frozen=True, slots=True)
class Key:
    """A key in memory. `active_at` is a reading of time.monotonic()."""

    kid: str
    secret: bytes = field(repr=False)
    active_at: float


class KeyRing(Protocol):
    """The keys that sign and verify access tokens."""

    def signing(self) -> Key:
        """The key that signs now."""
        ...

    def verifying(self, kid: str) -> bytes | None:
        """The key with that id, if it still verifies."""
        ...

    async def learn(self, kid: str) -> None:
        """Look for a key with that id, if it is not known yet."""
        ...


class SigningKeys:
    """The key ring that PostgreSQL holds."""

    def __init__(self, store: MetadataStore, box: SecretBox, *, publish_s: float = PUBLISH_S) -> None:
        self._store = store
        self._box = box
        self._publish_s = publish_s
        self._keys: dict[str, Key] = {}
        self._learned_at = 0.0
        self._looking = asyncio.Lock()

    async def load(self) -> None:
        """Read the keys; make the first, or the next when it is due."""
        async with self._store.open_platform(_PLATFORM, "signing_keys.load") as tx:
            live = await signing_keys.list_live(tx)
            if not live or live[0].age_s > KEY_LIFETIME_S:
                await signing_keys.lock(tx)
                live = await signing_keys.list_live(tx)
                if not live or live[0].age_s > KEY_LIFETIME_S:
                    await self._make(tx, system("key rotation"), in_s=self._publish_s if live else 0.0)
                    live = await signing_keys.list_live(tx)
            now = time.monotonic()
            fresh: dict[str, Key] = {}
            for row in live:
                known = self._keys.get(row.kid)
                secret = known.secret if known else await self._box.open(tx, row.key_encrypted, _cell(row.kid))
                fresh[row.kid] = Key(row.kid, secret, now - row.active_for_s)
        self._keys = fresh

    def signing(self) -> Key:
        """The newest key that is active."""
        now = time.monotonic()
        for key in self._keys.values():
            if key.active_at <= now:
                return key
        raise DuoscopeError(ErrorKind.INTERNAL, "no-signing-key", "No access tokens can be issued now.")

    def verifying(self, kid: str) -> bytes | None:
        """The key with that id, if this process knows it."""
        key = self._keys.get(kid)
        return key.secret if key else None

    async def learn(self, kid: str) -> None:
        """Look in PostgreSQL for a key that this process does not know yet; seldom, however often it is called."""
        if kid in self._keys:
            return
        async with self._looking:
            if kid not in self._keys and time.monotonic() - self._learned_at > _UNKNOWN_LOOK_S:
                self._learned_at = time.monotonic()
                await self.load()

    async def rotate(self, actor: Actor, *, revoke: bool = False) -> str:
        """Make the next key. Returns its id.

        Args:
            actor: the author.
            revoke: the other keys stop verifying now, for a key that may have leaked: all clients have to refresh their
                access tokens.
        """
        async with self._store.open_platform(_PLATFORM, "signing_keys.rotate") as tx:
            await signing_keys.lock(tx)
            return await self._make(tx, actor, in_s=0.0 if revoke else self._publish_s, revoke=revoke)

    def watch(self, driver: Driver) -> Running:
        """Read changes until the job is stopped."""

        async def read() -> None:
            await self.load()

        return driver.start(READ_SIGNING_KEYS, read)

    async def _make(self, tx: Transaction, actor: Actor, *, in_s: float, revoke: bool = False) -> str:
        kid = secrets.token_hex(8)
        sealed = await self._box.seal(tx, os.urandom(KEY_BYTES), _cell(kid))
        await signing_keys.create(tx, kid, sealed, active_in_s=in_s)
        await signing_keys.expire_others(tx, kid, after_s=0.0 if revoke else in_s + VERIFIES_AFTER_S)
        await signing_keys.forget_expired(tx)
        about = About("signing-key", kid, organization_id=None)
        await audit.record(tx, actor, "signing-key.rotated", about, after={"others_revoked": revoke})
        return kid


def _cell(kid: str) -> Cell:
    return Cell("signing_keys", "key_encrypted", (kid,))
