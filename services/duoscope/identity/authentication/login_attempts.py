"""Attempts to log in: how many are under way, what each counts for until it has succeeded, and how failures are noted.

An attempt counts as a failure before the password is verified (throttle.py says why), so each ends in one
of three ways: it succeeds, it fails, or it is taken back because nobody looked at it.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final, LiteralString
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication.known_clients import KnownClients
from duoscope.identity.authentication.refresh_tokens import hashed
from duoscope.identity.authentication.throttle import Charge, Throttle
from duoscope.identity.passwords.hashing import SlowHasher, too_many_logins
from duoscope.kernel.actor import Actor
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import credentials, trusted_devices, users
from duoscope.metadata.trusted_devices import TrustedDevice
from duoscope.metadata.users import Login
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore, Transaction

LOGINS_MAX: Final = 48
LOGINS_WITH_DEVICE_MAX: Final = 64
"""Logins at once, most of which wait for Argon2; some slots are for devices that send a token."""
LOOKUPS_MAX: Final = 2
FAILURES_NOTED_MAX: Final = 1
"""Connections to PostgreSQL that failing logins may take from others: entries of one audit log wait for one another
anyway."""
_NOBODY: Final = UserRef(UUID(int=0), UUID(int=0))
_SIGNING_IN: Final = PlatformScope(reason="authentication knows no tenant yet")
_DEVICE: Final = re.compile(r"tfd-[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """An attempt that was let through.

    Attributes:
        login: the account of the address; None if there is none.
        device: the trusted device of the account that sent its token.
        actor: for the audit log; its user is known once the password was right.
        charge: what it was counted under.
        known_mark: what an earlier login gave this client; None for a client that is not known.
    """

    login: Login | None
    device: TrustedDevice | None
    actor: Actor
    charge: Charge
    known_mark: str | None

    def of_user(self, login: Login) -> "LoginAttempt":
        """Return the attempt of a user whose password was right."""
        return replace(self, login=login, actor=replace(self.actor, user_id=login.user_id))


class LoginAttempts:
    """Lets attempts through, and settles them."""

    def __init__(self, store: MetadataStore, hasher: SlowHasher, keys: SecretKeys) -> None:
        self._store = store
        self._hasher = hasher
        self._throttle = Throttle(keys)
        self._clients = KnownClients(keys)
        self._under_way = 0
        self._looking_up = asyncio.Semaphore(LOOKUPS_MAX)
        self._noting = asyncio.Semaphore(FAILURES_NOTED_MAX)

    @asynccontextmanager
    async def admit(
        self, actor: Actor, *, device_token: str | None, client_mark: str | None
    ) -> AsyncGenerator[LoginAttempt]:
        """Let an attempt through, counted as a failure, and hold its place while it is under way.

        Args:
            actor: where the request comes from, with the e-mail address as presented.
            device_token: of a device that the user trusts, as presented.
            client_mark: what an earlier login gave this client, as presented.

        Raises:
            DuoscopeError: RATE_LIMITED `too-many-attempts`; UNAVAILABLE `too-many-logins`, or PostgreSQL is away.
        """
        client_id = self._clients.identify(actor.email, client_mark)
        with self._place(is_known=bool(device_token or client_id)):
            async with self._looking_up, self._platform("sessions.attempt") as tx:
                login = await users.find_login(tx, actor.email)
                device = await _device(tx, device_token, login)
                charge = await self._throttle.charge(
                    tx,
                    account=actor.email,
                    address=actor.ip_address,
                    device_id=device.device_id if device else None,
                    client_id=client_id,
                )
                # Rolled back, it was not counted: cheaper in a flood than to count it and take it back.
                self._hasher.require_place(is_known=charge.is_known)
            yield LoginAttempt(login, device, actor, charge, client_mark if client_id else None)

    def mark_of(self, attempt: LoginAttempt) -> str:
        """Return what the client of an attempt that has succeeded sends at its next login."""
        return attempt.known_mark or self._clients.mark(attempt.actor.email)

    async def succeed(self, tx: Transaction, attempt: LoginAttempt) -> None:
        """Settle an attempt as the user's own: no failure of this account slows anybody any more."""
        await self._throttle.succeeded(tx, attempt.charge)

    async def take_back(self, attempt: LoginAttempt) -> None:
        """Settle an attempt that nobody looked at, or that needs a further step: it counts as no failure."""
        async with self._looking_up, self._platform("sessions.take_back") as tx:
            await self._throttle.take_back(tx, attempt.charge)

    async def fail(self, attempt: LoginAttempt, reason: str) -> None:
        """Record a failure, with the same work for an account that does not exist."""
        login = attempt.login
        async with self._noting, self._platform("sessions.failed") as tx:
            await credentials.count_failure(tx, login.user if login else _NOBODY)
            await audit.record(
                tx,
                attempt.actor,
                "session.created",
                About(
                    "session",
                    login.user_id if login else "unknown",
                    organization_id=login.organization_id if login else None,
                ),
                after={"reason": reason if login else "unknown-account"},
                result="failure",
            )

    @contextmanager
    def _place(self, *, is_known: bool) -> Generator[None]:
        if self._under_way >= (LOGINS_WITH_DEVICE_MAX if is_known else LOGINS_MAX):
            raise too_many_logins()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_SIGNING_IN, name)


async def _device(tx: Transaction, token: str | None, login: Login | None) -> TrustedDevice | None:
    if token is None or not _DEVICE.fullmatch(token):
        return None
    device = await trusted_devices.find(tx, hashed(token))
    return device if device and login and device.user_id == login.user_id else None
