"""Log in, refresh, log out.

A refresh token is used once. Its successor is derived from it, so a client that lost the answer gets the same one again
for REISSUE_WINDOW_S; used later, or after its successor, it was stolen by somebody, and the whole family ends.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import LiteralString
from uuid import UUID

from duoscope.identity.passwords import SlowHasher
from duoscope.identity.secret_keys import SecretKeys
from duoscope.identity.tokens import ACCESS_LIFETIME_S, AccessTokens
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import permissions, refresh_tokens, users
from duoscope.metadata.permissions import Grant
from duoscope.metadata.refresh_tokens import RefreshToken
from duoscope.metadata.users import Login
from duoscope.stores.postgres import MetadataStore, Transaction

REFRESH_LIFETIME_S = 30 * 24 * 3600
"""From the last refresh: a session that is used goes on."""
REISSUE_WINDOW_S = 10.0
_LOGIN = PlatformScope(reason="authentication knows no tenant yet")
_TOKEN = re.compile(r"tfr-[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login answers. `expires_in` is the access token's lifetime in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = ACCESS_LIFETIME_S


class Sessions:
    """Turns credentials into tokens."""

    def __init__(self, store: MetadataStore, hasher: SlowHasher, tokens: AccessTokens, keys: SecretKeys) -> None:
        self._store = store
        self._hasher = hasher
        self._tokens = tokens
        self._successor_keys = keys.derive("refresh-token-successor")

    async def login(
        self, email: str, password: str, *, tenant_id: UUID | None = None, device_fingerprint: str | None = None
    ) -> TokenPair:
        """Tokens for the user's home tenant, or for `tenant_id` if they have a role there.

        Raises:
            DuoscopeError: UNAUTHENTICATED `invalid-credentials`, the same for whatever is wrong; UNAVAILABLE when too
                many log in at once or PostgreSQL is away.
        """
        async with self._platform("sessions.find_login") as m:
            login = await users.find_login(m, email)
        right = await self._hasher.verify(login.password_hash if login else None, password)
        if login is None or not right or not login.is_open:
            async with self._platform("sessions.failed_login") as m:
                await users.record_failed_login(m, email if not right else "")
            raise _refused()
        rehashed = await self._hasher.hash(password) if self._hasher.is_outdated(login.password_hash) else None
        async with self._platform("sessions.login") as m:
            grant = await _grant(m, login, tenant_id)
            if grant is None:
                raise _refused()
            if rehashed:
                await users.set_password(m, login.user_id, rehashed)
            await users.record_login(m, login.organization_id, login.user_id)
            family_id = new_id()
            refresh = "tfr-" + secrets.token_urlsafe(32)
            await self._store_token(
                m, grant, user_id=login.user_id, family_id=family_id, token=refresh, fingerprint=device_fingerprint
            )
        return TokenPair(self._tokens.issue(grant, user_id=login.user_id, session_id=family_id), refresh)

    async def refresh(self, presented: str) -> TokenPair:
        """The next pair.

        Raises:
            DuoscopeError: UNAUTHENTICATED `refresh-token-invalid`, the same for unknown, expired, revoked and reused.
        """
        if not _TOKEN.fullmatch(presented):
            raise _not_refreshed()
        pair: TokenPair | None = None
        async with self._platform("sessions.refresh") as m:
            token = await refresh_tokens.lock(m, _hash(presented))
            if token is None or token.is_revoked or token.is_expired:
                raise _not_refreshed()
            login = await users.find_login_by_id(m, token.organization_id, token.user_id)
            grant = await _grant(m, login, token.tenant_id) if login and login.is_open else None
            successor = await self._successor(m, token, presented, grant) if grant else None
            if grant and successor:
                access = self._tokens.issue(grant, user_id=token.user_id, session_id=token.family_id)
                pair = TokenPair(access, successor)
            else:
                # Committed, unlike what an exception in here would leave.
                await refresh_tokens.revoke_family(m, token.tenant_id, token.family_id)
        if pair is None:
            raise _not_refreshed()
        return pair

    async def logout(self, presented: str) -> None:
        """End the session the refresh token belongs to; says nothing of one that it does not know."""
        async with self._platform("sessions.logout") as m:
            token = await refresh_tokens.lock(m, _hash(presented))
            if token is not None:
                await refresh_tokens.revoke_family(m, token.tenant_id, token.family_id)

    async def _successor(self, m: Transaction, token: RefreshToken, presented: str, grant: Grant) -> str | None:
        if token.rotated_s_ago is None:
            successor = _derive(self._successor_keys[0], presented)
            await refresh_tokens.mark_rotated(m, token)
            await self._store_token(
                m, grant, user_id=token.user_id, family_id=token.family_id, token=successor, fingerprint=None
            )
            return successor
        if token.rotated_s_ago > REISSUE_WINDOW_S:
            return None
        for key in self._successor_keys:  # a change of secrets may lie between
            successor = _derive(key, presented)
            issued = await refresh_tokens.lock(m, _hash(successor))
            if issued is not None:
                return successor if issued.rotated_s_ago is None and not issued.is_revoked else None
        return None

    async def _store_token(
        self, m: Transaction, grant: Grant, *, user_id: UUID, family_id: UUID, token: str, fingerprint: str | None
    ) -> None:
        await refresh_tokens.create(
            m,
            organization_id=grant.organization_id,
            workspace_id=grant.workspace_id,
            tenant_id=grant.tenant_id,
            user_id=user_id,
            family_id=family_id,
            token_hash=_hash(token),
            lifetime_s=REFRESH_LIFETIME_S,
            device_fingerprint=fingerprint,
        )

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_LOGIN, name)


async def _grant(m: Transaction, login: Login, tenant_id: UUID | None) -> Grant | None:
    """The user's grant in that tenant; without one given, at home, or else where they have been the longest."""
    grants = await permissions.grants_of(m, login.organization_id, login.user_id)
    by_tenant = {grant.tenant_id: grant for grant in grants}
    if tenant_id is not None:
        chosen = by_tenant.get(tenant_id)
    else:
        home = by_tenant.get(login.tenant_id) if login.tenant_id else None
        chosen = home or next(iter(grants), None)
    if chosen is None or not login.is_platform_admin:
        return chosen
    platform = await permissions.platform_names(m)
    return Grant(chosen.organization_id, chosen.workspace_id, chosen.tenant_id, chosen.permissions | platform)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _derive(key: bytes, presented: str) -> str:
    digest = hmac.digest(key, presented.encode(), "sha256")
    return "tfr-" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused() -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.UNAUTHENTICATED, "invalid-credentials", "The e-mail address or the password is wrong."
    )


def _not_refreshed() -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.UNAUTHENTICATED, "refresh-token-invalid", "The refresh token is not valid; log in again."
    )
