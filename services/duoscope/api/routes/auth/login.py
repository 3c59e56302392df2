"""Logging in and out."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api.authentication import WITHOUT_MFA, caller, presented_claims
from duoscope.api.cookies import cookie_name, own_cookie
from duoscope.api.dependencies import ApiServices
from duoscope.api.routing import Routes
from duoscope.api.session_cookies import no_session_cookie, require_own_page, session_cookie, token_in_cookie
from duoscope.identity.authentication import session_ends
from duoscope.identity.authentication.known_clients import LIFETIME_S
from duoscope.identity.authentication.sessions import TokenPair
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.metadata import users

ROUTES: Final = Routes("auth")
_COOKIE: Final = "client"

_NO_STORE: Final = {"cache-control": "no-store"}

Services = NamedDependency[SkipValidation[ApiServices]]
CookieMode = Annotated[
    bool,
    Meta(
        description="For pages of duoscope itself: the refresh token is in an HttpOnly cookie, which no script can "
        "read, instead of in bodies. 403 `not-same-origin` for pages of others."
    ),
]


class LoginRequest(Struct, forbid_unknown_fields=True):
    """The credentials of a login."""

    email: Annotated[str, Meta(max_length=320, examples=["admin@duoscope.local"])]
    password: Annotated[str, Meta(max_length=1024, examples=["correct horse battery staple"])]
    mfa_code: (
        Annotated[str, Meta(max_length=64, description="For accounts with multi-factor authentication.")] | None
    ) = None
    tenant_id: Annotated[UUID | None, Meta(description="Tenant to work in; by default the user's home.")] = None
    device_token: (
        Annotated[
            str,
            Meta(
                max_length=1024,
                description="Token of a trusted device: strangers' failures do not slow it, and its user "
                "gets no notice of a new client.",
            ),
        ]
        | None
    ) = None
    trust_device: Annotated[bool, Meta(description="Return a `device_token` for this device to keep.")] = False
    device_name: Annotated[
        str, Meta(max_length=200, description="Name in the list of devices.", examples=["Ada's laptop"])
    ] = ""
    refresh_token: (
        Annotated[str, Meta(max_length=1024, description="Refresh token of the client's previous session, to end it.")]
        | None
    ) = None
    cookie: CookieMode = False


class Reauthentication(Struct, forbid_unknown_fields=True):
    """The proof for a reauthentication: a password, a code, or both."""

    password: Annotated[str, Meta(max_length=1024, examples=["correct horse battery staple"])] | None = None
    mfa_code: (
        Annotated[str, Meta(min_length=1, max_length=64, description="A code of your app, or a backup code.")] | None
    ) = None
    cookie: CookieMode = False


class LogoutRequest(Struct, forbid_unknown_fields=True):
    """The refresh token of a session: in the body, or in a cookie."""

    refresh_token: Annotated[str, Meta(max_length=1024, description="From the login or the last refresh.")] | None = (
        None
    )
    cookie: CookieMode = False


class RefreshRequest(LogoutRequest, forbid_unknown_fields=True):
    """A refresh token, which works once: in the body, or in a cookie."""

    tenant_id: Annotated[
        UUID | None, Meta(description="Tenant of the new access token; by default the one where the session began.")
    ] = None


class Tokens(Struct, frozen=True):
    """The tokens of a session."""

    access_token: Annotated[str, Meta(description="Send as `Authorization: Bearer <access_token>`.")]
    refresh_token: Annotated[
        str | UnsetType,
        Meta(description="Can be exchanged once, at /api/v1/auth/refresh; left out if a cookie has it."),
    ]
    token_type: Annotated[str, Meta(examples=["Bearer"])]
    expires_in: Annotated[int, Meta(description="Lifetime of the access token in seconds.", examples=[900])]
    device_token: Annotated[
        str | UnsetType, Meta(description="Shown once, if the login asked to trust the device; valid for 90 days.")
    ] = UNSET
    password_expires_at: Annotated[
        datetime | UnsetType,
        Meta(description="Expiry of a generated password: set your own before, at /api/v1/auth/password/change."),
    ] = UNSET


class Me(Struct, frozen=True):
    """The user of the access token, and the tenant they work in."""

    user_id: UUID
    email: str
    first_name: str
    last_name: str
    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    permissions: Annotated[list[str], Meta(examples=[["log:read", "metric:read", "trace:read"]])]


@ROUTES.post("/api/v1/auth/login", "Log in", problems=(400, 401, 403, 429, 503), public=True, status_code=200)
async def login(request: Request[Any, Any, Any], data: JSONBody[LoginRequest], services: Services) -> Response[Tokens]:
    """Exchange an e-mail address and a password for tokens. Wrong passwords and unknown addresses get the same answer.

    After some failures of one client the next attempt must wait, a little longer each time: 429 `too-many-attempts`
    with Retry-After. 503 `too-many-logins` while too many log in at once. 401 `mfa-required`: send the same request
    again with `mfa_code`. 401 `password-expired`: the correct password, but it was generated and has expired. 403
    `sso-required` if the organization requires its identity provider.

    The answer sets a cookie that does not authenticate: a client that sends it at its next login is not slowed by
    others' attempts, even from the same network.

    The client's previous session ends, if the request carries its access token as Authorization or its `refresh_token`.
    """
    claims = await presented_claims(request, services.tokens)
    former = data.refresh_token
    if data.cookie:
        require_own_page(request, services.public_url)
        former = former or token_in_cookie(request, is_secure=services.oidc.is_secure)
    pair = await services.sessions.login(
        data.email,
        data.password,
        actor=caller(request),
        tenant_id=data.tenant_id,
        mfa_code=data.mfa_code,
        device_token=data.device_token,
        trust_device=data.trust_device,
        device_name=data.device_name,
        client_mark=request.cookies.get(cookie_name(_COOKIE, is_secure=services.oidc.is_secure)),
        former=await session_ends.presented(services.metadata, claims, former),
    )
    return _answer(services, pair, in_cookie=data.cookie)


@ROUTES.post("/api/v1/auth/refresh", "Get new tokens", problems=(400, 401, 403, 404, 503), public=True, status_code=200)
async def refresh(
    request: Request[Any, Any, Any], data: JSONBody[RefreshRequest], services: Services
) -> Response[Tokens]:
    """Exchange a refresh token for a new pair. A token that was used before ends the whole session.

    401 `password-expired`, and the session ends: it began with a generated password that has expired. 404 for a
    `tenant_id` in which you hold no role; the refresh token then still works.
    """
    presented = _presented(request, services, data)
    pair = await services.sessions.refresh(presented, actor=caller(request), tenant_id=data.tenant_id)
    return _answer(services, pair, in_cookie=data.cookie)


@ROUTES.post(
    "/api/v1/auth/reauthenticate",
    "Show once more who you are",
    problems=(400, 401, 403, 409, 429, 503),
    opt=WITHOUT_MFA,
    status_code=200,
)
async def reauthenticate(
    request: Request[Principal, Any, Any], data: JSONBody[Reauthentication], services: Services
) -> Response[Tokens]:
    """Replace this session by a new one. This one ends; the new one ends when this one would have.

    For five minutes the new session may end other sessions, forget devices and change your address; without it, these
    get 403 `reauthentication-required`. A wrong password or code gets 403 `password-wrong` or `mfa-code-invalid`. Users
    of an identity provider log in there again, with `fresh=true`.
    """
    if data.cookie:
        require_own_page(request, services.public_url)
    shown = await services.second_factors.show(request.user, password=data.password, code=data.mfa_code)
    return _answer(services, await services.sessions.begin_again(request.user, shown), in_cookie=data.cookie)


@ROUTES.post("/api/v1/auth/logout", "Log out", problems=(400, 401, 403, 503), opt=WITHOUT_MFA, status_code=204)
async def logout(
    request: Request[Principal, Any, Any], data: JSONBody[LogoutRequest], services: Services
) -> Response[None]:
    """End the session of a refresh token; its access tokens stop working at once. DELETE /api/v1/sessions ends all of
    yours.
    """
    await services.sessions.logout(_presented(request, services, data), actor=request.user.actor)
    return Response(None, cookies=[no_session_cookie(is_secure=services.oidc.is_secure)] if data.cookie else [])


@ROUTES.get("/api/v1/auth/me", "Your user, tenant and permissions", problems=(401, 503), opt=WITHOUT_MFA)
async def me(request: Request[Principal, Any, Any], services: Services) -> Me:
    """The user, the tenant and the permissions of the access token."""
    principal = request.user
    async with services.metadata.open(principal.scope, "auth.me") as tx:
        user = await users.get(tx, principal.user_id)
    if user is None:
        raise DuoscopeError(ErrorKind.UNAUTHENTICATED, "token-invalid", "The access token is not valid.")
    scope = principal.scope
    return Me(
        user.user_id,
        user.email,
        user.first_name,
        user.last_name,
        scope.organization_id,
        scope.workspace_id,
        scope.tenant_id,
        sorted(principal.permissions),
    )


def _presented(request: Request[Any, Any, Any], services: ApiServices, data: LogoutRequest) -> str:
    """The refresh token of the request; one in a cookie only from our own pages, and only where they say so."""
    if data.cookie == (data.refresh_token is not None):
        raise invalid("Send either refresh_token, or cookie: true.", code="invalid-request")
    if data.refresh_token is not None:
        return data.refresh_token
    require_own_page(request, services.public_url)
    return token_in_cookie(request, is_secure=services.oidc.is_secure) or ""


def _answer(services: ApiServices, pair: TokenPair, *, in_cookie: bool) -> Response[Tokens]:
    is_secure = services.oidc.is_secure
    cookies = [session_cookie(pair.refresh_token, is_secure=is_secure)] if in_cookie else []
    if pair.client_mark is not None:
        mark = own_cookie(_COOKIE, pair.client_mark, lifetime_s=LIFETIME_S, is_secure=is_secure, same_site="strict")
        cookies.append(mark)
    tokens = Tokens(
        pair.access_token,
        UNSET if in_cookie else pair.refresh_token,
        pair.token_type,
        pair.expires_in,
        pair.device_token or UNSET,
        pair.password_expires_at or UNSET,
    )
    return Response(tokens, headers=_NO_STORE, cookies=cookies)
