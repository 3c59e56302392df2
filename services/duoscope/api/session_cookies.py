"""Refresh tokens in cookies, for pages: no script can read one, and only requests of our own pages may use it."""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie

from duoscope.api.cookies import cookie_name, own_cookie
from duoscope.identity.authentication.sessions import REFRESH_LIFETIME_S
from duoscope.kernel.errors import DuoscopeError, ErrorKind

_NAME: Final = "session"


def session_cookie(token: str, *, is_secure: bool) -> Cookie:
    """The cookie that keeps a refresh token."""
    return own_cookie(_NAME, token, lifetime_s=REFRESH_LIFETIME_S, is_secure=is_secure, same_site="strict")


def no_session_cookie(*, is_secure: bool) -> Cookie:
    """The cookie that removes it from the browser."""
    return own_cookie(_NAME, "", lifetime_s=0, is_secure=is_secure, same_site="strict")


def token_in_cookie(request: Request[Any, Any, Any], *, is_secure: bool) -> str | None:
    """The refresh token of the request's cookie; None if it has none."""
    return request.cookies.get(cookie_name(_NAME, is_secure=is_secure))


def require_own_page(request: Request[Any, Any, Any], public_url: str) -> None:
    """Refuse a request that another site may have caused.

    Browsers say so in Sec-Fetch-Site. They leave it out where the page came over http from another machine; there the
    page's Origin must be the address that the request was sent to, or the public one.

    Raises:
        DuoscopeError: FORBIDDEN `not-same-origin`.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        is_own = _is_own(request.headers.get("origin", ""), request.headers.get("host"), public_url)
    else:
        is_own = site == "same-origin"
    if not is_own:
        raise DuoscopeError(
            ErrorKind.FORBIDDEN,
            "not-same-origin",
            "Only pages of this duoscope may use the session cookie. Programs send and get refresh_token in the body.",
        )


def _is_own(origin: str, host: str | None, public_url: str) -> bool:
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    return page.netloc != "" and (page.netloc == host or (page.scheme, page.netloc) == urlsplit(public_url)[:2])
