"""Login through an organization's identity provider: the browser is sent there, and comes back with a code."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect
from msgspec import Meta, Struct

from duoscope.api.authentication import caller, presented_claims
from duoscope.api.bodies import Services
from duoscope.api.cookies import cookie_name, own_cookie
from duoscope.api.routes.auth.login import Tokens
from duoscope.api.routing import Routes
from duoscope.api.session_cookies import require_own_page, session_cookie
from duoscope.identity.authentication import session_ends
from duoscope.identity.oidc.login import LOGIN_LIFETIME_S, Start
from duoscope.kernel.errors import DuoscopeError

ROUTES: Final = Routes("auth")
_COOKIE: Final = "oidc"
_NO_STORE: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
_FRESH: Final = (
    "Have the provider ask for credentials even of who is signed in there; right after, you may do what asks for it."
)


class LoginStart(Struct, forbid_unknown_fields=True):
    """The parameters of a login."""

    tenant_id: Annotated[UUID | None, Meta(description="Tenant to work in; by default the user's home.")] = None
    fresh: Annotated[bool, Meta(description=_FRESH)] = False
    refresh_token: (
        Annotated[str, Meta(max_length=1024, description="Refresh token of the client's current session, to end it.")]
        | None
    ) = None
    return_to: (
        Annotated[
            str,
            Meta(
                max_length=1024,
                description="For our own pages: the path to come back to. The session is in a cookie then.",
            ),
        ]
        | None
    ) = None


class LoginLocation(Struct, frozen=True):
    """The address to open next."""

    location: Annotated[str, Meta(description="Address of the provider, to be opened in the same browser.")]


@ROUTES.get(
    "/api/v1/auth/oidc/{slug:str}/start",
    "Log in through an identity provider",
    responses={
        302: ResponseSpec(
            None, description="A redirect to the provider, with a cookie that binds the login to this browser."
        )
    },
    problems=(400, 404, 503),
    public=True,
    status_code=302,
)
async def start(
    slug: FromPath[str],
    services: Services,
    *,
    tenant_id: Annotated[
        UUID | None, QueryParameter(description="Tenant to work in; by default the user's home.")
    ] = None,
    fresh: Annotated[bool, QueryParameter(description=_FRESH)] = False,
) -> Redirect:
    """Begin a login; open this in a browser. The `slug` is the identity provider's. The login takes ten minutes at
    most.
    """
    begun = await services.oidc.start(slug, tenant_id=tenant_id, fresh=fresh)
    return Redirect(begun.location, status_code=302, cookies=[_cookie(services, begun)], headers=_NO_STORE)


@ROUTES.post(
    "/api/v1/auth/oidc/{slug:str}/start",
    "Log in through an identity provider from a session",
    problems=(400, 403, 404, 503),
    public=True,
    status_code=200,
)
async def start_from(
    request: Request[Any, Any, Any], slug: FromPath[str], data: JSONBody[LoginStart], services: Services
) -> Response[LoginLocation]:
    """Begin a login from a page with a session, which ends when the login succeeds: open `location` in that browser.

    The session is that of the access token sent as Authorization, or of `refresh_token`. With `return_to` the callback
    sets the cookie of a session, as a login with `cookie` does, and sends the browser to that path; a login that was
    refused to `/?problem=<code>`.
    """
    if data.return_to is not None:
        require_own_page(request, services.public_url)
    claims = await presented_claims(request, services.tokens)
    former = await session_ends.presented(services.metadata, claims, data.refresh_token)
    begun = await services.oidc.start(
        slug, tenant_id=data.tenant_id, fresh=data.fresh, former=former, return_to=data.return_to
    )
    return Response(LoginLocation(begun.location), cookies=[_cookie(services, begun)], headers=_NO_STORE)


@ROUTES.get(
    "/api/v1/auth/oidc/{slug:str}/callback",
    "Come back from an identity provider",
    responses={302: ResponseSpec(None, description="To the `return_to` of the start, with the session in a cookie.")},
    problems=(400, 401, 404, 503),
    public=True,
)
async def callback(
    request: Request[Any, Any, Any],
    slug: FromPath[str],
    services: Services,
    *,
    login_state: Annotated[
        str, QueryParameter(name="state", max_length=512, description="The state that `start` sent to the provider.")
    ],
    code: Annotated[str | None, QueryParameter(max_length=4096, description="The authorization code.")] = None,
    iss: Annotated[str | None, QueryParameter(max_length=2048, description="The provider's issuer, RFC 9207.")] = None,
    error: Annotated[
        str | None, QueryParameter(max_length=512, description="The provider's error, if it refused.")
    ] = None,
) -> Response[Tokens]:
    """Finish a login: the provider sends the browser here. It must have begun in the same browser; each answer works
    once.

    401 `oidc-login-refused` for a user who may not log in here; the organization's audit log has the reason.
    """
    is_secure = services.oidc.is_secure
    name = cookie_name(_COOKIE, is_secure=is_secure)
    kept = request.cookies.get(name)
    try:
        pair = await services.oidc.finish(slug, kept, login_state, None if error else code, iss, actor=caller(request))
    except DuoscopeError as problem:
        if (page := services.oidc.page_after(kept, problem.code)) is None:
            raise
        return Redirect(page, status_code=302, headers=_NO_STORE)
    if (page := services.oidc.page_after(kept)) is not None:
        cookies = [session_cookie(pair.refresh_token, is_secure=is_secure)]
        response = Redirect(page, status_code=302, cookies=cookies, headers=_NO_STORE)
        response.delete_cookie(name, path="/")
        return response
    tokens = Tokens(pair.access_token, pair.refresh_token, pair.token_type, pair.expires_in)
    response = Response(tokens, headers=_NO_STORE)
    response.delete_cookie(name, path="/")
    return response


def _cookie(services: Services, begun: Start) -> Cookie:
    is_secure = services.oidc.is_secure
    return own_cookie(_COOKIE, begun.cookie, lifetime_s=LOGIN_LIFETIME_S, is_secure=is_secure, same_site="lax")
