"""Logs in, refreshes, logs out.

A login has these steps: may this client try (throttle.py), is the password correct, is it enough (second_factor.py),
then a session. The session is a row that every request with its access tokens reads, so that ending it takes effect at
once.

The rotation of refresh tokens is in refresh_tokens.py.
"""

import asyncio
import dataclasses
import re
import secrets
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final, LiteralString
from uuid import UUID

from duoscope.delivery.mail import Mailer
from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authentication import notices, session_ends
from duoscope.identity.authentication.access_tokens import AccessTokens, TokenPair
from duoscope.identity.authentication.known_clients import KnownClients
from duoscope.identity.authentication.refresh_tokens import (
    REFRESH_LIFETIME_S,
    REISSUE_WINDOW_S,
    RefreshTokenRotation,
    hashed,
    store_token,
)
from duoscope.identity.authentication.refusals import PASSWORD_EXPIRED, not_refreshed, password_expired, refused
from duoscope.identity.authentication.second_factor import MISSING, SECOND_FACTORS, Attempt, PasswordAlone, SecondFactor
from duoscope.identity.authentication.session_ends import SessionId, end_all_in
from duoscope.identity.authentication.sso import SSO_REQUIRED, refuse_password
from duoscope.identity.authentication.throttle import Charge, Throttle
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.passwords.hashing import SlowHasher, too_many_logins
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import (
    credentials,
    permissions,
    refresh_tokens,
    trusted_devices,
    user_sessions,
    users,
)
from duoscope.metadata.permissions import Grant
from duoscope.metadata.trusted_devices import TrustedDevice
from duoscope.metadata.user_sessions import LiveSession
from duoscope.metadata.users import Login
from duoscope.secrets.keys import SecretKeys
from duoscope.stores.postgres import MetadataStore, Transaction

__all__ = ["REFRESH_LIFETIME_S", "REISSUE_WINDOW_S", "Sessions", "TokenPair", "end_all_in", "printable"]

SESSION_LIFETIME_S: Final = 30 * 24 * 3600
"""Of every session, however much it is used (NIST SP 800-63B, section 2.1.3: 30 days)."""
DEVICE_LIFETIME_S: Final = 90 * 24 * 3600
LOGINS_MAX: Final = 48
LOGINS_WITH_DEVICE_MAX: Final = 64
"""Logins at once, most of which wait for Argon2; some slots are for devices that send a token."""
LOOKUPS_MAX: Final = 2
FAILURES_NOTED_MAX: Final = 1
"""Connections to PostgreSQL that failing logins may take from others: entries of one audit log wait for one another
anyway."""
_SHOWN_HERE: Final = SECOND_FACTORS - {"device", "mfa"}
_SIGNING_IN = PlatformScope(reason="authentication knows no tenant yet")
_TOKEN = re.compile(r"tfr-[A-Za-z0-9_-]{43}")
_DEVICE = re.compile(r"tfd-[A-Za-z0-9_-]{43}")


class Sessions:
    """Turns credentials into tokens.

    Args:
        store, hasher, tokens, keys: what it works with.
        mailer: sends the notice of a new device; None: no notice is sent.
        second_factor: called after every correct password.
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
        self._mailer = mailer
        self._second_factor = second_factor or PasswordAlone()
        self._throttle = Throttle(keys)
        self._clients = KnownClients(keys)
        self._rotation = RefreshTokenRotation(keys)
        self._under_way = 0
        self._looking_up = asyncio.Semaphore(LOOKUPS_MAX)
        self._noting = asyncio.Semaphore(FAILURES_NOTED_MAX)

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
        former: Iterable[SessionId] = (),
    ) -> TokenPair:
        """Log in to the user's home tenant, or to `tenant_id` if they have a role there.

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
        email = printable(email)
        actor = dataclasses.replace(actor or Actor(None, "", "user"), email=email)
        client_id = self._clients.identify(email, client_mark)
        with self._place(is_known=bool(device_token or client_id)):
            async with self._looking_up, self._platform("sessions.attempt") as tx:
                login = await users.find_login(tx, email)
                device = await _device(tx, device_token, login)
                charge = await self._throttle.charge(
                    tx,
                    account=email,
                    address=actor.ip_address,
                    device_id=device.device_id if device else None,
                    client_id=client_id,
                )
                # Rolled back, so it was not counted: in a flood that is cheaper than to count it and undo the count.
                self._hasher.require_place(is_known=charge.is_known)
            try:
                right = await self._hasher.verify(
                    login.password_hash if login else None, password, is_known=charge.is_known
                )
            except DuoscopeError:
                await self._took_nothing(charge)
                raise
            if login is None or not right or not login.is_open or login.password_has_expired:
                is_over = login is not None and right and login.is_open
                closed = PASSWORD_EXPIRED if is_over else "account-closed"
                await self._failed(actor, login, closed if right else "wrong-password")
                raise password_expired() if is_over else refused()
            actor = dataclasses.replace(actor, user_id=login.user_id)
            attempt = Attempt(login.organization_id, login.user_id, mfa_code, device, actor)
            factors = await self._check(attempt, login, charge)
            rehashed = None
            if self._hasher.is_outdated(login.password_hash):
                rehashed = await self._hasher.hash(password)
            named = printable(device_name) or actor.user_agent or ""
            try:
                async with self._platform("sessions.login") as tx:
                    await self._throttle.succeeded(tx, charge)
                    if not await _is_unchanged(tx, login):
                        raise refused()
                    if rehashed:
                        await credentials.rehash_password(tx, login.organization_id, login.user_id, rehashed)
                    pair = await self._begin(
                        tx,
                        login,
                        actor=actor,
                        methods=("password", *factors),
                        tenant_id=tenant_id,
                        device=device,
                        trust=named if trust_device and device is None else None,
                        former=former,
                    )
                mark = client_mark if client_id else self._clients.mark(email)
                return dataclasses.replace(pair, client_mark=mark, password_expires_at=login.password_expires_at)
            except DuoscopeError as error:
                if error.kind is ErrorKind.UNAUTHENTICATED:
                    await self._failed(actor, login, "no-role-there")
                raise

    async def begin_external(
        self,
        *,
        organization_id: UUID,
        user_id: UUID,
        actor: Actor,
        methods: tuple[str, ...],
        tenant_id: UUID | None = None,
        authenticated_s_ago: float | None = 0.0,
        former: Iterable[SessionId] = (),
    ) -> TokenPair:
        """Begin a session for a user whom another system has authenticated, such as an OpenID provider:
        `methods=("oidc",)`.

        Args:
            organization_id: the user's organization.
            user_id: the user.
            actor: where the request comes from.
            methods: how the user was authenticated.
            tenant_id: the tenant to work in.
            authenticated_s_ago: when; None if that is not known.
            former: sessions that the client had until now, which end.

        Raises:
            DuoscopeError: UNAUTHENTICATED `invalid-credentials` for an account that is closed or has no role.
        """
        async with self._platform("sessions.external") as tx:
            login = await users.find_login_by_id(tx, organization_id, user_id)
            if login is None or not login.is_open:
                raise refused()
            addressee = await credentials.get_addressee(tx, organization_id, user_id)
            actor = dataclasses.replace(actor, user_id=user_id, email=addressee.email if addressee else actor.email)
            return await self._begin(
                tx,
                login,
                actor=actor,
                methods=methods,
                tenant_id=tenant_id,
                authenticated_s_ago=authenticated_s_ago,
                former=former,
            )

    async def begin_again(self, principal: Principal, shown: tuple[str, ...]) -> TokenPair:
        """Begin a session that replaces the principal's, after the user has reauthenticated. It ends when the old one
        would have.

        The methods of the old session count for the new one too, so it does not outlast it: only a login does.

        Raises:
            DuoscopeError: UNAUTHENTICATED `token-invalid` if that session has ended meanwhile, `password-expired` if
                the password that it began with has expired.
        """
        ids = principal.scope.organization_id, principal.user_id
        async with self._platform("sessions.begin_again") as tx:
            left_s = await user_sessions.lock_live(tx, *ids, principal.session_id)
            old = await user_sessions.get_live(tx, *ids, principal.session_id)
            login = await users.find_login_by_id(tx, *ids)
            if left_s is None or old is None or login is None or not login.is_open:
                raise DuoscopeError(ErrorKind.UNAUTHENTICATED, "token-invalid", "The access token is not valid.")
            if not _has_outlived_its_password(old, login):
                return await self._begin(
                    tx,
                    login,
                    actor=principal.actor,
                    methods=shown,
                    kept=old.methods,
                    tenant_id=principal.scope.tenant_id,
                    device=await trusted_devices.get(tx, *ids, old.device_id) if old.device_id else None,
                    lifetime_s=left_s,
                    former=[SessionId(*ids, principal.session_id)],
                    reason=session_ends.REAUTHENTICATED,
                )
            await session_ends.end(tx, principal.actor, *ids, principal.session_id, reason=PASSWORD_EXPIRED)
        raise password_expired()

    async def refresh(self, presented: str, *, actor: Actor | None = None) -> TokenPair:
        """Exchange a refresh token for the next pair.

        Raises:
            DuoscopeError: UNAUTHENTICATED `refresh-token-invalid`, the same for unknown, expired, revoked and reused;
                `password-expired` if the password that the session began with has expired.
        """
        if not _TOKEN.fullmatch(presented):
            raise not_refreshed()
        pair: TokenPair | None = None
        is_over = False
        async with self._platform("sessions.refresh") as tx:
            token = await refresh_tokens.lock(tx, hashed(presented))
            if token is None or token.is_revoked or token.is_expired:
                raise not_refreshed()
            ids = token.organization_id, token.user_id, token.family_id
            left_s = await user_sessions.lock_live(tx, *ids)
            login = await users.find_login_by_id(tx, token.organization_id, token.user_id)
            is_open = left_s is not None and login is not None and login.is_open
            if login and is_open and login.password_has_expired:
                is_over = _has_outlived_its_password(await user_sessions.get_live(tx, *ids), login)
            grant = await _grant(tx, login, token.tenant_id) if login and is_open and not is_over else None
            successor = (
                await self._rotation.successor(tx, token, presented, grant=grant, left_s=left_s)
                if grant and left_s
                else None
            )
            if grant and successor:
                await user_sessions.touch(tx, token.organization_id, token.family_id)
                access = self._tokens.issue(grant, user_id=token.user_id, session_id=token.family_id)
                pair = TokenPair(access, successor)
            else:
                # Committed, unlike the work of a block that raises.
                reason = PASSWORD_EXPIRED if is_over else "refresh-token-reused" if grant else "account-closed"
                who = dataclasses.replace(actor or Actor(None, "", "user"), user_id=token.user_id)
                await session_ends.end(tx, who, *ids, reason=reason, is_alarm=not is_over)
        if pair is None:
            raise password_expired() if is_over else not_refreshed()
        return pair

    async def logout(self, presented: str, *, actor: Actor | None = None) -> None:
        """End the session of the refresh token. An unknown token is ignored."""
        async with self._platform("sessions.logout") as tx:
            token = await refresh_tokens.lock(tx, hashed(presented))
            if token is not None:
                who = actor or Actor(token.user_id, "", "user")
                await session_ends.end(
                    tx, who, token.organization_id, token.user_id, token.family_id, reason=session_ends.LOGOUT
                )

    async def end(self, actor: Actor, organization_id: UUID, user_id: UUID, session_id: UUID) -> None:
        """End one of the user's sessions. Raises NOT_FOUND for any other."""
        async with self._platform("sessions.end") as tx:
            if not await session_ends.end(tx, actor, organization_id, user_id, session_id, reason="ended-by-user"):
                raise not_found("session")

    async def end_all(
        self, actor: Actor, organization_id: UUID, user_id: UUID, *, except_session_id: UUID | None = None
    ) -> int:
        """End all of the user's sessions except `except_session_id`. Returns how many."""
        async with self._platform("sessions.end_all") as tx:
            return await end_all_in(
                tx, actor, organization_id, user_id, reason="logout-everywhere", except_session_id=except_session_id
            )

    async def forget_device(self, actor: Actor, organization_id: UUID, user_id: UUID, device_id: UUID) -> None:
        """Stop trusting one of the user's devices, and end the sessions on it. Raises NOT_FOUND for any other."""
        async with self._platform("sessions.forget_device") as tx:
            if not await session_ends.forget_device(tx, actor, organization_id, user_id, device_id):
                raise not_found("device")

    async def _begin(
        self,
        tx: Transaction,
        login: Login,
        *,
        actor: Actor,
        methods: tuple[str, ...],
        tenant_id: UUID | None,
        device: TrustedDevice | None = None,
        trust: str | None = None,
        kept: Iterable[str] = (),
        authenticated_s_ago: float | None = 0.0,
        lifetime_s: float = SESSION_LIFETIME_S,
        former: Iterable[SessionId] = (),
        reason: str = session_ends.ANOTHER_LOGIN,
    ) -> TokenPair:
        grant = await _grant(tx, login, tenant_id)
        if grant is None:
            raise refused()
        organization_id, user_id = login.organization_id, login.user_id
        await users.record_login(tx, organization_id, user_id)
        is_new = device is None and await notices.is_new_client(tx, login.organization_id, login.user_id, actor)
        device_token = None
        if trust is not None:
            device_token = "tfd-" + secrets.token_urlsafe(32)
            device = await trusted_devices.create(
                tx,
                organization_id=organization_id,
                user_id=user_id,
                device_fingerprint=hashed(device_token),
                device_name=trust,
                lifetime_s=DEVICE_LIFETIME_S,
            )
        if device is not None:
            await trusted_devices.record_use(tx, device, with_mfa=bool(_SHOWN_HERE.intersection(methods)))
        session_id = new_id()
        refresh = "tfr-" + secrets.token_urlsafe(32)
        await user_sessions.create(
            tx,
            organization_id=organization_id,
            session_id=session_id,
            user_id=user_id,
            workspace_id=grant.workspace_id,
            tenant_id=grant.tenant_id,
            token_hash=hashed(refresh),
            methods=tuple(sorted({*kept} - {*methods})) + methods,
            device_id=device.device_id if device else None,
            ip_address=actor.ip_address,
            user_agent=actor.user_agent,
            lifetime_s=lifetime_s,
            authenticated_s_ago=authenticated_s_ago,
        )
        await store_token(
            tx,
            grant,
            user_id=user_id,
            session_id=session_id,
            token=refresh,
            lifetime_s=min(REFRESH_LIFETIME_S, lifetime_s),
        )
        if is_new and self._mailer is not None:
            await notices.new_device(tx, self._mailer, organization_id, user_id, actor)
        after = {"methods": methods, "tenant_id": grant.tenant_id, "device_id": device.device_id if device else None}
        begun = SessionId(organization_id, user_id, session_id)
        await session_ends.record_begun(tx, actor, begun, after=after, former=former, reason=reason)
        access = self._tokens.issue(grant, user_id=user_id, session_id=session_id)
        return TokenPair(access, refresh, device_token=device_token)

    async def _check(self, attempt: Attempt, login: Login, charge: Charge) -> tuple[str, ...]:
        """The methods used besides the correct password; refuses if they are not enough."""
        try:
            refuse_password(login)
            return await self._second_factor.check(attempt)
        except DuoscopeError as error:
            is_no_guess = error.code in {MISSING, SSO_REQUIRED} or error.kind is ErrorKind.UNAVAILABLE
            if is_no_guess:
                await self._took_nothing(charge)
            if not is_no_guess or error.code == SSO_REQUIRED:
                await self._failed(attempt.actor, login, error.code)
            raise

    @contextmanager
    def _place(self, *, is_known: bool) -> Generator[None]:
        if self._under_way >= (LOGINS_WITH_DEVICE_MAX if is_known else LOGINS_MAX):
            raise too_many_logins()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _took_nothing(self, charge: Charge) -> None:
        async with self._looking_up, self._platform("sessions.take_back") as tx:
            await self._throttle.take_back(tx, charge)

    async def _failed(self, actor: Actor, login: Login | None, reason: str) -> None:
        """Record a failure, with the same work for an account that does not exist."""
        async with self._noting, self._platform("sessions.failed") as tx:
            organization_id = login.organization_id if login else None
            user_id = login.user_id if login else UUID(int=0)
            await credentials.count_failure(tx, organization_id or UUID(int=0), user_id)
            await audit.record(
                tx,
                actor,
                "session.created",
                About("session", login.user_id if login else "unknown", organization_id),
                after={"reason": reason if login else "unknown-account"},
                result="failure",
            )

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_SIGNING_IN, name)


async def _device(tx: Transaction, token: str | None, login: Login | None) -> TrustedDevice | None:
    if token is None or not _DEVICE.fullmatch(token):
        return None
    device = await trusted_devices.find(tx, hashed(token))
    return device if device and login and device.user_id == login.user_id else None


async def _is_unchanged(tx: Transaction, login: Login) -> bool:
    """Whether the password is unchanged, and the account still open, after the password was verified."""
    now = await users.find_login_by_id(tx, login.organization_id, login.user_id)
    return now is not None and now.is_open and now.password_hash == login.password_hash


def _has_outlived_its_password(session: LiveSession | None, login: Login) -> bool:
    """Whether the session began with a generated password that has expired and was not replaced."""
    began_with_it = session is not None and "password" in session.methods and "oidc" not in session.methods
    return began_with_it and login.password_has_expired


async def _grant(tx: Transaction, login: Login, tenant_id: UUID | None) -> Grant | None:
    """The user's grant in that tenant; by default at home, or else where they have been the longest."""
    grants = await permissions.grants_of(tx, login.organization_id, login.user_id)
    by_tenant = {grant.tenant_id: grant for grant in grants}
    if tenant_id is not None:
        return by_tenant.get(tenant_id)
    home = by_tenant.get(login.tenant_id) if login.tenant_id else None
    return home or next(iter(grants), None)


def printable(text: str) -> str:
    """A typed text without characters that no store accepts and no list shows."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text.strip())
