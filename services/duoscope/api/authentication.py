"""Authentication of requests: a route needs an access token unless it says `opt=PUBLIC`; a guard checks a permission.

The telemetry reads also accept API keys (api/api_key_auth.py).
"""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from duoscope.api.api_key_auth import machine, presented_key
from duoscope.api.problems import request_id
from duoscope.identity.api_keys.verifier import ApiKeyVerifier
from duoscope.identity.authentication.access import Access
from duoscope.identity.authentication.access_tokens import AccessTokens
from duoscope.identity.authorization.permissions import Claims, Principal
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind

PUBLIC: Final[dict[str, Any]] = {"public": True}
WITHOUT_MFA: Final[dict[str, Any]] = {"without_mfa": True}
"""For routes that stay open to a user without the second factor that their organization requires."""
_ENROL: Final = "Your organization requires a second factor: enrol one at POST /api/v1/auth/mfa/enrolment first."
_SHOW: Final = (
    "Your identity provider did not say that it asked for a second factor: show yours at "
    "POST /api/v1/auth/reauthenticate, with mfa_code, and go on with the new access token."
)
_LACKING: Final = {"enrol": ("mfa-enrolment-required", _ENROL), "show": ("mfa-required", _SHOW)}
AGAIN: Final = "authenticate_again"
"""Key in a request's state: a function that authenticates it again, for answers that take long."""
OPEN: Final[list[dict[str, list[str]]]] = [{}]
"""The same for the OpenAPI document: `security` of a route that needs none."""


class Authentication(AbstractAuthenticationMiddleware):
    """Sets `request.user` to the Principal of the access token or API key, with its current permissions."""

    def __init__(self, app: ASGIApp, tokens: AccessTokens, access: Access, api_keys: ApiKeyVerifier) -> None:
        super().__init__(app, exclude=["^/schema"], exclude_from_auth_key="public")
        self._api_keys = api_keys
        self._tokens = tokens
        self._access = access

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """Authenticate a request. Raises UNAUTHENTICATED without a valid token or key."""
        connection.scope["state"][AGAIN] = partial(self.authenticate_request, connection)
        if (presented := presented_key(connection)) is not None:
            user = await machine(connection, self._api_keys, presented, caller(connection))
            return AuthenticationResult(user=user, auth=None)
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise DuoscopeError(
                ErrorKind.UNAUTHENTICATED,
                "token-missing",
                "Send an access token as `Authorization: Bearer <token>`; POST /api/v1/auth/login gives one.",
            )
        token = token.strip()
        await self._tokens.learn(token)
        claims = self._tokens.verify(token)
        principal = await self._access.principal(claims, caller(connection))
        if principal.lacks_mfa and not connection.scope["route_handler"].opt.get("without_mfa"):
            code, message = _LACKING[principal.lacks_mfa]
            raise DuoscopeError(ErrorKind.FORBIDDEN, code, message)
        return AuthenticationResult(user=principal, auth=None)


def still_permitted(connection: ASGIConnection[Any, Any, Any, Any], permission: str) -> Callable[[], Awaitable[None]]:
    """A function that checks whether the caller may still do what a long answer continues to do: its token, session,
    key, user, role, tenant.

    It raises as a new request would: UNAUTHENTICATED, FORBIDDEN, or UNAVAILABLE.
    """
    again: Callable[[], Awaitable[AuthenticationResult]] = connection.scope["state"][AGAIN]

    async def ask() -> None:
        (await again()).user.require(permission)

    return ask


async def presented_claims(connection: ASGIConnection[Any, Any, Any, Any], tokens: AccessTokens) -> Claims | None:
    """The claims of the access token that a request to an open route carries; None for none, or one that is no longer
    valid.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    await tokens.learn(token.strip())
    with contextlib.suppress(DuoscopeError):
        return tokens.verify(token.strip())
    return None


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """The origin of a request, for the audit log; the user is known after authentication."""
    return Actor(
        user_id=None,
        email="",
        kind="user",
        ip_address=connection.client.host if connection.client else None,
        user_agent=connection.headers.get("user-agent"),
        request_id=UUID(request_id(connection)),
    )


Guard: TypeAlias = Callable[[ASGIConnection[Any, Principal, Any, Any], BaseRouteHandler], None]


def requires(permission: str) -> Guard:
    """A guard that raises FORBIDDEN for a principal without the permission."""

    def guard(connection: ASGIConnection[Any, Principal, Any, Any], _: BaseRouteHandler) -> None:
        connection.user.require(permission)

    guard.permission = permission  # pyright: ignore[reportFunctionMemberAccess]
    return guard
