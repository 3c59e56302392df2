"""Checks the password again before a signed-in user changes how they log in."""

from typing import Final

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication.sso import refuse_password
from duoscope.identity.authentication.throttle import Throttle
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import users
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore

_ONESELF: Final = PlatformScope(reason="a password is a person's, not a tenant's")


class Reauthentication:
    """Verifies a signed-in user's password; guessing is slowed down as for logins."""

    def __init__(self, store: MetadataStore, hasher: SlowHasher, keys: SecretKeys) -> None:
        self._store = store
        self._hasher = hasher
        self._throttle = Throttle(keys)

    async def require(self, principal: Principal, password: str | None) -> None:
        """Return if the password is correct or, without one, if the principal authenticated recently.

        Raises:
            DuoscopeError: FORBIDDEN `reauthentication-required`; else as for `require_password`.
        """
        if password is None:
            principal.require_recent()
        else:
            await self.require_password(principal, password)

    async def require_password(self, principal: Principal, password: str) -> None:
        """Return if the password is correct.

        Raises:
            DuoscopeError: FORBIDDEN `password-wrong`, `password-expired` or `sso-required`; RATE_LIMITED
                `too-many-attempts`; UNAVAILABLE.
        """
        async with self._store.open_platform(_ONESELF, "reauthentication.attempt") as tx:
            login = await users.find_login_by_id(tx, principal.user)
            charge = await self._throttle.charge(
                tx, account=f"again {principal.user_id}", address=principal.actor.ip_address, device_id=None
            )
        try:
            right = await self._hasher.verify(login.password_hash if login else None, password, is_known=True)
        except DuoscopeError:
            async with self._store.open_platform(_ONESELF, "reauthentication.take_back") as tx:
                await self._throttle.take_back(tx, charge)
            raise
        if login is None or not right:
            async with self._store.open_platform(_ONESELF, "reauthentication.failed") as tx:
                about = About.user(principal.user)
                await audit.record(tx, principal.actor, "password.presented", about, result="failure")
            raise DuoscopeError(ErrorKind.FORBIDDEN, "password-wrong", "The password is wrong.")
        if login.password_has_expired:
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "password-expired",
                "This generated password has expired: set your own first, with POST /api/v1/auth/password/change.",
            )
        async with self._store.open_platform(_ONESELF, "reauthentication.succeeded") as tx:
            await self._throttle.succeeded(tx, charge)
        refuse_password(login)
