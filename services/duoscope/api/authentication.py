"""Who calls: a route is for holders of an access token unless it says `opt=PUBLIC`; a guard asks for a permission."""

from collections.abc import Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from duoscope.identity.permissions import Principal
from duoscope.identity.tokens import AccessTokens
from duoscope.kernel.errors import DuoscopeError, ErrorKind

PUBLIC: Final[dict[str, Any]] = {"public": True}
OPEN: Final[list[dict[str, list[str]]]] = [{}]
"""The same for the OpenAPI document: `security` of a route that needs none."""


class Authentication(AbstractAuthenticationMiddleware):
    """Makes `request.user` the Principal of the access token."""

    def __init__(self, app: ASGIApp, tokens: AccessTokens) -> None:
        super().__init__(app, exclude=["^/schema"], exclude_from_auth_key="public")
        self._tokens = tokens

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """The principal; UNAUTHENTICATED without a valid token."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise DuoscopeError(
                ErrorKind.UNAUTHENTICATED,
                "token-missing",
                "Send an access token as `Authorization: Bearer <token>`; POST /api/v1/auth/login gives one.",
            )
        return AuthenticationResult(user=self._tokens.verify(token.strip()), auth=None)


def requires(permission: str) -> Callable[[ASGIConnection[Any, Principal, Any, Any], BaseRouteHandler], None]:
    """A guard: FORBIDDEN for a principal without the permission."""

    def guard(connection: ASGIConnection[Any, Principal, Any, Any], _: BaseRouteHandler) -> None:
        connection.user.require(permission)

    return guard
