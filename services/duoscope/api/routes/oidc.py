"""Logging in through an organization's identity provider: the browser is sent there, and comes back with a code."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from duoscope.api.authentication import OPEN, PUBLIC, caller
from duoscope.api.bodies import Services
from duoscope.api.problems import documented
from duoscope.api.routes.auth import Tokens
from duoscope.identity.oidc import LOGIN_LIFETIME_S

TAGS: Final = ["auth"]
_NO_STORE: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


@get(
    "/api/v1/auth/oidc/{slug:str}/start",
    opt=PUBLIC,
    security=OPEN,
    status_code=302,
    tags=TAGS,
    summary="Log in through an identity provider",
    responses={
        302: ResponseSpec(None, description="To the provider, with a cookie that binds the login to this browser."),
        **documented(400, 404, 503),
    },
)
async def start(
    slug: FromPath[str],
    services: Services,
    tenant_id: Annotated[
        UUID | None, QueryParameter(description="Where to work; without it, where the user is at home.")
    ] = None,
) -> Redirect:
    """Open this in a browser. The `slug` is the identity provider's; the login takes ten minutes at the most."""
    begun = await services.oidc.start(slug, tenant_id=tenant_id)
    is_secure = services.oidc.is_secure
    cookie = Cookie(
        key=_cookie_name(is_secure=is_secure),
        value=begun.cookie,
        max_age=LOGIN_LIFETIME_S,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )
    return Redirect(begun.location, status_code=302, cookies=[cookie], headers=_NO_STORE)


@get(
    "/api/v1/auth/oidc/{slug:str}/callback",
    opt=PUBLIC,
    security=OPEN,
    tags=TAGS,
    summary="Come back from an identity provider",
    responses=documented(400, 401, 404, 503),
)
async def callback(
    request: Request[Any, Any, Any],
    slug: FromPath[str],
    services: Services,
    *,
    login_state: Annotated[
        str, QueryParameter(name="state", max_length=512, description="As `start` gave it to the provider.")
    ],
    code: Annotated[str | None, QueryParameter(max_length=4096, description="The authorization code.")] = None,
    iss: Annotated[str | None, QueryParameter(max_length=2048, description="The provider's issuer, RFC 9207.")] = None,
    error: Annotated[str | None, QueryParameter(max_length=512, description="Why the provider refused.")] = None,
) -> Response[Tokens]:
    """Where the provider sends the browser, in which the login must have begun: each answer works once.

    401 `oidc-login-refused` for whoever may not sign in here; the organization's audit log says why.
    """
    name = _cookie_name(is_secure=services.oidc.is_secure)
    pair = await services.oidc.finish(
        slug, request.cookies.get(name), login_state, None if error else code, iss, actor=caller(request)
    )
    tokens = Tokens(pair.access_token, pair.refresh_token, pair.token_type, pair.expires_in)
    response = Response(tokens, headers=_NO_STORE)
    response.delete_cookie(name, path="/")
    return response


def _cookie_name(*, is_secure: bool) -> str:
    # With the prefix, no other host of the domain can plant one.
    return "__Host-duoscope-oidc" if is_secure else "duoscope-oidc"


ROUTES: Final = (start, callback)
