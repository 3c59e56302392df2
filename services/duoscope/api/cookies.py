"""Cookies for this host only: no script can read them, and over https no other host of the domain can set one."""

from typing import Literal

from litestar.datastructures import Cookie


def cookie_name(name: str, *, is_secure: bool) -> str:
    """The name of a cookie, with the prefix that binds it to this host if users connect over https."""
    return f"__Host-duoscope-{name}" if is_secure else f"duoscope-{name}"


def own_cookie(
    name: str, value: str, *, lifetime_s: int, is_secure: bool, same_site: Literal["lax", "strict"]
) -> Cookie:
    """Make a cookie for this host only.

    Args:
        name: its purpose, in a word.
        value: its value.
        lifetime_s: how long browsers keep it.
        is_secure: whether users connect over https.
        same_site: whether requests from other sites send it: `lax` for following a link from there, `strict` for never.
    """
    return Cookie(
        key=cookie_name(name, is_secure=is_secure),
        value=value,
        max_age=lifetime_s,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite=same_site,
    )
