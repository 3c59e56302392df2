"""The OpenID provider's side of a login: discovery, exchange of the code, its ID token, further claims.

OpenID Connect Core 1.0 (authorization code flow, section 3.1), Discovery 1.0, PKCE (RFC 7636), issuer in the response
(RFC 9207). What a provider says is believed only as far as its own signature carries; id_tokens.py checks that.
"""

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
from joserfc.jwk import Key
from msgspec import Struct

from duoscope.identity.oidc import id_tokens
from duoscope.identity.oidc.id_tokens import IdTokenError
from duoscope.kernel.errors import DuoscopeError, unavailable
from duoscope.net.outbound import Answer, Outbound
from duoscope.net.urls import parse_url

METADATA_LIFETIME_S: Final = 3600.0
FAILURE_LIFETIME_S: Final = 10.0
"""How long a provider that did not answer is not asked again."""
KEYS_PAUSE_S: Final = 30.0
"""Between two requests for a provider's keys because of an unknown key id."""
PROVIDERS_MAX: Final = 200
_OK: Final = 200
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    takes_basic: bool
    sends_issuer: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens from the exchange of a code."""

    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(slots=True)
class _Known:
    metadata: Metadata
    read_at: float
    keys: dict[str | None, Key] = field(default_factory=dict[str | None, Key])
    keys_read_at: float = float("-inf")


class Refused(Exception):  # noqa: N818 - an outcome of a login
    """The login is refused; the reason is for the log and the audit log, never for the user."""


def code_challenge(verifier: str) -> str:
    """The S256 challenge of RFC 7636."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class OidcClient:
    """Talks to providers; caches their metadata and keys."""

    def __init__(
        self,
        outbound: Outbound,
        *,
        organization_id: UUID | None = None,
        known: dict[str, _Known] | None = None,
        failed: dict[str, float] | None = None,
    ) -> None:
        self._outbound = outbound
        self._known: dict[str, _Known] = {} if known is None else known
        self._failed: dict[str, float] = {} if failed is None else failed
        self._organization_id = organization_id

    def of(self, organization_id: UUID) -> "OidcClient":
        """The same client with an organization's own share of requests: its provider's silence delays nobody else."""
        return OidcClient(self._outbound, organization_id=organization_id, known=self._known, failed=self._failed)

    async def metadata(self, issuer: str) -> Metadata:
        """The issuer's discovery document.

        Raises:
            DuoscopeError: UNAVAILABLE `oidc-provider-unavailable` for a provider that cannot be reached or answers
                nonsense.
        """
        return (await self._provider(issuer)).metadata

    async def exchange(
        self, issuer: str, *, client_id: str, client_secret: str, code: str, verifier: str, redirect_uri: str
    ) -> Tokens:
        """Exchange an authorization code for tokens. Raises `Refused` if the provider refuses it."""
        metadata = await self.metadata(issuer)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form["code_verifier"] = verifier
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if metadata.takes_basic:
            # RFC 6749, section 2.3.1: both parts are form-encoded first.
            pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": client_id, "client_secret": client_secret}
        answer = await self._ask("POST", metadata.token_endpoint, headers=headers, content=urlencode(form).encode())
        body = _object(answer)
        if answer.status != _OK:
            raise Refused(f"token endpoint: {answer.status} {str(body.get('error'))[:100]}")
        id_token, access_token = body.get("id_token"), body.get("access_token")
        if not isinstance(id_token, str):
            raise Refused("token endpoint: no ID token")
        return Tokens(id_token, access_token if isinstance(access_token, str) else None)

    async def validate(self, issuer: str, id_token: str, *, client_id: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token, checked as id_tokens.py says. Raises `Refused` if any check fails."""
        try:
            key = await self._key(issuer, id_tokens.key_id(id_token))
            return id_tokens.check(id_token, key, issuer=issuer, client_id=client_id, nonce=nonce)
        except IdTokenError as error:
            raise Refused(str(error)) from error

    async def userinfo(self, issuer: str, access_token: str | None, subject: str) -> dict[str, Any]:
        """Further claims of the subject; none if the provider has no such endpoint."""
        endpoint = (await self.metadata(issuer)).userinfo_endpoint
        if endpoint is None or access_token is None:
            return {}
        answer = await self._ask(
            "GET", endpoint, headers={"authorization": f"Bearer {access_token}", "accept": "application/json"}
        )
        if answer.status != _OK:
            return {}
        claims = _object(answer)
        if claims.get("sub") != subject:
            raise Refused("userinfo: another subject")
        return claims

    async def _key(self, issuer: str, kid: str | None) -> Key:
        known = await self._provider(issuer)
        if kid not in known.keys and time.monotonic() - known.keys_read_at > KEYS_PAUSE_S:
            answer = await self._ask("GET", known.metadata.jwks_uri, headers={"accept": "application/json"})
            entries = _object(answer).get("keys")
            known.keys_read_at = time.monotonic()
            known.keys = id_tokens.read_keys(cast("list[Any]", entries) if isinstance(entries, list) else [])
        if kid is None and len(known.keys) == 1:
            return next(iter(known.keys.values()))
        if kid not in known.keys:
            raise Refused("ID token: a key that the provider does not publish")
        return known.keys[kid]

    async def _provider(self, issuer: str) -> _Known:
        known = self._known.get(issuer)
        if known and time.monotonic() - known.read_at < METADATA_LIFETIME_S:
            return known
        if time.monotonic() - self._failed.get(issuer, float("-inf")) < FAILURE_LIFETIME_S:
            raise _unavailable(f"{issuer} did not answer a moment ago")
        try:
            metadata = await self._discover(issuer)
        except DuoscopeError:
            _remember(self._failed, issuer, time.monotonic())
            raise
        known = _Known(metadata, time.monotonic())
        _remember(self._known, issuer, known)
        return known

    async def _discover(self, issuer: str) -> Metadata:
        url = issuer.rstrip("/") + "/.well-known/openid-configuration"
        answer = await self._ask("GET", url, headers={"accept": "application/json"})
        if answer.status != _OK:
            raise _unavailable(f"{url}: {answer.status}")
        return _metadata(issuer, _object(answer))

    async def _ask(self, method: str, url: str, *, headers: dict[str, str], content: bytes | None = None) -> Answer:
        try:
            share = self._organization_id
            return await self._outbound.request(method, url, headers=headers, content=content, share=share)
        except DuoscopeError as error:
            raise _unavailable(f"{url}: {error.detail or error.message}") from error


def _remember(remembered: dict[str, _T], issuer: str, value: _T) -> None:
    """Keep the latest PROVIDERS_MAX values."""
    remembered.pop(issuer, None)
    if len(remembered) >= PROVIDERS_MAX:
        remembered.pop(next(iter(remembered)))
    remembered[issuer] = value


class _Document(Struct, frozen=True):
    """What we read of a discovery document (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: Any = None
    token_endpoint_auth_methods_supported: Any = None
    authorization_response_iss_parameter_supported: Any = None


def _metadata(issuer: str, said: dict[str, Any]) -> Metadata:
    try:
        document = msgspec.convert(said, _Document)
    except msgspec.ValidationError as error:
        raise _unavailable(f"the discovery document of {issuer}: {error}") from error
    if document.issuer != issuer:
        raise _unavailable(f"{issuer} says its issuer is {document.issuer[:200]!r}")
    endpoint, userinfo = document.authorization_endpoint, document.userinfo_endpoint
    try:
        parse_url(endpoint, ("https", "http") if issuer.startswith("http://") else ("https",))
    except ValueError as error:
        raise _unavailable(f"{issuer} wants people sent to {endpoint[:200]!r}: {error}") from error
    methods: object = document.token_endpoint_auth_methods_supported
    named = cast("list[object]", methods) if isinstance(methods, list) and methods else ["client_secret_basic"]
    return Metadata(
        issuer,
        endpoint,
        document.token_endpoint,
        document.jwks_uri,
        userinfo if isinstance(userinfo, str) else None,
        "client_secret_basic" in named or "client_secret_post" not in named,
        document.authorization_response_iss_parameter_supported is True,
    )


def _object(answer: Answer) -> dict[str, Any]:
    try:
        return answer.json_object()
    except ValueError as error:
        raise _unavailable(f"status {answer.status} with a body that is no JSON object") from error


def _unavailable(detail: str) -> DuoscopeError:
    return unavailable(
        "The identity provider does not answer correctly; try again later, or tell your admin.",
        code="oidc-provider-unavailable",
        retry_after_s=5.0,
        detail=detail,
    )
