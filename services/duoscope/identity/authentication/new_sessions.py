"""Begins sessions: the row, its first tokens, the device, the notice, the audit entry and the ends of former sessions.

Whoever calls this has authenticated the user. All of it is one platform transaction of the caller's.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from duoscope.delivery.mail import Mailer
from duoscope.identity.authentication import notices, session_ends
from duoscope.identity.authentication.access_tokens import AccessTokens, TokenPair
from duoscope.identity.authentication.refresh_tokens import REFRESH_LIFETIME_S, hashed, store_token
from duoscope.identity.authentication.refusals import refused
from duoscope.identity.authentication.second_factor import SECOND_FACTORS
from duoscope.kernel.actor import Actor
from duoscope.kernel.ids import new_id
from duoscope.kernel.refs import SessionRef
from duoscope.metadata import permissions, trusted_devices, user_sessions, users
from duoscope.metadata.permissions import Grant
from duoscope.metadata.trusted_devices import TrustedDevice
from duoscope.metadata.users import Login
from duoscope.stores.postgres import Transaction

SESSION_LIFETIME_S: Final = 30 * 24 * 3600
"""Of every session, however much it is used (NIST SP 800-63B, section 2.1.3: 30 days)."""
DEVICE_LIFETIME_S: Final = 90 * 24 * 3600
_SHOWN_HERE: Final = SECOND_FACTORS - {"device", "mfa"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session to begin, for a user who has been authenticated.

    Attributes:
        login: the user.
        actor: the user as the audit log shows them, and where the request comes from.
        methods: how they have authenticated now.
        kept_methods: how they had authenticated in the session that this one replaces.
        tenant_id: where to work; None for the home tenant.
        device: the trusted device that it is on.
        trust_device_as: the name of the device that is to be trusted from now on; None to trust no other.
        authenticated_s_ago: when they authenticated; None if that is not known.
        lifetime_s: when it ends, however much it is used.
        former: the sessions that the client had until now, which end.
        former_end: the reason why those end.
    """

    login: Login
    actor: Actor
    methods: tuple[str, ...]
    kept_methods: frozenset[str] = frozenset()
    tenant_id: UUID | None = None
    device: TrustedDevice | None = None
    trust_device_as: str | None = None
    authenticated_s_ago: float | None = 0.0
    lifetime_s: float = SESSION_LIFETIME_S
    former: Iterable[SessionRef] = ()
    former_end: str = session_ends.ANOTHER_LOGIN


class NewSessions:
    """Begins sessions.

    Args:
        tokens: issues their access tokens.
        mailer: sends the notice of a new device; None sends none.
    """

    def __init__(self, tokens: AccessTokens, mailer: Mailer | None) -> None:
        self._tokens = tokens
        self._mailer = mailer

    async def begin(self, tx: Transaction, new: NewSession) -> TokenPair:
        """Begin a session and return its tokens.

        Raises:
            DuoscopeError: UNAUTHENTICATED `invalid-credentials` if the user holds no role there.
        """
        grant = await grant_of(tx, new.login, new.tenant_id)
        if grant is None:
            raise refused()
        await users.record_login(tx, new.login.user)
        is_new_client = new.device is None and await notices.is_new_client(tx, new.login.user, new.actor)
        device, device_token = await _device_of(tx, new)
        session = new.login.user.session(new_id())
        refresh_token = await _store(tx, session, new, grant, device)
        if is_new_client and self._mailer is not None:
            await notices.new_device(tx, self._mailer, new.login.user, new.actor)
        after = {
            "methods": new.methods,
            "tenant_id": grant.tenant_id,
            "device_id": device.device_id if device else None,
        }
        # Last, because it locks the audit chain.
        await session_ends.record_begun(tx, new.actor, session, after=after, former=new.former, reason=new.former_end)
        access = self._tokens.issue(grant, user_id=session.user_id, session_id=session.session_id)
        return TokenPair(access, refresh_token, device_token=device_token)


async def grant_of(tx: Transaction, login: Login, tenant_id: UUID | None) -> Grant | None:
    """Return what the user holds in a tenant, or None if that is nothing.

    Without a tenant it is the home tenant, or else the one where the user has held a role for the longest.
    """
    grants = await permissions.grants_of(tx, login.user)
    by_tenant = {grant.tenant_id: grant for grant in grants}
    if tenant_id is not None:
        return by_tenant.get(tenant_id)
    home = by_tenant.get(login.tenant_id) if login.tenant_id else None
    return home or next(iter(grants), None)


async def _device_of(tx: Transaction, new: NewSession) -> tuple[TrustedDevice | None, str | None]:
    """Return the device of the session and, for one that is trusted from now on, its token."""
    device, token = new.device, None
    if new.trust_device_as is not None:
        token = "tfd-" + secrets.token_urlsafe(32)
        device = await trusted_devices.create(
            tx,
            organization_id=new.login.organization_id,
            user_id=new.login.user_id,
            device_fingerprint=hashed(token),
            device_name=new.trust_device_as,
            lifetime_s=DEVICE_LIFETIME_S,
        )
    if device is not None:
        await trusted_devices.record_use(tx, device, with_mfa=bool(_SHOWN_HERE.intersection(new.methods)))
    return device, token


async def _store(
    tx: Transaction, session: SessionRef, new: NewSession, grant: Grant, device: TrustedDevice | None
) -> str:
    """Store the session and its first refresh token, which is returned."""
    refresh_token = "tfr-" + secrets.token_urlsafe(32)
    await user_sessions.create(
        tx,
        session,
        workspace_id=grant.workspace_id,
        tenant_id=grant.tenant_id,
        token_hash=hashed(refresh_token),
        methods=tuple(sorted(new.kept_methods.difference(new.methods))) + new.methods,
        device_id=device.device_id if device else None,
        ip_address=new.actor.ip_address,
        user_agent=new.actor.user_agent,
        lifetime_s=new.lifetime_s,
        authenticated_s_ago=new.authenticated_s_ago,
    )
    await store_token(
        tx,
        grant,
        user_id=session.user_id,
        session_id=session.session_id,
        token=refresh_token,
        lifetime_s=min(REFRESH_LIFETIME_S, new.lifetime_s),
    )
    return refresh_token
