"""Access tokens: JWT (RFC 7519, RFC 9068) with HMAC-SHA256, valid for a quarter of an hour, verified without a store.

The scope of an API request is made here: only the signed token names the tenant. The user's permissions are not in it
(access.py looks them up), so that a change takes effect at once.
"""

import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import jwt

from duoscope.identity.authentication.signing_keys import KeyRing
from duoscope.identity.authorization.permissions import Claims
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.scope import Scope
from duoscope.metadata.permissions import Grant

ACCESS_LIFETIME_S = 900
CLOCK_SKEW_S = 10
ISSUER = "duoscope"
AUDIENCE = "duoscope-api"
TYPE = "at+jwt"
ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens of a login. `expires_in` is the access token's lifetime in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = ACCESS_LIFETIME_S
    device_token: str | None = field(default=None, repr=False)
    """For a device that becomes trusted: shown once."""
    client_mark: str | None = field(default=None, repr=False)
    """For a client that logged in with a password, to send at its next login: see known_clients.py."""
    password_expires_at: datetime | None = None
    """For a login with a generated password: the user must set their own before."""


class AccessTokens:
    """Issues with the ring's current key, verifies with every live one."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def issue(self, grant: Grant, *, user_id: UUID, session_id: UUID) -> str:
        """Issue a token for a user at work in the grant's tenant; it is valid for ACCESS_LIFETIME_S."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "org": str(grant.organization_id),
            "wsp": str(grant.workspace_id),
            "ten": str(grant.tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_LIFETIME_S,
        }
        key = self._ring.signing()
        return jwt.encode(claims, key.secret, ALGORITHM, headers={"kid": key.kid, "typ": TYPE})

    async def learn(self, token: str) -> None:
        """Call before `verify`: if the token names a key that this process does not know yet, look for it."""
        with contextlib.suppress(jwt.PyJWTError, DuoscopeError):
            await self._ring.learn(str(jwt.get_unverified_header(token).get("kid")))

    def verify(self, token: str) -> Claims:
        """Verify a token and return its claims.

        Raises:
            DuoscopeError: UNAUTHENTICATED `token-expired`, or `token-invalid` for every other error.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = self._ring.verifying(str(header.get("kid")))
            if key is None or header.get("typ") != TYPE:
                raise jwt.InvalidKeyError
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=CLOCK_SKEW_S,
                options={"require": ["iss", "aud", "iat", "nbf", "exp", "sub", "sid", "org", "wsp", "ten"]},
            )
            return Claims(
                scope=Scope(UUID(claims["org"]), UUID(claims["wsp"]), UUID(claims["ten"])),
                user_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]),
            )
        except jwt.ExpiredSignatureError as error:
            raise DuoscopeError(
                ErrorKind.UNAUTHENTICATED, "token-expired", "The access token has expired; refresh it."
            ) from error
        except (jwt.PyJWTError, ValueError, KeyError, AttributeError) as error:
            raise DuoscopeError(
                ErrorKind.UNAUTHENTICATED, "token-invalid", "The access token is not valid.", detail=str(error)
            ) from error
