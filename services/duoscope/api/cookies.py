"""Cookies that are ours alone: no script reads them, and over https no other host of the domain can plant one."""

from typing import Literal

from litestar.datastructures import Cookie


def cookie_name(name: str, *, is_secure: bool) -> str:
    """Return the name of a cookie, with the prefix that binds it to this host where people come over https."""
    return f"__Host-duoscope-{name}" if is_secure else f"duoscope-{name}"


def own_cookie(
    name: str, value: str, *, lifetime_s: int, is_secure: bool, same_site: Literal["lax", "strict"]
) -> Cookie:
    """Return a cookie for this host alone.

    Args:
        name: what it is for, in a word.
        value: its value.
        lifetime_s: how long browsers keep it.
        is_secure: whether people come over https.
        same_site: whether it comes along from other sites: `lax` for following a link from there, `strict` for never.
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
