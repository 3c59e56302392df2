"""Logs in, refreshes, logs out.

A login with a password is a walk of five steps: may this client try (login_attempts.py), is the password right, is it
enough (second_factor.py), is its hash up to date, then a session (new_sessions.py). The session is a row that every
request of its access tokens looks at, so that ending it counts at once.

How refresh tokens follow one another is in refresh_tokens.py.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Final, LiteralString
from uuid import UUID

from duoscope.delivery.mail import Mailer
from duoscope.identity.authentication import session_ends
from duoscope.identity.authentication.access_tokens import AccessTokens, TokenPair
from duoscope.identity.authentication.login_attempts import LoginAttempt, LoginAttempts
from duoscope.identity.authentication.new_sessions import NewSession, NewSessions, grant_of
from duoscope.identity.authentication.refresh_tokens import (
    REFRESH_LIFETIME_S,
    REISSUE_WINDOW_S,
    RefreshTokenRotation,
    hashed,
)
from duoscope.identity.authentication.refusals import PASSWORD_EXPIRED, not_refreshed, password_expired, refused
from duoscope.identity.authentication.second_factor import MISSING, Attempt, PasswordAlone, SecondFactor
from duoscope.identity.authentication.session_ends import end_all_in
from duoscope.identity.authentication.sso import SSO_REQUIRED, refuse_password
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.kernel.refs import SessionRef, UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import credentials, refresh_tokens, trusted_devices, user_sessions, users
from duoscope.metadata.refresh_tokens import RefreshToken
from duoscope.metadata.user_sessions import LiveSession
from duoscope.metadata.users import Login
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore, Transaction

__all__ = ["REFRESH_LIFETIME_S", "REISSUE_WINDOW_S", "Sessions", "TokenPair", "printable"]

_SIGNING_IN: Final = PlatformScope(reason="authentication knows no tenant yet")
_TOKEN: Final = re.compile(r"tfr-[A-Za-z0-9_-]{43}")


class Sessions:
    """Turns credentials into tokens.

    Args:
        store: the metadata store.
        hasher: verifies passwords.
        tokens: issues access tokens.
        keys: what counters, marks and refresh tokens are derived with.
        mailer: sends the notice of a new device; None sends none.
        second_factor: decides after every right password whether it is enough; None always takes it for enough.
    """

    def __init__(
        self,
        store: MetadataStore,
        hasher: SlowHasher,
        tokens: AccessTokens,
        keys: SecretKeys,
        *,
        mailer: Mailer | None = None,
        second_factor: SecondFactor | None = None,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._tokens = tokens
        self._second_factor = second_factor or PasswordAlone()
        self._attempts = LoginAttempts(store, hasher, keys)
        self._new_sessions = NewSessions(tokens, mailer)
        self._rotation = RefreshTokenRotation(keys)

    async def login(
        self,
        email: str,
        password: str,
        *,
        actor: Actor | None = None,
        tenant_id: UUID | None = None,
        mfa_code: str | None = None,
        device_token: str | None = None,
        trust_device: bool = False,
        device_name: str = "",
        client_mark: str | None = None,
        former: Iterable[SessionRef] = (),
    ) -> TokenPair:
        """Log in to the user's home tenant, or to `tenant_id` if they have a role there, and return the tokens.

        Args:
            email: as presented.
            password: as presented.
            actor: where the request comes from.
            tenant_id: the tenant to work in.
            mfa_code: the second factor, if one is required.
            device_token: of a device that the user trusts.
            trust_device: return a token that makes this device trusted.
            device_name: shown in the list of devices; by default the user agent.
            client_mark: what an earlier login gave this client.
            former: sessions that the client had until now, which end.

        Raises:
            DuoscopeError: UNAUTHENTICATED `invalid-credentials`, the same for every reason, `password-expired` for an
                expired correct password, or the second factor's errors; FORBIDDEN `sso-required`; RATE_LIMITED
                `too-many-attempts`; UNAVAILABLE when too many log in at once or PostgreSQL is down.
        """
        client = dataclasses.replace(actor or Actor(None, "", "user"), email=printable(email))
        async with self._attempts.admit(client, device_token=device_token, client_mark=client_mark) as admitted:
            login = await self._require_password(admitted, password)
            attempt = admitted.of_user(login)
            shown = await self._require_second_factor(attempt, login, mfa_code)
            rehashed = await self._rehashed(login, password)
            trust_as = printable(device_name) or client.user_agent or ""
            new = NewSession(
                login=login,
                actor=attempt.actor,
                methods=("password", *shown),
                tenant_id=tenant_id,
                device=attempt.device,
                trust_device_as=trust_as if trust_device and attempt.device is None else None,
                former=former,
            )
            return await self._succeed(attempt, new, rehashed)

    async def begin_external(
        self,
        *,
        organization_id: UUID,
        user_id: UUID,
        actor: Actor,
        methods: tuple[str, ...],
        tenant_id: UUID | None = None,
        authenticated_s_ago: float | None = 0.0,
        former: Iterable[SessionRef] = (),
    ) -> TokenPair:
        """Begin a session for a user whom another system has authenticated, such as an OpenID provider.

        Args:
            organization_id: the organization of the user.
            user_id: the user.
            actor: where the request comes from.
            methods: how the user was authenticated, such as `("oidc",)`.
            tenant_id: where to work.
            authenticated_s_ago: when; None if that is not known.
            former: sessions that the client had until now, which end.

        Raises:
            DuoscopeError: UNAUTHENTICATED `invalid-credentials` for an account that is closed or has no role.
        """
        user = UserRef(organization_id, user_id)
        async with self._platform("sessions.external") as tx:
            login = await users.find_login_by_id(tx, user)
            if login is None or not login.is_open:
                raise refused()
            addressee = await credentials.get_addressee(tx, user)
            new = NewSession(
                login=login,
                actor=dataclasses.replace(actor, user_id=user_id, email=addressee.email if addressee else actor.email),
                methods=methods,
                tenant_id=tenant_id,
                authenticated_s_ago=authenticated_s_ago,
                former=former,
            )
            return await self._new_sessions.begin(tx, new)

    async def begin_again(self, principal: Principal, shown: tuple[str, ...]) -> TokenPair:
        """Begin a session that replaces the principal's, after the user has reauthenticated.

        The methods of the old session count for the new one too, so it ends when the old one would have.

        Raises:
            DuoscopeError: UNAUTHENTICATED `token-invalid` if that session has ended meanwhile, `password-expired` if
                the password that it began with has expired.
        """
        session = principal.session
        async with self._platform("sessions.begin_again") as tx:
            left_s = await user_sessions.lock_live(tx, session)
            old = await user_sessions.get_live(tx, session)
            login = await users.find_login_by_id(tx, session.user)
            if left_s is None or old is None or login is None or not login.is_open:
                raise DuoscopeError(ErrorKind.UNAUTHENTICATED, "token-invalid", "The access token is not valid.")
            if not _has_outlived_its_password(old, login):
                new = NewSession(
                    login=login,
                    actor=principal.actor,
                    methods=shown,
                    kept_methods=old.methods,
                    tenant_id=principal.scope.tenant_id,
                    device=await trusted_devices.get(tx, session.user, old.device_id) if old.device_id else None,
                    lifetime_s=left_s,
                    former=[session],
                    former_end=session_ends.REAUTHENTICATED,
                )
                return await self._new_sessions.begin(tx, new)
            await session_ends.end(tx, principal.actor, session, reason=PASSWORD_EXPIRED)
        raise password_expired()

    async def refresh(self, presented: str, *, actor: Actor | None = None, tenant_id: UUID | None = None) -> TokenPair:
        """Exchange a refresh token for the next pair.

        Args:
            presented: the refresh token.
            actor: where the request comes from.
            tenant_id: the tenant of the access token; by default the one where the session began.

        Raises:
            DuoscopeError: NOT_FOUND for a tenant in which the user holds no role; the token then counts as unused.
            DuoscopeError: UNAUTHENTICATED `refresh-token-invalid`, the same for unknown, expired, revoked and reused;
                `password-expired` if the password that the session began with has expired.
        """
        if not _TOKEN.fullmatch(presented):
            raise not_refreshed()
        async with self._platform("sessions.refresh") as tx:
            token = await refresh_tokens.lock(tx, hashed(presented))
            if token is None or token.is_revoked or token.is_expired:
                raise not_refreshed()
            result = await self._next_pair(tx, token, presented, tenant_id)
            if isinstance(result, _End):
                # Committed, unlike what an exception in here would leave.
                who = dataclasses.replace(actor or Actor(None, "", "user"), user_id=token.user_id)
                await session_ends.end(tx, who, token.session, reason=result.reason, is_alarm=result.is_alarm)
        if isinstance(result, _End):
            raise password_expired() if result is _PASSWORD_OVER else not_refreshed()
        return result

    async def logout(self, presented: str, *, actor: Actor | None = None) -> None:
        """End the session of the refresh token. An unknown token is ignored."""
        async with self._platform("sessions.logout") as tx:
            token = await refresh_tokens.lock(tx, hashed(presented))
            if token is not None:
                who = actor or Actor(token.user_id, "", "user")
                await session_ends.end(tx, who, token.session, reason=session_ends.LOGOUT)

    async def end(self, actor: Actor, session: SessionRef) -> None:
        """End a session of a user. Raises NOT_FOUND if the user has no such live session."""
        async with self._platform("sessions.end") as tx:
            if not await session_ends.end(tx, actor, session, reason="ended-by-user"):
                raise not_found("session")

    async def end_all(self, actor: Actor, user: UserRef, *, except_session_id: UUID | None = None) -> int:
        """End all sessions of a user except `except_session_id`. Returns the number ended."""
        async with self._platform("sessions.end_all") as tx:
            return await end_all_in(tx, actor, user, reason="logout-everywhere", except_session_id=except_session_id)

    async def forget_device(self, actor: Actor, user: UserRef, device_id: UUID) -> None:
        """Delete a trusted device of a user and end the sessions on it. Raises NOT_FOUND if there is no such."""
        async with self._platform("sessions.forget_device") as tx:
            if not await session_ends.forget_device(tx, actor, user, device_id):
                raise not_found("device")

    async def _require_password(self, attempt: LoginAttempt, password: str) -> Login:
        """Return whose password it is; refuse a wrong one, one that has expired, and a closed account."""
        login = attempt.login
        try:
            right = await self._hasher.verify(
                login.password_hash if login else None, password, is_known=attempt.charge.is_known
            )
        except DuoscopeError:
            await self._attempts.take_back(attempt)
            raise
        if login is None or not right:
            await self._attempts.fail(attempt, "wrong-password")
            raise refused()
        if not login.is_open:
            await self._attempts.fail(attempt, "account-closed")
            raise refused()
        if login.password_has_expired:
            await self._attempts.fail(attempt, PASSWORD_EXPIRED)
            raise password_expired()
        return login

    async def _require_second_factor(
        self, attempt: LoginAttempt, login: Login, mfa_code: str | None
    ) -> tuple[str, ...]:
        """Return what was shown besides the password, which was right; refuse where that is not enough."""
        try:
            refuse_password(login)
            return await self._second_factor.check(Attempt(login.user, mfa_code, attempt.device, attempt.actor))
        except DuoscopeError as error:
            is_no_guess = error.code in {MISSING, SSO_REQUIRED} or error.kind is ErrorKind.UNAVAILABLE
            if is_no_guess:
                await self._attempts.take_back(attempt)
            if not is_no_guess or error.code == SSO_REQUIRED:
                await self._attempts.fail(attempt, error.code)
            raise

    async def _rehashed(self, login: Login, password: str) -> str | None:
        """Return another hash of the password if the stored one was made with other parameters than today's."""
        return await self._hasher.hash(password) if self._hasher.is_outdated(login.password_hash) else None

    async def _succeed(self, attempt: LoginAttempt, new: NewSession, rehashed: str | None) -> TokenPair:
        """Settle the attempt and begin its session, unless the account was changed while it was verified."""
        try:
            async with self._platform("sessions.login") as tx:
                await self._attempts.succeed(tx, attempt)
                if not await _is_unchanged(tx, new.login):
                    raise refused()
                if rehashed:
                    await credentials.rehash_password(tx, new.login.user, rehashed)
                pair = await self._new_sessions.begin(tx, new)
        except DuoscopeError as error:
            if error.kind is ErrorKind.UNAUTHENTICATED:
                await self._attempts.fail(attempt, "no-role-there")
            raise
        return dataclasses.replace(
            pair, client_mark=self._attempts.mark_of(attempt), password_expires_at=new.login.password_expires_at
        )

    async def _next_pair(
        self, tx: Transaction, token: RefreshToken, presented: str, tenant_id: UUID | None
    ) -> "TokenPair | _End":
        """Return the tokens that follow, or how the session ends in their place."""
        left_s = await user_sessions.lock_live(tx, token.session)
        login = await users.find_login_by_id(tx, token.session.user)
        if left_s is None or login is None or not login.is_open:
            return _CLOSED
        if login.password_has_expired and _has_outlived_its_password(
            await user_sessions.get_live(tx, token.session), login
        ):
            return _PASSWORD_OVER
        grant = await grant_of(tx, login, token.tenant_id)
        if grant is None:
            return _CLOSED
        there = grant if tenant_id is None else await grant_of(tx, login, tenant_id)
        if there is None:
            raise not_found("tenant")
        successor = await self._rotation.successor(tx, token, presented, grant=grant, left_s=left_s)
        if successor is None:
            return _REUSED
        await user_sessions.touch(tx, token.session)
        return TokenPair(self._tokens.issue(there, user_id=token.user_id, session_id=token.family_id), successor)

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_SIGNING_IN, name)


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    """How a session ends that its refresh token does not continue."""

    reason: str
    is_alarm: bool = True


_CLOSED: Final = _End("account-closed")
_REUSED: Final = _End("refresh-token-reused")
_PASSWORD_OVER: Final = _End(PASSWORD_EXPIRED, is_alarm=False)


async def _is_unchanged(tx: Transaction, login: Login) -> bool:
    """Whether the password is unchanged, and the account still open, after the password was verified."""
    now = await users.find_login_by_id(tx, login.user)
    return now is not None and now.is_open and now.password_hash == login.password_hash


def _has_outlived_its_password(session: LiveSession | None, login: Login) -> bool:
    """Whether the session began with a generated password that has expired and was not replaced."""
    began_with_it = session is not None and "password" in session.methods and "oidc" not in session.methods
    return began_with_it and login.password_has_expired


def printable(text: str) -> str:
    """A typed text without characters that no store accepts and no list shows."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text.strip())
