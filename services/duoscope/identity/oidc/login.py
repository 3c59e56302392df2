"""Login through an organization's OpenID provider: authorization code with PKCE, one-time state, nonce.

The data that a login needs when the browser comes back is in a sealed cookie of that browser: the state is bound to it,
and beginning logins creates no rows. The state is used up when it comes back.

A login belongs to a user of the provider's organization: identified by the provider's subject, else linked by an
address that both sides have verified, else created. Each login updates the roles that groups give. Every refusal looks
the same from outside; the audit log has the reasons.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString, cast
from urllib.parse import urlencode
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authentication.sessions import Sessions, TokenPair
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.oidc.accounts import Identity, OidcUsers
from duoscope.identity.oidc.provider import OidcClient, Refused, code_challenge
from duoscope.identity.oidc.strength import Strength, strength
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, not_found
from duoscope.kernel.refs import SessionRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import identity_providers
from duoscope.metadata.identity_providers import IdentityProvider
from duoscope.net.outbound import Outbound
from duoscope.secrets.box import Cell, SecretBox
from duoscope.secrets.keys import SecretKeys
from duoscope.secrets.sealer import SealBrokenError
from duoscope.stores.postgres import MetadataStore

LOGIN_LIFETIME_S: Final = 600
"""From the start to the callback."""
_PLATFORM: Final = PlatformScope(reason="whoever logs in through a provider has no scope yet")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CODE_CHARS_MAX: Final = 4096
_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,1023}")
"""A path of our own: no browser reads it as another host."""


@dataclass(frozen=True, slots=True)
class Start:
    """The address to send the browser to, and the value of a cookie that it keeps for LOGIN_LIFETIME_S."""

    location: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Begun:
    """The content of the cookie."""

    state: str
    nonce: str
    verifier: str
    identity_provider_id: str
    expires_at: float
    tenant_id: str | None
    fresh: bool = False
    former: list[list[str]] = field(default_factory=list[list[str]])
    """Ids of the client's sessions, which the login ends."""
    return_to: str | None = None

    @property
    def asked_anew_s(self) -> float | None:
        """The time when the provider was asked to authenticate again, if it was."""
        return self.expires_at - LOGIN_LIFETIME_S if self.fresh else None


class OidcLogins:
    """Begins and finishes logins."""

    def __init__(
        self,
        store: MetadataStore,
        box: SecretBox,
        keys: SecretKeys,
        hasher: SlowHasher,
        sessions: Sessions,
        *,
        outbound: Outbound,
        public_url: str,
        quota: Quota = DEFAULT_QUOTA,
    ) -> None:
        self._store = store
        self._box = box
        self._sessions = sessions
        self._client = OidcClient(outbound)
        self._users = OidcUsers(store, hasher, quota)
        self._cookie = keys.sealer("oidc-login")
        self._public_url = public_url.rstrip("/")

    @property
    def is_secure(self) -> bool:
        """Whether users reach the API over https, so that cookies can be marked Secure."""
        return self._public_url.startswith("https://")

    async def start(
        self,
        slug: str,
        *,
        tenant_id: UUID | None = None,
        fresh: bool = False,
        former: Sequence[SessionRef] = (),
        return_to: str | None = None,
    ) -> Start:
        """Begin a login.

        Args:
            slug: of the provider.
            tenant_id: the tenant of the session; by default the user's home tenant.
            fresh: whether the provider must authenticate again, however recently it did.
            former: the client's sessions, which end when the login succeeds.
            return_to: the path of the page that the browser goes to when the login has ended; the session is in a
                cookie then.

        Raises:
            DuoscopeError: NOT_FOUND; INVALID for a `return_to` that is no such path; UNAVAILABLE
                `oidc-provider-unavailable`.
        """
        if return_to is not None and not _PATH.fullmatch(return_to):
            raise invalid("`return_to` is a path of this duoscope, such as /t/….", code="invalid-request")
        provider = await self._provider(slug)
        metadata = await self._client.of(provider.organization_id).metadata(provider.issuer)
        begun = _Begun(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            identity_provider_id=str(provider.identity_provider_id),
            expires_at=time.time() + LOGIN_LIFETIME_S,
            tenant_id=str(tenant_id) if tenant_id else None,
            fresh=fresh,
            former=[[str(value) for value in session] for session in former],
            return_to=return_to,
        )
        asked = {"acr_values": " ".join(provider.acr_values)} if provider.acr_values else {}
        if fresh:
            asked |= {"prompt": "login", "max_age": "0"}
        query = urlencode(
            {
                **asked,
                "response_type": "code",
                "client_id": provider.client_id,
                "redirect_uri": self.redirect_uri(provider),
                "scope": " ".join(provider.scopes),
                "state": begun.state,
                "nonce": begun.nonce,
                "code_challenge": code_challenge(begun.verifier),
                "code_challenge_method": "S256",
            }
        )
        endpoint = metadata.authorization_endpoint
        location = f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"
        return Start(location, self._sealed(begun))

    def page_after(self, cookie: str | None, problem: str | None = None) -> str | None:
        """The address to which a browser with this cookie goes when its login has ended, with the problem's code if
        there was one; None if it asked for none.
        """
        begun = self._opened(cookie)
        if begun is None or begun.return_to is None:
            return None
        return f"{self._public_url}{begun.return_to if problem is None else f'/?problem={problem}'}"

    async def finish(
        self, slug: str, cookie: str | None, state: str, code: str | None, issuer: str | None, *, actor: Actor
    ) -> TokenPair:
        """Finish a login: turn the parameters of the provider's redirect into a session.

        Args:
            slug: of the provider.
            cookie: what `start` gave the browser.
            state: from the provider's answer.
            code: from the provider's answer; None if the provider refused.
            issuer: from the provider's answer, if it names itself (RFC 9207).
            actor: where the request comes from.

        Raises:
            DuoscopeError: NOT_FOUND; INVALID `oidc-state-invalid` for an answer to a login that this browser did not
                begin; UNAUTHENTICATED `oidc-login-refused`; UNAVAILABLE `oidc-provider-unavailable`.
        """
        provider = await self._provider(slug)
        begun = self._opened(cookie)
        if (
            begun is None
            or begun.expires_at < time.time()
            or begun.identity_provider_id != str(provider.identity_provider_id)
            or not hmac.compare_digest(begun.state.encode(), state.encode())
        ):
            raise _no_login()
        async with self._platform("oidc.use_state") as tx:
            state_hash = hashlib.sha256(begun.state.encode()).hexdigest()
            if not await identity_providers.use_state(tx, provider, state_hash, lifetime_s=2 * LOGIN_LIFETIME_S):
                raise _no_login()
        try:
            identity, found = await self._identity(provider, begun, code, issuer)
            user_id = await self._users.resolve(provider, identity, actor)
            try:
                return await self._sessions.begin_external(
                    organization_id=provider.organization_id,
                    user_id=user_id,
                    actor=actor,
                    methods=found.methods,
                    tenant_id=UUID(begun.tenant_id) if begun.tenant_id else None,
                    authenticated_s_ago=found.authenticated_s_ago,
                    former=[SessionRef(*map(UUID, session)) for session in begun.former],
                )
            except DuoscopeError as error:
                if error.kind is not ErrorKind.UNAUTHENTICATED:
                    raise
                raise Refused("the account is closed, or has no role there") from error
        except Refused as refused:
            await self._tell_refusal(provider, actor, str(refused))
            raise DuoscopeError(
                ErrorKind.UNAUTHENTICATED,
                "oidc-login-refused",
                "This account of the identity provider cannot sign in here; your admin can see why in the audit log.",
                detail=str(refused),
            ) from refused

    async def _identity(
        self, provider: IdentityProvider, begun: _Begun, code: str | None, issuer: str | None
    ) -> tuple[Identity, Strength]:
        client = self._client.of(provider.organization_id)
        metadata = await client.metadata(provider.issuer)
        if issuer is not None and issuer != provider.issuer:
            raise Refused("the answer is another issuer's")
        if issuer is None and metadata.sends_issuer:
            raise Refused("the answer does not name its issuer")
        if code is None or len(code) > _CODE_CHARS_MAX:
            raise Refused("the provider refused")
        async with self._platform("oidc.client_secret") as tx:
            cell = Cell(
                "identity_providers",
                "client_secret_encrypted",
                (provider.organization_id, provider.identity_provider_id),
            )
            client_secret = (await self._box.open(tx, provider.client_secret_encrypted, cell)).decode()
        tokens = await client.exchange(
            provider.issuer,
            client_id=provider.client_id,
            client_secret=client_secret,
            code=code,
            verifier=begun.verifier,
            redirect_uri=self.redirect_uri(provider),
        )
        claims = await client.validate(
            provider.issuer, tokens.id_token, client_id=provider.client_id, nonce=begun.nonce
        )
        found = strength(claims, provider.acr_values, since_s=begun.asked_anew_s)
        if "email" not in claims or provider.group_claim not in claims:
            more = await client.userinfo(provider.issuer, tokens.access_token, claims["sub"])
            claims = more | claims
        return _identity(claims, provider), found

    async def _provider(self, slug: str) -> IdentityProvider:
        if _SLUG.fullmatch(slug):
            async with self._platform("oidc.provider") as tx:
                found = await identity_providers.find_open(tx, slug)
            if found is not None:
                return found
        raise not_found("identity provider")

    async def _tell_refusal(self, provider: IdentityProvider, actor: Actor, reason: str) -> None:
        async with self._platform("oidc.refused") as tx:
            await audit.record(
                tx,
                actor,
                "session.created",
                provider,
                after={"methods": ["oidc"], "reason": reason},
                result="failure",
            )

    def redirect_uri(self, provider: IdentityProvider) -> str:
        """The address to which the provider sends browsers back."""
        return f"{self._public_url}/api/v1/auth/oidc/{provider.slug}/callback"

    def _sealed(self, begun: _Begun) -> str:
        text = json.dumps(dataclasses.asdict(begun)).encode()
        return base64.urlsafe_b64encode(self._cookie.seal(text, b"oidc")).decode()

    def _opened(self, cookie: str | None) -> _Begun | None:
        try:
            return _Begun(**json.loads(self._cookie.open(base64.urlsafe_b64decode(cookie or ""), b"oidc")))
        except (SealBrokenError, ValueError):
            return None

    def _platform(self, name: LiteralString):  # noqa: ANN202 - the store's own context manager
        return self._store.open_platform(_PLATFORM, name)


def _identity(claims: dict[str, Any], provider: IdentityProvider) -> Identity:
    """The identity from the claims, if they are well-formed."""
    groups: object = claims.get(provider.group_claim)
    listed = cast("list[object]", groups) if isinstance(groups, list) else [groups]
    email = claims.get("email")
    return Identity(
        subject=claims["sub"],
        email=email.strip() if isinstance(email, str) else "",
        # Some providers send a string.
        email_verified=claims.get("email_verified") is True or claims.get("email_verified") == "true",
        first_name=_text(claims.get("given_name")),
        last_name=_text(claims.get("family_name")),
        groups=frozenset(group for group in listed if isinstance(group, str)),
    )


def _text(value: object) -> str:
    return "".join(c for c in value if c.isprintable())[:100] if isinstance(value, str) else ""


def _no_login() -> DuoscopeError:
    return invalid(
        "This browser began no such login, or the login is finished or too old: begin again.",
        code="oidc-state-invalid",
    )
